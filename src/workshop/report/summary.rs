//! `summary.json`: the figures that scripts read.

use super::Parts;
use super::promises::promises;
use crate::workshop::evaluate::{Judged, OverFolds};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Which follower stands for the claim: the forest on mean soft assignments, what the live surrogate reads too.
pub const CLAIM: &str = "forest_soft";

/// A figure of each fold.
pub fn over(parts: &Parts, of: impl Fn(&Judged) -> f64) -> OverFolds {
    OverFolds::of(parts.folds.iter().map(of).collect())
}

/// A follower's figure of each fold, by the chosen thresholds.
pub fn follower(
    parts: &Parts,
    name: &str,
    of: impl Fn(&crate::workshop::evaluate::Followed) -> f64,
) -> OverFolds {
    over(parts, |j| j.figures.chosen.followers.get(name).map_or(f64::NAN, &of))
}

/// The summary.
pub fn summary(parts: &Parts) -> Value {
    let ludb = parts.landmarks.first();
    let shipped = &parts.shipped.figures.leads;
    let leads: BTreeMap<&String, f64> = shipped.iter().map(|(name, l)| (name, l.auroc_macro)).collect();
    let of_leads =
        |name: &String| over(parts, |j| j.figures.leads.get(name).map_or(f64::NAN, |l| l.auroc_macro));
    let leads_folds: BTreeMap<&String, OverFolds> =
        shipped.keys().map(|name| (name, of_leads(name))).collect();
    json!({
        "model": parts.model,
        "training": parts.training,
        "folds_judged": parts.folds.iter().map(|j| j.figures.fold).collect::<Vec<_>>(),
        "auroc_macro": over(parts, |j| j.figures.auroc_macro),
        "auroc_hard": over(parts, |j| j.figures.chosen.auroc_hard),
        "accuracy": over(parts, |j| j.figures.chosen.accuracy),
        "fidelity": follower(parts, CLAIM, |f| f.agreement),
        "kappa": follower(parts, CLAIM, |f| f.kappa),
        "rf_accuracy": follower(parts, CLAIM, |f| f.accuracy),
        "rf_auroc_hard": follower(parts, CLAIM, |f| f.auroc_hard),
        "rf_auroc_macro": follower(parts, CLAIM, |f| f.auroc_macro),
        "fidelity_hard_proportions": follower(parts, "forest", |f| f.agreement),
        "kappa_hard_proportions": follower(parts, "forest", |f| f.kappa),
        "fidelity_floor_random_pooled": follower(parts, "random_pooled_logistic", |f| f.agreement),
        "fidelity_floor_majority": follower(parts, "majority", |f| f.agreement),
        "fold10_auroc_macro": parts.shipped.figures.auroc_macro,
        "landmark_ami": ludb.map(|l| l.ami.value),
        "landmark_ami_random": ludb.map(|l| l.ami_random.value),
        "landmark_ami_raw": ludb.map(|l| l.ami_raw.value),
        "landmark_intervals": ludb.map(|l| json!({ "ami": l.ami, "random": l.ami_random, "raw": l.ami_raw, "margin": l.margin })),
        "ari_between_seeds": parts.choice.iter().find(|c| c.chosen).map(|c| c.ari),
        "ari_between_folds": parts.ari_folds,
        "age_mae": parts.age.map(|a| a.mae.value),
        "age": parts.age,
        "leads": leads,
        "leads_folds": leads_folds,
        "label_flip_precision_at_200": parts.flips.map(|f| f.precision_at_200),
        "label_flip_confident_learning": parts.flips.map(|f| f.confident_learning),
        "entropy_adds_to_own_error": parts.errors.gain,
        "promises": promises(parts),
    })
}
