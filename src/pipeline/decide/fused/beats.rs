//! What the beats of a bed say each second: how fast, how long without one, how even.

use super::Facts;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Numbers a second.
pub(super) const BEATS: usize = 5;
/// Their names: ln of the rate (a second) by the median of 5 and of 16 intervals, ln of the longest interval of late in
/// seconds, the open one included, variation of the intervals, and of their neighbours.
pub(super) const NAMES: [&str; BEATS] = ["rate5", "rate16", "gap", "variation", "jitter"];
/// Smallest spreads that count as the bed's own.
pub(super) const FLOORS: [f32; BEATS] = [0.08, 0.05, 0.15, 0.04, 0.03];
/// Beats remembered.
const KEPT: usize = 40;
/// Beats and seconds of a stretch before anything is said.
const BEATS_MIN: usize = 5;
const STRETCH_MIN_S: u64 = 8;
/// A beat is told up to so late.
const TOLD_S: f64 = 1.0;
/// How far back a long interval counts, and how far back evenness is judged.
const GAP_S: f64 = 6.0;
const EVEN_S: f64 = 12.0;

/// The beats of the present stretch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Beating {
    stretch_n: Option<u64>,
    since: u64,
    at_s: VecDeque<f64>,
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => values[n / 2],
        _ => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

impl Beating {
    /// Takes one second; `None` while no lead is followed or too few beats are known.
    pub fn second(&mut self, facts: &Facts) -> Option<[f32; BEATS]> {
        if facts.stretch_n != self.stretch_n {
            *self = Self { stretch_n: facts.stretch_n, since: facts.window, at_s: VecDeque::new() };
        }
        self.stretch_n?;
        self.at_s.extend(&facts.beats_s);
        while self.at_s.len() > KEPT {
            self.at_s.pop_front();
        }
        if facts.window < self.since + STRETCH_MIN_S || self.at_s.len() < BEATS_MIN {
            return None;
        }
        let end_s = (facts.window + 1) as f64;
        let at: Vec<f64> = self.at_s.iter().copied().collect();
        let intervals: Vec<(f64, f64)> = at.windows(2).map(|b| (b[1], b[1] - b[0])).collect();
        let newest = |n: usize| intervals.iter().rev().take(n).map(|i| i.1);
        let rate = |n: usize| -libm::log(median(newest(n)).clamp(0.2, 6.0));
        let since = |ago_s: f64| intervals.iter().filter(move |i| i.0 > end_s - ago_s).map(|i| i.1);
        let open = (end_s - TOLD_S - at[at.len() - 1]).max(0.0);
        let gap = since(GAP_S).fold(open, f64::max).clamp(0.25, 20.0);
        let late: Vec<f64> = since(EVEN_S).collect();
        let middle = mean(&late).max(0.1);
        let squares = mean(&late.iter().map(|v| (v - mean(&late)).powi(2)).collect::<Vec<_>>());
        let variation = if late.len() >= 4 { squares.sqrt() / middle } else { 0.0 };
        let steps = late.windows(2).map(|p| (p[1] - p[0]).abs());
        let jitter = if late.len() >= 5 { median(steps) / middle } else { 0.0 };
        Some([rate(5), rate(16), libm::log(gap), variation, jitter].map(|v| v as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(beats: &[f64], seconds: u64) -> Option<[f32; BEATS]> {
        let mut beating = Beating::default();
        (0..seconds)
            .map(|t| {
                let inside = |b: &&f64| **b >= t as f64 && **b < (t + 1) as f64;
                let beats_s = beats.iter().filter(inside).copied().collect();
                beating.second(&Facts { window: t, stretch_n: Some(0), beats_s, ..Facts::default() })
            })
            .last()
            .flatten()
    }

    #[test]
    fn an_even_heart_has_its_rate_and_nothing_else() {
        let beats: Vec<f64> = (0..60).map(|i| 0.5 * f64::from(i)).collect();
        let [rate5, rate16, gap, variation, jitter] = at(&beats, 30).expect("known");
        assert!((rate5.exp() - 2.0).abs() < 1e-4 && (rate16.exp() - 2.0).abs() < 1e-4);
        assert!((gap.exp() - 0.5).abs() < 1e-4 && variation < 1e-4 && jitter < 1e-4);
    }

    #[test]
    fn a_pause_is_long_while_it_lasts() {
        let beats: Vec<f64> = (0..20).map(f64::from).collect();
        let gap = |seconds| at(&beats, seconds).expect("known")[2].exp();
        assert!((gap(24) - 4.0).abs() < 1e-4 && (gap(27) - 7.0).abs() < 1e-4);
        assert!(at(&beats[..4], 9).is_none());
    }
}
