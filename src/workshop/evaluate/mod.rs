//! What a bundle is worth on records it never saw: AUROC by lead set, and whether cluster proportions alone reproduce
//! the network's decisions.

mod age;
mod attribution;
mod bounds;
mod card;
mod choice;
mod entropy;
mod flips;
mod follow;
mod forest;
mod interval;
mod landmarks;

pub use age::{
    AgeFigures, Aged, Known, age_by_cluster, age_figures, known_of_code15, known_of_folds, tell_ages,
    tell_ages_by_patient,
};
pub use attribution::{METHODS, Method, attribution};
pub use card::{Told, card};
pub use choice::{Candidate, choose};
pub use entropy::{ClassEntropy, Dose, Errors, by_class, errors, noise_response};
pub use flips::{Flips, flips};
pub use follow::Followed;
pub use forest::TREES;
pub use interval::{Interval, OverFolds, bootstrap};
pub use landmarks::{Landmarks, landmarks, letters};

use super::WorkshopError;
use super::dataset::PtbXl;
use super::fit_clusters::probability;
use super::leads::LEAD_SETS;
use super::metrics::{agreement, auroc, macro_auroc, mean};
use super::reading::{Summary, summaries};
use crate::model::Bundle;
use bounds::Baseline;
use follow::{Against, Rows, hard};
use forest::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Training records that the bounds below learn from, at most about so many.
const BOUND_RECORDS: usize = 6_000;

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

/// What one rule of thresholds makes of the network and of those that follow it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Share of right labels: the network.
    pub accuracy: f64,
    /// Macro AUROC of the network's 0/1 decisions, never to be compared with one from scores.
    pub auroc_hard: f64,
    /// Followers by name: `forest` and `logistic` on hard proportions, `extra_trees` and `logistic_soft` on mean soft
    /// assignments, `surrogate` (in the bundle), `majority`; with bounds `pooled_logistic` on mean activations above,
    /// `random_forest`, `random_pooled_logistic` of an untrained network and `raw_forest` of the raw signal's clusters below.
    pub followers: BTreeMap<String, Followed>,
}

/// Everything that `evaluate --json` writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The bundle's id.
    pub model: String,
    /// The fold judged.
    pub fold: u8,
    /// Records judged: those of the fold with a superclass.
    pub records: usize,
    /// Clusters.
    pub clusters: usize,
    /// Trees of each forest.
    #[serde(default)]
    pub trees: usize,
    /// The bundle's thresholds.
    pub thresholds: Vec<f32>,
    /// Macro AUROC from scores, 12 leads.
    pub auroc_macro: f64,
    /// Every lead set.
    pub leads: BTreeMap<String, LeadSetFigures>,
    /// By the bundle's thresholds, chosen on the fold for choices.
    pub chosen: Decided,
    /// By thresholds of 0.5: followers on mean soft assignments and on mean activations only.
    pub half: Decided,
}

/// What was said of each record: everything that intervals and later tests need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// Number in the database.
    pub ecg_id: Vec<u32>,
    /// The patient, over whom intervals are drawn.
    pub patient_id: Vec<u32>,
    /// The classes that hold, as digits 0 and 1 in the bundle's order.
    pub truth: Vec<String>,
    /// Probability by the network `[class][record]`, four digits.
    pub network: Vec<Vec<f32>>,
    /// Probability by the forest that the network says yes `[class][record]`.
    pub forest: Vec<Vec<f32>>,
    /// Mean entropy.
    pub entropy: Vec<f32>,
    /// Mean novelty.
    pub novelty: Vec<f32>,
}

/// One fold, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its figures.
    pub figures: Figures,
    /// Record by record.
    pub records: Records,
}

/// Four digits are enough for any figure drawn from a score, and keep the files small.
fn rounded(values: impl IntoIterator<Item = f32>) -> Vec<f32> {
    values.into_iter().map(|v| (v * 1e4).round() / 1e4).collect()
}

fn records(set: &PtbXl, test: &[usize], read: &[Summary], network: &Columns, forest: &[Vec<f32>]) -> Records {
    let digits = |r: &usize| set.labels[*r].classes.map(|c| if c { '1' } else { '0' }).iter().collect();
    let all = |columns: &[Vec<f32>]| columns.iter().map(|c| rounded(c.iter().copied())).collect();
    Records {
        ecg_id: test.iter().map(|&r| set.labels[r].ecg_id).collect(),
        patient_id: test.iter().map(|&r| set.labels[r].patient_id).collect(),
        truth: test.iter().map(digits).collect(),
        network: all(&network.scores),
        forest: all(forest),
        entropy: rounded(read.iter().map(|s| s.entropy)),
        novelty: rounded(read.iter().map(|s| s.novelty)),
    }
}

/// Columns `[class][record]`.
struct Columns {
    truth: Vec<Vec<bool>>,
    scores: Vec<Vec<f32>>,
}

