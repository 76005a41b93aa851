//! Below: clusters of a network that never learnt and of the raw signal. A claim about the trained network's clusters is
//! worth what it is above these (docs/method.md, evaluation).

use crate::model::{Bundle, Codebook, CodebookFacts, LeadMask, Manifest, Network, Steps, Surrogate};
use crate::workshop::WorkshopError;
use crate::workshop::baselines::{random_network, raw_channels, raw_steps};
use crate::workshop::dataset::PtbXl;
use crate::workshop::fit_clusters::{channel_scale, pick_rows, temperature};
use crate::workshop::kmeans::{cluster, nameless};
use crate::workshop::logistic::Logistic;
use crate::workshop::reading::{Summary, for_records, summaries, summarise};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::sync::Arc;

/// Records and steps of each that a baseline's codebook is fitted to, and starts of k-means; of a small set not more than
/// an eighth.
const RECORDS: usize = 1_200;
const SHARE: usize = 8;
const PER: usize = 40;
const STARTS: u64 = 8;
/// Seed of weights, sample and starts.
const SEED: u64 = 1;

/// A codebook of baseline's steps, fitted to one lead set on training folds.
pub struct Baseline<'a> {
    /// The data.
    pub set: &'a PtbXl,
    /// Folds its codebook may see.
    pub train_folds: &'a [u8],
    /// The leads.
    pub mask: LeadMask,
    /// Clusters.
    pub clusters: usize,
}

impl Baseline<'_> {
    fn chosen(&self) -> Vec<usize> {
        let records = self.set.in_folds(self.train_folds);
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let picked = sample(&mut rng, records.len(), RECORDS.min(records.len().div_ceil(SHARE)));
        let mut chosen: Vec<usize> = picked.iter().map(|i| records[i]).collect();
        chosen.sort_unstable();
        chosen
    }

    fn codebook(&self, rows: &[f32], channels: usize) -> Result<Codebook, WorkshopError> {
        let scale = channel_scale(rows, &vec![1.0; channels]);
        let found = cluster(rows, &scale, self.clusters, STARTS, SEED, |_, _| ())?;
        let book = nameless(&scale, &found.centroids)?;
        let facts = CodebookFacts { temperature: temperature(&book, rows, channels), ..book.facts };
        Ok(Codebook::new(facts, scale, found.centroids)?)
    }

    /// A network with random weights and its codebook, as a bundle: its surrogate follows which half of the records the
    /// random network rates higher.
    ///
    /// # Errors
    /// [`WorkshopError`] if there are too few records.
    pub fn random(&self, bundle: &Bundle) -> Result<Bundle, WorkshopError> {
        let shape = &bundle.manifest.network;
        let weights = random_network(shape, self.set, self.train_folds, self.mask, SEED)?;
        let network = Arc::new(Network::new(shape.clone(), &weights)?);
        let channels = shape.tap_channels();
        let pick = |record: usize, steps: Steps| pick_rows(&steps.taps, channels, PER, record as u64);
        let chosen = self.chosen();
        let rows = for_records(&network, &chosen, |r| self.set.signal(r), |_| self.mask, pick).concat();
        let book = self.codebook(&rows, channels)?;
        let manifest = Manifest::for_network(shape.clone(), book.facts.clone());
        let random = Bundle::from_parts(manifest, weights, book, network);
        let read = self.read(&random, &chosen);
        let surrogate = halves(&read, shape.classes.len());
        let book = random.codebook.clone().with_surrogate(surrogate);
        Ok(Bundle::from_parts(
            random.manifest.clone(),
            random.weights.clone(),
            book,
            random.network().clone(),
        ))
    }

    /// The codebook of the raw signal, 0.2 s to both sides of a step.
    ///
    /// # Errors
    /// [`WorkshopError`] if there are too few records.
    pub fn raw(&self) -> Result<Codebook, WorkshopError> {
        let channels = raw_channels(self.mask);
        let pick = |&r: &usize| pick_rows(&raw_steps(self.set.signal(r), self.mask), channels, PER, r as u64);
        let rows: Vec<f32> = self.chosen().par_iter().flat_map_iter(pick).collect();
        self.codebook(&rows, channels)
    }

    /// What a bundle says of records.
    #[must_use]
    pub fn read(&self, bundle: &Bundle, records: &[usize]) -> Vec<Summary> {
        summaries(bundle, records, |r| self.set.signal(r), self.mask)
    }

    /// What the codebook of the raw signal says of records.
    #[must_use]
    pub fn read_raw(&self, book: &Codebook, records: &[usize]) -> Vec<Summary> {
        let read = |&r: &usize| summarise(book, self.mask, &raw(self.set.signal(r), self.mask));
        records.par_iter().map(read).collect()
    }
}

/// A surrogate for which records a network rates above its median, by class.
fn halves(read: &[Summary], classes: usize) -> Surrogate {
    let rows: Vec<&[f32]> = read.iter().map(|s| s.soft.as_slice()).collect();
    let clusters = rows.first().map_or(0, |r| r.len());
    let (mut weights, mut bias) = (vec![0.0; clusters * classes], vec![0.0; classes]);
    for class in 0..classes {
        let mut sorted: Vec<f32> = read.iter().map(|s| s.logits[class]).collect();
        sorted.sort_by(f32::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let above: Vec<bool> = read.iter().map(|s| s.logits[class] >= median).collect();
        let fit = Logistic::fit(&rows, &above, 1.0);
        for (k, w) in fit.weights.iter().enumerate() {
            weights[k * classes + class] = *w as f32;
        }
        bias[class] = fit.intercept as f32;
    }
    Surrogate { soft: true, weights, bias }
}

/// The raw signal as steps.
#[must_use]
pub fn raw(signal: &[f32], mask: LeadMask) -> Steps {
    let taps = raw_steps(signal, mask);
    Steps { count: taps.len() / raw_channels(mask), taps, ..Steps::default() }
}
