//! Do clusters fall on the waves of a beat? Adjusted mutual information of letters and annotated waves per step, beside a
//! network that never learnt, the raw signal, and letters shifted in time.

use super::bounds::{Baseline, raw};
use super::interval::{Interval, bootstrap};
use crate::model::{Bundle, Codebook, LeadMask, LiveEngine, Network};
use crate::pipeline::preprocess::prepare_whole;
use crate::workshop::WorkshopError;
use crate::workshop::dataset::{Annotated, PtbXl, Wave};
use crate::workshop::partitions::ami;
use crate::workshop::reading::steps_of;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Code of a step that no wave is annotated for.
const EDGE: u8 = 6;

/// What one data set says, with one lead set in the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landmarks {
    /// The data set and the leads.
    pub what: String,
    /// Records, and annotated steps.
    pub records: usize,
    /// Steps with a wave.
    pub steps: usize,
    /// The bundle's clusters; steps without a wave left out.
    pub ami: Interval,
    /// The same with those steps as a seventh class.
    pub ami_with_edges: f64,
    /// Clusters of a network with random weights, its codebook fitted to this lead set.
    pub ami_random: Interval,
    /// Clusters of the raw signal, 0.2 s to both sides, fitted to this lead set.
    pub ami_raw: Interval,
    /// By how much the bundle's clusters are above the better of both.
    pub margin: Interval,
    /// The bundle's letters shifted in time, by another draw for each record: chance.
    pub ami_shifted: f64,
    /// Steps by cluster and wave, waves in the order P, PR, QRS, ST, T, T-P.
    pub table: Vec<[u64; 6]>,
    /// The clusters' names.
    pub names: Vec<String>,
}

/// One record: its waves and what each codebook says.
struct Read {
    waves: Vec<u8>,
    trained: Vec<u8>,
    random: Vec<u8>,
    raw: Vec<u8>,
    shifted: Vec<u8>,
}

/// Letters of a prepared record.
///
/// # Errors
/// [`WorkshopError`] if the engine fails.
pub fn letters(
    engine: &mut LiveEngine,
    book: &Codebook,
    input: &[f32],
    mask: LeadMask,
) -> Result<Vec<u8>, WorkshopError> {
    Ok(book.assign(&steps_of(engine, input, mask).taps, mask).cluster)
}

fn shifted(letters: &[u8], record: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(record);
    let mut turned = letters.to_vec();
    // Less than a quarter of the record would leave some of the rhythm in place.
    let n = letters.len();
    turned.rotate_left(rng.random_range(n / 4..=n - n / 4) % n.max(1));
    turned
}

/// What is known of each record, with and without edges.
fn ami_of(reads: &[Read], drawn: &[usize], of: impl Fn(&Read) -> &[u8], edges: bool) -> f64 {
    let (mut waves, mut said) = (Vec::new(), Vec::new());
    for &i in drawn {
        for (wave, letter) in reads[i].waves.iter().zip(of(&reads[i])).filter(|(w, _)| edges || **w != EDGE) {
            waves.push(*wave);
            said.push(*letter);
        }
    }
    ami(&waves, &said)
}

fn read_all(
    records: &[Annotated],
    mask: LeadMask,
    trained: (&Arc<Network>, &Codebook),
    random: (&Arc<Network>, &Codebook),
    raw_book: &Codebook,
) -> Result<Vec<Read>, WorkshopError> {
    let read = |(i, record): (usize, &Annotated)| -> Result<Option<Read>, WorkshopError> {
        let Some(input) = prepare_whole(&record.recording, mask) else { return Ok(None) };
        let letters = |(network, book): (&Arc<Network>, &Codebook)| {
            letters(&mut LiveEngine::new(network.clone()), book, &input, mask)
        };
        let said = letters(trained)?;
        let code = |w: &Option<Wave>| w.map_or(EDGE, |w| w as u8);
        Ok(Some(Read {
            waves: record.waves.iter().map(code).collect(),
            shifted: shifted(&said, i as u64),
            trained: said,
            random: letters(random)?,
            raw: raw_book.assign(&raw(&input, mask).taps, mask).cluster,
        }))
    };
    let reads: Vec<Option<Read>> =
        records.par_iter().enumerate().map(read).collect::<Result<_, WorkshopError>>()?;
    Ok(reads.into_iter().flatten().collect())
}

/// Judges a bundle's clusters with the leads of `mask` on sets of annotated records, by name. Baselines fit their codebooks
/// to the training folds of `set`, once for all of them.
///
/// # Errors
/// [`WorkshopError`] if no record of a set has the leads or the engine fails.
pub fn landmarks(
    bundle: &Bundle,
    (set, train_folds): (&PtbXl, &[u8]),
    mask: LeadMask,
    tests: &[(&str, &[Annotated])],
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Landmarks>, WorkshopError> {
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    tell("landmarks: baselines");
    let book = &bundle.codebook;
    let baseline = Baseline { set, train_folds, mask, clusters: book.clusters };
    let random = baseline.random(bundle)?;
    let raw_book = baseline.raw()?;
    let (trained, untrained) = ((bundle.network(), book), (random.network(), &random.codebook));
    let judge = |(what, records): &(&str, &[Annotated])| {
        tell(&format!("{what}: letters and waves"));
        figures(what, book, &read_all(records, mask, trained, untrained, &raw_book)?)
    };
    tests.iter().map(judge).collect()
}

fn figures(what: &str, book: &Codebook, reads: &[Read]) -> Result<Landmarks, WorkshopError> {
    if reads.is_empty() {
        return Err(WorkshopError::TooFew { need: 1, have: 0 });
    }
    let alone: Vec<u32> = (0..reads.len() as u32).collect();
    let [ami, ami_random, ami_raw, margin] = bootstrap(&alone, |drawn| {
        let [t, n, w] = [
            ami_of(reads, drawn, |r| &r.trained, false),
            ami_of(reads, drawn, |r| &r.random, false),
            ami_of(reads, drawn, |r| &r.raw, false),
        ];
        [t, n, w, t - n.max(w)]
    });
    let all: Vec<usize> = (0..reads.len()).collect();
    let mut table = vec![[0; 6]; book.clusters];
    for (wave, letter) in reads.iter().flat_map(|r| r.waves.iter().zip(&r.trained)) {
        if *wave != EDGE {
            table[usize::from(*letter)][usize::from(*wave)] += 1;
        }
    }
    Ok(Landmarks {
        what: what.into(),
        records: reads.len(),
        steps: table.iter().flatten().sum::<u64>() as usize,
        ami,
        ami_with_edges: ami_of(reads, &all, |r| &r.trained, true),
        ami_random,
        ami_raw,
        margin,
        ami_shifted: ami_of(reads, &all, |r| &r.shifted, false),
        table,
        names: book.names.iter().map(|n| n.name.clone()).collect(),
    })
}
