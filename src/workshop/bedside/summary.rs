//! `summary.json`: the figures that scripts read, each beside the hours or events it rests on.

use super::bench::Bench;
use super::rows::{BARE, BARE_TREES, FUSED, Figures, KINDS, TREES};
use serde_json::{Map, Value, json};

/// The part of a key that names a budget: 0.5, 1, 2 …
fn rate(per_hour: f64) -> String {
    format!("{per_hour}")
}

/// Kinds whose sensitivity has a key; the others stand in the report.
const TOLD: [&str; 4] = ["all", "asystole", "vf", "vt"];
/// Rows with keys of their own, by the beginning of the key.
const ROWS: [(&str, &str); 7] = [
    ("", FUSED),
    ("control_amplitude_", "amplitude"),
    ("control_rate_", "heart-rate meter"),
    ("control_fused_", BARE),
    ("boosted_", TREES),
    ("control_boosted_", BARE_TREES),
    ("control_shuffled_", "shuffled times"),
];

fn row(keys: &mut Map<String, Value>, prefix: &str, figures: &Figures, hours: f64) {
    for (kind, _) in KINDS {
        keys.insert(format!("{prefix}cinc2015_auroc_{kind}"), json!(figures.auroc.get(kind)));
        keys.insert(format!("{prefix}cinc2015_auroc_read_{kind}"), json!(figures.auroc_read.get(kind)));
    }
    for at in &figures.at {
        for kind in TOLD {
            let told = json!({
                "share": at.sensitivity.get(kind),
                "realised_per_bed_hour": at.realised,
                "bed_hours": hours,
                "median_delay_s": at.delay_s,
            });
            keys.insert(format!("{prefix}sensitivity_at_{}_per_bed_hour_{kind}", rate(at.per_hour)), told);
        }
    }
}

fn with<T: serde::Serialize>(value: &T, more: Value) -> Value {
    let mut value = json!(value);
    if let (Some(all), Value::Object(more)) = (value.as_object_mut(), more) {
        all.extend(more);
    }
    value
}

