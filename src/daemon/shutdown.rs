//! SIGINT and SIGTERM: the first asks for an orderly end, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a process that was told twice, as shells have it for SIGINT.
const AT_ONCE: i32 = 130;

/// Sets `asked` at the first signal and ends the process at the second.
///
/// # Errors
/// The system's, where signals cannot be heard.
pub fn watch(runtime: &tokio::runtime::Runtime, asked: Arc<AtomicBool>) -> std::io::Result<()> {
    let _inside = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked.swap(true, Ordering::AcqRel) {
                tracing::warn!("told twice, ending at once");
                std::process::exit(AT_ONCE);
            }
            tracing::info!("asked to stop, draining; once more ends at once");
        }
    });
    Ok(())
}
