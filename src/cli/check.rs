//! `wardbeat check`: all faults of a config at once.

use super::Failure;
use crate::{config, daemon};
use std::path::PathBuf;

/// Checks a config.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat check config/ward.toml\n  wardbeat check --schema > wardbeat.schema.json\n  wardbeat check --documented > my.toml"
)]
pub(super) struct Args {
    /// The config file.
    #[arg(required_unless_present_any = ["schema", "documented"])]
    file: Option<PathBuf>,
    /// Prints the JSON schema of a config instead, for editors.
    #[arg(long, conflicts_with = "file")]
    schema: bool,
    /// Prints a config with every key, its default and its reason instead.
    #[arg(long, conflicts_with_all = ["file", "schema"])]
    documented: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let plugins = daemon::plugins();
    if args.schema {
        println!("{}", serde_json::to_string_pretty(&config::schema(&plugins))?);
    }
    if args.documented {
        print!("{}", config::documented(&plugins));
    }
    if let Some(file) = &args.file {
        let settings = config::load(file, &plugins).map_err(|faults| Failure::Usage(faults.to_string()))?;
        println!("{}: good, {} sources, config {}", file.display(), settings.sources.len(), settings.id());
    }
    Ok(())
}