/// The summary.
#[must_use]
pub fn summary(bench: &Bench) -> Value {
    let mut keys = Map::new();
    keys.insert("model".into(), json!(bench.model));
    keys.insert(
        "cinc2015".into(),
        json!({
            "recordings": bench.recordings, "bed_hours": bench.hours, "folds": "by patient, 5",
            "without_any_verdict": bench.silent,
        }),
    );
    for (prefix, name) in ROWS {
        if let Some(figures) = bench.rows.iter().find(|r| r.name == name) {
            row(&mut keys, prefix, figures, bench.hours);
        }
    }
    keys.insert("gain_over_control_fused_at_1".into(), json!(bench.gain_at_1));
    keys.insert("gain_of_boosted_over_control_boosted_at_1".into(), json!(bench.gain_of_trees_at_1));
    let holter = &bench.fused;
    keys.insert("mitdb_normal_advisories_per_hour".into(), json!(holter.normal));
    keys.insert("mitdb_onsets_within_60_s".into(), json!(holter.onsets));
    keys.insert(
        "noise_advisories".into(),
        json!({
            "in_noise": holter.noise[0], "outside": holter.noise[1], "minutes_of_noise": holter.noise_minutes,
            "share_without_verdict": holter.noise_without_verdict,
        }),
    );
    keys.insert("quiet_advisories_per_hour".into(), json!(holter.quiet));
    keys.insert("control_fused_long_recordings".into(), json!(bench.control));
    let c = &bench.challenge;
    let alarms = c.true_kept + c.true_lost + c.false_kept + c.false_suppressed;
    keys.insert("cinc2015_score".into(), with(c, json!({ "events": alarms })));
    let removed = json!({ "false_advisories_removed": bench.gate.removed() });
    keys.insert("signal_gate".into(), with(&bench.gate, removed));
    keys.insert("budgets_on_long_recordings".into(), json!(bench.budgets));
    keys.insert("rows".into(), json!(bench.rows));
    Value::Object(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::bedside::bench::Final;
    use crate::workshop::bedside::challenge::Challenge;
    use crate::workshop::bedside::gate::Gate;
    use crate::workshop::bedside::holter::{Holter, Onsets, PerHour};
    use crate::workshop::bedside::operate::{RATES, Sensitivity};
    use crate::workshop::bedside::rows::AtRate;
    use crate::workshop::evaluate::Interval;

    /// Onsets of a kind are counted as `all`.
    const RESTS_ON: [&str; 5] = ["events", "all", "hours", "bed_hours", "minutes_of_noise"];

    /// Every key that scripts were promised.
    fn promised() -> Vec<String> {
        let mut keys = Vec::new();
        for control in ["", "control_amplitude_", "control_rate_", "control_fused_"] {
            for kind in ["all", "asystole", "vf", "vt", "brady", "tachy"] {
                keys.push(format!("{control}cinc2015_auroc_{kind}"));
            }
            for n in ["8", "4", "2", "1", "0.5"] {
                for kind in ["all", "asystole", "vf", "vt"] {
                    keys.push(format!("{control}sensitivity_at_{n}_per_bed_hour_{kind}"));
                }
            }
        }
        keys.extend(
            [
                "gain_over_control_fused_at_1",
                "mitdb_normal_advisories_per_hour",
                "mitdb_onsets_within_60_s",
                "noise_advisories",
                "cinc2015_score",
            ]
            .map(String::from),
        );
        keys
    }

    /// A number of events or hours anywhere below the key.
    fn rests(value: &Value) -> bool {
        match value {
            Value::Object(all) => {
                let own = RESTS_ON.iter().any(|key| all.get(*key).is_some_and(Value::is_number));
                own || all.values().any(rests)
            }
            Value::Array(all) => all.iter().any(rests),
            _ => false,
        }
    }

    fn check(summary: &Value) {
        for key in promised() {
            let value = summary.get(&key).unwrap_or(&Value::Null);
            assert!(rests(value), "{key}: {value} names neither events nor hours");
        }
        let gain = &summary["gain_over_control_fused_at_1"];
        assert!(["value", "low", "high"].iter().all(|k| gain[k].is_number()), "{gain}");
    }

    fn made_up() -> Bench {
        let share = Sensitivity { share: Interval { value: 0.5, low: 0.4, high: 0.6 }, events: 7 };
        let kinds = || KINDS.iter().map(|(name, _)| (*name, share)).collect();
        let at = |rate: &f64| AtRate { per_hour: *rate, realised: *rate, delay_s: 9.0, sensitivity: kinds() };
        let figures = |(_, name): &(&str, &'static str)| Figures {
            name,
            auroc: kinds(),
            auroc_read: kinds(),
            at: RATES.iter().map(at).collect(),
        };
        let hour = PerHour { rate: share.share, alerts: 1, hours: 2.0, recordings: 3 };
        let holter = Holter {
            normal: hour.clone(),
            quiet: hour,
            onsets: vec![Onsets { kind: "vt", all: 3, told: 1, ..Onsets::default() }],
            noise: [0, 1],
            noise_minutes: 26.0,
            noise_without_verdict: 0.2,
        };
        Bench {
            model: "m-1".into(),
            recordings: 3,
            hours: 11.5,
            silent: [1, 0],
            rows: ROWS.iter().map(figures).collect(),
            gain_at_1: Some(share),
            gain_of_trees_at_1: Some(share),
            fused: holter.clone(),
            control: holter,
            gate: Gate::default(),
            budgets: Vec::new(),
            challenge: Challenge { true_kept: 4, ..Challenge::default() },
            last: Final::default(),
        }
    }

    #[test]
    fn every_promised_figure_is_there_with_what_it_rests_on() {
        let summary = summary(&made_up());
        check(&summary);
        assert_eq!(summary["cinc2015_score"]["events"], 4);
        assert!(summary["signal_gate"]["false_advisories_removed"].is_number());
    }

    #[test]
    fn a_figure_that_is_missing_is_found() {
        let mut summary = summary(&made_up());
        summary.as_object_mut().expect("keys").remove("sensitivity_at_0.5_per_bed_hour_vf");
        assert!(std::panic::catch_unwind(|| check(&summary)).is_err());
    }

    #[test]
    fn the_committed_summary_has_every_promised_key() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reports/live/summary.json");
        let summary: Value = serde_json::from_slice(&std::fs::read(path).expect("committed")).expect("JSON");
        let missing: Vec<String> = promised().into_iter().filter(|key| summary.get(key).is_none()).collect();
        assert!(missing.is_empty(), "run `wardbeat evaluate live` anew: {missing:?}");
    }
}
