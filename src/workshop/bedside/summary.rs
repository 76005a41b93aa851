//! `summary.json`: the figures that scripts read, each beside the hours or events it rests on.

use super::bench::Bench;
use super::rows::{Figures, KINDS};
use serde_json::{Map, Value, json};

/// The part of a key that names a budget: 0.5, 1, 2 …
fn rate(per_hour: f64) -> String {
    format!("{per_hour}")
}

/// Kinds whose sensitivity has a key; the others stand in the report.
const TOLD: [&str; 4] = ["all", "asystole", "vf", "vt"];

fn row(keys: &mut Map<String, Value>, prefix: &str, figures: &Figures) {
    for (kind, _) in KINDS {
        keys.insert(format!("{prefix}cinc2015_auroc_{kind}"), json!(figures.auroc.get(kind)));
    }
    for at in &figures.at {
        for kind in TOLD {
            let told = json!({
                "share": at.sensitivity.get(kind),
                "realised_per_bed_hour": at.realised,
                "median_delay_s": at.delay_s,
            });
            keys.insert(format!("{prefix}sensitivity_at_{}_per_bed_hour_{kind}", rate(at.per_hour)), told);
        }
    }
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
    let rows = [
        ("", "fused"),
        ("control_amplitude_", "amplitude"),
        ("control_rate_", "heart-rate meter"),
        ("control_fused_", "fused without clusters"),
        ("control_shuffled_", "shuffled times"),
    ];
    for (prefix, name) in rows {
        if let Some(figures) = bench.rows.iter().find(|r| r.name == name) {
            row(&mut keys, prefix, figures);
        }
    }
    keys.insert("gain_over_control_fused_at_1".into(), json!(bench.gain_at_1));
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
    keys.insert("cinc2015_score".into(), json!(bench.challenge));
    keys.insert("rows".into(), json!(bench.rows));
    Value::Object(keys)
}
