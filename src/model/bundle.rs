//! A model on disk: manifest, weights, codebook and card in one folder.

use super::Codebook;

/// Why a bundle or a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file is missing, damaged or does not fit the manifest.
    #[error("model bundle: {0}")]
    Bundle(String),
    /// The device does not answer.
    #[error("device: {0}")]
    Device(String),
}

/// What the bundle says of itself (`manifest.json`).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// The classes of the head.
    pub classes: Vec<String>,
    /// Steps of a window: 250 (10 s).
    pub window_steps: usize,
    /// Samples at 100 Hz that a step needs after its centre: the engine's stated delay.
    pub look_ahead_samples: usize,
    /// Samples at 100 Hz after the segment's start before a step's receptive field lies wholly inside.
    pub warm_samples: usize,
    /// Lead sets that the card has figures for, as masks.
    pub lead_sets: Vec<u16>,
}

/// A loaded model.
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The clusters.
    pub codebook: Codebook,
    /// `m-` and six hex digits of the hash over all files.
    pub id: String,
}

impl Bundle {
    /// The bundle compiled into the binary.
    ///
    /// # Errors
    /// [`ModelError::Bundle`] if it is damaged.
    pub fn embedded() -> Result<Self, ModelError> {
        Err(ModelError::Bundle("none embedded yet".into()))
    }

    /// A tiny fixed bundle of the same architecture with seeded weights, for tests: no figure of it means anything.
    #[must_use]
    pub fn tiny(_seed: u64) -> Self {
        unreachable!("written next")
    }
}
