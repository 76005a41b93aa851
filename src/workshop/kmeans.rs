//! k-means++ and Lloyd's rounds over scaled activations. Deterministic by seed for any number of threads.

use super::WorkshopError;
use crate::model::{Codebook, CodebookFacts};
use crate::snapshot::{ClusterName, Family};
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Steps that the first centroids are drawn from.
const START_STEPS: usize = 20_000;
/// A start first runs on one step in so many, until its cost changes by less than a share; then the best of them go on
/// with all steps. Many starts on few steps find the same optimum from other samples and seeds; few starts on all do not.
const THINNED: usize = 5;
const SHORT: Until = Until { rounds: 40, settled: 1e-4 };
/// Starts that go on, and how far.
const FINALISTS: usize = 3;
const LONG: Until = Until { rounds: 150, settled: 1e-6 };
/// Rows of one parallel piece.
const PIECE: usize = 2_048;

/// Where rounds end.
#[derive(Clone, Copy)]
struct Until {
    rounds: usize,
    /// Relative change of the cost.
    settled: f64,
}

/// Centroids in scaled space and their mean squared distance.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// `[cluster, channel]`.
    pub centroids: Vec<f32>,
    /// Mean squared distance of a step to its centroid; the total variance is 1.
    pub cost: f64,
}

/// A codebook with these centroids and no names yet.
pub(super) fn nameless(scale: &[f32], centroids: &[f32]) -> Result<Codebook, WorkshopError> {
    let clusters = centroids.len() / scale.len();
    let name = ClusterName { family: Family::Mixed, name: String::new() };
    let facts = CodebookFacts { temperature: 1.0, names: vec![name; clusters], novelty_q95: Vec::new() };
    Ok(Codebook::new(facts, scale.to_vec(), centroids.to_vec())?)
}

/// Each next centroid is a step drawn with a chance proportional to its distance from the nearest so far.
fn first_centroids(steps: &[f32], scale: &[f32], clusters: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let channels = scale.len();
    let n = steps.len() / channels;
    let scaled = |i: usize| -> Vec<f32> {
        steps[i * channels..(i + 1) * channels].iter().zip(scale).map(|(v, s)| v / s).collect()
    };
    let chosen: Vec<Vec<f32>> =
        sample(rng, n, START_STEPS.min(n)).into_vec().into_par_iter().map(scaled).collect();
    let mut centroids = chosen[rng.random_range(0..chosen.len())].clone();
    let mut nearest = vec![f32::INFINITY; chosen.len()];
    for _ in 1..clusters {
        let newest = centroids[centroids.len() - channels..].to_vec();
        nearest.par_iter_mut().zip(&chosen).for_each(|(d, z)| {
            let d2: f32 = z.iter().zip(&newest).map(|(a, b)| (a - b) * (a - b)).sum();
            *d = d.min(d2);
        });
        let total: f64 = nearest.iter().map(|d| f64::from(*d)).sum();
        let mut left = rng.random::<f64>() * total;
        let drawn = nearest.iter().position(|d| {
            left -= f64::from(*d);
            left < 0.0
        });
        centroids.extend_from_slice(&chosen[drawn.unwrap_or(chosen.len() - 1)]);
    }
    centroids
}

/// Sums, counts and cost of one round.
struct Round {
    sums: Vec<f64>,
    counts: Vec<usize>,
    cost: f64,
}

fn round(steps: &[f32], scale: &[f32], book: &Codebook) -> Round {
    let (channels, k) = (scale.len(), book.clusters);
    let pieces: Vec<Round> = steps
        .par_chunks(PIECE * channels)
        .map(|piece| {
            let mut r = Round { sums: vec![0.0; k * channels], counts: vec![0; k], cost: 0.0 };
            for (row, d2) in piece.chunks_exact(channels).zip(book.distances(piece).chunks_exact(k)) {
                let nearest = (1..k).fold(0, |best, j| if d2[j] < d2[best] { j } else { best });
                r.cost += f64::from(d2[nearest]);
                r.counts[nearest] += 1;
                let sums = &mut r.sums[nearest * channels..(nearest + 1) * channels];
                for ((sum, v), s) in sums.iter_mut().zip(row).zip(scale) {
                    *sum += f64::from(v / s);
                }
            }
            r
        })
        .collect();
    let mut all = Round { sums: vec![0.0; k * channels], counts: vec![0; k], cost: 0.0 };
    for piece in pieces {
        all.cost += piece.cost;
        for (a, b) in all.sums.iter_mut().zip(piece.sums) {
            *a += b;
        }
        for (a, b) in all.counts.iter_mut().zip(piece.counts) {
            *a += b;
        }
    }
    all.cost /= (steps.len() / channels) as f64;
    all
}

/// Lloyd's rounds from given centroids.
fn lloyd(
    steps: &[f32],
    scale: &[f32],
    mut centroids: Vec<f32>,
    until: Until,
) -> Result<Clustering, WorkshopError> {
    let channels = scale.len();
    let mut cost = f64::INFINITY;
    for _ in 0..until.rounds {
        let next = round(steps, scale, &nameless(scale, &centroids)?);
        let settled = cost - next.cost < until.settled * next.cost;
        cost = next.cost;
        if settled {
            break;
        }
        for (k, count) in next.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            let own = k * channels..(k + 1) * channels;
            for (c, sum) in centroids[own.clone()].iter_mut().zip(&next.sums[own]) {
                *c = (sum / *count as f64) as f32;
            }
        }
    }
    Ok(Clustering { centroids, cost })
}

/// Clusters steps `[step, channel]`; the best of `starts` starts. `tell` hears each start's cost.
///
/// # Errors
/// [`WorkshopError`] if there are fewer steps than clusters.
pub fn cluster(
    steps: &[f32],
    scale: &[f32],
    clusters: usize,
    starts: u64,
    seed: u64,
    tell: impl Fn(u64, f64),
) -> Result<Clustering, WorkshopError> {
    let channels = scale.len();
    if steps.len() / channels < THINNED * clusters {
        return Err(WorkshopError::TooFew { need: THINNED * clusters, have: steps.len() / channels });
    }
    let thinned: Vec<f32> = steps.chunks_exact(channels).step_by(THINNED).flatten().copied().collect();
    let mut short = Vec::new();
    for start in 0..starts.max(1) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(start));
        let first = first_centroids(&thinned, scale, clusters, &mut rng);
        let found = lloyd(&thinned, scale, first, SHORT)?;
        tell(start, found.cost);
        short.push(found);
    }
    short.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut best: Option<Clustering> = None;
    for (rank, found) in short.into_iter().take(FINALISTS).enumerate() {
        let long = lloyd(steps, scale, found.centroids, LONG)?;
        tell(starts + rank as u64, long.cost);
        if best.as_ref().is_none_or(|b| long.cost < b.cost) {
            best = Some(long);
        }
    }
    best.ok_or(WorkshopError::TooFew { need: 1, have: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separate_clouds_are_found() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let centres = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]];
        let steps: Vec<f32> =
            (0..3_000).flat_map(|i| centres[i % 3].map(|c: f32| c + rng.random_range(-1.0..1.0))).collect();
        let found = cluster(&steps, &[1.0, 1.0], 3, 4, 7, |_, _| ()).expect("enough steps");
        for centre in centres {
            let near = found
                .centroids
                .chunks_exact(2)
                .any(|c| (c[0] - centre[0]).abs() < 0.2 && (c[1] - centre[1]).abs() < 0.2);
            assert!(near, "{centre:?} is missing in {:?}", found.centroids);
        }
        assert!(found.cost < 1.0);
    }
}
