//! From a monitor's millivolts to the network's input: rate, filters, leads.
//!
//! What it does: brings any rate to 100 Hz, derives limb leads, filters, clips and scales, in a fixed order of
//! operations, so that any cut into calls gives equal bits.
//! What it never does: judge the signal (that is `quality`), look at more than one bed.
//! Door: [`condition_100hz`] for whole recordings (training), [`Conditioner`] and `Resampler` for streams.
//! Who calls it: `analyse`, and `workshop` for training.

mod condition;

pub use condition::{Conditioner, condition_100hz};
