//! One second of a bed in the few numbers that the fused decision and the bench of alerts read.

use contract::{Beats, Finding, LeadId, Quality, Signal};
use serde::{Deserialize, Serialize};

/// What one hop showed, without waveforms and without anything that depends on arrival.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Hop of the epoch.
    pub window: u64,
    /// The leads the network saw, as in [`contract::Reading`]; 0 = no reading.
    pub mask: u16,
    /// Whether every lead in use was good over the hop.
    pub good: bool,
    /// Mean assignment of the new steps `[cluster]`.
    pub soft: Vec<f32>,
    /// Mean entropy of the new steps, 0 to 1.
    pub entropy: f32,
    /// Mean novelty of the new steps.
    pub novelty: f32,
    /// Mean logit of the new steps `[class]`.
    pub logits: Vec<f32>,
    /// Root mean square of the used leads over the hop, in mV.
    pub rms_mv: f32,
    /// How clean the raw signal was.
    pub quality: Quality,
    /// First sample of the stretch in which beats are looked for; `None` = no lead can be followed.
    pub stretch_n: Option<u64>,
    /// Beats that became certain with the hop, in seconds since the epoch began.
    pub beats_s: Vec<f64>,
    /// Nearest cluster of each new step, and where the first one's middle lies, in seconds since the epoch began.
    pub letters: Vec<u8>,
    /// See `letters`.
    pub letters_from_s: f64,
}

fn means(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; width];
    for row in rows.chunks_exact(width.max(1)) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum += f64::from(*v);
        }
    }
    let count = (rows.len() / width.max(1)).max(1) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

impl Facts {
    /// Of one finding.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let Beats { from_n, at_n } = &finding.beats;
        let rate_hz = finding.rate.as_f64();
        let none = Self {
            window: finding.window,
            quality: finding.quality,
            stretch_n: *from_n,
            beats_s: at_n.iter().map(|&n| n as f64 / rate_hz).collect(),
            ..Self::default()
        };
        let Ok(reading) = &finding.reading else { return none };
        if reading.steps == 0 {
            return none;
        }
        let used = |lead: LeadId| lead.standard().is_some_and(|i| reading.lead_mask >> i & 1 == 1);
        let classes = reading.class_logit.len();
        Self {
            mask: reading.lead_mask,
            good: finding.leads.iter().all(|l| l.signal == Signal::Good || !used(l.lead)),
            soft: means(&reading.assignment, reading.clusters),
            entropy: means(&reading.entropy, 1)[0],
            novelty: means(&reading.novelty, 1)[0],
            logits: means(&reading.evidence, classes),
            rms_mv: reading.rms_mv,
            letters: reading.cluster.clone(),
            letters_from_s: reading.first_step_n / rate_hz,
            ..none
        }
    }
}
