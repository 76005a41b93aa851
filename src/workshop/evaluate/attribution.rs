//! Clusters as an explanation beside Grad-CAM, saliency and integrated gradients: faithfulness to the network, what they
//! cost, whether they survive re-training, whether they vanish with random weights, how stable they are under noise.
//!
//! Every method gives one number a step (40 ms) for a class. Clusters give the surrogate's evidence of the step's soft
//! assignment: one pass through the network, and no gradient.

use super::bounds::Baseline;
use super::labelled;
use crate::model::{Bundle, CandleEngine, LEADS, LeadMask, LiveEngine, STEP_SAMPLES};
use crate::workshop::WorkshopError;
use crate::workshop::dataset::{CLASSES, PtbXl};
use crate::workshop::leads::LEAD_SETS;
use crate::workshop::metrics::mean;
use crate::workshop::reading::{mean_row, steps_of, summaries};
use candle_core::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Records compared at most, and one for so many of the fold; points of an integrated gradient.
const RECORDS: usize = 48;
const RECORDS_EACH: usize = 50;
const POINTS: usize = 16;
/// Shares of steps that are deleted or kept.
const SHARES: [f64; 4] = [0.1, 0.2, 0.3, 0.5];
/// Standard deviation of the noise for stability, in units of 0.25 mV: 25 µV.
const NOISE: f32 = 0.1;

/// The methods.
pub const METHODS: [&str; 5] = ["clusters", "grad_cam", "saliency", "integrated_gradients", "random"];

/// One method's figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Method {
    /// Milliseconds a record on one core.
    pub ms: f64,
    /// Mean fall of the class logit when the most important steps are set to zero, over shares of 10 to 50 %.
    pub deletion: f64,
    /// Mean share of the logit's distance from an empty record that the most important steps alone give back.
    pub insertion: f64,
    /// Rank correlation of the maps of a network trained on other folds, where one is given.
    pub retrained: Option<f64>,
    /// Rank correlation with the maps of a network with random weights; an explanation of this network has about 0.
    pub randomised: f64,
    /// Rank correlation of maps with and without faint noise, by class.
    pub stability: BTreeMap<String, f64>,
}

/// Something that explains: a network with its codebook, in the engines that each method needs.
struct Explainer<'a> {
    bundle: &'a Bundle,
    candle: CandleEngine,
    live: LiveEngine,
    mask: LeadMask,
}

impl<'a> Explainer<'a> {
    fn new(bundle: &'a Bundle) -> Result<Self, WorkshopError> {
        let candle = CandleEngine::new(bundle.manifest.network.clone(), &bundle.weights, Device::Cpu)?;
        let live = LiveEngine::new(bundle.network().clone());
        Ok(Self { bundle, candle, live, mask: LEAD_SETS[0].1 })
    }

    fn logit(&mut self, signal: &[f32], class: usize) -> f64 {
        let steps = steps_of(&mut self.live, signal, self.mask);
        f64::from(mean_row(&steps.logits, CLASSES.len())[class])
    }

    /// Sum of absolute values of each step's samples and leads.
    fn per_step(values: impl Iterator<Item = f32>) -> Vec<f32> {
        let all: Vec<f32> = values.collect();
        all.chunks(STEP_SAMPLES * LEADS).map(|step| step.iter().map(|v| v.abs()).sum()).collect()
    }

    /// Importance of each step.
    fn map(
        &mut self,
        method: &str,
        signal: &[f32],
        class: usize,
        seed: u64,
    ) -> Result<Vec<f32>, WorkshopError> {
        let classes = CLASSES.len();
        Ok(match method {
            "clusters" => {
                let taps = steps_of(&mut self.live, signal, self.mask).taps;
                let book = &self.bundle.codebook;
                let assigned = book.assign(&taps, self.mask);
                // A step alone is a window: its own assignment gives its evidence, up to the bias.
                let of = |row: &[f32]| {
                    book.surrogate(row, row).get(class).map_or(0.0, |p| (p / (1.0 - p).max(1e-30)).ln())
                };
                assigned.assignment.chunks_exact(book.clusters).map(of).collect()
            }
            "grad_cam" => {
                // Head and mean are linear: the gradient with respect to the last block is the head's weights, the same
                // at every step.
                let taps = steps_of(&mut self.live, signal, self.mask).taps;
                let width = self.bundle.manifest.network.features();
                let channels = self.bundle.manifest.network.tap_channels();
                let head = &self.bundle.weights["head.weight"].1;
                let of = |row: &[f32]| -> f32 {
                    row[channels - width..]
                        .iter()
                        .enumerate()
                        .map(|(c, a)| a * head[c * classes + class])
                        .sum()
                };
                taps.chunks_exact(channels).map(of).map(|v| v.max(0.0)).collect()
            }
            "saliency" => Self::per_step(self.candle.input_gradient(signal, self.mask, class)?.into_iter()),
            "integrated_gradients" => {
                let mut sums = vec![0.0f32; signal.len()];
                for point in 0..POINTS {
                    let scale = (point as f32 + 0.5) / POINTS as f32;
                    let scaled: Vec<f32> = signal.iter().map(|v| v * scale).collect();
                    let slopes = self.candle.input_gradient(&scaled, self.mask, class)?;
                    for (sum, slope) in sums.iter_mut().zip(slopes) {
                        *sum += slope / POINTS as f32;
                    }
                }
                let all: Vec<f32> = sums.iter().zip(signal).map(|(s, v)| s * v).collect();
                all.chunks(STEP_SAMPLES * LEADS).map(|step| step.iter().sum()).collect()
            }
            _ => {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                (0..signal.len() / LEADS / STEP_SAMPLES).map(|_| rng.random()).collect()
            }
        })
    }

