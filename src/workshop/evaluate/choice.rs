//! Which clusters to ship: the sweep over K and the weights of blocks, and the rule that chooses.
//!
//! The rule (docs/decisions.md) was fixed before fold 10 was read: of the codebooks whose letters agree between seeds with
//! a mean adjusted Rand index of at least 0.80 and whose landmark AMI (LUDB, lead II) is at least 0.50, the one whose soft
//! proportions follow the network best on the fold for choices; within 0.1 points the smaller K, then the earlier weights.

use super::follow::{Against, Followed, Rows};
use super::landmarks::letters;
use super::{Columns, labelled};
use crate::model::{Bundle, Codebook, LiveEngine, Manifest, Network, Steps};
use crate::pipeline::preprocess::prepare_whole;
use crate::workshop::WorkshopError;
use crate::workshop::dataset::{Annotated, PtbXl};
use crate::workshop::fit_clusters::{self, sweep};
use crate::workshop::leads::LEAD_SETS;
use crate::workshop::metrics::mean;
use crate::workshop::partitions::{ami, ari};
use crate::workshop::reading::{Summary, for_records, summarise};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Cluster counts and block weights tried, all with all, and those between that lie near the rule's bounds.
const CLUSTERS: [usize; 6] = [8, 12, 16, 24, 32, 48];
const WEIGHTS: [[f32; 3]; 4] = [[1.0, 1.0, 1.0], [2.0, 1.0, 1.0], [4.0, 1.0, 1.0], [20.0, 1.0, 1.0]];
const BETWEEN: [(usize, [f32; 3]); 5] = [
    (24, [6.0, 1.0, 1.0]),
    (24, [8.0, 1.0, 1.0]),
    (24, [12.0, 1.0, 1.0]),
    (32, [8.0, 1.0, 1.0]),
    (20, [8.0, 1.0, 1.0]),
];
/// And each block as good as alone: the others count for a thousandth.
const ALONE: [(usize, [f32; 3]); 3] =
    [(24, [1_000.0, 1.0, 1.0]), (24, [1.0, 1_000.0, 1.0]), (24, [1.0, 1.0, 1_000.0])];
/// Codebooks of each, by seeds of sample and starts.
const SEEDS: u64 = 3;
/// Records of the training folds that followers learn from, and of the fold for choices that letters are compared on.
const TAUGHT: usize = 4_000;
const COMPARED: usize = 300;
/// The rule's bounds.
const ARI_MIN: f64 = 0.80;
const AMI_MIN: f64 = 0.50;
const TIE: f64 = 0.001;

/// One way to cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Clusters.
    pub clusters: usize,
    /// Weights of the tapped blocks, first to last.
    pub block_weights: Vec<f32>,
    /// Agreement of a logistic regression on hard and on soft proportions with the network, on the fold for choices.
    pub agreement_hard: f64,
    /// As `agreement_hard`.
    pub agreement_soft: f64,
    /// Cohen's kappa of the soft one.
    pub kappa_soft: f64,
    /// Adjusted Rand index between codebooks of other seeds, mean and smallest of the pairs.
    pub ari: f64,
    /// The smallest of the pairs.
    pub ari_min: f64,
    /// Landmark AMI, LUDB lead II, steps without a wave left out; mean of the seeds.
    pub ami: f64,
    /// The rule chose it.
    pub chosen: bool,
}

/// The codebooks of one candidate.
struct Tried {
    clusters: usize,
    block_weights: [f32; 3],
    books: Vec<Codebook>,
}

fn pairs(letters: &[Vec<u8>]) -> Vec<f64> {
    (0..letters.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|(i, j)| ari(&letters[i], &letters[j]))
        .collect()
}

/// Applies the rule; the index of the candidate, or of the one nearest to its bounds where none holds them.
fn rule(candidates: &[Candidate]) -> usize {
    let short = |c: &Candidate| (ARI_MIN - c.ari).max(0.0) + (AMI_MIN - c.ami).max(0.0);
    let least = candidates.iter().map(short).fold(f64::INFINITY, f64::min);
    let able: Vec<usize> =
        (0..candidates.len()).filter(|&i| short(&candidates[i]) <= least + 1e-12).collect();
    let best = able.iter().map(|&i| candidates[i].agreement_soft).fold(f64::NEG_INFINITY, f64::max);
    let near = able.into_iter().filter(|&i| candidates[i].agreement_soft >= best - TIE);
    near.min_by_key(|&i| (candidates[i].clusters, i)).unwrap_or(0)
}

fn landmark_ami(network: &Arc<Network>, book: &Codebook, ludb: &[Annotated]) -> Result<f64, WorkshopError> {
    let mask = LEAD_SETS[4].1;
    let read = |record: &Annotated| -> Result<Vec<(u8, u8)>, WorkshopError> {
        let Some(input) = prepare_whole(&record.recording, mask) else { return Ok(Vec::new()) };
        let said = letters(&mut LiveEngine::new(network.clone()), book, &input, mask)?;
        Ok(record.waves.iter().zip(said).filter_map(|(w, k)| Some((w.as_ref().copied()? as u8, k))).collect())
    };
    let read: Vec<Vec<(u8, u8)>> = ludb.par_iter().map(read).collect::<Result<_, _>>()?;
    let (waves, said): (Vec<u8>, Vec<u8>) = read.into_iter().flatten().unzip();
    Ok(ami(&waves, &said))
}

/// What all candidates are judged by.
struct Jury<'a> {
    network: Arc<Network>,
    manifest: &'a Manifest,
    set: &'a PtbXl,
    ludb: &'a [Annotated],
    /// Records of the training folds, and of the fold for choices.
    taught: Vec<usize>,
    judged: Vec<usize>,
}

