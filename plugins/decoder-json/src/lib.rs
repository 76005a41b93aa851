//! The native JSON dialect (`docs/wire.md`): frames, birth, link and numbers on `wardbeat/v1/{site}/{unit}/{bed}/…`.
//!
//! What it does: turns one payload into what was heard, in millivolts, with `null` as a missing sample; remembers
//! which beds a gateway announced, so that the gateway's own Last Will takes all of them offline.
//! What it never does: input or output, clocks, guessing. A payload that is not of the dialect is refused in words.
//! Door: [`ENTRY`] for the daemon, [`encode`] and [`encode_birth`] for whoever publishes.
//! Who calls it: `daemon/registry.rs`, the monitor simulator, tests.

mod encode;
mod wire;

pub use encode::{Announcement, encode, encode_birth};
pub use wire::Unit;

use contract::limits::{BEDS_MAX, PAYLOAD_BYTES_MAX};
use contract::{BedId, DecodeError, Decoder, Entry, Heard, Link, UtcMs, topic};
use std::collections::{BTreeMap, BTreeSet};

/// The plugin: `decoder = "json"`, without options.
pub const ENTRY: Entry<dyn Decoder> =
    Entry { kind: "json", keys: &[], build: |_| Ok(Box::new(JsonDecoder::default())) };

/// Decoder of the native JSON dialect.
#[derive(Debug, Default)]
pub struct JsonDecoder {
    /// `site/_gw/gateway` and the beds whose birth named it.
    gateways: BTreeMap<BedId, BTreeSet<BedId>>,
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, topic: &str, payload: &[u8], _: UtcMs) -> Result<Vec<Heard>, DecodeError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(DecodeError::TooLarge(payload.len()));
        }
        let (place, leaf) = topic::split_any(topic)?;
        if place.unit() == topic::GATEWAY_UNIT && leaf == topic::LINK {
            return self.gateway_link(&place, payload);
        }
        let (bed, leaf) = topic::split(topic)?;
        match leaf {
            topic::WAVE_JSON => Ok(vec![Heard::Frame(wire::frame(bed, payload)?)]),
            // A retained message was cleared.
            topic::META | topic::LINK if payload.is_empty() => Ok(Vec::new()),
            topic::META => self.birth(bed, payload),
            topic::LINK => Ok(vec![Heard::Link(Link { bed, online: wire::online(payload)? })]),
            topic::NUMERIC => Ok(vec![Heard::Numeric(wire::numeric(bed, payload)?)]),
            _ => Err(DecodeError::Topic(topic.chars().take(120).collect())),
        }
    }
}

impl JsonDecoder {
    fn birth(&mut self, bed: BedId, payload: &[u8]) -> Result<Vec<Heard>, DecodeError> {
        let (birth, gateway) = wire::birth(bed, payload)?;
        if let Some(gateway) = gateway {
            self.attach(&birth.bed, &gateway)?;
        }
        Ok(vec![Heard::Birth(birth)])
    }

    /// A bed hangs on one gateway: the one its last birth named.
    fn attach(&mut self, bed: &BedId, gateway: &str) -> Result<(), DecodeError> {
        let place = BedId::new(&format!("{}/{}/{gateway}", bed.site(), topic::GATEWAY_UNIT))?;
        self.gateways.retain(|other, beds| {
            if *other != place {
                beds.remove(bed);
            }
            !beds.is_empty()
        });
        let known: usize = self.gateways.values().map(BTreeSet::len).sum();
        if known < BEDS_MAX {
            self.gateways.entry(place).or_default().insert(bed.clone());
        }
        Ok(())
    }

    /// Only the loss is spread to the beds: each bed says itself when it is back.
    fn gateway_link(&self, gateway: &BedId, payload: &[u8]) -> Result<Vec<Heard>, DecodeError> {
        if payload.is_empty() || wire::online(payload)? {
            return Ok(Vec::new());
        }
        let beds = self.gateways.get(gateway).into_iter().flatten();
        Ok(beds.map(|bed| Heard::Link(Link { bed: bed.clone(), online: false })).collect())
    }
}

#[cfg(test)]
mod tests;
