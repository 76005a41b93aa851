//! preprocess → infer → explain as one call: the one door for live beds and for recordings.

use super::Due;
use crate::model::{Bundle, Engine};
use contract::{Finding, LeadId, Ratio};
use std::sync::Arc;

/// The analysis of the beds of one thread: each bed's place in the network and in the filters.
pub struct Analyser {
    #[expect(dead_code, reason = "the stages land next")]
    bundle: Arc<Bundle>,
    #[expect(dead_code, reason = "the stages land next")]
    engine: Box<dyn Engine>,
}

impl Analyser {
    /// An analyser over a bundle and an engine opened for it.
    #[must_use]
    pub fn new(bundle: Arc<Bundle>, engine: Box<dyn Engine>) -> Self {
        Self { bundle, engine }
    }

    /// One finding for each due hop, in the same order; a hop that cannot be read says why.
    pub fn analyse(&mut self, due: &[Due]) -> Vec<Finding> {
        due.iter().map(|_| unreachable!("lands next")).collect()
    }

    /// Forgets a bed.
    pub fn forget(&mut self, _bed: &contract::BedId) {}
}

/// Analyses one whole recording as one bed, exactly as live, but flushed at its end and with the steps at its edges.
pub fn analyse_recording(
    analyser: &mut Analyser,
    _leads: &[LeadId],
    _rate: Ratio,
    _samples_mv: &[Vec<f32>],
) -> Vec<Finding> {
    analyser.analyse(&[])
}
