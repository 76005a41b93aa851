//! What a run may be told.

use contract::BedId;
use std::path::PathBuf;

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// JSON in millivolts: every bit of the samples survives.
    #[default]
    Json,
    /// JSON in whole microvolts, shorter.
    JsonMicrovolt,
    /// Packed, 32-bit floats: every bit of the samples survives.
    Packed,
    /// Packed, 16-bit integers of one microvolt.
    PackedInteger,
}

/// What goes wrong by chance. Every draw comes from `seed`, the bed's place in the list and the frame's number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    /// Seed of all draws.
    pub seed: u64,
    /// Share of frames that are lost on the way, 0 to 1.
    pub loss: f64,
    /// Share of frames that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Share of frames that arrive after their successor, 0 to 1.
    pub reorder: f64,
    /// Longest delay of a frame on the way, in wall milliseconds; each frame draws between 0 and this.
    pub delay_ms_max: u32,
    /// How fast the monitor's clock runs ahead, in parts per million.
    pub drift_ppm: f64,
    /// Share of frames at which the monitor's clock jumps, 0 to 1.
    pub jump: f64,
    /// How far it jumps, forward or back, in milliseconds.
    pub jump_ms: u32,
    /// Share of frames at which a silence begins, 0 to 1.
    pub silence: f64,
    /// Length of a silence, in seconds of signal.
    pub silence_s: f64,
    /// Share of frames at which one lead falls off, 0 to 1.
    pub lead_off: f64,
    /// How long it stays off, in seconds of signal.
    pub lead_off_s: f64,
}

/// How a ward is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The broker's host.
    pub host: String,
    /// The broker's port (MQTT 5).
    pub port: u16,
    /// User name and the file that holds the password, where the broker asks.
    pub login: Option<(String, PathBuf)>,
    /// How frames are written.
    pub dialect: Dialect,
    /// Publish frames with `QoS` 1, so that the broker confirms each one; else `QoS` 0.
    pub confirmed: bool,
    /// Seconds of signal per second of wall time, 0.1 to 100.
    pub speed: f64,
    /// Length of a frame in milliseconds of signal, 20 to 5,000.
    pub frame_ms: u32,
    /// Ends each bed after this much signal, in seconds; `None` = when it ends by itself or is stopped.
    pub seconds: Option<u64>,
    /// Beds on one connection. A connection of one bed puts its Last Will on the bed's `link`; a connection of
    /// several is a gateway, with its Will on `_gw/{name}/link`.
    pub beds_per_connection: usize,
    /// Spread the beds' frames over the frame length instead of sending all at once.
    pub spread: bool,
    /// What goes wrong by chance.
    pub faults: Faults,
    /// The epoch of every bed, for tests; `None` = fresh at each start.
    pub epoch: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 1883,
            login: None,
            dialect: Dialect::default(),
            confirmed: false,
            speed: 1.0,
            frame_ms: 1_000,
            seconds: None,
            beds_per_connection: 1,
            spread: true,
            faults: Faults::default(),
            epoch: None,
        }
    }
}

/// Why monitors cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option that cannot be used.
    #[error("{0}")]
    Options(String),
    /// A bed whose plan cannot be published.
    #[error("bed {0} {1}")]
    Bed(BedId, String),
    /// A recording that cannot be published.
    #[error("record {0}: {1}")]
    Record(String, String),
    /// No connection.
    #[error("no broker at {broker}: {why}")]
    Connect {
        /// Host and port.
        broker: String,
        /// The last fault.
        why: String,
    },
    /// A connection's task panicked.
    #[error("a connection broke down: {0}")]
    Broken(String),
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Options(what));
        if !(0.1..=100.0).contains(&self.speed) {
            return refuse(format!("speed {} must be 0.1 to 100", self.speed));
        }
        if !(20..=5_000).contains(&self.frame_ms) {
            return refuse(format!("frame length {} ms must be 20 to 5000 ms", self.frame_ms));
        }
        if self.beds_per_connection == 0 {
            return refuse("a connection carries at least one bed".into());
        }
        let f = &self.faults;
        let shares = [
            ("loss", f.loss),
            ("duplicate", f.duplicate),
            ("reorder", f.reorder),
            ("jump", f.jump),
            ("silence", f.silence),
            ("lead-off", f.lead_off),
        ];
        match shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            Some((name, share)) => refuse(format!("{name} {share} must be 0 to 1")),
            None if !f.drift_ppm.is_finite() => refuse("drift must be a number".into()),
            None if !(0.0..=86_400.0).contains(&f.silence_s) || !(0.0..=86_400.0).contains(&f.lead_off_s) => {
                refuse("a silence or a lost lead lasts 0 to 86400 s".into())
            }
            None => Ok(()),
        }
    }
}
