//! Is a lead usable? One verdict a lead and hop, from the raw signal, and the bridging of short holes
//! (`docs/method.md`, Live use, gate; second trial, gate Q with its step and noise rules).

use contract::{Quality, Ratio, Signal};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Holes up to this long are bridged by holding the last value, in ms.
pub(in crate::pipeline) const BRIDGE_MS: u64 = 200;
/// A hop with a larger share of missing samples is not used.
const MISSING_MAX: f32 = 0.1;
/// Exactly equal samples for so long are no living signal, in ms.
const FLAT_MS: u64 = 200;
/// Farther than this from the hop's median is the limit of the range.
const CLIP_MV: f32 = 5.0;
/// Time at the limit before it counts (a pacing spike is shorter), in ms.
const CLIP_MS: u64 = 10;
/// Largest step in 10 ms: absolute limit, and factor on the bed's own.
const STEP_MV: f32 = 1.96;
const STEP_FACTOR: f32 = 2.5;
/// High-frequency noise: absolute limit, and factor on the bed's own.
const NOISE_MV: f32 = 0.052;
const NOISE_FACTOR: f32 = 3.0;
/// A bed's own values count up to here, so that a bed that begins in noise does not make noise its own.
const OWN_STEP_MAX_MV: f32 = 2.0;
const OWN_NOISE_MAX_MV: f32 = 0.05;
/// Good seconds that the bed's own values rest on.
const OWN_S: usize = 60;
/// Seconds from which the bed's own values are used.
const OWN_MIN_S: usize = 10;
/// While noisy, the limits are lower by this factor.
const HOLD: f32 = 0.8;
/// Bad seconds in a row before a lead is left out, and good ones before it is used again.
const OUT_S: u32 = 2;
const BACK_S: u32 = 5;

/// One lead's memory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::pipeline) struct LeadGate {
    last_mv: Option<f32>,
    /// Mean of the last hop that had samples.
    mean_mv: Option<f32>,
    /// Missing samples in a row at the end of the last hop.
    run: u64,
    steps: VecDeque<f32>,
    noises: VecDeque<f32>,
    noisy: bool,
    /// Left out, and seconds in a row that speak against the present state; `None` before the first hop.
    out: Option<(bool, u32)>,
}

/// What a hop of a lead shows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pipeline) struct Judged {
    pub signal: Signal,
    /// What the verdict rests on, and what the fused score reads.
    pub quality: Quality,
    /// Share of samples missing.
    pub missing: f32,
    /// The samples with short holes bridged; meaningless where `broken`.
    pub bridged_mv: Vec<f32>,
    /// A hole is too long to be bridged.
    pub broken: bool,
}

fn samples(rate: Ratio, ms: u64) -> u64 {
    (rate.as_f64() * ms as f64 / 1_000.0) as u64
}

fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let half = values.len() / 2;
    *values.select_nth_unstable_by(half, f32::total_cmp).1
}

/// Median distance of the samples from their mean over 28 ms, as a standard deviation.
fn noise_mv(x: &[f32], rate: Ratio) -> f32 {
    let reach = ((rate.as_f64() * 0.014).round() as usize).max(1);
    // The sums of all whole neighbourhoods side by side, each in ascending order.
    let mut sums = vec![0.0_f32; x.len().saturating_sub(2 * reach)];
    for k in 0..=2 * reach {
        for (sum, v) in sums.iter_mut().zip(x.iter().skip(k)) {
            *sum += v;
        }
    }
    let whole = (2 * reach + 1) as f32;
    let mean = |i: usize| {
        if let Some(sum) = i.checked_sub(reach).and_then(|i| sums.get(i)) {
            return sum / whole;
        }
        let around = &x[i.saturating_sub(reach)..(i + reach + 1).min(x.len())];
        around.iter().sum::<f32>() / around.len() as f32
    };
    median((0..x.len()).map(|i| (x[i] - mean(i)).abs()).collect()) / 0.6745
}

