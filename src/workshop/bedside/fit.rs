//! The fused score: a logistic regression that tells the best second of a true alarm from the worst seconds of all other
//! time, learnt in turns (`docs/method.md`, Live use): fit, look which seconds stand out, fit anew on those.

use super::scene::{AFTER_S, BEFORE_S, FROM_S, Scene};
use crate::pipeline::{Channel, Group};
use crate::workshop::logistic::Logistic;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Folds of the cross-validation, by patient.
pub const FOLDS: u64 = 5;
/// Penalty on the squared standardised weights.
const RIDGE: f64 = 100.0;
/// Turns.
const TURNS: usize = 3;
/// Of a true alarm, the seconds that stand out most count.
const BEST: usize = 2;
/// Of the other time of a recording, the seconds that stand out most count, and every so many.
const WORST: usize = 3;
const EVERY: usize = 8;
/// Other time ends so long before a true alarm, and goes on beyond a false one up to here.
const UNTIL_S: usize = 16;
const AFTER_FALSE_S: usize = 30;

/// The fold of each recording: all of a patient's in one.
#[must_use]
pub fn folds(scenes: &[&Scene]) -> Vec<u64> {
    let mut patients: Vec<u32> = scenes.iter().map(|s| s.record.patient).collect();
    patients.sort_unstable();
    patients.dedup();
    patients.shuffle(&mut ChaCha8Rng::seed_from_u64(23));
    let fold: BTreeMap<u32, u64> = patients.into_iter().zip((0..FOLDS).cycle()).collect();
    scenes.iter().map(|s| fold[&s.record.patient]).collect()
}

type Row<'a> = (&'a [f32], bool);

/// What a recording teaches: values of the columns, and whether they tell a true alarm. `before` says which seconds stand
/// out; without it an even share of them counts.
pub(super) fn rows<'a>(scene: &'a Scene, columns: &[usize], before: Option<&Fit>) -> Vec<(Vec<f32>, bool)> {
    let Some(alarm) = scene.alarm_s() else { return Vec::new() };
    let value = |t: usize| scene.values.get(t)?.as_deref();
    let until = if scene.truth() { alarm - UNTIL_S } else { alarm + AFTER_FALSE_S };
    let other: Vec<Row> = (FROM_S..until).filter_map(|t| Some((value(t)?, false))).collect();
    let told = alarm - BEFORE_S + 2..alarm + AFTER_S - 1;
    let told = if scene.truth() { told } else { 0..0 };
    let told: Vec<Row> = told.filter_map(|t| Some((value(t)?, true))).collect();
    let pick = |row: &Row<'a>| (columns.iter().map(|c| row.0[*c]).collect::<Vec<f32>>(), row.1);
    let Some(before) = before else {
        let late = told.iter().rev().take(10).step_by(2);
        return other.iter().step_by(EVERY / 2).chain(late).map(pick).collect();
    };
    let highest = |rows: &[Row<'a>], count: usize| {
        let mut scored: Vec<(f32, &Row)> = rows.iter().map(|row| (before.score(row.0), row)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().take(count).map(|s| pick(s.1)).collect::<Vec<_>>()
    };
    let even = other.iter().step_by(EVERY).map(pick);
    even.chain(highest(&other, WORST)).chain(highest(&told, BEST)).collect()
}

/// Fits on some recordings, over some of the channels; the other weights are 0.
#[must_use]
pub fn fit(scenes: &[&Scene], columns: &[usize]) -> Fit {
    let mut fitted: Option<Fit> = None;
    for _ in 0..TURNS {
        let all: Vec<(Vec<f32>, bool)> =
            scenes.par_iter().flat_map_iter(|s| rows(s, columns, fitted.as_ref())).collect();
        let features: Vec<&[f32]> = all.iter().map(|r| r.0.as_slice()).collect();
        let targets: Vec<bool> = all.iter().map(|r| r.1).collect();
        let Logistic { weights, intercept, .. } = Logistic::fit(&features, &targets, RIDGE);
        let mean =
            |i: usize| features.iter().map(|f| f64::from(f[i])).sum::<f64>() / features.len().max(1) as f64;
        let usual = (0..columns.len()).map(mean).collect();
        fitted = Some(Fit { columns: columns.to_vec(), weights, intercept, usual });
    }
    fitted.unwrap_or_default()
}

/// A fitted score over some channels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fit {
    /// The channels.
    pub columns: Vec<usize>,
    /// A weight each.
    pub weights: Vec<f64>,
    /// Log odds where all values are 0.
    pub intercept: f64,
    /// Mean of each over the seconds that it was fitted on.
    pub usual: Vec<f64>,
}

impl Fit {
    /// The score of a second's values.
    #[must_use]
    pub fn score(&self, values: &[f32]) -> f32 {
        let parts = self.columns.iter().zip(&self.weights);
        (self.intercept + parts.map(|(c, w)| f64::from(values[*c]) * w).sum::<f64>()) as f32
    }

    /// What each group of channels adds, against a usual second.
    #[must_use]
    pub fn parts(&self, values: &[f32], channels: &[Channel]) -> Vec<(Group, f64)> {
        let adds = self.columns.iter().zip(self.weights.iter().zip(&self.usual));
        let mut sums = Group::ALL.map(|group| (group, 0.0));
        for (column, (weight, usual)) in adds {
            sums[channels[*column].group as usize].1 += weight * (f64::from(values[*column]) - usual);
        }
        sums.to_vec()
    }
}

/// Scores of recordings by fits that did not see their patients.
#[must_use]
pub fn cross_validated(scenes: &[&Scene], columns: &[usize]) -> Vec<Fit> {
    let fold = folds(scenes);
    let fits: Vec<Fit> = (0..FOLDS)
        .map(|k| {
            let train: Vec<&Scene> =
                scenes.iter().zip(&fold).filter(|(_, f)| **f != k).map(|(s, _)| *s).collect();
            fit(&train, columns)
        })
        .collect();
    fold.iter().map(|k| fits[*k as usize].clone()).collect()
}
