//! `wardbeat audit`: which labels of a data set deserve a second look.

use super::Failure;
use super::progress::bar;
use crate::model::{Bundle, arrays};
use crate::workshop::audit::audit;
use crate::workshop::dataset::PtbXl;
use std::path::PathBuf;
use std::sync::Arc;

/// Lists the labels of a data set that are most likely wrong, with their strips.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wardbeat audit ptbxl --fold 9,10 --out audit\n\nThe folder has the layout of PTB-XL: `ptbxl_database.csv` with the columns ecg_id, patient_id, strat_fold,\nNORM, MI, STTC, CD, HYP and filename_lr, and the 12-lead records of 10 s at 100 Hz that it names.\nFor PTB-XL itself audit folds 9 and 10 only: the bundle was trained on the others and has learnt their errors."
)]
pub(super) struct Args {
    /// Folder of the data set.
    data: PathBuf,
    /// Folder for `audit.csv` and `audit.html`.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Folder of the bundle; by default the one in the program.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Only these folds of the table (column `strat_fold`).
    #[arg(long, value_delimiter = ',')]
    fold: Vec<u8>,
    /// Entries in the list.
    #[arg(long, default_value_t = 200)]
    top: usize,
    /// Strips on the page.
    #[arg(long, default_value_t = 20)]
    strips: usize,
    /// Only the first N records of each fold.
    #[arg(long)]
    records: Option<usize>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let bundle = Arc::new(match &args.model {
        Some(folder) => Bundle::read(folder)?,
        None => Bundle::embedded()?,
    });
    let set = PtbXl::read(&args.data, args.records, &bar(0, "reading records"))?;
    let folds = if args.fold.is_empty() { (0..=u8::MAX).collect() } else { args.fold.clone() };
    let audit = audit(&bundle, &set, &folds)?;
    std::fs::create_dir_all(&args.out)?;
    arrays::write(&args.out.join("audit.csv"), audit.csv(&set, args.top).as_bytes())?;
    arrays::write(&args.out.join("audit.html"), audit.html(&bundle, &set, args.strips)?.as_bytes())?;
    println!(
        "{} records; about {:.1} % of entries look wrong; list in {}",
        audit.records,
        audit.rate * 100.0,
        args.out.join("audit.html").display()
    );
    Ok(())
}
