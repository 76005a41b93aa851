//! Beats in one lead at 100 Hz, as it comes from the filters: slope, its mean over 120 ms, and peaks of that against
//! the medians of the newest beats and of the newest other peaks (Hamilton, Open Source ECG Analysis, Computers in
//! Cardiology 2002, its rules 1 and 3 to 5; the numbers are ours, for 100 Hz).

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Derivative of a Gaussian with a standard deviation of 10 ms, scaled to a sum of magnitudes of 1: strongest at
/// 16 Hz, where a QRS is and neither a P nor a T wave.
const SLOPE: [f32; 7] = [0.018_301, 0.148_634, 0.333_065, 0.0, -0.333_065, -0.148_634, -0.018_301];
/// Samples of the mean: about the length of a wide QRS.
const MEAN: usize = 12;
/// Samples from a beat to the peak of the mean: half the slope's taps and half the mean's.
const DELAY: u64 = 9;
/// A peak this close to a higher one belongs to it (200 ms).
const APART: u64 = 20;
/// Within 360 ms of a beat only a peak at least half as steep is another one; else it is the beat's T wave.
const T_WAVE: u64 = 36;
const T_WAVE_SLOPE: f32 = 0.5;
/// Samples before a peak of the mean in which its steepest slope is.
const STEEP: usize = 14;
/// Where the limit lies between the usual peak of no beat (0) and of a beat (1).
const LIMIT: f32 = 0.312_5;
/// After so many usual intervals without a beat, a peak over this share of the limit was one.
const LOOK_BACK: f32 = 1.66;
const LOOK_BACK_LIMIT: f32 = 0.7;
/// Peaks and intervals whose medians count.
const KEPT: usize = 8;
/// The interval before two beats are known, in samples.
const INTERVAL: f32 = 100.0;
/// The first 3 s tell how high a beat is; they are judged afterwards.
const LEARN: u64 = 300;
/// Without a beat for 8 s the heights are learnt anew, but nothing below a fifth of the former is a beat: what is left
/// when beats cease must not become beats.
const LOST: u64 = 800;
const LOST_SHARE: f32 = 0.2;
/// Lowest height of a beat, in the units of the filters (0.25 mV) a sample: far below any QRS, above amplifier noise.
const HEIGHT_MIN: f32 = 0.02;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Peak {
    at: u64,
    height: f32,
    slope: f32,
}

/// The detector; one a stream without holes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Detector {
    signal: VecDeque<f32>,
    /// Magnitudes of the newest slopes.
    slopes: VecDeque<f32>,
    /// Index of the next sample.
    next: u64,
    /// The highest point since the last peak.
    rising: Option<Peak>,
    levels: Option<Levels>,
    learning: Learning,
}

/// What is kept until the heights are known.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Learning {
    since: u64,
    /// Highest mean of each second.
    seconds: Vec<f32>,
    peaks: Vec<Peak>,
    /// Nothing lower is a beat.
    least: f32,
}

/// Heights and intervals of the newest beats.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Levels {
    beats: VecDeque<f32>,
    others: VecDeque<f32>,
    intervals: VecDeque<f32>,
    /// Where the heights began to be learnt.
    began: u64,
    /// Nothing lower is a beat.
    least: f32,
    last: Option<Peak>,
    /// The highest other peak since the last beat.
    missed: Option<Peak>,
}

fn keep(values: &mut VecDeque<f32>, value: f32, most: usize) {
    values.push_back(value);
    if values.len() > most {
        values.pop_front();
    }
}

fn median(values: &VecDeque<f32>) -> Option<f32> {
    let mut sorted: Vec<f32> = values.iter().copied().collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let half = sorted.len() / 2;
    (!sorted.is_empty()).then(|| f32::midpoint(sorted[half], sorted[(sorted.len() - 1) / 2]))
}

impl Detector {
    /// Takes new samples and appends the beats that became certain, as indices since the stream began. The beats do
    /// not depend on how the samples are cut into calls.
    pub fn push(&mut self, new: &[f32], found: &mut Vec<u64>) {
        for &v in new {
            self.sample(v, found);
        }
    }

