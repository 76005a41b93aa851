//! `wardbeat evaluate --folds`: every fold trained, fitted and judged, from where the last sitting stopped.

use super::Failure;
use super::progress::{Progress, bar};
use crate::workshop::dataset::{Annotated, PtbXl, read_ludb};
use crate::workshop::evaluate::pieces;
use crate::workshop::fit_clusters::BLOCK_WEIGHTS;
use crate::workshop::folds::{Fold, Plan};
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
}

/// Options of a cross-validation.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cross-validation")]
pub(super) struct Args {
    /// Cross-validates over the test folds 1 to N: for fold k, fold k+1 chooses (1 after 10) and the others train.
    /// What is done already is kept; a training goes on from its last epoch.
    #[arg(long, value_name = "N", conflicts_with_all = ["model", "json", "card"], value_parser = clap::value_parser!(u8).range(1..=10))]
    pub folds: Option<u8>,
    /// Only these test folds.
    #[arg(long, requires = "folds", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=10))]
    only: Vec<u8>,
    /// Stops after this stage.
    #[arg(long, requires = "folds", value_enum, default_value_t = Stage::Judge)]
    until: Stage,
    /// Passes over the training folds.
    #[arg(long, requires = "folds", default_value_t = 20)]
    epochs: u32,
    /// Seed of training and clusters.
    #[arg(long, requires = "folds", default_value_t = 1)]
    seed: u64,
    /// Clusters K.
    #[arg(long, requires = "folds", default_value_t = 16, value_parser = clap::value_parser!(u64).range(2..=64))]
    clusters: u64,
    /// Starts of k-means; the best counts.
    #[arg(long, requires = "folds", default_value_t = 24)]
    starts: u64,
    /// Weight of each tapped block in the clusters' distance, first to last.
    #[arg(long, requires = "folds", value_delimiter = ',', default_values_t = BLOCK_WEIGHTS)]
    block_weights: Vec<f32>,
    /// Folder for the checkpoints of a training that goes on.
    #[arg(long, requires = "folds", default_value = "target/folds")]
    work: PathBuf,
    /// Folder of the report: weights and bundle of each fold, figures, `report.html`.
    #[arg(long, requires = "folds", default_value = "docs/reports/ptbxl")]
    out: PathBuf,
    /// Folder of LUDB; by default `ludb` beside the data.
    #[arg(long, requires = "folds")]
    ludb: Option<PathBuf>,
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

fn annotated(args: &Args, data: &Path) -> Result<Vec<Annotated>, Failure> {
    let beside = data.parent().unwrap_or(data).join("ludb");
    let folder = args.ludb.as_ref().unwrap_or(&beside);
    if args.ludb.is_none() && !folder.exists() {
        eprintln!("no LUDB in {}: clusters get no names and no landmarks; see --ludb", folder.display());
        return Ok(Vec::new());
    }
    Ok(read_ludb(folder)?)
}

pub(super) fn run(args: &Args, upto: u8, data: &Path, records: Option<usize>) -> Result<(), Failure> {
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
    };
    let set = PtbXl::read(data, records, &bar(0, "reading records"))?;
    train(&plan, &folds, &set)?;
    if args.until == Stage::Train {
        return Ok(());
    }
    let ludb = annotated(args, data)?;
    let progress = bar(folds.len() as u64, "folds");
    for fold in &folds {
        let name = fold.name();
        let bundle = plan.fit(*fold, &set, &ludb, &|line| progress.set_message(format!("{name}: {line}")))?;
        if args.until > Stage::Fit {
            let forests = bar(pieces(bundle.manifest.classes.len(), true), "forests");
            let judged = plan.judge(*fold, &bundle, &set, &|line| match line {
                "" => forests.inc(1),
                line => progress.set_message(format!("{name}: {line}")),
            })?;
            forests.finish_and_clear();
            let forest = &judged.figures.chosen.followers["forest"];
            progress.say(&format!(
                "{name}: macro AUROC {:.4}, forest agrees in {:.2} % (kappa {:.3})",
                judged.figures.auroc_macro,
                forest.agreement * 100.0,
                forest.kappa
            ));
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}
