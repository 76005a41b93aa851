//! Macro AUROC of a network alone, while it trains.

use super::dataset::PtbXl;
use super::metrics::auroc;
use super::reading::{for_records, mean_logits};
use crate::model::{LeadMask, Network, Steps};
use std::sync::Arc;

/// Macro AUROC from scores over the labelled records of a fold, with one lead set.
pub fn macro_auroc(network: &Arc<Network>, set: &PtbXl, fold: u8, mask: LeadMask) -> f64 {
    let records: Vec<usize> =
        set.in_folds(&[fold]).into_iter().filter(|&r| set.labels[r].has_class()).collect();
    let classes = super::dataset::CLASSES.len();
    let read = |_: usize, steps: Steps| mean_logits(&steps, classes);
    let logits = for_records(network, &records, |r| set.signal(r), |_| mask, read);
    let of_class = |class: usize| {
        let truth: Vec<bool> = records.iter().map(|&r| set.labels[r].classes[class]).collect();
        let scores: Vec<f32> = logits.iter().map(|l| l[class]).collect();
        auroc(&truth, &scores)
    };
    let figures: Vec<f64> = (0..classes).filter_map(of_class).collect();
    figures.iter().sum::<f64>() / figures.len().max(1) as f64
}
