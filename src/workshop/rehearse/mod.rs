//! Last week once more: what a site's recordings would have raised under a config, before the config is used.
//!
//! What it does: feeds recorded hops, from WFDB files (`wfdb`) or from a node's own archive, bed by bed through the analysis and
//! the decision that run live (`run`), counts what was said and what only listed, by bed and day, draws each moment, and
//! makes a page of it (`page`); tries several settings on one analysis (`calibrate`).
//! What it never does: silence and clocks, which follow from arrival and are not in a recording.
//! Door: [`Source`], [`wfdb()`], [`rehearse`], [`page()`], [`calibrate()`]; called by `wardbeat rehearse` and
//! `wardbeat calibrate`.

mod calibrate;
mod page;
mod run;
mod wfdb;

pub use calibrate::{Calibrated, Rung, calibrate, rungs};
pub use page::page;
pub use wfdb::wfdb;

use super::WorkshopError;
use crate::config::Settings;
use crate::model::Bundle;
use crate::pipeline::{Due, Setup};
use contract::{BedId, UtcMs};
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Recorded hops of a bed, in order.
pub type Hops<'a> = Box<dyn Iterator<Item = Result<Due, WorkshopError>> + 'a>;

/// One bed's recording.
pub struct Source<'a> {
    /// The bed.
    pub bed: BedId,
    /// Opens it from the beginning.
    pub open: Box<dyn Fn() -> Hops<'a> + Send + Sync + 'a>,
}

/// What one day of a bed would have raised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Seconds of recording.
    pub seconds: u64,
    /// Of these, seconds that were read with enough known of the bed for a verdict.
    pub judged: u64,
    /// Advisories that would have gone out, by code.
    pub said: BTreeMap<String, u64>,
    /// Advisories that would only have been listed for review, by what held them back.
    pub listed: BTreeMap<String, u64>,
    /// Technical alerts, by code.
    pub technical: BTreeMap<String, u64>,
}

/// One alert that would have begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The day it counts to.
    pub day: String,
    /// When it would have been said.
    pub at: String,
    /// Its code.
    pub code: String,
    /// `advisory` or `alert`.
    pub level: String,
    /// What it would have said.
    pub text: String,
    /// What would have held it back from nurse call; `None` = nothing.
    pub held: Option<String>,
    /// Its strip, SVG; none beyond the first of a day.
    #[serde(skip)]
    pub strip: Option<String>,
}

/// What one bed would have raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rehearsed {
    /// The bed.
    pub bed: BedId,
    /// By day, in UTC; of recordings without a date, by their own days.
    pub days: BTreeMap<String, Day>,
    /// Every alert that would have begun, in order.
    pub moments: Vec<Moment>,
    /// Why its recording ended early.
    pub fault: Option<String>,
}

const DAY_MS: i64 = 86_400_000;

/// The day of a moment; a recording without a date began on the first one.
fn day(at: UtcMs) -> String {
    match at.0.div_euclid(DAY_MS) {
        days @ 0..366 => format!("day {}", days + 1),
        _ => at.to_string().chars().take(10).collect(),
    }
}

/// The day of a moment and its time.
fn time(at: UtcMs) -> String {
    let at = UtcMs(at.0.max(0));
    let clock: String = at.to_string().chars().skip(11).take(8).collect();
    format!("{}, {clock}", day(at))
}

/// Rehearses all beds, each from nothing: what is usual for it is learnt first, as on a new bed.
///
/// # Errors
/// [`WorkshopError`] if the engine cannot be opened. What is wrong with a recording stands in [`Rehearsed::fault`].
pub fn rehearse(
    bundle: &Arc<Bundle>,
    settings: &Settings,
    sources: &[Source],
    bar: &ProgressBar,
) -> Result<Vec<Rehearsed>, WorkshopError> {
    let setup = Setup::of(settings, bundle);
    let heard = Heard::new(bar, sources.len());
    let one = |source: &Source| {
        let rehearsed = run::bed(bundle, &setup, source, &heard);
        bar.inc(1);
        rehearsed
    };
    sources.par_iter().map(one).collect()
}

/// Tells on a bar how much signal was heard; the bar itself counts beds.
struct Heard<'a> {
    bar: &'a ProgressBar,
    seconds: AtomicU64,
}

impl<'a> Heard<'a> {
    fn new(bar: &'a ProgressBar, beds: usize) -> Self {
        bar.set_length(beds as u64);
        Self { bar, seconds: AtomicU64::new(0) }
    }

    fn second(&self) {
        let seconds = self.seconds.fetch_add(1, Ordering::Relaxed) + 1;
        if seconds.is_multiple_of(600) {
            self.bar.set_message(format!("{:.1} bed-hours", seconds as f64 / 3_600.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_date_or_its_number() {
        let at = |text| day(UtcMs::parse(text).expect("a time"));
        assert_eq!(at("2026-11-25T23:59:59.999Z"), "2026-11-25");
        assert_eq!(at("1970-01-01T00:00:09.000Z"), "day 1");
        assert_eq!(at("1970-01-08T00:00:09.000Z"), "day 8");
        assert_eq!(time(UtcMs(3_725_250)), "day 1, 01:02:05");
        assert_eq!(time(UtcMs(-3)), "day 1, 00:00:00");
    }
}
