//! The causal filters at 100 Hz, clip and scale: one lead in mV in, the network's units out
//! (`docs/method.md`, preprocessing 3 to 5). Training and live use call the same code.

use serde::{Deserialize, Serialize};

/// Coefficients of one second-order section, `a0 = 1`.
struct Section {
    b: [f64; 3],
    a: [f64; 2],
}

/// Butterworth high-pass 0.5 Hz, then low-pass 40 Hz, at 100 Hz.
const SECTIONS: [Section; 2] = [
    Section { b: [0.978_030_48, -1.956_060_96, 0.978_030_48], a: [-1.955_578_24, 0.956_543_68] },
    Section { b: [0.638_945_53, 1.277_891_05, 0.638_945_53], a: [1.142_980_5, 0.412_801_6] },
];

/// Samples at the start of a stream whose even reflection warms the filters.
const PRIME_SAMPLES: usize = 300;
/// Beyond this the signal is cut.
const CLIP_MV: f64 = 5.0;
/// One unit of the network's input.
const UNIT_MV: f64 = 0.25;

impl Section {
    /// The state that a constant input of 1 leaves behind (transposed direct form II).
    fn steady(&self) -> [f64; 2] {
        let b1 = self.b[1] - self.a[0] * self.b[0];
        let b2 = self.b[2] - self.a[1] * self.b[0];
        let z0 = (b1 + b2) / (1.0 + self.a[0] + self.a[1]);
        [z0, (1.0 + self.a[0]) * z0 - b1]
    }

    fn gain(&self) -> f64 {
        (self.b[0] + self.b[1] + self.b[2]) / (1.0 + self.a[0] + self.a[1])
    }
}

/// The filters of one lead over one segment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Conditioner {
    /// Input kept until the reflection can run; empty once it has.
    held_mv: Vec<f32>,
    primed: bool,
    state: [[f64; 2]; 2],
}

impl Conditioner {
    /// Takes new samples of one lead at 100 Hz in mV (finite) and appends to `out` what can be given in units of
    /// 0.25 mV, −20 to 20. Nothing comes out before the first 301 samples are in, or `finish` says that the segment
    /// ends. The results do not depend on how the samples are cut into calls.
    pub fn push(&mut self, new_mv: &[f32], finish: bool, out: &mut Vec<f32>) {
        if self.primed {
            out.extend(new_mv.iter().map(|&v| self.step(v)));
            return;
        }
        self.held_mv.extend_from_slice(new_mv);
        if self.held_mv.is_empty() || (self.held_mv.len() <= PRIME_SAMPLES && !finish) {
            return;
        }
        let held = std::mem::take(&mut self.held_mv);
        self.prime(&held);
        out.extend(held.iter().map(|&v| self.step(v)));
    }

    fn prime(&mut self, held_mv: &[f32]) {
        let reflected = &held_mv[1..held_mv.len().min(PRIME_SAMPLES + 1)];
        let first = f64::from(*reflected.last().unwrap_or(&held_mv[0]));
        let mut level = first;
        for (section, state) in SECTIONS.iter().zip(&mut self.state) {
            *state = section.steady().map(|z| z * level);
            level *= section.gain();
        }
        for &v in reflected.iter().rev() {
            self.step(v);
        }
        self.primed = true;
    }

    fn step(&mut self, mv: f32) -> f32 {
        let mut x = f64::from(mv);
        for (section, z) in SECTIONS.iter().zip(&mut self.state) {
            let y = section.b[0] * x + z[0];
            z[0] = section.b[1] * x - section.a[0] * y + z[1];
            z[1] = section.b[2] * x - section.a[1] * y;
            x = y;
        }
        (x.clamp(-CLIP_MV, CLIP_MV) / UNIT_MV) as f32
    }
}

/// Prepares one whole lead of a recording in place: mV at 100 Hz (finite) in, units of 0.25 mV out.
pub fn condition_100hz(lead: &mut [f32]) {
    let mut out = Vec::with_capacity(lead.len());
    Conditioner::default().push(lead, true, &mut out);
    lead.copy_from_slice(&out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(length: usize) -> Vec<f32> {
        (0..length)
            .map(|i| {
                let t = i as f64 / 100.0;
                (0.8 + (7.0 * t).sin() + 0.5 * (40.0 * t).cos() + 0.3 * (i % 83) as f64 / 83.0) as f32
            })
            .collect()
    }

    /// Computed with scipy 1.17 (`sosfilt`, `sosfilt_zi`) on the same signal and coefficients.
    #[test]
    fn agrees_with_scipy() {
        let check = |length: usize, expected: &[(usize, f32)]| {
            let mut x = signal(length);
            condition_100hz(&mut x);
            for &(i, value) in expected {
                assert!((x[i] - value).abs() < 2e-5, "sample {i} of {length}: {} not {value}", x[i]);
            }
        };
        check(
            600,
            &[
                (0, -0.6338),
                (1, -0.644_89),
                (2, -0.634_804),
                (50, -2.652_307),
                (119, 0.318_433),
                (300, 3.143_58),
                (301, 2.296_388),
                (599, -2.800_172),
            ],
        );
        check(120, &[(0, -0.436_346), (1, -0.454_008), (2, -0.450_394), (50, -2.653_142), (119, 0.302_679)]);
    }

    #[test]
    fn any_cut_gives_equal_bits() {
        let x = signal(777);
        let mut whole = x.clone();
        condition_100hz(&mut whole);
        for cut in [1, 7, 100, 301, 500] {
            let mut conditioner = Conditioner::default();
            let mut out = Vec::new();
            for part in x.chunks(cut) {
                conditioner.push(part, false, &mut out);
            }
            conditioner.push(&[], true, &mut out);
            assert_eq!(out, whole, "cut {cut}");
        }
    }

    #[test]
    fn nothing_and_one_sample_pass() {
        condition_100hz(&mut []);
        let mut one = [1.0];
        condition_100hz(&mut one);
        assert!(one[0].is_finite());
    }
}
