//! `wardbeat audit-log verify`: whether the log of who did what is whole.

use super::Failure;
use crate::daemon::Audit;
use std::path::PathBuf;

/// The audit log.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat audit-log verify --config ward.toml\n  wardbeat audit-log verify --file wardbeat.audit.jsonl\n\nExit code 1 names the first line that was edited, put in or taken out, or says that the end was cut."
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Holds every line against its hash and the line before.
    Verify {
        /// The config file.
        #[arg(long, short, required_unless_present = "file")]
        config: Option<PathBuf>,
        /// The log itself.
        #[arg(long, conflicts_with = "config")]
        file: Option<PathBuf>,
    },
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let What::Verify { config, file } = &args.what;
    let path = match (file, config) {
        (Some(file), _) => file.clone(),
        (None, Some(config)) => super::settings(config)?.audit_path(),
        (None, None) => return Err(Failure::Usage("--config or --file is needed".into())),
    };
    let standing = Audit::new(&path).verify()?;
    println!("{}: holds, {} lines, last hash {}", path.display(), standing.lines, standing.hash);
    Ok(())
}
