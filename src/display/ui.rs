//! The screen's own state: which view, which bed, how large; and what a key changes. Pure: the time is an argument.

use super::keys::{self, Step};
use super::layout;
use super::scene::open_finding;
use super::theme::{Glyphs, Look};
use super::trace::COLUMNS_PER_S;
use crate::snapshot::{BedView, Snapshot};
use contract::{BedId, Level, MonoMs};
use crossterm::event::KeyCode;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A held picture lets go after this long, or on a new ALERT.
const HOLD_MS: u64 = 60_000;
/// How far the smooth sweep stays behind the newest column, in columns: hides the beat of the frames.
const CUSHION: f64 = 40.0;

/// What is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    Ward,
    Bed(BedId),
    List,
    Health,
    Help,
}

/// What a person asked for that the display cannot do itself. Acknowledge, pause, mark and relearn join it with the
/// command path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Leave the screen (`q`, then `y`).
    Leave,
}

/// The screen's own state.
#[derive(Debug, Clone)]
pub struct Ui {
    pub(super) look: Look,
    pub(super) zone: TimeZone,
    pub(super) view: View,
    pub(super) selected: Option<BedId>,
    /// Line of the alert list or of health.
    pub(super) line: usize,
    /// Trace size: 2^gain.
    pub(super) gain: i8,
    /// Sweep speed: half, plain, double.
    pub(super) speed: usize,
    /// Hours of the trend: index into [`SPANS_H`].
    pub(super) span: usize,
    pub(super) typed: String,
    pub(super) leaving: bool,
    pub(super) bell: bool,
    /// Frames a second that the link allows now; `None` = the full rate.
    pub(super) slow_fps: Option<u32>,
    pub(super) repaint: bool,
    held: Option<(Arc<Snapshot>, MonoMs)>,
    now: MonoMs,
    heads: BTreeMap<BedId, f64>,
    known: BTreeSet<String>,
}

/// Hours of the trend.
pub(super) const SPANS_H: [u32; 4] = [1, 4, 8, 24];

impl Ui {
    /// A screen that opens on the ward. `zone` is the site's time zone.
    #[must_use]
    pub fn new(look: Look, zone: TimeZone) -> Self {
        Self {
            look,
            zone,
            view: View::Ward,
            selected: None,
            line: 0,
            gain: 0,
            speed: 1,
            span: 1,
            typed: String::new(),
            leaving: false,
            bell: true,
            slow_fps: None,
            repaint: false,
            held: None,
            now: MonoMs(0),
            heads: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    /// The bed as it was when the picture was held.
    pub(super) fn held_bed(&self, bed: &BedId) -> Option<&BedView> {
        self.held.as_ref()?.0.beds.iter().find(|b| b.bed == *bed)
    }

    /// Seconds for which the picture is still held.
    pub(super) fn held_s(&self) -> Option<u64> {
        let (_, since) = self.held.as_ref()?;
        Some(HOLD_MS.saturating_sub(self.now.since(*since)) / 1_000)
    }

    /// Column after the newest one that the smooth sweep shows.
    pub(super) fn head(&self, bed: &BedId) -> Option<u64> {
        self.heads.get(bed).map(|h| *h as u64)
    }

    /// Moves the sweeps on and lets go of an old hold. Call before each frame; returns whether a new ALERT came.
    pub fn advance(&mut self, snapshot: &Snapshot, now: MonoMs) -> bool {
        let passed = now.since(self.now).min(1_000) as f64 / 1_000.0;
        self.now = now;
        let alerts = snapshot.alerts.iter();
        let open = alerts.filter(|a| open_finding(a) && a.level == Level::Alert && a.seen.is_none());
        let known: BTreeSet<String> = open.map(|a| a.id.0.clone()).collect();
        let fresh = known.iter().any(|id| !self.known.contains(id));
        self.known = known;
        if fresh || self.held_s() == Some(0) {
            self.held = None;
        }
        if self.held.is_none() {
            self.sweep(snapshot, passed);
        }
        fresh
    }

    /// Alerts that ring the bell until somebody has seen them.
    pub(super) fn unseen_alerts(&self) -> usize {
        self.known.len()
    }

    /// Each sweep runs at the speed of the signal, a little behind the newest column, and catches up gently.
    fn sweep(&mut self, snapshot: &Snapshot, passed_s: f64) {
        let before = std::mem::take(&mut self.heads);
        for bed in &snapshot.beds {
            let newest = (bed.first_column + bed.columns.len() as u64) as f64;
            let old = before.get(&bed.bed).copied().filter(|h| *h <= newest && newest - h < 250.0);
            let behind = old.map_or(CUSHION, |h| newest - h);
            let speed = COLUMNS_PER_S as f64 * (1.0 + ((behind - CUSHION) / 100.0).clamp(-0.5, 1.0));
            let head = old.unwrap_or((newest - CUSHION).max(0.0)) + passed_s * speed;
            self.heads.insert(bed.bed.clone(), head.min(newest));
        }
    }

    /// What a key does. `size` is the screen's, in cells.
    pub fn press(&mut self, code: KeyCode, snapshot: &Arc<Snapshot>, size: (u16, u16)) -> Option<Action> {
        if std::mem::take(&mut self.leaving) {
            return (code == KeyCode::Char('y')).then_some(Action::Leave);
        }
        let step = keys::step(code)?;
        if let Step::Digit(digit) = step {
            self.digit(digit, snapshot);
            return None;
        }
        let typed = std::mem::take(&mut self.typed);
        match step {
            Step::Open if !typed.is_empty() => self.open_numbered(&typed, snapshot),
            Step::Open => self.open(snapshot),
            Step::Back if !typed.is_empty() => {}
            Step::Back | Step::Ward => self.view = View::Ward,
            Step::List => self.show(View::List),
            Step::Health => self.show(View::Health),
            Step::Help => self.show(View::Help),
            Step::Next => self.next(snapshot),
            Step::Move(dx, dy) => self.step(dx, dy, snapshot, size),
            Step::Page(by) => self.page(by, snapshot, size),
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
            Step::Bell => self.bell = !self.bell,
            Step::Repaint => self.repaint = true,
            Step::Leave => self.leaving = true,
            Step::Digit(_) => {}
        }
        None
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
        let listed = || snapshot.alerts.get(self.line).and_then(|a| a.bed.clone());
        let bed = match self.view {
            View::List => listed(),
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
            let lines = if self.view == View::List { snapshot.alerts.len() } else { snapshot.beds.len() };
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
