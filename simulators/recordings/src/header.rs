//! The header: what the signal files hold and how counts become physical values.

use crate::error::RecordError;
use crate::limits::{RATE_HZ_MAX, SIGNALS_MAX};
use crate::samples::Format;
use std::path::Path;

/// Rate of a record whose header names none, in Hz.
const RATE_HZ_DEFAULT: f64 = 250.0;
/// Gain of a signal whose header names none or 0, in counts per unit.
const GAIN_DEFAULT: f64 = 200.0;

/// One signal of a record: name and scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The lead's or sensor's name as the header writes it (`MLII`, `aVR`, `PLETH`).
    pub name: String,
    /// Counts per unit; never 0.
    pub gain: f64,
    /// The header gave a gain; otherwise it is 200 by convention.
    pub calibrated: bool,
    /// The count that means 0.
    pub baseline: i32,
    /// Physical units (`mV`, `uV`, `mmHg`, `NU`).
    pub units: String,
    /// Resolution of the converter in bits, 0 where unknown.
    pub adc_bits: u32,
    /// The count in the middle of the converter's range.
    pub adc_zero: i32,
    /// The signal file's name.
    pub file: String,
    pub(crate) format: Format,
    pub(crate) offset: u64,
    pub(crate) initial: Option<i32>,
    pub(crate) checksum: Option<i16>,
}

impl Signal {
    /// Millivolts per unit; `None` where the signal is no voltage (`mmHg`, `NU`).
    #[must_use]
    pub fn mv_per_unit(&self) -> Option<f64> {
        match self.units.as_str() {
            "mV" | "mv" | "MV" => Some(1.0),
            "uV" | "uv" | "µV" | "μV" => Some(1e-3),
            "V" | "v" => Some(1e3),
            _ => None,
        }
    }
}

/// A header as parsed; the signal files are not touched yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The record's name.
    pub name: String,
    /// Samples per second and signal.
    pub rate_hz: f64,
    /// Samples per signal, where the header says it.
    pub length: Option<u64>,
    /// The signals in order.
    pub signals: Vec<Signal>,
    /// Comment lines without `#` and surrounding spaces.
    pub comments: Vec<String>,
}

impl Header {
    /// Parses a header; `path` is for the error's text only.
    ///
    /// # Errors
    /// [`RecordError::Header`] with the line for anything malformed or not supported.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecordError> {
        let mut comments = Vec::new();
        let mut record: Option<(Self, usize)> = None;
        for (index, line) in text.lines().enumerate() {
            let fault = |why| RecordError::Header { path: path.to_owned(), line: index + 1, why };
            let line = line.trim();
            if let Some(comment) = line.strip_prefix('#') {
                comments.push(comment.trim().to_owned());
                continue;
            }
            match &mut record {
                _ if line.is_empty() => {}
                None => record = Some(record_line(line).map_err(fault)?),
                Some((header, wanted)) if header.signals.len() < *wanted => {
                    header.signals.push(signal(line, header.signals.len()).map_err(fault)?);
                }
                // Lines after the last signal mean nothing.
                Some(_) => {}
            }
        }
        let last = text.lines().count();
        let fault = |why| RecordError::Header { path: path.to_owned(), line: last, why };
        let (mut header, wanted) = record.ok_or_else(|| fault("there is no record line".into()))?;
        if header.signals.len() < wanted {
            return Err(fault(format!("{wanted} signals announced, {} described", header.signals.len())));
        }
        header.comments = comments;
        Ok(header)
    }
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{what} {text:?} is not a number this reader takes"))
}

