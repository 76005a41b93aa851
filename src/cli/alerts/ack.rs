//! `wardbeat alerts ack`.

use crate::cli::Failure;
use crate::daemon::{read_own, send};
use anyhow::anyhow;
use contract::{BedId, Command};
use std::path::PathBuf;
use std::time::Duration;

/// Acknowledges an alert.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The alert's id, or its beginning.
    id: String,
    /// The config file.
    #[arg(long, short)]
    config: PathBuf,
    /// The key's own file, as `wardbeat keys new` wrote it.
    #[arg(long)]
    key: PathBuf,
    /// Who has seen it.
    #[arg(long)]
    by: String,
    /// Seconds to wait for the answer.
    #[arg(long, default_value_t = 5)]
    patience: u64,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings = crate::cli::settings(&args.config)?;
    let alert = super::the_one(&settings, &args.id)?.alert;
    let bed = BedId::new(&alert.bed)?;
    let (name, secret) = read_own(&args.key)?;
    let command = Command::Acknowledge { alert: alert.id.clone(), rev: Some(alert.rev) };
    let patience = Duration::from_secs(args.patience);
    let answer = send(&settings, (&name, &secret), &args.by, (&bed, &command), patience)?;
    if !answer.ok {
        return Err(anyhow!("{:?}: {}", answer.status, answer.why).into());
    }
    println!("{} of {bed} is acknowledged by {}: {}", alert.id, args.by, alert.text);
    Ok(())
}
