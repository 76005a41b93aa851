//! What was promised, what the paper has, and what was reached.

use super::Parts;
use super::html::{interval, percent, score, table};
use super::summary::{CHOSEN, CLAIM, Cut, HALF, follower, over};
use crate::workshop::evaluate::{Followed, OverFolds};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;

/// One promise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Promise {
    /// What.
    pub figure: String,
    /// The paper's figure, or none.
    paper: String,
    /// What was to be reached.
    pub to_reach: String,
    /// What was.
    pub here: String,
    /// Whether it holds.
    pub reached: bool,
}

const HEAD: [&str; 5] = ["figure", "paper", "to reach", "here", ""];

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "not reached" }
}

fn promise(what: &str, paper: &str, goal: &str, ours: String, holds: bool) -> Promise {
    Promise { figure: what.into(), paper: paper.into(), to_reach: goal.into(), here: ours, reached: holds }
}

/// Promises on decisions by some thresholds, over the folds.
fn decision_rows(parts: &Parts, cut: Cut, thresholds: &str) -> Vec<Promise> {
    let claim = |of: fn(&Followed) -> f64| follower(parts, cut, CLAIM, of);
    let (agreement, kappa) = (claim(|f| f.agreement), claim(|f| f.kappa));
    let floor = follower(parts, cut, "random_pooled_logistic", |f| f.agreement);
    let ours = format!("{}, kappa {} (floor {})", percent(&agreement), score(&kappa), percent(&floor));
    let holds = agreement.mean >= 0.975 && kappa.mean >= 0.935;
    let share = |what: &str, paper: &str, goal: f64, f: OverFolds| {
        let what = format!("{what}, {thresholds}");
        promise(&what, paper, &format!("{:.1} %", goal * 100.0), percent(&f), f.mean >= goal)
    };
    let what = format!("the forest agrees with the network, {thresholds} (floor: untrained pooled features)");
    vec![
        promise(&what, "94.9 ± 0.5 %", "97.5 %, kappa 0.935", ours, holds),
        share("right labels, forest", "88.2 %", 0.884, claim(|f| f.accuracy)),
        share("right labels, network", "88.4 %", 0.888, over(parts, |j| cut(&j.figures).accuracy)),
        share("AUROC of 0/1 decisions, forest", "79.6 %", 0.796, claim(|f| f.auroc_hard)),
        share(
            "AUROC of 0/1 decisions, network",
            "81.4 %",
            0.814,
            over(parts, |j| cut(&j.figures).auroc_hard),
        ),
    ]
}

/// Promises on the network's scores, fold 10.
fn score_rows(parts: &Parts) -> Vec<Promise> {
    let lead = |name: &str| parts.shipped.figures.leads.get(name).map_or(f64::NAN, |l| l.auroc_macro);
    let row = |what: &str, paper: &str, name: &str, goal: f64| {
        let ours = lead(name);
        promise(what, paper, &format!("{goal:.3}"), format!("{ours:.4}"), ours >= goal)
    };
    vec![
        row("macro AUROC from scores, fold 10, twelve leads", "(0.930)", "12", 0.932),
        row("the same, lead II alone", "", "II", 0.860),
        row("the same, six limb leads and V1", "", "limb+V1", 0.912),
    ]
}

/// Promises on clusters and labels.
fn cluster_rows(parts: &Parts) -> Vec<Promise> {
    let mut rows = Vec::new();
    if let Some(l) = parts.landmarks.first() {
        let ours = format!("{}, margin {}", interval(l.ami), interval(l.margin));
        let holds = l.ami.value >= 0.5 && l.margin.value >= 0.12;
        let what = "clusters on waves (LUDB lead II, AMI)";
        rows.push(promise(what, "“align”", "0.50, 0.12 above the better baseline", ours, holds));
    }
    if let Some(c) = parts.choice.iter().find(|c| c.chosen) {
        let ours = format!("{:.3} (smallest {:.3})", c.ari, c.ari_min);
        rows.push(promise("codebooks of other seeds agree (ARI)", "", "0.80", ours, c.ari >= 0.8));
    }
    if let Some(f) = parts.flips {
        let ours = format!("{:.3} (confident learning {:.3})", f.precision_at_200, f.confident_learning);
        let holds = f.precision_at_200 >= 0.95 && f.precision_at_200 >= f.confident_learning;
        let what = "10 % of labels flipped: precision at 200";
        rows.push(promise(what, "", "0.95, at least confident learning", ours, holds));
    }
    rows
}

/// All of them.
pub fn promises(parts: &Parts) -> Vec<Promise> {
    let chosen = decision_rows(parts, CHOSEN, "thresholds of the best kappa");
    let half = decision_rows(parts, HALF, "thresholds of 0.5");
    [half, chosen, score_rows(parts), cluster_rows(parts)].concat()
}

/// The paper's results, what was to be reached, and what was, as HTML.
pub fn page_table(parts: &Parts) -> String {
    let row = |p: Promise| {
        let class = if p.reached { "yes" } else { "no" };
        let verdict = format!("<b class={class}>{}</b>", verdict(p.reached));
        vec![p.figure, p.paper, p.to_reach, p.here, verdict]
    };
    table(&HEAD, &promises(parts).into_iter().map(row).collect::<Vec<_>>())
}

/// The same in Markdown, from a summary as `wardbeat evaluate --folds` writes it: README and card carry it word for word, and
/// a test holds them to it. `None` where the summary has none.
#[must_use]
pub fn promised(summary: &Value) -> Option<String> {
    let mut text = format!("| {} |\n|---|---|---|---|---|\n", HEAD.join(" | "));
    for row in summary.get("promises")?.as_array()? {
        let of = |key: &str| row.get(key)?.as_str();
        let cells = [of("figure")?, of("paper")?, of("to_reach")?, of("here")?];
        let verdict = verdict(row.get("reached")?.as_bool()?);
        let _ = writeln!(text, "| {} | {verdict} |", cells.join(" | "));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Option<String> {
        std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).ok()
    }

    #[test]
    fn a_promise_that_is_not_kept_is_said_to_be_so() {
        let row = promise("agreement", "94.9 %", "97.5 %", "97.1 %".into(), false);
        let table = promised(&serde_json::json!({ "promises": [row] })).expect("a table");
        assert!(table.ends_with("| agreement | 94.9 % | 97.5 % | 97.1 % | not reached |\n"), "{table}");
        assert_eq!(promised(&serde_json::json!({ "model": "m-1" })), None);
    }

    #[test]
    fn readme_and_card_show_the_table_of_the_committed_report() {
        let Some(summary) = file("docs/reports/ptbxl/summary.json") else { return };
        let summary: Value = serde_json::from_str(&summary).expect("JSON");
        let table = promised(&summary).expect("every promise");
        for place in ["README.md", "models/ptbxl/CARD.md"] {
            assert!(file(place).is_some_and(|text| text.contains(&table)), "{place} must show:\n\n{table}");
        }
    }
}
