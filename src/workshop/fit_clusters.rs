//! From trained weights to a bundle: codebook, temperature, novelty references, names, thresholds, surrogate.

use super::WorkshopError;
use super::dataset::{Annotated, PtbXl};
use super::kmeans::{cluster, nameless};
use super::leads::LEAD_SETS;
use super::logistic::Logistic;
use super::metrics::best_kappa_threshold;
use super::naming::{count_waves, name};
use super::reading::{Summary, for_records, summaries, summarise};
use crate::model::{
    Architecture, Arrays, Bundle, Codebook, CodebookFacts, LeadMask, Manifest, Network, Surrogate,
};
use libm::expf;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fitting sample of each lead set: records and steps of each (docs/method.md, clusters).
const SAMPLE_12: (usize, usize) = (2_400, 42);
const SAMPLE_FEWER: (usize, usize) = (680, 25);
/// Clusters of the shipped bundle (docs/decisions.md, Which clusters are shipped?).
pub const CLUSTERS: usize = 24;
/// Weight of each tapped block in the distance, first to last: the steps of the first one follow the waves of a beat most
/// closely.
pub const BLOCK_WEIGHTS: [f32; 3] = [12.0, 1.0, 1.0];
/// Records that the surrogate learns from, at most about so many: more change nothing.
const SURROGATE_RECORDS: usize = 6_000;
/// Penalty of the surrogate's standardised weights.
const RIDGE: f64 = 1.0;

/// What to fit.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Clusters K.
    pub clusters: usize,
    /// Starts of k-means; the best counts.
    pub starts: u64,
    /// Weight of each tapped block in the distance, first to last.
    pub block_weights: Vec<f32>,
    /// Seed of sample and starts.
    pub seed: u64,
    /// Folds the network was trained on.
    pub train_folds: Vec<u8>,
    /// Fold for thresholds.
    pub choose_fold: u8,
    /// Name of the bundle.
    pub name: String,
    /// One line on the training, for the manifest.
    pub training: String,
}

/// Activations of random steps, by lead set.
type Samples = BTreeMap<usize, Vec<f32>>;

/// `per` random rows of `channels` numbers.
pub(super) fn pick_rows(rows: &[f32], channels: usize, per: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = rows.len() / channels.max(1);
    let mut picked = Vec::with_capacity(per * channels);
    for _ in 0..per {
        let at = rng.random_range(0..count) * channels;
        picked.extend_from_slice(&rows[at..at + channels]);
    }
    picked
}

fn draw_samples(network: &Arc<Network>, set: &PtbXl, plan: &Plan) -> Samples {
    let records = set.in_folds(&plan.train_folds);
    let mut samples = Samples::new();
    for (i, (_, mask)) in LEAD_SETS.iter().enumerate() {
        let (count, per) = if i == 0 { SAMPLE_12 } else { SAMPLE_FEWER };
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed.wrapping_mul(100) + i as u64);
        let mut chosen: Vec<usize> =
            sample(&mut rng, records.len(), count.min(records.len())).iter().map(|j| records[j]).collect();
        chosen.sort_unstable();
        let seed = plan.seed;
        let taps = for_records(
            network,
            &chosen,
            |r| set.signal(r),
            |_| *mask,
            |record, steps| {
                let channels = steps.taps.len() / steps.count.max(1);
                pick_rows(&steps.taps, channels, per, seed ^ (record as u64) << 8 ^ i as u64)
            },
        );
        samples.insert(i, taps.concat());
    }
    samples
}

/// Channel c is divided by its standard deviation (at least 5 % of the median one) over the root of its share of the
/// weights: the squared distance is a weighted mean over channels, the total variance is 1.
pub(super) fn channel_scale(steps: &[f32], weights: &[f32]) -> Vec<f32> {
    let channels = weights.len();
    let n = (steps.len() / channels) as f64;
    let (mut sums, mut squares) = (vec![0.0f64; channels], vec![0.0f64; channels]);
    for row in steps.chunks_exact(channels) {
        for ((s, q), v) in sums.iter_mut().zip(&mut squares).zip(row) {
            *s += f64::from(*v);
            *q += f64::from(*v) * f64::from(*v);
        }
    }
    let sd: Vec<f64> =
        sums.iter().zip(&squares).map(|(s, q)| (q / n - (s / n).powi(2)).max(0.0).sqrt()).collect();
    let mut alive: Vec<f64> = sd.iter().copied().filter(|s| *s > 0.0).collect();
    alive.sort_by(f64::total_cmp);
    let floor = 0.05 * alive.get(alive.len() / 2).copied().unwrap_or(1.0);
    let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    sd.iter().zip(weights).map(|(s, w)| (s.max(floor) * (total / f64::from(*w)).sqrt()) as f32).collect()
}