/// `name[/segments] signals [rate[/counter][(base)] [length [time [date]]]]`
fn record_line(line: &str) -> Result<(Header, usize), String> {
    let mut fields = line.split_whitespace();
    let name = fields.next().unwrap_or_default();
    if let Some((name, segments)) = name.split_once('/') {
        return Err(format!("record {name:?} is made of {segments} segments; read its segments one by one"));
    }
    let signals: usize = number(fields.next().unwrap_or("0"), "the count of signals")?;
    if signals == 0 || signals > SIGNALS_MAX {
        return Err(format!("{signals} signals; this reader takes 1 to {SIGNALS_MAX}"));
    }
    let rate_hz = match fields.next() {
        Some(rate) => {
            let rate = rate.split(['/', '(']).next().unwrap_or_default();
            number(rate, "the sampling rate")?
        }
        None => RATE_HZ_DEFAULT,
    };
    if !(rate_hz > 0.0 && rate_hz <= RATE_HZ_MAX) {
        return Err(format!("the sampling rate {rate_hz} Hz is outside 0 to {RATE_HZ_MAX} Hz"));
    }
    let length: Option<u64> = fields.next().map(|n| number(n, "the length")).transpose()?;
    let header = Header {
        name: name.to_owned(),
        rate_hz,
        length: length.filter(|&n| n > 0),
        signals: Vec::with_capacity(signals),
        comments: Vec::new(),
    };
    Ok((header, signals))
}

