//! Where a bed stands in time when its gateway counts no samples (docs/decisions.md, foreign gateways).
//!
//! The first message of an epoch is sample 0. From then on the index is the time since that message times the rate,
//! and a message that fits the count within half its own length or a quarter second simply follows: jitter of a
//! network must not tear samples apart. Anything else is a gap, or a new epoch where time runs backwards.

use contract::{BedId, Ratio, UtcMs};

/// How far a time may lie from the count and still follow it, in milliseconds.
const JITTER_MS: i64 = 250;

/// A bed's place in time.
pub(crate) struct Place {
    epoch: u32,
    seq: u32,
    next_n: u64,
    zero: UtcMs,
    rate: Ratio,
    begun: bool,
}

/// Where one message goes.
pub(crate) struct Spot {
    pub epoch: u32,
    pub seq: u32,
    pub n0: u64,
    pub first: bool,
}

/// FNV-1a over the bed and the moment: a fresh number without a clock or a random source.
fn epoch_of(bed: &BedId, at: UtcMs) -> u32 {
    let bytes = bed.as_str().bytes().chain(at.0.to_le_bytes());
    bytes.fold(0x811c_9dc5, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

impl Place {
    pub fn new(bed: &BedId, arrived: UtcMs, rate: Ratio) -> Self {
        Self { epoch: epoch_of(bed, arrived), seq: 0, next_n: 0, zero: UtcMs(0), rate, begun: false }
    }

    /// The index of a message of `length` samples.
    pub fn locate(
        &mut self,
        rate: Ratio,
        length: usize,
        t0: Option<UtcMs>,
        arrived: UtcMs,
        index: Option<u64>,
    ) -> Spot {
        // Without a time stamp the arrival is that of the last sample.
        let own_ms = rate.ms_at(length as u64);
        let at = t0.unwrap_or(arrived.after(-own_ms));
        let n0 = match index {
            Some(n0) => n0,
            None if !self.begun => 0,
            None => self.by_time(rate, at, own_ms),
        };
        let restart = self.begun && (rate != self.rate || n0 < self.next_n);
        if restart {
            self.epoch = self.epoch.wrapping_add(1);
            self.seq = 0;
        }
        let first = restart || !self.begun;
        let n0 = if first && index.is_none() { 0 } else { n0 };
        if first {
            self.zero = at;
            self.rate = rate;
            self.begun = true;
        }
        let spot = Spot { epoch: self.epoch, seq: self.seq, n0, first };
        self.seq = self.seq.wrapping_add(1);
        self.next_n = n0.saturating_add(length as u64);
        spot
    }

    fn by_time(&self, rate: Ratio, at: UtcMs, own_ms: i64) -> u64 {
        let since_ms = at.0.saturating_sub(self.zero.0);
        let off_ms = since_ms.saturating_sub(rate.ms_at(self.next_n));
        if off_ms.unsigned_abs() <= JITTER_MS.max(own_ms / 2).unsigned_abs() {
            return self.next_n;
        }
        let (n, d) = rate.parts();
        // Negative times give index 0, which is behind the count and so begins a new epoch.
        (u128::from(since_ms.max(0).unsigned_abs()) * u128::from(n) / (1_000 * u128::from(d))) as u64
    }
}
