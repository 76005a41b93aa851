//! Labels flipped on purpose: how many of those that look most wrong are.

use super::labelled;
use crate::model::Bundle;
use crate::workshop::WorkshopError;
use crate::workshop::dataset::{CLASSES, PtbXl};
use crate::workshop::leads::LEAD_SETS;
use crate::workshop::logistic::Logistic;
use crate::workshop::metrics::mean;
use crate::workshop::mislabel::{Noted, precision_at, suspicion};
use crate::workshop::reading::{Summary, summaries};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

const N: usize = CLASSES.len();
/// Share of entries that are flipped, and draws of them.
const FLIPPED: f64 = 0.10;
const DRAWS: u64 = 5;
/// Entries looked at.
const TOP: usize = 200;
/// Parts by patient, and penalty, of the baseline.
const PARTS: u32 = 5;
const RIDGE: f64 = 20.0;

/// Precision among the 200 entries that look most wrong, mean over draws of the flips.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Flips {
    /// Records with labels.
    pub records: usize,
    /// Posterior over the set of a record's labels: what `wardbeat audit` uses.
    pub precision_at_200: f64,
    /// Smallest over the draws.
    pub lowest: f64,
    /// The network's own probability against the label.
    pub own_probability: f64,
    /// Confident learning: logistic regression on mean activations, taught by the flipped labels, out of fold.
    pub confident_learning: f64,
    /// Entropy alone.
    pub entropy: f64,
    /// Estimated share of flipped entries, mean; truly 0.10.
    pub rate: f64,
}

/// Out-of-fold probability that each label is wrong, by a logistic regression on mean activations.
fn confident(table: &[Noted], read: &[Summary]) -> Vec<[f64; N]> {
    let part = |i: usize| (table[i].patient.wrapping_mul(2_654_435_761) >> 16) % PARTS;
    let mut out = vec![[0.0; N]; table.len()];
    for held in 0..PARTS {
        let learnt: Vec<usize> = (0..table.len()).filter(|&i| part(i) != held).collect();
        let rows: Vec<&[f32]> = learnt.iter().map(|&i| read[i].pooled.as_slice()).collect();
        let fit = |class: usize| {
            let noted: Vec<bool> = learnt.iter().map(|&i| table[i].classes[class]).collect();
            Logistic::fit(&rows, &noted, RIDGE)
        };
        let fits: [Logistic; N] = std::array::from_fn(fit);
        for (i, wrong) in out.iter_mut().enumerate().filter(|(i, _)| part(*i) == held) {
            *wrong = std::array::from_fn(|class| {
                let p = fits[class].probability(&read[i].pooled);
                if table[i].classes[class] { 1.0 - p } else { p }
            });
        }
    }
    out
}

/// Flips a tenth of the entries of folds that the network never saw and looks for them.
///
/// # Errors
/// [`WorkshopError`] if the folds are empty or the engine fails.
pub fn flips(
    bundle: &Bundle,
    set: &PtbXl,
    folds: &[u8],
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Flips, WorkshopError> {
    let records = labelled(set, folds);
    if records.len() < TOP {
        return Err(WorkshopError::TooFew { need: TOP, have: records.len() });
    }
    tell("label flips: reading records");
    let read = summaries(bundle, &records, |r| set.signal(r), LEAD_SETS[0].1);
    let (mut ours, mut own, mut learning, mut entropy, mut rates) = (vec![], vec![], vec![], vec![], vec![]);
    for draw in 0..DRAWS {
        tell(&format!("label flips: draw {} of {DRAWS}", draw + 1));
        let mut rng = ChaCha8Rng::seed_from_u64(draw);
        let truly: Vec<[bool; N]> =
            records.iter().map(|_| std::array::from_fn(|_| rng.random_bool(FLIPPED))).collect();
        let noted = |(i, &r): (usize, &usize)| Noted {
            patient: set.labels[r].patient_id,
            logits: read[i].logits.clone(),
            classes: std::array::from_fn(|k| set.labels[r].classes[k] != truly[i][k]),
        };
        let table: Vec<Noted> = records.iter().enumerate().map(noted).collect();
        let found = suspicion(&table);
        ours.push(precision_at(TOP, &found.wrong, &truly));
        rates.push(found.rate);
        let against = |n: &Noted| {
            std::array::from_fn(|k| {
                let p = 1.0 / (1.0 + f64::from(-n.logits[k]).exp());
                if n.classes[k] { 1.0 - p } else { p }
            })
        };
        own.push(precision_at(TOP, &table.iter().map(against).collect::<Vec<_>>(), &truly));
        learning.push(precision_at(TOP, &confident(&table, &read), &truly));
        let blind: Vec<[f64; N]> = read.iter().map(|s| [f64::from(s.entropy); N]).collect();
        entropy.push(precision_at(TOP, &blind, &truly));
    }
    Ok(Flips {
        records: records.len(),
        lowest: ours.iter().copied().fold(1.0, f64::min),
        precision_at_200: mean(ours),
        own_probability: mean(own),
        confident_learning: mean(learning),
        entropy: mean(entropy),
        rate: mean(rates),
    })
}
