//! The table: which keys it has, and how a message is read through it.

use crate::found;
use contract::{BedId, DecodeError, Key, Kind, LeadId, Options, OptionsError, Ratio, UtcMs};
use serde_json::Value;

const fn key(
    name: &'static str,
    kind: Kind,
    required: bool,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, required, default, doc }
}

/// The keys of a `[dialect.NAME]` table.
pub(crate) const KEYS: &[Key] = &[
    key(
        "bed",
        Kind::Text,
        false,
        "",
        "JSON pointer to the bed; without it the bed is the topic level `bed_level`",
    ),
    key("bed_level", Kind::Integer, false, "", "which level of the topic names the bed, counted from 0"),
    key("bed_prefix", Kind::Text, false, "", "site/unit to put before a bed that is one level only"),
    key(
        "rate_hz",
        Kind::NumberOrText,
        true,
        "",
        "samples per second (250, 125/2), or a JSON pointer to them",
    ),
    key("time", Kind::Text, false, "", "JSON pointer to the time of the first sample"),
    key("time_unit", Kind::Text, false, "\"ms\"", "unit of `time`: ms, s, us or rfc3339"),
    key("unit", Kind::Text, false, "\"mV\"", "unit of the samples: mV or uV"),
    key("n0", Kind::Text, false, "", "JSON pointer to the index of the first sample"),
    key("seq", Kind::Text, false, "", "JSON pointer to a counter of messages"),
    key("leads", Kind::Table, true, "", "lead = JSON pointer to a number or a list of numbers"),
];

/// Where the rate comes from.
pub(crate) enum Rate {
    Fixed(Ratio),
    At(String),
}

enum BedFrom {
    Pointer(String),
    Level(usize),
}

#[derive(Clone, Copy)]
enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
    Rfc3339,
}

/// The table as read.
pub(crate) struct Table {
    bed: BedFrom,
    bed_prefix: Option<String>,
    pub rate: Rate,
    time: Option<(String, TimeUnit)>,
    pub mv_per_step: f64,
    pub n0: Option<String>,
    pub seq: Option<String>,
    pub leads: Vec<(LeadId, String)>,
}

fn refuse(key: &str, why: impl Into<String>) -> OptionsError {
    OptionsError { key: key.into(), why: why.into() }
}

fn text<'a>(options: &'a Options, key: &str) -> Result<Option<&'a str>, OptionsError> {
    match options.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refuse(key, "a text is expected")),
    }
}

fn pointer(key: &str, text: &str) -> Result<String, OptionsError> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(text.into());
    }
    Err(refuse(key, format!("{text:?} is no JSON pointer; one begins with /, such as /ecg/II")))
}

fn pointer_at(options: &Options, key: &str) -> Result<Option<String>, OptionsError> {
    text(options, key)?.map(|t| pointer(key, t)).transpose()
}

impl Table {
    pub fn read(options: &Options) -> Result<Self, OptionsError> {
        if let Some(unknown) = options.keys().find(|k| KEYS.iter().all(|known| known.name != k.as_str())) {
            return Err(refuse(unknown, "unknown key"));
        }
        let mv_per_step = match text(options, "unit")?.unwrap_or("mV") {
            "mV" => 1.0,
            "uV" => 1e-3,
            other => return Err(refuse("unit", format!("{other:?} must be mV or uV"))),
        };
        Ok(Self {
            bed: bed_from(options)?,
            bed_prefix: text(options, "bed_prefix")?.map(Into::into),
            rate: rate(options)?,
            time: pointer_at(options, "time")?.map(|p| Ok((p, time_unit(options)?))).transpose()?,
            mv_per_step,
            n0: pointer_at(options, "n0")?,
            seq: pointer_at(options, "seq")?,
            leads: leads(options)?,
        })
    }

