//! Annotation files of the MIT layout: beats, rhythm changes, wave borders.

use crate::error::{RecordError, read_bounded};
use crate::limits::ANNOTATION_BYTES_MAX;
use std::path::Path;

/// One mark in a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotation {
    /// Where, in samples from the record's start.
    pub sample: u64,
    /// The code as stored, 1 to 49.
    pub code: u8,
    /// Subtype, 0 by default.
    pub subtype: i8,
    /// The signal it belongs to.
    pub channel: u8,
    /// A number of the annotator's meaning; the QT database tells the wave of a border here (P 0, QRS 1, T 2), LUDB
    /// leaves it 0.
    pub num: i8,
    /// Free text, for instance the rhythm `(AFIB`.
    pub aux: String,
}

const SKIP: u8 = 59;
const NUM: u8 = 60;
const SUB: u8 = 61;
const CHN: u8 = 62;
const AUX: u8 = 63;

/// The mnemonics of codes 0 to 41; codes without one are empty.
const SYMBOLS: [&str; 42] = [
    "", "N", "L", "R", "a", "V", "F", "J", "A", "S", "E", "j", "/", "Q", "~", "", "|", "", "s", "T", "*",
    "D", "\"", "=", "p", "B", "^", "t", "+", "u", "?", "!", "[", "]", "e", "n", "@", "x", "f", "(", ")", "r",
];

impl Annotation {
    /// The code's mnemonic (`N`, `V`, `+`, `(`), empty for codes without one.
    #[must_use]
    pub fn symbol(&self) -> &'static str {
        SYMBOLS.get(self.code as usize).copied().unwrap_or("")
    }

    /// Whether it marks a heart beat.
    #[must_use]
    pub fn is_beat(&self) -> bool {
        matches!(self.code, 1..=13 | 25 | 30 | 34 | 35 | 38 | 41)
    }

    /// The code of a mnemonic.
    #[must_use]
    pub fn code_of(symbol: &str) -> Option<u8> {
        SYMBOLS.iter().position(|s| !s.is_empty() && *s == symbol).map(|code| code as u8)
    }
}

/// Reads `RECORD.EXTENSION`; `record` is the path without (or with) `.hea`.
///
/// # Errors
/// [`RecordError`] if the file is missing, too large or not of the MIT layout.
pub fn annotations(record: &Path, extension: &str) -> Result<Vec<Annotation>, RecordError> {
    let path = with_extension(record, extension);
    parse_annotations(&read_bounded(&path, ANNOTATION_BYTES_MAX)?, &path)
}

pub(crate) fn with_extension(record: &Path, extension: &str) -> std::path::PathBuf {
    let stem =
        if record.extension().is_some_and(|e| e == "hea") { &record.with_extension("") } else { record };
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Parses the bytes of an annotation file; `path` is for the error's text only.
///
/// # Errors
/// [`RecordError::Content`] with the byte where the layout breaks.
pub fn parse_annotations(bytes: &[u8], path: &Path) -> Result<Vec<Annotation>, RecordError> {
    let mut found: Vec<Annotation> = Vec::with_capacity(bytes.len() / 4);
    let (mut at, mut sample) = (0_usize, 0_i64);
    let (mut channel, mut num) = (0, 0);
    loop {
        let fault = |why: &str| RecordError::content(path, format!("byte {at}: {why}"));
        let word = bytes.get(at..at + 2).ok_or_else(|| fault("the file ends without its end mark"))?;
        let word = u16::from_le_bytes([word[0], word[1]]);
        let (code, value) = ((word >> 10) as u8, word & 0x3ff);
        let last = || fault("a modifier stands before any annotation");
        let mut step = 2;
        match code {
            0 if value == 0 => return Ok(found),
            SKIP => {
                let long = bytes.get(at + 2..at + 6).ok_or_else(|| fault("the file ends within a skip"))?;
                // A PDP-11 long: high word first, each word little endian.
                sample += i64::from(i32::from_le_bytes([long[2], long[3], long[0], long[1]]));
                step = 6;
            }
            NUM => {
                num = value as i8;
                found.last_mut().ok_or_else(last)?.num = num;
            }
            SUB => found.last_mut().ok_or_else(last)?.subtype = value as i8,
            CHN => {
                channel = value as u8;
                found.last_mut().ok_or_else(last)?.channel = channel;
            }
            AUX => {
                let length = usize::from(value & 0xff);
                let text =
                    bytes.get(at + 2..at + 2 + length).ok_or_else(|| fault("the file ends within a text"))?;
                let aux: String = text.iter().map(|&b| char::from(b)).collect();
                let aux = aux.trim_end_matches('\0').to_owned();
                if aux.starts_with("## time resolution") {
                    return Err(fault("annotations with a time resolution of their own are not read"));
                }
                found.last_mut().ok_or_else(last)?.aux = aux;
                step = 2 + length + length % 2;
            }
            _ => {
                sample += i64::from(value);
                let sample =
                    u64::try_from(sample).map_err(|_| fault("an annotation before the first sample"))?;
                found.push(Annotation { sample, code, channel, num, ..Annotation::default() });
            }
        }
        at += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(code: u8, value: u16) -> [u8; 2] {
        ((u16::from(code) << 10) | value).to_le_bytes()
    }

    #[test]
    fn skips_and_modifiers_belong_where_wfdb_puts_them() {
        let bytes = [
            &word(28, 18)[..],
            &word(AUX, 3),
            b"(N\0\0",
            &word(1, 59),
            &word(NUM, 2),
            &word(CHN, 1),
            &word(SUB, 0xff),
            &word(SKIP, 0),
            &[1, 0, 0x10, 0x00],
            &word(5, 4),
            &word(0, 0),
        ]
        .concat();
        let found = parse_annotations(&bytes, Path::new("x.atr")).expect("valid");
        let [rhythm, beat, late] = &found[..] else { panic!("{found:?}") };
        assert_eq!((rhythm.sample, rhythm.symbol(), rhythm.aux.as_str()), (18, "+", "(N"));
        assert_eq!((beat.sample, beat.num, beat.channel, beat.subtype), (77, 2, 1, -1));
        // Number and channel hold until changed; the subtype does not.
        assert_eq!((late.sample, late.num, late.channel, late.subtype), (77 + 65_536 + 16 + 4, 2, 1, 0));
        assert!(late.is_beat() && !rhythm.is_beat());
        assert_eq!(Annotation::code_of("V"), Some(5));
    }

    #[test]
    fn broken_files_are_refused_with_the_byte() {
        for (bytes, why) in [
            (vec![], "byte 0: the file ends without"),
            (word(1, 4).to_vec(), "byte 2: the file ends without"),
            (word(AUX, 9).to_vec(), "byte 0: the file ends within a text"),
            (word(SKIP, 0).to_vec(), "byte 0: the file ends within a skip"),
            ([word(SUB, 1), word(0, 0)].concat(), "byte 0: a modifier"),
            ([&word(SKIP, 0)[..], &[0xff, 0xff, 0, 0], &word(1, 0)].concat(), "byte 6: an annotation before"),
        ] {
            let error = parse_annotations(&bytes, Path::new("x.atr")).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
