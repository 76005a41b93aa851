//! What a score is worth as an alert: at so many alerts per bed-hour, how many events are told, and how late.
//!
//! The limit comes from one half of the patients and is counted on the other, both ways round, for several cuts into
//! halves, whose mean is told: with few hours one cut is luck (`docs/method.md`, bench of alerts).

use super::Kind;
use crate::workshop::evaluate::{Interval, bootstrap};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Range;

/// Alerts per bed-hour at which sensitivities are told.
pub const RATES: [f64; 5] = [8.0, 4.0, 2.0, 1.0, 0.5];
/// After an alert a bed is silent for so long, in seconds: its condition is open, then rests.
pub const SILENT_S: usize = 60;
/// Cuts of the patients into halves.
const CUTS: u64 = 10;
/// No verdict.
pub const NONE: f32 = f32::NEG_INFINITY;

/// One recording under one score.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Whose.
    pub patient: u32,
    /// One a second; [`NONE`] = no verdict.
    pub scores: Vec<f32>,
    /// Seconds whose alerts count against the budget.
    pub counted: Range<usize>,
    /// What happens, and the seconds in which an alert has told it.
    pub event: Option<(Kind, Range<usize>)>,
}

/// What one limit per half gave, as the mean over all cuts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Operation {
    /// Alerts per bed-hour on the patients that the limit was not made on.
    pub realised: f64,
    /// Share of the cuts in which the event of each track was told; `None` without an event.
    pub told: Vec<Option<f64>>,
    /// Median of seconds from the beginning of the telling window to the alert.
    pub delay_s: f64,
}

/// Seconds of alerts within a range: the first one over the limit, and after [`SILENT_S`] the next.
#[must_use]
pub fn alerts(scores: &[f32], limit: f32, within: Range<usize>) -> Vec<usize> {
    let (mut found, mut silent_until) = (Vec::new(), 0);
    for (t, score) in scores.iter().enumerate().take(within.end).skip(within.start) {
        if *score > limit && t >= silent_until {
            found.push(t);
            silent_until = t + SILENT_S;
        }
    }
    found
}

/// Bed-hours that count against the budget.
#[must_use]
pub fn hours(tracks: &[&Track]) -> f64 {
    tracks.iter().map(|t| t.counted.len()).sum::<usize>() as f64 / 3_600.0
}

/// The lowest limit at which these tracks raise at most `rate` alerts per bed-hour.
#[must_use]
pub fn limit(tracks: &[&Track], rate: f64) -> f32 {
    let budget = (rate * hours(tracks)).floor() as usize;
    let within = |t: &&Track| {
        let end = t.counted.end.min(t.scores.len());
        t.scores[t.counted.start.min(end)..end].to_vec()
    };
    let mut values: Vec<f32> = tracks.iter().flat_map(within).filter(|v| *v > NONE).collect();
    values.sort_by(f32::total_cmp);
    values.dedup();
    let raised = |limit: f32| -> usize {
        tracks.iter().map(|t| alerts(&t.scores, limit, t.counted.clone()).len()).sum()
    };
    // More alerts for a lower limit, but for what the silence after an alert swallows: bisection is near enough, and
    // what it finds keeps to the budget.
    let (mut low, mut high) = (0, values.len().saturating_sub(1));
    while low < high {
        let middle = usize::midpoint(low, high);
        if raised(values[middle]) <= budget { high = middle } else { low = middle + 1 }
    }
    values.get(low).copied().unwrap_or(f32::INFINITY)
}

fn half(tracks: &[Track], cut: u64) -> BTreeSet<u32> {
    let patients: BTreeSet<u32> = tracks.iter().map(|t| t.patient).collect();
    let mut patients: Vec<u32> = patients.into_iter().collect();
    patients.shuffle(&mut ChaCha8Rng::seed_from_u64(41 + cut));
    patients.truncate(patients.len() / 2);
    patients.into_iter().collect()
}

/// Operates at a budget: the limit from one half of the patients, counted on the other.
#[must_use]
pub fn operate(tracks: &[Track], rate: f64) -> Operation {
    let mut told: Vec<Option<f64>> = tracks.iter().map(|t| t.event.as_ref().map(|_| 0.0)).collect();
    let (mut raised, mut delays) = (0, Vec::new());
    for cut in 0..CUTS {
        let first = half(tracks, cut);
        for side in [true, false] {
            let own: Vec<&Track> = tracks.iter().filter(|t| first.contains(&t.patient) == side).collect();
            let limit = limit(&own, rate);
            for (track, told) in tracks.iter().zip(&mut told) {
                if first.contains(&track.patient) == side {
                    continue;
                }
                raised += alerts(&track.scores, limit, track.counted.clone()).len();
                let (Some((_, window)), Some(share)) = (&track.event, told) else { continue };
                // An alert that is open from before has not told it.
                let all = alerts(&track.scores, limit, track.counted.start..window.end);
                if let Some(at) = all.into_iter().find(|at| window.contains(at)) {
                    *share += 1.0 / CUTS as f64;
                    delays.push((at - window.start) as f64);
                }
            }
        }
    }
    delays.sort_by(f64::total_cmp);
    let all: Vec<&Track> = tracks.iter().collect();
    Operation {
        realised: raised as f64 / CUTS as f64 / hours(&all).max(1e-9),
        told,
        delay_s: delays.get(delays.len() / 2).copied().unwrap_or(f64::NAN),
    }
}

