//! A small writer: records in format 16 and annotation files, for exports and tests.

use crate::annotation::{Annotation, with_extension};
use crate::error::RecordError;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A record to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft<'a> {
    /// Record name: letters, digits, `_` and `-`.
    pub name: &'a str,
    /// Samples per second and lead.
    pub rate_hz: f64,
    /// Counts per mV, for instance 1000.
    pub gain_per_mv: f64,
    /// Lead names.
    pub leads: &'a [&'a str],
    /// `[lead][sample]` in mV, all of one length; NaN means missing.
    pub samples_mv: &'a [Vec<f32>],
    /// Comment lines without `#`.
    pub comments: &'a [&'a str],
}

impl Draft<'_> {
    /// Writes `NAME.hea` and `NAME.dat` into `folder`; returns the path without extension. Values beyond the
    /// range of 16 bits are clipped.
    ///
    /// # Errors
    /// [`RecordError::Io`] if a file cannot be written, [`RecordError::Content`] for a bad name or ragged samples.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, RecordError> {
        let path = folder.join(self.name);
        let (header, signal) = self.bytes()?;
        save(&with_extension(&path, "dat"), &signal)?;
        save(&with_extension(&path, "hea"), header.as_bytes())?;
        Ok(path)
    }

    /// The header's text and the signal file's bytes.
    ///
    /// # Errors
    /// [`RecordError::Content`] for a bad name or ragged samples.
    pub fn bytes(&self) -> Result<(String, Vec<u8>), RecordError> {
        let length = self.samples_mv.first().map_or(0, Vec::len);
        let named = !self.name.is_empty()
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !named
            || self.leads.len() != self.samples_mv.len()
            || self.samples_mv.iter().any(|s| s.len() != length)
        {
            return Err(RecordError::content(
                Path::new(self.name),
                "wants a plain name and one row of equal length for each lead",
            ));
        }
        let counts: Vec<Vec<i16>> =
            self.samples_mv.iter().map(|row| row.iter().map(|&mv| self.count(mv)).collect()).collect();
        let mut header = format!("{} {} {} {length}\n", self.name, self.leads.len(), self.rate_hz);
        for (lead, row) in self.leads.iter().zip(&counts) {
            let sum = row.iter().fold(0_i16, |sum, &count| sum.wrapping_add(count));
            let first = row.first().copied().unwrap_or(0);
            let _ = writeln!(
                header,
                "{}.dat 16 {}(0)/mV 16 0 {first} {sum} 0 {lead}",
                self.name, self.gain_per_mv
            );
        }
        for comment in self.comments {
            let _ = writeln!(header, "# {}", comment.replace(['\n', '\r'], " "));
        }
        let bytes: Vec<u8> =
            (0..length).flat_map(|t| counts.iter().flat_map(move |row| row[t].to_le_bytes())).collect();
        Ok((header, bytes))
    }

    fn count(&self, mv: f32) -> i16 {
        if mv.is_nan() {
            return i16::MIN;
        }
        // The lowest count is kept for "missing".
        (f64::from(mv) * self.gain_per_mv).round().clamp(f64::from(i16::MIN + 1), f64::from(i16::MAX)) as i16
    }
}

/// Writes `RECORD.EXTENSION` in the MIT layout; `marks` must be in ascending order of sample.
///
/// # Errors
/// [`RecordError::Io`] if the file cannot be written, [`RecordError::Content`] for marks out of order, codes
/// outside 1 to 49 or a text longer than 255 bytes.
pub fn write_annotations(record: &Path, extension: &str, marks: &[Annotation]) -> Result<(), RecordError> {
    let path = with_extension(record, extension);
    let mut bytes = Vec::with_capacity(marks.len() * 4);
    let mut word = |code: u8, value: u16, tail: &[u8]| {
        bytes.extend_from_slice(&((u16::from(code) << 10) | (value & 0x3ff)).to_le_bytes());
        bytes.extend_from_slice(tail);
    };
    let (mut at, mut num, mut channel) = (0, 0, 0);
    for mark in marks {
        let gap = mark.sample.checked_sub(at).and_then(|gap| i32::try_from(gap).ok());
        let (Some(gap), 1..=49, 0..=255) = (gap, mark.code, mark.aux.len()) else {
            return Err(RecordError::content(
                &path,
                format!("the mark at sample {} cannot be written", mark.sample),
            ));
        };
        at = mark.sample;
        if gap < 0x400 {
            word(mark.code, gap as u16, &[]);
        } else {
            let [a, b, c, d] = gap.to_le_bytes();
            word(59, 0, &[c, d, a, b]);
            word(mark.code, 0, &[]);
        }
        if mark.subtype != 0 {
            word(61, u16::from(mark.subtype as u8), &[]);
        }
        if mark.channel != channel {
            channel = mark.channel;
            word(62, u16::from(channel), &[]);
        }
        if mark.num != num {
            num = mark.num;
            word(60, u16::from(num as u8), &[]);
        }
        if !mark.aux.is_empty() {
            let pad = &[0][..mark.aux.len() % 2];
            word(63, mark.aux.len() as u16, &[mark.aux.as_bytes(), pad].concat());
        }
    }
    word(0, 0, &[]);
    save(&path, &bytes)
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    std::fs::write(path, bytes).map_err(|source| RecordError::Io { path: path.to_owned(), source })
}
