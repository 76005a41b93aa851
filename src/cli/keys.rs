//! `wardbeat keys`: who may acknowledge, pause, mark and relearn over MQTT and HTTP.

use super::Failure;
use crate::config::Settings;
use crate::daemon::{Audit, Clock, Keys};
use contract::Verb;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  wardbeat keys new ward-console --config ward.toml --verbs ack,pause,resume --units icu --out console.key
  wardbeat keys list --config ward.toml
  wardbeat keys revoke ward-console --config ward.toml

The config names the file of keys ([commands] keys_file). Each key's own file (--out) holds its name and secret, for
whoever will hold it; it is shown nowhere else. A running Wardbeat knows of a new or revoked key at once.";

/// Command keys.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Makes a key.
    New {
        /// Its name, as it will stand in commands and in the audit log.
        name: String,
        /// The config file.
        #[arg(long, short)]
        config: PathBuf,
        /// What it may ask: ack, pause, resume, mark, relearn, test.
        #[arg(long, value_delimiter = ',', default_value = "ack,pause,resume,mark")]
        verbs: Vec<Verb>,
        /// The units it may ask it of; absent = all of the site.
        #[arg(long, value_delimiter = ',')]
        units: Vec<String>,
        /// The key's own file; it must not exist yet.
        #[arg(long)]
        out: PathBuf,
    },
    /// Lists the keys, without their secrets.
    List {
        /// The config file.
        #[arg(long, short)]
        config: PathBuf,
    },
    /// Revokes a key for good.
    Revoke {
        /// Its name.
        name: String,
        /// The config file.
        #[arg(long, short)]
        config: PathBuf,
    },
}

/// The config and its file of keys.
fn keys_file(config: &Path) -> Result<(Settings, PathBuf), Failure> {
    let settings = super::settings(config)?;
    let path = settings.commands.keys_file.clone();
    let path =
        path.ok_or_else(|| Failure::Usage(format!("{}: [commands] keys_file is missing", config.display())))?;
    Ok((settings, path))
}

fn audited(settings: &Settings, name: &str, detail: &Value) -> Result<(), Failure> {
    Ok(Audit::new(&settings.audit_path()).append("key", name, detail, Clock::start().utc())?)
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let now = Clock::start().utc();
    match &args.what {
        What::New { name, config, verbs, units, out } => {
            let (settings, path) = keys_file(config)?;
            Keys::add(&path, out, (name, verbs, units), now)?;
            audited(&settings, name, &json!({"new": name, "verbs": verbs, "units": units}))?;
            println!(
                "{}: the key's own file; give it to whoever will hold it, and keep it nowhere else",
                out.display()
            );
        }
        What::List { config } => {
            let (_, path) = keys_file(config)?;
            for key in Keys::read(&path)?.keys {
                let verbs: Vec<&str> = key.verbs.iter().map(|v| v.as_str()).collect();
                let units = if key.units.is_empty() { "all units".into() } else { key.units.join(",") };
                let revoked = key.revoked.map_or_else(String::new, |at| format!("  revoked {at}"));
                println!("{}  {}  {units}  made {}{revoked}", key.name, verbs.join(","), key.created);
            }
        }
        What::Revoke { name, config } => {
            let (settings, path) = keys_file(config)?;
            Keys::revoke(&path, name, now)?;
            audited(&settings, name, &json!({"revoked": name}))?;
            println!("{name} is revoked");
        }
    }
    Ok(())
}
