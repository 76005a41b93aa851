//! The JSON lines between Wardbeat and an exec plugin (`docs/plugins.md`): one object a line, UTF-8, told apart by `op`.
//!
//! What it does: defines every message of both roles (sink, decoder), writes and reads one line, and turns the frames
//! that a decoder answers into checked ones.
//! What it never does: input or output; run a child (crate `exec`). The golden tests below freeze the bytes.
//! Door: [`ToPlugin`], [`FromPlugin`]. Who calls it: `plugins/exec`; plugins written in Rust.

use crate::limits::PLUGIN_LINE_BYTES_MAX;
use crate::{Alert, BedId, DecodeError, Flags, Frame, FrameParts, LeadId, Mode, Ratio, UtcMs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of these messages.
pub const PROTO: u32 = 1;

/// What the plugin is asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Alerts go to it.
    Sink,
    /// Payloads go to it, frames come back.
    Decoder,
}

/// A message to the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum ToPlugin {
    /// The first line; nothing else is sent before `ready`.
    Hello {
        /// [`PROTO`].
        proto: u32,
        /// This node's name.
        node: String,
        /// Messages that may be unanswered at a time.
        window: u32,
        /// What the plugin is asked to be.
        role: Role,
    },
    /// Deliver this alert. Repeats carry the same key.
    Alert {
        /// `id:rev`, by which receivers drop repeats.
        key: String,
        /// The alert.
        alert: Box<Alert>,
    },
    /// Decode this payload.
    Payload {
        /// Returned in the answer.
        n: u64,
        /// The topic it came on.
        topic: String,
        /// The bytes, in standard base64 with padding.
        base64: String,
    },
    /// Say that you live.
    Ping {
        /// Returned in the answer.
        n: u64,
    },
    /// Finish: stdin closes after this line.
    Bye,
}

/// A message from the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum FromPlugin {
    /// The answer to `hello`.
    Ready {
        /// The version that the plugin speaks.
        proto: u32,
        /// Its name, for people.
        #[serde(default)]
        name: String,
    },
    /// The alert is delivered.
    Done {
        /// Its key.
        key: String,
    },
    /// Not now: send it again.
    Retry {
        /// Its key.
        key: String,
        /// Not before this many milliseconds.
        #[serde(default)]
        after_ms: u64,
        /// Why, for people.
        #[serde(default)]
        why: String,
    },
    /// Never: it is parked, and a technical alert is raised.
    Fail {
        /// Its key.
        key: String,
        /// Why, for people.
        #[serde(default)]
        why: String,
    },
    /// The answer to `ping`.
    Pong {
        /// As asked.
        n: u64,
    },
    /// Somebody has seen an alert; heeded only where the config allows it.
    Ack {
        /// The alert's id.
        alert: String,
        /// Who, as the destination says.
        by: String,
    },
    /// What the payload held; an empty list says "nothing for us".
    Frames {
        /// As asked.
        n: u64,
        /// The frames, each a [`FrameLine`]; one that is not refuses its payload and breaks nothing else.
        frames: Vec<Value>,
    },
    /// The payload is not of this dialect.
    Undecodable {
        /// As asked.
        n: u64,
        /// Why, for people.
        #[serde(default)]
        why: String,
    },
}

/// Why a line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Longer than [`PLUGIN_LINE_BYTES_MAX`].
    #[error("line of {0} bytes; at most {PLUGIN_LINE_BYTES_MAX}")]
    TooLong(usize),
    /// Not a message of this protocol.
    #[error("not a message: {why} in {line:?}")]
    Form {
        /// The line's beginning.
        line: String,
        /// What is wrong.
        why: String,
    },
}

impl ToPlugin {
    /// The message as one line, ending in a line feed.
    ///
    /// # Errors
    /// [`LineFault::TooLong`].
    pub fn line(&self) -> Result<String, LineFault> {
        let mut line = serde_json::to_string(self)
            .map_err(|e| LineFault::Form { line: String::new(), why: e.to_string() })?;
        if line.len() > PLUGIN_LINE_BYTES_MAX {
            return Err(LineFault::TooLong(line.len()));
        }
        line.push('\n');
        Ok(line)
    }
}

impl FromPlugin {
    /// Reads one line, with or without its line feed. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`LineFault`] says what is wrong and shows the line's beginning.
    pub fn parse(line: &[u8]) -> Result<Self, LineFault> {
        if line.len() > PLUGIN_LINE_BYTES_MAX + 1 {
            return Err(LineFault::TooLong(line.len()));
        }
        serde_json::from_slice(line).map_err(|e| LineFault::Form {
            line: String::from_utf8_lossy(line).chars().take(80).collect(),
            why: e.to_string(),
        })
    }
}

