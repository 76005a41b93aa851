//! Hops and windows by sample index: hop k of 1 s covers the samples floor(k·rate) to floor((k+1)·rate) since the epoch
//! began; window k is the 10 s that end with it. The same borders on every node and for any cut into frames.

use super::ring::Ring;
use contract::{BedId, LeadId, Mode, Ratio, UtcMs};
use ndarray::Array2;

/// What a hop is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A stream: steps count once their whole field of view has been seen.
    Live,
    /// A recording read whole: steps whose field of view reaches over its beginning count too.
    Whole,
    /// Its end: the last steps are completed with zeros after it.
    WholeEnd,
}

/// One hop of one bed, complete by index; what did not come is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// The bed.
    pub bed: BedId,
    /// The epoch of the indices.
    pub epoch: u32,
    /// Index of the hop since the epoch began.
    pub window: u64,
    /// First sample of the hop, at the monitor's rate.
    pub from_n: u64,
    /// Sample after the hop's last one.
    pub to_n: u64,
    /// The monitor's rate.
    pub rate: Ratio,
    /// Wall time of the hop's last sample.
    pub end: UtcMs,
    /// Real, test or demo.
    pub mode: Mode,
    /// The patient is paced, as the monitor says.
    pub paced: bool,
    /// The monitor says that a lead is off somewhere in the hop.
    pub lead_off: bool,
    /// The leads, in the order of the rows.
    pub leads: Vec<LeadId>,
    /// Millivolts `[lead, time]`; NaN = missing.
    pub samples_mv: Array2<f32>,
    /// What it is part of.
    pub part: Part,
}

/// The first hop that begins at or after sample `n`.
pub(super) fn first_hop(rate: Ratio, n: u64) -> u64 {
    let (numerator, denominator) = rate.parts();
    // floor(k · rate) ≥ n is the same as k · rate ≥ n, since n is whole.
    (u128::from(n) * u128::from(denominator)).div_ceil(u128::from(numerator)) as u64
}

/// The next hop that is complete in the ring, at or after hop `next`: its index, first sample and end. Hops whose
/// beginning the ring has lost are passed over.
pub(super) fn complete_hop(ring: &Ring, next: u64) -> Option<(u64, u64, u64)> {
    let rate = ring.rate();
    let hop = if rate.samples_in(next) < ring.start() { first_hop(rate, ring.start()) } else { next };
    let (from, to) = (rate.samples_in(hop), rate.samples_in(hop + 1));
    (ring.end()? >= to).then_some((hop, from, to))
}

/// The samples of a hop `[lead, time]`.
pub(super) fn cut(ring: &mut Ring, from: u64, to: u64) -> (Vec<LeadId>, Array2<f32>) {
    let leads: Vec<LeadId> = ring.leads().collect();
    let flat: Vec<f32> = (0..leads.len()).flat_map(|i| ring.read(i, from, to)).collect();
    let shape = (leads.len(), (to - from) as usize);
    (leads, Array2::from_shape_vec(shape, flat).expect("every lead gives the same stretch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_tile_the_index_for_odd_rates() {
        let rate = Ratio::new(125, 2).expect("valid");
        assert_eq!(first_hop(rate, 0), 0);
        assert_eq!(first_hop(rate, 1), 1);
        assert_eq!(first_hop(rate, 62), 1);
        assert_eq!(first_hop(rate, 63), 2);
        assert_eq!(first_hop(rate, 125), 2);
    }
}
