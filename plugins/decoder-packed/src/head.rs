//! The head of a binary frame: fixed offsets, checked lengths, checksum.

use crate::encode::Sample;
use contract::limits::LEADS_MAX;
use contract::{DecodeError, Flags, LeadId, Mode, Ratio, UtcMs};

/// Length of the fixed part, in bytes.
pub(crate) const HEAD_BYTES: usize = 44;
/// What every frame begins with.
pub(crate) const MAGIC: [u8; 4] = *b"WBF1";
/// `t0` of a gateway without a clock.
pub(crate) const NO_TIME: i64 = i64::MIN;

pub(crate) const FIRST: u8 = 1;
pub(crate) const GAP_BEFORE: u8 = 2;
pub(crate) const LEAD_OFF: u8 = 4;
pub(crate) const CLOCK_UNSYNCHRONISED: u8 = 8;
pub(crate) const PACED: u8 = 16;
pub(crate) const CRC: u8 = 32;
pub(crate) const DEMO: u8 = 64;
pub(crate) const TEST: u8 = 128;

/// Lead codes that a site may define; they are named `S64` … `S127`.
pub(crate) const SITE_CODES: std::ops::RangeInclusive<u8> = 64..=127;

/// The head, with the payload's length already checked against it.
pub(crate) struct Head {
    pub epoch: u32,
    pub seq: u32,
    pub n0: u64,
    t0_us: i64,
    pub rate: Ratio,
    pub flags: Flags,
    pub mode: Mode,
    pub sample: Sample,
    pub nv_per_lsb: u32,
    pub leads: Vec<LeadId>,
    length: usize,
}

/// `N` bytes at `at`; the caller has checked the length.
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn form(why: impl Into<String>) -> DecodeError {
    DecodeError::Form(why.into())
}

impl Head {
    /// Reads and checks everything but the samples' values.
    pub fn read(b: &[u8]) -> Result<Self, DecodeError> {
        if b.len() < HEAD_BYTES {
            return Err(form(format!("{} bytes; a binary frame has at least {HEAD_BYTES}", b.len())));
        }
        if b[..4] != MAGIC {
            return Err(form("a binary frame begins with WBF1"));
        }
        if b[4] != 1 {
            return Err(DecodeError::Version(u64::from(b[4])));
        }
        let count = usize::from(b[6]);
        if !(1..=LEADS_MAX).contains(&count) {
            return Err(form(format!("{count} leads; a frame has 1 to {LEADS_MAX}")));
        }
        let sample = Sample::from_code(b[7])
            .ok_or_else(|| form(format!("sample type {} must be 1 (i16), 2 (i32) or 3 (f32)", b[7])))?;
        let length = usize::from(u16::from_le_bytes(take(b, 38)));
        let wanted = frame_bytes(count, length, sample, b[5] & CRC != 0);
        if b.len() != wanted {
            return Err(form(format!("{} bytes; the head announces {wanted}", b.len())));
        }
        check_crc(b)?;
        let nv_per_lsb = u32::from_le_bytes(take(b, 40));
        if nv_per_lsb == 0 {
            return Err(form("nV per LSB must be above 0"));
        }
        let denominator = u32::from(u16::from_le_bytes(take(b, 36)));
        Ok(Self {
            epoch: u32::from_le_bytes(take(b, 12)),
            seq: u32::from_le_bytes(take(b, 8)),
            n0: u64::from_le_bytes(take(b, 16)),
            t0_us: i64::from_le_bytes(take(b, 24)),
            rate: Ratio::new(u32::from_le_bytes(take(b, 32)), denominator)?,
            flags: flags(b[5]),
            mode: mode(b[5])?,
            sample,
            nv_per_lsb,
            leads: b[HEAD_BYTES..HEAD_BYTES + count].iter().map(|&c| lead(c)).collect::<Result<_, _>>()?,
            length,
        })
    }

    /// Wall time of the first sample, cut to milliseconds.
    pub fn t0(&self) -> Option<UtcMs> {
        (self.t0_us != NO_TIME).then(|| UtcMs(self.t0_us.div_euclid(1_000)))
    }

    /// Where the samples begin.
    pub fn samples_at(&self) -> usize {
        HEAD_BYTES + self.leads.len().next_multiple_of(4)
    }

    /// Where they end.
    pub fn samples_end(&self) -> usize {
        self.samples_at() + self.leads.len() * self.length * self.sample.bytes()
    }
}

/// Length of a whole frame.
pub(crate) fn frame_bytes(leads: usize, length: usize, sample: Sample, crc: bool) -> usize {
    HEAD_BYTES + leads.next_multiple_of(4) + leads * length * sample.bytes() + if crc { 4 } else { 0 }
}

fn check_crc(b: &[u8]) -> Result<(), DecodeError> {
    if b[5] & CRC == 0 {
        return Ok(());
    }
    let end = b.len() - 4;
    let (found, computed) = (u32::from_le_bytes(take(b, end)), crc32fast::hash(&b[..end]));
    if found == computed { Ok(()) } else { Err(DecodeError::Checksum { found, computed }) }
}

fn flags(bits: u8) -> Flags {
    Flags {
        first: bits & FIRST != 0,
        gap_before: bits & GAP_BEFORE != 0,
        lead_off: bits & LEAD_OFF != 0,
        clock_unsynchronised: bits & CLOCK_UNSYNCHRONISED != 0,
        paced: bits & PACED != 0,
    }
}

fn mode(bits: u8) -> Result<Mode, DecodeError> {
    match (bits & DEMO != 0, bits & TEST != 0) {
        (false, false) => Ok(Mode::Real),
        (true, false) => Ok(Mode::Demo),
        (false, true) => Ok(Mode::Test),
        (true, true) => Err(form("flags say demo (64) and test (128) at once")),
    }
}

fn lead(code: u8) -> Result<LeadId, DecodeError> {
    match code {
        1..=12 => Ok(LeadId::new(LeadId::STANDARD[usize::from(code) - 1])?),
        c if SITE_CODES.contains(&c) => Ok(LeadId::new(&format!("S{c}"))?),
        c => Err(form(format!("lead code {c} is not known; 1 to 12 and 64 to 127 are"))),
    }
}
