//! Why a file was refused: what, where, what to do.

use std::path::{Path, PathBuf};

/// Why a record or annotation file was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A header line has no form this reader knows.
    #[error("{}:{line}: {why}", path.display())]
    Header {
        /// Which header.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The signal or annotation file does not hold what is announced.
    #[error("{}: {why}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A signal's first sample is not the header's.
    #[error("{}: lead {lead}: initial value {found}, the header says {expected}", path.display())]
    Initial {
        /// Which signal file.
        path: PathBuf,
        /// Which lead.
        lead: String,
        /// As in the header.
        expected: i32,
        /// As in the signal file.
        found: i32,
    },
    /// A signal's 16-bit sum is not the header's.
    #[error("{}: lead {lead}: checksum {found}, the header says {expected}", path.display())]
    Checksum {
        /// Which signal file.
        path: PathBuf,
        /// Which lead.
        lead: String,
        /// As in the header.
        expected: i16,
        /// As computed.
        found: i16,
    },
}

impl RecordError {
    pub(crate) fn content(path: &Path, why: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), why: why.into() }
    }
}

/// Reads a whole file of at most `bytes_max`.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, RecordError> {
    use std::io::Read;
    let io = |source| RecordError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut bytes = Vec::with_capacity(size.min(bytes_max) as usize + 1);
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > bytes_max {
        return Err(RecordError::content(path, format!("larger than the limit of {bytes_max} bytes")));
    }
    Ok(bytes)
}
