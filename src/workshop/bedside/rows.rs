//! The rows of the tables: the fused score, each channel by itself, and the controls beside them.

use super::boosted::boosted;
use super::fit::{Fit, cross_validated};
use super::operate::{Operation, RATES, Sensitivity, gain, operate, sensitivity};
use super::scene::{BEFORE_S, CLUSTERS, FROM_S, Scene};
use super::{Kind, NONE, Track};
use crate::pipeline::Channel;
use crate::workshop::WorkshopError;
use crate::workshop::evaluate::bootstrap;
use crate::workshop::metrics::auroc;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;

/// The fused score.
pub const FUSED: &str = "fused";
/// The same fusion without clusters.
pub const BARE: &str = "fused without clusters";
/// Boosted trees on the same channels, with clusters and without.
pub const TREES: &str = "boosted trees";
pub const BARE_TREES: &str = "boosted trees without clusters";
/// Seconds before an alarm whose window is compared with others of the recording.
const WINDOW_BEFORE_S: usize = 2;
/// Windows apart.
const APART_S: usize = 5;

/// One score.
pub struct Row {
    /// Its name in the tables.
    pub name: &'static str,
    /// Every intensive-care recording under it.
    pub tracks: Vec<Track>,
    /// What it gave at each of [`RATES`].
    pub operations: Vec<Operation>,
}

/// What the report says of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Its name.
    pub name: &'static str,
    /// By kind of event, `all` first; a window without a verdict is lower than any score.
    pub auroc: BTreeMap<&'static str, Sensitivity>,
    /// The same over the windows with a verdict.
    pub auroc_read: BTreeMap<&'static str, Sensitivity>,
    /// At each rate.
    pub at: Vec<AtRate>,
}

/// Sensitivities at one budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtRate {
    /// Alerts per bed-hour that the limit was made for.
    pub per_hour: f64,
    /// Those on the other patients.
    pub realised: f64,
    /// Median seconds from 15 s before the alarm to the alert.
    pub delay_s: f64,
    /// By kind of event, `all` first.
    pub sensitivity: BTreeMap<&'static str, Sensitivity>,
}

/// Kinds of alarms, and all of them.
pub const KINDS: [(&str, Option<Kind>); 6] = [
    ("all", None),
    ("asystole", Some(Kind::Asystole)),
    ("vf", Some(Kind::Vf)),
    ("vt", Some(Kind::Vt)),
    ("brady", Some(Kind::Brady)),
    ("tachy", Some(Kind::Tachy)),
];

impl Row {
    fn new(name: &'static str, tracks: Vec<Track>) -> Self {
        let operations = RATES.iter().map(|rate| operate(&tracks, *rate)).collect();
        Self { name, tracks, operations }
    }

    /// Told events at a rate.
    #[must_use]
    pub fn at(&self, per_hour: f64) -> Option<&Operation> {
        RATES.iter().position(|r| (r - per_hour).abs() < 1e-9).map(|i| &self.operations[i])
    }

    /// AUROC of the window before a true alarm against other windows of the same recordings. `read`: windows without a
    /// verdict are left out, in place of being lower than any score.
    #[must_use]
    pub fn auroc(&self, kind: Option<Kind>, read: bool) -> Sensitivity {
        let of = |t: &&Track| t.event.as_ref().is_some_and(|e| kind.is_none_or(|k| k == e.0));
        let at = |track: &Track, t: usize| track.scores.get(t).copied().unwrap_or(NONE);
        let before = |t: &Track| at(t, t.counted.end + BEFORE_S - WINDOW_BEFORE_S);
        let chosen: Vec<&Track> =
            self.tracks.iter().filter(of).filter(|t| !read || before(t) > NONE).collect();
        let patients: Vec<u32> = chosen.iter().map(|t| t.patient).collect();
        let figure = |drawn: &[usize]| {
            let (mut truth, mut scores) = (Vec::new(), Vec::new());
            for track in drawn.iter().map(|&i| chosen[i]) {
                truth.push(true);
                scores.push(before(track));
                let others = (FROM_S..track.counted.end).step_by(APART_S).map(|t| at(track, t));
                let others = others.filter(|score| !read || *score > NONE);
                scores.extend(others);
                truth.resize(scores.len(), false);
            }
            [auroc(&truth, &scores).unwrap_or(f64::NAN)]
        };
        let [share] = bootstrap(&patients, figure);
        Sensitivity { share, events: chosen.len() }
    }

