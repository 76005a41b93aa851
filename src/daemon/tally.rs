//! What all threads count together.

use super::Counters;
use super::histogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};

/// A stage of the way from a payload to its finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From arrival until it is decoded: the wait for the source and its work.
    Decode,
    /// From arrival until an engine thread takes it.
    Queue,
    /// One call of the analysis: filters, network, clusters.
    Analyse,
    /// One call of the decision.
    Decide,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 4] = [Self::Decode, Self::Queue, Self::Analyse, Self::Decide];

    /// Its name in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Queue => "queue",
            Self::Analyse => "analyse",
            Self::Decide => "decide",
        }
    }
}

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
    stages: [Histogram; Stage::ALL.len()],
}

impl Tally {
    /// Latencies of a stage.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> &Histogram {
        &self.stages[stage as usize]
    }

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
