//! `wardbeat evaluate --folds`: every fold trained, fitted and judged, from where the last sitting stopped.

use super::Failure;
use super::progress::{Progress, bar};
use crate::daemon::Clock;
use crate::model::Bundle;
use crate::workshop;
use crate::workshop::dataset::{Annotated, PtbXl, read_ludb, read_qtdb};
use crate::workshop::evaluate::{TREES, pieces};
use crate::workshop::fit_clusters::{self, BLOCK_WEIGHTS, CLUSTERS};
use crate::workshop::folds::{Fold, Plan};
use crate::workshop::report::{self, Judging, Parts, Sources};
use std::path::{Path, PathBuf};

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Stage {
    /// Networks.
    Train,
    /// Clusters of the networks.
    Fit,
    /// Figures of each fold.
    Judge,
    /// The report.
    Report,
}

/// Options of a cross-validation.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cross-validation")]
pub(super) struct Args {
    /// Cross-validates over the test folds 1 to N: for fold k, fold k+1 chooses (1 after 10) and the others train.
    /// What is done already is kept; a training goes on from its last epoch.
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "card"], value_parser = clap::value_parser!(u8).range(1..=10))]
    pub folds: Option<u8>,
    /// Only these test folds.
    #[arg(long, requires = "folds", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=10))]
    only: Vec<u8>,
    /// Stops after this stage.
    #[arg(long, requires = "folds", value_enum, default_value_t = Stage::Report)]
    until: Stage,
    /// Passes over the training folds.
    #[arg(long, requires = "folds", default_value_t = 16)]
    epochs: u32,
    /// Seed of training and clusters.
    #[arg(long, requires = "folds", default_value_t = 1)]
    seed: u64,
    /// Clusters K.
    #[arg(long, requires = "folds", default_value_t = CLUSTERS as u64, value_parser = clap::value_parser!(u64).range(2..=64))]
    clusters: u64,
    /// Starts of k-means; the best counts.
    #[arg(long, requires = "folds", default_value_t = 24)]
    starts: u64,
    /// Weight of each tapped block in the clusters' distance, first to last.
    #[arg(long, requires = "folds", value_delimiter = ',', default_values_t = BLOCK_WEIGHTS)]
    block_weights: Vec<f32>,
    /// Trees of each forest, in steps of 25; fewer only to try the chain.
    #[arg(long, requires = "folds", default_value_t = TREES as u64, value_parser = clap::value_parser!(u64).range(1..=2_000))]
    trees: u64,
    /// What trains: cpu, cuda, or candle (the GPU's code on the CPU: slow).
    #[arg(long, requires = "folds", default_value = "cpu", value_parser = ["cpu", "cuda", "candle"])]
    device: String,
    /// Folder for the checkpoints of a training that goes on.
    #[arg(long, requires = "folds", default_value = "target/folds")]
    work: PathBuf,
    /// Folder of the report: weights and bundle of each fold, figures, `report.html`.
    #[arg(long, requires = "folds", default_value = "docs/reports/ptbxl")]
    out: PathBuf,
    /// Folder that has `ludb`, `qtdb` and `nstdb`, as far as they are there; by default the one above the data.
    #[arg(long, requires = "folds")]
    recordings: Option<PathBuf>,
    /// Sweeps over K and weights of blocks for the bundle's network first, and says which clusters the rule chooses
    /// (docs/decisions.md).
    #[arg(long, requires = "folds")]
    choose: bool,
}

fn train(plan: &Plan, folds: &[Fold], set: &PtbXl) -> Result<(), Failure> {
    let mut left = 0;
    for fold in folds {
        left += plan.steps_left(*fold, set)?;
    }
    let progress = bar(left, "training");
    for fold in folds {
        let name = fold.name();
        plan.train(*fold, set, &progress, &|epoch| {
            progress.say(&format!(
                "{name}: epoch {} of {}, loss {:.4} + {:.4}, fold {} macro AUROC {:.4} (12 leads), {:.4} (II)",
                epoch.done,
                plan.epochs,
                epoch.loss,
                epoch.auxiliary_loss,
                fold.choose,
                epoch.validation[0],
                epoch.validation[1]
            ));
        })?;
    }
    progress.finish_and_clear();
    Ok(())
}

/// The annotated and noise records beside the data.
struct Beside {
    ludb: Vec<Annotated>,
    qtdb: Vec<Annotated>,
    noise: Option<PathBuf>,
}

