//! What a bundle is worth on records it never saw: AUROC by lead set, and whether cluster proportions alone reproduce
//! the network's decisions.

mod card;
mod forest;

pub use card::card;
pub use forest::pieces;

use super::WorkshopError;
use super::dataset::PtbXl;
use super::fit_clusters::probability;
use super::leads::LEAD_SETS;
use super::metrics::{agreement, auroc, kappa};
use super::reading::{Summary, summaries};
use crate::model::Bundle;
use forest::forest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Macro AUROC from scores, and its classes, of one lead set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeadSetFigures {
    /// Mean over classes, from scores.
    pub auroc_macro: f64,
    /// By class, from scores.
    pub auroc: BTreeMap<String, f64>,
    /// Mean entropy of the records.
    pub entropy_mean: f64,
}

/// Everything that `evaluate --json` writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The bundle's id.
    pub model: String,
    /// The fold judged, and its records with a superclass.
    pub fold: u8,
    /// Records judged.
    pub records: usize,
    /// Macro AUROC from scores, 12 leads.
    pub auroc_macro: f64,
    /// Every lead set.
    pub leads: BTreeMap<String, LeadSetFigures>,
    /// Clusters.
    pub clusters: usize,
    /// Share of labels where the forest on cluster proportions says what the network says.
    pub forest_agreement: f64,
    /// The same beyond chance, over all labels.
    pub kappa: f64,
    /// Share of records where all labels agree.
    pub forest_exact: f64,
    /// The surrogate in the bundle (logistic regression), as `forest_agreement` and `kappa`.
    pub surrogate_agreement: f64,
    /// As `kappa`.
    pub surrogate_kappa: f64,
    /// Agreement of always saying the network's most frequent decision: the floor.
    pub majority_agreement: f64,
    /// Share of right labels: the network.
    pub accuracy: f64,
    /// Share of right labels: the forest.
    pub forest_accuracy: f64,
    /// Macro AUROC of the forest's scores against the truth.
    pub forest_auroc_macro: f64,
    /// Macro AUROC of 0/1 decisions, never to be compared with one from scores: the network.
    pub auroc_hard: f64,
    /// The same: the forest.
    pub forest_auroc_hard: f64,
}

/// Columns `[class][record]` of labelled records.
struct Columns {
    truth: Vec<Vec<bool>>,
    scores: Vec<Vec<f32>>,
    decided: Vec<Vec<bool>>,
}

