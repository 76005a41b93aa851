//! A record in memory, proven against its header.

use crate::error::{RecordError, read_bounded};
use crate::header::{Header, Signal};
use crate::limits::{FOLDER_DEPTH_MAX, HEADER_BYTES_MAX, RECORDS_MAX, SIGNAL_BYTES_MAX};
use contract::{Ratio, TimeFault};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A record whose samples agree with the checksums and initial values of its header.
///
/// Private field: the counts, one signal after the other, `length` each.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Name as in the header.
    pub name: String,
    /// Samples per second and signal.
    pub rate_hz: f64,
    /// Samples per signal.
    pub length: usize,
    /// The signals in the header's order.
    pub signals: Vec<Signal>,
    /// Comment lines without `#`; cinc2015 keeps alarm and verdict here, LUDB the findings.
    pub comments: Vec<String>,
    counts: Vec<i16>,
}

impl Record {
    /// Reads header and signal files. `path` may end in `.hea` or leave it out.
    ///
    /// # Errors
    /// [`RecordError`] for files that are missing, malformed, too short or of a form that is not read, and for
    /// samples that disagree with the header's initial value or checksum.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let header_path = with_hea(path);
        let text = read_bounded(&header_path, HEADER_BYTES_MAX)?;
        let header = Header::parse(&String::from_utf8_lossy(&text), &header_path)?;
        let folder = header_path.parent().unwrap_or(Path::new("."));
        let mut counts = Vec::new();
        let mut length = header.length;
        let mut first = 0;
        // Neighbours that share a file are interleaved in it.
        for group in header.signals.chunk_by(|a, b| a.file == b.file) {
            let file = folder.join(&group[0].file);
            if group.iter().any(|s| (s.format, s.offset) != (group[0].format, group[0].offset)) {
                let line = 2 + first;
                let why = format!("the signals in {:?} differ in format or offset", group[0].file);
                return Err(RecordError::Header { path: header_path, line, why });
            }
            let size = read_group(&file, group, length, &mut counts)?;
            length = Some(size);
            first += group.len();
        }
        let length = length.unwrap_or(0) as usize;
        let Header { name, rate_hz, signals, comments, .. } = header;
        let record = Self { name, rate_hz, length, signals, comments, counts };
        record.prove(folder)?;
        Ok(record)
    }

    /// The rate as an exact ratio.
    ///
    /// # Errors
    /// [`TimeFault`] for a rate that a frame cannot carry (below 50 Hz, above 2,000 Hz, too odd).
    pub fn rate(&self) -> Result<Ratio, TimeFault> {
        Ratio::from_f64(self.rate_hz)
    }

    /// The counts of signal `i`, as stored.
    ///
    /// # Panics
    /// If there is no signal `i`.
    #[must_use]
    pub fn raw(&self, i: usize) -> &[i16] {
        assert!(i < self.signals.len(), "record {} has no signal {i}", self.name);
        &self.counts[i * self.length..(i + 1) * self.length]
    }

    /// Signal `i` in its own units (`signals[i].units`); a missing sample is NaN.
    ///
    /// # Panics
    /// If there is no signal `i`.
    #[must_use]
    pub fn physical(&self, i: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.length);
        self.scale_into(i, 0..self.length, 1.0, &mut out);
        out
    }

    /// Signal `i` in mV, a missing sample as NaN; `None` where the signal is no voltage.
    ///
    /// # Panics
    /// If there is no signal `i`.
    #[must_use]
    pub fn signal_mv(&self, i: usize) -> Option<Vec<f32>> {
        let mut out = Vec::with_capacity(self.length);
        self.extend_mv(i, 0..self.length, &mut out).then_some(out)
    }

    /// Appends samples `range` of signal `i` in mV to `out`, cut to the record's length. `false`, with nothing
    /// appended, where the signal is no voltage.
    ///
    /// # Panics
    /// If there is no signal `i`.
    pub fn extend_mv(&self, i: usize, range: Range<usize>, out: &mut Vec<f32>) -> bool {
        let Some(mv_per_unit) = self.signals[i].mv_per_unit() else { return false };
        self.scale_into(i, range, mv_per_unit, out);
        true
    }

    fn scale_into(&self, i: usize, range: Range<usize>, factor: f64, out: &mut Vec<f32>) {
        let signal = &self.signals[i];
        let missing = signal.format.missing();
        let range = range.start.min(self.length)..range.end.min(self.length);
        let per_count = factor / signal.gain;
        let baseline = f64::from(signal.baseline);
        out.extend(self.raw(i).get(range).unwrap_or_default().iter().map(|&count| {
            if count == missing { f32::NAN } else { ((f64::from(count) - baseline) * per_count) as f32 }
        }));
    }

    /// Compares first sample and 16-bit sum of every signal with the header.
    fn prove(&self, folder: &Path) -> Result<(), RecordError> {
        for (i, signal) in self.signals.iter().enumerate() {
            let raw = self.raw(i);
            let at = || (folder.join(&signal.file), signal.name.clone());
            if let (Some(expected), Some(&found)) = (signal.initial, raw.first())
                && expected != i32::from(found)
            {
                let (path, lead) = at();
                return Err(RecordError::Initial { path, lead, expected, found: i32::from(found) });
            }
            let found = raw.iter().fold(0_i16, |sum, &count| sum.wrapping_add(count));
            if let Some(expected) = signal.checksum
                && expected != found
            {
                let (path, lead) = at();
                return Err(RecordError::Checksum { path, lead, expected, found });
            }
        }
        Ok(())
    }
}

/// Appends the samples of one file to `counts`; returns the samples per signal.
fn read_group(
    file: &Path,
    group: &[Signal],
    length: Option<u64>,
    counts: &mut Vec<i16>,
) -> Result<u64, RecordError> {
    let bytes = read_bounded(file, SIGNAL_BYTES_MAX)?;
    let Signal { format, offset, .. } = group[0];
    let body = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
    let body =
        body.ok_or_else(|| RecordError::content(file, format!("ends before its offset of {offset} bytes")))?;
    let signals = group.len() as u64;
    let length = length.unwrap_or_else(|| format.samples(body.len() as u64) / signals);
    let wanted = length.checked_mul(signals).and_then(|n| format.bytes(n));
    if wanted.is_none_or(|wanted| wanted > body.len() as u64) {
        let why = format!(
            "{signals} signals of {length} samples announced, the file holds {} samples",
            format.samples(body.len() as u64)
        );
        return Err(RecordError::content(file, why));
    }
    if length > 0 {
        let first = counts.len();
        counts.resize(first + (length * signals) as usize, 0);
        format.decode(body, group.len(), &mut counts[first..]);
    }
    Ok(length)
}

fn with_hea(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|e| e == "hea") {
        return path.to_owned();
    }
    // Not `with_extension`: a record's name may hold a dot.
    let mut name = path.as_os_str().to_owned();
    name.push(".hea");
    name.into()
}

/// The records below `folder` (by their headers), sorted, as paths without `.hea`.
///
/// # Errors
/// [`RecordError::Io`] if a folder cannot be read, [`RecordError::Content`] above the limits on depth and count.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let io = |source| RecordError::Io { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|e| e == "hea") {
                found.push(path.with_extension(""));
            } else if path.is_dir() {
                open.push((path, depth + 1));
            }
        }
        if depth > FOLDER_DEPTH_MAX || found.len() > RECORDS_MAX {
            return Err(RecordError::content(&folder, "too deep or too many records; name a folder below"));
        }
    }
    found.sort();
    Ok(found)
}
