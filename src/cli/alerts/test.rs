//! `wardbeat alerts test`: a marked test alert, straight to a destination, without a running Wardbeat.

use crate::cli::Failure;
use crate::daemon;
use anyhow::anyhow;
use contract::BedId;
use std::io::Write;
use std::path::PathBuf;

/// Which destination.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The config file.
    #[arg(long, short)]
    config: PathBuf,
    /// The destination's name; absent = all of the config.
    #[arg(long)]
    sink: Option<String>,
    /// A bed, to test its place in the destination's map; absent = the node's.
    #[arg(long)]
    bed: Option<String>,
    /// Who asks, as the text will say.
    #[arg(long, default_value = "an integrator")]
    by: String,
    /// Prints the bytes that would be sent, and sends nothing.
    #[arg(long)]
    dump: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings = crate::cli::settings(&args.config)?;
    let names: Vec<&str> = settings.sinks.iter().map(|s| s.name.as_str()).collect();
    let known = names.join(", ");
    let chosen: Vec<&str> =
        names.iter().copied().filter(|n| args.sink.as_deref().is_none_or(|s| s == *n)).collect();
    if chosen.is_empty() {
        return Err(Failure::Usage(format!("no such [[sink]]; the config has: {known}")));
    }
    let bed = args.bed.as_deref().map(BedId::new).transpose()?;
    let mut failed = Vec::new();
    for name in chosen {
        let mut out = std::io::stdout().lock();
        match daemon::test_sink(&settings, name, bed.as_ref(), &args.by, args.dump) {
            Ok(told) => out.write_all(&told)?,
            Err(why) => failed.push(format!("{name}: {why}")),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(anyhow!(failed.join("\n")).into()) }
}