fn columns(bundle: &Bundle, set: &PtbXl, records: &[usize], read: &[Summary]) -> Columns {
    let classes = bundle.manifest.classes.len();
    let column = |class: usize| read.iter().map(|s| probability(s.logits[class])).collect::<Vec<f32>>();
    let scores: Vec<Vec<f32>> = (0..classes).map(column).collect();
    let decide = |(scores, cut): (&Vec<f32>, &f32)| scores.iter().map(|p| p >= cut).collect();
    Columns {
        truth: (0..classes).map(|c| records.iter().map(|&r| set.labels[r].classes[c]).collect()).collect(),
        decided: scores.iter().zip(&bundle.manifest.thresholds).map(decide).collect(),
        scores,
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values.fold((0u32, 0.0), |(n, s), v| (n + 1, s + v));
    sum / f64::from(n.max(1))
}

fn macro_auroc(truth: &[Vec<bool>], scores: &[Vec<f32>]) -> f64 {
    mean(truth.iter().zip(scores).filter_map(|(t, s)| auroc(t, s)))
}

fn hard(decided: &[Vec<bool>]) -> Vec<Vec<f32>> {
    decided.iter().map(|d| d.iter().map(|v| f32::from(u8::from(*v))).collect()).collect()
}

fn labelled(set: &PtbXl, folds: &[u8]) -> Vec<usize> {
    set.in_folds(folds).into_iter().filter(|&r| set.labels[r].has_class()).collect()
}

/// How one labelling follows another.
struct Fidelity {
    agreement: f64,
    kappa: f64,
    exact: f64,
}

fn fidelity(said: &[Vec<bool>], network: &[Vec<bool>]) -> Fidelity {
    let (a, b) = (said.concat(), network.concat());
    let records = network.first().map_or(0, Vec::len);
    let same = |i: usize| said.iter().zip(network).all(|(s, n)| s[i] == n[i]);
    Fidelity {
        agreement: agreement(&a, &b),
        kappa: kappa(&a, &b),
        exact: (0..records).filter(|&i| same(i)).count() as f64 / records.max(1) as f64,
    }
}

/// Judges a bundle on one fold; the forest learns from the network's own decisions on `train_folds`.
///
/// # Errors
/// [`WorkshopError`] if a fold is empty or the engine fails.
pub fn evaluate(
    bundle: &Bundle,
    set: &PtbXl,
    train_folds: &[u8],
    fold: u8,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Figures, WorkshopError> {
    let (train, test) = (labelled(set, train_folds), labelled(set, &[fold]));
    if train.len() < 50 || test.len() < 20 {
        return Err(WorkshopError::TooFew { need: 50, have: train.len().min(test.len()) });
    }
    let signal = |r: usize| set.signal(r);
    let mut leads = BTreeMap::new();
    let mut twelve = Vec::new();
    for (name, mask) in LEAD_SETS {
        tell(&format!("fold {fold}, leads {name}"));
        let read = summaries(bundle, &test, signal, mask)?;
        let c = columns(bundle, set, &test, &read);
        let by_class = bundle.manifest.classes.iter().zip(c.truth.iter().zip(&c.scores));
        let figures = LeadSetFigures {
            auroc_macro: macro_auroc(&c.truth, &c.scores),
            auroc: by_class.filter_map(|(n, (t, s))| Some((n.clone(), auroc(t, s)?))).collect(),
            entropy_mean: mean(read.iter().map(|s| f64::from(s.entropy))),
        };
        leads.insert(name.to_owned(), figures);
        if name == "12" {
            twelve = read;
        }
    }
    tell("the training folds' decisions");
    let learnt = summaries(bundle, &train, signal, LEAD_SETS[0].1)?;
    let (old, new) = (columns(bundle, set, &train, &learnt), columns(bundle, set, &test, &twelve));
    let old_rows: Vec<&[f32]> = learnt.iter().map(|s| s.proportion.as_slice()).collect();
    let new_rows: Vec<&[f32]> = twelve.iter().map(|s| s.proportion.as_slice()).collect();
    tell("growing the forests");
    let grown = forest(&old_rows, &old.decided, &new_rows, 1, || tell(""))?;
    let halves = |p: &Vec<f32>| p.iter().map(|v| *v >= 0.5).collect::<Vec<bool>>();
    let grown_said: Vec<Vec<bool>> = grown.iter().map(halves).collect();
    let mut surrogate = vec![Vec::new(); bundle.manifest.classes.len()];
    for row in &new_rows {
        for (column, p) in surrogate.iter_mut().zip(bundle.codebook.surrogate(row)) {
            column.push(p >= 0.5);
        }
    }
    let (forest_f, surrogate_f) = (fidelity(&grown_said, &new.decided), fidelity(&surrogate, &new.decided));
    let share = |d: &Vec<bool>| d.iter().filter(|v| **v).count() as f64 / d.len().max(1) as f64;
    Ok(Figures {
        model: bundle.id.clone(),
        fold,
        records: test.len(),
        auroc_macro: leads["12"].auroc_macro,
        leads,
        clusters: bundle.codebook.clusters,
        forest_agreement: forest_f.agreement,
        kappa: forest_f.kappa,
        forest_exact: forest_f.exact,
        surrogate_agreement: surrogate_f.agreement,
        surrogate_kappa: surrogate_f.kappa,
        majority_agreement: mean(new.decided.iter().map(|d| share(d).max(1.0 - share(d)))),
        accuracy: agreement(&new.decided.concat(), &new.truth.concat()),
        forest_accuracy: agreement(&grown_said.concat(), &new.truth.concat()),
        forest_auroc_macro: macro_auroc(&new.truth, &grown),
        auroc_hard: macro_auroc(&new.truth, &hard(&new.decided)),
        forest_auroc_hard: macro_auroc(&new.truth, &hard(&grown_said)),
    })
}