/// The weight of each channel from those of the blocks.
fn channel_weights(shape: &Architecture, block_weights: &[f32]) -> Result<Vec<f32>, WorkshopError> {
    if block_weights.len() != shape.taps.len() || block_weights.iter().any(|w| !w.is_finite() || *w <= 0.0) {
        return Err(WorkshopError::BlockWeights { blocks: shape.taps.len() });
    }
    let widths = shape.taps.iter().map(|&t| shape.blocks[t].channels);
    Ok(widths.zip(block_weights).flat_map(|(n, w)| std::iter::repeat_n(*w, n)).collect())
}

/// A codebook without names, fitted to random steps of the training folds.
pub struct Grouped {
    /// The codebook; its temperature and novelty references are set.
    pub book: Codebook,
    /// Mean squared distance of the fitting sample; its total variance is 1.
    pub cost: f64,
}

/// Codebooks of several ways (K, block weights) to cluster one sample, without names.
///
/// # Errors
/// As [`group`].
pub fn sweep(
    network: &Arc<Network>,
    shape: &Architecture,
    set: &PtbXl,
    plan: &Plan,
    ways: &[(usize, [f32; 3])],
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Codebook>, WorkshopError> {
    tell("reading random steps of the training folds");
    let samples = draw_samples(network, set, plan);
    let all = samples.values().flatten().copied().collect::<Vec<f32>>();
    let mut books = Vec::new();
    for (clusters, block_weights) in ways {
        tell(&format!("seed {}: K {clusters} at {block_weights:?}", plan.seed));
        let plan = Plan { clusters: *clusters, block_weights: block_weights.to_vec(), ..plan.clone() };
        books.push(grouped(&samples, &all, shape, &plan, &|_| ())?.book);
    }
    Ok(books)
}

/// Draws the sample and clusters it.
///
/// # Errors
/// [`WorkshopError`] if there are too few records or the block weights do not fit.
pub fn group(
    network: &Arc<Network>,
    shape: &Architecture,
    set: &PtbXl,
    plan: &Plan,
    tell: &dyn Fn(&str),
) -> Result<Grouped, WorkshopError> {
    tell("reading random steps of the training folds");
    let samples = draw_samples(network, set, plan);
    let all = samples.values().flatten().copied().collect::<Vec<f32>>();
    grouped(&samples, &all, shape, plan, tell)
}

fn grouped(
    samples: &Samples,
    all: &[f32],
    shape: &Architecture,
    plan: &Plan,
    tell: &dyn Fn(&str),
) -> Result<Grouped, WorkshopError> {
    let weights = channel_weights(shape, &plan.block_weights)?;
    let scale = channel_scale(all, &weights);
    let found = cluster(all, &scale, plan.clusters, plan.starts, plan.seed, |start, cost| {
        tell(&format!("k-means start {start}: cost {cost:.4}"));
    })?;
    let book = nameless(&scale, &found.centroids)?;
    let facts = CodebookFacts {
        temperature: temperature(&book, all, weights.len()),
        novelty_q95: novelty_references(&book, samples),
        names: book.names.clone(),
    };
    Ok(Grouped { book: Codebook::new(facts, scale, found.centroids)?, cost: found.cost })
}

/// Value below which a share `q` of the values lies.
fn quantile(values: &mut [f32], q: f64) -> f32 {
    values.sort_by(f32::total_cmp);
    let at = q * values.len().saturating_sub(1) as f64;
    values.get(at.round() as usize).copied().unwrap_or(0.0)
}

/// Median of (second smallest - smallest d²): the temperature at which a typical step has p1/p2 = e.
pub(super) fn temperature(book: &Codebook, steps: &[f32], channels: usize) -> f32 {
    let mut gaps = Vec::new();
    for piece in steps.chunks(5 * 1_024 * channels) {
        let some: Vec<f32> = piece.chunks_exact(channels).step_by(5).flatten().copied().collect();
        for d2 in book.distances(&some).chunks_exact(book.clusters) {
            let mut two = [f32::INFINITY; 2];
            for d in d2 {
                if *d < two[0] {
                    two = [*d, two[0]];
                } else if *d < two[1] {
                    two[1] = *d;
                }
            }
            gaps.push(two[1] - two[0]);
        }
    }
    quantile(&mut gaps, 0.5)
}

fn novelty_references(book: &Codebook, samples: &Samples) -> Vec<(LeadMask, f32)> {
    let reference = |(i, steps): (&usize, &Vec<f32>)| {
        let d2 = book.distances(steps);
        let mut nearest: Vec<f32> = d2
            .chunks_exact(book.clusters)
            .map(|row| row.iter().copied().fold(f32::INFINITY, f32::min))
            .collect();
        (LEAD_SETS[*i].1, quantile(&mut nearest, 0.95))
    };
    samples.iter().map(reference).collect()
}

/// Probability of a logit.
pub(super) fn probability(logit: f32) -> f32 {
    1.0 / (1.0 + expf(-logit))
}

/// The threshold of each class with the best kappa on the records (12 leads).
pub(super) fn thresholds(set: &PtbXl, records: &[usize], read: &[Summary]) -> Vec<f32> {
    let labelled: Vec<usize> = (0..records.len()).filter(|&i| set.labels[records[i]].has_class()).collect();
    let of_class = |class: usize| {
        let truth: Vec<bool> = labelled.iter().map(|&i| set.labels[records[i]].classes[class]).collect();
        let scores: Vec<f32> = labelled.iter().map(|&i| probability(read[i].logits[class])).collect();
        best_kappa_threshold(&truth, &scores)
    };
    (0..set.labels.first().map_or(0, |l| l.classes.len())).map(of_class).collect()
}

/// One logistic regression a class on mean soft assignments, for the network's own decisions, over twelve leads and one
/// drawn lead set for each record: the surrogate has to serve whatever the bed shows.
fn with_surrogate(book: Codebook, bundle: &Bundle, set: &PtbXl, plan: &Plan, cut: &[f32]) -> Codebook {
    let all = set.in_folds(&plan.train_folds);
    let every = all.len().div_ceil(SURROGATE_RECORDS).max(1);
    let records: Vec<usize> = all.into_iter().step_by(every).collect();
    let mut read = summaries(bundle, &records, |r| set.signal(r), LEAD_SETS[0].1);
    let drawn = |record: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed ^ (record as u64) << 20);
        LEAD_SETS[rng.random_range(1..LEAD_SETS.len())].1
    };
    read.extend(for_records(
        bundle.network(),
        &records,
        |r| set.signal(r),
        drawn,
        |record, steps| summarise(&bundle.codebook, drawn(record), &steps),
    ));
    let rows: Vec<&[f32]> = read.iter().map(|s| s.soft.as_slice()).collect();
    let classes = cut.len();
    let (mut weights, mut bias) = (vec![0.0; book.clusters * classes], vec![0.0; classes]);
    for class in 0..classes {
        let decided: Vec<bool> = read.iter().map(|s| probability(s.logits[class]) >= cut[class]).collect();
        let fit = Logistic::fit(&rows, &decided, RIDGE);
        for (k, w) in fit.weights.iter().enumerate() {
            weights[k * classes + class] = *w as f32;
        }
        bias[class] = fit.intercept as f32;
    }
    book.with_surrogate(Surrogate { soft: true, weights, bias })
}

