//! What a key does: moves, opens, changes this screen, asks the ward. Pure.

use super::keys::{self, Step};
use super::layout;
use super::list;
use super::scene::open_finding;
use super::theme::Glyphs;
use super::ui::{Action, SPANS_H, Ui, View};
use crate::snapshot::{AlertView, BedView, Snapshot};
use contract::{AlertClass, BedId};
use crossterm::event::KeyCode;
use std::sync::Arc;

impl Ui {
    /// What a key does. `size` is the screen's, in cells; call [`Ui::advance`] before each frame.
    pub fn press(&mut self, code: KeyCode, snapshot: &Arc<Snapshot>, size: (u16, u16)) -> Option<Action> {
        let repeats = self.asks.repeats(code);
        if std::mem::take(&mut self.leaving) {
            return (code == KeyCode::Char('y')).then_some(Action::Leave);
        }
        if self.asks.asks() {
            return self.asks.answer(code, snapshot.now).map(Action::from);
        }
        if self.filtering {
            self.type_filter(code);
            return None;
        }
        let step = keys::step(code, self.operator.is_some())?;
        if let Step::Digit(digit) = step {
            self.digit(digit, snapshot);
            return None;
        }
        let typed = std::mem::take(&mut self.typed);
        match step {
            Step::Open if !typed.is_empty() => self.open_numbered(&typed, snapshot),
            Step::Back if !typed.is_empty() || self.asks.take_back() => {}
            Step::Acknowledge | Step::Pause | Step::Resume | Step::Mark | Step::Relearn | Step::Export => {
                return if repeats { None } else { self.act(step, snapshot) };
            }
            Step::Move(dx, dy) => self.step(dx, dy, snapshot, size),
            Step::Page(by) => self.page(by, snapshot, size),
            step => self.navigate(step, snapshot),
        }
        None
    }

    /// What was asked a while ago and is to be sent now: a mark that nobody took back.
    pub fn due(&mut self) -> Option<Action> {
        self.asks.due().map(Action::from)
    }

    fn navigate(&mut self, step: Step, snapshot: &Arc<Snapshot>) {
        match step {
            Step::Open => self.open(snapshot),
            Step::Back | Step::Ward => self.view = View::Ward,
            Step::List => self.show(View::List),
            Step::Health => self.show(View::Health),
            Step::Help => self.show(View::Help),
            Step::Next => self.next(snapshot),
            Step::Span(by) => self.span = (self.span as i8 + by).clamp(0, SPANS_H.len() as i8 - 1) as usize,
            Step::Gain(by) => self.gain = (self.gain + by).clamp(-3, 3),
            Step::Speed => self.speed = (self.speed + 1) % 3,
            Step::Hold if self.held.is_some() => self.held = None,
            Step::Hold => self.held = Some((Arc::clone(snapshot), self.now)),
            Step::Theme => self.look.theme = self.look.theme.next(),
            Step::Glyphs => {
                self.look.glyphs =
                    if self.look.glyphs == Glyphs::Braille { Glyphs::Ascii } else { Glyphs::Braille };
            }
            Step::Bell => self.bell = self.bell.next(),
            Step::Repaint => self.repaint = true,
            Step::Leave => self.leaving = !self.kiosk,
            Step::Unseen => {
                self.show(View::List);
                self.unseen_only = !self.unseen_only;
            }
            Step::Filter => {
                self.show(View::List);
                self.filter.clear();
                self.filtering = true;
            }
            _ => {}
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        self.line = 0;
        match code {
            KeyCode::Enter => self.filtering = false,
            KeyCode::Esc => (self.filtering, self.filter) = (false, String::new()),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) if self.filter.chars().count() < 20 => self.filter.push(c),
            _ => {}
        }
    }

    /// What the operator's keys do, and the export, for the bed that is on the screen or selected.
    fn act(&mut self, step: Step, snapshot: &Snapshot) -> Option<Action> {
        let listed = self.listed(snapshot);
        let bed = match &self.view {
            View::Bed(id) => Some(id.clone()),
            View::List => listed.and_then(|a| a.bed.clone()),
            _ => self.selected.clone(),
        };
        let Some(bed) = bed.and_then(|id| snapshot.beds.iter().find(|b| b.bed == id)) else {
            self.asks.notice("NOT POSSIBLE: choose a bed first (n, arrows or its number)".into());
            return None;
        };
        match step {
            Step::Acknowledge => {
                let alert =
                    listed.filter(|_| self.view == View::List).or_else(|| episode(snapshot, &bed.bed));
                match alert.filter(|a| a.seen.is_none()) {
                    Some(alert) => return self.asks.acknowledge(bed, alert).map(Action::from),
                    None => self.asks.notice(format!("nothing of {} is unseen", bed.label)),
                }
            }
            Step::Pause => self.asks.ask_pause(bed),
            Step::Resume => return Some(self.asks.resume(bed).into()),
            Step::Mark => self.asks.ask_mark(bed),
            Step::Relearn => self.asks.ask_relearn(bed),
            _ => {
                self.asks.notice(format!("strip of {} is being written, 10 s", bed.label));
                return Some(Action::Export { bed: bed.bed.clone() });
            }
        }
        None
    }

