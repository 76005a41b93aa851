//! A model on disk: `manifest.json`, `weights.safetensors`, `codebook.safetensors` and `CARD.md`
//! in one folder, and `live.json` where the fused score was fitted.

use super::codebook::CodebookFacts;
use super::fused::FusedFacts;
use super::live::Network;
use super::{Architecture, Arrays, Codebook, LeadMask, Net, RATE_HZ, arrays, fold};
use crate::snapshot::{ClusterName, Family};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// Why a bundle or a device cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ModelError {
    /// A file is missing, damaged or does not fit the manifest.
    #[error("model bundle: {0}")]
    Bundle(String),
    /// The device does not answer.
    #[error("device: {0}")]
    Device(String),
}

/// What the bundle says of itself (`manifest.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this file's form: 1.
    pub format: u32,
    /// Its name.
    pub name: String,
    /// What it was trained on, in one line.
    pub training: String,
    /// Rate of the network's input, in Hz.
    pub rate_hz: u32,
    /// Steps of a window: 250 (10 s).
    pub window_steps: usize,
    /// The network's shape.
    pub network: Architecture,
    /// The classes of the head.
    pub classes: Vec<String>,
    /// Decision threshold of each class's probability (best kappa on the fold for choices): network and surrogate agree
    /// where they fall on the same side.
    pub thresholds: Vec<f32>,
    /// Samples at 100 Hz that a step needs after its centre: the engine's stated delay.
    pub look_ahead_samples: usize,
    /// Samples at 100 Hz after the segment's start before a step's receptive field lies wholly inside.
    pub warm_samples: usize,
    /// Lead sets that the card has figures for, as masks.
    pub lead_sets: Vec<LeadMask>,
    /// The clusters.
    pub codebook: CodebookFacts,
}

/// A loaded model.
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The clusters.
    pub codebook: Codebook,
    /// The fused score, where it was fitted.
    pub fused: Option<FusedFacts>,
    /// `m-` and six hex digits of the hash over manifest, weights, codebook and, where there is one, the fused score.
    pub id: String,
    /// The card, Markdown.
    pub card: String,
    /// Hash over manifest, weights and codebook: what a finding depends on.
    pub findings_id: String,
    /// The folded weights.
    pub weights: Arrays,
    pub(super) network: Arc<Network>,
}

/// The files of a bundle.
pub struct Files<'a> {
    /// `manifest.json`.
    pub manifest: &'a [u8],
    /// `weights.safetensors`.
    pub weights: &'a [u8],
    /// `codebook.safetensors`.
    pub codebook: &'a [u8],
    /// `live.json`; `None` where it was not fitted.
    pub live: Option<&'a [u8]>,
    /// `CARD.md`.
    pub card: &'a str,
}

/// The file of the fused score.
pub const LIVE: &str = "live.json";

/// Hash of a file.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes as hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, b| {
        let _ = write!(hex, "{b:02x}");
        hex
    })
}

/// Hash of a file, as hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

impl Manifest {
    /// The facts that follow from a network's shape; names and figures are the caller's.
    #[must_use]
    pub fn for_network(network: Architecture, codebook: CodebookFacts) -> Self {
        let reach = network.reach_samples();
        Self {
            format: 1,
            name: String::new(),
            training: String::new(),
            rate_hz: RATE_HZ,
            window_steps: 1_000 / network.step_samples(),
            classes: network.classes.clone(),
            thresholds: vec![0.5; network.classes.len()],
            look_ahead_samples: reach,
            warm_samples: reach,
            lead_sets: codebook.novelty_q95.iter().map(|(mask, _)| *mask).collect(),
            network,
            codebook,
        }
    }
}

impl Bundle {
    /// Builds a bundle from its files' bytes.
    ///
    /// # Errors
    /// [`ModelError::Bundle`] if a file is damaged or does not fit the manifest.
    pub fn from_files(files: &Files<'_>) -> Result<Self, ModelError> {
        let manifest: Manifest = serde_json::from_slice(files.manifest)
            .map_err(|e| ModelError::Bundle(format!("manifest.json: {e}")))?;
        if manifest.format != 1
            || manifest.rate_hz != RATE_HZ
            || manifest.network.step_samples() != super::STEP_SAMPLES
        {
            return Err(ModelError::Bundle(
                "this program reads format 1, 100 Hz and steps of 4 samples".into(),
            ));
        }
        let (weights, _) = arrays::from_bytes(files.weights)?;
        let network = Arc::new(Network::new(manifest.network.clone(), &weights)?);
        let codebook =
            Codebook::from_bytes(manifest.codebook.clone(), files.codebook, manifest.classes.len())?;
        if manifest.thresholds.len() != manifest.classes.len() || manifest.classes != manifest.network.classes
        {
            return Err(ModelError::Bundle(
                "manifest.json: classes and thresholds do not fit the network".into(),
            ));
        }
        // Weights of other clusters count for nothing: the bundle is then as one that was not fitted.
        let fused = files.live.map(FusedFacts::from_bytes).transpose()?;
        let fused = fused.filter(|fused| fused.codebook == sha256_hex(files.codebook));
        let mut all = [files.manifest, files.weights, files.codebook].concat();
        let findings_id = sha256_hex(&all);
        all.extend_from_slice(files.live.unwrap_or_default());
        let id = format!("m-{}", &sha256_hex(&all)[..6]);
        Ok(Self { manifest, codebook, fused, id, findings_id, card: files.card.into(), weights, network })
    }

