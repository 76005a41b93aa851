//! One bed's samples: a ring of mV a lead by sample index since the epoch began; missing samples are NaN.
//!
//! Frames are put in order here. A frame that comes too early waits for at most [`REORDER_FRAMES_MAX`] others; then the
//! hole before it becomes missing samples. What has been accepted once is never changed.

use contract::limits::{FRAME_S_MAX, LEADS_MAX, REORDER_FRAMES_MAX, RING_S};
use contract::{Frame, LeadId, Ratio};
use ringbuf::LocalRb;
use ringbuf::storage::Heap;
use ringbuf::traits::Observer;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Its samples are in the ring, or wait for an earlier frame.
    Accepted,
    /// The same frame came before.
    Repeat,
    /// Its place was already given to missing samples.
    Late,
    /// It holds other samples than those already accepted for the same indices; the first are kept.
    Conflict,
    /// The frame is longer than [`FRAME_S_MAX`].
    TooLong,
}

struct Lead {
    name: LeadId,
    ring: LocalRb<Heap<f32>>,
    /// Index after the newest sample that was not missing.
    heard_to: u64,
}

/// The rings of one bed and one epoch; all leads end at the same index.
pub(super) struct Ring {
    rate: Ratio,
    capacity: usize,
    leads: Vec<Lead>,
    /// Index after the newest accepted sample; `None` before the first frame.
    end: Option<u64>,
    waiting: Vec<Frame>,
    /// Holes that became missing samples.
    pub gaps: u64,
}

impl Ring {
    pub fn new(rate: Ratio) -> Self {
        let capacity = rate.samples_in(u64::from(RING_S)) as usize;
        Self { rate, capacity, leads: Vec::new(), end: None, waiting: Vec::new(), gaps: 0 }
    }

    /// The rate of the epoch.
    pub fn rate(&self) -> Ratio {
        self.rate
    }

    /// Index after the newest accepted sample.
    pub fn end(&self) -> Option<u64> {
        self.end
    }

    /// Index of the oldest sample that is still here.
    pub fn start(&self) -> u64 {
        let held = self.leads.first().map_or(0, |l| l.ring.occupied_len() as u64);
        self.end.unwrap_or(0) - held
    }

    /// The leads, as the monitor names them, in the order in which they appeared.
    pub fn leads(&self) -> impl Iterator<Item = LeadId> + '_ {
        self.leads.iter().map(|l| l.name)
    }

    /// Takes one frame of this epoch and rate; frames that waited for it follow it in.
    pub fn take(&mut self, frame: Frame) -> Taken {
        if frame.length() as u64 > self.rate.samples_in(u64::from(FRAME_S_MAX)) {
            return Taken::TooLong;
        }
        let n0 = frame.parts().n0;
        let end = *self.end.get_or_insert(n0);
        if frame.end() <= end {
            return self.compare(&frame, end);
        }
        if n0 > end && !frame.parts().flags.gap_before {
            return self.wait(frame);
        }
        let taken = if n0 < end { self.compare(&frame, end) } else { Taken::Accepted };
        self.append(&frame);
        self.follow();
        if taken == Taken::Conflict { taken } else { Taken::Accepted }
    }

    fn wait(&mut self, frame: Frame) -> Taken {
        let n0 = frame.parts().n0;
        match self.waiting.binary_search_by_key(&n0, |f| f.parts().n0) {
            Ok(at) if same(self.waiting[at].parts().samples_mv.iter(), frame.parts().samples_mv.iter()) => {
                return Taken::Repeat;
            }
            Ok(_) => return Taken::Conflict,
            Err(at) => self.waiting.insert(at, frame),
        }
        if self.waiting.len() > REORDER_FRAMES_MAX {
            let first = self.waiting.remove(0);
            self.append(&first);
            self.follow();
        }
        Taken::Accepted
    }

    /// Lets in the waiting frames whose turn has come.
    fn follow(&mut self) {
        while self.waiting.first().is_some_and(|f| Some(f.parts().n0) <= self.end) {
            let next = self.waiting.remove(0);
            if Some(next.end()) > self.end {
                self.append(&next);
            }
        }
    }

    /// Judges the part of a frame that lies before `end` against what was accepted for it.
    fn compare(&mut self, frame: &Frame, end: u64) -> Taken {
        let start = self.start();
        let (from, to) = (frame.parts().n0.max(start), frame.end().min(end));
        if from >= to {
            return Taken::Late;
        }
        let skip = (from - frame.parts().n0) as usize;
        let length = (to - from) as usize;
        let mut filled = true;
        for (i, name) in frame.parts().leads.iter().enumerate() {
            let new = &frame.lead_mv(i)[skip..skip + length];
            let Some(lead) = self.leads.iter_mut().find(|l| l.name == *name) else { return Taken::Conflict };
            let old = read_lead(lead, start, from, to);
            if old.iter().all(|v| v.is_nan()) {
                continue;
            }
            filled = false;
            if !same(old.iter(), new.iter()) {
                return Taken::Conflict;
            }
        }
        if filled { Taken::Late } else { Taken::Repeat }
    }

    /// Appends what lies at or after the end; the hole before it becomes missing.
    fn append(&mut self, frame: &Frame) {
        let n0 = frame.parts().n0;
        let end = self.end.unwrap_or(n0);
        self.admit(frame);
        if n0 > end {
            self.gaps += 1;
            let hole = (n0 - end).min(self.capacity as u64) as usize;
            for lead in &mut self.leads {
                lead.ring.push_iter_overwrite(std::iter::repeat_n(f32::NAN, hole));
            }
        }
        let skip = end.saturating_sub(n0) as usize;
        let fresh = frame.length() - skip;
        for lead in &mut self.leads {
            match frame.parts().leads.iter().position(|name| *name == lead.name) {
                Some(i) => {
                    let samples = &frame.lead_mv(i)[skip..];
                    lead.ring.push_slice_overwrite(samples);
                    if let Some(last) = samples.iter().rposition(|v| !v.is_nan()) {
                        lead.heard_to = n0 + (skip + last) as u64 + 1;
                    }
                }
                None => lead.ring.push_iter_overwrite(std::iter::repeat_n(f32::NAN, fresh)),
            }
        }
        self.end = Some(frame.end());
    }

    /// Makes room for the leads of a frame; a lead unheard for a whole ring goes, so that a monitor that was set to
    /// other leads does not keep its old ones as missing for ever.
    fn admit(&mut self, frame: &Frame) {
        let names = &frame.parts().leads;
        let oldest = self.start();
        let end = self.end.unwrap_or(oldest);
        if end - oldest >= self.capacity as u64 {
            self.leads.retain(|l| names.contains(&l.name) || l.heard_to > oldest);
        }
        let held = (end - oldest) as usize;
        for name in names {
            if self.leads.iter().any(|l| l.name == *name) {
                continue;
            }
            if self.leads.len() == LEADS_MAX {
                self.leads.retain(|l| names.contains(&l.name));
            }
            let mut ring = LocalRb::<Heap<f32>>::new(self.capacity);
            ring.push_iter_overwrite(std::iter::repeat_n(f32::NAN, held));
            self.leads.push(Lead { name: *name, ring, heard_to: end });
        }
    }

    /// Samples `from..to` of the lead at `index`; what is no longer or not yet here is NaN.
    pub fn read(&mut self, index: usize, from: u64, to: u64) -> Vec<f32> {
        let start = self.start();
        read_lead(&mut self.leads[index], start, from, to)
    }
}

