//! What `run` and `demo` share: log lines, and the wait while the daemon works.

use crate::daemon::Running;
use std::io;
use std::thread;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// How often the wait looks whether it is over.
const LOOK: Duration = Duration::from_millis(100);

/// Log lines on standard error; `RUST_LOG` chooses, else Wardbeat's own from `info` on.
pub(super) fn log() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,wardbeat=info,rumqttd=off"));
    // A second subscriber in one process (tests) is no reason to fail.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
}

/// Waits until a signal asks to stop or `over` says so.
pub(super) fn watch(running: &Running, mut over: impl FnMut() -> bool) {
    while !running.asked_to_stop() && !over() {
        thread::sleep(LOOK);
    }
}
