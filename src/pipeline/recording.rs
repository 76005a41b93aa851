//! A recording as hops: what offline commands feed to the same [`Analyser`] as live beds.

use super::{Analyser, Due, Part};
use contract::{BedId, Finding, LeadId, Mode, Ratio, UtcMs};
use ndarray::Array2;

/// One recording in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// A name for it, in the form of a bed.
    pub bed: BedId,
    /// Its leads.
    pub leads: Vec<LeadId>,
    /// Its rate.
    pub rate: Ratio,
    /// Millivolts, one row a lead, all of the same length; NaN = missing.
    pub samples_mv: Vec<Vec<f32>>,
}

impl Recording {
    /// Cuts it into hops of 1 s. With `whole` its end is flushed (zeros after it, a shorter last hop) and the steps at
    /// its edges count; without, the findings are those of a live bed, byte for byte.
    #[must_use]
    pub fn hops(&self, whole: bool) -> Vec<Due> {
        let length = self.samples_mv.iter().map(Vec::len).min().unwrap_or(0) as u64;
        let borders = (0..).map(|k| (k, self.rate.samples_in(k)));
        let hop = |(window, from_n): (u64, u64)| {
            let to_n = self.rate.samples_in(window + 1).min(length);
            let rows = self.samples_mv.iter().flat_map(|row| &row[from_n as usize..to_n as usize]);
            let shape = (self.leads.len(), (to_n - from_n) as usize);
            Due {
                bed: self.bed.clone(),
                epoch: 0,
                window,
                from_n,
                to_n,
                rate: self.rate,
                end: UtcMs(self.rate.ms_at(to_n - 1)),
                mode: Mode::Real,
                paced: false,
                lead_off: false,
                leads: self.leads.clone(),
                samples_mv: Array2::from_shape_vec(shape, rows.copied().collect()).unwrap_or_default(),
                part: match (whole, to_n == length) {
                    (false, _) => Part::Live,
                    (true, false) => Part::Whole,
                    (true, true) => Part::WholeEnd,
                },
            }
        };
        let complete =
            |&(k, from): &(u64, u64)| from < length && (whole || self.rate.samples_in(k + 1) <= length);
        borders.take_while(complete).map(hop).collect()
    }
}

/// Analyses one recording as if it were a bed; with `whole` as one segment flushed at its end. One finding a hop; the
/// last one of a 10 s recording read whole has all its 250 steps in its window.
pub fn analyse_recording(analyser: &mut Analyser, recording: &Recording, whole: bool) -> Vec<Finding> {
    analyser.forget(&recording.bed);
    let findings = analyser.analyse(&recording.hops(whole));
    analyser.forget(&recording.bed);
    findings
}
