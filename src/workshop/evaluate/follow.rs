//! Who follows the network: what a few numbers of a record, without the network, reproduce of its decisions.

use super::forest::{Kind, forest};
use crate::workshop::WorkshopError;
use crate::workshop::logistic::Logistic;
use crate::workshop::metrics::{agreement, kappa, macro_auroc};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Penalty of the standardised weights.
const RIDGE: f64 = 1.0;
/// The same for features as many as pooled activations.
const RIDGE_POOLED: f64 = 20.0;

/// How a follower does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// Share of labels where it says what the network says.
    pub agreement: f64,
    /// The same beyond chance (Cohen's kappa over all labels).
    pub kappa: f64,
    /// Share of records where all labels agree.
    pub exact: f64,
    /// Share of right labels.
    pub accuracy: f64,
    /// Macro AUROC of its scores against the truth.
    pub auroc_macro: f64,
    /// Macro AUROC of its 0/1 decisions, never to be compared with one from scores.
    pub auroc_hard: f64,
}

/// What was decided and what is true, `[class][record]`.
#[derive(Debug, Clone, Copy)]
pub struct Against<'a> {
    /// The network's decisions.
    pub decided: &'a [Vec<bool>],
    /// The truth.
    pub truth: &'a [Vec<bool>],
}

/// Decisions as scores.
pub fn hard(decided: &[Vec<bool>]) -> Vec<Vec<f32>> {
    decided.iter().map(|d| d.iter().map(|v| f32::from(u8::from(*v))).collect()).collect()
}

impl Followed {
    /// Of scores `[class][record]` that say yes from 0.5 on.
    #[must_use]
    pub fn of(scores: &[Vec<f32>], against: Against<'_>) -> Self {
        let said: Vec<Vec<bool>> = scores.iter().map(|s| s.iter().map(|p| *p >= 0.5).collect()).collect();
        let (flat, network) = (said.concat(), against.decided.concat());
        let records = said.first().map_or(0, Vec::len);
        let same = |i: &usize| said.iter().zip(against.decided).all(|(s, n)| s[*i] == n[*i]);
        Self {
            agreement: agreement(&flat, &network),
            kappa: kappa(&flat, &network),
            exact: (0..records).filter(same).count() as f64 / records.max(1) as f64,
            accuracy: agreement(&flat, &against.truth.concat()),
            auroc_macro: macro_auroc(against.truth, scores),
            auroc_hard: macro_auroc(against.truth, &hard(&said)),
        }
    }

    /// Of saying always what the network says more often of each class.
    #[must_use]
    pub fn majority(against: Against<'_>) -> Self {
        let often = |d: &Vec<bool>| {
            let yes = 2 * d.iter().filter(|v| **v).count() > d.len();
            vec![f32::from(u8::from(yes)); d.len()]
        };
        Self::of(&against.decided.iter().map(often).collect::<Vec<_>>(), against)
    }
}

/// Rows of one kind of feature: those learnt from and those judged.
pub struct Rows<'a> {
    /// `[record][feature]`, training folds.
    pub old: Vec<&'a [f32]>,
    /// `[record][feature]`, test fold.
    pub new: Vec<&'a [f32]>,
}

impl Rows<'_> {
    /// Scores `[class][record]` of a random forest that learnt the decisions `[class][record]`.
    ///
    /// # Errors
    /// As [`forest`].
    pub fn by_forest(
        &self,
        kind: Kind,
        decided: &[Vec<bool>],
        trees: usize,
        tell: impl Fn() + Sync,
    ) -> Result<Vec<Vec<f32>>, WorkshopError> {
        forest(kind, &self.old, decided, &self.new, (trees, 1), tell)
    }

    /// The same of a logistic regression a class.
    #[must_use]
    pub fn by_logistic(&self, decided: &[Vec<bool>]) -> Vec<Vec<f32>> {
        let wide = self.old.first().is_some_and(|r| r.len() > 100);
        let ridge = if wide { RIDGE_POOLED } else { RIDGE };
        let class = |d: &Vec<bool>| {
            let fit = Logistic::fit(&self.old, d, ridge);
            self.new.iter().map(|row| fit.probability(row) as f32).collect()
        };
        decided.par_iter().map(class).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_with_the_network_is_kept_apart_from_the_truth() {
        let decided = vec![vec![true, true, false, false], vec![false, false, true, false]];
        let truth = vec![vec![true, false, false, false], vec![false, true, true, false]];
        let against = Against { decided: &decided, truth: &truth };
        let perfect = Followed::of(&hard(&decided), against);
        let near = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near([perfect.agreement, perfect.kappa, perfect.exact], [1.0, 1.0, 1.0]));
        assert!((perfect.accuracy - 0.75).abs() < 1e-12);
        let silent = Followed::majority(against);
        assert!(near([silent.agreement, silent.kappa, silent.exact], [5.0 / 8.0, 0.0, 0.25]));
        assert!((silent.auroc_hard - 0.5).abs() < 1e-12);
    }
}