    /// All its figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let at = RATES.iter().zip(&self.operations).map(|(per_hour, operation)| AtRate {
            per_hour: *per_hour,
            realised: operation.realised,
            delay_s: operation.delay_s,
            sensitivity: KINDS
                .iter()
                .map(|(name, kind)| (*name, sensitivity(&self.tracks, &operation.told, *kind)))
                .collect(),
        });
        let auroc = |read| KINDS.iter().map(|(name, kind)| (*name, self.auroc(*kind, read))).collect();
        Figures { name: self.name, auroc: auroc(false), auroc_read: auroc(true), at: at.collect() }
    }
}

/// By how much one row tells more than another at a rate.
#[must_use]
pub fn gain_at(row: &Row, control: &Row, per_hour: f64) -> Option<Sensitivity> {
    let (a, b) = (row.at(per_hour)?, control.at(per_hour)?);
    Some(gain(&row.tracks, &a.told, &b.told))
}

/// Turns every recording's scores by a drawn number of seconds: what chance alone tells.
fn shuffled(tracks: &[Track]) -> Vec<Track> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let turn = |track: &Track| {
        let mut track = track.clone();
        let end = track.scores.len();
        if end > FROM_S + 1 {
            track.scores[FROM_S..].rotate_left(rng.random_range(0..end - FROM_S));
        }
        track
    };
    tracks.iter().map(turn).collect()
}

/// All rows, the fused score first, over the intensive-care recordings.
///
/// # Errors
/// As [`boosted`].
pub fn rows(scenes: &[&Scene], channels: &[Channel], tell: &dyn Fn(&str)) -> Result<Vec<Row>, WorkshopError> {
    let at = |name: &str| channels.iter().position(|c| c.name == name).unwrap_or_default();
    let by = |score: &dyn Fn(&[f32]) -> f32| scenes.iter().map(|s| s.track(score)).collect::<Vec<_>>();
    let fused =
        |fits: &[Fit]| scenes.iter().zip(fits).map(|(s, fit)| s.track(|v| fit.score(v))).collect::<Vec<_>>();
    let all: Vec<usize> = (0..channels.len()).collect();
    let without: Vec<usize> =
        all.iter().copied().filter(|c| !CLUSTERS.contains(&channels[*c].group)).collect();
    tell("fused score");
    let fits = cross_validated(scenes, &all);
    let mut made = vec![(FUSED, fused(&fits))];
    made.push(("shuffled times", shuffled(&made[0].1)));
    tell("the same fusion without clusters");
    let bare = cross_validated(scenes, &without);
    made.push((BARE, fused(&bare)));
    tell("boosted trees");
    made.push((TREES, boosted(scenes, &fits, &all)?));
    made.push((BARE_TREES, boosted(scenes, &bare, &without)?));
    let rate: Vec<usize> = ["rate5_up", "rate5_down", "gap_up"].map(at).to_vec();
    made.push(("heart-rate meter", by(&|v| rate.iter().map(|c| v[*c]).fold(f32::MIN, f32::max))));
    made.push(("amplitude", by(&|v| v[at("amplitude_5s")])));
    let four = ["entropy_10s", "novelty_10s", "shift_10s", "evidence_10s"].map(at);
    made.push(("mean of the four", by(&|v| four.iter().map(|c| v[*c]).sum::<f32>() / 4.0)));
    for (name, column) in ["entropy", "novelty", "shift", "evidence"].into_iter().zip(four) {
        made.push((name, by(&|v| v[column])));
    }
    let row = |(name, tracks)| {
        tell(name);
        Row::new(name, tracks)
    };
    Ok(made.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_without_a_verdict_ranks_last_or_is_left_out() {
        // Every alarm is told by its score; every second recording has no verdict there.
        let track = |patient: u32| {
            let mut scores = vec![0.0; 125];
            scores[120 - WINDOW_BEFORE_S] = if patient.is_multiple_of(2) { 1.0 } else { NONE };
            let event = Some((Kind::Vt, 120 - BEFORE_S..123));
            Track { patient, scores, counted: FROM_S..120 - BEFORE_S, event }
        };
        let row = Row::new("", (0..40).map(track).collect());
        let [all, read] = [false, true].map(|read| row.auroc(Some(Kind::Vt), read));
        assert_eq!((all.events, all.share.value), (40, 0.5));
        assert_eq!((read.events, read.share.value), (20, 1.0));
        assert_eq!(row.auroc(Some(Kind::Vf), true).events, 0);
    }
}
