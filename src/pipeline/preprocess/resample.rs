//! Any rate to 100 Hz: polyphase, Kaiser-windowed sinc (`docs/method.md`, preprocessing 2). Output j is centred on the
//! time of j/100 s after the first input sample; before the first and after the last sample the signal is zero.

use super::factors;
use contract::Ratio;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const KAISER_BETA: f64 = 5.0;
/// −6 dB here, in Hz.
const CUTOFF_HZ: f64 = 45.0;
/// Half the filter's length, in periods of the slower rate.
const HALF_PERIODS: u64 = 10;

/// The filter for one rate; shared by all leads of all beds with that rate.
#[derive(Debug)]
pub(in crate::pipeline) struct Filter {
    up: u64,
    down: u64,
    half: u64,
    /// One run of taps for each place of an output between two inputs, in the order of the inputs.
    runs: Vec<f64>,
    /// Where each run begins, and the end of the last.
    starts: Vec<u32>,
    rate: Ratio,
}

/// Outputs computed side by side. Each is one sum in ascending order of the inputs, so that neither this number nor the
/// cut into calls shows in the bits.
const LANES: usize = 8;

/// Modified Bessel function of the first kind, order 0, by its series.
fn bessel_i0(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..60 {
        term *= (x / 2.0 / f64::from(k)) * (x / 2.0 / f64::from(k));
        sum += term;
    }
    sum
}

impl Filter {
    pub fn new(rate: Ratio) -> Self {
        let (up, down) = factors(rate);
        let half = HALF_PERIODS * up.max(down);
        let cutoff = CUTOFF_HZ / (rate.as_f64() * up as f64 / 2.0);
        let tap = |n: u64| {
            let m = n as f64 - half as f64;
            let x = std::f64::consts::PI * cutoff * m;
            let sinc = if n == half { 1.0 } else { libm::sin(x) / x };
            let r = m / half as f64;
            cutoff * sinc * bessel_i0(KAISER_BETA * (1.0 - r * r).max(0.0).sqrt()) / bessel_i0(KAISER_BETA)
        };
        let mut taps: Vec<f64> = (0..=2 * half).map(tap).collect();
        let sum: f64 = taps.iter().sum();
        for tap in &mut taps {
            *tap *= up as f64 / sum;
        }
        let (mut runs, mut starts) = (Vec::with_capacity(taps.len()), vec![0]);
        for missed in 0..up {
            let run = (0..=2 * half).rev().skip(missed as usize).step_by(up as usize);
            runs.extend(run.map(|i| taps[i as usize]));
            starts.push(runs.len() as u32);
        }
        Self { up, down, half, runs, starts, rate }
    }

    /// The first input that an output centred on `at` may need, counted from below zero, and its taps from there on.
    fn run(&self, at: u64) -> (i64, &[f64]) {
        let from = at as i64 - self.half as i64;
        let missed = (-from).rem_euclid(self.up as i64);
        let place = missed as usize;
        let taps = &self.runs[self.starts[place] as usize..self.starts[place + 1] as usize];
        ((from + missed) / self.up as i64, taps)
    }

    /// Whether input and output are the same.
    fn passes(&self) -> bool {
        self.up == self.down
    }

    /// Output samples that lag behind the input at the end of every hop, the same for each hop.
    pub fn lag(&self) -> u64 {
        if self.passes() {
            return 0;
        }
        // A rate that is no whole number of Hz has hops that begin up to one sample early.
        let whole_hz = self.rate.parts().1 == 1;
        let slack = if whole_hz { self.up } else { 2 * self.up };
        (slack + self.half).div_ceil(self.down) - 1
    }
}

/// A shared filter is saved as its rate, from which it is made anew.
pub(in crate::pipeline) mod shared {
    use super::{Arc, Filter, Ratio};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(filter: &Arc<Filter>, to: S) -> Result<S::Ok, S::Error> {
        filter.rate.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Filter>, D::Error> {
        Ok(Arc::new(Filter::new(Ratio::deserialize(from)?)))
    }
}

/// One lead of one segment on its way to 100 Hz.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::pipeline) struct Resampler {
    #[serde(with = "shared")]
    filter: Arc<Filter>,
    /// Input that later outputs still need; the first has the index `first`.
    held: Vec<f32>,
    first: u64,
    next: u64,
}

impl Resampler {
    pub fn new(filter: Arc<Filter>) -> Self {
        Self { filter, held: Vec::new(), first: 0, next: 0 }
    }

    /// Takes new samples and appends the outputs below index `target` to `out`; with `finish`, all that the segment
    /// has.
    pub fn push(&mut self, new: &[f32], target: u64, finish: bool, out: &mut Vec<f32>) {
        self.held.extend_from_slice(new);
        let Filter { up, down, half, .. } = *self.filter;
        let received = self.first + self.held.len() as u64;
        let target = if finish { (received * up).div_ceil(down) } else { target };
        // With `finish` the inputs end where they end; else an output waits for its last input.
        let ready = if finish { target } else { target.min(self.ready(received)) };
        while self.next < ready {
            let count = (ready - self.next).min(LANES as u64);
            let sums = self.outputs(self.next, count, received);
            out.extend(sums[..count as usize].iter().map(|&sum| sum as f32));
            self.next += count;
        }
        let needed = (self.next * down).saturating_sub(half) / up;
        let drop = needed.saturating_sub(self.first).min(self.held.len() as u64);
        self.held.drain(..drop as usize);
        self.first += drop;
    }

