//! WFDB files in, samples and annotations out.
//!
//! What it does: reads a record's header and its signal files (formats 16, 80 and 212, with byte offsets), proves
//! each signal against the header's initial value and checksum, and gives samples as counts or millivolts (a
//! sample marked as missing is NaN); reads annotation files of the MIT layout, whatever their extension; lists the
//! records of a folder; writes small records in format 16 with annotations.
//! What it never does: guess. Segments, other formats, several samples per frame and skew are refused with file and
//! line. Every size a header announces is checked against the file before memory is asked for.
//! Door: [`Record::read`], [`annotations`], [`list`], [`Draft`].
//! Who calls it: the monitor simulator, the workshop (training, evaluation, `explain`) and tests.

mod annotation;
mod error;
mod header;
mod record;
mod samples;
mod write;

pub use annotation::{Annotation, annotations, parse_annotations};
pub use error::RecordError;
pub use header::{Header, Signal};
pub use record::{Record, list};
pub use write::{Draft, write_annotations};

/// A limit on everything that a file announces.
pub mod limits {
    /// Signals in one record.
    pub const SIGNALS_MAX: usize = 256;
    /// Header size, in bytes.
    pub const HEADER_BYTES_MAX: u64 = 1 << 20;
    /// Signal file size, in bytes.
    pub const SIGNAL_BYTES_MAX: u64 = 1 << 30;
    /// Annotation file size, in bytes.
    pub const ANNOTATION_BYTES_MAX: u64 = 64 << 20;
    /// Sampling rate, in Hz.
    pub const RATE_HZ_MAX: f64 = 1e6;
    /// Depth of folders that are searched for records.
    pub const FOLDER_DEPTH_MAX: usize = 8;
    /// Records listed in one folder.
    pub const RECORDS_MAX: usize = 1_000_000;
}
