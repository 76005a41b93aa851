//! `wardbeat alerts`: what stands in the journal, and what a person does about it.

mod ack;

use super::Failure;
use crate::config::Settings;
use crate::daemon::{Entry, Reader};
use anyhow::anyhow;

const EXAMPLES: &str = "\
Examples:
  wardbeat alerts ack 2500be51 --config ward.toml --key console.key --by RN

An alert may be named by the beginning of its id.";

/// Alerts on disk.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Acknowledges an alert, by a signed command to the running Wardbeat.
    Ack(ack::Args),
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::Ack(args) => ack::run(args),
    }
}

/// The one alert whose id begins so, as it was last said.
fn the_one(settings: &Settings, id: &str) -> Result<Entry, Failure> {
    let path = &settings.journal.path;
    let mut found = Reader::open(path)?.beginning_with(id).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    match (found.len(), id.len()) {
        (1, 4..) => Ok(found.remove(0)),
        (0, _) => Err(Failure::Usage(format!("{}: no alert begins with {id:?}", path.display()))),
        _ => Err(Failure::Usage(format!("{id:?} is not enough to tell one alert; give more of its id"))),
    }
}
