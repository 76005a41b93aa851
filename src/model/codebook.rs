//! Clusters of the taps' activations (docs/method.md, clusters and entropy): soft assignment, entropy, novelty, and the
//! surrogate that reads classes from cluster proportions alone.

use super::arrays;
use super::kernel::{Finish, Panels, View, product, wide};
use super::live::take;
use super::{Arrays, LeadMask, ModelError};
use crate::snapshot::ClusterName;
use libm::{expf, logf};
use serde::{Deserialize, Serialize};

/// What the manifest says of the codebook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodebookFacts {
    /// Temperature T of the soft assignment: the median over the fitting sample of (second smallest - smallest d²).
    pub temperature: f32,
    /// The clusters' names, index = cluster.
    pub names: Vec<ClusterName>,
    /// 95 % quantile of the smallest d² for each lead set: a missing lead must not look like an illness.
    pub novelty_q95: Vec<(LeadMask, f32)>,
}

/// K centroids in the scaled space of the taps.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    /// Clusters K.
    pub clusters: usize,
    /// Temperature, names, novelty references.
    pub facts: CodebookFacts,
    /// The clusters' names, as in `facts`.
    pub names: Vec<ClusterName>,
    /// Channel c is divided by `scale[c]` = its standard deviation · √channels.
    scale: Vec<f32>,
    /// `[cluster, channel]`, scaled.
    centroids: Vec<f32>,
    /// Transposed and packed.
    packed: Panels,
    /// |centroid|².
    squares: Vec<f32>,
    surrogate: Surrogate,
}

/// A logistic regression from a window's clusters to the network's decisions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surrogate {
    /// On mean soft assignments; else on shares of steps by nearest cluster.
    pub soft: bool,
    /// `[cluster, class]`.
    pub weights: Vec<f32>,
    /// `[class]`; empty without a surrogate.
    pub bias: Vec<f32>,
}

impl Surrogate {
    /// Its arrays' names on disk.
    fn names(soft: bool) -> [&'static str; 2] {
        if soft {
            ["soft_surrogate.weight", "soft_surrogate.bias"]
        } else {
            ["surrogate.weight", "surrogate.bias"]
        }
    }
}

/// What the codebook says of some steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assigned {
    /// `[step, cluster]`, rows sum to 1.
    pub assignment: Vec<f32>,
    /// Nearest cluster `[step]`.
    pub cluster: Vec<u8>,
    /// `[step]`, 0 to 1.
    pub entropy: Vec<f32>,
    /// `[step]`, 1 = the lead set's 95 % quantile.
    pub novelty: Vec<f32>,
}

/// Rows whose squares are summed side by side: one sum alone would wait for its own last addition.
const ABREAST: usize = 8;

/// |row|² of each row of `channels`, each one chain of fused multiply-adds in ascending order.
fn squares(rows: &[f32], channels: usize) -> Vec<f32> {
    let mut all = vec![0.0; rows.len() / channels];
    wide(
        #[inline(always)]
        || {
            for (sums, rows) in all.chunks_mut(ABREAST).zip(rows.chunks(ABREAST * channels)) {
                if let Ok(sums) = <&mut [f32; ABREAST]>::try_from(&mut *sums) {
                    let row: [&[f32]; ABREAST] =
                        std::array::from_fn(|r| &rows[r * channels..(r + 1) * channels]);
                    let mut chain = [0.0f32; ABREAST];
                    for c in 0..channels {
                        for (sum, row) in chain.iter_mut().zip(row) {
                            *sum = row[c].mul_add(row[c], *sum);
                        }
                    }
                    *sums = chain;
                } else {
                    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(channels)) {
                        *sum = row.iter().fold(0.0, |sum, v| v.mul_add(*v, sum));
                    }
                }
            }
        },
    );
    all
}

