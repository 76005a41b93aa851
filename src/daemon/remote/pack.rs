//! Traces, seconds and trends in few bytes: one byte a value, base64 in JSON. 255 = no value.

use crate::snapshot::{Column, Second, TrendPoint};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::UtcMs;
use serde::{Deserialize, Serialize};

const NONE: u8 = 255;
/// Most values that are taken from one message: a day of minutes.
const VALUES_MAX: usize = 1_440;
/// Steps of an entropy or a shift (0 to 1), and of a novelty.
const UNIT_STEPS: f32 = 250.0;
const NOVELTY_STEPS: f32 = 50.0;
const MINUTE_MS: i64 = 60_000;
const POINT_BYTES: usize = 7;

fn bytes(text: &str, each: usize) -> Vec<u8> {
    let decoded = STANDARD.decode(text).unwrap_or_default();
    let whole = decoded.len() / each * each;
    decoded[..whole.min(VALUES_MAX * each)].to_vec()
}

fn byte(value: Option<f32>, steps: f32) -> u8 {
    value
        .filter(|v| v.is_finite())
        .map_or(NONE, |v| (v * steps).round().clamp(0.0, f32::from(NONE - 1)) as u8)
}

fn value(byte: u8, steps: f32) -> Option<f32> {
    (byte != NONE).then(|| f32::from(byte) / steps)
}

/// Trace columns of 20 ms: smallest, largest, cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Columns {
    /// Index of the first one since the epoch began.
    pub first: u64,
    low_mv: f32,
    step_mv: f32,
    three: String,
}

impl Columns {
    pub fn pack(first: u64, columns: &[Column]) -> Self {
        let known = || columns.iter().filter(|c| c.min_mv.is_finite() && c.max_mv.is_finite());
        let low_mv = known().map(|c| c.min_mv).fold(f32::INFINITY, f32::min);
        let high_mv = known().map(|c| c.max_mv).fold(f32::NEG_INFINITY, f32::max);
        let low_mv = if low_mv.is_finite() { low_mv } else { 0.0 };
        let step_mv = ((high_mv - low_mv) / f32::from(NONE - 1)).max(1e-6);
        let level = |mv: f32| byte(mv.is_finite().then_some(mv - low_mv), 1.0 / step_mv);
        let three =
            columns.iter().flat_map(|c| [level(c.min_mv), level(c.max_mv), c.cluster.unwrap_or(NONE)]);
        Self { first, low_mv, step_mv, three: STANDARD.encode(three.collect::<Vec<u8>>()) }
    }

    pub fn unpack(&self) -> Vec<Column> {
        let mv = |b: u8| value(b, 1.0).map_or(f32::NAN, |v| self.low_mv + v * self.step_mv);
        let column =
            |c: &[u8]| Column { min_mv: mv(c[0]), max_mv: mv(c[1]), cluster: (c[2] != NONE).then_some(c[2]) };
        bytes(&self.three, 3).chunks_exact(3).map(column).collect()
    }
}

/// Clusters of columns that were told without.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Painted {
    /// Index of the first column.
    pub first: u64,
    one: String,
}

impl Painted {
    pub fn pack(first: u64, columns: &[Column]) -> Self {
        let one: Vec<u8> = columns.iter().map(|c| c.cluster.unwrap_or(NONE)).collect();
        Self { first, one: STANDARD.encode(one) }
    }

    pub fn unpack(&self) -> Vec<Option<u8>> {
        bytes(&self.one, 1).into_iter().map(|b| (b != NONE).then_some(b)).collect()
    }
}

/// Seconds: entropy, novelty, shift.
pub(super) fn pack_seconds(seconds: &[Second]) -> String {
    let three = seconds.iter().flat_map(|s| {
        [byte(s.entropy, UNIT_STEPS), byte(s.novelty, NOVELTY_STEPS), byte(s.shift, UNIT_STEPS)]
    });
    STANDARD.encode(three.collect::<Vec<u8>>())
}

/// The reverse of [`pack_seconds`].
pub(super) fn unpack_seconds(text: &str) -> Vec<Second> {
    let second = |c: &[u8]| Second {
        entropy: value(c[0], UNIT_STEPS),
        novelty: value(c[1], NOVELTY_STEPS),
        shift: value(c[2], UNIT_STEPS),
    };
    bytes(text, 3).chunks_exact(3).map(second).collect()
}

/// Minutes of a trend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Points {
    /// Start of the first minute.
    first: Option<UtcMs>,
    seven: String,
}

