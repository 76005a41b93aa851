//! Long recordings under a score and a limit that never saw them: advisories in normal rhythm, onsets told, noise.

use super::operate::alerts;
use super::scene::{Scene, of};
use super::{Event, Kind, Set};
use crate::workshop::evaluate::{Interval, bootstrap};
use serde::Serialize;

/// A long recording counts from here: five minutes to learn.
pub const FROM_S: usize = 310;
/// An onset counts from here, and is told within so long.
const ONSET_FROM_S: f64 = 365.0;
pub const WITHIN_S: f64 = 60.0;
/// A bed's past that is free of the same when the onset is a new one.
const PAST_S: f64 = 600.0;

/// The mean of a Poisson distribution that gives none in 2.5 % of cases.
const NONE_SEEN_MAX: f64 = 3.689;

/// A rate of alerts with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerHour {
    /// Alerts per bed-hour.
    #[serde(flatten)]
    pub rate: Interval,
    /// Alerts.
    pub alerts: usize,
    /// Bed-hours.
    pub hours: f64,
    /// Recordings.
    pub recordings: usize,
}

/// Onsets of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Onsets {
    /// What.
    pub kind: &'static str,
    /// All of them, and those told within 60 s.
    pub all: usize,
    /// Told.
    pub told: usize,
    /// Those before which the bed's last ten minutes were free of it.
    pub fresh: usize,
    /// Told of these.
    pub fresh_told: usize,
}

/// A score on the long recordings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Holter {
    /// `mitdb`, normal rhythm throughout.
    pub normal: PerHour,
    /// `qtdb`, whose rhythms are not annotated.
    pub quiet: PerHour,
    /// Onsets in `mitdb`.
    pub onsets: Vec<Onsets>,
    /// `nstdb`: alerts in stretches with noise added, and outside of them.
    pub noise: [usize; 2],
    /// Minutes of such noise.
    pub noise_minutes: f64,
    /// Share of the noise's seconds without a verdict.
    pub noise_without_verdict: f64,
}

fn per_hour(scenes: &[&Scene], score: &dyn Fn(&[f32]) -> f32, limit: f32) -> PerHour {
    let counted: Vec<(usize, f64)> = scenes
        .iter()
        .map(|s| {
            let end = s.values.len();
            let hours = end.saturating_sub(FROM_S) as f64 / 3_600.0;
            (alerts(&s.scores(score), limit, FROM_S.min(end)..end).len(), hours)
        })
        .collect();
    let patients: Vec<u32> = scenes.iter().map(|s| s.record.patient).collect();
    let rate = |drawn: &[usize]| {
        let (raised, hours) = drawn.iter().fold((0, 0.0), |a, &i| (a.0 + counted[i].0, a.1 + counted[i].1));
        [raised as f64 / hours]
    };
    let [mut rate] = bootstrap(&patients, rate);
    let (alerts, hours) = (counted.iter().map(|c| c.0).sum(), counted.iter().map(|c| c.1).sum());
    if alerts == 0 && hours > 0.0 {
        // Draws of nothing are nothing: none in so many hours still allows for some.
        rate.high = NONE_SEEN_MAX / hours;
    }
    PerHour { rate, alerts, hours, recordings: scenes.len() }
}

/// Whether an episode of this kind is long enough to be one.
pub fn counts(event: &Event) -> bool {
    let length_s = event.to_s - event.from_s;
    event.from_s >= ONSET_FROM_S && length_s >= if event.kind == Kind::Af { 20.0 } else { 3.0 }
}

fn onsets(scenes: &[&Scene], score: &dyn Fn(&[f32]) -> f32, limit: f32) -> Vec<Onsets> {
    let mut all = [Kind::Af, Kind::Vt, Kind::Vf].map(|k| (k, Onsets { kind: k.name(), ..Onsets::default() }));
    for scene in scenes {
        let raised = alerts(&scene.scores(score), limit, FROM_S..scene.values.len());
        for event in scene.record.events.iter().filter(|e| counts(e)) {
            let Some((_, found)) = all.iter_mut().find(|o| o.0 == event.kind) else { continue };
            let before = |e: &&Event| {
                e.kind == event.kind && e.from_s < event.from_s && e.to_s > event.from_s - PAST_S
            };
            let fresh = scene.record.events.iter().filter(before).count() == 0;
            let within = event.from_s..event.from_s + WITHIN_S;
            let told = raised.iter().any(|t| within.contains(&(*t as f64 + 1.0)));
            found.all += 1;
            found.told += usize::from(told);
            found.fresh += usize::from(fresh);
            found.fresh_told += usize::from(fresh && told);
        }
    }
    all.into_iter().map(|o| o.1).collect()
}

/// Runs the long recordings under a score and a limit.
#[must_use]
pub fn holter(scenes: &[Scene], score: &dyn Fn(&[f32]) -> f32, limit: f32) -> Holter {
    let mitdb: Vec<&Scene> = of(scenes, Set::Mitdb).collect();
    let normal: Vec<&Scene> = mitdb.iter().copied().filter(|s| s.record.normal).collect();
    let quiet: Vec<&Scene> = of(scenes, Set::Qtdb).filter(|s| !s.values.is_empty()).collect();
    let (mut noise, mut seconds, mut silent) = ([0, 0], 0, 0);
    for scene in of(scenes, Set::Nstdb) {
        let noisy = |t: usize| scene.record.events.iter().any(|e| (e.from_s..e.to_s).contains(&(t as f64)));
        for t in alerts(&scene.scores(score), limit, FROM_S.min(scene.values.len())..scene.values.len()) {
            noise[usize::from(!noisy(t))] += 1;
        }
        let inside = || (0..scene.values.len()).filter(|t| noisy(*t));
        seconds += inside().count();
        silent += inside().filter(|t| scene.values[*t].is_none()).count();
    }
    Holter {
        normal: per_hour(&normal, score, limit),
        quiet: per_hour(&quiet, score, limit),
        onsets: onsets(&mitdb, score, limit),
        noise,
        noise_minutes: seconds as f64 / 60.0,
        noise_without_verdict: silent as f64 / f64::from(seconds.max(1) as u32),
    }
}
