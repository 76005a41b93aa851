//! Random forests on cluster proportions, one per class: the mean of their trees is a probability.

use crate::workshop::WorkshopError;
use rayon::prelude::*;
use smartcore::ensemble::extra_trees_regressor::{ExtraTreesRegressor, ExtraTreesRegressorParameters};
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::error::Failed;
use smartcore::linalg::basic::matrix::DenseMatrix;

/// Trees of a forest (docs/method.md, evaluation).
pub const TREES: usize = 300;
/// Rows of a leaf at least.
const LEAF: usize = 2;
/// Trees grown in one piece, so that all cores have work: a forest is whole pieces.
const PIECE: usize = 25;

/// How a tree is grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On a bootstrap sample, by the best split of a square root of the features (Breiman, Machine Learning 45, 2001).
    Forest,
    /// On all rows, by the best of random splits of 40 % of the features (Geurts et al., Machine Learning 63, 2006): what
    /// lies on a line is followed more smoothly.
    ExtraTrees,
}

impl Kind {
    /// Features tried at a split.
    fn tried(self, features: usize) -> usize {
        let tried = match self {
            Self::Forest => (features as f64).sqrt(),
            Self::ExtraTrees => 0.4 * features as f64,
        };
        (tried.round() as usize).max(1)
    }

    /// Probabilities of the unseen rows by one piece.
    fn piece(
        self,
        x: &DenseMatrix<f32>,
        y: &Vec<f32>,
        unseen: &DenseMatrix<f32>,
        (tried, seed): (usize, u64),
    ) -> Result<Vec<f32>, Failed> {
        match self {
            Self::Forest => {
                let parameters = RandomForestRegressorParameters {
                    max_depth: None,
                    min_samples_leaf: LEAF,
                    min_samples_split: 2 * LEAF,
                    n_trees: PIECE,
                    m: Some(tried),
                    keep_samples: false,
                    seed,
                };
                RandomForestRegressor::fit(x, y, parameters)?.predict(unseen)
            }
            Self::ExtraTrees => {
                let parameters = ExtraTreesRegressorParameters {
                    max_depth: None,
                    min_samples_leaf: LEAF,
                    min_samples_split: 2 * LEAF,
                    n_trees: PIECE,
                    m: Some(tried),
                    keep_samples: false,
                    seed,
                };
                ExtraTreesRegressor::fit(x, y, parameters)?.predict(unseen)
            }
        }
    }
}

fn matrix(rows: &[&[f32]]) -> Result<DenseMatrix<f32>, WorkshopError> {
    let rows: Vec<Vec<f32>> = rows.iter().map(|r| r.to_vec()).collect();
    DenseMatrix::from_2d_vec(&rows).map_err(|e| WorkshopError::Forest(e.to_string()))
}

/// Grows so many trees on `rows` and `targets` `[class][row]`; probabilities `[class][row]` of the `unseen` rows. `tell` hears of
/// each finished piece.
///
/// # Errors
/// [`WorkshopError::Forest`] if the rows have no common shape.
pub fn forest(
    kind: Kind,
    rows: &[&[f32]],
    targets: &[Vec<bool>],
    unseen: &[&[f32]],
    (trees, seed): (usize, u64),
    tell: impl Fn() + Sync,
) -> Result<Vec<Vec<f32>>, WorkshopError> {
    let (x, new) = (matrix(rows)?, matrix(unseen)?);
    let features = rows.first().map_or(1, |r| r.len());
    let pieces = trees.div_ceil(PIECE);
    let jobs: Vec<(usize, usize)> =
        (0..targets.len()).flat_map(|c| (0..pieces).map(move |p| (c, p))).collect();
    let grow = |&(class, piece): &(usize, usize)| -> Result<Vec<f32>, WorkshopError> {
        let y: Vec<f32> = targets[class].iter().map(|t| f32::from(u8::from(*t))).collect();
        let seed = seed.wrapping_mul(1_000).wrapping_add((class * pieces + piece) as u64);
        let said = kind.piece(&x, &y, &new, (kind.tried(features), seed));
        let said = said.map_err(|e| WorkshopError::Forest(e.to_string()))?;
        tell();
        Ok(said)
    };
    let grown: Vec<Vec<f32>> = jobs.par_iter().map(grow).collect::<Result<_, _>>()?;
    let mut probabilities = vec![vec![0.0; unseen.len()]; targets.len()];
    for ((class, _), said) in jobs.iter().zip(grown) {
        for (p, s) in probabilities[*class].iter_mut().zip(said) {
            *p += s / pieces as f32;
        }
    }
    Ok(probabilities)
}

/// Steps that `tell` will be called for.
#[must_use]
pub fn pieces(classes: usize, trees: usize) -> u64 {
    (classes * trees.div_ceil(PIECE)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_a_rule_that_no_line_can_draw() {
        let rows: Vec<[f32; 2]> = (0..400).map(|i| [(i % 20) as f32, (i / 20) as f32]).collect();
        let xor = |r: &[f32; 2]| (r[0] < 10.0) != (r[1] < 10.0);
        let refs: Vec<&[f32]> = rows.iter().map(|r| &r[..]).collect();
        let targets = vec![rows.iter().map(xor).collect::<Vec<bool>>()];
        for kind in [Kind::Forest, Kind::ExtraTrees] {
            let said = forest(kind, &refs, &targets, &refs, (TREES, 1), || ()).expect("fits");
            let right = said[0].iter().zip(&targets[0]).filter(|(p, t)| (**p >= 0.5) == **t).count();
            assert!(right >= 390, "{kind:?}: {right} of 400");
        }
    }
}
