//! What was sent and what was held back, so that a receiver's loss can be proven.

use contract::BedId;
use serde::Serialize;
use std::time::Duration;

/// One bed's share. `frames_measured` = sent + silent + lost + unsent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BedReport {
    /// The bed.
    pub bed: BedId,
    /// Its epoch, eight hex digits.
    pub epoch: String,
    #[serde(skip)]
    pub(crate) epoch_number: u32,
    /// Frames whose time came.
    pub frames_measured: u64,
    /// Frames handed to the connection, each counted once.
    pub frames_sent: u64,
    /// Frames held back by a silence.
    pub frames_silent: u64,
    /// Frames lost on purpose.
    pub frames_lost: u64,
    /// Frames given up because the link was down or stuck.
    pub frames_unsent: u64,
    /// Frames sent a second time.
    pub frames_duplicated: u64,
    /// Frames sent after their successor.
    pub frames_reordered: u64,
    /// Frames with a lead off.
    pub frames_lead_off: u64,
    /// Jumps of the monitor's clock.
    pub clock_jumps: u64,
    /// Samples in the frames sent, all leads.
    pub samples_sent: u64,
    /// Index after the last sample measured.
    pub end_n: u64,
}

impl BedReport {
    pub(crate) fn new(bed: &BedId, epoch: u32) -> Self {
        Self {
            bed: bed.clone(),
            epoch: format!("{epoch:08x}"),
            epoch_number: epoch,
            frames_measured: 0,
            frames_sent: 0,
            frames_silent: 0,
            frames_lost: 0,
            frames_unsent: 0,
            frames_duplicated: 0,
            frames_reordered: 0,
            frames_lead_off: 0,
            clock_jumps: 0,
            samples_sent: 0,
            end_n: 0,
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// Beds.
    pub beds: usize,
    /// Signal seconds per wall second.
    pub speed: f64,
    /// Wall seconds from start to disconnect.
    pub elapsed_s: f64,
    /// Frames whose time came.
    pub frames_measured: u64,
    /// Frames handed to the connections, each counted once.
    pub frames_sent: u64,
    /// Publishes the broker took, second copies included: confirmed by it (`QoS` 1) or written to the socket ahead of
    /// a confirmed message (`QoS` 0). Equals `frames_sent + frames_duplicated` if nothing was lost.
    pub frames_accepted: u64,
    /// Frames lost on purpose.
    pub lost_on_purpose: u64,
    /// Frames held back by a silence.
    pub frames_silent: u64,
    /// Frames given up because the link was down or stuck.
    pub frames_unsent: u64,
    /// Frames sent a second time.
    pub frames_duplicated: u64,
    /// Frames sent after their successor.
    pub frames_reordered: u64,
    /// Samples in the frames sent, all leads.
    pub samples_sent: u64,
    /// Bytes of payload in the frames sent, second copies included.
    pub bytes: u64,
    /// Times that a connection was lost and stood again.
    pub reconnects: u64,
    /// The longest time that a frame left late, in milliseconds: this program's own lag.
    pub late_ms_max: u64,
    /// Bed by bed, sorted.
    pub per_bed: Vec<BedReport>,
}

/// One connection's share.
#[derive(Default)]
pub(crate) struct Part {
    pub beds: Vec<BedReport>,
    pub accepted: u64,
    pub bytes: u64,
    pub reconnects: u64,
    pub late_ms_max: u64,
}

impl Report {
    pub(crate) fn add(&mut self, part: Part) {
        self.frames_accepted += part.accepted;
        self.bytes += part.bytes;
        self.reconnects += part.reconnects;
        self.late_ms_max = self.late_ms_max.max(part.late_ms_max);
        for bed in part.beds {
            self.beds += 1;
            self.frames_measured += bed.frames_measured;
            self.frames_sent += bed.frames_sent;
            self.lost_on_purpose += bed.frames_lost;
            self.frames_silent += bed.frames_silent;
            self.frames_unsent += bed.frames_unsent;
            self.frames_duplicated += bed.frames_duplicated;
            self.frames_reordered += bed.frames_reordered;
            self.samples_sent += bed.samples_sent;
            self.per_bed.push(bed);
        }
    }

    pub(crate) fn close(&mut self, elapsed: Duration) {
        self.elapsed_s = elapsed.as_secs_f64();
        self.per_bed.sort_by(|a, b| a.bed.cmp(&b.bed));
    }
}
