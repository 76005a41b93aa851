//! Three times that cannot be mixed, and the sampling rate as an exact ratio.

use crate::limits::{RATE_DENOMINATOR_MAX, RATE_HZ_MAX, RATE_HZ_MIN};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds of the node's monotonic clock: `now`, deadlines, ages. Never printed as a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MonoMs(pub u64);

impl MonoMs {
    /// Milliseconds from `earlier` to `self`, 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `ms` milliseconds after this one.
    #[must_use]
    pub fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Milliseconds since 1970-01-01 UTC by the node's or the gateway's wall clock: labels, never logic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UtcMs(pub i64);

/// Milliseconds of the monitor's own clock, of unknown zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceMs(pub i64);

/// Why a time or rate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// Not an RFC 3339 time.
    #[error("{0:?} is not an RFC 3339 time such as 2026-11-22T22:15:12.250Z")]
    Utc(String),
    /// Not a rate.
    #[error("{0:?} is not a sampling rate such as 250 or \"125/2\"")]
    Rate(String),
    /// Outside the accepted range.
    #[error("sampling rate {0} Hz is outside {RATE_HZ_MIN} to {RATE_HZ_MAX} Hz")]
    RateRange(String),
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

impl UtcMs {
    /// Parses RFC 3339 with `Z` or a numeric offset; digits beyond milliseconds are cut.
    ///
    /// # Errors
    /// [`TimeFault::Utc`] for anything else.
    pub fn parse(text: &str) -> Result<Self, TimeFault> {
        Self::parse_rfc3339(text).ok_or_else(|| TimeFault::Utc(text.chars().take(40).collect()))
    }

    fn parse_rfc3339(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if !text.is_ascii() || b.len() < 20 || b.len() > 40 {
            return None;
        }
        let digits = |from: usize, to: usize| -> Option<i64> {
            let part = text.get(from..to)?;
            part.bytes().all(|c| c.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        if marks.iter().any(|&(i, c)| b[i] != c) || !matches!(b[10], b'T' | b't' | b' ') {
            return None;
        }
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
        let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        if civil_from_days(days) != (year, month, day) {
            return None;
        }
        let mut at = 19;
        let mut ms = 0;
        if b[at] == b'.' {
            let end = (at + 1..b.len()).find(|&i| !b[i].is_ascii_digit())?;
            let fraction = text.get(at + 1..end.min(at + 4))?;
            if fraction.is_empty() {
                return None;
            }
            ms = format!("{fraction:0<3}").parse().ok()?;
            at = end;
        }
        let offset_min = match b[at] {
            b'Z' | b'z' if at + 1 == b.len() => 0,
            sign @ (b'+' | b'-') if at + 6 == b.len() && b[at + 3] == b':' => {
                let min = digits(at + 1, at + 3)? * 60 + digits(at + 4, at + 6)?;
                if sign == b'-' { -min } else { min }
            }
            _ => return None,
        };
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_min * 60;
        Some(Self(seconds * 1_000 + ms))
    }

    /// The time `ms` milliseconds later.
    #[must_use]
    pub fn after(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl fmt::Display for UtcMs {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            ms / 3_600_000,
            ms / 60_000 % 60,
            ms / 1_000 % 60,
            ms % 1_000
        )
    }
}

impl Serialize for UtcMs {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcMs {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Ms(i64),
            Text(String),
        }
        match Wire::deserialize(d)? {
            Wire::Ms(ms) => Ok(Self(ms)),
            Wire::Text(text) => Self::parse(&text).map_err(serde::de::Error::custom),
        }
    }
}

/// A sampling rate in Hz as a reduced fraction, so that 62.5 Hz stays exact.
///
/// Private fields: reduced, and between 50 and 2,000 Hz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Ratio {
    /// Reduces and checks `numerator / denominator` Hz.
    ///
    /// # Errors
    /// [`TimeFault::RateRange`] outside 50 to 2,000 Hz, [`TimeFault::Rate`] for a zero or too fine denominator.
    pub fn new(numerator: u32, denominator: u32) -> Result<Self, TimeFault> {
        if denominator == 0 || numerator == 0 {
            return Err(TimeFault::Rate(format!("{numerator}/{denominator}")));
        }
        let g = gcd(u64::from(numerator), u64::from(denominator)) as u32;
        let (numerator, denominator) = (numerator / g, denominator / g);
        if denominator > RATE_DENOMINATOR_MAX {
            return Err(TimeFault::Rate(format!("{numerator}/{denominator}")));
        }
        let (n, d) = (u64::from(numerator), u64::from(denominator));
        if n < u64::from(RATE_HZ_MIN) * d || n > u64::from(RATE_HZ_MAX) * d {
            return Err(TimeFault::RateRange(format!("{}", n as f64 / d as f64)));
        }
        Ok(Self { numerator, denominator })
    }

