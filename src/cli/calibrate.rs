//! `wardbeat calibrate`: how many alerts a bed-day each setting raises on a site's recordings.

use super::progress::bar;
use super::rehearse::{Tapes, some_read};
use super::{Failure, live};
use crate::config::{Decide, Settings};
use crate::workshop::rehearse::{self, Calibrated, Rung};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  wardbeat calibrate --config config/ward.toml /var/lib/wardbeat/wardbeat.recorder
  wardbeat calibrate --decide fused --budget 12 mitdb

The number a site chooses is a budget of advisories a bed-day (alerts_per_bed_day). With decide = \"fused\" the limits follow
from it, the bundle's for the population and each bed's own tail of scores: the table shows whether these beds keep to it.
With decide = \"channels\" the table shows which score_on keeps to it. Nothing is changed; the last line goes into the config.

Exit codes: 0 done; 1 no recording could be read; 2 wrong usage or a faulty config.";

/// Tries the settings of a decision on recordings.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folder of WFDB records, or of a recorder's archive (docs/recorder.md).
    folder: PathBuf,
    /// The config whose other settings count; without one, the defaults.
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// The decision to try, in place of the config's.
    #[arg(long, value_parser = ["channels", "fused"])]
    decide: Option<String>,
    /// Advisories a bed-day that are acceptable, in place of the config's.
    #[arg(long)]
    budget: Option<f32>,
    /// Folder of the bundle; by default the one in the program.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Prints all as JSON in place of the table.
    #[arg(long)]
    json: bool,
}

/// What all beds raise under one setting, in advisories a bed-day.
struct Line {
    mean: f64,
    median: f64,
    highest: f64,
    below: f64,
}

fn line(beds: &[Calibrated], rung: usize) -> Line {
    let days: f64 = beds.iter().map(|b| b.days).sum::<f64>().max(1e-9);
    let judged = beds.iter().filter(|b| b.days > 0.0);
    let mut rates: Vec<f64> = judged.map(|b| b.raised[rung] as f64 / b.days).collect();
    rates.sort_by(f64::total_cmp);
    let sum = |of: &dyn Fn(&Calibrated) -> u64| beds.iter().map(of).sum::<u64>() as f64 / days;
    Line {
        mean: sum(&|b| b.raised[rung]),
        median: rates.get(rates.len() / 2).copied().unwrap_or(0.0),
        highest: rates.last().copied().unwrap_or(0.0),
        below: sum(&|b| b.below[rung]),
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut settings = match &args.config {
        Some(path) => super::settings(path)?,
        None => Settings::default(),
    };
    match args.decide.as_deref() {
        Some("fused") => settings.analysis.decide = Decide::Fused,
        Some(_) => settings.analysis.decide = Decide::Channels,
        None => {}
    }
    let budget = args.budget.unwrap_or(settings.analysis.alerts_per_bed_day);
    if !(budget.is_finite() && budget > 0.0) {
        return Err(Failure::Usage(format!("--budget {budget}: a number of advisories a bed-day, above 0")));
    }
    let bundle = Arc::new(live::bundle(args.model.as_deref())?);
    let decide = settings.analysis.decide;
    if decide == Decide::Fused && bundle.fused.is_none() {
        let what = "the bundle has no fused score; `wardbeat fit-live` makes it";
        return Err(Failure::Usage(what.into()));
    }
    let rungs = rehearse::rungs(decide);
    let tapes = Tapes::new(settings.clone(), &args.folder)?;
    let progress = bar(0, "beds");
    let beds = rehearse::calibrate(&bundle, &settings, &tapes.sources()?, &rungs, &progress)?;
    progress.finish_and_clear();
    some_read(beds.iter().map(|b| (b.days, b.fault.as_ref())))?;
    if args.json {
        let settings: Vec<&str> = rungs.iter().map(|r| r.setting.as_str()).collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "settings": settings, "beds": beds }))?);
    } else {
        table(&beds, &rungs, f64::from(budget));
    }
    Ok(())
}

fn table(beds: &[Calibrated], rungs: &[Rung], budget: f64) {
    let days: f64 = beds.iter().map(|b| b.days).sum();
    println!(
        "{} beds, {days:.2} bed-days judged; advisories a bed-day, before the caps of hour and day",
        beds.len()
    );
    println!("{:<58} {:>7} {:>7} {:>8} {:>12}", "", "all", "median", "highest", "listed only");
    let mut kept = None;
    for (i, rung) in rungs.iter().enumerate() {
        let Line { mean, median, highest, below } = line(beds, i);
        println!("{:<58} {mean:>7.1} {median:>7.1} {highest:>8.1} {below:>12.1}", rung.setting);
        if mean <= budget && kept.is_none() {
            kept = Some(rung);
        }
    }
    if days * budget < 10.0 {
        println!(
            "so few bed-days show little of a budget of {budget} a bed-day: record longer before you decide"
        );
    }
    match kept {
        Some(rung) => println!("within {budget} a bed-day: {}", rung.setting),
        None => println!("none of these settings stays within {budget} a bed-day on these recordings"),
    }
}
