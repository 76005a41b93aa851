//! What a monitor sends: a few leads, the same stretch of time.

use crate::limits::{FRAME_SAMPLES_MAX, LEADS_MAX, SAMPLE_MV_MAX};
use crate::{BedId, LeadId, Ratio, UtcMs};
use serde::{Deserialize, Serialize};

/// Where the signal comes from; rides from the frame to every sink (HL7 MSH-11: P, T, D).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A patient.
    #[default]
    Real,
    /// A test message or test signal.
    Test,
    /// A simulated patient or a replayed recording.
    Demo,
}

/// What the gateway says about the frame (`docs/wire.md`, flags of the binary frame).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)] // Six independent bits of the wire format.
pub struct Flags {
    /// First frame of its epoch.
    pub first: bool,
    /// The gateway lost samples before this frame.
    pub gap_before: bool,
    /// At least one lead is off.
    pub lead_off: bool,
    /// The gateway's clock is not synchronised.
    pub clock_unsynchronised: bool,
    /// The patient is paced.
    pub paced: bool,
}

/// The parts of a frame before they are checked.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameParts {
    /// The bed that the topic names.
    pub bed: BedId,
    /// A fresh random number whenever the source's sample counter restarts.
    pub epoch: u32,
    /// Counts frames within the epoch.
    pub seq: u32,
    /// Index of the first sample since the epoch began: the only axis of time.
    pub n0: u64,
    /// Sampling rate of all leads.
    pub rate: Ratio,
    /// Wall time of sample `n0`; `None` where the gateway gives none.
    pub t0: Option<UtcMs>,
    /// The gateway's flags.
    pub flags: Flags,
    /// Real, test or demo.
    pub mode: Mode,
    /// The leads, in the order of `samples_mv`.
    pub leads: Vec<LeadId>,
    /// Millivolts, lead after lead, each `samples_mv.len() / leads.len()` long; NaN = missing.
    pub samples_mv: Vec<f32>,
}

/// A checked frame. Fields are private because shape and range were checked once, in [`Frame::new`].
#[derive(Debug, Clone, PartialEq)]
pub struct Frame(FrameParts);

/// Why a frame was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FrameFault {
    /// No lead, or too many.
    #[error("{0} leads; a frame has 1 to {LEADS_MAX}")]
    Leads(usize),
    /// A lead is named twice.
    #[error("lead {0} appears twice")]
    LeadTwice(LeadId),
    /// The leads' lengths differ.
    #[error("{samples} samples do not divide into {leads} leads of equal length")]
    Shape {
        /// Samples in all.
        samples: usize,
        /// Leads.
        leads: usize,
    },
    /// No sample, or too many.
    #[error("{0} samples a lead; a frame has 1 to {FRAME_SAMPLES_MAX}")]
    Length(usize),
    /// A sample that is infinite or far from any ECG.
    #[error("lead {lead} sample {index}: {value} mV is outside ±{SAMPLE_MV_MAX} mV")]
    Range {
        /// Its lead.
        lead: LeadId,
        /// Its place in the frame.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// The sample counter would overflow.
    #[error("sample index {0} leaves no room for the frame")]
    Index(u64),
}

impl Frame {
    /// Checks the parts.
    ///
    /// # Errors
    /// [`FrameFault`] names what is wrong. NaN is allowed (a missing sample); infinity is not.
    pub fn new(parts: FrameParts) -> Result<Self, FrameFault> {
        let leads = parts.leads.len();
        if !(1..=LEADS_MAX).contains(&leads) {
            return Err(FrameFault::Leads(leads));
        }
        for (i, lead) in parts.leads.iter().enumerate() {
            if parts.leads[..i].contains(lead) {
                return Err(FrameFault::LeadTwice(*lead));
            }
        }
        let samples = parts.samples_mv.len();
        if !samples.is_multiple_of(leads) {
            return Err(FrameFault::Shape { samples, leads });
        }
        let length = samples / leads;
        if !(1..=FRAME_SAMPLES_MAX).contains(&length) {
            return Err(FrameFault::Length(length));
        }
        let bad = |v: &f32| v.is_infinite() || v.abs() > SAMPLE_MV_MAX;
        if let Some(at) = parts.samples_mv.iter().position(bad) {
            return Err(FrameFault::Range {
                lead: parts.leads[at / length],
                index: at % length,
                value: parts.samples_mv[at],
            });
        }
        // Half the range: indices stay exact in every later product with a rate.
        if parts.n0 > u64::MAX >> 16 {
            return Err(FrameFault::Index(parts.n0));
        }
        Ok(Self(parts))
    }

    /// The checked parts, to read.
    #[must_use]
    pub fn parts(&self) -> &FrameParts {
        &self.0
    }

    /// The checked parts, to take apart.
    #[must_use]
    pub fn into_parts(self) -> FrameParts {
        self.0
    }

    /// The bed.
    #[must_use]
    pub fn bed(&self) -> &BedId {
        &self.0.bed
    }

    /// Samples per lead, at least 1.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.samples_mv.len() / self.0.leads.len()
    }

    /// Index after the last sample.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.0.n0 + self.length() as u64
    }

    /// The samples of the lead at `index` in [`FrameParts::leads`], in mV; NaN = missing.
    ///
    /// # Panics
    /// If `index` is not below the number of leads.
    #[must_use]
    pub fn lead_mv(&self, index: usize) -> &[f32] {
        let length = self.length();
        &self.0.samples_mv[index * length..(index + 1) * length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> FrameParts {
        FrameParts {
            bed: BedId::new("s/u/b").expect("valid"),
            epoch: 1,
            seq: 0,
            n0: 0,
            rate: Ratio::hz(250).expect("valid"),
            t0: None,
            flags: Flags::default(),
            mode: Mode::Real,
            leads: vec![LeadId::new("II").expect("valid"), LeadId::new("V1").expect("valid")],
            samples_mv: vec![0.0, f32::NAN, 1.0, 2.0],
        }
    }

    #[test]
    fn shape_and_range_are_checked_once() {
        let frame = Frame::new(parts()).expect("valid");
        assert_eq!((frame.length(), frame.end()), (2, 2));
        assert_eq!(frame.lead_mv(1), [1.0, 2.0]);
        let refuse = |change: fn(&mut FrameParts)| {
            let mut p = parts();
            change(&mut p);
            assert!(Frame::new(p).is_err());
        };
        refuse(|p| p.leads.clear());
        refuse(|p| p.leads[1] = p.leads[0]);
        refuse(|p| p.samples_mv.truncate(3));
        refuse(|p| p.samples_mv.clear());
        refuse(|p| p.samples_mv[2] = f32::INFINITY);
        refuse(|p| p.samples_mv[2] = 1e6);
        refuse(|p| p.n0 = u64::MAX);
    }
}
