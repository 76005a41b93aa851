//! What the figures were measured on.

use crate::summary::Summary;
use serde_json::json;
use std::fs::read_to_string;
use std::process::Command;

/// Names the machine and its load in the summary.
pub fn describe(summary: &mut Summary) {
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("", |l| l.trim_matches([' ', '\t', ':']));
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|l| l.parse::<f64>().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = commit.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
    println!("{model}, {cores} cores, load {} at the start, commit {commit}", load.unwrap_or(f64::NAN));
    summary.set("machine", json!({"cpu": model, "cores": cores, "load_at_start": load, "commit": commit}));
}