impl Columns {
    fn of(set: &PtbXl, records: &[usize], read: &[Summary], classes: usize) -> Self {
        let column = |class: usize| read.iter().map(|s| probability(s.logits[class])).collect();
        let truth = |class: usize| records.iter().map(|&r| set.labels[r].classes[class]).collect();
        Self { truth: (0..classes).map(truth).collect(), scores: (0..classes).map(column).collect() }
    }

    fn decided(&self, thresholds: &[f32]) -> Vec<Vec<bool>> {
        let decide = |(scores, cut): (&Vec<f32>, &f32)| scores.iter().map(|p| p >= cut).collect();
        self.scores.iter().zip(thresholds).map(decide).collect()
    }
}

/// How a bundle is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// Judges the followers that bound the claim from above and below too.
    pub bounds: bool,
    /// Trees of each forest, in steps of 25; [`TREES`] for figures that are to be compared.
    pub trees: usize,
}

/// One fold under judgement.
struct Trial<'a> {
    how: How,
    bundle: &'a Bundle,
    set: &'a PtbXl,
    /// Labelled records of the training folds, of the fold judged, and what the network says of them.
    train: Vec<usize>,
    test: Vec<usize>,
    learnt: Vec<Summary>,
    read: Vec<Summary>,
    tell: &'a (dyn Fn(&str) + Sync),
}

type Scores = Vec<Vec<f32>>;

impl Trial<'_> {
    fn rows<'s>(
        old: &'s [Summary],
        new: &'s [Summary],
        feature: impl Fn(&'s Summary) -> &'s [f32],
    ) -> Rows<'s> {
        Rows { old: old.iter().map(&feature).collect(), new: new.iter().map(&feature).collect() }
    }

    fn surrogate(&self) -> Scores {
        let mut scores = vec![Vec::new(); self.bundle.manifest.classes.len()];
        for summary in &self.read {
            let said = self.bundle.codebook.surrogate(&summary.proportion, &summary.soft);
            for (column, p) in scores.iter_mut().zip(said) {
                column.push(p);
            }
        }
        scores
    }

    /// Forest and logistic regression on the trained network's clusters, under these names: shares, or mean soft assignments.
    fn on_clusters(
        &self,
        decided: &[Vec<bool>],
        ([forest, logistic], kind): ([&str; 2], Kind),
        feature: fn(&Summary) -> &[f32],
    ) -> Result<BTreeMap<String, Scores>, WorkshopError> {
        (self.tell)(&format!("clusters: {forest}, {logistic}"));
        let rows = Self::rows(&self.learnt, &self.read, feature);
        let grown = rows.by_forest(kind, decided, self.how.trees, || (self.tell)(""))?;
        Ok(BTreeMap::from([(forest.into(), grown), (logistic.into(), rows.by_logistic(decided))]))
    }

    /// The bounds above and below; of decisions by thresholds of 0.5 only those that learn without a forest.
    fn bounds(
        &self,
        decided: &[Vec<bool>],
        half: &[Vec<bool>],
        folds: &[u8],
    ) -> Result<[BTreeMap<String, Scores>; 2], WorkshopError> {
        let (mut all, mut at_half) = (BTreeMap::new(), BTreeMap::new());
        let tell = || (self.tell)("");
        (self.tell)("bounds: mean activations");
        let rows = Self::rows(&self.learnt, &self.read, |s| &s.pooled);
        all.insert("pooled_logistic".into(), rows.by_logistic(decided));
        at_half.insert("pooled_logistic".into(), rows.by_logistic(half));
        let baseline = Baseline {
            set: self.set,
            train_folds: folds,
            mask: LEAD_SETS[0].1,
            clusters: self.bundle.codebook.clusters,
        };
        (self.tell)("bounds: a network that never learnt");
        let random = baseline.random(self.bundle)?;
        let every = self.train.len().div_ceil(BOUND_RECORDS).max(1);
        let thinned: Vec<usize> = (0..self.train.len()).step_by(every).collect();
        let taught: Vec<usize> = thinned.iter().map(|&i| self.train[i]).collect();
        let thin = |all: &[Vec<bool>]| -> Vec<Vec<bool>> {
            all.iter().map(|d| thinned.iter().map(|&i| d[i]).collect()).collect()
        };
        let (decided, half) = (thin(decided), thin(half));
        let (old, new) = (baseline.read(&random, &taught), baseline.read(&random, &self.test));
        let rows = Self::rows(&old, &new, |s| &s.proportion);
        all.insert("random_forest".into(), rows.by_forest(Kind::Forest, &decided, self.how.trees, tell)?);
        let rows = Self::rows(&old, &new, |s| &s.pooled);
        all.insert("random_pooled_logistic".into(), rows.by_logistic(&decided));
        at_half.insert("random_pooled_logistic".into(), rows.by_logistic(&half));
        (self.tell)("bounds: the raw signal");
        let book = baseline.raw()?;
        let (old, new) = (baseline.read_raw(&book, &taught), baseline.read_raw(&book, &self.test));
        let rows = Self::rows(&old, &new, |s| &s.proportion);
        all.insert("raw_forest".into(), rows.by_forest(Kind::Forest, &decided, self.how.trees, tell)?);
        Ok([all, at_half])
    }
}

