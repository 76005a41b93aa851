//! Clusters of the taps' activations: soft assignment, entropy, novelty.

use super::LeadMask;
use crate::snapshot::ClusterName;

/// K centroids in the scaled space of the taps.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    /// Clusters.
    pub clusters: usize,
    /// The clusters' names.
    pub names: Vec<ClusterName>,
}

/// What the codebook says of some steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assigned {
    /// `[step, cluster]`, rows sum to 1.
    pub assignment: Vec<f32>,
    /// Nearest cluster `[step]`.
    pub cluster: Vec<u8>,
    /// `[step]`, 0 to 1.
    pub entropy: Vec<f32>,
    /// `[step]`, 1 = the lead set's 95 % quantile.
    pub novelty: Vec<f32>,
}

impl Codebook {
    /// Assigns steps given by their taps' activations `[step, 384]`.
    #[must_use]
    pub fn assign(&self, _taps: &[f32], _mask: LeadMask) -> Assigned {
        Assigned::default()
    }

    /// Class probabilities from cluster proportions alone `[class]`; empty if the bundle has no surrogate.
    #[must_use]
    pub fn surrogate(&self, _proportion: &[f32]) -> Vec<f32> {
        Vec::new()
    }
}