    /// Ends the stream: judges what still waits.
    pub fn finish(&mut self, found: &mut Vec<u64>) {
        if let Some(peak) = self.rising.take() {
            self.peak(peak, found);
        }
        if self.levels.is_none() {
            self.learnt(found);
        }
    }

    fn sample(&mut self, value: f32, found: &mut Vec<u64>) {
        let n = self.next;
        self.next += 1;
        keep(&mut self.signal, value, SLOPE.len());
        if self.signal.len() < SLOPE.len() {
            return;
        }
        let slope: f32 = self.signal.iter().zip(SLOPE).map(|(v, tap)| v * tap).sum();
        keep(&mut self.slopes, slope.abs(), STEEP);
        let mean = self.slopes.iter().rev().take(MEAN).sum::<f32>() / MEAN as f32;
        match self.rising {
            Some(top) if mean <= top.height => {
                if n - top.at >= APART {
                    self.rising = Some(Peak { at: n, height: mean, slope: 0.0 });
                    self.peak(top, found);
                }
            }
            _ => {
                let steepest = self.slopes.iter().copied().fold(0.0, f32::max);
                self.rising = Some(Peak { at: n, height: mean, slope: steepest });
            }
        }
        match &mut self.levels {
            Some(levels) => {
                levels.look_back(n, found);
                if n - levels.last.map_or(levels.began, |last| last.at) > LOST {
                    self.lose(n);
                }
            }
            None => self.learn(n, mean, found),
        }
    }

    fn peak(&mut self, peak: Peak, found: &mut Vec<u64>) {
        match &mut self.levels {
            Some(levels) => levels.judge(peak, found),
            None => self.learning.peaks.push(peak),
        }
    }

    fn learn(&mut self, n: u64, mean: f32, found: &mut Vec<u64>) {
        let second = ((n - self.learning.since) / 100) as usize;
        let seconds = &mut self.learning.seconds;
        seconds.resize(seconds.len().max(second + 1), 0.0);
        seconds[second] = seconds[second].max(mean);
        if n - self.learning.since >= LEARN {
            self.learnt(found);
        }
    }

    /// A beat is as high as the middle one of the seconds' highest points.
    fn learnt(&mut self, found: &mut Vec<u64>) {
        let seconds: VecDeque<f32> = self.learning.seconds.drain(..).take(3).collect();
        let peaks = std::mem::take(&mut self.learning.peaks);
        let height = median(&seconds).unwrap_or(0.0);
        let mut levels = Levels {
            beats: VecDeque::from([height; KEPT]),
            began: self.learning.since,
            least: self.learning.least.max(HEIGHT_MIN),
            ..Levels::default()
        };
        for peak in peaks {
            levels.judge(peak, found);
        }
        self.levels = Some(levels);
    }

    fn lose(&mut self, n: u64) {
        let Some(levels) = self.levels.take() else { return };
        let known = levels.last.and(median(&levels.beats)).map(|height| height * LOST_SHARE);
        self.learning = Learning { since: n, least: known.unwrap_or(levels.least), ..Learning::default() };
    }
}

impl Levels {
    fn limit(&self) -> f32 {
        let (beat, other) = (median(&self.beats).unwrap_or(0.0), median(&self.others).unwrap_or(0.0));
        (other + LIMIT * (beat - other)).max(self.least)
    }

    fn judge(&mut self, peak: Peak, found: &mut Vec<u64>) {
        let since = self.last.map(|last| (peak.at - last.at, last.slope));
        let t_wave = since.is_some_and(|(apart, slope)| apart < T_WAVE && peak.slope < T_WAVE_SLOPE * slope);
        if !t_wave && peak.height > self.limit() {
            return self.beat(peak, found);
        }
        keep(&mut self.others, peak.height, KEPT);
        let higher = self.missed.is_none_or(|m| m.height < peak.height);
        if !t_wave && higher && since.is_none_or(|(apart, _)| apart >= T_WAVE) {
            self.missed = Some(peak);
        }
    }

    fn beat(&mut self, peak: Peak, found: &mut Vec<u64>) {
        if let Some(last) = self.last {
            keep(&mut self.intervals, (peak.at - last.at) as f32, KEPT);
        }
        keep(&mut self.beats, peak.height, KEPT);
        self.last = Some(peak);
        self.missed = None;
        found.push(peak.at.saturating_sub(DELAY));
    }

