//! `target/bench/summary.json` and the closing table: the claims, what was reached, what is to be reached.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The claims of docs/performance.md, in its order: key, bound, whether more is better.
const CLAIMS: [(&str, f64, bool); 14] = [
    ("window_vs_openvino_f32", 1.0, true),
    ("window_vs_onnxruntime", 1.1, true),
    ("window_vs_candle", 1.6, true),
    ("live_vs_openvino_f32", 8.0, true),
    ("live_vs_window", 6.0, true),
    ("live_of_peak", 0.5, true),
    ("train_step_vs_torch", 1.0, true),
    ("beds_sustained", 2_000.0, true),
    ("p99_ms_64_beds", 100.0, false),
    ("p99_ms_1000_beds", 1_000.0, false),
    ("cpu_percent_1000_beds", 60.0, false),
    ("rss_mb_1000_beds", 250.0, false),
    ("cost_ratio_1000_vs_16", 1.2, false),
    ("start_ms", 1_000.0, false),
];

/// Where everything that a bench leaves lies.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench")
}

/// The figures by key.
pub struct Summary(Map<String, Value>);

impl Summary {
    /// An empty summary, or the last one where only parts are measured anew.
    pub fn open(keep: bool) -> Result<Self> {
        std::fs::create_dir_all(folder())?;
        let old = std::fs::read(folder().join("summary.json")).ok().filter(|_| keep);
        let figures = match old {
            Some(text) => serde_json::from_slice(&text).context("target/bench/summary.json")?,
            None => CLAIMS.iter().map(|(key, ..)| ((*key).into(), Value::Null)).collect(),
        };
        Ok(Self(figures))
    }

    /// Sets a figure.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.into(), value.into());
    }

    /// Sets a figure with three decimals, which is more than a bench is worth.
    pub fn number(&mut self, key: &str, value: f64) {
        self.set(key, json!((value * 1_000.0).round() / 1_000.0));
    }

    /// A figure.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.0)?;
        std::fs::write(folder().join("summary.json"), text + "\n").context("target/bench/summary.json")
    }

    /// The claims beside their bounds.
    pub fn print(&self) {
        println!("\n{:<28} {:>10} {:>12}", "claim", "measured", "to reach");
        for (key, bound, more) in CLAIMS {
            let found = self.get(key).and_then(Value::as_f64);
            let told = found.map_or_else(|| "-".into(), |v| format!("{v:.2}"));
            let sign = if more { "≥" } else { "≤" };
            let verdict = match found {
                Some(v) if (v >= bound) == more || (v - bound).abs() < 1e-9 => "",
                Some(_) => "  NOT REACHED",
                None => "  not measured",
            };
            println!("{key:<28} {told:>10} {sign:>4} {bound:>7}{verdict}");
        }
        println!("\nall figures: {}", folder().join("summary.json").display());
    }
}
