//! From steps to a reading: clusters, entropy, novelty and evidence a step, and their means over the newest 10 s.
//!
//! The window is summed anew each hop over the steps it holds, in their order, never as a running sum: no drift, and
//! the same bytes for any cut into calls.

use crate::model::{Bundle, LeadMask, STEP_SAMPLES, Steps};
use contract::{Ratio, Reading};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The newest steps of one segment, at most a window of them: numbers beside numbers, since every bed holds 250 steps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Window {
    cluster: VecDeque<u8>,
    entropy: VecDeque<f32>,
    novelty: VecDeque<f32>,
    /// `[step, class]`.
    logits: VecDeque<f32>,
    /// `[step, cluster]`.
    assignment: VecDeque<f32>,
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
        let (window, clusters) = (bundle.manifest.window_steps, bundle.codebook.clusters);
        push(&mut self.cluster, &assigned.cluster, window);
        push(&mut self.entropy, &assigned.entropy, window);
        push(&mut self.novelty, &assigned.novelty, window);
        push(&mut self.logits, &evidence, window * classes);
        push(&mut self.assignment, &assigned.assignment, window * clusters);
        let first = steps.first + skip as u64;
        let per_step = STEP_SAMPLES as f64 * place.rate.as_f64() / f64::from(crate::model::RATE_HZ);
        let proportion = self.proportion(clusters);
        let mean_assignment = means(&self.assignment, clusters);
        let class_logit = means(&self.logits, classes);
        Some(Reading {
            lead_mask: place.mask,
            steps: count,
            first_step_n: place.first_n as f64 + first as f64 * per_step,
            clusters,
            assignment: assigned.assignment,
            cluster: assigned.cluster,
            entropy: assigned.entropy,
            novelty: assigned.novelty,
            evidence,
            window_steps: self.cluster.len(),
            window_entropy: means(&self.entropy, 1)[0],
            window_novelty: means(&self.novelty, 1)[0],
            class_prob: class_logit.iter().map(|&z| 1.0 / (1.0 + libm::expf(-z))).collect(),
            class_logit,
            surrogate_prob: bundle.codebook.surrogate(&proportion, &mean_assignment),
            proportion,
            rms_mv: place.rms_mv,
        })
    }

    fn proportion(&self, clusters: usize) -> Vec<f32> {
        let mut counts = vec![0_u32; clusters];
        for &cluster in &self.cluster {
            counts[usize::from(cluster)] += 1;
        }
        counts.iter().map(|&c| c as f32 / self.cluster.len() as f32).collect()
    }
}

/// Lets the oldest go, so that at most `keep` are there with the new ones.
fn push<T: Copy>(queue: &mut VecDeque<T>, fresh: &[T], keep: usize) {
    let fresh = &fresh[fresh.len().saturating_sub(keep)..];
    queue.drain(..(queue.len() + fresh.len()).saturating_sub(keep));
    // All of it at once: growing by doubling would take up to twice the room.
    queue.reserve_exact(keep - queue.len());
    queue.extend(fresh);
}

/// Means of the columns of `[step, column]`, each summed in the order of the steps.
fn means(values: &VecDeque<f32>, columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; columns];
    let mut all = values.iter();
    for _ in 0..values.len() / columns {
        for (sum, &value) in sums.iter_mut().zip(&mut all) {
            *sum += f64::from(value);
        }
    }
    let steps = (values.len() / columns) as f64;
    sums.iter().map(|sum| (sum / steps) as f32).collect()
}
