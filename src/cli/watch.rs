//! `wardbeat watch`: the ward's screen on any machine, from the broker alone.

use super::Failure;
use super::dress::Dress;
use super::screen::{self, Elsewhere, Person};
use crate::{config, daemon};
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

/// Shows the ward until somebody leaves.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat watch --broker mqtt://broker.example --site site1\n  wardbeat watch --config config/ward.toml --unit icu\n  wardbeat watch --config config/ward.toml --operator RN --key console.key\n  wardbeat watch --broker mqtt://localhost:1883 --json | head -1\n\nAny number of screens may watch; none of them can slow the daemon. The daemon publishes for them unless its config\nsays publish.view = false. Ages and STOPPED are judged by this machine's own clock."
)]
pub(super) struct Args {
    /// The broker, as in the examples below; port 1883, or 8883 for mqtts, where none is given.
    #[arg(long, value_name = "URL", required_unless_present = "config")]
    broker: Option<String>,
    /// A config whose [broker], site and [display] are used: for logins and certificates.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The site: first level of its topics; without it, and without a config, any.
    #[arg(long)]
    site: Option<String>,
    /// Only the beds of one unit.
    #[arg(long)]
    unit: Option<String>,
    /// Prints the ward as JSON, a line a second, in place of the screen; by itself where standard output is no terminal.
    #[arg(long)]
    json: bool,
    /// The operator's own key file, as `wardbeat keys` writes it: commands go signed to the broker.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    dress: Dress,
    #[command(flatten)]
    person: Person,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut settings = match &args.config {
        Some(file) => {
            config::load(file, &daemon::plugins()).map_err(|faults| Failure::Usage(faults.to_string()))?
        }
        None => config::Settings { timezone: String::new(), site: "+".into(), ..config::Settings::default() },
    };
    if let Some(url) = &args.broker {
        settings.broker.url =
            url.clone().try_into().map_err(|why| Failure::Usage(format!("--broker {url}: {why}")))?;
    }
    if let Some(site) = &args.site {
        settings.site.clone_from(site);
    }
    let watching = daemon::watch(&settings, args.unit.clone())?;
    let ward = Elsewhere::new(watching, args.key.as_deref())?;
    if args.json || !stdout().is_terminal() {
        screen::lines(&ward)
    } else {
        screen::open(&ward, &settings, (&args.dress, &args.person), || false).map_err(Into::into)
    }
}
