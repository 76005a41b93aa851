//! `wardbeat evaluate`: what a bundle is worth on records it never saw.

use super::progress::{Progress, bar};
use super::{Failure, age, cross_validate, evaluate_live};
use crate::model::{Bundle, arrays};
use crate::workshop::bedside::sentences;
use crate::workshop::dataset::PtbXl;
use crate::workshop::evaluate::{Figures, How, Judged, TREES, Told, card, evaluate, pieces};
use crate::workshop::report::promised;
use std::path::{Path, PathBuf};

/// What to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Task {
    /// The superclasses that the network was trained for, and how well clusters follow it.
    Classes,
    /// The patients' ages, told from what the network already holds; also on CODE-15 %.
    Age,
}

/// Judges a bundle on PTB-XL's test fold.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  wardbeat evaluate --data ptbxl\n  wardbeat evaluate --data ptbxl --model models/ptbxl --json figures.json --card\n  wardbeat evaluate --data code15 --task age                ages of CODE-15 %, ten folds by patient\n  wardbeat evaluate --data ptbxl --folds 10                 the paper, on all folds, from where it stopped\n  wardbeat evaluate --data ptbxl --folds 10 --only 3 --until train"
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Folder of PTB-XL; for ages also of CODE-15 % (`exams.csv` and its parts).
    #[arg(long, required = true)]
    data: Option<PathBuf>,
    /// What to judge.
    #[arg(long, value_enum, default_value_t = Task::Classes, conflicts_with_all = ["folds", "card"])]
    task: Task,
    /// Folder of the bundle; by default the one in the program.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Writes the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes the bundle's CARD.md anew, with these figures.
    #[arg(long, requires = "model")]
    card: bool,
    /// Summary of `evaluate live` of the same bundle, for what the card says of alerts.
    #[arg(long, default_value = "docs/reports/live/summary.json")]
    live: PathBuf,
    /// Summary of the cross-validation that chose the bundle, for the card's table.
    #[arg(long, default_value = "docs/reports/ptbxl/summary.json")]
    report: PathBuf,
    /// The fold to judge; it and the one before it were kept from training.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=10))]
    fold: u8,
    /// Only the first N records of each fold.
    #[arg(long)]
    records: Option<usize>,
    #[command(flatten)]
    cross: cross_validate::Args,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The alerts of long recordings with known events, beside honest controls.
    Live(evaluate_live::Args),
}

/// A summary, if it is there and of this bundle.
fn summary(path: &Path, bundle: &Bundle) -> Option<serde_json::Value> {
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (summary["model"] == bundle.id.as_str()).then_some(summary)
}

fn write_card(args: &Args, folder: &Path, bundle: &Bundle, figures: &Figures) -> Result<(), Failure> {
    let names = ["manifest.json", "weights.safetensors", "codebook.safetensors"];
    let bytes = names.map(|name| arrays::read(&folder.join(name)));
    let mut files = Vec::new();
    for (name, bytes) in names.iter().zip(&bytes) {
        files.push((*name, bytes.as_ref().map_err(Clone::clone)?.as_slice()));
    }
    let alerts = summary(&args.live, bundle).as_ref().and_then(sentences);
    let folds = summary(&args.report, bundle).as_ref().and_then(promised);
    let text = card(bundle, figures, &files, Told { alerts, folds });
    arrays::write(&folder.join("CARD.md"), text.as_bytes())?;
    Ok(())
}

/// The folds that teach where `fold` is judged: all but it and the one before it, which chooses.
pub(super) fn taught_by(fold: u8) -> Vec<u8> {
    let choose = if fold == 1 { 10 } else { fold - 1 };
    (1..=10).filter(|f| *f != fold && *f != choose).collect()
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(What::Live(args)) = &args.what {
        return evaluate_live::run(args);
    }
    // clap asks for it where no other command is named.
    let data = args.data.clone().unwrap_or_default();
    let bundle = match &args.model {
        Some(folder) => Bundle::read(folder)?,
        None => Bundle::embedded()?,
    };
    if let Some(upto) = args.cross.folds {
        return cross_validate::run(&args.cross, upto, &bundle, &data, args.records);
    }
    if args.task == Task::Age {
        return age::run(&bundle, &data, args.fold, args.records, args.json.as_deref());
    }
    let progress = bar(0, "reading records");
    let set = PtbXl::read(&data, args.records, &progress)?;
    let train = taught_by(args.fold);
    let how = How { bounds: false, trees: TREES };
    let forests = bar(pieces(bundle.manifest.classes.len(), how), "forests");
    let Judged { figures, .. } = evaluate(&bundle, &set, &train, args.fold, how, &|line| match line {
        "" => forests.inc(1),
        line => forests.say(line),
    })?;
    forests.finish_and_clear();
    println!("leads     macro AUROC");
    for (name, f) in &figures.leads {
        println!("{name:<9} {:.4}", f.auroc_macro);
    }
    let followers = &figures.chosen.followers;
    let (forest, majority) = (&followers["forest"], &followers["majority"]);
    println!(
        "forest agrees with the network in {:.2} % of labels (kappa {:.3}; floor {:.1} %)",
        forest.agreement * 100.0,
        forest.kappa,
        majority.agreement * 100.0
    );
    if let Some(path) = &args.json {
        arrays::write(path, serde_json::to_string_pretty(&figures)?.as_bytes())?;
    }
    if let (true, Some(folder)) = (args.card, &args.model) {
        write_card(args, folder, &bundle, &figures)?;
    }
    Ok(())
}
