//! What the network and a codebook say of whole records, many at a time.

use super::leads::flag;
use crate::model::{Bundle, Codebook, LEADS, LeadMask, LiveEngine, Network, Steps};
use rayon::prelude::*;
use std::sync::Arc;

/// One record, summed up over its steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Mean logits `[class]`.
    pub logits: Vec<f32>,
    /// Share of steps by nearest cluster `[cluster]`.
    pub proportion: Vec<f32>,
    /// Mean soft assignment `[cluster]`.
    pub soft: Vec<f32>,
    /// Mean activations `[channel]`.
    pub pooled: Vec<f32>,
    /// Mean entropy.
    pub entropy: f32,
    /// Mean novelty.
    pub novelty: f32,
}

/// All steps of one prepared record (`[time, lead]`), flushed at its end; leads outside the mask are zeroed.
#[must_use]
pub fn steps_of(engine: &mut LiveEngine, signal: &[f32], mask: LeadMask) -> Steps {
    let keep: [f32; LEADS] = std::array::from_fn(|lead| flag(mask, lead));
    let masked: Vec<f32> =
        signal.chunks_exact(LEADS).flat_map(|row| row.iter().zip(&keep).map(|(v, k)| v * k)).collect();
    let mut steps = Steps::default();
    engine.record(&masked, mask, &mut steps);
    steps
}

/// The window's logits: the mean over its steps `[class]`.
#[must_use]
pub fn mean_logits(steps: &Steps, classes: usize) -> Vec<f32> {
    let mut mean = vec![0.0; classes];
    for row in steps.logits.chunks_exact(classes) {
        for (m, v) in mean.iter_mut().zip(row) {
            *m += v / steps.count as f32;
        }
    }
    mean
}

/// Runs `f` on the steps of many records, in order, on all cores.
pub fn for_records<'a, T: Send>(
    network: &Arc<Network>,
    records: &[usize],
    signal: impl Fn(usize) -> &'a [f32] + Sync,
    mask: impl Fn(usize) -> LeadMask + Sync,
    f: impl Fn(usize, Steps) -> T + Sync,
) -> Vec<T> {
    let run =
        |engine: &mut LiveEngine, &record: &usize| f(record, steps_of(engine, signal(record), mask(record)));
    records.par_iter().map_init(|| LiveEngine::new(network.clone()), run).collect()
}

/// Mean of rows of `width` numbers.
#[must_use]
pub fn mean_row(rows: &[f32], width: usize) -> Vec<f32> {
    let (mut mean, n) = (vec![0.0; width], (rows.len() / width.max(1)).max(1) as f32);
    for row in rows.chunks_exact(width.max(1)) {
        for (sum, v) in mean.iter_mut().zip(row) {
            *sum += v / n;
        }
    }
    mean
}

/// Means and shares of a record's steps.
#[must_use]
pub fn summarise(codebook: &Codebook, mask: LeadMask, steps: &Steps) -> Summary {
    let (n, assigned) = (steps.count.max(1), codebook.assign(&steps.taps, mask));
    let mut summary = Summary {
        logits: mean_row(&steps.logits, steps.logits.len() / n),
        proportion: vec![0.0; codebook.clusters],
        soft: mean_row(&assigned.assignment, codebook.clusters),
        pooled: mean_row(&steps.taps, steps.taps.len() / n),
        ..Summary::default()
    };
    let n = n as f32;
    for k in &assigned.cluster {
        summary.proportion[usize::from(*k)] += 1.0 / n;
    }
    summary.entropy = assigned.entropy.iter().sum::<f32>() / n;
    summary.novelty = assigned.novelty.iter().sum::<f32>() / n;
    summary
}

/// Summaries of many records with one lead set.
pub fn summaries<'a>(
    bundle: &Bundle,
    records: &[usize],
    signal: impl Fn(usize) -> &'a [f32] + Sync,
    mask: LeadMask,
) -> Vec<Summary> {
    for_records(
        bundle.network(),
        records,
        signal,
        |_| mask,
        |_, steps| summarise(&bundle.codebook, mask, &steps),
    )
}
