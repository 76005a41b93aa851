//! How long to wait after a failure: doubling, with jitter, so that a ward's nodes do not return all at once.

use std::time::Duration;

/// Waits that double from `first` to `longest`; each is drawn from the upper half of its step by a generator seeded
/// with the waiter's name.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    draw: u64,
}

impl Backoff {
    /// No failure yet.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, name: &str) -> Self {
        // FNV-1a: a stable seed, so that a log can be compared with a rerun.
        let draw = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Self { first, longest, failures: 0, draw: draw | 1 }
    }

    /// The wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        let step = self.first.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures += 1;
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 7;
        self.draw ^= self.draw << 17;
        let share = (self.draw >> 40) as f64 / f64::from(1 << 24);
        step.mul_f64(0.5 + 0.5 * share)
    }

    /// It worked again.
    pub fn success(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut b = Backoff::new(ms(100), ms(1_000), "node-a");
        let waits: Vec<_> = (0..40).map(|_| b.after_failure()).collect();
        assert!(waits[0] >= ms(50) && waits[0] <= ms(100));
        assert!(waits[4..].iter().all(|w| *w >= ms(500) && *w <= ms(1_000)));
        assert!(waits[4..].windows(2).any(|w| w[0] != w[1]), "no jitter");
        b.success();
        assert!(b.after_failure() <= ms(100));
    }
}
