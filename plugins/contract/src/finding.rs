//! What one hop of one bed showed.

use crate::{BedId, LeadId, Mode, Ratio, UtcMs};
use serde::{Deserialize, Serialize};

/// The state of one lead's signal over the newest hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// Usable.
    Good,
    /// High-frequency noise or large steps: movement, interference.
    Noisy,
    /// At the limit of the range.
    Clipped,
    /// Constant.
    Flat,
    /// The monitor says that the lead is off.
    LeadOff,
    /// More missing samples than allowed.
    Missing,
}

/// One lead's signal over the newest hop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LeadSignal {
    /// The lead, as the monitor names it.
    pub lead: LeadId,
    /// Its state.
    pub signal: Signal,
    /// Share of samples missing, 0 to 1.
    pub missing: f32,
}

/// How clean the raw signal of the leads in use was over the newest hop: the worst lead's value each.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quality {
    /// High-frequency noise as a standard deviation, in mV.
    pub noise_mv: f32,
    /// Largest change within 10 ms, in mV.
    pub step_mv: f32,
    /// Change of the hop's mean against the hop before, in mV.
    pub jump_mv: f32,
    /// Largest distance of a sample from the hop's mean, in mV.
    pub reach_mv: f32,
}

impl Quality {
    /// The worse of two in each value.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        Self {
            noise_mv: self.noise_mv.max(other.noise_mv),
            step_mv: self.step_mv.max(other.step_mv),
            jump_mv: self.jump_mv.max(other.jump_mv),
            reach_mv: self.reach_mv.max(other.reach_mv),
        }
    }
}

/// Why a hop has no reading. A value, not an error: the ward goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotRead {
    /// Too few samples of the window are present.
    Coverage,
    /// No lead is usable.
    Signal,
    /// The segment is younger than the network's receptive field and the window.
    Warming,
    /// The lead set has no figures in the model's card.
    LeadSet,
    /// The engine failed; a technical alert says so.
    Fault,
}

/// One hop of one bed: the steps that became complete and the window that they close.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The bed.
    pub bed: BedId,
    /// The epoch of the sample indices.
    pub epoch: u32,
    /// Index of the hop since the epoch began: the window ends with sample `to_n` = floor((window + 1) · hop · rate).
    pub window: u64,
    /// First sample of the window, at the monitor's rate.
    pub from_n: u64,
    /// Sample after the window's last one.
    pub to_n: u64,
    /// The monitor's rate.
    pub rate: Ratio,
    /// Wall time of the window's last sample.
    pub end: UtcMs,
    /// Real, test or demo.
    pub mode: Mode,
    /// The patient is paced, as the monitor says.
    pub paced: bool,
    /// Share of the window's samples present in the used leads, 0 to 1.
    pub coverage: f32,
    /// Each lead of the bed over the newest hop.
    pub leads: Vec<LeadSignal>,
    /// How clean the signal in use was over the newest hop; zero where no lead is in use.
    #[serde(default)]
    pub quality: Quality,
    /// The heart beats that became certain with this hop.
    #[serde(default)]
    pub beats: Beats,
    /// The reading, or why there is none.
    pub reading: Result<Reading, NotRead>,
}

/// Heart beats found in one lead; nothing is said of their rhythm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Beats {
    /// First sample of the stretch without a hole or change of lead in which beats are looked for; `None` = no lead
    /// can be followed. Intervals over a change of this number mean nothing.
    pub from_n: Option<u64>,
    /// Samples at the beats, at the monitor's rate, ascending over all findings of a stretch. A beat is told up to two
    /// seconds after it occurred, in rare cases (after a pause) later.
    pub at_n: Vec<u64>,
}

/// What the network and the codebook said. Flat arrays, shapes beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The leads the network saw: bit i is standard lead i (I II III aVR aVL aVF V1 to V6).
    pub lead_mask: u16,
    /// New steps in this hop (25 of 40 ms for a hop of 1 s).
    pub steps: usize,
    /// Sample at the centre of the first new step, at the monitor's rate.
    pub first_step_n: f64,
    /// Clusters K.
    pub clusters: usize,
    /// Assignment `[step, cluster]`; each row sums to 1.
    pub assignment: Vec<f32>,
    /// Nearest cluster `[step]`.
    pub cluster: Vec<u8>,
    /// Entropy of the assignment `[step]`, divided by ln K: 0 to 1.
    pub entropy: Vec<f32>,
    /// Squared distance to the nearest centroid `[step]` over the lead set's 95 % quantile: 1 = unusual.
    pub novelty: Vec<f32>,
    /// Class evidence `[step, class]`: the head's logits per step.
    pub evidence: Vec<f32>,
    /// Steps of the window, at most 250; fewer while the window fills.
    pub window_steps: usize,
    /// Share of the window's steps in each cluster `[cluster]`.
    pub proportion: Vec<f32>,
    /// Mean of the window's entropy.
    pub window_entropy: f32,
    /// Mean of the window's novelty.
    pub window_novelty: f32,
    /// Mean logit of the window `[class]`.
    pub class_logit: Vec<f32>,
    /// Sigmoid of `class_logit` `[class]`: the network's probabilities. Hidden at the bedside by default.
    pub class_prob: Vec<f32>,
    /// The same from the cluster proportions alone, by the bundle's surrogate `[class]`; empty without one.
    pub surrogate_prob: Vec<f32>,
    /// Root mean square of the used leads over the hop, after the filters, in mV.
    pub rms_mv: f32,
}