/// The unit of `value × lsb` in a [`FrameLine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameUnit {
    /// Microvolts.
    #[serde(rename = "uV")]
    Microvolt,
    /// Millivolts.
    #[serde(rename = "mV")]
    Millivolt,
}

/// A frame as a plugin writes it: the JSON frame of `docs/wire.md` in uV or mV.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameLine {
    /// 1.
    pub v: u64,
    /// The bed, `site/unit/bed`.
    pub bed: BedId,
    /// A fresh number whenever the source's sample counter restarts, up to eight hex digits.
    pub epoch: String,
    /// Counts frames within the epoch.
    #[serde(default)]
    pub seq: u32,
    /// Index of the first sample since the epoch began.
    pub n0: u64,
    /// Wall time of sample `n0`.
    #[serde(default)]
    pub t0: Option<UtcMs>,
    /// Samples per second of every lead.
    pub rate_hz: Ratio,
    /// The unit of the samples.
    pub unit: FrameUnit,
    /// What one step of a sample is worth, in `unit`.
    #[serde(default = "one")]
    pub lsb: f64,
    /// The gateway's flags.
    #[serde(default)]
    pub flags: Flags,
    /// Real, test or demo.
    #[serde(default)]
    pub mode: Mode,
    /// The samples of each lead; `null` = missing.
    pub leads: BTreeMap<LeadId, Vec<Option<f32>>>,
}

fn one() -> f64 {
    1.0
}

impl FrameLine {
    /// Reads one frame of [`FromPlugin::Frames`].
    ///
    /// # Errors
    /// [`DecodeError::Form`] says what is missing or wrong.
    pub fn read(frame: Value) -> Result<Self, DecodeError> {
        serde_json::from_value(frame).map_err(|e| DecodeError::Form(format!("frame: {e}")))
    }