/// What was fitted; the caller writes it with the card.
pub struct Fitted {
    /// The manifest.
    pub manifest: Manifest,
    /// The codebook with names and surrogate.
    pub codebook: Codebook,
    /// Mean squared distance of the fitting sample; its total variance is 1.
    pub cost: f64,
}

/// Fits everything a bundle needs beside its weights. `tell` hears what is going on.
///
/// # Errors
/// [`WorkshopError`] if the weights do not fit the shape or there are too few records.
pub fn fit(
    shape: &Architecture,
    weights: &Arrays,
    set: &PtbXl,
    ludb: &[Annotated],
    plan: &Plan,
    tell: &dyn Fn(&str),
) -> Result<Fitted, WorkshopError> {
    let network = Arc::new(Network::new(shape.clone(), weights)?);
    let Grouped { book, cost } = group(&network, shape, set, plan, tell)?;
    let bundle_of = |book: Codebook| {
        let manifest = Manifest::for_network(shape.clone(), book.facts.clone());
        Arc::new(Bundle::from_parts(manifest, weights.clone(), book, network.clone()))
    };
    tell("naming clusters by LUDB");
    let unnamed = bundle_of(book.clone());
    let counts = count_waves(&unnamed, ludb)?;
    let book = book.with_names(counts.iter().map(name).collect());
    tell("choosing thresholds");
    let chosen = set.in_folds(&[plan.choose_fold]);
    let read = summaries(&unnamed, &chosen, |r| set.signal(r), LEAD_SETS[0].1);
    let cut = thresholds(set, &chosen, &read);
    tell("fitting the surrogate");
    let codebook = with_surrogate(book, &unnamed, set, plan, &cut);
    let manifest = Manifest {
        name: plan.name.clone(),
        training: plan.training.clone(),
        thresholds: cut,
        ..Manifest::for_network(shape.clone(), codebook.facts.clone())
    };
    Ok(Fitted { manifest, codebook, cost })
}
