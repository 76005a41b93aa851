//! What is compared with the bed's own usual (`docs/method.md`, Live use): entropy E, novelty N, proportion shift J,
//! class-evidence shift C, and amplitude A as a control that uses no network.

use super::windows::{Windows, shares};
use contract::Reading;
use serde::{Deserialize, Serialize};

/// Smallest spreads that count as the bed's own.
const FLOOR_E: f32 = 0.01;
const FLOOR_N: f32 = 0.03;
const FLOOR_J: f32 = 0.01;
const FLOOR_C: f32 = 0.15;
const FLOOR_A: f32 = 0.05;
/// Seconds of learning that widen the floors by the square root of two: a short baseline has seen little of what is
/// usual, and its windows overlap.
const WIDEN_S: f32 = 60.0;
/// MAD to standard deviation.
const MAD_SCALE: f32 = 1.4826;

/// One window of 10 s, as the baseline keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// Mean entropy.
    pub h: f32,
    /// ln of the mean novelty.
    pub ln_m: f32,
    /// ln of the amplitude of the newest hop.
    pub ln_rms: f32,
    /// Mean logit `[class]`.
    pub logit: Vec<f32>,
    /// Share of each cluster in 1/250.
    pub share: Vec<u8>,
}

impl Window {
    pub fn of(reading: &Reading) -> Self {
        Self {
            h: reading.window_entropy,
            ln_m: libm::logf(reading.window_novelty.max(1e-6)),
            ln_rms: libm::logf(reading.rms_mv.max(1e-4)),
            logit: reading.class_logit.clone(),
            share: reading.proportion.iter().map(|q| (q * 250.0).round().clamp(0.0, 250.0) as u8).collect(),
        }
    }

    pub fn finite(&self) -> bool {
        self.h.is_finite() && self.ln_m.is_finite() && self.logit.iter().all(|v| v.is_finite())
    }
}

/// Middle and spread of one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Band {
    pub middle: f32,
    pub spread: f32,
}

impl Band {
    fn of(values: impl Iterator<Item = f32>, floor: f32) -> Self {
        let mut values: Vec<f32> = values.collect();
        let middle = median(&mut values);
        for v in &mut values {
            *v = (*v - middle).abs();
        }
        Self { middle, spread: (MAD_SCALE * median(&mut values)).max(floor) }
    }

    fn z(self, value: f32) -> f32 {
        (value - self.middle) / self.spread
    }

    /// The limits at a score.
    pub fn limits(self, score: f32) -> [f32; 2] {
        let z = libm::expm1f(score);
        [self.middle - z * self.spread, self.middle + z * self.spread]
    }
}

fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let half = values.len() / 2;
    let (_, upper, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    *upper
}

/// Square root of the Jensen-Shannon divergence in bits, 0 to 1.
pub(super) fn distance(p: &[f32], q: &[f32]) -> f32 {
    let term = |a: f32, m: f32| if a > 0.0 { a * libm::log2f(a / m) } else { 0.0 };
    let sum: f32 = p.iter().zip(q).map(|(&a, &b)| term(a, a.midpoint(b)) + term(b, a.midpoint(b))).sum();
    (sum / 2.0).max(0.0).sqrt()
}

/// What is usual for a bed with one lead set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Usual {
    pub e: Band,
    pub n: Band,
    pub j: Band,
    pub c: Vec<Band>,
    pub a: Band,
    /// Mean share of each cluster.
    pub mix: Vec<f32>,
}

/// One second's evidence: `ln(1 + z)` a channel, and the shift itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Evidence {
    pub e: f32,
    pub n: f32,
    pub j: f32,
    pub c: f32,
    /// Amplitude: the control, shown and never decided on.
    pub a: f32,
    /// Distance of the cluster mix, 0 to 1.
    pub shift: f32,
}

impl Evidence {
    /// Mean over the four channels that use the network.
    pub fn score(&self) -> f32 {
        (self.e + self.n + self.j + self.c) / 4.0
    }
}

impl Usual {
    /// From the baseline's windows.
    pub fn learn(windows: &Windows) -> Self {
        let count = windows.len().max(1) as f32;
        let widen = (1.0 + WIDEN_S / count).sqrt();
        let mut mix = vec![0.0; windows.clusters()];
        for shares in windows.shares() {
            for (sum, share) in mix.iter_mut().zip(shares) {
                *sum += share / count;
            }
        }
        let class = |k: usize| Band::of(windows.logit(k), FLOOR_C * widen);
        Self {
            e: Band::of(windows.h(), FLOOR_E * widen),
            n: Band::of(windows.ln_m(), FLOOR_N * widen),
            j: Band::of(windows.shares().map(|s| distance(&s, &mix)), FLOOR_J * widen),
            c: (0..windows.classes()).map(class).collect(),
            a: Band::of(windows.ln_rms(), FLOOR_A * widen),
            mix,
        }
    }

    /// Compares a window.
    pub fn compare(&self, window: &Window) -> Evidence {
        let shift = distance(&shares(window.share.iter()), &self.mix);
        let strength = |z: f32| libm::log1pf(z.max(0.0));
        let classes = self.c.iter().zip(&window.logit).map(|(band, &v)| band.z(v).abs());
        Evidence {
            e: strength(self.e.z(window.h).abs()),
            n: strength(self.n.z(window.ln_m).abs()),
            j: strength(self.j.z(shift)),
            c: strength(classes.fold(0.0, f32::max)),
            a: strength(self.a.z(window.ln_rms).abs()),
            shift,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(h: f32, share: [u8; 2]) -> Window {
        Window { h, ln_m: 0.0, ln_rms: 0.0, logit: vec![0.0], share: share.to_vec() }
    }

    #[test]
    fn the_distance_of_mixes_is_zero_for_equal_and_one_for_disjoint() {
        assert!(distance(&[0.5, 0.5], &[0.5, 0.5]).abs() < 1e-6);
        assert!((distance(&[1.0, 0.0], &[0.0, 1.0]) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_lower_entropy_counts_as_much_as_a_higher_one() {
        let usual = Usual::learn(&(0..500).map(|_| window(0.5, [125, 125])).collect());
        let (low, high) = (usual.compare(&window(0.4, [125, 125])), usual.compare(&window(0.6, [125, 125])));
        assert!((low.e - high.e).abs() < 1e-3 && low.e > 2.0, "{low:?} {high:?}");
        assert!(low.j.abs() < 1e-6 && low.c.abs() < 1e-6);
    }

    #[test]
    fn a_short_baseline_is_judged_more_gently() {
        let e = |count: usize| {
            let windows = (0..count).map(|_| window(0.5, [125, 125])).collect();
            Usual::learn(&windows).compare(&window(0.55, [125, 125])).e
        };
        assert!(e(15) < e(900) - 0.5);
    }
}
