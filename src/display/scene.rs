//! What one frame draws from: the snapshot, the screen's own state, and what follows from both about each bed.

use super::theme::Palette;
use super::trace::{self, Motion, Run, Scale};
use super::ui::Ui;
use super::words;
use super::writer::Economy;
use crate::snapshot::{AlertView, BedState, BedView, Family, Snapshot};
use contract::{AlertClass, BedId, Level, Mode, Signal, UtcMs};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// No snapshot for this long: a banner over the whole screen.
pub(super) const SILENT_MS: u64 = 3_000;
/// No snapshot for this long: every sector is STOPPED.
pub(super) const DEAD_MS: u64 = 10_000;

/// What is longer ago is not of tonight.
pub(super) const NIGHT_MS: i64 = 12 * 3_600_000;

/// Everything a view may look at.
pub(super) struct Scene<'a> {
    pub snapshot: &'a Snapshot,
    pub ui: &'a Ui,
    pub palette: Palette,
    /// Age of the snapshot by the screen's own clock.
    pub age_ms: u64,
    /// The snapshot's wall time plus its age.
    pub now: Option<UtcMs>,
}

/// One bed as the screen tells it: data state first, then its strongest open finding.
pub(super) struct Standing<'a> {
    pub bed: &'a BedView,
    pub state: BedState,
    pub since: UtcMs,
    pub alert: Option<&'a AlertView>,
    /// The screen itself has had no word for too long.
    dead: bool,
}

impl<'a> Scene<'a> {
    pub fn new(snapshot: &'a Snapshot, ui: &'a Ui, age_ms: u64, palette: Palette) -> Self {
        let now = snapshot.now.map(|t| t.after(words::signed(age_ms)));
        Self { snapshot, ui, palette, age_ms, now }
    }

    pub fn dead(&self) -> bool {
        self.age_ms > DEAD_MS
    }

    /// Milliseconds from `at` to now.
    pub fn since_ms(&self, at: UtcMs) -> i64 {
        self.now.map_or(0, |now| now.0.saturating_sub(at.0))
    }

    pub fn span(&self, at: UtcMs) -> String {
        words::span(self.since_ms(at))
    }

    pub fn clock(&self, at: UtcMs) -> String {
        words::clock(at, &self.ui.zone)
    }

    pub fn clock_min(&self, at: UtcMs) -> String {
        words::clock_min(at, &self.ui.zone)
    }

    pub fn standing(&self, bed: &'a BedView) -> Standing<'a> {
        let dead = self.dead();
        let alert = self
            .snapshot
            .alerts
            .iter()
            .filter(|a| open_finding(a) && a.bed.as_ref() == Some(&bed.bed))
            .min_by_key(|a| (std::cmp::Reverse(a.level), a.onset));
        let since = if dead { self.snapshot.now.unwrap_or(bed.state_since) } else { bed.state_since };
        Standing { bed, state: if dead { BedState::Stopped } else { bed.state }, since, alert, dead }
    }

    pub fn standings(&self) -> Vec<Standing<'a>> {
        self.snapshot.beds.iter().map(|b| self.standing(b)).collect()
    }

