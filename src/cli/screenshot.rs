//! `wardbeat screenshot`: a picture of the screen for documents, from the program's own cells.

use super::dress::Dress;
use super::{Failure, screen};
use crate::config::Settings;
use crate::display::{self, Depth};
use crate::snapshot::Snapshot;
use anyhow::Context;
use std::fs;
use std::path::PathBuf;

/// Draws a ward as the terminal would, as SVG.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat demo --headless --seconds 50 --scenario ward.json\n  wardbeat screenshot --scenario ward.json --size 120x40 --out ward.svg\n  wardbeat screenshot --scenario ward.json --size 80x24 --keys 02 --theme light --out bed.svg\n\nA scenario is a ward as JSON: what `demo --scenario` writes, or any line of `watch --json`."
)]
pub(super) struct Args {
    /// The ward, as JSON.
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Columns and rows.
    #[arg(long, default_value = "120x40", value_parser = size)]
    size: (u16, u16),
    /// Keys to press first: 02 opens bed 2, l the list, d health, ? help.
    #[arg(long, default_value = "")]
    keys: String,
    /// Draws the screen as this operator has it.
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Where the picture goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    dress: Dress,
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    parsed
        .filter(|(w, h)| (1..=500).contains(w) && (1..=300).contains(h))
        .ok_or_else(|| "columns and rows are expected, such as 120x40".into())
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let named = || args.scenario.display().to_string();
    let text = fs::read_to_string(&args.scenario).with_context(named)?;
    let first = text.lines().next().filter(|line| line.ends_with('}')).unwrap_or(&text);
    let snapshot: Snapshot = serde_json::from_str(first).with_context(named)?;
    let plain = Settings { timezone: String::new(), ..Settings::default() };
    let mut options = screen::options(&plain, &args.dress);
    options.look.depth = Depth::True;
    options.operator.clone_from(&args.operator);
    let picture = display::picture(&snapshot, &options, args.size, &args.keys)?;
    fs::write(&args.out, picture).with_context(|| args.out.display().to_string())?;
    Ok(())
}