    /// A whole number of Hz.
    ///
    /// # Errors
    /// As [`Ratio::new`].
    pub fn hz(hz: u32) -> Result<Self, TimeFault> {
        Self::new(hz, 1)
    }

    /// A rate given as a float, if it is a multiple of 1/1,000 Hz.
    ///
    /// # Errors
    /// As [`Ratio::new`], and for a number that is not finite or finer than 1/1,000 Hz.
    pub fn from_f64(hz: f64) -> Result<Self, TimeFault> {
        let fault = || TimeFault::Rate(hz.to_string());
        if !hz.is_finite() || hz <= 0.0 {
            return Err(fault());
        }
        if hz > f64::from(RATE_HZ_MAX) {
            return Err(TimeFault::RateRange(hz.to_string()));
        }
        let thousandths = (hz * 1_000.0).round();
        if (thousandths / 1_000.0 - hz).abs() > 1e-9 * hz {
            return Err(fault());
        }
        Self::new(thousandths as u32, 1_000)
    }

    /// Numerator and denominator, reduced.
    #[must_use]
    pub fn parts(self) -> (u32, u32) {
        (self.numerator, self.denominator)
    }

    /// The rate as a float, in Hz.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// Milliseconds from sample 0 to sample `n`, rounded down.
    #[must_use]
    pub fn ms_at(self, n: u64) -> i64 {
        (u128::from(n) * 1_000 * u128::from(self.denominator) / u128::from(self.numerator)) as i64
    }

    /// Index of the first sample at or after `seconds`: `floor(seconds · rate)` for the borders of windows.
    #[must_use]
    pub fn samples_in(self, seconds: u64) -> u64 {
        (u128::from(seconds) * u128::from(self.numerator) / u128::from(self.denominator)) as u64
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            d => write!(f, "{}/{d}", self.numerator),
        }
    }
}

impl Serialize for Ratio {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.denominator {
            1 => s.serialize_u32(self.numerator),
            _ => s.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Number(f64),
            Text(String),
        }
        let parsed = match Wire::deserialize(d)? {
            Wire::Number(hz) => Self::from_f64(hz),
            Wire::Text(text) => {
                let fault = || TimeFault::Rate(text.chars().take(40).collect());
                let (n, d) = text.split_once('/').unwrap_or((text.as_str(), "1"));
                match (n.trim().parse(), d.trim().parse()) {
                    (Ok(n), Ok(d)) => Self::new(n, d),
                    _ => Err(fault()),
                }
            }
        };
        parsed.map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_goes_both_ways() {
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2026-11-22T22:15:12.250Z", 1_795_385_712_250),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(UtcMs::parse(text), Ok(UtcMs(ms)), "{text}");
            assert_eq!(UtcMs(ms).to_string(), text);
        }
        assert_eq!(UtcMs::parse("2026-11-22T23:15:12.25+01:00"), Ok(UtcMs(1_795_385_712_250)));
        assert_eq!(UtcMs::parse("2026-11-22T22:15:12Z"), Ok(UtcMs(1_795_385_712_000)));
        for bad in
            ["", "2026-11-22", "2026-02-30T00:00:00Z", "2026-11-22T22:15:12", "2026-11-22T25:15:12Z", "x"]
        {
            assert!(UtcMs::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_rate_is_exact_and_bounded() {
        let rate = Ratio::from_f64(62.5).expect("valid");
        assert_eq!(rate.parts(), (125, 2));
        assert_eq!(rate.samples_in(1), 62);
        assert_eq!(rate.samples_in(2), 125);
        assert_eq!(rate.ms_at(125), 2_000);
        for bad in [0.0, -250.0, 49.9, 2_000.5, f64::NAN, f64::INFINITY, 1e300] {
            assert!(Ratio::from_f64(bad).is_err(), "{bad} was accepted");
        }
        assert_eq!(serde_json::from_str::<Ratio>("\"125/2\"").expect("valid"), rate);
        assert_eq!(serde_json::to_string(&rate).expect("plain"), "\"125/2\"");
        assert!(serde_json::from_str::<Ratio>("\"1/0\"").is_err());
    }
}
