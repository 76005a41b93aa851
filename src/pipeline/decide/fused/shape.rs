//! Whether the newest beats look like the bed's usual beat: the clusters from 80 ms before each beat to 240 ms after it,
//! against how often each cluster stood there before.
//!
//! Odd beats that are like one another and come fast are another matter than odd beats in noise, which are like nothing.

use super::{Facts, LAG_S};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Numbers a second.
pub(super) const SHAPE: usize = 15;
/// Their names. `odd` is a beat's surprise (mean of -ln of the frequency of its clusters, in nats) as `ln(1 + z)` against the
/// bed's own; `alike` the share of clusters in which the last five beats agree, two by two.
pub(super) const NAMES: [&str; SHAPE] = [
    "odd_3_beats",
    "odd_5_beats",
    "odd_median_of_5",
    "odd_least_of_5",
    "odd_least_of_8",
    "odd_run",
    "odd_fast_run",
    "odd_share",
    "surprise",
    "alike",
    "alike_more",
    "odd_least_alike",
    "odd_median_alike",
    "odd_least_unlike",
    "odd_median_fast",
];
/// Steps of a beat, how far they begin before it, and one step.
const STEPS: usize = 8;
const BEFORE_S: f64 = 0.08;
const STEP_S: f64 = 0.04;
/// A beat's place is known to a step: one more on each side, and the best of three places counts.
const SHIFTS: usize = 3;
const WIDE: usize = STEPS + SHIFTS - 1;
/// Steps held until the beats in them are certain.
const HELD: usize = 120;
/// Beats learnt before one is judged, judged ones of the past before one is compared, and kept at most.
const LEARNT_MIN: f32 = 12.0;
const JUDGED_MIN: usize = 5;
const KEPT: usize = 300;
/// Beats compared: of so many seconds.
const RECENT_S: f64 = 12.0;
/// Added to each count: a cluster never seen at a place is rare, not impossible.
const PRIOR: f32 = 0.5;
/// Smallest spread of the surprise, in nats; a short past widens it.
const FLOOR: f32 = 0.08;
const WIDEN: f32 = 60.0;
const WIDEN_MAX: usize = 120;
/// A beat is odd that surprises by so much more than the bed's 95th percentile.
const ODD: f32 = 0.05;
/// A run longer than this says no more.
const RUN_MAX: f32 = 12.0;
const RUN_UNIT: f32 = 4.0;
/// Beats closer than this are fast, in seconds; and the rate (a second) beyond which fastness counts.
const FAST_S: f64 = 0.6;
const FAST_HZ: f64 = 1.6;

/// The clusters around a beat.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Shape {
    at_s: f64,
    letters: [u8; WIDE],
}

impl Shape {
    /// Share of steps in which two beats agree, at the best place.
    fn alike(&self, other: &Self) -> f32 {
        let own = &self.letters[1..=STEPS];
        let at = |from: usize| own.iter().zip(&other.letters[from..]).filter(|(a, b)| a == b).count();
        (0..SHIFTS).map(at).max().unwrap_or(0) as f32 / STEPS as f32
    }
}

/// A beat on its way into the past.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    shape: Shape,
    frozen: bool,
}

/// What the bed's usual beat looks like, and its newest beats.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Shapes {
    mask: u16,
    stretch_n: Option<u64>,
    /// Middle and nearest cluster of the newest steps.
    steps: VecDeque<(f64, u8)>,
    /// Beats whose steps are not all there yet.
    open_s: VecDeque<f64>,
    waiting: VecDeque<Waiting>,
    /// How often each cluster stood at each step of a beat `[step, cluster]`, and beats counted.
    counts: Vec<f32>,
    beats: f32,
    clusters: usize,
    /// Surprise of past beats, and how far neighbours were alike.
    surprise: VecDeque<f32>,
    alike: VecDeque<f32>,
    /// Newest beats, and their surprise.
    recent: VecDeque<(Shape, f32)>,
}

/// Takes a value in and lets the oldest go.
fn keep(all: &mut VecDeque<f32>, value: f32) {
    if all.len() == KEPT {
        all.pop_front();
    }
    all.push_back(value);
}

fn sorted(values: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values
}

/// The middle of sorted values, the upper one of two.
fn middle(sorted: &[f32]) -> f32 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

impl Shapes {
    /// Takes one second; `None` while nothing was read or the usual beat is not known. `frozen`: not to be learnt from.
    pub fn second(&mut self, facts: &Facts, frozen: bool) -> Option<[f32; SHAPE]> {
        if facts.mask == 0 {
            return None;
        }
        let clusters = facts.soft.len();
        if facts.mask != self.mask || clusters != self.clusters {
            let counts = vec![0.0; STEPS * clusters];
            *self = Self { mask: facts.mask, clusters, counts, ..Self::default() };
        }
        if facts.stretch_n != self.stretch_n {
            self.stretch_n = facts.stretch_n;
            self.open_s.clear();
            self.recent.clear();
        }
        let at = |i: usize| facts.letters_from_s + STEP_S * i as f64;
        self.steps.extend(facts.letters.iter().enumerate().map(|(i, &k)| (at(i), k)));
        self.steps.drain(..self.steps.len().saturating_sub(HELD));
        let now_s = (facts.window + 1) as f64;
        self.open_s.extend(&facts.beats_s);
        while self.open_s.pop_front_if(|at_s| *at_s < now_s - RECENT_S).is_some() {}
        self.close(frozen || !facts.good);
        while let Some(old) = self.waiting.pop_front_if(|w| w.shape.at_s < now_s - LAG_S as f64) {
            if !old.frozen {
                self.learn(&old.shape);
            }
        }
        let old = self.recent.iter().take_while(|r| r.0.at_s < now_s - RECENT_S).count();
        self.recent.drain(..old);
        self.values()
    }