    pub fn bed(&self, id: &BedId) -> Option<&'a BedView> {
        self.snapshot.beds.iter().find(|b| b.bed == *id)
    }

    /// Open findings, those that ask for a look first: unseen before seen, ALERT before ADVISORY, oldest first.
    pub fn looks(&self) -> Vec<&'a AlertView> {
        let mut open: Vec<_> = self.snapshot.alerts.iter().filter(|a| open_finding(a)).collect();
        open.sort_by_key(|a| {
            (a.silent, a.seen.is_some() || a.level == Level::Advisory, a.level == Level::Advisory, a.onset)
        });
        open
    }

    /// The same with one finding a bed, its first, and how many more the bed has.
    pub fn looks_by_bed(&self) -> Vec<(&'a AlertView, usize)> {
        let mut out: Vec<(&AlertView, usize)> = Vec::new();
        for look in self.looks() {
            match out.iter_mut().find(|(first, _)| first.bed == look.bed) {
                Some((_, more)) => *more += 1,
                None => out.push((look, 0)),
            }
        }
        out
    }

    /// Findings that ended before anybody had seen them.
    pub fn ended_unseen(&self) -> Vec<&'a AlertView> {
        let ended = |a: &&AlertView| a.ended.is_some() && a.seen.is_none() && a.class == AlertClass::Analysis;
        self.snapshot.alerts.iter().filter(ended).collect()
    }

    /// Findings that ended: unseen ones, then those of the last twelve hours, the newest first.
    pub fn ended_tonight(&self) -> Vec<&'a AlertView> {
        let analysis = self.snapshot.alerts.iter().filter(|a| a.class == AlertClass::Analysis);
        let tonight =
            |a: &&AlertView| a.ended.is_some_and(|at| a.seen.is_none() || self.since_ms(at) < NIGHT_MS);
        let mut ended: Vec<&AlertView> = analysis.filter(tonight).collect();
        ended.sort_by_key(|a| (a.seen.is_some(), std::cmp::Reverse(a.onset)));
        ended
    }

    /// What is wrong with Wardbeat itself, in words.
    pub fn troubles(&self) -> Vec<String> {
        let node = &self.snapshot.node;
        let mut out: Vec<String> = node.troubles.clone();
        if node.broker_since.is_none() && !node.broker.is_empty() {
            out.push(format!("no connection to the broker {}", node.broker));
        }
        out
    }

    pub fn family(&self, cluster: u8) -> Family {
        self.snapshot.clusters.get(usize::from(cluster)).map_or(Family::Mixed, |c| c.family)
    }

    /// The name of a shifted cluster: its own, else the bundle's.
    pub fn cluster_name(&self, shift: &contract::ClusterShift) -> String {
        let known = self.snapshot.clusters.get(usize::from(shift.cluster));
        let named = known.filter(|_| shift.name.is_empty()).map_or(&shift.name, |c| &c.name);
        words::clean(named)
    }

    /// Style of a trace cell by its cluster.
    pub fn cluster_style(&self, cluster: Option<u8>) -> Style {
        cluster.map_or(self.palette.dim, |c| self.palette.family(self.family(c)))
    }

    /// Draws a sweeping trace, in so far as the link to the terminal carries it.
    pub fn trace(&self, buf: &mut Buffer, area: Rect, run: Run, scale: Scale, dim: bool) {
        let economy = self.ui.link.economy;
        if economy >= Economy::Traces {
            let y = area.y + area.height / 2;
            return put(buf, area.x, y, "  trace left out: slow link", area.width, self.palette.dim);
        }
        trace::draw(buf, area, run, scale, Motion::Sweep, self.palette.glyphs, |cluster| {
            if dim {
                self.palette.dim
            } else if economy >= Economy::Clusters {
                self.palette.text
            } else {
                self.cluster_style(cluster)
            }
        });
    }

    /// The run of trace columns that the screen shows now: held pictures stand, others follow the smooth sweep.
    pub fn run(&self, bed: &'a BedView) -> Run<'a> {
        let shown = self.ui.held_bed(&bed.bed).unwrap_or(bed);
        let newest = shown.first_column + shown.columns.len() as u64;
        let head = self.ui.head(&bed.bed).map_or(newest, |h| h.clamp(shown.first_column, newest));
        Run { columns: &shown.columns, first: shown.first_column, head }
    }

    /// `DEMO` or `TEST` where any bed is not real.
    pub fn mode_word(&self) -> Option<&'static str> {
        let has = |mode| self.snapshot.beds.iter().any(|b| b.mode == mode);
        if has(Mode::Demo) {
            Some("DEMO")
        } else if has(Mode::Test) {
            Some("TEST")
        } else {
            None
        }
    }
}

/// An open finding of the analysis (technical conditions are data states).
pub(super) fn open_finding(a: &AlertView) -> bool {
    a.ended.is_none() && a.class == AlertClass::Analysis
}

