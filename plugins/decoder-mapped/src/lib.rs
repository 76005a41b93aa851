//! Foreign JSON by a table: JSON pointers say where bed, time, rate and samples are (`docs/wire.md`, other dialects).
//!
//! What it does: reads one object a message, with a number or a list of numbers per lead, and gives a frame with an
//! index of its own making where the gateway sends none: from the time stamps and the rate, or from the arrival.
//! What it never does: run expressions, guess units, input or output.
//! Door: [`ENTRY`]. Who calls it: `daemon/registry.rs`, tests.

mod options;
mod place;

use contract::limits::{BEDS_MAX, PAYLOAD_BYTES_MAX};
use contract::{BedId, DecodeError, Decoder, Entry, Flags, Frame, FrameParts, Heard, LeadId, Mode, UtcMs};
use options::{KEYS, Rate, Table};
use place::Place;
use serde_json::Value;
use std::collections::BTreeMap;

/// The plugin: each `[dialect.NAME]` table of the config is a decoder of that name.
pub const ENTRY: Entry<dyn Decoder> = Entry {
    kind: "dialect",
    keys: KEYS,
    build: |options| Ok(Box::new(MappedDecoder { table: Table::read(options)?, places: BTreeMap::new() })),
};

/// Decoder of one foreign dialect; remembers where each bed stands in time.
struct MappedDecoder {
    table: Table,
    places: BTreeMap<BedId, Place>,
}

impl Decoder for MappedDecoder {
    fn decode(&mut self, topic: &str, payload: &[u8], arrived: UtcMs) -> Result<Vec<Heard>, DecodeError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(DecodeError::TooLarge(payload.len()));
        }
        let message: Value = serde_json::from_slice(payload).map_err(|e| DecodeError::Form(e.to_string()))?;
        let bed = self.table.bed(topic, &message)?;
        let (leads, samples_mv) = self.samples(&message)?;
        let length = samples_mv.len() / leads.len();
        let rate = match &self.table.rate {
            Rate::Fixed(rate) => *rate,
            Rate::At(pointer) => serde_json::from_value(found(&message, pointer)?.clone())
                .map_err(|e| DecodeError::Form(format!("{pointer}: {e}")))?,
        };
        let t0 = self.table.time(&message)?;
        let index = self.table.n0.as_deref().map(|p| whole(&message, p)).transpose()?;
        let sequence = self.table.seq.as_deref().map(|p| whole(&message, p)).transpose()?;
        if !self.places.contains_key(&bed) && self.places.len() >= BEDS_MAX {
            return Err(DecodeError::Form(format!("bed {bed} is beyond the {BEDS_MAX} beds of one node")));
        }
        let fresh = Place::new(&bed, arrived, rate);
        let place = self.places.entry(bed.clone()).or_insert(fresh);
        let spot = place.locate(rate, length, t0, arrived, index);
        let frame = Frame::new(FrameParts {
            bed,
            epoch: spot.epoch,
            seq: sequence.map_or(spot.seq, |s| s as u32),
            n0: spot.n0,
            rate,
            t0: Some(t0.unwrap_or(arrived)),
            flags: Flags { first: spot.first, clock_unsynchronised: t0.is_none(), ..Flags::default() },
            mode: Mode::Real,
            leads,
            samples_mv,
        })?;
        Ok(vec![Heard::Frame(frame)])
    }
}

impl MappedDecoder {
    /// The leads that this message holds, in the table's order; a lead that is absent is left out.
    fn samples(&self, message: &Value) -> Result<(Vec<LeadId>, Vec<f32>), DecodeError> {
        let (mut leads, mut samples_mv) = (Vec::new(), Vec::new());
        for (lead, pointer) in &self.table.leads {
            let Some(value) = message.pointer(pointer) else { continue };
            let before = samples_mv.len();
            for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
                samples_mv.push(self.millivolts(value, pointer)?);
            }
            let first = if leads.is_empty() { samples_mv.len() } else { before / leads.len() };
            if samples_mv.len() - before != first {
                let why =
                    format!("{pointer}: {} samples, the lead before has {first}", samples_mv.len() - before);
                return Err(DecodeError::Form(why));
            }
            leads.push(*lead);
        }
        if leads.is_empty() {
            let pointers: Vec<_> = self.table.leads.iter().map(|(_, p)| p.as_str()).collect();
            return Err(DecodeError::Form(format!("no lead at {}", pointers.join(", "))));
        }
        Ok((leads, samples_mv))
    }

    fn millivolts(&self, value: &Value, pointer: &str) -> Result<f32, DecodeError> {
        match value {
            Value::Null => Ok(f32::NAN),
            Value::Number(n) => Ok((n.as_f64().unwrap_or(f64::INFINITY) * self.table.mv_per_step) as f32),
            _ => {
                Err(DecodeError::Form(format!("{pointer}: a number, a list of numbers or null is expected")))
            }
        }
    }
}

fn found<'a>(message: &'a Value, pointer: &str) -> Result<&'a Value, DecodeError> {
    message.pointer(pointer).ok_or_else(|| DecodeError::Form(format!("nothing at {pointer}")))
}

fn whole(message: &Value, pointer: &str) -> Result<u64, DecodeError> {
    found(message, pointer)?
        .as_u64()
        .ok_or_else(|| DecodeError::Form(format!("{pointer}: a whole number of 0 or more is expected")))
}

#[cfg(test)]
mod tests;