impl Points {
    pub fn pack(points: &[TrendPoint]) -> Self {
        let Some(first) = points.iter().find_map(|p| p.at) else { return Self::default() };
        let mut seven = Vec::with_capacity(points.len() * POINT_BYTES);
        for p in points {
            let Some(after) = p.at.and_then(|at| u16::try_from((at.0 - first.0) / MINUTE_MS).ok()) else {
                continue;
            };
            seven.extend(after.to_le_bytes());
            seven.extend([
                byte(p.entropy, UNIT_STEPS),
                byte(p.entropy_max, UNIT_STEPS),
                p.over_s,
                p.new_s,
                p.blind_s,
            ]);
        }
        Self { first: Some(first), seven: STANDARD.encode(seven) }
    }

    pub fn unpack(&self) -> Vec<TrendPoint> {
        let Some(first) = self.first else { return Vec::new() };
        let point = |c: &[u8]| TrendPoint {
            at: Some(first.after(i64::from(u16::from_le_bytes([c[0], c[1]])) * MINUTE_MS)),
            entropy: value(c[2], UNIT_STEPS),
            entropy_max: value(c[3], UNIT_STEPS),
            over_s: c[4],
            new_s: c[5],
            blind_s: c[6],
        };
        bytes(&self.seven, POINT_BYTES).chunks_exact(POINT_BYTES).map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(a: Option<f32>, b: Option<f32>, by: f32) -> bool {
        a.zip(b).map_or(a.is_none() && b.is_none(), |(a, b)| (a - b).abs() <= by)
    }

    fn some(v: f32) -> Option<f32> {
        v.is_finite().then_some(v)
    }

    proptest! {
        #[test]
        fn a_trace_comes_back_within_a_256th_of_its_height(
            columns in proptest::collection::vec((-5.0f32..5.0, 0.0f32..3.0, any::<bool>(), proptest::option::of(0u8..64)), 0..500),
        ) {
            let column = |&(low, more, gap, cluster): &(f32, f32, bool, Option<u8>)| {
                if gap { Column { min_mv: f32::NAN, max_mv: f32::NAN, cluster } } else { Column { min_mv: low, max_mv: low + more, cluster } }
            };
            let columns: Vec<Column> = columns.iter().map(column).collect();
            let packed = Columns::pack(77, &columns);
            let wire: Columns = serde_json::from_str(&serde_json::to_string(&packed).expect("JSON")).expect("JSON");
            let back = wire.unpack();
            prop_assert_eq!(back.len(), columns.len());
            for (a, b) in columns.iter().zip(&back) {
                prop_assert!(near(some(a.min_mv), some(b.min_mv), 0.04) && near(some(a.max_mv), some(b.max_mv), 0.04), "{:?} {:?}", a, b);
                prop_assert_eq!(a.cluster, b.cluster);
            }
            let painted = Painted::pack(77, &columns).unpack();
            prop_assert_eq!(painted, columns.iter().map(|c| c.cluster).collect::<Vec<_>>());
        }

        #[test]
        fn seconds_and_minutes_come_back(
            values in proptest::collection::vec((proptest::option::of(0.0f32..1.0), proptest::option::of(0.0f32..4.0), 0u8..60), 1..200),
        ) {
            let seconds: Vec<Second> =
                values.iter().map(|&(entropy, novelty, _)| Second { entropy, novelty, shift: entropy }).collect();
            for (a, b) in seconds.iter().zip(unpack_seconds(&pack_seconds(&seconds))) {
                prop_assert!(near(a.entropy, b.entropy, 0.003) && near(a.novelty, b.novelty, 0.02) && near(a.shift, b.shift, 0.003));
            }
            let points: Vec<TrendPoint> = values.iter().enumerate().map(|(i, &(entropy, _, s))| TrendPoint {
                at: Some(UtcMs(1_700_000_040_000 + 60_000 * (i as i64 * 2))), entropy, entropy_max: entropy, over_s: s, new_s: s, blind_s: s,
            }).collect();
            let back = Points::pack(&points).unpack();
            prop_assert_eq!(back.len(), points.len());
            for (a, b) in points.iter().zip(back) {
                prop_assert_eq!((a.at, a.over_s, a.new_s, a.blind_s), (b.at, b.over_s, b.new_s, b.blind_s));
                prop_assert!(near(a.entropy, b.entropy, 0.003));
            }
        }

        #[test]
        fn foreign_bytes_are_no_trouble(text in ".{0,60}", first in any::<u64>()) {
            let columns = Columns { first, low_mv: f32::NAN, step_mv: f32::INFINITY, three: text.clone() };
            prop_assert!(columns.unpack().len() <= VALUES_MAX);
            prop_assert!(unpack_seconds(&text).len() <= VALUES_MAX);
            let points = Points { first: Some(UtcMs(0)), seven: text };
            prop_assert!(points.unpack().len() <= VALUES_MAX);
        }
    }
}