    /// Outputs whose last input is among the first `received`.
    fn ready(&self, received: u64) -> u64 {
        let Filter { up, down, half, .. } = *self.filter;
        if self.filter.passes() {
            return received;
        }
        // (j · down + half) / up < received
        (received * up).saturating_sub(half).div_ceil(down)
    }

    /// Outputs `next..next + count`; places beyond `count` repeat the last one.
    fn outputs(&self, next: u64, count: u64, received: u64) -> [f64; LANES] {
        let pairs: [(&[f32], &[f64]); LANES] = std::array::from_fn(|lane| {
            let j = next + (lane as u64).min(count - 1);
            let (at, held) = (j * self.filter.down, &self.held);
            if self.filter.passes() {
                return (&held[(j - self.first) as usize..][..1], &[1.0][..]);
            }
            let (begin, taps) = self.filter.run(at);
            let from = begin.max(self.first as i64);
            let last = ((at + self.filter.half) / self.filter.up).min(received - 1);
            let length = (last as i64 + 1 - from) as usize;
            (
                &held[(from - self.first as i64) as usize..][..length],
                &taps[(from - begin) as usize..][..length],
            )
        });
        let common = pairs.iter().map(|p| p.0.len()).min().unwrap_or(0);
        let (samples, taps) = (pairs.map(|p| &p.0[..common]), pairs.map(|p| &p.1[..common]));
        let mut sums = [0.0; LANES];
        for k in 0..common {
            for ((sum, samples), taps) in sums.iter_mut().zip(&samples).zip(&taps) {
                *sum += f64::from(samples[k]) * taps[k];
            }
        }
        for (sum, (samples, taps)) in sums.iter_mut().zip(pairs) {
            for (sample, tap) in samples[common..].iter().zip(&taps[common..]) {
                *sum += f64::from(*sample) * tap;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(rate: Ratio, seconds: u64) -> Vec<f32> {
        (0..rate.samples_in(seconds))
            .map(|i| {
                let t = i as f64 / rate.as_f64();
                (0.8 + (7.0 * t).sin() + 0.5 * (40.0 * t).cos() + 0.3 * (i % 83) as f64 / 83.0) as f32
            })
            .collect()
    }

    fn whole(rate: Ratio, x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        Resampler::new(Arc::new(Filter::new(rate))).push(x, 0, true, &mut out);
        out
    }

    /// Expected values from scipy 1.17 (`firwin`, `resample_poly`) on the same signal.
    #[test]
    fn agrees_with_scipy() {
        let check = |numerator: u32, denominator: u32, expected: [f32; 5]| {
            let rate = Ratio::new(numerator, denominator).expect("valid");
            let out = whole(rate, &signal(rate, 3));
            assert_eq!(out.len(), 300, "{rate} Hz");
            for (i, value) in [0, 1, 10, 150, 299].into_iter().zip(expected) {
                assert!((out[i] - value).abs() < 1e-5, "{rate} Hz sample {i}: {} not {value}", out[i]);
            }
        };
        check(250, 1, [0.891_763, 1.452_105, 1.207_893, -0.399_842, 2.308_244]);
        check(360, 1, [0.821_273, 1.456_897, 1.247_7, -0.403_421, 2.560_598]);
        check(500, 1, [0.776_646, 1.460_817, 1.296_805, -0.546_77, 2.374_387]);
        check(50, 1, [1.924_287, 0.764_337, 0.863_706, -0.665_246, 1.091_677]);
        check(257, 1, [0.885_526, 1.452_508, 1.210_515, -0.361_837, 2.342_59]);
        check(125, 2, [1.570_743, 1.216_487, 1.131_315, -0.516_751, -0.321_342]);
    }

    #[test]
    fn every_hop_has_its_hundred_samples_and_any_cut_gives_equal_bits() {
        for (numerator, denominator) in
            [(50, 1), (125, 2), (100, 1), (250, 1), (257, 1), (360, 1), (2_000, 1)]
        {
            let rate = Ratio::new(numerator, denominator).expect("valid");
            let x = signal(rate, 6);
            let expected = whole(rate, &x);
            let filter = Arc::new(Filter::new(rate));
            for cut in [1, 13, 200] {
                let mut resampler = Resampler::new(Arc::clone(&filter));
                let mut out = Vec::new();
                for hop in 0..6 {
                    let new = &x[rate.samples_in(hop) as usize..rate.samples_in(hop + 1) as usize];
                    let target = (100 * (hop + 1)).saturating_sub(filter.lag());
                    for part in new.chunks(cut) {
                        resampler.push(part, target, false, &mut out);
                    }
                    assert_eq!(out.len() as u64, target, "{rate} Hz hop {hop}");
                }
                resampler.push(&[], 0, true, &mut out);
                assert_eq!(out, expected, "{rate} Hz cut {cut}");
            }
        }
    }
}