    /// The alert under the list's cursor.
    fn listed<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a AlertView> {
        list::listed(snapshot, self.unseen_only, &self.filter).get(self.line).copied()
    }

    fn show(&mut self, view: View) {
        self.line = 0;
        self.view = view;
    }

    fn digit(&mut self, digit: char, snapshot: &Snapshot) {
        self.typed.push(digit);
        if self.typed.len() == 2 {
            let typed = std::mem::take(&mut self.typed);
            self.open_numbered(&typed, snapshot);
        }
    }

    /// Opens the bed whose label has this number; beds without a number answer to their place.
    fn open_numbered(&mut self, typed: &str, snapshot: &Snapshot) {
        let Ok(number) = typed.parse::<usize>() else { return };
        let own = |b: &BedView| {
            let digits: String = b.label.chars().filter(char::is_ascii_digit).collect();
            digits.parse::<usize>().ok()
        };
        let named = snapshot.beds.iter().find(|b| own(b) == Some(number));
        let placed = || number.checked_sub(1).and_then(|i| snapshot.beds.get(i)).filter(|b| own(b).is_none());
        if let Some(bed) = named.or_else(placed) {
            self.select(&bed.bed.clone());
            self.view = View::Bed(bed.bed.clone());
        }
    }

    fn select(&mut self, bed: &BedId) {
        self.selected = Some(bed.clone());
    }

    fn open(&mut self, snapshot: &Snapshot) {
        let bed = match self.view {
            View::List => self.listed(snapshot).and_then(|a| a.bed.clone()),
            View::Health => snapshot.beds.get(self.line).map(|b| b.bed.clone()),
            _ => self.selected.clone().or_else(|| snapshot.beds.first().map(|b| b.bed.clone())),
        };
        if let Some(bed) = bed.filter(|id| snapshot.beds.iter().any(|b| b.bed == *id)) {
            self.select(&bed);
            self.view = View::Bed(bed);
        }
    }

    /// The next bed with an open finding, oldest first, after the selected one.
    fn next(&mut self, snapshot: &Snapshot) {
        let mut open: Vec<_> = snapshot.alerts.iter().filter(|a| open_finding(a)).collect();
        open.sort_by_key(|a| (a.seen.is_some(), a.onset));
        let beds: Vec<&BedId> = open.iter().filter_map(|a| a.bed.as_ref()).collect();
        let at = self.selected.as_ref().and_then(|s| beds.iter().position(|b| *b == s));
        let Some(bed) = beds.get(at.map_or(0, |i| (i + 1) % beds.len())).map(|b| (*b).clone()) else {
            return;
        };
        self.select(&bed);
        if matches!(self.view, View::Bed(_)) {
            self.view = View::Bed(bed);
        }
    }

    fn step(&mut self, dx: i16, dy: i16, snapshot: &Snapshot, size: (u16, u16)) {
        if matches!(self.view, View::List | View::Health | View::Help) {
            let listed = || list::listed(snapshot, self.unseen_only, &self.filter).len();
            let lines = if self.view == View::List { listed() } else { snapshot.beds.len() };
            self.line = self.line.saturating_add_signed(isize::from(dy)).min(lines.saturating_sub(1));
            return;
        }
        let columns = layout::ward_grid(size, snapshot.beds.len()).columns.max(1);
        let rows = isize::from(dy) * isize::try_from(columns).unwrap_or(1);
        match self.selected_index(snapshot) {
            Some(at) => self.go(at.saturating_add_signed(isize::from(dx) + rows), snapshot),
            None => self.go(0, snapshot),
        }
    }

    fn page(&mut self, by: i16, snapshot: &Snapshot, size: (u16, u16)) {
        let page = layout::ward_grid(size, snapshot.beds.len()).page;
        let at = self.selected_index(snapshot).unwrap_or(0) / page;
        let last = snapshot.beds.len().saturating_sub(1) / page;
        self.go(at.saturating_add_signed(isize::from(by)).min(last) * page, snapshot);
    }

    pub(super) fn selected_index(&self, snapshot: &Snapshot) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        snapshot.beds.iter().position(|b| b.bed == *selected)
    }

    /// Selects the bed at a place, the last one beyond the end.
    fn go(&mut self, place: usize, snapshot: &Snapshot) {
        let Some(bed) = snapshot.beds.get(place).or(snapshot.beds.last()) else { return };
        self.selected = Some(bed.bed.clone());
        if matches!(self.view, View::Bed(_)) {
            self.view = View::Bed(bed.bed.clone());
        }
    }
}

/// What of a bed is acknowledged first: an open ALERT, an open advisory, what ended unseen, a technical condition.
fn episode<'a>(snapshot: &'a Snapshot, bed: &BedId) -> Option<&'a AlertView> {
    let unseen = snapshot.alerts.iter().filter(|a| a.bed.as_ref() == Some(bed) && a.seen.is_none());
    unseen.min_by_key(|a| {
        (a.class == AlertClass::Technical, a.ended.is_some(), std::cmp::Reverse(a.level), a.onset)
    })
}
