//! `wardbeat run`: beside real monitors.

use super::dress::Dress;
use super::screen::{self, Person};
use super::{Failure, INTENDED_USE, live};
use crate::{config, daemon};
use std::path::PathBuf;
use std::sync::Arc;

/// Runs until SIGINT or SIGTERM.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat run --config config/ward.toml\n  wardbeat run --config config/ward.toml --tui\n\nSIGINT and SIGTERM drain and end with 0; a second one ends at once. RUST_LOG sets the log lines."
)]
pub(super) struct Args {
    /// The config file.
    #[arg(long, short)]
    config: PathBuf,
    /// Opens the terminal on this machine.
    #[arg(long)]
    tui: bool,
    /// Folder of a bundle (weights, clusters, card), in place of the one in this program.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    dress: Dress,
    #[command(flatten)]
    person: Person,
    /// What runs the network, in place of the config's word.
    #[arg(long)]
    device: Option<config::Device>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let plugins = daemon::plugins();
    let mut settings =
        config::load(&args.config, &plugins).map_err(|faults| Failure::Usage(faults.to_string()))?;
    if let Some(device) = &args.device {
        settings.device = *device;
    }
    eprint!("{INTENDED_USE}");
    if !args.tui {
        live::log();
    }
    let bundle = Arc::new(live::bundle(args.model.as_deref())?);
    let running = daemon::start(settings.clone(), bundle)?;
    if args.tui {
        screen::open(&running, &settings, (&args.dress, &args.person), || false)?;
    } else {
        live::watch(&running, || false);
    }
    let counters = running.stop();
    println!("{}", serde_json::to_string(&counters)?);
    Ok(())
}
