//! `wardbeat export-onnx`: the folded network for other engines.

use super::{Failure, live};
use crate::model::{arrays, to_onnx};
use std::path::PathBuf;

/// Writes the folded network as an ONNX file, for other engines.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat export-onnx --out wardbeat.onnx\n  wardbeat export-onnx --model target/model --out mine.onnx\n\nInputs: x [n, 12, time] at 100 Hz, filtered, in units of 0.25 mV, absent leads 0; mask [n, 12].\nOutputs: taps [n, channel, step] and logits [n, class, step], one step for 4 samples."
)]
pub(super) struct Args {
    /// Folder of a bundle, in place of the one in this program.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// The file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let bundle = live::bundle(args.model.as_deref())?;
    let bytes = to_onnx(&bundle)?;
    arrays::write(&args.out, &bytes)?;
    println!("{}: network of {}, {} bytes", args.out.display(), bundle.id, bytes.len());
    Ok(())
}