impl Standing<'_> {
    /// Whether verdicts are given now.
    pub fn watched(&self) -> bool {
        !self.dead && self.state.watched()
    }

    /// The finding that the sector names: hidden while the data state outranks it.
    pub fn named(&self) -> Option<&AlertView> {
        self.alert.filter(|_| matches!(self.state, BedState::Live | BedState::Delayed))
    }

    pub fn mark(&self) -> &'static str {
        self.named().map_or(words::state_mark(self.state), |a| words::level_mark(a.level))
    }

    pub fn word(&self) -> &'static str {
        match (self.state, self.named()) {
            (BedState::Live, Some(a)) => words::level_word(a.level),
            _ => words::state_word(self.state),
        }
    }

    /// What, in plain words; `length` 0 short to 2 long.
    pub fn what(&self, scene: &Scene, length: usize) -> String {
        match self.state {
            // A lead that is out while others serve is told here: the bed is watched, but not by all of its leads.
            BedState::Live => self
                .alert
                .map_or_else(|| self.bed.state_detail.clone(), |a| words::code_words(a.code, length).into()),
            BedState::Delayed => {
                let age =
                    self.age_ms(scene).map_or_else(|| "late".into(), |ms| format!("{} old", words::span(ms)));
                match self.alert {
                    Some(a) => format!("{age}, {}", words::code_words(a.code, 0)),
                    None => age,
                }
            }
            BedState::Stopped if self.dead && length == 0 => "no word".into(),
            BedState::Stopped if self.dead => "no word from wardbeat".into(),
            BedState::Stopped if length == 0 => "no data".into(),
            BedState::Stopped => "no data from monitor".into(),
            BedState::LeadOff | BedState::Noisy if length == 0 => self.leads_out(),
            BedState::LeadOff | BedState::Noisy => self.bed.state_detail.clone(),
            BedState::Learning => {
                let [have, need] = self.bed.learnt_s;
                format!("{} of {}", learn_words(have, need), learn_unit(need))
            }
            BedState::Paused => self.bed.pause_reason.clone(),
        }
    }

    /// The leads without a usable signal, by name.
    fn leads_out(&self) -> String {
        let out = self.bed.leads.iter().filter(|l| l.signal != Signal::Good).map(|l| l.lead.to_string());
        let out = out.collect::<Vec<_>>().join(", ");
        if out.is_empty() { self.bed.state_detail.clone() } else { out }
    }

    /// Age of the newest sample now, in ms.
    pub fn age_ms(&self, scene: &Scene) -> Option<i64> {
        self.bed.sample_age_ms.map(|ms| words::signed(ms.saturating_add(scene.age_ms)))
    }

    /// Since when, or what is left.
    pub fn since(&self, scene: &Scene) -> String {
        match (self.state, self.named()) {
            (BedState::Live | BedState::Delayed, Some(a)) => scene.span(a.onset),
            (BedState::Live, None) => String::new(),
            (BedState::Paused, _) => {
                let left = self.bed.pause_left_ms.unwrap_or(0).saturating_sub(scene.age_ms);
                format!("{} left", minutes(left))
            }
            (BedState::Learning, _) => {
                let [have, need] = self.bed.learnt_s;
                format!("{} left", minutes(u64::from(need.saturating_sub(have)) * 1_000))
            }
            _ => scene.span(self.since),
        }
    }

    pub fn chip(&self, scene: &Scene) -> Style {
        let palette = &scene.palette;
        match (self.state, self.named()) {
            (_, Some(a)) if a.level == Level::Alert => palette.alert,
            (_, Some(_)) => palette.advisory,
            (BedState::Live, None) => palette.text,
            (BedState::Delayed, None) => palette.bold,
            (BedState::Paused, _) => palette.paused,
            _ => palette.unwatched,
        }
    }
}

fn minutes(ms: u64) -> String {
    if ms < 60_000 { format!("{}s", ms.div_ceil(1_000)) } else { format!("{}m", ms.div_ceil(60_000)) }
}

fn learn_words(have: u32, need: u32) -> u32 {
    if need >= 120 { have / 60 } else { have.min(need) }
}

/// `15 min` or `20 s`.
fn learn_unit(need: u32) -> String {
    if need >= 120 { format!("{} min", need / 60) } else { format!("{need} s") }
}

/// Text into the buffer, clipped at `cells` and at the buffer's edge.
pub(super) fn put(buf: &mut Buffer, x: u16, y: u16, text: &str, cells: u16, style: Style) {
    let area = buf.area;
    if y >= area.height || x >= area.width {
        return;
    }
    let room = cells.min(area.width - x);
    buf.set_string(x, y, words::cut(text, usize::from(room)), style);
}

/// Text that ends before column `end`.
pub(super) fn put_right(buf: &mut Buffer, end: u16, y: u16, text: &str, style: Style) {
    let text = words::clean(text);
    let wide = words::width(&text).min(usize::from(end)) as u16;
    put(buf, end - wide, y, &text, wide, style);
}
