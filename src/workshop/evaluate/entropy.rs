//! What entropy is worth: does it differ between classes, does it find the network's errors beyond the network's own
//! uncertainty, does it rise with noise.

use super::interval::{Interval, bootstrap};
use super::{Columns, Judged, labelled};
use crate::model::LiveEngine;
use crate::model::{Bundle, LEADS, LeadMask};
use crate::pipeline::preprocess::{condition_100hz, resample_100hz};
use crate::workshop::WorkshopError;
use crate::workshop::dataset::{CLASSES, DatasetError, LENGTH, PtbXl};
use crate::workshop::leads::LEAD_SETS;
use crate::workshop::logistic::Logistic;
use crate::workshop::metrics::{auroc, macro_auroc, mean};
use crate::workshop::reading::{Summary, steps_of, summarise};
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use recordings::Record;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Entropy of the records of one class alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassEntropy {
    /// Records that have this superclass and no other.
    pub records: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
}

/// Does entropy find errors?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Share of records with any label wrong.
    pub wrong: f64,
    /// AUROC for "any label wrong": entropy.
    pub entropy: Interval,
    /// Novelty.
    pub novelty: Interval,
    /// The network's own uncertainty: mean binary entropy of its probabilities.
    pub own: Interval,
    /// Logistic regression on the network's own uncertainty and distance from its thresholds, out of fold by patient.
    pub own_model: Interval,
    /// The same with entropy and novelty.
    pub with_entropy: Interval,
    /// What entropy and novelty add; if it holds 0, entropy must not be sold as a probability of errors.
    pub gain: Interval,
}

/// One dose of noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dose {
    /// `clean`, or the noise: em (electrode motion), ma (muscle), bw (baseline wander).
    pub noise: String,
    /// Signal to noise; none where clean.
    pub snr_db: Option<f64>,
    /// Mean entropy.
    pub entropy: f64,
    /// Mean novelty.
    pub novelty: f64,
    /// Macro AUROC from scores.
    pub auroc_macro: f64,
}

fn truth(digits: &str) -> Vec<bool> {
    digits.chars().map(|c| c == '1').collect()
}

/// Entropy by class, over the folds' records of one superclass alone.
#[must_use]
pub fn by_class(folds: &[Judged]) -> BTreeMap<String, ClassEntropy> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for records in folds.iter().map(|f| &f.records) {
        for (digits, entropy) in records.truth.iter().zip(&records.entropy) {
            let truth = truth(digits);
            if truth.iter().filter(|t| **t).count() == 1
                && let Some(class) = truth.iter().position(|t| *t)
            {
                values.entry(CLASSES[class].into()).or_default().push(f64::from(*entropy));
            }
        }
    }
    let summed = |v: Vec<f64>| {
        let average = mean(v.iter().copied());
        let sd = mean(v.iter().map(|x| (x - average).powi(2))).sqrt();
        ClassEntropy { records: v.len(), mean: average, sd }
    };
    values.into_iter().map(|(class, v)| (class, summed(v))).collect()
}

/// One record: was any label wrong, and what could have told.
struct Told {
    patient: u32,
    wrong: bool,
    entropy: f32,
    novelty: f32,
    own: f32,
    margin: f32,
}

/// Within a fold, so that folds with another level of entropy do not blur the rest.
fn standardised(values: &[f32]) -> Vec<f32> {
    let n = values.len().max(1) as f32;
    let average = values.iter().sum::<f32>() / n;
    let sd = (values.iter().map(|v| (v - average).powi(2)).sum::<f32>() / n).sqrt().max(1e-9);
    values.iter().map(|v| (v - average) / sd).collect()
}

