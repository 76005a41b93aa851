//! The model card: what the bundle is, what it is worth, what it must not be used for.

use super::Figures;
use crate::model::{Bundle, sha256_hex};
use crate::workshop::LEAD_SETS;
use std::fmt::Write;

const CARD: &str = include_str!("card.md");
const NOT_JUDGED: &str = "Not done with this bundle: run `wardbeat evaluate --folds 10`.";
const NOT_MEASURED: &str = "Not measured with this bundle: run `wardbeat evaluate live`.";

fn lead_table(figures: &Figures) -> String {
    let mut table = String::from(
        "| leads | macro AUROC | NORM | MI | STTC | CD | HYP | mean entropy |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (name, _) in LEAD_SETS {
        let Some(f) = figures.leads.get(name) else { continue };
        let _ = write!(table, "| {name} | **{:.4}** |", f.auroc_macro);
        for class in ["NORM", "MI", "STTC", "CD", "HYP"] {
            let _ = write!(table, " {:.3} |", f.auroc.get(class).copied().unwrap_or(f64::NAN));
        }
        let _ = writeln!(table, " {:.3} |", f.entropy_mean);
    }
    table
}

fn cluster_table(bundle: &Bundle) -> String {
    let mut table = String::from("| cluster | name |\n|---|---|\n");
    for (k, name) in bundle.codebook.names.iter().enumerate() {
        let _ = writeln!(table, "| {k} | {} |", name.name);
    }
    table
}

fn novelty_table(bundle: &Bundle) -> String {
    let mut table = String::from("| leads | 95 % quantile of the smallest squared distance |\n|---|---|\n");
    for (name, mask) in LEAD_SETS {
        let _ = writeln!(table, "| {name} | {:.3} |", bundle.codebook.novelty_reference(mask));
    }
    table
}

/// What reports say of the bundle, as far as they are there.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// What an alert means, how often it comes and what it misses ([`crate::workshop::bedside::sentences()`]).
    pub alerts: Option<[String; 3]>,
    /// The table of the cross-validation ([`crate::workshop::report::promised`]).
    pub folds: Option<String>,
}

/// `CARD.md` of a bundle with its figures; `files` are names and bytes whose hashes it states. What is not known it says.
#[must_use]
pub fn card(bundle: &Bundle, figures: &Figures, files: &[(&str, &[u8])], told: Told) -> String {
    let percent = |v: f64| format!("{:.1} %", v * 100.0);
    let [forest, hard, surrogate, majority] =
        ["extra_trees", "forest", "surrogate", "majority"].map(|name| &figures.chosen.followers[name]);
    let half = &figures.half.followers["extra_trees"];
    let mut hashes = String::new();
    for (name, bytes) in files {
        let _ = writeln!(hashes, "- `{name}`: `{}`", sha256_hex(bytes));
    }
    let values = [
        ("{name}", bundle.manifest.name.clone()),
        ("{id}", bundle.id.clone()),
        ("{training}", bundle.manifest.training.clone()),
        ("{parameters}", bundle.weights.values().map(|(_, v)| v.len()).sum::<usize>().to_string()),
        ("{fold}", figures.fold.to_string()),
        ("{records}", figures.records.to_string()),
        ("{leads}", lead_table(figures)),
        ("{clusters}", cluster_table(bundle)),
        ("{novelty}", novelty_table(bundle)),
        ("{k}", figures.clusters.to_string()),
        ("{temperature}", format!("{:.4}", bundle.codebook.facts.temperature)),
        ("{forest_agreement}", percent(forest.agreement)),
        ("{kappa}", format!("{:.3}", forest.kappa)),
        ("{hard_agreement}", percent(hard.agreement)),
        ("{hard_kappa}", format!("{:.3}", hard.kappa)),
        ("{exact}", percent(forest.exact)),
        ("{half_agreement}", percent(half.agreement)),
        ("{half_kappa}", format!("{:.3}", half.kappa)),
        ("{surrogate_agreement}", percent(surrogate.agreement)),
        ("{surrogate_kappa}", format!("{:.3}", surrogate.kappa)),
        ("{majority}", percent(majority.agreement)),
        ("{accuracy}", percent(figures.chosen.accuracy)),
        ("{forest_accuracy}", percent(forest.accuracy)),
        ("{forest_auroc}", format!("{:.4}", forest.auroc_macro)),
        ("{auroc_hard}", format!("{:.4}", figures.chosen.auroc_hard)),
        ("{forest_auroc_hard}", format!("{:.4}", forest.auroc_hard)),
        ("{folds}", told.folds.unwrap_or_else(|| NOT_JUDGED.into())),
        ("{alerts}", told.alerts.map_or_else(|| NOT_MEASURED.into(), |three| three.join("\n\n"))),
        ("{hashes}", hashes),
    ];
    values.iter().fold(CARD.to_owned(), |text, (key, value)| text.replace(key, value.trim_end()))
}
