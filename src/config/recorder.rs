//! The settings of the recorder.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The accepted stream on disk, for replay and evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recorder {
    /// Whether anything is recorded: a patient's signal lies on disk only where the site asks for it.
    pub enabled: bool,
    /// The folder; `None` = beside the journal, under its name with the ending `.recorder`.
    pub path: Option<PathBuf>,
    /// Hours that the stream is kept.
    pub keep_hours: u32,
    /// Gigabytes (10⁹ bytes) of stream and evidence together.
    pub size_gb: f64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { enabled: false, path: None, keep_hours: 72, size_gb: 20.0 }
    }
}