    /// A bundle that is being made: its parts fit each other, its files are not written yet.
    #[must_use]
    pub fn from_parts(
        manifest: Manifest,
        weights: Arrays,
        codebook: Codebook,
        network: Arc<Network>,
    ) -> Self {
        Self {
            manifest,
            codebook,
            fused: None,
            id: "m-unsaved".into(),
            findings_id: String::new(),
            card: String::new(),
            weights,
            network,
        }
    }

    /// Reads a bundle's folder.
    ///
    /// # Errors
    /// [`ModelError::Bundle`] names the file.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let file = |name: &str| arrays::read(&folder.join(name));
        let card = String::from_utf8_lossy(&file("CARD.md")?).into_owned();
        let live = folder.join(LIVE).exists().then(|| file(LIVE)).transpose()?;
        Self::from_files(&Files {
            manifest: &file("manifest.json")?,
            weights: &file("weights.safetensors")?,
            codebook: &file("codebook.safetensors")?,
            live: live.as_deref(),
            card: &card,
        })
    }

    /// Writes a bundle's folder.
    ///
    /// # Errors
    /// [`ModelError::Bundle`] names the file.
    pub fn write(
        folder: &Path,
        manifest: &Manifest,
        weights: &Arrays,
        codebook: &Codebook,
        card: &str,
    ) -> Result<(), ModelError> {
        std::fs::create_dir_all(folder)
            .map_err(|e| ModelError::Bundle(format!("{}: {e}", folder.display())))?;
        arrays::write(
            &folder.join("weights.safetensors"),
            &arrays::to_bytes(weights, arrays::Notes::new())?,
        )?;
        Self::write_beside_weights(folder, manifest, codebook, card)
    }

    /// Writes manifest, codebook and card into a folder that has its weights.
    ///
    /// # Errors
    /// [`ModelError::Bundle`] names the file.
    pub fn write_beside_weights(
        folder: &Path,
        manifest: &Manifest,
        codebook: &Codebook,
        card: &str,
    ) -> Result<(), ModelError> {
        let text = serde_json::to_string_pretty(manifest)
            .map_err(|e| ModelError::Bundle(format!("manifest.json: {e}")))?;
        arrays::write(&folder.join("manifest.json"), (text + "\n").as_bytes())?;
        arrays::write(&folder.join("codebook.safetensors"), &codebook.to_bytes()?)?;
        arrays::write(&folder.join("CARD.md"), card.as_bytes())
    }

    /// The packed network, shared by engines.
    #[must_use]
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The bundle compiled into the binary (`models/ptbxl`).
    ///
    /// # Errors
    /// [`ModelError::Bundle`] if it is damaged.
    pub fn embedded() -> Result<Self, ModelError> {
        Self::from_files(&Files {
            manifest: include_bytes!("../../models/ptbxl/manifest.json"),
            weights: include_bytes!("../../models/ptbxl/weights.safetensors"),
            codebook: include_bytes!("../../models/ptbxl/codebook.safetensors"),
            live: Some(include_bytes!("../../models/ptbxl/live.json")),
            card: include_str!("../../models/ptbxl/CARD.md"),
        })
    }

    /// A fixed bundle of the same architecture with seeded weights, for tests that a new model must not break: no
    /// figure of it means anything.
    ///
    /// # Panics
    /// Never: its parts fit by construction.
    #[must_use]
    pub fn tiny(seed: u64) -> Self {
        let net = Net::new(Architecture::default(), 1, seed).expect("a network of the default shape");
        let weights = fold(&net.shape, &net.state().expect("parameters on the CPU"));
        let (clusters, channels) = (16, net.shape.tap_channels());
        let mut bits = seed;
        let mut uniform = || {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (bits >> 40) as f32 / (1u64 << 24) as f32
        };
        let centroids = (0..clusters * channels).map(|_| uniform() * 0.1).collect();
        let families = [Family::Q, Family::S, Family::T, Family::P, Family::Baseline, Family::Mixed];
        let name = |k: usize| ClusterName { family: families[k % 6], name: format!("cluster {k}") };
        let facts = CodebookFacts {
            temperature: 0.05,
            names: (0..clusters).map(name).collect(),
            novelty_q95: vec![
                (0xfff, 1.0),
                (0x3f, 1.0),
                (0x7f, 1.0),
                (0x43f, 1.0),
                (0x2, 1.0),
                (0x42, 1.0),
                (0x402, 1.0),
            ],
        };
        let codebook = Codebook::new(facts.clone(), vec![1.0; channels], centroids).expect("sizes fit");
        let manifest = Manifest { name: "tiny".into(), ..Manifest::for_network(net.shape.clone(), facts) };
        let network = Arc::new(Network::new(net.shape, &weights).expect("folded arrays fit"));
        Self {
            manifest,
            codebook,
            fused: None,
            id: format!("m-tiny{seed}"),
            findings_id: String::new(),
            card: String::new(),
            weights,
            network,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_survives_the_way_to_disk_and_damage_is_told() {
        let (tiny, folder) = (Bundle::tiny(1), tempfile::tempdir().expect("a folder"));
        Bundle::write(folder.path(), &tiny.manifest, &tiny.weights, &tiny.codebook, "# card")
            .expect("written");
        let back = Bundle::read(folder.path()).expect("readable");
        assert_eq!(
            (back.manifest, back.weights, back.codebook),
            (tiny.manifest, tiny.weights, tiny.codebook)
        );
        let path = folder.path().join("weights.safetensors");
        let bytes = std::fs::read(&path).expect("there");
        std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        let fault = Bundle::read(folder.path()).err().expect("refused").to_string();
        assert!(fault.contains("arrays cannot be read"), "{fault}");
    }
}