/// The alerts of each recording and the limit they rest on, for the first cut of the patients into halves.
#[must_use]
pub fn raised(tracks: &[Track], rate: f64) -> Vec<(Vec<usize>, f32)> {
    let first = half(tracks, 0);
    let limits = [true, false].map(|side| {
        let own: Vec<&Track> = tracks.iter().filter(|t| first.contains(&t.patient) == side).collect();
        limit(&own, rate)
    });
    let one = |track: &Track| {
        // The other half's limit.
        let limit = limits[usize::from(first.contains(&track.patient))];
        let end = track.event.as_ref().map_or(track.counted.end, |e| e.1.end);
        (alerts(&track.scores, limit, track.counted.start..end), limit)
    };
    tracks.iter().map(one).collect()
}

/// A sensitivity with its interval and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// Share of the events told.
    #[serde(flatten)]
    pub share: Interval,
    /// Events.
    pub events: usize,
}

/// Share of the events of a kind (all of them for `None`) that were told.
#[must_use]
pub fn sensitivity(tracks: &[Track], told: &[Option<f64>], kind: Option<Kind>) -> Sensitivity {
    let of = |t: &Track| t.event.as_ref().is_some_and(|e| kind.is_none_or(|k| k == e.0));
    let chosen: Vec<(u32, f64)> = tracks
        .iter()
        .zip(told)
        .filter(|(t, _)| of(t))
        .filter_map(|(t, s)| Some((t.patient, (*s)?)))
        .collect();
    let patients: Vec<u32> = chosen.iter().map(|c| c.0).collect();
    let mean = |drawn: &[usize]| drawn.iter().map(|&i| chosen[i].1).sum::<f64>() / drawn.len() as f64;
    let [share] = bootstrap(&patients, |drawn| [mean(drawn)]);
    Sensitivity { share, events: chosen.len() }
}

/// By how much one score tells more than another: the same events drawn for both.
#[must_use]
pub fn gain(tracks: &[Track], told: &[Option<f64>], control: &[Option<f64>]) -> Sensitivity {
    let pairs = tracks.iter().zip(told.iter().zip(control));
    let chosen: Vec<(u32, f64)> = pairs.filter_map(|(t, (a, b))| Some((t.patient, (*a)? - (*b)?))).collect();
    let patients: Vec<u32> = chosen.iter().map(|c| c.0).collect();
    let mean = |drawn: &[usize]| drawn.iter().map(|&i| chosen[i].1).sum::<f64>() / drawn.len() as f64;
    let [share] = bootstrap(&patients, |drawn| [mean(drawn)]);
    Sensitivity { share, events: chosen.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 tracks of 400 s: a seeded noise score, and in every fourth an event at 300 s that lifts it by `lift`.
    fn tracks(lift: f32) -> Vec<Track> {
        let mut seed = 9_u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 16_777_216.0
        };
        (0..200)
            .map(|i| {
                let mut scores: Vec<f32> = (0..400).map(|_| noise()).collect();
                let event = (i % 4 == 0).then_some((Kind::Vt, 300..310));
                if event.is_some() {
                    scores[302..310].iter_mut().for_each(|s| *s += lift);
                }
                Track { patient: i / 2, scores, counted: 10..290, event }
            })
            .collect()
    }

    #[test]
    fn an_alert_silences_the_bed_for_a_minute() {
        let mut scores = vec![0.0; 200];
        scores[20..120].fill(1.0);
        assert_eq!(alerts(&scores, 0.5, 0..200), [20, 80]);
        assert_eq!(alerts(&scores, 0.5, 30..60), [30]);
        assert!(alerts(&[NONE; 9], 0.5, 0..9).is_empty());
    }

    #[test]
    fn a_budget_is_kept_and_what_stands_out_is_told() {
        let tracks = tracks(2.0);
        let all: Vec<&Track> = tracks.iter().collect();
        let limit = limit(&all, 1.0);
        let raised: usize = tracks.iter().map(|t| alerts(&t.scores, limit, t.counted.clone()).len()).sum();
        assert!(raised as f64 <= hours(&all), "{raised}");
        let operation = operate(&tracks, 1.0);
        assert!(operation.realised < 2.0, "{operation:?}");
        let s = sensitivity(&tracks, &operation.told, Some(Kind::Vt));
        assert!(s.events == 50 && s.share.value > 0.9 && (operation.delay_s - 2.0).abs() < 1.1);
        assert_eq!(sensitivity(&tracks, &operation.told, Some(Kind::Vf)).events, 0);
    }

    #[test]
    fn noise_tells_nothing_and_gains_nothing() {
        let (none, much) = (tracks(0.0), tracks(2.0));
        let [a, b] = [&none, &much].map(|t| operate(t, 1.0));
        assert!(sensitivity(&none, &a.told, None).share.value < 0.1);
        let gain = gain(&much, &b.told, &a.told).share;
        assert!(gain.low > 0.8 && gain.high <= 1.0, "{gain:?}");
    }
}
