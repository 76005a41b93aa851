//! What all threads count together.

use super::Counters;
use super::histogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start.
#[derive(Default)]
pub struct Tally {
    /// Frames decoded.
    pub frames_in: AtomicU64,
    /// Payloads refused.
    pub refused: AtomicU64,
    /// Messages of beds beyond what one node follows.
    pub beds_refused: AtomicU64,
    /// Payloads or frames evicted from full queues.
    pub evicted: AtomicU64,
    /// Windows closed.
    pub windows: AtomicU64,
    /// Windows read by the network.
    pub findings: AtomicU64,
    /// Analysis alerts begun.
    pub alerts: AtomicU64,
    /// Technical alerts begun.
    pub technical: AtomicU64,
    /// From a frame's arrival to its finding.
    pub latency: Histogram,
    /// The worst latency since the node last looked, in microseconds.
    pub worst_us: AtomicU64,
}

impl Tally {
    /// The counts so far; `beds` and `late` are known to the wards.
    #[must_use]
    pub fn counters(&self, beds: u64, late: u64) -> Counters {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            beds,
            frames_in: get(&self.frames_in),
            frames_lost: get(&self.evicted) + late,
            refused: get(&self.refused) + get(&self.beds_refused),
            windows: get(&self.windows),
            findings: get(&self.findings),
            alerts: get(&self.alerts),
            technical: get(&self.technical),
            p50_ms: self.latency.quantile_ms(0.5),
            p99_ms: self.latency.quantile_ms(0.99),
        }
    }
}
