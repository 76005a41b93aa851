//! What is usual for a bed, and how far the newest second is from it.

use super::beats::{BEATS, FLOORS};
use super::past::{Kept, Past, ROWS_MAX};
use super::windows::{SCALES_S, Window};
use crate::pipeline::decide::channels::distance;
use serde::{Deserialize, Serialize};

/// Smallest spreads that count as the bed's own: entropy, ln novelty, mix distance, logit, ln amplitude.
const FLOOR_E: f32 = 0.01;
const FLOOR_N: f32 = 0.03;
const FLOOR_J: f32 = 0.01;
const FLOOR_C: f32 = 0.15;
const FLOOR_A: f32 = 0.05;
/// Seconds of learning that widen the floors by the square root of two.
const WIDEN_S: f32 = 60.0;
/// MAD to standard deviation.
const MAD_SCALE: f32 = 1.4826;
/// Rates (ln a second) beyond which fast and slow count by themselves: 120 and 50 a minute; and an interval of 2 s.
const FAST: f32 = std::f32::consts::LN_2;
const SLOW: f32 = -0.182_321_56;
const LONG: f32 = std::f32::consts::LN_2;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Band {
    middle: f32,
    spread: f32,
    low: f32,
    high: f32,
}

fn median(values: &mut [f32]) -> f32 {
    let n = values.len();
    values.sort_by(f32::total_cmp);
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => values[n / 2],
        _ => f32::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

impl Band {
    /// Of these values, which stand for so many seconds.
    fn of(values: impl Iterator<Item = f32>, seconds: usize, floor: f32) -> Self {
        let mut values: Vec<f32> = values.collect();
        let middle = median(&mut values);
        let (low, high) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
        let widen = (1.0 + WIDEN_S / seconds.clamp(1, ROWS_MAX) as f32).sqrt();
        for v in &mut values {
            *v = (*v - middle).abs();
        }
        Self { middle, spread: (MAD_SCALE * median(&mut values)).max(floor * widen), low, high }
    }

    fn z(&self, value: f32) -> f32 {
        (value - self.middle) / self.spread
    }
}

/// One time scale.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Scale {
    e: Band,
    n: Band,
    j: Band,
    a: Band,
    c: Vec<Band>,
    /// Whether there were windows enough.
    known: bool,
}

/// What is usual with one lead set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Usual {
    /// The lead set.
    pub mask: u16,
    /// Good seconds that it rests on.
    pub seconds: usize,
    scales: Vec<Scale>,
    /// Mean share of each cluster.
    pub mix: Vec<f32>,
    beats: Option<[Band; BEATS]>,
}

fn strength(z: f32) -> f32 {
    libm::log1pf(z.max(0.0))
}

impl Usual {
    /// From the past; `None` where no second was read with these leads.
    pub fn learn(past: &Past, mask: u16) -> Option<Self> {
        let seconds = past.seconds(mask);
        let shares: Vec<&[f32]> = past.windows(mask, 0).map(Kept::share).collect();
        let clusters = shares.first().map_or(0, |s| s.len());
        let mean =
            |k: usize| (shares.iter().map(|s| f64::from(s[k])).sum::<f64>() / shares.len() as f64) as f32;
        let mix: Vec<f32> = (0..clusters).map(mean).collect();
        let scales = (0..SCALES_S.len()).map(|scale| Self::scale(past, mask, scale, &mix)).collect();
        let beating = past.beat_seconds();
        let band = |i: usize| Band::of(past.beats().map(|b| b[i]), beating, FLOORS[i]);
        let beats = (beating >= super::ROWS_MIN).then(|| std::array::from_fn(band));
        (seconds > 0).then_some(Self { mask, seconds, scales, mix, beats })
    }

    fn scale(past: &Past, mask: u16, scale: usize, mix: &[f32]) -> Scale {
        let windows: Vec<Kept> = past.windows(mask, scale).collect();
        let classes = windows.first().map_or(0, |w| w.logit().len());
        let seconds = past.seconds(mask);
        let band = |of: &dyn Fn(&Kept) -> f32, floor| Band::of(windows.iter().map(of), seconds, floor);
        Scale {
            e: band(&|w| w.h(), FLOOR_E),
            n: band(&|w| w.ln_m(), FLOOR_N),
            j: band(&|w| distance(w.share(), mix), FLOOR_J),
            a: band(&|w| w.ln_rms(), FLOOR_A),
            c: (0..classes).map(|k| band(&|w| w.logit()[k], FLOOR_C)).collect(),
            known: windows.len() >= super::ROWS_MIN,
        }
    }

    /// Entropy, novelty, shift, evidence and amplitude of a window, each `ln(1 + z)`; zeros where it is not known.
    pub fn compare(&self, scale: usize, window: Option<&Window>) -> [f32; 5] {
        let (Some(usual), Some(window)) = (self.scales.get(scale).filter(|s| s.known), window) else {
            return [0.0; 5];
        };
        let classes = usual.c.iter().zip(&window.logit).map(|(band, v)| band.z(*v).abs());
        [
            strength(usual.e.z(window.h).abs()),
            strength(usual.n.z(window.ln_m).abs()),
            strength(usual.j.z(distance(&window.share, &self.mix))),
            strength(classes.fold(0.0, f32::max)),
            strength(usual.a.z(window.ln_rms).abs()),
        ]
    }

    /// The channels of the beats: each number itself, above and below the usual as `ln(1 + z)`, beyond the highest and
    /// the lowest of the past; then the absolute ones, and whether there are no beats to speak of.
    pub fn beats(&self, now: Option<&[f32; BEATS]>) -> Vec<f32> {
        let mut values = Vec::with_capacity(5 * BEATS + 6);
        for i in 0..BEATS {
            let band = self.beats.as_ref().map(|b| b[i]);
            values.push(now.map_or_else(|| band.map_or(0.0, |b| b.middle), |n| n[i]));
            let (Some(band), Some(now)) = (band, now) else {
                values.extend([0.0; 4]);
                continue;
            };
            let z = band.z(now[i]);
            let beyond = [(now[i] - band.high).max(0.0), (band.low - now[i]).max(0.0)];
            values.extend([strength(z), strength(-z), beyond[0], beyond[1]]);
        }
        let of = |i: usize, f: &dyn Fn(f32) -> f32| now.map_or(0.0, |n| f(n[i]).max(0.0));
        values.extend([
            of(0, &|v| v - FAST),
            of(0, &|v| SLOW - v),
            of(1, &|v| v - FAST),
            of(1, &|v| SLOW - v),
            of(2, &|v| v - LONG),
            f32::from(u8::from(now.is_none())),
        ]);
        values
    }
}
