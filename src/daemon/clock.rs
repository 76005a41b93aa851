//! The only place that reads a clock.

use contract::{MonoMs, UtcMs};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The node's two clocks: monotonic time since the daemon began, and wall time as a label.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    /// Starts the monotonic clock at 0.
    #[must_use]
    pub fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Monotonic time.
    #[must_use]
    pub fn mono(self) -> MonoMs {
        MonoMs(self.micros() / 1_000)
    }

    /// Monotonic time in microseconds, for latencies.
    #[must_use]
    pub fn micros(self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Waits until `done`, at most `patience`; looks every few milliseconds.
    pub fn wait(self, patience: Duration, done: impl Fn() -> bool) -> bool {
        let until = self.mono().after(patience.as_millis() as u64);
        while !done() {
            if self.mono() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Wall time; 1970 if the machine's clock stands before it.
    #[must_use]
    #[allow(clippy::unused_self)] // Wall time is asked of a clock like the other, so that tests see one door.
    pub fn utc(self) -> UtcMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        UtcMs(since.as_millis() as i64)
    }
}
