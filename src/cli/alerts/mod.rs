//! `wardbeat alerts`: what stands in the journal, and what a person does about it.

mod ack;
mod burden;
mod list;
mod test;

use super::Failure;
use crate::config::Settings;
use crate::daemon::{Clock, Entry, Reader, ask_resend};
use anyhow::anyhow;
use contract::UtcMs;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  wardbeat alerts list --config ward.toml --open
  wardbeat alerts show 2500be51 --config ward.toml
  wardbeat alerts ack 2500be51 --config ward.toml --key console.key --by RN
  wardbeat alerts test --config ward.toml --sink nurse-call
  wardbeat alerts test --config ward.toml --sink nurse-call --dump
  wardbeat alerts resend 2500be51 --config ward.toml --sink nurse-call
  wardbeat alerts export --config ward.toml --hours 720 > alerts.jsonl
  wardbeat alerts burden --config ward.toml --hours 168

An alert may be named by the beginning of its id. All but ack, test and resend only read, beside a running Wardbeat.";

/// Alerts on disk.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists alerts, the newest last.
    List(list::Args),
    /// Shows all that was said of one alert, what became of it at each destination, and who has seen it.
    Show(list::ShowArgs),
    /// Acknowledges an alert, by a signed command to the running Wardbeat.
    Ack(ack::Args),
    /// Has an alert delivered once more, under the same key.
    Resend {
        /// The alert's id, or its beginning.
        id: String,
        /// The config file.
        #[arg(long, short)]
        config: PathBuf,
        /// One destination; absent = all.
        #[arg(long)]
        sink: Option<String>,
    },
    /// Prints alerts as lines of JSON, the same bytes that were delivered.
    Export(list::ExportArgs),
    /// How many alerts a bed and day, how soon they were seen, what was held back.
    Burden(burden::Args),
    /// Sends a marked test alert straight to a destination.
    Test(test::Args),
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::List(args) => list::run(args),
        What::Show(args) => list::show(args),
        What::Export(args) => list::export(args),
        What::Ack(args) => ack::run(args),
        What::Burden(args) => burden::run(args),
        What::Test(args) => test::run(args),
        What::Resend { id, config, sink } => resend(id, config, sink.as_deref()),
    }
}

fn resend(id: &str, config: &std::path::Path, sink: Option<&str>) -> Result<(), Failure> {
    let settings = super::settings(config)?;
    let alert = the_one(&settings, id)?.alert;
    let asked = ask_resend(&settings.journal.path, &alert.id.0, sink)?;
    if asked == 0 {
        let why = "nothing to send again: no such destination, or it has not had the alert yet";
        return Err(anyhow!(why).into());
    }
    println!("{asked} deliveries of {} are asked for; a running Wardbeat makes them now", alert.id);
    Ok(())
}

/// The journal of a config.
fn journal(settings: &Settings) -> Result<Reader, Failure> {
    Ok(Reader::open(&settings.journal.path)?)
}

/// So many hours ago.
fn hours_ago(hours: u32) -> UtcMs {
    Clock::start().utc().after(-i64::from(hours) * 3_600_000)
}

/// The one alert whose id begins so, as it was last said.
fn the_one(settings: &Settings, id: &str) -> Result<Entry, Failure> {
    let path = &settings.journal.path;
    let mut found = journal(settings)?.beginning_with(id)?;
    match (found.len(), id.len()) {
        (1, 4..) => Ok(found.remove(0)),
        (0, _) => Err(Failure::Usage(format!("{}: no alert begins with {id:?}", path.display()))),
        _ => Err(Failure::Usage(format!("{id:?} is not enough to tell one alert; give more of its id"))),
    }
}