/// Samples farther than [`CLIP_MV`] from the median.
fn beyond_clip(x: &[f32]) -> u64 {
    let (low, high) = x.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    if high - low <= CLIP_MV {
        return 0;
    }
    let middle = median(x.to_vec());
    x.iter().filter(|v| (**v - middle).abs() > CLIP_MV).count() as u64
}

/// Largest change within 10 ms.
fn step_mv(x: &[f32], rate: Ratio) -> f32 {
    let reach = ((rate.as_f64() / 100.0).round() as usize).max(1);
    x.iter().zip(x.iter().skip(reach)).map(|(a, b)| (b - a).abs()).fold(0.0, f32::max)
}

/// Longest run of exactly equal samples.
fn longest_flat(x: &[f32]) -> u64 {
    let (mut longest, mut run) = (1, 1);
    for pair in x.windows(2) {
        run = if pair[0].to_bits() == pair[1].to_bits() { run + 1 } else { 1 };
        longest = longest.max(run);
    }
    longest
}

impl LeadGate {
    /// Judges the next hop of the lead. `lead_off`: the monitor says that some lead is off.
    pub fn judge(&mut self, hop_mv: &[f32], rate: Ratio, paced: bool, lead_off: bool) -> Judged {
        let (bridged_mv, broken) = self.bridge(hop_mv, rate);
        let absent = hop_mv.iter().filter(|v| v.is_nan()).count();
        let missing = absent as f32 / hop_mv.len().max(1) as f32;
        let lost = broken || missing > MISSING_MAX;
        let quality = self.measure(&bridged_mv, rate);
        let signal = if lost { Signal::Missing } else { self.classify(&bridged_mv, quality, rate, paced) };
        let dead = lost || matches!(signal, Signal::Flat | Signal::Clipped);
        let signal = if lead_off && dead { Signal::LeadOff } else { signal };
        Judged { signal, quality, missing, bridged_mv, broken }
    }

    fn measure(&mut self, x: &[f32], rate: Ratio) -> Quality {
        let mean = (x.iter().map(|v| f64::from(*v)).sum::<f64>() / x.len().max(1) as f64) as f32;
        let before = self.mean_mv.replace(mean).unwrap_or(mean);
        Quality {
            noise_mv: noise_mv(x, rate),
            step_mv: step_mv(x, rate),
            jump_mv: (mean - before).abs(),
            reach_mv: x.iter().fold(0.0, |reach, v| reach.max((v - mean).abs())),
        }
    }

    fn bridge(&mut self, hop_mv: &[f32], rate: Ratio) -> (Vec<f32>, bool) {
        let limit = samples(rate, BRIDGE_MS);
        let first = hop_mv.iter().copied().find(|v| !v.is_nan());
        let mut last = self.last_mv.or(first).unwrap_or(0.0);
        let mut broken = first.is_none();
        let mut out = Vec::with_capacity(hop_mv.len());
        for &v in hop_mv {
            if v.is_nan() {
                self.run += 1;
                broken |= self.run > limit;
            } else {
                self.run = 0;
                last = v;
            }
            out.push(last);
        }
        self.last_mv = first.is_some().then_some(last);
        (out, broken)
    }

    fn classify(&mut self, x: &[f32], quality: Quality, rate: Ratio, paced: bool) -> Signal {
        if longest_flat(x) >= samples(rate, FLAT_MS).max(2) {
            return Signal::Flat;
        }
        if beyond_clip(x) > samples(rate, CLIP_MS).max(1) {
            return Signal::Clipped;
        }
        let own = |values: &VecDeque<f32>, most: f32| {
            let known = values.len() >= OWN_MIN_S;
            if known { median(values.iter().copied().collect()).min(most) } else { 0.0 }
        };
        let hold = if self.noisy { HOLD } else { 1.0 };
        let (step, noise) = (quality.step_mv, quality.noise_mv);
        let step_max = hold * STEP_MV.max(STEP_FACTOR * own(&self.steps, OWN_STEP_MAX_MV));
        let noise_max = hold * NOISE_MV.max(NOISE_FACTOR * own(&self.noises, OWN_NOISE_MAX_MV));
        self.noisy = (step > step_max && !paced) || noise > noise_max;
        if !self.noisy || self.steps.len() < OWN_MIN_S {
            for (values, value) in [(&mut self.steps, step), (&mut self.noises, noise)] {
                values.push_back(value);
                if values.len() > OWN_S {
                    values.pop_front();
                }
            }
        }
        if self.noisy { Signal::Noisy } else { Signal::Good }
    }

