//! Sockets, clocks, threads and disks: everything that touches the world.
//!
//! What it does: joins the broker, decodes payloads on one thread a source, runs the pipeline on engine threads that
//! own their beds, writes each alert to the journal before anybody hears of it, delivers it on one thread a
//! destination, publishes state and the node's own status, and shows the newest picture of the ward.
//! What it never does: compute anything about an ECG, draw, publish to a monitor's topic, wait for a screen.
//! Door: [`start`] and [`start_on`] give [`Running`]; [`watch`] gives [`Watching`], a screen's ear; [`Clock`]; [`Bell`]; [`plugins`] is the table that `config` checks against.
//! Who calls it: `cli` (`run`, `demo`, `watch`).

mod audit;
mod backoff;
mod bell;
mod burden;
mod clock;
mod command;
mod crew;
mod doctor;
mod eavesdrop;
mod engine;
mod histogram;
mod http;
mod journal;
mod leftover;
mod node;
mod outlet;
mod past;
mod publish;
mod queue;
mod recorder;
mod registry;
mod remote;
mod running;
mod secret;
mod shutdown;
mod sink;
mod sniff;
mod source;
mod start;
mod tally;
#[cfg(test)]
mod testing;
mod trial;
mod wire;

pub use audit::{Audit, AuditFault, Standing};
pub use bell::Bell;
pub use burden::{Burden, Load};
pub use clock::Clock;
pub use command::{Commands, Key, KeyFault, Keys, Pending, Secret, read_own, send};
pub use doctor::{Health, Line, examine};
pub use journal::{Asked, Entry, Fate, Reader, ask_resend};
pub use past::{Comparison, Outcome, Past, Verdict};
pub use registry::plugins;
pub use remote::{Watching, watch};
pub use running::Running;
pub use sniff::sniff;
pub use trial::test_sink;

use crate::config::Settings;
use crate::model::{Bundle, Engine};
use serde::Serialize;
use std::sync::Arc;

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A plugin or option that this build cannot use.
    #[error("config: {0}")]
    Config(String),
    /// A file named in the config cannot be read.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// The system's words.
        why: String,
    },
    /// The journal cannot be opened or belongs to a newer version.
    #[error("journal {path}: {why}")]
    Journal {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The audit log cannot be written or does not hold.
    #[error(transparent)]
    Audit(#[from] AuditFault),
    /// A command could not be sent or was not answered.
    #[error("{0}")]
    Command(String),
    /// What was asked for is not there, or a broker does not answer.
    #[error("{0}")]
    Asked(String),
    /// The model cannot run here.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
    /// The system gives no thread or signal.
    #[error("system: {0}")]
    System(#[from] std::io::Error),
}

/// What a run counted. `frames_lost` are frames that came in and were evicted or too late.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Counters {
    /// Beds heard of.
    pub beds: u64,
    /// Frames decoded.
    pub frames_in: u64,
    /// Frames evicted from a full queue, or too late to be used.
    pub frames_lost: u64,
    /// Payloads refused, and messages of beds beyond what one node follows.
    pub refused: u64,
    /// Windows closed.
    pub windows: u64,
    /// Windows that the network read.
    pub findings: u64,
    /// Analysis alerts begun.
    pub alerts: u64,
    /// Technical alerts begun.
    pub technical: u64,
    /// Median of the latency from a frame's arrival to its finding, in ms.
    pub p50_ms: f32,
    /// 99th percentile of the same.
    pub p99_ms: f32,
}

/// Starts the daemon. Returns at once; it joins the broker in its own time and keeps trying.
/// SIGINT and SIGTERM set [`Running::asked_to_stop`]; a second one ends the process at once.
///
/// # Errors
/// [`DaemonError`] for what no waiting would mend: plugins, files, journal, model.
pub fn start(settings: Settings, bundle: Arc<Bundle>) -> Result<Running, DaemonError> {
    let engines = engine::open(&settings, &bundle)?;
    start::start(settings, bundle, engines)
}

/// As [`start`], on engines of the caller's own, one a thread, in place of the config's device.
///
/// # Errors
/// As [`start`].
pub fn start_on(
    settings: Settings,
    bundle: Arc<Bundle>,
    engines: Vec<Box<dyn Engine>>,
) -> Result<Running, DaemonError> {
    start::start(settings, bundle, engines)
}
