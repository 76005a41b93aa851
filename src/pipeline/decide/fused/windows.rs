//! Means over the newest seconds.

use super::Facts;
use serde::{Deserialize, Serialize};

/// Time scales of the comparison, in seconds: a short run of beats, what a monitor judges, a window.
pub(super) const SCALES_S: [usize; 3] = [3, 5, 10];
/// Seconds that must have been read.
const READ_MIN: usize = 3;

/// The mean of some seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// Entropy.
    pub h: f32,
    /// ln of the novelty.
    pub ln_m: f32,
    /// ln of the amplitude in mV.
    pub ln_rms: f32,
    /// Class evidence.
    pub logit: Vec<f32>,
    /// Share of each cluster, by soft assignment.
    pub share: Vec<f32>,
}

/// The newest `seconds` of those read with the newest one's leads; `None` where too few were.
pub(super) fn trailing<'a>(
    past: impl DoubleEndedIterator<Item = &'a Facts>,
    seconds: usize,
) -> Option<Window> {
    let newest: Vec<&Facts> = past.rev().take(seconds).collect();
    let mask = newest.first()?.mask;
    let read: Vec<&Facts> = newest.into_iter().filter(|f| f.mask == mask).collect();
    if mask == 0 || read.len() < READ_MIN {
        return None;
    }
    let mean = |of: &dyn Fn(&Facts) -> f32| {
        (read.iter().map(|f| f64::from(of(f))).sum::<f64>() / read.len() as f64) as f32
    };
    Some(Window {
        h: mean(&|f| f.entropy),
        ln_m: libm::logf(mean(&|f| f.novelty).max(1e-4)),
        ln_rms: libm::logf(mean(&|f| f.rms_mv).max(1e-3)),
        logit: (0..read[0].logits.len()).map(|k| mean(&|f| f.logits[k])).collect(),
        share: (0..read[0].soft.len()).map(|k| mean(&|f| f.soft[k])).collect(),
    })
}
