//! The decoder role: payloads to the child, frames back.

use crate::launch::{DECODER_KEYS, Launch, refuse};
use crate::link::{Link, Pace};
use crate::sink::said;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::protocol::{FrameLine, FromPlugin, Role, ToPlugin};
use contract::{DecodeError, Decoder, Heard, Options, OptionsError, UtcMs};
use std::time::{Duration, Instant};

/// Frames in one answer.
const FRAMES_MAX: usize = 64;

/// A program as decoder. A payload that it cannot answer in time is lost and counted, like any refused payload.
pub(crate) struct ExecDecoder {
    link: Link,
    budget: Duration,
    n: u64,
}

impl ExecDecoder {
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        Self::paced(options, Pace::default())
    }

    pub fn paced(options: &Options, pace: Pace) -> Result<Self, OptionsError> {
        let budget_ms = match options.get("budget_ms") {
            None => 1_000,
            Some(value) => value
                .as_u64()
                .filter(|ms| (1..=60_000).contains(ms))
                .ok_or_else(|| refuse("budget_ms", "1 to 60000 is expected"))?,
        };
        let link = Link::new(Launch::read(options, DECODER_KEYS)?, Role::Decoder, pace);
        Ok(Self { link, budget: Duration::from_millis(budget_ms), n: 0 })
    }
}

impl Decoder for ExecDecoder {
    fn decode(&mut self, topic: &str, payload: &[u8], _: UtcMs) -> Result<Vec<Heard>, DecodeError> {
        self.n += 1;
        let n = self.n;
        let message = ToPlugin::Payload { n, topic: topic.into(), base64: STANDARD.encode(payload) };
        let line = message.line().map_err(|_| DecodeError::TooLarge(payload.len()))?;
        let until = Instant::now() + self.budget;
        let answer = self.link.ask(&line, until, |message| match message {
            FromPlugin::Frames { n: answered, frames } if answered == n => Some(Ok(frames)),
            FromPlugin::Undecodable { n: answered, why } if answered == n => Some(Err(why)),
            _ => None,
        });
        let frames = answer.map_err(DecodeError::Form)?.map_err(|why| DecodeError::Form(said(&why)))?;
        if frames.len() > FRAMES_MAX {
            let why = format!("{} frames of one payload; at most {FRAMES_MAX}", frames.len());
            return Err(DecodeError::Form(why));
        }
        frames.into_iter().map(|frame| Ok(Heard::Frame(FrameLine::read(frame)?.frame()?))).collect()
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
