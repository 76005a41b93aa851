//! The gateway's wall clock against the sample counter. Time stamps label; they never move an index.

use contract::{Ratio, UtcMs};
use std::collections::VecDeque;

/// A stamp this far from the expected one is a jump.
const JUMP_MS: i64 = 2_000;
/// A stamp this far from the expected one moves the labels along.
const FOLLOW_MS: i64 = 500;
/// 2^32 microseconds, the range of a counter that some gateways let wrap.
const WRAP_MS: i64 = 4_294_967;
/// Points kept for the slope, one in ten seconds of signal.
const POINTS_MAX: usize = 60;
const POINT_S: u64 = 10;
/// Points needed before a drift is told.
const POINTS_MIN: usize = 6;

/// What is wrong with a time stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockTrouble {
    /// The stamp moved against the sample counter.
    Jump,
    /// The stamp fell back by the range of a 32-bit microsecond counter.
    Wrap,
}

/// Labels samples of one epoch with wall time.
#[derive(Debug, Clone, Default)]
pub(super) struct Timeline {
    anchor: Option<(u64, UtcMs)>,
    points: VecDeque<(u64, i64)>,
}

impl Timeline {
    /// Takes the stamp of sample `n0`, or the arrival time where the gateway gives none.
    pub fn hear(
        &mut self,
        n0: u64,
        stamp: Option<UtcMs>,
        arrived: UtcMs,
        rate: Ratio,
    ) -> Option<ClockTrouble> {
        let at = stamp.unwrap_or(arrived);
        let Some(expected) = self.at(n0, rate) else {
            self.anchor = Some((n0, at));
            self.point(n0, at, stamp.is_some(), rate);
            return None;
        };
        let off = at.0.saturating_sub(expected.0);
        if off.abs() > JUMP_MS {
            self.anchor = Some((n0, at));
            self.points.clear();
            let wrapped = (off + WRAP_MS).abs() <= JUMP_MS;
            return stamp.map(|_| if wrapped { ClockTrouble::Wrap } else { ClockTrouble::Jump });
        }
        if stamp.is_some() && off.abs() > FOLLOW_MS {
            self.anchor = Some((n0, at));
        }
        self.point(n0, at, stamp.is_some(), rate);
        None
    }

    fn point(&mut self, n0: u64, at: UtcMs, stamped: bool, rate: Ratio) {
        let due = self.points.back().is_none_or(|&(n, _)| n0 >= n.saturating_add(rate.samples_in(POINT_S)));
        if stamped && due {
            self.points.push_back((n0, at.0));
            if self.points.len() > POINTS_MAX {
                self.points.pop_front();
            }
        }
    }

    /// Wall time of sample `n`; `None` before the first frame.
    pub fn at(&self, n: u64, rate: Ratio) -> Option<UtcMs> {
        let (n0, at) = self.anchor?;
        Some(at.after(rate.ms_at(n) - rate.ms_at(n0)))
    }

    /// Slope of the stamps against the sample counter, minus one, in parts per million; `None` within the first
    /// minute or without stamps.
    pub fn drift_ppm(&self, rate: Ratio) -> Option<f32> {
        let &(first_n, first_ms) = self.points.front()?;
        if self.points.len() < POINTS_MIN {
            return None;
        }
        let points = self.points.iter().map(|&(n, ms)| {
            ((n.saturating_sub(first_n)) as f64 * 1_000.0 / rate.as_f64(), (ms - first_ms) as f64)
        });
        let count = self.points.len() as f64;
        let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (xy, xx) = points.fold((0.0, 0.0), |(xy, xx), (x, y)| {
            (xy + (x - mean_x) * (y - mean_y), xx + (x - mean_x) * (x - mean_x))
        });
        (xx > 0.0).then(|| ((xy / xx - 1.0) * 1e6) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_told_once_and_a_drift_is_measured() {
        let rate = Ratio::hz(250).expect("valid");
        let mut line = Timeline::default();
        let mut hear = |s: i64, shift: i64| {
            let stamp = UtcMs(1_000_000 + s * 1_000 + s / 10 + shift);
            line.hear(s as u64 * 250, Some(stamp), UtcMs(0), rate)
        };
        assert!((0..200).all(|s| hear(s, 0).is_none()));
        assert_eq!(hear(200, -WRAP_MS), Some(ClockTrouble::Wrap));
        assert_eq!(hear(201, -WRAP_MS), None);
        assert_eq!(hear(202, 0), Some(ClockTrouble::Jump));
        let mut steady = Timeline::default();
        for s in 0..200_i64 {
            let stamp = UtcMs(s * 1_000 + s / 10);
            assert_eq!(steady.hear(s as u64 * 250, Some(stamp), UtcMs(0), rate), None);
        }
        let ppm = steady.drift_ppm(rate).expect("enough points");
        assert!((ppm - 100.0).abs() < 3.0, "{ppm}");
    }
}