    /// A beat is overdue: the highest peak since the last one was it, if it is high enough.
    fn look_back(&mut self, n: u64, found: &mut Vec<u64>) {
        let usual = median(&self.intervals).unwrap_or(INTERVAL);
        let since = n - self.last.map_or(self.began, |last| last.at);
        if since as f32 > LOOK_BACK * usual + APART as f32
            && let Some(missed) =
                self.missed.filter(|m| m.height > (LOOK_BACK_LIMIT * self.limit()).max(self.least))
        {
            self.beat(missed, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// QRS complexes of 90 ms, 4 units high, each with a broad T wave of `t` units 300 ms later.
    fn signal(beats: &[usize], t: f32, length: usize) -> Vec<f32> {
        let bump = |i: usize, at: f32, wide: f32| (-((i as f32 - at) / wide).powi(2)).exp();
        (0..length)
            .map(|i| {
                let wave = |&b: &usize| 4.0 * bump(i, b as f32, 2.0) + t * bump(i, b as f32 + 30.0, 8.0);
                0.02 * ((i * 7919 % 13) as f32 / 13.0 - 0.5) + beats.iter().map(wave).sum::<f32>()
            })
            .collect()
    }

    fn found(x: &[f32]) -> Vec<u64> {
        let (mut detector, mut found) = (Detector::default(), Vec::new());
        detector.push(x, &mut found);
        detector.finish(&mut found);
        found
    }

    #[track_caller]
    fn check(beats: &[usize], t: f32, length: usize) {
        let found = found(&signal(beats, t, length));
        assert_eq!(found.len(), beats.len(), "{found:?} for {beats:?}");
        assert!(found.iter().zip(beats).all(|(f, b)| f.abs_diff(*b as u64) <= 3), "{found:?} for {beats:?}");
    }

    #[test]
    fn every_beat_is_found_once_and_a_t_wave_is_none() {
        let regular: Vec<usize> = (0..20).map(|i| 40 + i * 80).collect();
        check(&regular, 1.0, 1_700);
        check(&regular, 1.6, 1_700);
        check(&[40, 120, 160, 290, 350, 460, 600, 640, 700], 1.0, 800);
        check(&[50, 120], 0.5, 200);
    }

    #[test]
    fn what_is_left_when_beats_cease_is_no_beat() {
        let beats: Vec<usize> = (0..10).map(|i| 40 + i * 80).collect();
        let mut x = signal(&beats, 1.0, 3_600);
        for (i, v) in x.iter_mut().enumerate().skip(900) {
            *v += 0.3 * (-(((i % 90) as f32 - 45.0) / 5.0).powi(2)).exp();
        }
        let found = found(&x);
        assert_eq!(found.len(), 10, "{found:?}");
        assert!(self::found(&[0.0; 2_000]).is_empty());
    }

    #[test]
    fn beats_that_become_small_are_found_again() {
        let beats: Vec<usize> = (0..40).map(|i| 40 + i * 80).collect();
        let mut x = signal(&beats, 0.2, 3_300);
        x[1_600..].iter_mut().for_each(|v| *v *= 0.28);
        assert!(found(&x).iter().filter(|n| **n > 2_900).count() >= 4);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_beats(
            intervals in proptest::collection::vec(30usize..160, 1..30),
            noise in proptest::collection::vec(-1.0f32..1.0, 50),
            cuts in proptest::collection::vec(1usize..400, 1..8),
        ) {
            let beats: Vec<usize> = intervals.iter().scan(20, |at, i| { *at += i; Some(*at) }).collect();
            let mut x = signal(&beats, 0.8, beats.last().unwrap_or(&0) + 150);
            x.iter_mut().zip(noise.iter().cycle()).for_each(|(v, e)| *v += e);
            let (mut detector, mut parts) = (Detector::default(), Vec::new());
            let (mut rest, mut cuts) = (&x[..], cuts.iter().cycle());
            while let Some(cut) = cuts.next().filter(|_| !rest.is_empty()) {
                let (part, after) = rest.split_at((*cut).min(rest.len()));
                detector.push(part, &mut parts);
                rest = after;
            }
            detector.finish(&mut parts);
            prop_assert_eq!(parts, found(&x));
        }
    }
}
