//! Monitors on a thread of their own, for programs that are not async.

use crate::{Error, Monitor, Report};
use std::thread::{self, JoinHandle};
use tokio::runtime;
use tokio::sync::watch;

/// Monitors that publish. Dropping it stops them.
pub struct Background {
    stop: watch::Sender<bool>,
    thread: JoinHandle<Result<Report, Error>>,
}

impl Monitor {
    /// [`Monitor::run`] on a thread of its own. Returns at once.
    ///
    /// # Errors
    /// If the system gives no thread or runtime.
    pub fn start(self) -> std::io::Result<Background> {
        let (stop, stopped) = watch::channel(false);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || runtime.block_on(self.run(stopped));
        let thread = thread::Builder::new().name("monitors".into()).spawn(run)?;
        Ok(Background { stop, thread })
    }
}

impl Background {
    /// Whether every signal has ended, or the monitors failed.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the monitors, where they still run, and says what was sent.
    ///
    /// # Errors
    /// As [`Monitor::run`].
    pub fn stop(self) -> Result<Report, Error> {
        // They are gone already if nobody listens.
        let _ = self.stop.send(true);
        self.thread.join().map_err(|_| Error::Broken("the monitors' thread ended by a panic".into()))?
    }
}