impl Jury<'_> {
    /// What the first codebook of each candidate says of records `[record][candidate]`.
    fn read(&self, records: &[usize], tried: &[Tried]) -> Vec<Vec<Summary>> {
        let mask = LEAD_SETS[0].1;
        let all = |_: usize, steps: Steps| -> Vec<Summary> {
            tried.iter().map(|t| summarise(&t.books[0], mask, &steps)).collect()
        };
        for_records(&self.network, records, |r| self.set.signal(r), |_| mask, all)
    }

    /// Letters of some records of the fold for choices.
    fn letters(&self, book: &Codebook) -> Result<Vec<u8>, WorkshopError> {
        let mask = LEAD_SETS[0].1;
        let of =
            |&r: &usize| letters(&mut LiveEngine::new(self.network.clone()), book, self.set.signal(r), mask);
        let some = &self.judged[..COMPARED.min(self.judged.len())];
        Ok(some.par_iter().map(of).collect::<Result<Vec<Vec<u8>>, _>>()?.concat())
    }

    fn judge(&self, way: &Tried, old: &[Summary], new: &[Summary]) -> Result<Candidate, WorkshopError> {
        let (classes, cut) = (self.manifest.classes.len(), &self.manifest.thresholds);
        let taught_by = Columns::of(self.set, &self.taught, old, classes).decided(cut);
        let judged = Columns::of(self.set, &self.judged, new, classes);
        let network_says = judged.decided(cut);
        let follow = |feature: fn(&Summary) -> &[f32]| {
            let rows =
                Rows { old: old.iter().map(feature).collect(), new: new.iter().map(feature).collect() };
            let against = Against { decided: &network_says, truth: &judged.truth };
            Followed::of(&rows.by_logistic(&taught_by), against)
        };
        let (hard, soft) = (follow(|s| &s.proportion), follow(|s| &s.soft));
        let said = way.books.iter().map(|b| self.letters(b)).collect::<Result<Vec<_>, _>>()?;
        let pairs = pairs(&said);
        let amis = way.books.iter().map(|b| landmark_ami(&self.network, b, self.ludb));
        Ok(Candidate {
            clusters: way.clusters,
            block_weights: way.block_weights.to_vec(),
            agreement_hard: hard.agreement,
            agreement_soft: soft.agreement,
            kappa_soft: soft.kappa,
            ari: mean(pairs.iter().copied()),
            ari_min: pairs.into_iter().fold(1.0, f64::min),
            ami: mean(amis.collect::<Result<Vec<_>, _>>()?),
            chosen: false,
        })
    }
}

/// Sweeps over the candidates and chooses.
///
/// # Errors
/// [`WorkshopError`] if a fold is too small or the engine fails.
pub fn choose(
    bundle: &Bundle,
    set: &PtbXl,
    ludb: &[Annotated],
    plan: &fit_clusters::Plan,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Candidate>, WorkshopError> {
    let grid = WEIGHTS.iter().flat_map(|w| CLUSTERS.iter().map(move |k| (*k, *w)));
    let ways: Vec<(usize, [f32; 3])> = grid.chain(BETWEEN).chain(ALONE).collect();
    let empty =
        |&(clusters, block_weights): &(usize, [f32; 3])| Tried { clusters, block_weights, books: Vec::new() };
    let mut tried: Vec<Tried> = ways.iter().map(empty).collect();
    for seed in 0..SEEDS {
        let plan = fit_clusters::Plan { seed: plan.seed + 1_000 * (seed + 1), ..plan.clone() };
        let books = sweep(bundle.network(), &bundle.manifest.network, set, &plan, &ways, tell)?;
        for (tried, book) in tried.iter_mut().zip(books) {
            tried.books.push(book);
        }
    }
    let taught = labelled(set, &plan.train_folds);
    let every = taught.len().div_ceil(TAUGHT).max(1);
    let jury = Jury {
        network: bundle.network().clone(),
        manifest: &bundle.manifest,
        set,
        ludb,
        taught: taught.into_iter().step_by(every).collect(),
        judged: labelled(set, &[plan.choose_fold]),
    };
    tell("reading records with every codebook");
    let (old, new) = (jury.read(&jury.taught, &tried), jury.read(&jury.judged, &tried));
    let mut candidates = Vec::new();
    for (i, way) in tried.iter().enumerate() {
        tell(&format!("K {} at {:?}", way.clusters, way.block_weights));
        let pick = |all: &[Vec<Summary>]| all.iter().map(|s| s[i].clone()).collect::<Vec<_>>();
        candidates.push(jury.judge(way, &pick(&old), &pick(&new))?);
    }
    let chosen = rule(&candidates);
    candidates[chosen].chosen = true;
    Ok(candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(clusters: usize, agreement_soft: f64, ari: f64, ami: f64) -> Candidate {
        Candidate {
            clusters,
            block_weights: vec![1.0; 3],
            agreement_hard: 0.0,
            agreement_soft,
            kappa_soft: 0.0,
            ari,
            ari_min: 0.0,
            ami,
            chosen: false,
        }
    }

    #[test]
    fn the_rule_wants_stable_clusters_on_waves_before_agreement() {
        let all = [
            candidate(48, 0.985, 0.60, 0.52),
            candidate(24, 0.980, 0.85, 0.49),
            candidate(24, 0.9755, 0.85, 0.51),
            candidate(16, 0.9750, 0.90, 0.52),
            candidate(12, 0.9700, 0.95, 0.53),
        ];
        assert_eq!(rule(&all), 3, "within 0.1 points the smaller K");
        assert_eq!(rule(&all[..2]), 1, "where none holds the bounds, the one nearest to them");
    }
}
