//! What the screen shows of one bed: trace columns, seconds, minutes. Bounded; written as samples and findings pass.

use crate::snapshot::{AlertView, Column, Second, Thresholds, TrendPoint};
use contract::{Alert, Finding, Phase, Ratio, Reading, UtcMs};
use std::collections::VecDeque;
use std::sync::Arc;

/// Columns a second.
const COLUMNS_HZ: u64 = 50;
/// Newest 10 s.
const COLUMNS_MAX: usize = 500;
/// Newest 90 s.
const SECONDS_MAX: usize = 90;
/// Newest 24 h.
const MINUTES_MAX: usize = 1_440;

const BLANK: Column = Column { min_mv: f32::NAN, max_mv: f32::NAN, cluster: None };

/// The screen's memory of one bed.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub first_column: u64,
    pub columns: VecDeque<Column>,
    pub seconds: VecDeque<Second>,
    pub trend: Arc<Vec<TrendPoint>>,
    /// How many of its newest points nobody has taken.
    untaken: usize,
    minute: Vec<Second>,
    minute_over: u8,
    minute_new: u8,
    minute_at: Option<UtcMs>,
}

fn column_of(rate: Ratio, n: u64) -> u64 {
    let (numerator, denominator) = rate.parts();
    (u128::from(n) * u128::from(COLUMNS_HZ) * u128::from(denominator) / u128::from(numerator)) as u64
}

impl View {
    /// Begins the trace anew (another epoch).
    pub fn restart(&mut self) {
        self.columns.clear();
    }

    /// Takes accepted samples of the drawn lead, the first at index `from_n`.
    pub fn draw(&mut self, rate: Ratio, from_n: u64, samples_mv: &[f32]) {
        for (n, &mv) in (from_n..).zip(samples_mv) {
            let at = column_of(rate, n);
            let next = self.first_column + self.columns.len() as u64;
            if self.columns.is_empty() || at < self.first_column || at >= next + COLUMNS_MAX as u64 {
                self.columns.clear();
                self.first_column = at;
            }
            while self.first_column + (self.columns.len() as u64) <= at {
                self.columns.push_back(BLANK);
                if self.columns.len() > COLUMNS_MAX {
                    self.columns.pop_front();
                    self.first_column += 1;
                }
            }
            if let Some(column) = self.columns.back_mut() {
                // `min` and `max` pass over a missing value.
                column.min_mv = column.min_mv.min(mv);
                column.max_mv = column.max_mv.max(mv);
            }
        }
    }

    /// Colours the columns that the steps of a reading cover (40 ms each: two columns).
    pub fn paint(&mut self, rate: Ratio, reading: &Reading) {
        for (step, &cluster) in reading.cluster.iter().enumerate() {
            let centre_s = reading.first_step_n / rate.as_f64() + step as f64 * 0.04;
            let right = (centre_s * COLUMNS_HZ as f64 + 1e-6).max(0.0) as u64;
            for at in [right.saturating_sub(1), right] {
                let place = at.checked_sub(self.first_column).map(|i| i as usize);
                if let Some(column) = place.and_then(|i| self.columns.get_mut(i)) {
                    column.cluster = Some(cluster);
                }
            }
        }
    }

    /// Takes the second that a finding closes.
    pub fn second(&mut self, second: Second, limits: Thresholds, finding: &Finding) {
        push(&mut self.seconds, second, SECONDS_MAX);
        let minute = UtcMs(finding.end.0.div_euclid(60_000) * 60_000);
        if self.minute_at.is_some_and(|at| at != minute) {
            let point = self.close_minute();
            let trend = Arc::make_mut(&mut self.trend);
            trend.push(point);
            trend.drain(..trend.len().saturating_sub(MINUTES_MAX));
            self.untaken = self.trend.len().min(self.untaken + 1);
        }
        self.minute_at = Some(minute);
        if self.minute.len() < 60 {
            self.minute.push(second);
            let over = |value: Option<f32>, limit: Option<f32>| value.zip(limit).is_some_and(|(v, l)| v > l);
            self.minute_over += u8::from(over(second.entropy, limits.entropy));
            self.minute_new += u8::from(over(second.novelty, limits.novelty));
        }
    }

    /// Takes up the minutes of an earlier run.
    pub fn recall(&mut self, trend: &[TrendPoint]) {
        self.trend = Arc::new(trend[trend.len().saturating_sub(MINUTES_MAX)..].to_vec());
    }

    /// The minutes that closed since the last call.
    pub fn take_minutes(&mut self) -> Vec<TrendPoint> {
        let fresh = std::mem::take(&mut self.untaken);
        self.trend[self.trend.len() - fresh..].to_vec()
    }

    fn close_minute(&mut self) -> TrendPoint {
        let mut entropy: Vec<f32> = self.minute.iter().filter_map(|s| s.entropy).collect();
        entropy.sort_unstable_by(f32::total_cmp);
        let point = TrendPoint {
            at: self.minute_at,
            entropy: entropy.get(entropy.len() / 2).copied(),
            entropy_max: entropy.last().copied(),
            over_s: self.minute_over,
            new_s: self.minute_new,
            blind_s: 60_u8.saturating_sub(entropy.len() as u8),
        };
        self.minute.clear();
        (self.minute_over, self.minute_new) = (0, 0);
        point
    }
}

fn push<T>(queue: &mut VecDeque<T>, value: T, max: usize) {
    queue.push_back(value);
    if queue.len() > max {
        queue.pop_front();
    }
}

/// An alert of the node as the screen lists it.
pub(super) fn node_view(alert: &Alert, node: &str) -> AlertView {
    AlertView {
        id: alert.id.clone(),
        rev: alert.rev,
        bed: None,
        label: node.into(),
        code: alert.code,
        class: alert.class,
        level: alert.level,
        onset: alert.onset,
        ended: (alert.phase == Phase::End).then_some(alert.decided),
        seen: None,
        text: alert.text.clone(),
        k_of_n: None,
        evidence: String::new(),
        shifts: Vec::new(),
        strip: Vec::new(),
        silent: false,
        latched: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_peak_falls_between_columns_and_a_hole_stays_blank() {
        let rate = Ratio::hz(500).expect("valid");
        let mut view = View::default();
        let mut samples = vec![0.0; 500];
        samples[123] = 2.0;
        samples[200..300].fill(f32::NAN);
        view.draw(rate, 0, &samples[..77]);
        view.draw(rate, 77, &samples[77..]);
        assert_eq!((view.first_column, view.columns.len()), (0, 50));
        assert_eq!(view.columns[12].max_mv.to_bits(), 2.0_f32.to_bits());
        assert!((20..30).all(|i| view.columns[i].max_mv.is_nan()));
        assert!(!view.columns[30].max_mv.is_nan());
    }

    #[test]
    fn the_trace_keeps_ten_seconds_and_its_place() {
        let rate = Ratio::hz(100).expect("valid");
        let mut view = View::default();
        view.draw(rate, 0, &vec![0.1; 1_500]);
        assert_eq!((view.first_column, view.columns.len()), (250, 500));
        view.draw(rate, 1_000_000, &[0.2]);
        assert_eq!((view.first_column, view.columns.len()), (500_000, 1));
    }
}