fn told(folds: &[Judged]) -> Vec<Told> {
    let mut all = Vec::new();
    for Judged { figures, records } in folds {
        let (entropy, novelty) = (standardised(&records.entropy), standardised(&records.novelty));
        for i in 0..records.truth.len() {
            let p: Vec<f32> = records.network.iter().map(|c| c[i].clamp(1e-4, 1.0 - 1e-4)).collect();
            let said = p.iter().zip(&figures.thresholds).map(|(p, cut)| p >= cut);
            let own = p.iter().map(|p| -(p * p.ln() + (1.0 - p) * (1.0 - p).ln())).sum::<f32>();
            let off = p.iter().zip(&figures.thresholds).map(|(p, cut)| (p - cut).abs());
            all.push(Told {
                patient: records.patient_id[i],
                wrong: said.zip(truth(&records.truth[i])).any(|(s, t)| s != t),
                entropy: entropy[i],
                novelty: novelty[i],
                own: own / p.len() as f32,
                margin: -off.fold(f32::INFINITY, f32::min),
            });
        }
    }
    all
}

/// Probability of an error, by features, out of fold by patient.
fn out_of_fold(told: &[Told], features: impl Fn(&Told) -> Vec<f32>) -> Vec<f32> {
    const PARTS: u32 = 5;
    let part = |t: &Told| (t.patient.wrapping_mul(2_654_435_761) >> 16) % PARTS;
    let rows: Vec<Vec<f32>> = told.iter().map(features).collect();
    let mut out = vec![0.0; told.len()];
    for held in 0..PARTS {
        let learnt: Vec<usize> = (0..told.len()).filter(|&i| part(&told[i]) != held).collect();
        let old: Vec<&[f32]> = learnt.iter().map(|&i| rows[i].as_slice()).collect();
        let fit = Logistic::fit(&old, &learnt.iter().map(|&i| told[i].wrong).collect::<Vec<_>>(), 1.0);
        for (i, p) in out.iter_mut().enumerate().filter(|(i, _)| part(&told[*i]) == held) {
            *p = fit.probability(&rows[i]) as f32;
        }
    }
    out
}

/// Whether entropy finds errors beyond the network's own uncertainty, over the folds judged.
#[must_use]
pub fn errors(folds: &[Judged]) -> Errors {
    let told = told(folds);
    let own_model = out_of_fold(&told, |t| vec![t.own, t.margin]);
    let with_entropy = out_of_fold(&told, |t| vec![t.own, t.margin, t.entropy, t.novelty]);
    let patients: Vec<u32> = told.iter().map(|t| t.patient).collect();
    let [entropy, novelty, own, own_model, with_entropy, gain] = bootstrap(&patients, |drawn| {
        let wrong: Vec<bool> = drawn.iter().map(|&i| told[i].wrong).collect();
        let of = |score: &dyn Fn(usize) -> f32| {
            auroc(&wrong, &drawn.iter().map(|&i| score(i)).collect::<Vec<f32>>()).unwrap_or(f64::NAN)
        };
        let (a, b) = (of(&|i| own_model[i]), of(&|i| with_entropy[i]));
        [of(&|i| told[i].entropy), of(&|i| told[i].novelty), of(&|i| told[i].own), a, b, b - a]
    });
    let wrong = told.iter().filter(|t| t.wrong).count() as f64 / told.len().max(1) as f64;
    Errors { wrong, entropy, novelty, own, own_model, with_entropy, gain }
}

/// Signal to noise of the doses, in dB.
const SNR_DB: [f64; 6] = [24.0, 18.0, 12.0, 6.0, 0.0, -6.0];
/// Records that get noise.
const RECORDS: usize = 400;

/// One kind of noise: channels at 100 Hz, in mV, not filtered.
struct Noise {
    name: &'static str,
    channels: Vec<Vec<f32>>,
}

/// The noise of a folder: whole records `em`, `ma`, `bw` of the noise stress test where they are, else what stands in.
fn read_noise(folder: &Path) -> Result<Vec<Noise>, WorkshopError> {
    let mut all = Vec::new();
    for (name, others) in
        [("em", ["em", "em_d", "em_10s"]), ("ma", ["ma", "ma_10s", ""]), ("bw", ["bw", "bw_10s", ""])]
    {
        let there = others.iter().map(|n| folder.join(n)).find(|p| p.with_extension("hea").exists());
        let Some(path) = there else { continue };
        let record = Record::read(&path).map_err(DatasetError::from)?;
        let fault = |why: String| DatasetError::Record { path: path.clone(), why };
        let rate = record.rate().map_err(|e| fault(e.to_string()))?;
        let resampled = |i: usize| resample_100hz(&record.physical(i), rate);
        let channels: Vec<Vec<f32>> = (0..record.signals.len()).filter_map(resampled).collect();
        if channels.iter().all(|c| c.len() >= LENGTH) && !channels.is_empty() {
            all.push(Noise { name, channels });
        }
    }
    Ok(all)
}

