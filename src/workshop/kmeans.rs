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
/// Rounds at most.
const ROUNDS: usize = 60;
/// Relative change of the cost that ends the rounds.
const SETTLED: f64 = 1e-5;
/// Rows of one parallel piece.
const PIECE: usize = 2_048;

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

/// Clusters steps `[step, channel]`; the best of `starts` starts. `tell` hears each round's cost.
///
/// # Errors
/// [`WorkshopError`] if there are fewer steps than clusters.
pub fn cluster(
    steps: &[f32],
    scale: &[f32],
    clusters: usize,
    starts: u64,
    seed: u64,
    tell: impl Fn(u64, usize, f64),
) -> Result<Clustering, WorkshopError> {
    let channels = scale.len();
    if steps.len() / channels < clusters {
        return Err(WorkshopError::TooFew { need: clusters, have: steps.len() / channels });
    }
    let mut best: Option<Clustering> = None;
    for start in 0..starts {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(start));
        let mut centroids = first_centroids(steps, scale, clusters, &mut rng);
        let mut cost = f64::INFINITY;
        for r in 0..ROUNDS {
            let next = round(steps, scale, &nameless(scale, &centroids)?);
            tell(start, r, next.cost);
            let settled = cost - next.cost < SETTLED * next.cost;
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
        if best.as_ref().is_none_or(|b| cost < b.cost) {
            best = Some(Clustering { centroids, cost });
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
        let found = cluster(&steps, &[1.0, 1.0], 3, 2, 7, |_, _, _| ()).expect("enough steps");
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