fn decided_figures(network: &[Vec<bool>], truth: &[Vec<bool>], said: &BTreeMap<String, Scores>) -> Decided {
    let against = Against { decided: network, truth };
    let mut followers: BTreeMap<String, Followed> =
        said.iter().map(|(name, scores)| (name.clone(), Followed::of(scores, against))).collect();
    followers.insert("majority".into(), Followed::majority(against));
    Decided {
        accuracy: agreement(&network.concat(), &truth.concat()),
        auroc_hard: macro_auroc(truth, &hard(network)),
        followers,
    }
}

/// Records of folds that have a superclass.
fn labelled(set: &PtbXl, folds: &[u8]) -> Vec<usize> {
    set.in_folds(folds).into_iter().filter(|&r| set.labels[r].has_class()).collect()
}

/// How often `tell` hears an empty line: a piece of a forest is grown.
#[must_use]
pub fn pieces(classes: usize, how: How) -> u64 {
    forest::pieces(classes, how.trees) * if how.bounds { 5 } else { 3 }
}

/// AUROC by lead set, and the summaries with twelve leads.
fn by_leads(
    bundle: &Bundle,
    set: &PtbXl,
    test: &[usize],
    tell: &(dyn Fn(&str) + Sync),
) -> (BTreeMap<String, LeadSetFigures>, Vec<Summary>) {
    let (mut leads, mut twelve) = (BTreeMap::new(), Vec::new());
    let names = &bundle.manifest.classes;
    for (name, mask) in LEAD_SETS {
        tell(&format!("leads {name}"));
        let read = summaries(bundle, test, |r| set.signal(r), mask);
        let c = Columns::of(set, test, &read, names.len());
        let by_class = names.iter().zip(c.truth.iter().zip(&c.scores));
        let figures = LeadSetFigures {
            auroc_macro: macro_auroc(&c.truth, &c.scores),
            auroc: by_class.filter_map(|(n, (t, s))| Some((n.clone(), auroc(t, s)?))).collect(),
            entropy_mean: mean(read.iter().map(|s| f64::from(s.entropy))),
        };
        leads.insert(name.to_owned(), figures);
        if mask == LEAD_SETS[0].1 {
            twelve = read;
        }
    }
    (leads, twelve)
}

/// Judges a bundle on one fold; followers learn from the network's own decisions on `train_folds`.
///
/// # Errors
/// [`WorkshopError`] if a fold is empty or the engine fails.
pub fn evaluate(
    bundle: &Bundle,
    set: &PtbXl,
    train_folds: &[u8],
    fold: u8,
    how: How,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Judged, WorkshopError> {
    let (train, test) = (labelled(set, train_folds), labelled(set, &[fold]));
    if train.len() < 50 || test.len() < 20 {
        return Err(WorkshopError::TooFew { need: 50, have: train.len().min(test.len()) });
    }
    let (leads, read) = by_leads(bundle, set, &test, tell);
    tell("the training folds' decisions");
    let learnt = summaries(bundle, &train, |r| set.signal(r), LEAD_SETS[0].1);
    let classes = bundle.manifest.classes.len();
    let (old, new) = (Columns::of(set, &train, &learnt, classes), Columns::of(set, &test, &read, classes));
    let trial = Trial { how, bundle, set, train, test, learnt, read, tell };
    let (cut, half) = (&bundle.manifest.thresholds, vec![0.5; classes]);
    let (old_cut, old_half) = (old.decided(cut), old.decided(&half));
    let (hard, soft) = (["forest", "logistic"], ["extra_trees", "logistic_soft"]);
    let mut said = trial.on_clusters(&old_cut, (hard, Kind::Forest), |s| &s.proportion)?;
    let grown = said["forest"].clone();
    said.extend(trial.on_clusters(&old_cut, (soft, Kind::ExtraTrees), |s| &s.soft)?);
    said.insert("surrogate".into(), trial.surrogate());
    let mut said_half = trial.on_clusters(&old_half, (soft, Kind::ExtraTrees), |s| &s.soft)?;
    if how.bounds {
        let [bounds, at_half] = trial.bounds(&old_cut, &old_half, train_folds)?;
        said.extend(bounds);
        said_half.extend(at_half);
    }
    let figures = Figures {
        model: bundle.id.clone(),
        fold,
        records: trial.test.len(),
        clusters: bundle.codebook.clusters,
        trees: how.trees,
        thresholds: cut.clone(),
        auroc_macro: leads["12"].auroc_macro,
        leads,
        chosen: decided_figures(&new.decided(cut), &new.truth, &said),
        half: decided_figures(&new.decided(&half), &new.truth, &said_half),
    };
    Ok(Judged { figures, records: records(set, &trial.test, &trial.read, &new, &grown) })
}
