//! The accepted stream on disk (`docs/recorder.md`): what the analysis took in, hop by hop, per bed.
//!
//! One thread writes; engine threads hand over and never wait. A disk that is full or slow stops the recording, which
//! is a trouble of the node, and nothing else. `replay` and evidence rest on what is here.

mod feed;
mod file;
mod retention;
mod tapes;
mod writer;

pub use feed::Feed;
pub use file::{Kind, Reading, Seen, read};
pub use tapes::{Excerpt, Tapes};

use crate::config::Settings;
use crate::daemon::DaemonError;
use crate::daemon::clock::Clock;
use contract::BedId;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Ending of a recording's name.
const EXTENSION: &str = "wbr";
/// Folder of the evidence files.
const EVIDENCE_FOLDER: &str = "evidence";
/// Orders that may wait for the disk.
const ORDERS_MAX: usize = 16_384;

/// Something to be kept.
#[derive(Debug)]
pub enum Order {
    /// One record of a bed.
    Record {
        /// The bed.
        bed: BedId,
        /// What the record holds.
        kind: Kind,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// An alert's evidence: a file of its own with the signal that led to it.
    Evidence {
        /// The bed.
        bed: BedId,
        /// The file's name.
        name: String,
        /// The document that the alert carries the hash of.
        document: Vec<u8>,
    },
}

impl Order {
    fn bed(&self) -> &BedId {
        match self {
            Self::Record { bed, .. } | Self::Evidence { bed, .. } => bed,
        }
    }
}

/// How the recording fares.
#[derive(Debug, Default)]
pub struct Health {
    trouble: Mutex<String>,
    /// Records that found no room: the disk is slow.
    pub lost: AtomicU64,
    /// Bytes on disk at the last look.
    pub bytes: AtomicU64,
}

impl Health {
    /// Why nothing is recorded, in words; empty = it is.
    #[must_use]
    pub fn trouble(&self) -> String {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, trouble: &str) {
        trouble.clone_into(&mut self.trouble.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The recorder's end for those who hand over.
#[derive(Clone)]
pub struct Recorder {
    orders: SyncSender<Order>,
    /// How it fares.
    pub health: Arc<Health>,
}

/// The folder of the recordings: as the config says, else beside the journal.
#[must_use]
pub fn folder(settings: &Settings) -> PathBuf {
    match &settings.recorder.path {
        Some(path) => path.clone(),
        None => settings.journal.path.with_extension("recorder"),
    }
}

/// Starts the recorder where the config wants one.
///
/// # Errors
/// [`DaemonError`] if its folder cannot be made or a thread cannot.
pub fn start(settings: &Settings, clock: Clock) -> Result<Option<(Recorder, JoinHandle<()>)>, DaemonError> {
    if !settings.recorder.enabled {
        return Ok(None);
    }
    let folder = folder(settings);
    let told =
        |e: std::io::Error| DaemonError::File { path: folder.display().to_string(), why: e.to_string() };
    std::fs::create_dir_all(&folder).map_err(told)?;
    let (orders, taken) = sync_channel(ORDERS_MAX);
    let health = Arc::<Health>::default();
    let limits = retention::Limits {
        stream_ms: i64::from(settings.recorder.keep_hours) * 3_600_000,
        evidence_ms: i64::from(settings.journal.retention_days) * 86_400_000,
        bytes: (settings.recorder.size_gb * 1e9) as u64,
    };
    let writer = writer::Writer::new(folder, limits, clock, health.clone());
    let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || writer.run(&taken))?;
    Ok(Some((Recorder { orders, health }, thread)))
}
