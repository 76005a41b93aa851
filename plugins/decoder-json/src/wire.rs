//! The dialect's messages as typed structs; samples go straight into one vector of f32.

use contract::limits::LEADS_MAX;
use contract::{BedId, Birth, DecodeError, Flags, Frame, FrameParts, LeadId, Mode, Numeric, Ratio, UtcMs};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The unit of `value × lsb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Microvolts.
    #[serde(rename = "uV")]
    Microvolt,
    /// Millivolts.
    #[serde(rename = "mV")]
    Millivolt,
    /// Converter counts; the frame then says `counts_per_mv`.
    #[serde(rename = "count")]
    Count,
}

/// A fresh number per start of the source: eight hex digits, or an integer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Epoch<'a> {
    Number(u32),
    #[serde(borrow)]
    Hex(Cow<'a, str>),
}

impl Epoch<'_> {
    fn number(&self) -> Result<u32, DecodeError> {
        match self {
            Self::Number(n) => Ok(*n),
            Self::Hex(text)
                if (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                u32::from_str_radix(text, 16).map_err(|e| DecodeError::Form(e.to_string()))
            }
            Self::Hex(text) => {
                let text: String = text.chars().take(40).collect();
                Err(DecodeError::Form(format!(
                    "epoch {text:?} must be 1 to 8 hex digits, such as \"5eed0001\""
                )))
            }
        }
    }
}

#[derive(Deserialize)]
struct WireFrame<'a> {
    v: u64,
    #[serde(borrow)]
    bed: Cow<'a, str>,
    #[serde(borrow)]
    epoch: Epoch<'a>,
    #[serde(default)]
    seq: u32,
    n0: u64,
    #[serde(default)]
    t0: Option<UtcMs>,
    rate_hz: Ratio,
    unit: Unit,
    #[serde(default = "one")]
    lsb: f64,
    #[serde(default)]
    counts_per_mv: Option<f64>,
    #[serde(default)]
    flags: Flags,
    #[serde(default)]
    mode: Mode,
    leads: Leads,
}

fn one() -> f64 {
    1.0
}

/// The `leads` object, flattened: names in order of appearance, values lead after lead in LSB.
struct Leads {
    names: Vec<LeadId>,
    values: Vec<f32>,
}

impl<'de> Deserialize<'de> for Leads {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(LeadsObject)
    }
}

struct LeadsObject;

impl<'de> Visitor<'de> for LeadsObject {
    type Value = Leads;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of leads, such as {\"II\":[-12,0,null]}")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Leads, A::Error> {
        let mut leads = Leads { names: Vec::new(), values: Vec::new() };
        while let Some(name) = map.next_key::<Cow<str>>()? {
            let name = LeadId::new(&name).map_err(A::Error::custom)?;
            let before = leads.values.len();
            // The first lead says how long the others are.
            leads.values.reserve(before / leads.names.len().max(1));
            map.next_value_seed(Samples(&mut leads.values))?;
            leads.add(name, before).map_err(A::Error::custom)?;
        }
        Ok(leads)
    }
}

impl Leads {
    /// Closes the lead whose values begin at `before`.
    fn add(&mut self, name: LeadId, before: usize) -> Result<(), String> {
        if self.names.len() == LEADS_MAX {
            return Err(format!("more than {LEADS_MAX} leads"));
        }
        let found = self.values.len() - before;
        if let Some(first) = self.names.first() {
            let length = before / self.names.len();
            if found != length {
                return Err(format!(
                    "lead {name} has {found} samples, lead {first} has {length}; a frame's leads are equally long"
                ));
            }
        }
        self.names.push(name);
        Ok(())
    }
}

/// One lead's array, appended to the frame's values; `null` becomes NaN.
struct Samples<'a>(&'a mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Samples<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Samples<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of numbers or null")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<Option<f32>>()? {
            self.0.push(value.unwrap_or(f32::NAN));
        }
        Ok(())
    }
}

/// Parses, and where that fails looks whether the version is the reason.
fn parse<'a, T: Deserialize<'a>>(what: &str, payload: &'a [u8]) -> Result<T, DecodeError> {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    serde_json::from_slice(payload).map_err(|e| match serde_json::from_slice::<Version>(payload) {
        Ok(Version { v }) if v != 1 => DecodeError::Version(v),
        _ => DecodeError::Form(format!("{what}: {e}")),
    })
}

fn check_version(v: u64) -> Result<(), DecodeError> {
    if v == 1 { Ok(()) } else { Err(DecodeError::Version(v)) }
}

fn check_bed(payload: &str, topic: &BedId) -> Result<(), DecodeError> {
    if payload == topic.as_str() {
        return Ok(());
    }
    Err(DecodeError::OtherBed { payload: payload.chars().take(200).collect(), topic: topic.clone() })
}

/// Millivolts of one LSB.
fn mv_per_lsb(wire: &WireFrame) -> Result<f64, DecodeError> {
    let fault = |key: &str, value: f64| DecodeError::Form(format!("{key} {value} must be a number above 0"));
    let positive = |v: f64| v.is_finite() && v > 0.0;
    if !positive(wire.lsb) {
        return Err(fault("lsb", wire.lsb));
    }
    match (wire.unit, wire.counts_per_mv) {
        (Unit::Microvolt, _) => Ok(wire.lsb / 1_000.0),
        (Unit::Millivolt, _) => Ok(wire.lsb),
        (Unit::Count, Some(gain)) if positive(gain) => Ok(wire.lsb / gain),
        (Unit::Count, Some(gain)) => Err(fault("counts_per_mv", gain)),
        (Unit::Count, None) => Err(DecodeError::Form(
            "unit \"count\" needs counts_per_mv, the converter's counts for one millivolt".into(),
        )),
    }
}

/// One frame of `…/wave/json`.
pub(crate) fn frame(bed: BedId, payload: &[u8]) -> Result<Frame, DecodeError> {
    let wire: WireFrame = parse("frame", payload)?;
    check_version(wire.v)?;
    check_bed(&wire.bed, &bed)?;
    let scale = mv_per_lsb(&wire)?;
    let epoch = wire.epoch.number()?;
    let Leads { names: leads, values: mut samples_mv } = wire.leads;
    for value in &mut samples_mv {
        *value = (f64::from(*value) * scale) as f32;
    }
    Ok(Frame::new(FrameParts {
        bed,
        epoch,
        seq: wire.seq,
        n0: wire.n0,
        rate: wire.rate_hz,
        t0: wire.t0,
        flags: wire.flags,
        mode: wire.mode,
        leads,
        samples_mv,
    })?)
}

#[derive(Deserialize)]
struct WireBirth<'a> {
    v: u64,
    #[serde(default, borrow)]
    bed: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    epoch: Option<Epoch<'a>>,
    #[serde(default)]
    leads: Vec<LeadId>,
    #[serde(default)]
    rate_hz: Option<Ratio>,
    #[serde(default)]
    patient: Option<String>,
    #[serde(default)]
    monitor: Option<String>,
    #[serde(default)]
    gateway: Option<String>,
    #[serde(default)]
    clock: Option<String>,
    #[serde(default)]
    paced: bool,
    #[serde(default)]
    mode: Mode,
}

/// A birth of `…/meta`, and the gateway it names.
pub(crate) fn birth(bed: BedId, payload: &[u8]) -> Result<(Birth, Option<String>), DecodeError> {
    let wire: WireBirth = parse("meta", payload)?;
    check_version(wire.v)?;
    if let Some(named) = &wire.bed {
        check_bed(named, &bed)?;
    }
    if wire.leads.len() > LEADS_MAX {
        return Err(DecodeError::Form(format!("meta: {} leads; at most {LEADS_MAX}", wire.leads.len())));
    }
    let birth = Birth {
        bed,
        epoch: wire.epoch.map(|e| e.number()).transpose()?,
        leads: wire.leads,
        rate: wire.rate_hz,
        patient: short("patient", wire.patient)?,
        monitor: short("monitor", wire.monitor)?,
        clock: short("clock", wire.clock)?,
        paced: wire.paced,
        mode: wire.mode,
    };
    Ok((birth, wire.gateway))
}

/// Free text of the gateway, kept per bed: bounded.
fn short(key: &str, text: Option<String>) -> Result<Option<String>, DecodeError> {
    use contract::limits::NOTE_BYTES_MAX;
    match text {
        Some(t) if t.len() > NOTE_BYTES_MAX => {
            Err(DecodeError::Form(format!("meta: {key} has {} bytes; at most {NOTE_BYTES_MAX}", t.len())))
        }
        other => Ok(other),
    }
}

/// `online` or `offline` of `…/link`.
pub(crate) fn online(payload: &[u8]) -> Result<bool, DecodeError> {
    match payload.trim_ascii() {
        b"online" => Ok(true),
        b"offline" => Ok(false),
        other => {
            let shown: String = String::from_utf8_lossy(other).chars().take(40).collect();
            Err(DecodeError::Form(format!("link {shown:?} must be online or offline")))
        }
    }
}

#[derive(Deserialize)]
struct WireNumeric<'a> {
    v: u64,
    #[serde(default, borrow)]
    bed: Option<Cow<'a, str>>,
    #[serde(default)]
    t0: Option<UtcMs>,
    #[serde(default)]
    heart_rate_per_min: Option<f32>,
}

/// The monitor's own numbers of `…/numeric`.
pub(crate) fn numeric(bed: BedId, payload: &[u8]) -> Result<Numeric, DecodeError> {
    let wire: WireNumeric = parse("numeric", payload)?;
    check_version(wire.v)?;
    if let Some(named) = &wire.bed {
        check_bed(named, &bed)?;
    }
    if let Some(rate) = wire.heart_rate_per_min.filter(|r| !(0.0..=1_000.0).contains(r)) {
        return Err(DecodeError::Form(format!("numeric: heart rate {rate} is outside 0 to 1000 per minute")));
    }
    Ok(Numeric { bed, at: wire.t0, heart_rate_per_min: wire.heart_rate_per_min })
}
