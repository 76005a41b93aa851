//! Boosted trees on the fused score's channels: they are never shipped, since no alert could say what it rests on, but they
//! say what a score without straight lines would gain, with the clusters and without.

use super::fit::{FOLDS, Fit, folds, rows};
use super::scene::Scene;
use super::{NONE, Track};
use crate::workshop::WorkshopError;
use rayon::prelude::*;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::xgboost::{XGRegressor, XGRegressorParameters};

/// Trees, their depth, what each of them adds, and the share of the rows that it sees.
const TREES: usize = 120;
const DEPTH: u16 = 4;
const RATE: f64 = 0.06;
const SHARE: f64 = 0.5;
/// Rows of a leaf at least.
const LEAF: usize = 20;

fn fault(e: &smartcore::error::Failed) -> WorkshopError {
    WorkshopError::Forest(e.to_string())
}

fn matrix(rows: &[Vec<f32>]) -> Result<DenseMatrix<f32>, WorkshopError> {
    DenseMatrix::from_2d_vec(&rows.to_vec()).map_err(|e| fault(&e))
}

/// Every recording under trees that did not see its patient. They learn from the seconds that stood out under `fits`, the
/// logistic regressions over the same columns, one a recording; where there are none, they have no verdict.
///
/// # Errors
/// [`WorkshopError::Forest`] if the trees cannot be grown.
pub fn boosted(scenes: &[&Scene], fits: &[Fit], columns: &[usize]) -> Result<Vec<Track>, WorkshopError> {
    let fold = folds(scenes);
    let of_fold = |k: u64| -> Result<Vec<(usize, Track)>, WorkshopError> {
        let held: Vec<usize> = (0..scenes.len()).filter(|&i| fold[i] == k).collect();
        let Some(before) = held.first().map(|&i| &fits[i]) else { return Ok(Vec::new()) };
        let train = scenes.iter().zip(&fold).filter(|(_, f)| **f != k);
        let (x, y): (Vec<Vec<f32>>, Vec<f32>) = train
            .flat_map(|(s, _)| rows(s, columns, Some(before)))
            .map(|(values, told)| (values, f32::from(u8::from(told))))
            .unzip();
        if x.is_empty() {
            let silent = |&i: &usize| (i, scenes[i].under(vec![NONE; scenes[i].values.len()]));
            return Ok(held.iter().map(silent).collect());
        }
        let parameters = XGRegressorParameters::default()
            .with_n_estimators(TREES)
            .with_max_depth(DEPTH)
            .with_learning_rate(RATE)
            .with_min_child_weight(LEAF)
            .with_subsample(SHARE)
            .with_base_score(0.0)
            .with_seed(k);
        let trees = XGRegressor::fit(&matrix(&x)?, &y, parameters).map_err(|e| fault(&e))?;
        let judge = |&i: &usize| {
            let seconds = scenes[i].values.iter().flatten();
            let picked: Vec<Vec<f32>> = seconds.map(|v| columns.iter().map(|c| v[*c]).collect()).collect();
            let said = if picked.is_empty() {
                Vec::new()
            } else {
                trees.predict(&matrix(&picked)?).map_err(|e| fault(&e))?
            };
            let mut said = said.into_iter();
            let score = |v: &Option<Vec<f32>>| v.as_ref().and_then(|_| said.next()).unwrap_or(NONE);
            Ok((i, scenes[i].under(scenes[i].values.iter().map(score).collect())))
        };
        held.iter().map(judge).collect()
    };
    let all: Vec<Vec<(usize, Track)>> = (0..FOLDS).into_par_iter().map(of_fold).collect::<Result<_, _>>()?;
    let mut tracks: Vec<(usize, Track)> = all.into_iter().flatten().collect();
    tracks.sort_by_key(|t| t.0);
    Ok(tracks.into_iter().map(|t| t.1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::bedside::fit::cross_validated;
    use crate::workshop::bedside::scene::{AFTER_S, BEFORE_S, FROM_S};
    use crate::workshop::bedside::{Alarm, Kind, Record, Set};
    use rand::{Rng, SeedableRng};

    /// A recording whose one channel keeps to the middle while its alarm is true, and to both ends at all other times.
    fn scene(patient: u32) -> Scene {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(u64::from(patient));
        let told = 120 - BEFORE_S..120 + AFTER_S;
        let second = |t: usize| {
            let end = rng.random_range(0.0..0.4f32);
            let middle = rng.random_range(0.42..0.58);
            let other = if rng.random_bool(0.5) { end } else { 1.0 - end };
            Some(vec![if told.contains(&t) { middle } else { other }, rng.random()])
        };
        let record = Record {
            set: Set::Cinc2015,
            name: patient.to_string(),
            patient,
            path: std::path::PathBuf::new(),
            alarm: Some(Alarm { kind: Kind::Vt, at_s: 120.0, truth: true }),
            events: Vec::new(),
            normal: false,
        };
        Scene { record, values: (0..125).map(second).collect(), hidden: vec![None; 125] }
    }

    #[test]
    fn trees_tell_on_people_they_never_saw_what_no_line_can_draw() {
        let scenes: Vec<Scene> = (0..60).map(scene).collect();
        let scenes: Vec<&Scene> = scenes.iter().collect();
        let fits = cross_validated(&scenes, &[0, 1]);
        let tracks = boosted(&scenes, &fits, &[0, 1]).expect("fits");
        let by_line: Vec<Track> = scenes.iter().zip(&fits).map(|(s, f)| s.track(|v| f.score(v))).collect();
        let told = |tracks: &[Track]| {
            let high = |t: &Track, range: std::ops::Range<usize>| {
                t.scores[range].iter().copied().fold(NONE, f32::max)
            };
            tracks.iter().filter(|t| t.scores[110] > high(t, FROM_S..105)).count()
        };
        assert_eq!(tracks.len(), 60);
        assert_eq!(told(&tracks), 60);
        assert!(told(&by_line) < 20, "{}", told(&by_line));
    }

    #[test]
    fn trees_that_saw_no_second_have_no_verdict() {
        let silent = |patient| {
            let mut scene = scene(patient);
            scene.values.fill(None);
            scene
        };
        let scenes: Vec<Scene> = (0..10).map(silent).collect();
        let scenes: Vec<&Scene> = scenes.iter().collect();
        let tracks = boosted(&scenes, &cross_validated(&scenes, &[0, 1]), &[0, 1]).expect("no fault");
        assert!(tracks.len() == 10 && tracks.iter().all(|t| t.scores.len() == 125 && t.scores[50] == NONE));
    }
}
