//! `wardbeat train`: the network, from PTB-XL.

use super::Failure;
use super::progress::{Progress, bar};
use crate::model::{Device, cuda};
use crate::workshop::dataset::PtbXl;
use crate::workshop::train::{Plan, Run};
use std::path::PathBuf;

/// Trains the network on PTB-XL; saves after every epoch.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat train --data ptbxl --out target/model\n  wardbeat train --data ptbxl --out target/model --resume\n  wardbeat train --data ptbxl --out target/model --device cuda\n\nThen: wardbeat fit-clusters, wardbeat evaluate."
)]
pub(super) struct Args {
    /// Folder of PTB-XL 1.0.3 (`ptbxl_database.csv`, `records100`).
    #[arg(long)]
    data: PathBuf,
    /// Folder for checkpoint and weights.
    #[arg(long)]
    out: PathBuf,
    /// Passes over the training folds.
    #[arg(long, default_value_t = 16)]
    epochs: u32,
    /// Seed; the same seed gives the same weights on any number of cores (on a GPU to rounding).
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fold kept for the report.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=10))]
    test_fold: u8,
    /// Fold kept for choices; by default the one before the test fold.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=10))]
    choose_fold: Option<u8>,
    /// Only the first N records of each fold.
    #[arg(long)]
    records: Option<usize>,
    /// Goes on from the checkpoint in the folder.
    #[arg(long)]
    resume: bool,
    /// What trains: cpu, cuda, or candle (the GPU's code on the CPU: slow).
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "cuda", "candle"])]
    device: String,
}

/// What trains, by its name; `None`: the CPU's own operations.
pub(super) fn device(name: &str) -> Result<Option<Device>, Failure> {
    Ok(match name {
        "cuda" => Some(cuda()?),
        "candle" => Some(Device::Cpu),
        _ => None,
    })
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let choose_fold = args.choose_fold.unwrap_or(if args.test_fold == 1 { 10 } else { args.test_fold - 1 });
    if choose_fold == args.test_fold {
        return Err(Failure::Usage("--choose-fold must differ from --test-fold".into()));
    }
    let device = device(&args.device)?;
    std::fs::create_dir_all(&args.out)?;
    let reading = bar(0, "reading records");
    let set = PtbXl::read(&args.data, args.records, &reading)?;
    let plan = Plan {
        out: args.out.clone(),
        epochs: args.epochs,
        seed: args.seed,
        train_folds: (1..=10).filter(|f| *f != args.test_fold && *f != choose_fold).collect(),
        choose_fold,
        resume: args.resume,
        device,
    };
    let mut run = Run::new(plan, &set)?;
    let steps = run.steps_per_epoch();
    let progress = bar(steps * u64::from(args.epochs), "training");
    progress.set_position(steps * u64::from(run.epochs_done()));
    progress.reset_eta();
    while run.epochs_done() < args.epochs {
        let epoch = run.epoch(&progress)?;
        run.finish()?;
        progress.say(&format!(
            "epoch {} of {}: loss {:.4} + {:.4}, fold {choose_fold} macro AUROC {:.4} (12 leads), {:.4} (II)",
            epoch.done,
            args.epochs,
            epoch.loss,
            epoch.auxiliary_loss,
            epoch.validation[0],
            epoch.validation[1]
        ));
    }
    progress.finish_and_clear();
    run.finish()?;
    println!("weights in {}; next: wardbeat fit-clusters", args.out.display());
    Ok(())
}