    /// Cuts the beats whose steps are all there.
    fn close(&mut self, frozen: bool) {
        let newest_s = self.steps.back().map_or(f64::NEG_INFINITY, |s| s.0);
        while let Some(at_s) =
            self.open_s.pop_front_if(|at_s| *at_s - BEFORE_S + STEP_S * WIDE as f64 <= newest_s)
        {
            let from_s = at_s - BEFORE_S - 1.5 * STEP_S;
            let first = self.steps.partition_point(|s| s.0 < from_s);
            // A beat at the edge of what was read, or across a hole, has no shape.
            let whole = first > 0
                && self.steps.len() >= first + WIDE
                && self.steps[first + WIDE - 1].0 - self.steps[first].0 < STEP_S * (WIDE as f64 + 0.5);
            if !whole {
                continue;
            }
            let shape = Shape { at_s, letters: std::array::from_fn(|i| self.steps[first + i].1) };
            if self.beats >= LEARNT_MIN {
                self.recent.push_back((shape, self.surprise(&shape)));
            }
            self.waiting.push_back(Waiting { shape, frozen });
        }
    }

    fn surprise(&self, shape: &Shape) -> f32 {
        let all = self.beats + PRIOR * self.clusters as f32;
        let step = |(step, letter): (usize, &u8)| {
            let count = self.counts.get(step * self.clusters + usize::from(*letter)).copied().unwrap_or(0.0);
            -libm::logf((count + PRIOR) / all)
        };
        let at = |from: usize| shape.letters[from..from + STEPS].iter().enumerate().map(step).sum::<f32>();
        (0..SHIFTS).map(at).fold(f32::INFINITY, f32::min) / STEPS as f32
    }

    fn learn(&mut self, shape: &Shape) {
        if self.beats >= LEARNT_MIN {
            let surprise = self.surprise(shape);
            keep(&mut self.surprise, surprise);
        }
        if let Some(next) = self.waiting.front() {
            let alike = shape.alike(&next.shape);
            keep(&mut self.alike, alike);
        }
        for (step, letter) in shape.letters[1..=STEPS].iter().enumerate() {
            if let Some(count) = self.counts.get_mut(step * self.clusters + usize::from(*letter)) {
                *count += 1.0;
            }
        }
        self.beats += 1.0;
        if self.beats > KEPT as f32 {
            // The older half weighs half as much from here on.
            self.counts.iter_mut().for_each(|c| *c *= 0.5);
            self.beats *= 0.5;
        }
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        let floats = self.counts.capacity() + self.surprise.capacity() + self.alike.capacity();
        floats * 4
            + self.steps.capacity() * size_of::<(f64, u8)>()
            + self.open_s.capacity() * 8
            + self.waiting.capacity() * size_of::<Waiting>()
            + self.recent.capacity() * size_of::<(Shape, f32)>()
    }

