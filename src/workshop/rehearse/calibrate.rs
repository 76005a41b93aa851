//! What a setting raises on recordings: several settings tried on one analysis, so that a site can choose a number of
//! alerts in place of a threshold.

use super::{Heard, Source};
use crate::config::{Analysis, Decide, Settings};
use crate::model::{Bundle, open_engine};
use crate::pipeline::{Analyser, Replay, Setup};
use crate::workshop::WorkshopError;
use contract::{AlertClass, BedId, Phase};
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;
use std::sync::Arc;

/// Budgets that are tried, in alerts a bed-day.
const BUDGETS: [f32; 5] = [192.0, 96.0, 48.0, 24.0, 12.0];
/// Limits that are tried where channels decide, and how far below and above them a condition ends and is strong: as the
/// default has it.
const LIMITS: [f32; 8] = [1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.6, 3.0];
const OFF: f32 = 0.75;
const STRONG: f32 = 1.375;
const DAY_S: f64 = 86_400.0;

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// As it stands in a config.
    pub setting: String,
    /// The number in it.
    pub value: f32,
    decide: Decide,
}

impl Rung {
    fn put(&self, analysis: &mut Analysis) {
        match self.decide {
            Decide::Fused => analysis.alerts_per_bed_day = self.value,
            Decide::Channels => {
                analysis.score_on = self.value;
                analysis.score_off = OFF * self.value;
                analysis.score_strong = STRONG * self.value;
            }
        }
    }

    fn setup(&self, setup: &Setup) -> Setup {
        let mut setup = setup.clone();
        self.put(&mut setup.analysis);
        setup.unit_analysis.values_mut().chain(setup.bed_analysis.values_mut()).for_each(|a| self.put(a));
        setup
    }
}

/// The settings worth trying under a config.
#[must_use]
pub fn rungs(decide: Decide) -> Vec<Rung> {
    let rung = |setting: String, value| Rung { setting, value, decide };
    match decide {
        Decide::Fused => BUDGETS.map(|v| rung(format!("alerts_per_bed_day = {v:.1}"), v)).to_vec(),
        Decide::Channels => LIMITS
            .map(|v| {
                let (off, strong) = (OFF * v, STRONG * v);
                let setting = format!("score_on = {v:.2}, score_off = {off:.2}, score_strong = {strong:.2}");
                rung(setting, v)
            })
            .to_vec(),
    }
}

/// What one bed raised under each setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibrated {
    /// The bed.
    pub bed: BedId,
    /// Days that were judged: read, with enough known of the bed.
    pub days: f64,
    /// Advisories that began, by setting: those said, and those beyond the cap of the hour or day.
    pub raised: Vec<u64>,
    /// Advisories below the budget, by setting: listed only.
    pub below: Vec<u64>,
    /// Why its recording ended early.
    pub fault: Option<String>,
}

fn bed(
    bundle: &Arc<Bundle>,
    setup: &Setup,
    source: &Source,
    rungs: &[Rung],
    heard: &Heard,
) -> Result<Calibrated, WorkshopError> {
    let mut analyser = Analyser::new(bundle.clone(), open_engine(bundle, "cpu")?);
    let mut replays = Vec::new();
    for rung in rungs {
        replays.push(Replay::new(rung.setup(setup), bundle, open_engine(bundle, "cpu")?, &source.bed));
    }
    let counts = vec![0; rungs.len()];
    let bed = source.bed.clone();
    let mut found = Calibrated { bed, days: 0.0, raised: counts.clone(), below: counts, fault: None };
    for hop in (source.open)() {
        heard.second();
        let due = match hop {
            Ok(due) => [due],
            Err(fault) => {
                found.fault = Some(fault.to_string());
                break;
            }
        };
        let finding = analyser.analyse(&due).remove(0);
        for (i, replay) in replays.iter_mut().enumerate() {
            let replayed = replay.conclude(&due[0], finding.clone());
            let begins = |a: &&contract::Alert| a.class == AlertClass::Analysis && a.phase == Phase::Start;
            let held = |why: &str| replayed.held.iter().filter(|h| h.1 == why).count() as u64;
            found.raised[i] += replayed.alerts.iter().filter(begins).count() as u64 + held("cap");
            found.below[i] += held("below");
        }
        if finding.reading.is_ok() && replays[0].learnt() {
            found.days += 1.0 / DAY_S;
        }
    }
    Ok(found)
}

/// Tries all settings on all beds, each bed from nothing.
///
/// # Errors
/// [`WorkshopError`] if the engine cannot be opened. What is wrong with a recording stands in [`Calibrated::fault`].
pub fn calibrate(
    bundle: &Arc<Bundle>,
    settings: &Settings,
    sources: &[Source],
    rungs: &[Rung],
    bar: &ProgressBar,
) -> Result<Vec<Calibrated>, WorkshopError> {
    let setup = Setup::of(settings, bundle);
    let heard = Heard::new(bar, sources.len());
    let one = |source: &Source| {
        let found = bed(bundle, &setup, source, rungs, &heard);
        bar.inc(1);
        found
    };
    sources.par_iter().map(one).collect()
}
