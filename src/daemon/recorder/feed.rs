//! What an engine thread hands to the recorder: each hop before it is analysed, a checkpoint now and then, what was
//! seen, and the evidence of alerts. Never waits: what finds no room is counted, and a hole is marked.

use super::file::{Kind, Seen};
use super::tapes::evidence_name;
use super::{Order, Recorder};
use crate::pipeline::{Analyser, Due, Evidence, Ward};
use contract::{BedId, Finding};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// A checkpoint every so many hops.
const CHECKPOINT_HOPS: u64 = 300;

/// One engine thread's end of the recorder.
pub struct Feed {
    recorder: Recorder,
    /// Beds with a checkpoint in this run.
    known: BTreeSet<BedId>,
    /// Beds of which something found no room since the last record.
    holes: BTreeSet<BedId>,
}

impl Feed {
    /// An end for one engine thread.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder, known: BTreeSet::new(), holes: BTreeSet::new() }
    }

    /// Records hops that are about to be analysed, each after a checkpoint where one is due: at a bed's first hop of
    /// this run, every five minutes, and after people changed what is held of the bed.
    pub fn hops(&mut self, due: &[Due], ward: &mut Ward, analyser: &Analyser) {
        for hop in due {
            let changed = ward.take_changed(&hop.bed);
            let fresh = !self.known.contains(&hop.bed);
            if (fresh || changed || hop.window.is_multiple_of(CHECKPOINT_HOPS))
                && let Some(body) = ward.checkpoint(&hop.bed, analyser)
                && self.put(&hop.bed, Kind::Checkpoint, body)
            {
                self.known.insert(hop.bed.clone());
            }
            self.put(&hop.bed, Kind::Hop, hop.to_bytes());
        }
    }

    /// Records what was seen and what alerts rest on.
    pub fn seen(&mut self, findings: &[Finding], evidence: Vec<Evidence>) {
        for finding in findings {
            self.put(&finding.bed, Kind::Seen, Seen::of(finding).to_bytes());
        }
        for Evidence { bed, id, rev, document } in evidence {
            self.give(Order::Evidence { bed, name: evidence_name(&id, rev), document });
        }
    }

    fn put(&mut self, bed: &BedId, kind: Kind, body: Vec<u8>) -> bool {
        if self.holes.contains(bed) {
            let hole = Order::Record { bed: bed.clone(), kind: Kind::Hole, body: Vec::new() };
            if !self.give(hole) {
                return false;
            }
            self.holes.remove(bed);
        }
        let given = self.give(Order::Record { bed: bed.clone(), kind, body });
        if !given {
            self.holes.insert(bed.clone());
        }
        given
    }

    fn give(&self, order: Order) -> bool {
        let given = self.recorder.orders.try_send(order).is_ok();
        if !given {
            self.recorder.health.lost.fetch_add(1, Ordering::Relaxed);
        }
        given
    }
}
