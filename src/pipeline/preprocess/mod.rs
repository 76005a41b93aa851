//! From a monitor's millivolts to the network's input: rate, filters, leads.
//!
//! What it does: brings any rate to 100 Hz, derives limb leads, filters, clips and scales, in a fixed order of
//! operations, so that any cut into calls gives equal bits.
//! What it never does: judge the signal (that is `quality`), look at more than one bed.
//! Door: [`condition_100hz`] and [`prepare_whole`] for whole recordings, [`Conditioner`] and `Resampler` for streams.
//! Who calls it: `analyse`, and `workshop` for training.

mod condition;
pub(super) mod leads;
pub(super) mod quality;
pub(super) mod resample;
mod whole;

pub use condition::{Conditioner, condition_100hz};
pub use whole::{prepare_whole, resample_100hz};

/// Largest factor of the polyphase resampler: rates whose ratio to 100 Hz needs more are refused.
const FACTOR_MAX: u64 = 20_000;

/// Up and down factors from a rate to 100 Hz, reduced.
fn factors(rate: contract::Ratio) -> (u64, u64) {
    let (numerator, denominator) = rate.parts();
    let reduced = contract::Ratio::new(numerator, denominator).unwrap_or(rate).parts();
    let (mut a, mut b) = (100 * u64::from(reduced.1), u64::from(reduced.0));
    let (up, down) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (up / a, down / a)
}

/// Whether a rate can be brought to 100 Hz.
#[must_use]
pub fn rate_supported(rate: contract::Ratio) -> bool {
    let (up, down) = factors(rate);
    up.max(down) <= FACTOR_MAX
}
