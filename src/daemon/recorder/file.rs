//! The form of a recording (`docs/recorder.md`): a head, then records, each with its length, kind and checksum.

use contract::BedId;
use std::io::Read;
use std::path::Path;

const MAGIC: &[u8; 4] = b"WBR1";
/// A record's length, kind and checksum.
const FRAME_BYTES: usize = 9;
/// No record is longer.
const BODY_BYTES_MAX: usize = 16 << 20;
/// No file is longer.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One second of accepted signal.
    Hop,
    /// The state of analysis and decision before the next hop.
    Checkpoint,
    /// What the analysis saw in a hop.
    Seen,
    /// Records are missing here: the disk was full or slow.
    Hole,
    /// The document of an alert's evidence.
    Evidence,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Hop, Self::Checkpoint, Self::Seen, Self::Hole, Self::Evidence];

    fn code(self) -> u8 {
        self as u8 + 1
    }

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it holds.
    pub kind: Kind,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A recording as read.
#[derive(Debug)]
pub struct Reading {
    /// The bed.
    pub bed: BedId,
    /// The records up to the first that is damaged or cut.
    pub records: Vec<Record>,
    /// Where the records that can be read end.
    pub whole_bytes: u64,
    /// Bytes after that: a torn tail.
    pub torn_bytes: u64,
}

/// The head of a file.
pub fn head(bed: &BedId) -> Vec<u8> {
    let name = bed.as_str().as_bytes();
    [MAGIC.as_slice(), &(name.len() as u16).to_le_bytes(), name].concat()
}

/// Appends one record.
pub fn push(to: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&[kind.code()]);
    checksum.update(body);
    to.extend_from_slice(&(body.len() as u32).to_le_bytes());
    to.push(kind.code());
    to.extend_from_slice(body);
    to.extend_from_slice(&checksum.finalize().to_le_bytes());
}

/// The first record of `bytes` and its length in the file; `None` where it is cut or damaged. Kinds of a later version
/// are passed over by their length: `Some((None, …))`.
fn first(bytes: &[u8]) -> Option<(Option<Record>, usize)> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    if length > BODY_BYTES_MAX {
        return None;
    }
    let code = *bytes.get(4)?;
    let body = bytes.get(5..5 + length)?;
    let found = u32::from_le_bytes(bytes.get(5 + length..FRAME_BYTES + length)?.try_into().ok()?);
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&bytes[4..5 + length]);
    let record = Kind::of(code).map(|kind| Record { kind, body: body.to_vec() });
    (checksum.finalize() == found).then_some((record, FRAME_BYTES + length))
}

/// Reads the records of a file's bytes.
///
/// # Errors
/// In words, where it is no recording.
pub fn parse(bytes: &[u8]) -> Result<Reading, String> {
    let head = || {
        let length = u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?) as usize;
        let name = std::str::from_utf8(bytes.get(6..6 + length)?).ok()?;
        Some((BedId::new(name).ok()?, 6 + length))
    };
    let no = || "is no recording of Wardbeat (WBR1)".to_owned();
    let (bed, mut at) = bytes.starts_with(MAGIC).then(head).flatten().ok_or_else(no)?;
    let mut records = Vec::new();
    while let Some((record, length)) = first(&bytes[at..]) {
        records.extend(record);
        at += length;
    }
    Ok(Reading { bed, records, whole_bytes: at as u64, torn_bytes: (bytes.len() - at) as u64 })
}

/// Reads a file.
///
/// # Errors
/// In words, with the path.
pub fn read(path: &Path) -> Result<Reading, String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(told)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(told)?;
    parse(&bytes).map_err(|e| format!("{} {e}", path.display()))
}

/// What the analysis saw in one hop, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The epoch of the indices.
    pub epoch: u32,
    /// The hop.
    pub window: u64,
    /// Why there is no reading: the word of `contract::NotRead`; empty = there is one.
    pub not_read: &'static str,
    /// Share of the window's samples that were there.
    pub coverage: f32,
    /// Mean entropy and novelty of the window.
    pub entropy: f32,
    pub novelty: f32,
    /// The cluster of each step that became complete.
    pub clusters: Vec<u8>,
}

/// Words for [`Seen::not_read`], by their code.
const NOT_READ: [&str; 6] = ["", "coverage", "signal", "warming", "lead-set", "fault"];

impl Seen {
    /// The record of a finding.
    pub fn of(finding: &contract::Finding) -> Self {
        use contract::NotRead;
        let not_read = match finding.reading {
            Ok(_) => 0,
            Err(NotRead::Coverage) => 1,
            Err(NotRead::Signal) => 2,
            Err(NotRead::Warming) => 3,
            Err(NotRead::LeadSet) => 4,
            Err(NotRead::Fault) => 5,
        };
        let reading = finding.reading.as_ref().ok();
        Self {
            epoch: finding.epoch,
            window: finding.window,
            not_read: NOT_READ[not_read],
            coverage: finding.coverage,
            entropy: reading.map_or(f32::NAN, |r| r.window_entropy),
            novelty: reading.map_or(f32::NAN, |r| r.window_novelty),
            clusters: reading.map_or_else(Vec::new, |r| r.cluster.clone()),
        }
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let code = NOT_READ.iter().position(|w| *w == self.not_read).unwrap_or(0) as u8;
        let mut out = self.epoch.to_le_bytes().to_vec();
        out.extend_from_slice(&self.window.to_le_bytes());
        out.push(code);
        for value in [self.coverage, self.entropy, self.novelty] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&self.clusters);
        out
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(f32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            epoch: u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?),
            window: u64::from_le_bytes(bytes.get(4..12)?.try_into().ok()?),
            not_read: NOT_READ.get(usize::from(*bytes.get(12)?)).copied()?,
            coverage: number(13)?,
            entropy: number(17)?,
            novelty: number(21)?,
            clusters: bytes.get(25..)?.to_vec(),
        })
    }
}
