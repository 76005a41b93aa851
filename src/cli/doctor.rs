//! `wardbeat doctor`: which link is dumb.

use super::Failure;
use crate::daemon::{self, Health};
use crate::{config, model};
use anyhow::anyhow;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  wardbeat doctor --config config/ward.toml
  wardbeat doctor --config config/ward.toml --seconds 60

It listens and probes, sends no alert and publishes nothing; it may run beside a running Wardbeat. A letter leads each
line: . well, ? somebody should look, ! does not work. Exit codes: 0 all works; 1 something does not; 2 the config is wrong.";

/// Examines config, model, disk, broker, topics, frames, clocks and destinations, one after the other.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The config file.
    #[arg(long, short)]
    config: PathBuf,
    /// Listens for so long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Folder of a bundle, in place of the one in this program.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings =
        config::load(&args.config, &daemon::plugins()).map_err(|f| Failure::Usage(f.to_string()))?;
    println!(". config: good, {}", settings.id());
    let bundle = super::live::bundle(args.model.as_deref())?;
    let name = if settings.device == config::Device::Cpu { "cpu" } else { "cuda" };
    let engine = model::open_engine(&bundle, name).or_else(|_| model::open_engine(&bundle, "cpu"))?;
    println!(". model: {} on {}", bundle.id, engine.family());
    let mut ill = 0;
    daemon::examine(&settings, Duration::from_secs(args.seconds.clamp(1, 3_600)), |line| {
        let letter = match line.health {
            Health::Well => '.',
            Health::Doubtful => '?',
            Health::Ill => '!',
        };
        ill += u32::from(line.health == Health::Ill);
        println!("{letter} {}: {}", line.part, line.what);
    })?;
    if ill == 0 { Ok(()) } else { Err(anyhow!("{ill} of the lines above begin with !").into()) }
}
