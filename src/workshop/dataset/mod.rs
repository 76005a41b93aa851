//! Recordings as labelled sets.

mod annotated;
mod code15;
mod ptbxl;
mod waves;

pub use annotated::{Annotated, read_ludb, read_qtdb};
pub use code15::{Code15, Exam};
pub use ptbxl::{CLASSES, LENGTH, Labels, PtbXl};
pub use waves::Wave;

use std::path::PathBuf;

/// Why a data set cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatasetError {
    /// The table of labels.
    #[error("{}: {why}", path.display())]
    Table {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A record that does not belong to the set.
    #[error("{}: {why}", path.display())]
    Record {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file that is no readable recording.
    #[error("{0}")]
    Wfdb(String),
}

impl From<recordings::RecordError> for DatasetError {
    fn from(e: recordings::RecordError) -> Self {
        Self::Wfdb(e.to_string())
    }
}