    /// The checked frame, in millivolts.
    ///
    /// # Errors
    /// [`DecodeError`] names what is wrong.
    pub fn frame(self) -> Result<Frame, DecodeError> {
        if self.v != 1 {
            return Err(DecodeError::Version(self.v));
        }
        let epoch = u32::from_str_radix(&self.epoch, 16)
            .map_err(|_| DecodeError::Form(format!("epoch {:?} must be 1 to 8 hex digits", self.epoch)))?;
        if !(self.lsb.is_finite() && self.lsb > 0.0) {
            return Err(DecodeError::Form(format!("lsb {} must be a number above 0", self.lsb)));
        }
        let scale = match self.unit {
            FrameUnit::Microvolt => self.lsb / 1_000.0,
            FrameUnit::Millivolt => self.lsb,
        };
        let length = self.leads.values().next().map_or(0, Vec::len);
        if let Some((lead, samples)) = self.leads.iter().find(|(_, s)| s.len() != length) {
            let found = samples.len();
            return Err(DecodeError::Form(format!(
                "lead {lead} has {found} samples, the first lead {length}"
            )));
        }
        let value = |v: &Option<f32>| v.map_or(f32::NAN, |v| (f64::from(v) * scale) as f32);
        Ok(Frame::new(FrameParts {
            bed: self.bed,
            epoch,
            seq: self.seq,
            n0: self.n0,
            rate: self.rate_hz,
            t0: self.t0,
            flags: self.flags,
            mode: self.mode,
            samples_mv: self.leads.values().flatten().map(value).collect(),
            leads: self.leads.into_keys().collect(),
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::alert;
    use crate::{Code, Phase};

    fn goes_out_as(message: &ToPlugin, line: &str) {
        assert_eq!(message.line().unwrap(), format!("{line}\n"));
        assert_eq!(&serde_json::from_str::<ToPlugin>(line).unwrap(), message);
    }

    fn is_read_as(line: &str, message: &FromPlugin) {
        assert_eq!(&FromPlugin::parse(line.as_bytes()).unwrap(), message);
        assert_eq!(&FromPlugin::parse(serde_json::to_string(message).unwrap().as_bytes()).unwrap(), message);
    }

    #[test]
    fn the_lines_to_a_plugin_are_frozen() {
        let hello = |role| ToPlugin::Hello { proto: 1, node: "node-a".into(), window: 8, role };
        goes_out_as(
            &hello(Role::Sink),
            r#"{"op":"hello","proto":1,"node":"node-a","window":8,"role":"sink"}"#,
        );
        goes_out_as(
            &hello(Role::Decoder),
            r#"{"op":"hello","proto":1,"node":"node-a","window":8,"role":"decoder"}"#,
        );
        let payload = ToPlugin::Payload { n: 12, topic: "a/b".into(), base64: "AQI=".into() };
        goes_out_as(&payload, r#"{"op":"payload","n":12,"topic":"a/b","base64":"AQI="}"#);
        goes_out_as(&ToPlugin::Ping { n: 4 }, r#"{"op":"ping","n":4}"#);
        goes_out_as(&ToPlugin::Bye, r#"{"op":"bye"}"#);
    }

    #[test]
    fn an_alert_travels_as_the_same_bytes_as_everywhere() {
        let alert = alert(Code::Uncertain, Phase::Start, Mode::Real);
        let bytes = serde_json::to_string(&alert).unwrap();
        let line = format!(r#"{{"op":"alert","key":"{}","alert":{bytes}}}"#, alert.key());
        goes_out_as(&ToPlugin::Alert { key: alert.key(), alert: Box::new(alert) }, &line);
    }

    #[test]
    fn the_lines_from_a_plugin_are_frozen() {
        let key = || "2500:0".to_string();
        is_read_as(
            r#"{"op":"ready","proto":1,"name":"espa-bridge"}"#,
            &FromPlugin::Ready { proto: 1, name: "espa-bridge".into() },
        );
        is_read_as(r#"{"op":"done","key":"2500:0"}"#, &FromPlugin::Done { key: key() });
        is_read_as(
            r#"{"op":"retry","key":"2500:0","after_ms":2000,"why":"line busy"}"#,
            &FromPlugin::Retry { key: key(), after_ms: 2000, why: "line busy".into() },
        );
        is_read_as(
            r#"{"op":"fail","key":"2500:0","why":"unknown bed"}"#,
            &FromPlugin::Fail { key: key(), why: "unknown bed".into() },
        );
        is_read_as(r#"{"op":"pong","n":4}"#, &FromPlugin::Pong { n: 4 });
        is_read_as(
            r#"{"op":"ack","alert":"2500","by":"pager 12"}"#,
            &FromPlugin::Ack { alert: "2500".into(), by: "pager 12".into() },
        );
        is_read_as(
            r#"{"op":"undecodable","n":12,"why":"no ECG"}"#,
            &FromPlugin::Undecodable { n: 12, why: "no ECG".into() },
        );
    }

    const FRAME: &str = r#"{"v":1,"bed":"s/u/b","epoch":"5eed0001","seq":7,"n0":1750,
        "t0":"2026-11-22T22:15:12.250Z","rate_hz":"125/2","unit":"uV","leads":{"II":[-12,0,150,null]}}"#;

    #[test]
    fn a_decoder_s_frame_is_read_in_millivolts() {
        let line = format!(r#"{{"op":"frames","n":12,"frames":[{FRAME}]}}"#);
        let FromPlugin::Frames { n: 12, frames } = FromPlugin::parse(line.as_bytes()).unwrap() else {
            panic!("frames expected")
        };
        let frame = FrameLine::read(frames[0].clone()).unwrap().frame().unwrap();
        assert_eq!((frame.parts().epoch, frame.parts().n0), (0x5eed_0001, 1750));
        let found = frame.lead_mv(0);
        assert_eq!(&found[..3], &[-0.012, 0.0, 0.15]);
        assert!(found[3].is_nan());
    }

    #[test]
    fn an_impossible_frame_is_refused_in_words() {
        let refused = |from: &str, to: &str, why: &str| {
            let line: FrameLine = serde_json::from_str(&FRAME.replace(from, to)).unwrap();
            let fault = line.frame().unwrap_err().to_string();
            assert!(fault.contains(why), "{fault}");
        };
        refused("\"v\":1", "\"v\":2", "version 2");
        refused("5eed0001", "later", "hex digits");
        refused("null]", "null],\"V1\":[1]", "lead V1 has 1");
        refused("-12,0,150,null", "", "0 samples a lead");
        refused("\"unit\":\"uV\"", "\"unit\":\"uV\",\"lsb\":0", "lsb 0");
    }

    #[test]
    fn garbage_is_refused_with_its_beginning() {
        for line in ["", "hello", "{}", "{\"op\":\"reboot\"}", "{\"op\":\"done\"}", "\u{0}\u{1}"] {
            let fault = FromPlugin::parse(line.as_bytes()).unwrap_err();
            assert!(matches!(fault, LineFault::Form { .. }), "{line}: {fault}");
        }
        let fault = FromPlugin::parse(&vec![b'x'; PLUGIN_LINE_BYTES_MAX + 2]).unwrap_err();
        assert_eq!(fault, LineFault::TooLong(PLUGIN_LINE_BYTES_MAX + 2));
    }
}