/// Samples `from..to` of a lead whose oldest sample has the index `start`.
fn read_lead(lead: &mut Lead, start: u64, from: u64, to: u64) -> Vec<f32> {
    let (older, newer) = lead.ring.as_slices();
    let held = (older.len() + newer.len()) as u64;
    let before = start.clamp(from, to) - from;
    let (first, last) = ((from + before).saturating_sub(start).min(held), to.saturating_sub(start).min(held));
    let (first, last, border) = (first as usize, last as usize, older.len());
    let mut out = Vec::with_capacity((to - from) as usize);
    out.resize(before as usize, f32::NAN);
    out.extend_from_slice(&older[first.min(border)..last.min(border)]);
    out.extend_from_slice(&newer[first.max(border) - border..last.max(border) - border]);
    out.resize((to - from) as usize, f32::NAN);
    out
}

fn same<'a>(a: impl Iterator<Item = &'a f32>, b: impl Iterator<Item = &'a f32>) -> bool {
    a.map(|v| v.to_bits()).eq(b.map(|v| v.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{BedId, Flags, FrameParts, Mode};

    fn frame(n0: u64, samples: &[f32]) -> Frame {
        Frame::new(FrameParts {
            bed: BedId::new("s/u/b").expect("valid"),
            epoch: 1,
            seq: 0,
            n0,
            rate: Ratio::hz(100).expect("valid"),
            t0: None,
            flags: Flags::default(),
            mode: Mode::Real,
            leads: vec![LeadId::new("II").expect("valid")],
            samples_mv: samples.to_vec(),
        })
        .expect("valid")
    }

    fn ring() -> Ring {
        Ring::new(Ratio::hz(100).expect("valid"))
    }

    #[test]
    fn an_early_frame_waits_and_follows() {
        let mut r = ring();
        assert_eq!(r.take(frame(10, &[1.0, 2.0])), Taken::Accepted);
        assert_eq!(r.take(frame(14, &[5.0, 6.0])), Taken::Accepted);
        assert_eq!(r.end(), Some(12));
        assert_eq!(r.take(frame(12, &[3.0, 4.0])), Taken::Accepted);
        assert_eq!((r.end(), r.gaps), (Some(16), 0));
        assert_eq!(r.read(0, 10, 16), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_hole_becomes_missing_after_two_frames_waited() {
        let mut r = ring();
        for n0 in [0, 4, 6, 8] {
            assert_eq!(r.take(frame(n0, &[n0 as f32; 2])), Taken::Accepted);
        }
        assert_eq!((r.end(), r.gaps), (Some(10), 1));
        assert!(r.read(0, 2, 4).iter().all(|v| v.is_nan()));
        assert_eq!(r.take(frame(2, &[2.0; 2])), Taken::Late);
        assert!(r.read(0, 2, 4).iter().all(|v| v.is_nan()), "what was accepted stays");
    }

    #[test]
    fn repeats_and_conflicts_are_told_apart() {
        let mut r = ring();
        r.take(frame(0, &[1.0, 2.0, 3.0]));
        assert_eq!(r.take(frame(0, &[1.0, 2.0, 3.0])), Taken::Repeat);
        assert_eq!(r.take(frame(1, &[2.0, 9.0])), Taken::Conflict);
        assert_eq!(r.take(frame(2, &[3.0, 4.0])), Taken::Accepted);
        assert_eq!(r.take(frame(3, &[8.0, 5.0])), Taken::Conflict);
        assert_eq!(r.read(0, 0, 5), [1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_far_jump_costs_one_ring_and_no_more() {
        let mut r = ring();
        r.take(frame(0, &[1.0; 5]));
        for k in 0..3 {
            r.take(frame(1 << 40 | (k * 5), &[2.0; 5]));
        }
        assert_eq!(r.end(), Some((1 << 40) + 15));
        assert_eq!(r.start(), (1 << 40) + 15 - 1_200);
    }
}
