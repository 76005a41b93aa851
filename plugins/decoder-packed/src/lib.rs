//! The packed binary dialect (`docs/wire.md`, binary frame): a 44-byte head, lead codes, samples, CRC-32.
//!
//! What it does: turns one payload of `…/wave/bin` into a frame in millivolts, and a frame into a payload.
//! What it never does: input or output, clocks, guessing a truncated payload. Birth and link stay JSON and text,
//! which `decoder-json` reads.
//! Door: [`ENTRY`] for the daemon; [`encode`] and [`carried_lead`] for whoever publishes.
//! Who calls it: `daemon/registry.rs`, the monitor simulator, tests.

mod encode;
mod head;

pub use encode::{EncodeError, Sample, carried_lead, encode};

use contract::limits::PAYLOAD_BYTES_MAX;
use contract::{DecodeError, Decoder, Entry, Frame, FrameParts, Heard, UtcMs, topic};
use head::Head;

/// The plugin: `decoder = "packed"`, without options.
pub const ENTRY: Entry<dyn Decoder> =
    Entry { kind: "packed", keys: &[], build: |_| Ok(Box::new(PackedDecoder)) };

/// Decoder of the packed binary dialect; keeps nothing between payloads.
#[derive(Debug, Default, Clone, Copy)]
pub struct PackedDecoder;

impl Decoder for PackedDecoder {
    fn decode(&mut self, topic: &str, payload: &[u8], _: UtcMs) -> Result<Vec<Heard>, DecodeError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(DecodeError::TooLarge(payload.len()));
        }
        let (bed, leaf) = topic::split(topic)?;
        if leaf != topic::WAVE_BIN {
            return Err(DecodeError::Topic(topic.chars().take(120).collect()));
        }
        let head = Head::read(payload)?;
        let samples_mv = samples(&head, &payload[head.samples_at()..head.samples_end()]);
        let frame = Frame::new(FrameParts {
            bed,
            epoch: head.epoch,
            seq: head.seq,
            n0: head.n0,
            rate: head.rate,
            t0: head.t0(),
            flags: head.flags,
            mode: head.mode,
            leads: head.leads,
            samples_mv,
        })?;
        Ok(vec![Heard::Frame(frame)])
    }
}

/// Little-endian samples to millivolts; the marker of a missing sample becomes NaN.
fn samples(head: &Head, bytes: &[u8]) -> Vec<f32> {
    let scale = f64::from(head.nv_per_lsb) / 1e6;
    let mv = |value: f64| (value * scale) as f32;
    match head.sample {
        Sample::I16 => {
            let one = |c: &[u8; 2]| match i16::from_le_bytes(*c) {
                i16::MIN => f32::NAN,
                v => mv(f64::from(v)),
            };
            bytes.as_chunks().0.iter().map(one).collect()
        }
        Sample::I32 => {
            let one = |c: &[u8; 4]| match i32::from_le_bytes(*c) {
                i32::MIN => f32::NAN,
                v => mv(f64::from(v)),
            };
            bytes.as_chunks().0.iter().map(one).collect()
        }
        Sample::F32 => bytes.as_chunks().0.iter().map(|c| mv(f64::from(f32::from_le_bytes(*c)))).collect(),
    }
}

#[cfg(test)]
mod tests;
