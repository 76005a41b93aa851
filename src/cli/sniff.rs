//! `wardbeat sniff`: what is on a broker, and the config that would read it.

use super::Failure;
use crate::config::BrokerUrl;
use crate::daemon;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  wardbeat sniff --broker mqtt://localhost:1883
  wardbeat sniff --broker mqtt://localhost:1883 --topic 'hobby/#' --seconds 30 > sources.toml

Standard output is a config's [[source]] sections; what was heard stands beside it as comments. It listens only, and
publishes nothing. Exit code 1 where no ECG was found.";

/// Listens to a broker and guesses the dialects that are spoken there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The broker.
    #[arg(long, value_parser = BrokerUrl::parse, value_name = "URL")]
    broker: BrokerUrl,
    /// What to listen to.
    #[arg(long, default_value = "#")]
    topic: String,
    /// For so long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    eprintln!("listening to {} at {} for {} s", args.topic, args.broker, args.seconds);
    let found = daemon::sniff(&args.broker, &args.topic, Duration::from_secs(args.seconds.clamp(1, 3_600)))?;
    for guess in &found {
        println!("# {}: {} topics, {} messages: {}", guess.filter, guess.topics, guess.messages, guess.what);
        if !guess.config.is_empty() {
            println!("{}", guess.config);
        }
    }
    if found.iter().any(|guess| !guess.config.is_empty()) {
        return Ok(());
    }
    let what = if found.is_empty() { "nothing was heard" } else { "no ECG was found" };
    Err(anyhow::anyhow!(
        "{what}; try a longer --seconds, another --topic, or see docs/wire.md, Other dialects"
    )
    .into())
}
