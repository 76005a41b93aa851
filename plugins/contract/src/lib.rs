//! The words that Wardbeat, its plugins and its simulators share.
//!
//! What it does: defines the plain types that flow between rooms (frame, finding, alert), the ids and
//! times they carry, the limits everything obeys, the two plugin traits (decoder in, sink out) and the
//! conformance kit that judges a plugin.
//! What it never does: input or output, threads, logging, clocks (but for the kit's stop-watch).
//! Door: everything below is re-exported here, so users write `contract::Frame`.
//! Who calls it: every other crate; it calls none of ours.

mod alert;
mod command;
pub mod conformance;
mod decoder;
mod entry;
mod finding;
mod frame;
mod ids;
pub mod limits;
pub mod protocol;
mod sink;
mod time;
pub mod topic;

pub use alert::{Alert, AlertClass, AlertId, ClusterShift, Code, Level, Part, Phase, Priority, Segment, Why};
pub use command::{Answer, Command, CommandFault, MarkAt, Ruling, Status, Verb};
pub use decoder::{Birth, DecodeError, Decoder, Heard, Link, Numeric};
pub use entry::{Entry, Key, Kind, Options, OptionsError};
pub use finding::{Beats, Finding, LeadSignal, NotRead, Quality, Reading, Signal};
pub use frame::{Flags, Frame, FrameFault, FrameParts, Mode};
pub use ids::{BedId, IdFault, LeadId, SinkName};
pub use sink::{Back, Receipt, Sink, SinkError};
pub use time::{DeviceMs, MonoMs, Ratio, TimeFault, UtcMs};