fn beside(args: &Args, data: &Path) -> Result<Beside, Failure> {
    let folder = args.recordings.clone().unwrap_or_else(|| data.join(".."));
    let there = |name: &str| {
        let path = folder.join(name);
        if path.exists() {
            return Some(path);
        }
        eprintln!("no {name} in {}: what needs it is left out; see --recordings", folder.display());
        None
    };
    let (ludb, qtdb) = (there("ludb"), there("qtdb"));
    Ok(Beside {
        ludb: ludb.map(|p| read_ludb(&p)).transpose()?.unwrap_or_default(),
        qtdb: qtdb.map(|p| read_qtdb(&p)).transpose()?.unwrap_or_default(),
        noise: there("nstdb"),
    })
}

fn choose(args: &Args, bundle: &Bundle, set: &PtbXl, ludb: &[Annotated]) -> Result<(), Failure> {
    let plan = fit_clusters::Plan {
        clusters: args.clusters as usize,
        starts: args.starts,
        block_weights: args.block_weights.clone(),
        seed: args.seed,
        train_folds: (1..=8).collect(),
        choose_fold: 9,
        name: String::new(),
        training: String::new(),
    };
    let progress = bar(0, "choosing clusters");
    let found = Parts::keep_choice(&args.out, bundle, || {
        workshop::evaluate::choose(bundle, set, ludb, &plan, &|line| progress.say(line))
    })?;
    progress.finish_and_clear();
    for c in &found {
        println!(
            "{} K {:>2} blocks {:?}: agreement {:.2} % (soft {:.2} %), ARI {:.3}, landmark AMI {:.3}",
            if c.chosen { "*" } else { " " },
            c.clusters,
            c.block_weights,
            c.agreement_hard * 100.0,
            c.agreement_soft * 100.0,
            c.ari,
            c.ami
        );
    }
    Ok(())
}

/// Fits and judges the folds that are not yet.
fn judge(
    args: &Args,
    plan: &Plan,
    folds: &[Fold],
    set: &PtbXl,
    ludb: &[Annotated],
) -> Result<Vec<Judging>, Failure> {
    let progress = bar(folds.len() as u64, "folds");
    let mut all = Vec::new();
    for &fold in folds {
        let name = fold.name();
        let bundle = plan.fit(fold, set, ludb, &|line| progress.set_message(format!("{name}: {line}")))?;
        if args.until > Stage::Fit {
            let forests = bar(pieces(bundle.manifest.classes.len(), plan.how()), "forests");
            let judged = plan.judge(fold, &bundle, set, &|line| match line {
                "" => forests.inc(1),
                line => progress.set_message(format!("{name}: {line}")),
            })?;
            forests.finish_and_clear();
            let forest = &judged.figures.chosen.followers["extra_trees"];
            progress.say(&format!(
                "{name}: macro AUROC {:.4}, forest agrees in {:.2} % (kappa {:.3})",
                judged.figures.auroc_macro,
                forest.agreement * 100.0,
                forest.kappa
            ));
            all.push(Judging { fold, bundle, judged });
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(all)
}

pub(super) fn run(
    args: &Args,
    upto: u8,
    bundle: &Bundle,
    data: &Path,
    records: Option<usize>,
) -> Result<(), Failure> {
    let wanted = |fold: &u8| args.only.is_empty() || args.only.contains(fold);
    let folds: Vec<Fold> = (1..=upto).filter(wanted).map(Fold::of).collect();
    if folds.is_empty() {
        return Err(Failure::Usage(format!("--only names no fold from 1 to {upto}")));
    }
    let plan = Plan {
        work: args.work.clone(),
        out: args.out.clone(),
        epochs: args.epochs,
        seed: args.seed,
        clusters: args.clusters as usize,
        starts: args.starts,
        block_weights: args.block_weights.clone(),
        trees: args.trees as usize,
        device: super::train::device(&args.device)?,
    };
    let set = PtbXl::read(data, records, &bar(0, "reading records"))?;
    train(&plan, &folds, &set)?;
    if args.until == Stage::Train {
        return Ok(());
    }
    let Beside { ludb, qtdb, noise } = beside(args, data)?;
    if args.choose {
        choose(args, bundle, &set, &ludb)?;
    }
    let judged = judge(args, &plan, &folds, &set, &ludb)?;
    if args.until < Stage::Report {
        return Ok(());
    }
    let progress = bar(0, "report");
    let clock = Clock::start();
    let sources = Sources { set: &set, ludb: &ludb, qtdb: &qtdb, noise };
    let tell = |line: &str| {
        if !line.is_empty() {
            progress.set_message(line.to_owned());
        }
    };
    let parts = Parts::make(&args.out, bundle, judged, &sources, plan.how(), &|| clock.micros(), &tell)?;
    report::write(&args.out, &parts)?;
    progress.finish_and_clear();
    println!("report in {}", args.out.join("report.html").display());
    Ok(())
}