    /// Whether the network may use the lead after this hop. A hole or a lead off acts at once, anything else after
    /// [`OUT_S`] seconds; it comes back after [`BACK_S`] good ones.
    pub fn admit(&mut self, judged: &Judged) -> bool {
        let bad = judged.signal != Signal::Good;
        let at_once = matches!(judged.signal, Signal::LeadOff | Signal::Missing);
        let (out, against) = self.out.unwrap_or((bad, 0));
        let against = if bad == out { 0 } else { against + 1 };
        let turns = if out { against >= BACK_S } else { against >= OUT_S || (against > 0 && at_once) };
        let state = if turns { (bad, 0) } else { (out, against) };
        self.out = Some(state);
        !state.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate() -> Ratio {
        Ratio::hz(250).expect("valid")
    }

    /// A second with one upright wave and a little seeded noise.
    fn second(noise_mv: f32) -> Vec<f32> {
        let mut seed = 7_u32;
        (0..250)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (seed >> 8) as f32 / 8_388_608.0 - 1.0;
                let t = (i as f32 - 125.0) / 6.0;
                1.2 * (-t * t).exp() + noise_mv * noise
            })
            .collect()
    }

    fn check(x: &[f32], lead_off: bool, expected: Signal) {
        assert_eq!(LeadGate::default().judge(x, rate(), false, lead_off).signal, expected);
    }

    #[test]
    fn each_trouble_has_its_name() {
        let good = second(0.01);
        check(&good, false, Signal::Good);
        check(&good, true, Signal::Good);
        check(&second(0.2), false, Signal::Noisy);
        let mut flat = good.clone();
        flat[100..160].fill(0.1);
        check(&flat, false, Signal::Flat);
        check(&[0.0; 250], true, Signal::LeadOff);
        let mut clipped = good.clone();
        clipped[100..110].fill(9.0);
        check(&clipped, false, Signal::Clipped);
        let mut hole = good;
        hole[100..130].fill(f32::NAN);
        check(&hole, false, Signal::Missing);
        check(&[f32::NAN; 250], true, Signal::LeadOff);
    }

    #[test]
    fn a_short_hole_is_bridged_over_the_border_of_hops_and_a_long_one_is_not() {
        let mut x = second(0.01);
        x[240..].fill(f32::NAN);
        let mut gate = LeadGate::default();
        let first = gate.judge(&x, rate(), false, false);
        assert!(first.signal == Signal::Good && first.bridged_mv.iter().all(|v| v.is_finite()));
        let mut next = second(0.01);
        next[..45].fill(f32::NAN);
        assert!(gate.clone().judge(&next, rate(), false, false).broken);
        next[..30].copy_from_slice(&second(0.01)[..30]);
        assert!(!gate.judge(&next, rate(), false, false).broken);
    }

    #[test]
    fn one_bad_second_does_not_take_a_lead_out() {
        let mut gate = LeadGate::default();
        let states: String = "..n..nnn..n.....n"
            .chars()
            .map(|c| {
                let judged = gate.judge(&second(if c == 'n' { 0.2 } else { 0.01 }), rate(), false, false);
                if gate.admit(&judged) { '.' } else { 'o' }
            })
            .collect();
        assert_eq!(states, "......ooooooooo..");
    }
}
