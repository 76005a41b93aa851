//! The other direction: frames and birth messages as JSON, for the monitor simulator and for tests.

use crate::wire::Unit;
use contract::{Birth, Flags, Frame, LeadId, Mode, Ratio, UtcMs};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

#[derive(Serialize)]
struct WireFrame<'a> {
    v: u8,
    bed: &'a str,
    epoch: String,
    seq: u32,
    n0: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    t0: Option<UtcMs>,
    rate_hz: Ratio,
    unit: Unit,
    lsb: u8,
    #[serde(skip_serializing_if = "is_default")]
    flags: Flags,
    #[serde(skip_serializing_if = "is_default")]
    mode: Mode,
    leads: Leads<'a>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

struct Leads<'a>(&'a Frame, Unit);

impl Serialize for Leads<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let leads = &self.0.parts().leads;
        let mut map = s.serialize_map(Some(leads.len()))?;
        for (i, lead) in leads.iter().enumerate() {
            map.serialize_entry(lead.as_str(), &Samples(self.0.lead_mv(i), self.1))?;
        }
        map.end()
    }
}

struct Samples<'a>(&'a [f32], Unit);

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut seq = s.serialize_seq(Some(self.0.len()))?;
        for &mv in self.0 {
            let present = !mv.is_nan();
            match self.1 {
                Unit::Microvolt => {
                    seq.serialize_element(&present.then(|| (f64::from(mv) * 1_000.0).round() as i64))?;
                }
                Unit::Millivolt | Unit::Count => seq.serialize_element(&present.then_some(mv))?,
            }
        }
        seq.end()
    }
}

/// One frame for `…/wave/json`. In millivolts every bit of the samples survives; in microvolts they are rounded
/// to whole numbers and the payload is shorter. Counts are not written: millivolts are used instead.
///
/// # Panics
/// Never: plain types always have a JSON form.
#[must_use]
pub fn encode(frame: &Frame, unit: Unit) -> Vec<u8> {
    let unit = if unit == Unit::Count { Unit::Millivolt } else { unit };
    let parts = frame.parts();
    let wire = WireFrame {
        v: 1,
        bed: parts.bed.as_str(),
        epoch: format!("{:08x}", parts.epoch),
        seq: parts.seq,
        n0: parts.n0,
        t0: parts.t0,
        rate_hz: parts.rate,
        unit,
        lsb: 1,
        flags: parts.flags,
        mode: parts.mode,
        leads: Leads(frame, unit),
    };
    let mut out = Vec::with_capacity(256 + parts.samples_mv.len() * 8);
    serde_json::to_writer(&mut out, &wire).expect("plain types always have a JSON form");
    out
}

/// What a gateway adds to the birth of one of its beds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// The gateway's name where it serves many beds and cannot put a Last Will on each.
    pub gateway: Option<&'a str>,
}

#[derive(Serialize)]
struct WireBirth<'a> {
    v: u8,
    bed: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    leads: &'a [LeadId],
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_hz: Option<Ratio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'a str>,
    paced: bool,
    mode: Mode,
}

/// The birth message for `…/meta`, to be published retained.
///
/// # Panics
/// Never: plain types always have a JSON form.
#[must_use]
pub fn encode_birth(birth: &Birth, more: Announcement) -> Vec<u8> {
    let wire = WireBirth {
        v: 1,
        bed: birth.bed.as_str(),
        epoch: birth.epoch.map(|e| format!("{e:08x}")),
        leads: &birth.leads,
        rate_hz: birth.rate,
        patient: birth.patient.as_deref(),
        monitor: birth.monitor.as_deref(),
        gateway: more.gateway,
        clock: birth.clock.as_deref(),
        paced: birth.paced,
        mode: birth.mode,
    };
    serde_json::to_vec(&wire).expect("plain types always have a JSON form")
}
