//! Age from the same activations: a ridge regression on the network's mean activations, and one on cluster proportions,
//! under the folds of the cross-validation.
//!
//! The network is not trained anew for it: what is asked is how much of a patient's age the activations, and how much of
//! that the clusters, hold.

use super::interval::{Interval, bootstrap};
use crate::model::Bundle;
use crate::workshop::WorkshopError;
use crate::workshop::dataset::{Code15, PtbXl};
use crate::workshop::leads::LEAD_SETS;
use crate::workshop::logistic::solve;
use crate::workshop::reading::{Summary, summaries};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Penalty of the standardised weights, in rows.
const RIDGE: f64 = 30.0;
/// Fewest records with an age to learn from and to judge.
const RECORDS_MIN: usize = 20;
/// Exams in memory at a time.
const LOT: usize = 512;

/// One record's age and what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Aged {
    /// The patient.
    pub patient: u32,
    /// In years.
    pub age: f32,
    /// From mean activations.
    pub network: f32,
    /// From cluster proportions.
    pub clusters: f32,
    /// Mean age of the training folds.
    pub nothing: f32,
}

/// How well age is told, over the folds judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AgeFigures {
    /// Records with an age.
    pub records: usize,
    /// Mean absolute error in years: mean activations.
    pub mae: Interval,
    /// Correlation with the age.
    pub r: Interval,
    /// The same from cluster proportions alone.
    pub mae_clusters: Interval,
    /// As `r`.
    pub r_clusters: Interval,
    /// Mean absolute error of always saying the mean age: the floor.
    pub mae_nothing: Interval,
}

/// Linear least squares with a ridge on standardised features.
struct Ridge {
    mean: Vec<f64>,
    sd: Vec<f64>,
    weights: Vec<f64>,
    intercept: f64,
}

impl Ridge {
    fn fit(rows: &[&[f32]], targets: &[f32]) -> Self {
        let (n, m) = (rows.len().max(1) as f64, rows.first().map_or(0, |r| r.len()));
        let column = |c: usize| rows.iter().map(move |r| f64::from(r[c]));
        let mean: Vec<f64> = (0..m).map(|c| column(c).sum::<f64>() / n).collect();
        let deviation =
            |c: usize| (column(c).map(|v| (v - mean[c]).powi(2)).sum::<f64>() / n).sqrt().max(1e-9);
        let sd: Vec<f64> = (0..m).map(deviation).collect();
        let z: Vec<Vec<f64>> =
            rows.iter().map(|r| (0..m).map(|c| (f64::from(r[c]) - mean[c]) / sd[c]).collect()).collect();
        let intercept = targets.iter().map(|t| f64::from(*t)).sum::<f64>() / n;
        let row = |i: usize| -> Vec<f64> {
            (0..m)
                .map(|j| z.iter().map(|r| r[i] * r[j]).sum::<f64>() + if i == j { RIDGE } else { 0.0 })
                .collect()
        };
        let products: Vec<Vec<f64>> = (0..m).into_par_iter().map(row).collect();
        let right = (0..m)
            .map(|c| z.iter().zip(targets).map(|(r, t)| r[c] * (f64::from(*t) - intercept)).sum())
            .collect();
        Self { mean, sd, weights: solve(products, right), intercept }
    }

    fn say(&self, row: &[f32]) -> f32 {
        let terms = row
            .iter()
            .enumerate()
            .map(|(c, v)| (f64::from(*v) - self.mean[c]) / self.sd[c] * self.weights[c]);
        (self.intercept + terms.sum::<f64>()) as f32
    }
}

/// One record whose age is known, as the network and the clusters see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The patient.
    pub patient: u32,
    /// In years.
    pub age: f32,
    /// Mean activations `[channel]`.
    pub pooled: Vec<f32>,
    /// Mean soft assignment `[cluster]`.
    pub soft: Vec<f32>,
}

impl Known {
    fn of(patient: u32, age: f32, summary: Summary) -> Self {
        Self { patient, age, pooled: summary.pooled, soft: summary.soft }
    }
}

/// The records of folds with an age.
///
/// # Errors
/// [`WorkshopError`] if the engine fails.
pub fn known_of_folds(bundle: &Bundle, set: &PtbXl, folds: &[u8]) -> Result<Vec<Known>, WorkshopError> {
    let aged = |&r: &usize| set.labels[r].age.is_some();
    let records: Vec<usize> = set.in_folds(folds).into_iter().filter(aged).collect();
    let read = summaries(bundle, &records, |r| set.signal(r), LEAD_SETS[0].1);
    let known = |(&r, summary): (&usize, Summary)| {
        Some(Known::of(set.labels[r].patient_id, set.labels[r].age?, summary))
    };
    Ok(records.iter().zip(read).filter_map(known).collect())
}

/// The exams of CODE-15 %, in the order of its table, without those that are empty; `tell` hears of each lot.
///
/// # Errors
/// [`WorkshopError`] if a tracing cannot be read or the engine fails.
pub fn known_of_code15(
    bundle: &Bundle,
    set: &Code15,
    tell: &dyn Fn(usize),
) -> Result<Vec<Known>, WorkshopError> {
    let mut all = Vec::new();
    for lot in set.exams.chunks(LOT) {
        let mut signals = Vec::new();
        for exam in lot {
            signals.extend(set.signal(exam)?.map(|signal| (exam, signal)));
        }
        let records: Vec<usize> = (0..signals.len()).collect();
        let read = summaries(bundle, &records, |r| &signals[r].1, LEAD_SETS[0].1);
        all.extend(signals.iter().zip(read).map(|((e, _), s)| Known::of(e.patient_id, e.age, s)));
        tell(lot.len());
    }
    Ok(all)
}