/// `file format [gain [bits [zero [initial [checksum [block [name]]]]]]]`
fn signal(line: &str, index: usize) -> Result<Signal, String> {
    let mut rest = line;
    let mut next = || {
        let (field, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = tail.trim_start();
        Some(field).filter(|f| !f.is_empty())
    };
    let file = next().unwrap_or_default().to_owned();
    if file.contains(['/', '\\', ':']) || matches!(file.as_str(), "-" | "~" | "." | "..") {
        return Err(format!("signal file {file:?} must be the name of a file beside the header"));
    }
    let (format, offset) = format_field(next().ok_or("the signal's format is missing")?)?;
    let (gain, baseline, units) = match next() {
        Some(field) => gain_field(field)?,
        None => (0.0, None, None),
    };
    let adc_bits = next().map(|f| number(f, "the resolution")).transpose()?.unwrap_or(0);
    let adc_zero = next().map(|f| number(f, "the middle of the converter's range")).transpose()?.unwrap_or(0);
    let initial = next().map(|f| number(f, "the initial value")).transpose()?;
    // Written signed or unsigned; only the low 16 bits count.
    let checksum: Option<i64> = next().map(|f| number(f, "the checksum")).transpose()?;
    let _block: Option<i64> = next().map(|f| number(f, "the block size")).transpose()?;
    let name = if rest.is_empty() { format!("signal {index}") } else { rest.to_owned() };
    Ok(Signal {
        name,
        gain: if gain == 0.0 { GAIN_DEFAULT } else { gain },
        calibrated: gain != 0.0,
        baseline: baseline.unwrap_or(adc_zero),
        units: units.unwrap_or_else(|| "mV".to_owned()),
        adc_bits,
        adc_zero,
        file,
        format,
        offset,
        initial,
        checksum: checksum.map(|c| c as i16),
    })
}

/// `format[xSAMPLES][:SKEW][+OFFSET]`
fn format_field(field: &str) -> Result<(Format, u64), String> {
    let digits = field.find(|c: char| !c.is_ascii_digit()).unwrap_or(field.len());
    let format = match &field[..digits] {
        "16" => Format::Signed16,
        "80" => Format::Offset8,
        "212" => Format::Packed12,
        other => {
            return Err(format!("signal format {other:?} is not read; this reader takes 16, 80 and 212"));
        }
    };
    let (modifiers, offset) = match field[digits..].split_once('+') {
        Some((before, offset)) => (before, number(offset, "the byte offset")?),
        None => (&field[digits..], 0),
    };
    match modifiers {
        "" | "x1" | ":0" | "x1:0" => Ok((format, offset)),
        other => Err(format!("{other:?}: several samples per frame and skew are not read")),
    }
}

/// `gain[(baseline)][/units]`
fn gain_field(field: &str) -> Result<(f64, Option<i32>, Option<String>), String> {
    let (scale, units) = match field.split_once('/') {
        Some((scale, units)) => (scale, Some(units.to_owned()).filter(|u| !u.is_empty())),
        None => (field, None),
    };
    let (gain, baseline) = match scale.split_once('(') {
        Some((gain, baseline)) => {
            let baseline = baseline.strip_suffix(')').ok_or("the baseline lacks its ')'")?;
            (gain, Some(number(baseline, "the baseline")?))
        }
        None => (scale, None),
    };
    let gain: f64 = number(gain, "the gain")?;
    if !gain.is_finite() {
        return Err(format!("the gain {gain} is not a number"));
    }
    Ok((gain, baseline, units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, RecordError> {
        Header::parse(text, Path::new("r.hea"))
    }

    #[test]
    fn what_a_header_leaves_out_has_the_defaults_of_wfdb() {
        let header =
            parse("# before\nr 2\nr.dat 212\nr.dat 212 0 11 1024 -5 70000 0 lead with spaces\n# after\n")
                .expect("valid");
        assert!((header.rate_hz - 250.0).abs() < f64::EPSILON);
        assert_eq!(header.length, None);
        assert_eq!(header.comments, ["before", "after"]);
        let [first, second] = &header.signals[..] else { panic!("two signals") };
        assert_eq!((first.name.as_str(), first.units.as_str()), ("signal 0", "mV"));
        assert_eq!((first.baseline, first.initial, first.checksum), (0, None, None));
        assert!((second.gain - 200.0).abs() < f64::EPSILON && !second.calibrated);
        assert_eq!((second.baseline, second.initial), (1024, Some(-5)));
        assert_eq!((second.checksum, second.name.as_str()), (Some(4464), "lead with spaces"));
    }

    #[test]
    fn gain_baseline_units_and_offset_are_read_in_every_form() {
        let header = parse("r 3 250/360(7) 10 12:00:00 1/1/2000\nr.mat 16+24 1.052e+04/mV\nr.mat 16x1+24 -2.5(-3)/uV\nr.mat 16 100(7)\n")
            .expect("valid");
        assert!((header.rate_hz - 250.0).abs() < f64::EPSILON);
        let of = |i: usize| {
            let s = &header.signals[i];
            (s.gain, s.baseline, s.units.as_str(), s.offset, s.mv_per_unit())
        };
        assert_eq!(of(0), (10_520.0, 0, "mV", 24, Some(1.0)));
        assert_eq!(of(1), (-2.5, -3, "uV", 24, Some(1e-3)));
        assert_eq!(of(2), (100.0, 7, "mV", 0, Some(1.0)));
    }

    #[test]
    fn what_is_not_read_is_refused_with_file_and_line() {
        for (text, line, word) in [
            ("r/3 2 360 100\n", 1, "segments"),
            ("# c\nr 1 360\nr.dat 61 200\n", 3, "61"),
            ("r 1 360\nr.dat 16x4 200\n", 2, "samples per frame"),
            ("r 1 360\nr.dat 16:2 200\n", 2, "skew"),
            ("r 1 360\n../r.dat 16 200\n", 2, "beside the header"),
            ("r 2 360\nr.dat 16 200\n", 2, "2 signals announced, 1 described"),
            ("r 100000 360\n", 1, "signals"),
            ("r 0 360\n", 1, "signals"),
            ("r 1 -360\n", 1, "rate"),
            ("r 1 nan\n", 1, "rate"),
            ("r 1 360 -5\n", 1, "length"),
            ("r 1 360\nr.dat 16 inf\n", 2, "gain"),
            ("r 1 360\nr.dat 16 200(5/mV\n", 2, "baseline"),
            ("", 0, "no record line"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(
                error.starts_with(&format!("r.hea:{line}: ")) && error.contains(word),
                "{text:?}: {error}"
            );
        }
    }
}
