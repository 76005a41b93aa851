//! From steps to a reading: clusters, entropy, novelty and evidence a step, and their means over the newest 10 s.
//!
//! The window is summed anew each hop over the steps it holds, in their order, never as a running sum: no drift, and
//! the same bytes for any cut into calls.

use crate::model::{Bundle, LeadMask, STEP_SAMPLES, Steps};
use contract::{Ratio, Reading};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step {
    cluster: u8,
    entropy: f32,
    novelty: f32,
    logits: Vec<f32>,
    assignment: Vec<f32>,
}

/// The newest steps of one segment, at most a window of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Window {
    steps: VecDeque<Step>,
}

/// Where the steps of a segment lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// First sample of the segment, at the monitor's rate.
    pub first_n: u64,
    pub rate: Ratio,
    pub mask: LeadMask,
    /// Amplitude of the hop, in mV.
    pub rms_mv: f32,
}

impl Window {
    /// Takes new steps, the first ones of which are left out where they are still warming, and reads the window;
    /// `None` if no step came.
    pub fn read(&mut self, bundle: &Bundle, place: Place, steps: &Steps, warm: bool) -> Option<Reading> {
        let classes = bundle.manifest.classes.len();
        let warm_steps = bundle.manifest.warm_samples.div_ceil(STEP_SAMPLES) as u64;
        let skip =
            if warm { warm_steps.saturating_sub(steps.first).min(steps.count as u64) } else { 0 } as usize;
        let count = steps.count - skip;
        if count == 0 {
            return None;
        }
        let channels = steps.taps.len() / steps.count;
        let assigned = bundle.codebook.assign(&steps.taps[skip * channels..], place.mask);
        let evidence = steps.logits[skip * classes..].to_vec();
        let rows = assigned.assignment.chunks_exact(bundle.codebook.clusters);
        for (i, (logits, assignment)) in evidence.chunks_exact(classes).zip(rows).enumerate() {
            self.steps.push_back(Step {
                cluster: assigned.cluster[i],
                entropy: assigned.entropy[i],
                novelty: assigned.novelty[i],
                logits: logits.to_vec(),
                assignment: assignment.to_vec(),
            });
            if self.steps.len() > bundle.manifest.window_steps {
                self.steps.pop_front();
            }
        }
        let first = steps.first + skip as u64;
        let per_step = STEP_SAMPLES as f64 * place.rate.as_f64() / f64::from(crate::model::RATE_HZ);
        let proportion = self.proportion(bundle.codebook.clusters);
        let mean_assignment: Vec<f32> =
            (0..bundle.codebook.clusters).map(|k| self.mean(|s| s.assignment[k])).collect();
        let class_logit: Vec<f32> = (0..classes).map(|k| self.mean(|s| s.logits[k])).collect();
        Some(Reading {
            lead_mask: place.mask,
            steps: count,
            first_step_n: place.first_n as f64 + first as f64 * per_step,
            clusters: bundle.codebook.clusters,
            assignment: assigned.assignment,
            cluster: assigned.cluster,
            entropy: assigned.entropy,
            novelty: assigned.novelty,
            evidence,
            window_steps: self.steps.len(),
            window_entropy: self.mean(|s| s.entropy),
            window_novelty: self.mean(|s| s.novelty),
            class_prob: class_logit.iter().map(|&z| 1.0 / (1.0 + libm::expf(-z))).collect(),
            class_logit,
            surrogate_prob: bundle.codebook.surrogate(&proportion, &mean_assignment),
            proportion,
            rms_mv: place.rms_mv,
        })
    }

    fn mean(&self, value: impl Fn(&Step) -> f32) -> f32 {
        let sum: f64 = self.steps.iter().map(|s| f64::from(value(s))).sum();
        (sum / self.steps.len() as f64) as f32
    }

    fn proportion(&self, clusters: usize) -> Vec<f32> {
        let mut counts = vec![0_u32; clusters];
        for step in &self.steps {
            counts[usize::from(step.cluster)] += 1;
        }
        counts.iter().map(|&c| c as f32 / self.steps.len() as f32).collect()
    }
}