impl Codebook {
    /// From scale `[channel]` and centroids `[cluster, channel]` (already scaled).
    ///
    /// # Errors
    /// [`ModelError::Bundle`] if sizes disagree or a number is not usable.
    pub fn new(facts: CodebookFacts, scale: Vec<f32>, centroids: Vec<f32>) -> Result<Self, ModelError> {
        let (channels, clusters) = (scale.len(), facts.names.len());
        let fault = |why: &str| Err(ModelError::Bundle(format!("codebook: {why}")));
        if !(2..=256).contains(&clusters) || channels == 0 || centroids.len() != clusters * channels {
            return fault("names, scale and centroids do not fit each other; 2 to 256 clusters");
        }
        let positive = |v: &f32| v.is_finite() && *v > 0.0;
        if !positive(&facts.temperature)
            || !scale.iter().all(positive)
            || !centroids.iter().all(|c| c.is_finite())
        {
            return fault("temperature and scale must be positive, centroids finite");
        }
        let mut turned = vec![0.0; centroids.len()];
        for (k, row) in centroids.chunks_exact(channels).enumerate() {
            for (c, v) in row.iter().enumerate() {
                turned[c * clusters + k] = *v;
            }
        }
        Ok(Self {
            clusters,
            names: facts.names.clone(),
            facts,
            packed: Panels::pack(&turned, channels, clusters),
            squares: squares(&centroids, channels),
            scale,
            centroids,
            surrogate: Surrogate::default(),
        })
    }

    /// The same codebook with names, index = cluster.
    ///
    /// # Panics
    /// If there is not one name for each cluster.
    #[must_use]
    pub fn with_names(mut self, names: Vec<ClusterName>) -> Self {
        assert_eq!(names.len(), self.clusters, "one name a cluster");
        self.facts.names.clone_from(&names);
        self.names = names;
        self
    }

    /// The same codebook with a surrogate.
    ///
    /// # Panics
    /// If the surrogate has another shape.
    #[must_use]
    pub fn with_surrogate(mut self, surrogate: Surrogate) -> Self {
        assert_eq!(surrogate.weights.len(), self.clusters * surrogate.bias.len(), "surrogate's shape");
        self.surrogate = surrogate;
        self
    }

    /// Reads `codebook.safetensors`.
    pub(super) fn from_bytes(facts: CodebookFacts, bytes: &[u8], classes: usize) -> Result<Self, ModelError> {
        let (named, _) = arrays::from_bytes(bytes)?;
        let array = |name: &str| named.get(name).map(|(_, v)| v.clone()).unwrap_or_default();
        let book = Self::new(facts, array("scale"), array("centroids"))?;
        for soft in [true, false] {
            let [weight, bias] = Surrogate::names(soft);
            if named.contains_key(weight) {
                let weights = take(&named, weight, book.clusters * classes)?.to_vec();
                let bias = take(&named, bias, classes)?.to_vec();
                return Ok(book.with_surrogate(Surrogate { soft, weights, bias }));
            }
        }
        Ok(book)
    }

