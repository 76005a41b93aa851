//! What `run` and `demo` share: log lines, the bundle, and the wait while the daemon works.

use crate::daemon::Running;
use crate::model::{Bundle, ModelError};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::thread;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// How often the wait looks whether it is over.
const LOOK: Duration = Duration::from_millis(100);

/// The bundle of that folder, else the one in this program.
pub(super) fn bundle(folder: Option<&Path>) -> Result<Bundle, ModelError> {
    folder.map_or_else(Bundle::embedded, Bundle::read)
}

/// Log lines on standard error; `RUST_LOG` chooses, else Wardbeat's own from `info` on.
pub(super) fn log() {
    let ours = || EnvFilter::new("warn,wardbeat=info,rumqttd=off");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| ours());
    // A second subscriber in one process (tests) is no reason to fail.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
}

/// Waits until a signal asks to stop or `over` says so.
pub(super) fn watch(running: &Running, mut over: impl FnMut() -> bool) {
    while !running.asked_to_stop() && !over() {
        thread::sleep(LOOK);
    }
}
