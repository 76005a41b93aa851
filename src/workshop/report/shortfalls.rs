//! What failed, said plainly: drawn from the figures, never written by hand.

use super::Parts;
use super::promises::promises;
use crate::workshop::evaluate::{METHODS, Method};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What clusters are compared by, and its figure; more is better.
type Merit = (&'static str, fn(&Method) -> f64);

const MERITS: [Merit; 3] = [
    ("by deletion", |m| m.deletion),
    ("by insertion", |m| m.insertion),
    ("after re-training", |m| m.retrained.unwrap_or(f64::NAN)),
];

/// Where other explanations do better than the clusters.
fn beaten(by_method: &BTreeMap<String, Method>) -> Vec<String> {
    let Some(clusters) = by_method.get("clusters") else { return Vec::new() };
    let lost = |(what, of): Merit| {
        let better =
            METHODS.iter().filter(|name| by_method.get(**name).is_some_and(|m| of(m) > of(clusters)));
        let names: Vec<String> = better.map(|name| name.replace('_', " ")).collect();
        (!names.is_empty()).then(|| {
            format!(
                "As an explanation clusters are beaten {what} ({:.3}) by {}.",
                of(clusters),
                names.join(", ")
            )
        })
    };
    MERITS.into_iter().filter_map(lost).collect()
}

/// One sentence each.
pub fn shortfalls(parts: &Parts) -> Vec<String> {
    let mut all: Vec<String> = promises(parts)
        .iter()
        .filter(|p| !p.reached)
        .map(|p| format!("Not reached: {}: {} in place of {}.", p.figure, p.here, p.to_reach))
        .collect();
    let level = parts.landmarks.iter().filter(|l| l.margin.low <= 0.0);
    all.extend(level.map(|l| {
        let (ours, raw) = (l.ami.value, l.ami_raw.value.max(l.ami_random.value));
        format!(
            "On the {} clusters fall on waves no better than the better baseline ({ours:.3}, {raw:.3}).",
            l.what
        )
    }));
    let (gain, own) = (parts.errors.gain, parts.errors.own.value);
    if gain.value < 0.01 {
        all.push(format!(
            "Entropy does not find the network's errors: to its own uncertainty (AUROC {own:.3}) entropy and novelty add {:.4} ({:.4} to {:.4}).",
            gain.value, gain.low, gain.high
        ));
    }
    if let Some(f) = parts.flips.filter(|f| f.entropy < 2.0 * f.rate) {
        all.push(format!(
            "Entropy does not find wrong labels: {:.1} % of the 200 records that it ranks first, {:.1} % of all.",
            f.entropy * 100.0,
            f.rate * 100.0
        ));
    }
    all.extend(beaten(&parts.attribution));
    if let Some(a) = parts.age.filter(|a| a.mae_clusters.low > a.mae.high) {
        all.push(format!(
            "Clusters lose much of what the activations know of age: a mean error of {:.1} years in place of {:.1}.",
            a.mae_clusters.value, a.mae.value
        ));
    }
    all
}

/// The same as a list.
pub fn page_list(parts: &Parts) -> String {
    let mut html = String::from("<ul>\n");
    for line in shortfalls(parts) {
        let _ = writeln!(html, "<li>{line}</li>");
    }
    html + "</ul>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_that_does_better_than_clusters_is_named() {
        let method = |deletion, insertion| Method {
            ms: 1.0,
            deletion,
            insertion,
            retrained: None,
            randomised: 0.0,
            stability: BTreeMap::new(),
        };
        let all =
            [("clusters", method(2.0, 0.5)), ("grad_cam", method(3.0, 0.4)), ("random", method(1.0, 0.0))];
        let lost = beaten(&all.map(|(name, m)| (name.to_owned(), m)).into());
        assert_eq!(lost, ["As an explanation clusters are beaten by deletion (2.000) by grad cam."]);
    }
}