    /// The bytes of `codebook.safetensors`.
    ///
    /// # Errors
    /// As [`arrays::to_bytes`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let channels = self.scale.len();
        let mut named = Arrays::new();
        named.insert("scale".into(), (vec![channels], self.scale.clone()));
        named.insert("centroids".into(), (vec![self.clusters, channels], self.centroids.clone()));
        let Surrogate { soft, weights, bias } = &self.surrogate;
        if !bias.is_empty() {
            let names = Surrogate::names(*soft).map(str::to_owned);
            let [weight_name, bias_name] = names;
            named.insert(weight_name, (vec![self.clusters, bias.len()], weights.clone()));
            named.insert(bias_name, (vec![bias.len()], bias.clone()));
        }
        arrays::to_bytes(&named, arrays::Notes::new())
    }

    /// Squared distances to all centroids `[step, cluster]` of steps given by their taps' activations
    /// `[step, channel]`.
    #[must_use]
    pub fn distances(&self, taps: &[f32]) -> Vec<f32> {
        let (channels, k) = (self.scale.len(), self.clusters);
        let steps = taps.len() / channels;
        let mut scaled = taps.to_vec();
        wide(
            #[inline(always)]
            || {
                for row in scaled.chunks_exact_mut(channels) {
                    for (v, s) in row.iter_mut().zip(&self.scale) {
                        *v /= s;
                    }
                }
            },
        );
        let mut d2 = vec![0.0; steps * k];
        if steps == 0 {
            return d2;
        }
        let view =
            View { values: &scaled, row: channels, outer: 0, outer_len: 1, inner: 1, inner_len: channels };
        product(steps, view, &self.packed, &mut d2, k, Finish::default());
        for (row, zz) in d2.chunks_exact_mut(k).zip(squares(&scaled, channels)) {
            for (d, cc) in row.iter_mut().zip(&self.squares) {
                *d = (zz - 2.0 * *d + cc).max(0.0);
            }
        }
        d2
    }

    /// The novelty reference of a lead set; of the widest one for sets that were not fitted.
    #[must_use]
    pub fn novelty_reference(&self, mask: LeadMask) -> f32 {
        let exact = self.facts.novelty_q95.iter().find(|(m, _)| *m == mask);
        let widest = || self.facts.novelty_q95.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        exact.or_else(widest).map_or(1.0, |(_, q)| *q)
    }

    /// Assigns steps given by their taps' activations `[step, channel]`.
    #[must_use]
    pub fn assign(&self, taps: &[f32], mask: LeadMask) -> Assigned {
        let mut assignment = self.distances(taps);
        let (reference, log_k) = (self.novelty_reference(mask), logf(self.clusters as f32));
        let mut assigned = Assigned::default();
        for row in assignment.chunks_exact_mut(self.clusters) {
            let mut nearest = 0;
            for (k, d) in row.iter().enumerate() {
                if *d < row[nearest] {
                    nearest = k;
                }
            }
            let smallest = row[nearest];
            let mut sum = 0.0;
            for d in row.iter_mut() {
                *d = expf((smallest - *d) / self.facts.temperature);
                sum += *d;
            }
            let mut entropy = 0.0;
            for p in row.iter_mut() {
                *p /= sum;
                if *p > 0.0 {
                    entropy -= *p * logf(*p);
                }
            }
            assigned.cluster.push(nearest as u8);
            assigned.entropy.push((entropy / log_k).clamp(0.0, 1.0));
            assigned.novelty.push(smallest / reference);
        }
        assigned.assignment = assignment;
        assigned
    }

    /// Class probabilities from a window's clusters alone `[class]`: from the share of steps by nearest cluster or the
    /// mean soft assignment, whichever the surrogate reads. Empty if the bundle has no surrogate.
    #[must_use]
    pub fn surrogate(&self, proportion: &[f32], mean_assignment: &[f32]) -> Vec<f32> {
        let Surrogate { soft, weights, bias } = &self.surrogate;
        let mut logits = bias.clone();
        let shares = if *soft { mean_assignment } else { proportion };
        for (row, q) in weights.chunks_exact(bias.len().max(1)).zip(shares) {
            for (l, w) in logits.iter_mut().zip(row) {
                *l = q.mul_add(*w, *l);
            }
        }
        logits.iter().map(|l| 1.0 / (1.0 + expf(-l))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Family;

    fn book() -> Codebook {
        let names = vec![ClusterName { family: Family::Mixed, name: "x".into() }; 2];
        let facts = CodebookFacts { temperature: 1.0, names, novelty_q95: vec![(0xfff, 4.0), (2, 1.0)] };
        Codebook::new(facts, vec![1.0, 2.0], vec![0.0, 0.0, 3.0, 0.0]).expect("valid")
    }

    #[test]
    fn entropy_is_one_between_centroids_and_low_on_one() {
        let a = book().assign(&[1.5, 0.0, 0.0, 0.0, 3.0, 4.0], 0xfff);
        assert_eq!(a.cluster, [0, 0, 1]);
        assert!((a.entropy[0] - 1.0).abs() < 1e-6);
        assert!(a.entropy[1] < 0.01);
        assert!((a.novelty[2] - 1.0).abs() < 1e-6, "{:?}", a.novelty);
        for row in a.assignment.chunks_exact(2) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn novelty_is_judged_within_the_lead_set() {
        let taps = [0.0, 4.0];
        let of = |mask| book().assign(&taps, mask).novelty[0];
        assert!((of(2) - 4.0).abs() < 1e-6 && (of(0xfff) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_codebook_survives_the_way_to_disk() {
        for (soft, expected) in [(false, 0.622_459_3), (true, 0.817_574_5)] {
            let book = book().with_surrogate(Surrogate { soft, weights: vec![1.0, -1.0], bias: vec![0.5] });
            let back =
                Codebook::from_bytes(book.facts.clone(), &book.to_bytes().expect("bytes"), 1).expect("valid");
            assert_eq!(back, book);
            assert!((back.surrogate(&[0.5, 0.5], &[1.0, 0.0])[0] - expected).abs() < 1e-4);
        }
    }
}
