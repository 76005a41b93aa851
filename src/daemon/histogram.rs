//! Latencies in logarithmic buckets: fixed memory, no lock, quantiles to 5 %.

use std::sync::atomic::{AtomicU64, Ordering};

const PER_OCTAVE: u64 = 16;
const BUCKETS: usize = 40 * PER_OCTAVE as usize;

/// Counts of microseconds by bucket.
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    fn bucket(us: u64) -> usize {
        if us < PER_OCTAVE {
            return us as usize;
        }
        let octave = u64::from(us.ilog2()) - 3;
        let place = octave * PER_OCTAVE + ((us >> (octave - 1)) - PER_OCTAVE);
        (place as usize).min(BUCKETS - 1)
    }

    /// The middle of a bucket, in microseconds.
    fn middle(bucket: usize) -> f64 {
        let (octave, place) = (bucket as u64 / PER_OCTAVE, bucket as u64 % PER_OCTAVE);
        if octave == 0 {
            return place as f64;
        }
        (place as f64 + PER_OCTAVE as f64 + 0.5) * 2f64.powi(octave as i32 - 1)
    }

    /// Counts one.
    pub fn record(&self, us: u64) {
        self.counts[Self::bucket(us)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// The sum in seconds, and how many lie up to each of the ascending bounds (in seconds) and above the one before.
    #[must_use]
    pub fn buckets(&self, bounds_s: &[f64]) -> (f64, Vec<(f64, u64)>) {
        let mut buckets: Vec<(f64, u64)> = bounds_s.iter().map(|&bound| (bound, 0)).collect();
        for (i, count) in self.counts.iter().enumerate() {
            let (middle_s, count) = (Self::middle(i) / 1e6, count.load(Ordering::Relaxed));
            if let Some(bucket) = buckets.iter_mut().find(|b| middle_s <= b.0) {
                bucket.1 += count;
            }
        }
        (self.sum_us.load(Ordering::Relaxed) as f64 / 1e6, buckets)
    }

    /// The `q` quantile (0 to 1) in milliseconds; 0 while empty.
    #[must_use]
    pub fn quantile_ms(&self, q: f64) -> f32 {
        let counts: Vec<u64> = self.counts.iter().map(|c| c.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let rank = (q * all as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return (Self::middle(bucket) / 1_000.0) as f32;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_five_percent() {
        let h = Histogram::default();
        assert_eq!(h.quantile_ms(0.5).to_bits(), 0);
        for us in 1..=100_000 {
            h.record(us);
        }
        for (q, ms) in [(0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = h.quantile_ms(q);
            assert!((found / ms - 1.0).abs() < 0.05, "{q}: {found} ms, not {ms}");
        }
        h.record(u64::MAX);
    }

    #[test]
    fn buckets_count_each_value_once() {
        let h = Histogram::default();
        for us in [400, 900, 20_000, 3_000_000, 3_000_000] {
            h.record(us);
        }
        let (sum_s, buckets) = h.buckets(&[0.001, 0.1, f64::INFINITY]);
        assert_eq!(buckets.iter().map(|b| b.1).collect::<Vec<_>>(), [2, 1, 2]);
        assert!((sum_s - 6.021_3).abs() < 1e-9, "{sum_s}");
    }
}