impl Noise {
    /// A stretch of another place for each lead, at a given signal to noise (unfiltered), filtered and added.
    fn add(&self, signal: &[f32], snr_db: f64, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let mut noisy = signal.to_vec();
        let variance = |v: &[f32]| {
            let average = v.iter().sum::<f32>() / v.len() as f32;
            v.iter().map(|x| f64::from((x - average).powi(2))).sum::<f64>() / v.len() as f64
        };
        for lead in 0..LEADS {
            let clean: Vec<f32> = signal.iter().skip(lead).step_by(LEADS).copied().collect();
            let recorded = &self.channels[rng.random_range(0..self.channels.len())];
            let from = rng.random_range(0..recorded.len());
            let mut piece: Vec<f32> = recorded.iter().cycle().skip(from).take(LENGTH).copied().collect();
            let average = piece.iter().sum::<f32>() / LENGTH as f32;
            // The signal is in units of 0.25 mV, and so becomes the noise.
            let power = variance(&piece).max(1e-12);
            let gain = (variance(&clean) / power / 10f64.powf(snr_db / 10.0)).sqrt() as f32 * 0.25;
            for v in &mut piece {
                *v = (*v - average) * gain;
            }
            condition_100hz(&mut piece);
            for (row, n) in noisy.chunks_exact_mut(LEADS).zip(&piece) {
                row[lead] = (row[lead] + n).clamp(-20.0, 20.0);
            }
        }
        noisy
    }
}

fn dose(
    bundle: &Bundle,
    set: &PtbXl,
    chosen: &[usize],
    noise: Option<(&Noise, f64)>,
) -> Result<Dose, WorkshopError> {
    let mask: LeadMask = LEAD_SETS[0].1;
    let read = |&record: &usize| -> Result<Summary, WorkshopError> {
        let mut engine = LiveEngine::new(bundle.network().clone());
        let mut rng = ChaCha8Rng::seed_from_u64(record as u64);
        let signal = match noise {
            Some((noise, snr_db)) => noise.add(set.signal(record), snr_db, &mut rng),
            None => set.signal(record).to_vec(),
        };
        Ok(summarise(&bundle.codebook, mask, &steps_of(&mut engine, &signal, mask)))
    };
    let read: Vec<Summary> = chosen.par_iter().map(read).collect::<Result<_, _>>()?;
    let c = Columns::of(set, chosen, &read, bundle.manifest.classes.len());
    Ok(Dose {
        noise: noise.map_or("clean", |n| n.0.name).into(),
        snr_db: noise.map(|n| n.1),
        entropy: mean(read.iter().map(|s| f64::from(s.entropy))),
        novelty: mean(read.iter().map(|s| f64::from(s.novelty))),
        auroc_macro: macro_auroc(&c.truth, &c.scores),
    })
}

/// Entropy, novelty and AUROC under noise of three kinds, twelve leads, on some records of a fold; nothing where the
/// folder has no noise.
///
/// # Errors
/// [`WorkshopError`] if a file cannot be read or the engine fails.
pub fn noise_response(
    bundle: &Bundle,
    set: &PtbXl,
    fold: u8,
    folder: &Path,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Dose>, WorkshopError> {
    let noises = read_noise(folder)?;
    let records = labelled(set, &[fold]);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let drawn = sample(&mut rng, records.len(), RECORDS.min(records.len()));
    let chosen: Vec<usize> = drawn.iter().map(|i| records[i]).collect();
    let mut doses = vec![dose(bundle, set, &chosen, None)?];
    for noise in &noises {
        for snr_db in SNR_DB {
            tell(&format!("noise {} at {snr_db} dB", noise.name));
            doses.push(dose(bundle, set, &chosen, Some((noise, snr_db)))?);
        }
    }
    Ok(doses)
}
