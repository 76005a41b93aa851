//! `wardbeat fit-clusters`: from trained weights to a bundle.

use super::Failure;
use super::progress::{Progress, bar};
use crate::model::{Bundle, arrays};
use crate::workshop::dataset::{PtbXl, read_ludb};
use crate::workshop::fit_clusters::{BLOCK_WEIGHTS, CLUSTERS, Plan, fit};
use crate::workshop::train::Training;
use anyhow::Context;
use std::path::PathBuf;

/// Fits clusters, names them and writes the bundle.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wardbeat fit-clusters --weights target/model --data ptbxl --ludb ludb --out models/ptbxl"
)]
pub(super) struct Args {
    /// Folder that `wardbeat train` wrote.
    #[arg(long)]
    weights: PathBuf,
    /// Folder of PTB-XL.
    #[arg(long)]
    data: PathBuf,
    /// Folder of LUDB, for the clusters' names.
    #[arg(long)]
    ludb: PathBuf,
    /// Folder of the bundle to write.
    #[arg(long)]
    out: PathBuf,
    /// Clusters K.
    #[arg(long, default_value_t = CLUSTERS as u64, value_parser = clap::value_parser!(u64).range(2..=64))]
    clusters: u64,
    /// Starts of k-means; the best counts.
    #[arg(long, default_value_t = 24)]
    starts: u64,
    /// Weight of each tapped block in the distance, first to last.
    #[arg(long, value_delimiter = ',', default_values_t = BLOCK_WEIGHTS)]
    block_weights: Vec<f32>,
    /// Seed of sample and starts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fold for thresholds, which the training never saw; by default the one that it was watched on.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=10))]
    choose_fold: Option<u8>,
    /// Name of the bundle.
    #[arg(long, default_value = "ptbxl")]
    name: String,
    /// Only the first N records of each fold.
    #[arg(long)]
    records: Option<usize>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let text = std::fs::read(args.weights.join("training.json")).context("training.json")?;
    let training: Training = serde_json::from_slice(&text).context("training.json")?;
    let choose_fold = args.choose_fold.unwrap_or(training.choose_fold);
    if training.train_folds.contains(&choose_fold) {
        return Err(Failure::Usage(format!("--choose-fold {choose_fold} was trained on")));
    }
    let (weights, _) = arrays::from_bytes(&arrays::read(&args.weights.join("weights.safetensors"))?)?;
    let progress = bar(0, "reading records");
    let set = PtbXl::read(&args.data, args.records, &progress)?;
    let ludb = read_ludb(&args.ludb)?;
    let line = format!(
        "PTB-XL 1.0.3 folds {:?}, {} records, {} epochs, seed {}",
        training.train_folds, training.records, training.epochs, training.seed
    );
    let plan = Plan {
        clusters: args.clusters as usize,
        starts: args.starts,
        block_weights: args.block_weights.clone(),
        seed: args.seed,
        train_folds: training.train_folds,
        choose_fold,
        name: args.name.clone(),
        training: line,
    };
    let fitted = fit(&training.network, &weights, &set, &ludb, &plan, &|line| progress.say(line))?;
    let card = "Not evaluated yet: run `wardbeat evaluate --card`.\n";
    Bundle::write(&args.out, &fitted.manifest, &weights, &fitted.codebook, card)?;
    for (k, name) in fitted.codebook.names.iter().enumerate() {
        println!("{k:>3}  {}", name.name);
    }
    println!("cost {:.4} of a total variance of 1; bundle in {}", fitted.cost, args.out.display());
    Ok(())
}