    /// Fall of the logit under deletion, and what insertion gives back, mean over the shares.
    fn faithfulness(&mut self, map: &[f32], signal: &[f32], class: usize) -> [f64; 2] {
        let mut order: Vec<usize> = (0..map.len()).collect();
        order.sort_by(|&a, &b| map[b].total_cmp(&map[a]));
        let (whole, empty) = (self.logit(signal, class), self.logit(&vec![0.0; signal.len()], class));
        let (mut falls, mut backs) = (Vec::new(), Vec::new());
        for share in SHARES {
            let top = &order[..(share * order.len() as f64) as usize];
            let (mut without, mut only) = (signal.to_vec(), vec![0.0; signal.len()]);
            for &step in top {
                let own = step * STEP_SAMPLES * LEADS..((step + 1) * STEP_SAMPLES * LEADS).min(signal.len());
                only[own.clone()].copy_from_slice(&signal[own.clone()]);
                without[own].fill(0.0);
            }
            falls.push(whole - self.logit(&without, class));
            let span = whole - empty;
            if span.abs() > 0.5 {
                backs.push((self.logit(&only, class) - empty) / span);
            }
        }
        [mean(falls), mean(backs)]
    }
}

fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let equal = |&&i: &&usize| values[i].total_cmp(&values[order[from]]).is_eq();
        let tied = order[from..].iter().take_while(equal).count();
        for &i in &order[from..from + tied] {
            ranks[i] = from as f64 + (tied - 1) as f64 / 2.0;
        }
        from += tied;
    }
    ranks
}

/// Spearman's rank correlation; 0 where one side is constant.
fn spearman(a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let (ma, mb) = (mean(a.iter().copied()), mean(b.iter().copied()));
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(&b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    let spread = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    if spread > 0.0 { sum(&|x, y| x * y) / spread } else { 0.0 }
}

/// Records of the fold and the class each is explained for: classes in turn, records that the network gives them most.
fn cases(bundle: &Bundle, set: &PtbXl, fold: u8) -> Vec<(usize, usize)> {
    let records = labelled(set, &[fold]);
    let read = summaries(bundle, &records, |r| set.signal(r), LEAD_SETS[0].1);
    // A few records of a class stand for a small set.
    let of_class = (RECORDS.min(records.len() / RECORDS_EACH) / CLASSES.len()).max(1);
    let mut cases = Vec::new();
    for class in 0..CLASSES.len() {
        let mut sure: Vec<usize> =
            (0..records.len()).filter(|&i| set.labels[records[i]].classes[class]).collect();
        sure.sort_by(|&a, &b| read[b].logits[class].total_cmp(&read[a].logits[class]));
        // From the surer half, evenly: the surest alone are all of one kind.
        let half = sure.len().div_ceil(2);
        let every = (half / of_class).max(1);
        cases.extend(sure.into_iter().take(half).step_by(every).take(of_class).map(|i| (records[i], class)));
    }
    cases
}

/// Compares the methods on one fold. `retrained` is a bundle trained on other folds; `micros` reads a clock.
///
/// # Errors
/// [`WorkshopError`] if the fold is empty or an engine fails.
pub fn attribution(
    bundle: &Bundle,
    retrained: Option<&Bundle>,
    set: &PtbXl,
    (train_folds, fold): (&[u8], u8),
    micros: &dyn Fn() -> u64,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<BTreeMap<String, Method>, WorkshopError> {
    let cases = cases(bundle, set, fold);
    let mut own = Explainer::new(bundle)?;
    let mut other = retrained.map(Explainer::new).transpose()?;
    let baseline = Baseline { set, train_folds, mask: own.mask, clusters: bundle.codebook.clusters };
    let random_bundle = baseline.random(bundle)?;
    let mut random = Explainer::new(&random_bundle)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut all = BTreeMap::new();
    for method in METHODS {
        let (mut ms, mut faith, mut retrained, mut randomised) = (vec![], vec![], vec![], vec![]);
        let mut stability: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (i, &(record, class)) in cases.iter().enumerate() {
            tell(&format!("{method}: record {} of {}", i + 1, cases.len()));
            let signal = set.signal(record);
            let began = micros();
            let map = own.map(method, signal, class, i as u64)?;
            ms.push((micros() - began) as f64 / 1_000.0);
            faith.push(own.faithfulness(&map, signal, class));
            if let Some(other) = &mut other {
                retrained.push(spearman(&map, &other.map(method, signal, class, 7_000 + i as u64)?));
            }
            randomised.push(spearman(&map, &random.map(method, signal, class, 8_000 + i as u64)?));
            let noisy: Vec<f32> = signal
                .iter()
                .map(|v| v + NOISE * (rng.random::<f32>() - rng.random::<f32>()) * 2.45)
                .collect();
            let again = own.map(method, &noisy, class, 9_000 + i as u64)?;
            stability.entry(CLASSES[class].into()).or_default().push(spearman(&map, &again));
        }
        let figures = Method {
            ms: mean(ms),
            deletion: mean(faith.iter().map(|f| f[0])),
            insertion: mean(faith.iter().map(|f| f[1])),
            retrained: other.is_some().then(|| mean(retrained)),
            randomised: mean(randomised),
            stability: stability.into_iter().map(|(class, v)| (class, mean(v))).collect(),
        };
        all.insert(method.to_owned(), figures);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_sees_order_only() {
        assert!((spearman(&[1.0, 2.0, 3.0, 9.0], &[0.1, 0.2, 5.0, 6.0]) - 1.0).abs() < 1e-12);
        assert!((spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert!(spearman(&[1.0, 1.0, 1.0], &[3.0, 2.0, 1.0]).abs() < 1e-12);
    }
}
