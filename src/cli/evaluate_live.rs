//! `wardbeat evaluate live` and `wardbeat fit-live`: alerts on long recordings with known events, beside honest controls.

use super::progress::{Progress, bar};
use super::{Failure, live};
use crate::model::{Bundle, LIVE, arrays, sha256_hex};
use crate::workshop::bedside::{self, Bench, Scene};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs the recordings through the pipeline as beds and counts what is raised.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat evaluate live --data recordings\n  wardbeat evaluate live --data recordings --model models/new --out /tmp/live"
)]
pub(super) struct Args {
    #[command(flatten)]
    what: Recordings,
    /// Folder of the bundle; by default the one in the program.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Writes `report.html` too, with a strip of every event told or missed and of every false alert.
    #[arg(long)]
    strips: bool,
    /// Folder of the report.
    #[arg(long, default_value = "docs/reports/live")]
    out: PathBuf,
}

/// Fits the fused score of a bundle on all recordings with true alarms and writes it into the bundle.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wardbeat fit-live --data recordings --model models/ptbxl")]
pub(super) struct FitArgs {
    #[command(flatten)]
    what: Recordings,
    /// Folder of the bundle.
    #[arg(long)]
    model: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Recordings {
    /// Folder that has `cinc2015`, `mitdb`, `nstdb` and `qtdb`, as far as they are there.
    #[arg(long)]
    data: PathBuf,
    /// Folder for what each second of each recording showed; what is there is not computed again.
    #[arg(long, default_value = "target/bedside")]
    work: PathBuf,
}

fn scenes(what: &Recordings, bundle: &Arc<Bundle>) -> Result<Vec<Scene>, Failure> {
    let records = bedside::records(&what.data)?;
    if records.is_empty() {
        let sets = "cinc2015, mitdb, nstdb, qtdb";
        return Err(Failure::Usage(format!("{}: none of {sets} is there", what.data.display())));
    }
    let progress = bar(0, "recordings");
    let cached = bedside::fill(bundle, &records, &what.work, &progress)?;
    progress.finish_and_clear();
    let seconds: usize = cached.iter().map(|c| c.facts.len()).sum();
    progress.say(&format!("{} recordings, {:.1} bed-hours", records.len(), seconds as f64 / 3_600.0));
    Ok(bedside::scenes(&records, cached))
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let bundle = Arc::new(live::bundle(args.model.as_deref())?);
    let scenes = scenes(&args.what, &bundle)?;
    let progress = bar(0, "rows");
    let bench = bedside::bench(&bundle, &scenes, &|line| progress.say(line))?;
    told(&bench);
    let path = args.out.join("summary.json");
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    arrays::write(&path, (serde_json::to_string_pretty(&bedside::summary(&bench))? + "\n").as_bytes())?;
    println!("{}", path.display());
    if args.strips {
        strips(args, &bundle, &scenes, &bench)?;
    }
    Ok(())
}

fn strips(args: &Args, bundle: &Arc<Bundle>, scenes: &[Scene], bench: &Bench) -> Result<(), Failure> {
    let leaves = bedside::leaves(bundle, scenes, bench)?;
    let folder = args.out.join("strips");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // What an earlier run left would not be of this page.
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "svg") {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    for leaf in &leaves {
        arrays::write(&folder.join(&leaf.file), leaf.svg.as_bytes())?;
    }
    let page = args.out.join("report.html");
    arrays::write(&page, bedside::page(bench, &leaves).as_bytes())?;
    println!("{}, {} strips", page.display(), leaves.len());
    Ok(())
}

fn told(bench: &Bench) {
    println!(
        "{} intensive-care recordings, {:.1} bed-hours counted; {} without any verdict ({} true alarms)",
        bench.recordings, bench.hours, bench.silent[0], bench.silent[1]
    );
    println!("{:<24} AUROC all / VT   sensitivity all / VT [realised] at 8, 4, 2, 1, 0.5 an hour", "");
    for row in &bench.rows {
        let of = |kind| row.auroc.get(kind).map_or(f64::NAN, |s| s.share.value);
        let at = row.at.iter().map(|at| {
            let of = |kind| at.sensitivity.get(kind).map_or(f64::NAN, |s| s.share.value);
            format!("{:.2}/{:.2} [{:.1}]", of("all"), of("vt"), at.realised)
        });
        println!(
            "{:<24} {:.3} / {:.3}   {}",
            row.name,
            of("all"),
            of("vt"),
            at.collect::<Vec<_>>().join("  ")
        );
    }
    for (name, h) in [("fused", &bench.fused), ("fused without clusters", &bench.control)] {
        let onsets = h
            .onsets
            .iter()
            .map(|o| format!("{} {}/{} ({}/{} fresh)", o.kind, o.told, o.all, o.fresh_told, o.fresh));
        println!(
            "{name}: normal {:.2} an hour ({} in {:.1} h), quiet {:.2} ({:.1} h), onsets {}, in noise {}",
            h.normal.rate.value,
            h.normal.alerts,
            h.normal.hours,
            h.quiet.rate.value,
            h.quiet.hours,
            onsets.collect::<Vec<_>>().join(", "),
            h.noise[0]
        );
    }
    for line in bedside::gains_told(bench).into_iter().chain(bedside::gate_told(&bench.gate)) {
        println!("{line}");
    }
    println!(
        "alerts an hour on long recordings [deviation over beds], by budget: population's limit, own tail, both ways"
    );
    for b in &bench.budgets {
        let cells = [&b.population, &b.own, &b.both_ways].map(|s| format!("{:.2} [{:.1}]", s.per_hour, s.sd));
        println!("{:>4}: {}", b.per_hour, cells.join("  "));
    }
    println!("challenge 2015 score {:.1}", bench.challenge.score);
}

fn codebook(folder: &Path) -> Result<String, Failure> {
    Ok(sha256_hex(&arrays::read(&folder.join("codebook.safetensors"))?))
}

pub(super) fn fit(args: &FitArgs) -> Result<(), Failure> {
    let bundle = Arc::new(Bundle::read(&args.model)?);
    let scenes = scenes(&args.what, &bundle)?;
    let fused = bedside::fit_live(&bundle, &codebook(&args.model)?, &scenes);
    arrays::write(&args.model.join(LIVE), &fused.to_bytes()?)?;
    let after = Bundle::read(&args.model)?;
    println!("{}: {}; the bundle is now {}", args.model.join(LIVE).display(), fused.training, after.id);
    Ok(())
}
