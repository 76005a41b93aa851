//! The screen's own state: which view, which bed, how large; and what a key changes. Pure: the time is an argument.

use super::asks::{Asks, Sent, Wish};
use super::scene::open_finding;
use super::theme::{Depth, Glyphs, Look};
use super::trace::COLUMNS_PER_S;
use super::words;
use super::writer::Economy;
use crate::snapshot::{AlertView, BedView, Snapshot};
use contract::{BedId, Level, MonoMs};
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

/// What a person asked for that the display cannot do itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Leave the screen (`q`, then `y`).
    Leave,
    /// The operator wants something of a bed.
    Ask {
        /// Counts what was asked, for refusals.
        id: u64,
        /// The bed.
        bed: BedId,
        /// What.
        wish: Wish,
    },
    /// A strip of this bed is to be written.
    Export {
        /// The bed.
        bed: BedId,
    },
}

impl From<Sent> for Action {
    fn from((id, bed, wish): Sent) -> Self {
        Self::Ask { id, bed, wish }
    }
}

/// For what the bell rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Bell {
    Off,
    #[default]
    Alerts,
    All,
}

impl Bell {
    pub fn next(self) -> Self {
        match self {
            Self::Off => Self::Alerts,
            Self::Alerts => Self::All,
            Self::All => Self::Off,
        }
    }

    /// As the header says it, always.
    pub fn words(self) -> &'static str {
        match self {
            Self::Off => "BELL OFF",
            Self::Alerts => "BELL ALERTS",
            Self::All => "BELL ALL",
        }
    }
}

/// How the link to the terminal fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Link {
    pub fps: u32,
    /// The frames are slower than they should be.
    pub slowed: bool,
    pub economy: Economy,
    pub bytes_per_s: usize,
    /// Frames not drawn because the terminal was busy.
    pub skipped: u64,
    /// How late a frame was at most in the last seconds, by the screen's own loop, in ms.
    pub late_ms: u64,
    /// A frame took so many seconds to write, not long ago.
    pub slow_s: Option<u64>,
}

/// The screen's own state.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // Independent things that are on or off.
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
    /// No key ends the screen.
    pub(super) kiosk: bool,
    pub(super) bell: Bell,
    pub(super) link: Link,
    /// Who may act here; `None` = nobody.
    pub(super) operator: Option<String>,
    pub(super) asks: Asks,
    /// The list shows what nobody has seen only.
    pub(super) unseen_only: bool,
    /// The list shows beds whose label holds this.
    pub(super) filter: String,
    pub(super) filtering: bool,
    pub(super) repaint: bool,
    pub(super) held: Option<(Arc<Snapshot>, MonoMs)>,
    pub(super) now: MonoMs,
    heads: BTreeMap<BedId, f64>,
    known: BTreeSet<String>,
    /// As `known`, advisories too.
    known_all: BTreeSet<String>,
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
            kiosk: false,
            bell: Bell::default(),
            link: Link::default(),
            operator: None,
            asks: Asks::default(),
            unseen_only: false,
            filter: String::new(),
            filtering: false,
            repaint: false,
            held: None,
            now: MonoMs(0),
            heads: BTreeMap::new(),
            known: BTreeSet::new(),
            known_all: BTreeSet::new(),
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

    /// Names the person who may acknowledge, pause, mark and relearn on this screen.
    #[must_use]
    pub fn for_operator(self, name: Option<String>) -> Self {
        Self { operator: name, ..self }
    }

    /// Says at first whether the terminal's font can draw the traces.
    pub(super) fn welcome(&mut self) {
        if self.look.glyphs == Glyphs::Braille {
            self.asks.notice(format!("{} is a hill of dots? If it is not, press g.", words::HILL));
        }
    }

    /// Moves the sweeps on, looks for echoes and lets go of an old hold. Call before each frame; returns whether
    /// something new asks for the bell.
    pub fn advance(&mut self, snapshot: &Snapshot, now: MonoMs) -> bool {
        let passed = now.since(self.now).min(1_000) as f64 / 1_000.0;
        self.now = now;
        self.asks.advance(snapshot, now);
        let unseen = |level: Level| -> BTreeSet<String> {
            let asks = |a: &&AlertView| open_finding(a) && a.level >= level && a.seen.is_none() && !a.silent;
            snapshot.alerts.iter().filter(asks).map(|a| a.id.0.clone()).collect()
        };
        let (alerts, all) = (unseen(Level::Alert), unseen(Level::Advisory));
        let fresh = !alerts.is_subset(&self.known);
        let fresh_any = !all.is_subset(&self.known_all);
        (self.known, self.known_all) = (alerts, all);
        if fresh || self.held_s() == Some(0) {
            self.held = None;
        }
        if self.held.is_none() {
            self.sweep(snapshot, passed);
        }
        fresh || (fresh_any && self.bell == Bell::All)
    }

    /// Whether the bell should ring on while nobody has looked.
    pub(super) fn rings(&self) -> bool {
        match self.bell {
            Bell::Off => false,
            Bell::Alerts => !self.known.is_empty(),
            Bell::All => !self.known_all.is_empty(),
        }
    }

    /// The look, in so far as the link to the terminal carries it.
    pub(super) fn affordable_look(&self) -> Look {
        let cheap = self.link.economy >= Economy::Depth && self.look.depth == Depth::True;
        Look { depth: if cheap { Depth::Indexed } else { self.look.depth }, ..self.look }
    }

    /// Whether one bed fills the screen.
    pub(super) fn shows_bed(&self) -> bool {
        matches!(self.view, View::Bed(_))
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
}
