//! Whether the clusters' names hold on this bed: where their steps lie between our own beats.
//!
//! A name says on which wave a cluster fell in the reference set (`docs/method.md`). Here the waves are guessed from
//! the beats alone, by wide windows after and before them, so that a name is doubted only where it is clearly wrong: in
//! a rhythm without those waves, or with beats that we do not find.

use crate::snapshot::{ClusterName, Family};
use contract::{Finding, Reading};
use std::collections::VecDeque;

/// A name is doubted where a smaller share of its steps fits.
const FITS_MIN: f32 = 0.50;
/// Weight of steps needed for a doubt: two seconds of one cluster.
const STEPS_MIN: f32 = 50.0;
/// What a second leaves of the weight of the past: about two minutes count.
const KEPT: f32 = 0.99;
/// A longer interval has no known phases.
const INTERVAL_MAX_S: f64 = 2.0;
/// A step waits so long for the beats around it.
const WAIT_S: f64 = 4.0;

/// The steps of one bed's clusters by whether they fit their names.
#[derive(Debug, Clone, Default)]
pub(in crate::pipeline) struct Names {
    from_n: Option<u64>,
    beats_s: VecDeque<f64>,
    /// Steps that wait for the beats around them: time and cluster.
    waiting: VecDeque<(f64, u8)>,
    /// Weight of the steps that fit, and of all, for each cluster.
    weights: Vec<[f32; 2]>,
}

impl Names {
    /// Takes the beats and steps of one hop.
    pub fn finding(&mut self, finding: &Finding, clusters: &[ClusterName]) {
        if finding.beats.from_n != self.from_n {
            self.from_n = finding.beats.from_n;
            self.beats_s.clear();
            self.waiting.clear();
        }
        let rate = finding.rate.as_f64();
        self.beats_s.extend(finding.beats.at_n.iter().map(|n| *n as f64 / rate));
        let Ok(reading) = &finding.reading else { return };
        self.weights.resize(clusters.len(), [0.0; 2]);
        self.weights.as_flattened_mut().iter_mut().for_each(|weight| *weight *= KEPT);
        self.waiting.extend(steps(reading, rate));
        self.judge(finding.to_n as f64 / rate, clusters);
    }

    fn judge(&mut self, now_s: f64, clusters: &[ClusterName]) {
        while let Some(&(at_s, cluster)) = self.waiting.front() {
            while self.beats_s.get(1).is_some_and(|second| *second <= at_s) {
                self.beats_s.pop_front();
            }
            let around = self.beats_s.front().zip(self.beats_s.get(1)).filter(|(first, _)| **first <= at_s);
            if around.is_none() && now_s - at_s < WAIT_S {
                return;
            }
            self.waiting.pop_front();
            let place = usize::from(cluster);
            let Some((name, weights)) = clusters.get(place).zip(self.weights.get_mut(place)) else {
                continue;
            };
            let fits = name.family == Family::Mixed
                || around.is_some_and(|(before, after)| {
                    after - before <= INTERVAL_MAX_S && fits(name.family, at_s - before, after - at_s)
                });
            weights[0] += f32::from(u8::from(fits));
            weights[1] += 1.0;
        }
    }

    /// Clusters whose name does not hold here.
    pub fn doubted(&self) -> Vec<u8> {
        let doubted = |w: &[f32; 2]| w[1] >= STEPS_MIN && w[0] < FITS_MIN * w[1];
        (0..).zip(&self.weights).filter(|(_, w)| doubted(w)).map(|(cluster, _)| cluster).collect()
    }
}

fn steps(reading: &Reading, rate: f64) -> impl Iterator<Item = (f64, u8)> + '_ {
    let first_s = reading.first_step_n / rate;
    reading.cluster.iter().enumerate().map(move |(i, cluster)| (first_s + i as f64 * 0.04, *cluster))
}

/// Whether a step may lie on a family's wave, so long after one beat and before the next, in seconds. Times of
/// repolarisation grow with the root of the interval (Bazett).
fn fits(family: Family, after: f64, before: f64) -> bool {
    let root = (after + before).sqrt();
    match family {
        Family::Q => after <= 0.10 || before <= 0.08,
        Family::S => (0.04..=0.22 * root).contains(&after),
        Family::T => (0.16 * root..=0.46 * root).contains(&after),
        Family::P => (0.04..=0.26).contains(&before),
        Family::Baseline => after >= 0.42 * root && before >= 0.10,
        Family::Mixed => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Beats, BedId, Mode, Ratio, UtcMs};

    const FAMILIES: [Family; 6] =
        [Family::Q, Family::S, Family::T, Family::P, Family::Baseline, Family::Mixed];

    /// Cluster of a step so long after an R peak, of a heart at 75 a minute.
    fn phase(after_s: f64) -> u8 {
        match after_s {
            0.0..0.06 => 0,
            0.06..0.18 => 1,
            0.18..0.40 => 2,
            0.40..0.58 => 4,
            0.58..0.72 => 3,
            _ => 0,
        }
    }

    /// A minute of a bed whose clusters are `cluster(time)`; beats are told a second late, or never.
    fn doubted(cluster: impl Fn(f64) -> u8, beats: bool) -> Vec<u8> {
        let clusters: Vec<ClusterName> =
            FAMILIES.map(|family| ClusterName { family, name: String::new() }).to_vec();
        let mut names = Names::default();
        let beat = |i: u64| (i as f64 * 0.8 * 250.0) as u64;
        for second in 0..60_u64 {
            let (from_n, to_n) = (second * 250, (second + 1) * 250);
            let told = (0..100).map(beat).filter(|n| beats && (from_n..to_n).contains(&(n + 250)));
            let first_step_n = from_n as f64 + 5.0;
            let reading = Reading {
                lead_mask: 2,
                steps: 25,
                first_step_n,
                clusters: 6,
                assignment: Vec::new(),
                cluster: (0..25).map(|i| cluster(first_step_n / 250.0 + f64::from(i) * 0.04)).collect(),
                entropy: Vec::new(),
                novelty: Vec::new(),
                evidence: Vec::new(),
                window_steps: 250,
                proportion: Vec::new(),
                window_entropy: 0.0,
                window_novelty: 0.0,
                class_logit: Vec::new(),
                class_prob: Vec::new(),
                surrogate_prob: Vec::new(),
                rms_mv: 0.1,
            };
            let finding = Finding {
                bed: BedId::new("s/u/b").expect("valid"),
                epoch: 0,
                window: second,
                from_n,
                to_n,
                rate: Ratio::hz(250).expect("valid"),
                end: UtcMs(0),
                mode: Mode::Real,
                paced: false,
                coverage: 1.0,
                leads: Vec::new(),
                quality: contract::Quality::default(),
                beats: Beats { from_n: Some(0), at_n: told.collect() },
                reading: Ok(reading),
            };
            names.finding(&finding, &clusters);
        }
        names.doubted()
    }

    #[test]
    fn names_hold_where_the_clusters_follow_the_beat_and_are_doubted_where_they_do_not() {
        assert_eq!(doubted(|t| phase(t % 0.8), true), Vec::<u8>::new());
        // Another cycle than the heart's: every wave's cluster comes at any time.
        assert_eq!(doubted(|t| phase(t % 0.671), true), [0, 1, 2, 3, 4]);
        assert_eq!(doubted(|t| phase(t % 0.8), false), [0, 1, 2, 3, 4], "no beats, no waves");
        assert_eq!(doubted(|_| 5, false), Vec::<u8>::new(), "mixed is no name");
    }
}