    /// The bed that a message is about.
    pub fn bed(&self, topic: &str, message: &Value) -> Result<BedId, DecodeError> {
        let name = match &self.bed {
            BedFrom::Pointer(pointer) => found(message, pointer)?
                .as_str()
                .ok_or_else(|| DecodeError::Form(format!("{pointer}: the bed must be a text")))?,
            BedFrom::Level(level) => topic
                .split('/')
                .nth(*level)
                .ok_or_else(|| DecodeError::Topic(topic.chars().take(120).collect()))?,
        };
        Ok(match &self.bed_prefix {
            Some(prefix) => BedId::new(&format!("{prefix}/{name}"))?,
            None => BedId::new(name)?,
        })
    }

    /// The time of the first sample, where the table says where it is.
    pub fn time(&self, message: &Value) -> Result<Option<UtcMs>, DecodeError> {
        let Some((pointer, unit)) = &self.time else { return Ok(None) };
        let value = found(message, pointer)?;
        let number = || {
            let wrong = || DecodeError::Form(format!("{pointer}: a time as a number is expected"));
            // Up to the year 5138 in any unit: products below stay exact enough and in range.
            value.as_f64().filter(|n| n.is_finite() && n.abs() < 1e17).ok_or_else(wrong)
        };
        Ok(Some(match unit {
            TimeUnit::Seconds => UtcMs((number()?.clamp(-1e11, 1e11) * 1e3).round() as i64),
            TimeUnit::Milliseconds => UtcMs(number()?.clamp(-1e14, 1e14).round() as i64),
            TimeUnit::Microseconds => UtcMs((number()? / 1e3).round() as i64),
            TimeUnit::Rfc3339 => UtcMs::parse(value.as_str().unwrap_or_default())?,
        }))
    }
}

fn bed_from(options: &Options) -> Result<BedFrom, OptionsError> {
    match (pointer_at(options, "bed")?, options.get("bed_level")) {
        (Some(pointer), None) => Ok(BedFrom::Pointer(pointer)),
        (None, Some(level)) => {
            let level = level.as_u64().filter(|l| *l < 32);
            let level =
                level.ok_or_else(|| refuse("bed_level", "a whole number from 0 to 31 is expected"))?;
            Ok(BedFrom::Level(level as usize))
        }
        (Some(_), Some(_)) => Err(refuse("bed_level", "give bed or bed_level, not both")),
        (None, None) => Err(refuse("bed", "give bed (a JSON pointer) or bed_level (a level of the topic)")),
    }
}

fn rate(options: &Options) -> Result<Rate, OptionsError> {
    let value = options.get("rate_hz").ok_or_else(|| refuse("rate_hz", "is missing"))?;
    match value {
        Value::String(text) if text.starts_with('/') => Ok(Rate::At(text.clone())),
        other => {
            let rate = serde_json::from_value(other.clone());
            Ok(Rate::Fixed(rate.map_err(|e| refuse("rate_hz", e.to_string()))?))
        }
    }
}

fn time_unit(options: &Options) -> Result<TimeUnit, OptionsError> {
    match text(options, "time_unit")?.unwrap_or("ms") {
        "s" => Ok(TimeUnit::Seconds),
        "ms" => Ok(TimeUnit::Milliseconds),
        "us" => Ok(TimeUnit::Microseconds),
        "rfc3339" => Ok(TimeUnit::Rfc3339),
        other => Err(refuse("time_unit", format!("{other:?} must be ms, s, us or rfc3339"))),
    }
}

fn leads(options: &Options) -> Result<Vec<(LeadId, String)>, OptionsError> {
    let table = options.get("leads").and_then(Value::as_object).filter(|t| !t.is_empty());
    let table = table
        .ok_or_else(|| refuse("leads", "a table of lead = pointer is expected, such as II = \"/ecg\""))?;
    let read = |(name, value): (&String, &Value)| {
        let key = format!("leads.{name}");
        let lead = LeadId::new(name).map_err(|e| refuse(&key, e.to_string()))?;
        let text = value.as_str().ok_or_else(|| refuse(&key, "a JSON pointer in quotes is expected"))?;
        Ok((lead, pointer(&key, text)?))
    };
    table.iter().map(read).collect()
}
