//! The other direction: a frame as a binary payload, for the monitor simulator and for tests.

use crate::head::{
    CLOCK_UNSYNCHRONISED, CRC, DEMO, FIRST, GAP_BEFORE, HEAD_BYTES, LEAD_OFF, MAGIC, NO_TIME, PACED,
    SITE_CODES, TEST, frame_bytes,
};
use contract::{Frame, LeadId, Mode};

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// 16-bit integers; −32768 = missing.
    I16,
    /// 32-bit integers; −2³¹ = missing.
    I32,
    /// 32-bit floats; NaN = missing.
    F32,
}

impl Sample {
    /// The type's code in the head.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::I16 => 1,
            Self::I32 => 2,
            Self::F32 => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::I16, Self::I32, Self::F32].into_iter().find(|s| s.code() == code)
    }

    pub(crate) fn bytes(self) -> usize {
        if self == Self::I16 { 2 } else { 4 }
    }
}

/// Why a frame has no binary form.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// Only the standard leads and `S64` … `S127` have codes.
    #[error("lead {0} has no code; I to V6 and S64 to S127 have")]
    Lead(LeadId),
    /// The sample count is a 16-bit number.
    #[error("{0} samples a lead; the binary frame holds at most 65535")]
    Length(usize),
    /// A value does not fit at this resolution.
    #[error("{mv} mV does not fit at {nv_per_lsb} nV per LSB")]
    Range {
        /// The value, in mV.
        mv: f32,
        /// The resolution, in nV.
        nv_per_lsb: u32,
    },
    /// The resolution is zero.
    #[error("nV per LSB must be above 0")]
    Resolution,
}

/// The lead as the binary frame can carry it: a standard lead keeps its standard name (`MLII` becomes `II`), any
/// other becomes `S64` + `place`, its place among the frame's leads.
///
/// # Panics
/// If `place` is above 63.
#[must_use]
pub fn carried_lead(lead: &LeadId, place: usize) -> LeadId {
    assert!(place < 64, "a frame has fewer leads");
    let name = lead.standard().map_or_else(|| format!("S{}", 64 + place), |i| LeadId::STANDARD[i].into());
    LeadId::new(&name).expect("a short name")
}

fn code(lead: LeadId) -> Result<u8, EncodeError> {
    let name = lead.as_str();
    let standard = LeadId::STANDARD.iter().position(|s| *s == name).map(|i| i as u8 + 1);
    let site = || name.strip_prefix('S')?.parse().ok().filter(|c| SITE_CODES.contains(c));
    standard.or_else(site).ok_or(EncodeError::Lead(lead))
}

/// One frame for `…/wave/bin`, with a checksum. With [`Sample::F32`] and 1,000,000 nV per LSB every bit of the
/// samples survives; with integers they are rounded to `nv_per_lsb`.
///
/// # Errors
/// [`EncodeError`] if a lead has no code or a value does not fit.
pub fn encode(frame: &Frame, sample: Sample, nv_per_lsb: u32) -> Result<Vec<u8>, EncodeError> {
    let parts = frame.parts();
    let length = u16::try_from(frame.length()).map_err(|_| EncodeError::Length(frame.length()))?;
    if nv_per_lsb == 0 {
        return Err(EncodeError::Resolution);
    }
    let (numerator, denominator) = parts.rate.parts();
    let mut out = Vec::with_capacity(frame_bytes(parts.leads.len(), frame.length(), sample, true));
    out.extend(MAGIC);
    out.extend([1, bits(frame), parts.leads.len() as u8, sample.code()]);
    out.extend(parts.seq.to_le_bytes());
    out.extend(parts.epoch.to_le_bytes());
    out.extend(parts.n0.to_le_bytes());
    out.extend(parts.t0.map_or(NO_TIME, |t| t.0.saturating_mul(1_000)).to_le_bytes());
    out.extend(numerator.to_le_bytes());
    // Bounded by `limits::RATE_DENOMINATOR_MAX`.
    out.extend((denominator as u16).to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(nv_per_lsb.to_le_bytes());
    for lead in &parts.leads {
        out.push(code(*lead)?);
    }
    out.resize(HEAD_BYTES + parts.leads.len().next_multiple_of(4), 0);
    for &mv in &parts.samples_mv {
        put(&mut out, mv, sample, nv_per_lsb)?;
    }
    let crc = crc32fast::hash(&out);
    out.extend(crc.to_le_bytes());
    Ok(out)
}

fn put(out: &mut Vec<u8>, mv: f32, sample: Sample, nv_per_lsb: u32) -> Result<(), EncodeError> {
    let lsb = f64::from(mv) / (f64::from(nv_per_lsb) / 1e6);
    let fits = |limit: i64| match lsb.round() as i64 {
        v if (-limit..=limit).contains(&v) => Ok(v),
        _ => Err(EncodeError::Range { mv, nv_per_lsb }),
    };
    match sample {
        Sample::I16 if mv.is_nan() => out.extend(i16::MIN.to_le_bytes()),
        Sample::I16 => out.extend((fits(i64::from(i16::MAX))? as i16).to_le_bytes()),
        Sample::I32 if mv.is_nan() => out.extend(i32::MIN.to_le_bytes()),
        Sample::I32 => out.extend((fits(i64::from(i32::MAX))? as i32).to_le_bytes()),
        Sample::F32 => out.extend((lsb as f32).to_le_bytes()),
    }
    Ok(())
}

fn bits(frame: &Frame) -> u8 {
    let flags = frame.parts().flags;
    let set = [
        (flags.first, FIRST),
        (flags.gap_before, GAP_BEFORE),
        (flags.lead_off, LEAD_OFF),
        (flags.clock_unsynchronised, CLOCK_UNSYNCHRONISED),
        (flags.paced, PACED),
        (true, CRC),
        (frame.parts().mode == Mode::Demo, DEMO),
        (frame.parts().mode == Mode::Test, TEST),
    ];
    set.iter().filter(|(on, _)| *on).fold(0, |all, (_, bit)| all | bit)
}
