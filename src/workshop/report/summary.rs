//! `summary.json`: the figures that scripts read.

use super::Parts;
use super::promises::promises;
use crate::workshop::evaluate::{Decided, Figures, Followed, Judged, OverFolds};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Which follower stands for the claim: extremely randomised trees on mean soft assignments, what the live surrogate reads too.
pub const CLAIM: &str = "extra_trees";

/// A figure of each fold.
pub fn over(parts: &Parts, of: impl Fn(&Judged) -> f64) -> OverFolds {
    OverFolds::of(parts.folds.iter().map(of).collect())
}

/// Which thresholds decide.
pub type Cut = fn(&Figures) -> &Decided;
/// Those of the best kappa on the fold for choices.
pub const CHOSEN: Cut = |f| &f.chosen;
/// 0.5, most likely what the paper's figures rest on.
pub const HALF: Cut = |f| &f.half;

/// A follower's figure of each fold.
pub fn follower(parts: &Parts, cut: Cut, name: &str, of: impl Fn(&Followed) -> f64) -> OverFolds {
    over(parts, |j| cut(&j.figures).followers.get(name).map_or(f64::NAN, &of))
}

/// The claim in figures, by some thresholds.
fn decided(parts: &Parts, cut: Cut) -> [(&'static str, OverFolds); 8] {
    let claim = |of: fn(&Followed) -> f64| follower(parts, cut, CLAIM, of);
    [
        ("auroc_hard", over(parts, |j| cut(&j.figures).auroc_hard)),
        ("accuracy", over(parts, |j| cut(&j.figures).accuracy)),
        ("fidelity", claim(|f| f.agreement)),
        ("kappa", claim(|f| f.kappa)),
        ("rf_accuracy", claim(|f| f.accuracy)),
        ("rf_auroc_hard", claim(|f| f.auroc_hard)),
        ("rf_auroc_macro", claim(|f| f.auroc_macro)),
        ("fidelity_floor_random_pooled", follower(parts, cut, "random_pooled_logistic", |f| f.agreement)),
    ]
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
    let mut summary = json!({
        "model": parts.model,
        "training": parts.training,
        "folds_judged": parts.folds.iter().map(|j| j.figures.fold).collect::<Vec<_>>(),
        "auroc_macro": over(parts, |j| j.figures.auroc_macro),
        "at_half": decided(parts, HALF).into_iter().collect::<BTreeMap<_, _>>(),
        "fidelity_hard_proportions": follower(parts, CHOSEN, "forest", |f| f.agreement),
        "kappa_hard_proportions": follower(parts, CHOSEN, "forest", |f| f.kappa),
        "fidelity_floor_majority": follower(parts, CHOSEN, "majority", |f| f.agreement),
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
    });
    for (name, figure) in decided(parts, CHOSEN) {
        summary[name] = json!(figure);
    }
    summary
}