    fn values(&self) -> Option<[f32; SHAPE]> {
        if self.surprise.len() < JUDGED_MIN || self.recent.is_empty() {
            return None;
        }
        let past = sorted(self.surprise.iter().copied());
        let usual = middle(&past);
        let odd_from = past[(past.len() * 19 / 20).min(past.len() - 1)] + ODD;
        let away = sorted(past.iter().map(|v| (v - usual).abs()));
        let widen = (1.0 + WIDEN / past.len().min(WIDEN_MAX) as f32).sqrt();
        let spread = (1.4826 * middle(&away)).max(FLOOR * widen);
        let z = |surprise: f32| libm::log1pf(((surprise - usual) / spread).max(0.0));

        let said: Vec<f32> = self.recent.iter().map(|r| r.1).collect();
        let last = |n: usize| &said[said.len().saturating_sub(n)..];
        let least = |n: usize| {
            if said.len() < n { usual } else { last(n).iter().copied().fold(f32::INFINITY, f32::min) }
        };
        let odd = |surprise: f32| surprise > odd_from;
        let intervals: Vec<f64> =
            self.recent.iter().zip(self.recent.iter().skip(1)).map(|(a, b)| b.0.at_s - a.0.at_s).collect();
        let odd_run = said.iter().rev().take_while(|s| odd(**s)).count();
        let fast_run = said
            .iter()
            .rev()
            .zip(intervals.iter().rev())
            .take_while(|(s, i)| odd(**s) && **i < FAST_S)
            .count();
        let run = |beats: usize| libm::log1pf((beats as f32).min(RUN_MAX) / RUN_UNIT);
        let share = said.iter().filter(|s| odd(**s)).count() as f32 / said.len() as f32;

        let newest: Vec<&Shape> = self.recent.iter().rev().take(5).map(|r| &r.0).collect();
        let pairs = newest.iter().enumerate().flat_map(|(i, a)| newest[i + 1..].iter().map(|b| a.alike(b)));
        let pairs: Vec<f32> = pairs.collect();
        let alike = if newest.len() < 5 { 0.5 } else { mean(&pairs) };
        let usual_alike = middle(&sorted(self.alike.iter().copied()));

        let of_five = sorted(last(5).iter().copied());
        let median = if of_five.len() % 2 == 1 {
            middle(&of_five)
        } else {
            f32::midpoint(of_five[of_five.len() / 2 - 1], middle(&of_five))
        };
        let mut newest_s: Vec<f64> = intervals.iter().rev().take(5).copied().collect();
        newest_s.sort_by(f64::total_cmp);
        let fast = newest_s.get(newest_s.len() / 2).map_or(0.0, |i| (1.0 / i.max(0.2) - FAST_HZ).max(0.0));
        Some([
            z(mean(last(3))),
            z(mean(last(5))),
            z(median),
            z(least(5)),
            z(least(8)),
            run(odd_run),
            run(fast_run),
            share,
            mean(last(5)),
            alike,
            alike - usual_alike,
            z(least(5)) * alike,
            z(median) * alike,
            z(least(5)) * (1.0 - alike),
            z(median) * fast as f32,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bed at 100 beats a minute whose beats show clusters 1, 2, 3 in turn, and from `from` on what `other` says at each
    /// step since the beat.
    fn bed(seconds: u64, from: u64, other: impl Fn(u64, usize) -> u8) -> Vec<Option<[f32; SHAPE]>> {
        let mut shapes = Shapes::default();
        let second = |t: u64| {
            let beats = (0..).map(|i| 0.6 * f64::from(i)).skip_while(move |b| *b < t as f64);
            let letter = |i: usize| {
                let step = t * 25 + i as u64;
                let since = (step % 15) as usize;
                if t >= from { other(step, since) } else { [1, 2, 3][since.min(2)] }
            };
            Facts {
                window: t,
                mask: 2,
                good: true,
                soft: vec![0.25; 4],
                stretch_n: Some(0),
                beats_s: beats.take_while(|b| *b < (t + 1) as f64).collect(),
                letters: (0..25).map(letter).collect(),
                letters_from_s: t as f64,
                ..Facts::default()
            }
        };
        (0..seconds).map(|t| shapes.second(&second(t), false)).collect()
    }

    fn value(all: &[Option<[f32; SHAPE]>], t: usize, name: &str) -> f32 {
        let at = NAMES.iter().position(|n| *n == name).expect("known");
        all[t].expect("known")[at]
    }

    #[test]
    fn beats_like_all_others_are_not_odd() {
        let usual = bed(60, 1_000, |_, _| 0);
        assert!(usual[..20].iter().all(Option::is_none));
        for name in ["odd_3_beats", "odd_least_of_5", "odd_run", "odd_share"] {
            assert!(value(&usual, 59, name) < 0.1, "{name}");
        }
        assert!(value(&usual, 59, "alike") > 0.99);
    }

    #[test]
    fn a_run_of_other_beats_is_odd_and_alike_and_noise_is_odd_and_unlike() {
        let run = bed(60, 54, |_, since| [3, 0, 1][since.min(2)]);
        let noise = bed(60, 54, |step, _| (step.wrapping_mul(2_654_435_761) >> 13) as u8 % 4);
        for all in [&run, &noise] {
            assert!(value(all, 53, "odd_least_of_5") < 0.1 && value(all, 59, "odd_least_of_5") > 1.0);
            assert!(value(all, 59, "odd_run") > 0.5);
        }
        assert!(value(&run, 59, "odd_least_alike") > 2.0 * value(&run, 59, "odd_least_unlike"));
        assert!(value(&noise, 59, "odd_least_unlike") > value(&noise, 59, "odd_least_alike"));
    }

    #[test]
    fn one_other_beat_is_no_run() {
        let all = bed(60, 57, |step, since| if step / 15 == 97 { 0 } else { [1, 2, 3][since.min(2)] });
        assert!(value(&all, 59, "odd_share") > 0.0);
        assert!(value(&all, 59, "odd_least_of_5") < 0.1 && value(&all, 59, "odd_median_of_5") < 0.1);
    }

    #[test]
    fn another_lead_set_is_learnt_anew() {
        let mut shapes = Shapes { mask: 2, beats: 100.0, clusters: 4, ..Shapes::default() };
        let facts = Facts { mask: 66, soft: vec![0.25; 4], ..Facts::default() };
        assert_eq!(shapes.second(&facts, false), None);
        assert!(shapes.beats < 1.0);
    }
}
