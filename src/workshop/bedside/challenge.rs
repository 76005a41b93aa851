//! The score of the 2015 challenge: are the monitor's alarms true? A rule a kind of alarm, on the channels' largest values
//! around it, ECG leads only.

use super::fit::{FOLDS, folds};
use super::scene::Scene;
use super::{Alarm, Kind};
use crate::workshop::logistic::Logistic;
use serde::Serialize;

/// Seconds before the alarm that are looked at, and after it: the real-time part of the challenge ends at the alarm.
const BEFORE_S: usize = 12;
/// Penalty on the squared standardised weights: a kind has few alarms.
const RIDGE: f64 = 30.0;

/// How the alarms were judged, on patients that the rule did not see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Challenge {
    /// 100 · (TP + TN) / (TP + TN + FP + 5 FN).
    pub score: f64,
    /// True alarms kept.
    pub true_kept: usize,
    /// True alarms suppressed.
    pub true_lost: usize,
    /// False alarms suppressed.
    pub false_suppressed: usize,
    /// False alarms kept.
    pub false_kept: usize,
}

impl Challenge {
    fn count(&mut self, truth: bool, kept: bool) {
        match (truth, kept) {
            (true, true) => self.true_kept += 1,
            (true, false) => self.true_lost += 1,
            (false, false) => self.false_suppressed += 1,
            (false, true) => self.false_kept += 1,
        }
        let right = (self.true_kept + self.false_suppressed) as f64;
        let wrong = self.false_kept as f64 + 5.0 * self.true_lost as f64;
        self.score = 100.0 * right / (right + wrong).max(1.0);
    }
}

/// Largest value of each channel around the alarm; without a verdict nothing is known.
fn features(scene: &Scene, alarm: Alarm) -> Option<Vec<f32>> {
    let at = alarm.at_s as usize;
    let mut seconds = scene.values.iter().take(at).skip(at - BEFORE_S).flatten();
    let first = seconds.next()?.clone();
    Some(seconds.fold(first, |largest, v| largest.iter().zip(v).map(|(a, b)| a.max(*b)).collect()))
}

/// The limit with the best score on the records that the rule was made on.
fn best_limit(judged: &[(f64, bool)]) -> f64 {
    let of = |limit: f64| {
        let mut challenge = Challenge::default();
        for (p, truth) in judged {
            challenge.count(*truth, *p >= limit);
        }
        challenge.score
    };
    let limits = (1..100).map(|i| f64::from(i) / 100.0);
    limits.map(|l| (l, of(l))).fold((0.5, -1.0), |best, c| if c.1 > best.1 { c } else { best }).0
}

/// Judges all alarms, cross-validated by patient. What the network could not read is kept: nobody may suppress it.
#[must_use]
pub fn challenge(scenes: &[&Scene]) -> Challenge {
    let fold = folds(scenes);
    let mut judged = Challenge::default();
    for kind in Kind::ALARMS {
        let of = scenes.iter().zip(&fold).filter_map(|(s, f)| Some((s, *f, s.record.alarm?)));
        let rows: Vec<(Option<Vec<f32>>, u64, bool)> =
            of.filter(|r| r.2.kind == kind).map(|(s, f, a)| (features(s, a), f, a.truth)).collect();
        for k in 0..FOLDS {
            let train: Vec<(&[f32], bool)> =
                rows.iter().filter(|r| r.1 != k).filter_map(|r| Some((r.0.as_deref()?, r.2))).collect();
            let (features, truth): (Vec<&[f32]>, Vec<bool>) = train.iter().copied().unzip();
            let rule = Logistic::fit(&features, &truth, RIDGE);
            let own: Vec<(f64, bool)> = train.iter().map(|r| (rule.probability(r.0), r.1)).collect();
            let limit = best_limit(&own);
            for (features, _, truth) in rows.iter().filter(|r| r.1 == k) {
                let kept = features.as_ref().is_none_or(|f| rule.probability(f) >= limit);
                judged.count(*truth, kept);
            }
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_true_alarm_costs_five() {
        let mut challenge = Challenge::default();
        for (truth, kept) in [(true, true), (true, false), (false, false), (false, true)] {
            challenge.count(truth, kept);
        }
        assert!((challenge.score - 100.0 * 2.0 / 8.0).abs() < 1e-9);
    }

    #[test]
    fn the_limit_spares_true_alarms() {
        let judged = [(0.2, false), (0.3, false), (0.4, true), (0.45, false), (0.9, true)];
        assert!((0.3..=0.4).contains(&best_limit(&judged)));
    }
}
