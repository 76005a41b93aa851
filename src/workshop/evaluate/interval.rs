//! A figure with its interval: 95 % by bootstrap over patients, or mean and standard deviation over folds.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Draws of a bootstrap (docs/method.md, evaluation).
const DRAWS: u64 = 1_000;
/// Seed of the draws.
const SEED: u64 = 17;

/// A figure and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Interval {
    /// On all patients.
    pub value: f64,
    /// 2.5 % quantile of the draws.
    pub low: f64,
    /// 97.5 % quantile.
    pub high: f64,
}

/// A figure over folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverFolds {
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the sample; 0 for one fold.
    pub sd: f64,
    /// Each fold's value, in the order of the folds judged.
    pub folds: Vec<f64>,
}

impl OverFolds {
    /// Of one value a fold.
    #[must_use]
    pub fn of(folds: Vec<f64>) -> Self {
        let n = folds.len() as f64;
        let mean = folds.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = folds.iter().map(|v| (v - mean).powi(2)).sum();
        Self { mean, sd: (squares / (n - 1.0).max(1.0)).sqrt(), folds }
    }
}

/// Several figures of the same records, each with its interval: `figures` gets the indices of the records drawn (all of
/// them once for the value). All records of a patient are drawn together; NaN is left out.
pub fn bootstrap<const N: usize>(
    patients: &[u32],
    figures: impl Fn(&[usize]) -> [f64; N] + Sync,
) -> [Interval; N] {
    let mut of_patient: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, patient) in patients.iter().enumerate() {
        of_patient.entry(*patient).or_default().push(i);
    }
    let groups: Vec<Vec<usize>> = of_patient.into_values().collect();
    let draw = |k: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED.wrapping_mul(1_000_003) + k);
        let drawn: Vec<usize> = (0..groups.len())
            .flat_map(|_| groups[rng.random_range(0..groups.len())].iter().copied())
            .collect();
        figures(&drawn)
    };
    let draws: Vec<[f64; N]> =
        if groups.is_empty() { Vec::new() } else { (0..DRAWS).into_par_iter().map(draw).collect() };
    let all: Vec<usize> = (0..patients.len()).collect();
    let values = figures(&all);
    std::array::from_fn(|figure| {
        let mut of: Vec<f64> = draws.iter().map(|d| d[figure]).filter(|v| v.is_finite()).collect();
        of.sort_by(f64::total_cmp);
        let at = |q: f64| {
            of.get((q * of.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(f64::NAN)
        };
        Interval { value: values[figure], low: at(0.025), high: at(0.975) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_two_standard_errors_and_patients_stay_together() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let mean = |drawn: &[usize]| [drawn.iter().map(|&i| values[i]).sum::<f64>() / drawn.len() as f64];
        let own: Vec<u32> = (0..400).collect();
        let [alone] = bootstrap(&own, mean);
        // Standard deviation 5.77, standard error 0.288.
        assert!((alone.value - 9.5).abs() < 1e-12);
        assert!((alone.high - alone.low - 4.0 * 0.288).abs() < 0.15, "{alone:?}");
        // Twenty patients with twenty equal records each: the standard error grows by the root of twenty.
        let shared: Vec<u32> = (0..400).map(|i| i % 20).collect();
        let [together] = bootstrap(&shared, mean);
        assert!(together.high - together.low > 3.0 * (alone.high - alone.low), "{together:?}");
    }

    #[test]
    fn folds_have_the_deviation_of_a_sample() {
        let f = OverFolds::of(vec![1.0, 2.0, 3.0]);
        assert!((f.mean - 2.0).abs() < 1e-12 && (f.sd - 1.0).abs() < 1e-12);
        assert!(OverFolds::of(vec![0.5]).sd.abs() < 1e-12);
    }
}
