//! The analysis of beds: pure, a bed on one thread, time is an argument.
//!
//! What it does: keeps each bed's samples by index (`ring`), cuts hops (`window`), brings them to the network's input
//! (`preprocess`), runs the network (`infer`), assigns clusters (`explain`) and decides what holds of the bed (`decide`).
//! What it never does: read a clock, open a socket or file, spawn a thread, log; it cannot fail but in `infer`, and a
//! fault there is a technical alert while the ward goes on.
//! Door: [`Ward`] and [`Analyser`]; the loop is `hear` → `take_due` until empty → `analyse` → `conclude` → `snapshot`.
//! Who calls it: `daemon::engine` for live beds, `workshop` and the offline commands through [`analyse_recording`].

mod analyse;
mod beats;
mod bed;
mod decide;
mod evidence;
mod explain;
mod infer;
pub mod preprocess;
mod recording;
mod replay;
mod ring;
mod tape;
mod timeline;
mod track;
mod view;
mod ward;
mod window;

pub use analyse::Analyser;
pub use beats::beats_of;
pub use decide::{
    BLOCK_S, Channel, Channels, Facts, Fused, Group, Left, QUANTILE, Saved, Scored, Tail, channels,
    node_alert, quantile, test_alerts,
};
pub use evidence::Evidence;
pub use recording::{Recording, analyse_recording};
pub use replay::{CheckpointError, Replay, Replayed};
use track::Track;
pub use ward::{Counts, Now, Setup, Ward};
pub use window::{Due, Part};