/// What is said of the ages of `test` by what `train` teaches; nothing where either has too few records.
#[must_use]
pub fn tell_ages(train: &[Known], test: &[Known]) -> Vec<Aged> {
    if train.len() < RECORDS_MIN || test.len() < RECORDS_MIN {
        return Vec::new();
    }
    let ages: Vec<f32> = train.iter().map(|k| k.age).collect();
    let fit =
        |feature: fn(&Known) -> &[f32]| Ridge::fit(&train.iter().map(feature).collect::<Vec<_>>(), &ages);
    let (network, clusters) = (fit(|k| &k.pooled), fit(|k| &k.soft));
    let nothing = ages.iter().sum::<f32>() / ages.len() as f32;
    let say = |k: &Known| Aged {
        patient: k.patient,
        age: k.age,
        network: network.say(&k.pooled),
        clusters: clusters.say(&k.soft),
        nothing,
    };
    test.iter().map(say).collect()
}

/// Ten folds by patient: each tenth of the patients is told by the other nine.
#[must_use]
pub fn tell_ages_by_patient(known: &[Known]) -> Vec<Aged> {
    let fold = |rest: u32| {
        let (test, train): (Vec<Known>, Vec<Known>) =
            known.iter().cloned().partition(|k| k.patient % 10 == rest);
        tell_ages(&train, &test)
    };
    (0..10).flat_map(fold).collect()
}

/// Correlation of each cluster's share with the age `[cluster]`.
#[must_use]
pub fn age_by_cluster(known: &[Known]) -> Vec<f64> {
    let clusters = known.first().map_or(0, |k| k.soft.len());
    let pairs = |c: usize| known.iter().map(|k| (f64::from(k.soft[c]), f64::from(k.age))).collect::<Vec<_>>();
    (0..clusters).map(|c| correlation(&pairs(c))).collect()
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (ma, mb) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| f(a - ma, b - mb)).sum::<f64>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Figures with intervals over patients.
#[must_use]
pub fn age_figures(all: &[Aged]) -> AgeFigures {
    let patients: Vec<u32> = all.iter().map(|a| a.patient).collect();
    let [mae, r, mae_clusters, r_clusters, mae_nothing] = bootstrap(&patients, |drawn| {
        let error = |said: &dyn Fn(&Aged) -> f32| {
            drawn.iter().map(|&i| f64::from((said(&all[i]) - all[i].age).abs())).sum::<f64>()
                / drawn.len() as f64
        };
        let pairs = |said: &dyn Fn(&Aged) -> f32| -> Vec<(f64, f64)> {
            drawn.iter().map(|&i| (f64::from(said(&all[i])), f64::from(all[i].age))).collect()
        };
        [
            error(&|a| a.network),
            correlation(&pairs(&|a| a.network)),
            error(&|a| a.clusters),
            correlation(&pairs(&|a| a.clusters)),
            error(&|a| a.nothing),
        ]
    });
    AgeFigures { records: all.len(), mae, r, mae_clusters, r_clusters, mae_nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_linear_age_is_told_and_chance_is_not() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let rows: Vec<[f32; 3]> =
            (0..3_000).map(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0))).collect();
        let targets: Vec<f32> = rows.iter().map(|r| 60.0 + 10.0 * r[0] - 5.0 * r[1]).collect();
        let refs: Vec<&[f32]> = rows.iter().map(|r| &r[..]).collect();
        let fit = Ridge::fit(&refs, &targets);
        assert!((fit.say(&[1.0, 0.0, 0.0]) - 70.0).abs() < 0.2);
        assert!((fit.say(&[0.0, 1.0, 0.0]) - 55.0).abs() < 0.2);
        assert!((fit.say(&[0.0, 0.0, 1.0]) - 60.0).abs() < 0.2);
    }

    #[test]
    fn each_patient_is_told_once_and_only_by_others() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let known: Vec<Known> = (0..600)
            .map(|i| {
                let soft: Vec<f32> = (0..2).map(|_| rng.random_range(0.0..1.0)).collect();
                Known { patient: i / 2, age: 40.0 + 30.0 * soft[0], pooled: vec![soft[1]], soft }
            })
            .collect();
        let told = tell_ages_by_patient(&known);
        let mut patients: Vec<u32> = told.iter().map(|a| a.patient).collect();
        patients.sort_unstable();
        assert_eq!(patients, (0..600).map(|i| i / 2).collect::<Vec<u32>>());
        let figures = age_figures(&told);
        // The clusters hold the age here, the activations hold nothing of it.
        assert!(figures.mae_clusters.value < 1.5 && figures.mae.value > 0.9 * figures.mae_nothing.value);
        let by_cluster = age_by_cluster(&known);
        assert!(by_cluster[0] > 0.999 && by_cluster[1].abs() < 0.15, "{by_cluster:?}");
    }
}
