//! `wardbeat alerts list`, `show` and `export`.

use super::{hours_ago, journal, the_one};
use crate::cli::Failure;
use crate::daemon::{Asked, Entry, Fate, Reader};
use contract::{Phase, UtcMs, Verb};
use std::path::PathBuf;

/// Which alerts.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The config file.
    #[arg(long, short)]
    config: PathBuf,
    /// The last so many hours.
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// Those that have not ended, whatever their age.
    #[arg(long)]
    open: bool,
    /// Those that were held back (cap, pause, a greater alert of the bed, below the budget): the review list.
    #[arg(long, conflicts_with = "open")]
    held: bool,
    /// One bed, or the beginning of its name.
    #[arg(long)]
    bed: Option<String>,
}

/// Which alert.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The alert's id, or its beginning.
    id: String,
    /// The config file.
    #[arg(long, short)]
    config: PathBuf,
}

/// Which alerts.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The config file.
    #[arg(long, short)]
    config: PathBuf,
    /// The last so many hours.
    #[arg(long, default_value_t = 24)]
    hours: u32,
}

/// One line: when, which, where, what.
fn line(entry: &Entry, more: &str) -> String {
    let alert = &entry.alert;
    let id: String = alert.id.0.chars().take(8).collect();
    let phase = match alert.phase {
        Phase::Start => "start",
        Phase::Update => "update",
        Phase::End => "end",
    };
    let level = if alert.level == contract::Level::Alert { "!!" } else { "!" };
    let mode =
        if alert.mode == contract::Mode::Real { String::new() } else { format!(" [{:?}]", alert.mode) };
    format!(
        "{} {id}:{} {} {:<9} {level:<2} {phase:<6}{mode} {}{more}",
        alert.decided, alert.rev, alert.bed, alert.code, alert.text
    )
}

fn seen(asked: &[Asked], id: &str) -> String {
    let first = asked.iter().find(|a| a.verb == Verb::Ack && a.alert == id);
    first.map_or_else(String::new, |a| format!("  seen by {} at {}", a.by, a.at))
}

fn waits(cursors: &[(String, i64)], seq: i64) -> String {
    let away: Vec<&str> = cursors.iter().filter(|c| c.1 < seq).map(|c| c.0.as_str()).collect();
    if away.is_empty() { String::new() } else { format!("  waits for {}", away.join(", ")) }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let reader = journal(&crate::cli::settings(&args.config)?)?;
    let wanted =
        |entry: &Entry| args.bed.as_ref().is_none_or(|bed| entry.alert.bed.starts_with(bed.as_str()));
    if args.held {
        for (entry, why) in reader.held(hours_ago(args.hours))?.iter().filter(|h| wanted(&h.0)) {
            println!("{}", line(entry, &format!("  held back: {why}")));
        }
        return Ok(());
    }
    let entries = if args.open {
        reader.open_alerts(i64::MAX)?
    } else {
        reader.since(hours_ago(args.hours), i64::MAX)?
    };
    if !entries.iter().any(wanted) {
        let span =
            if args.open { "no alert is open".into() } else { format!("no alert in {} h", args.hours) };
        eprintln!("{span}");
    }
    let (asked, cursors) = (reader.asked(UtcMs(0))?, reader.cursors()?);
    for entry in entries.iter().filter(|e| wanted(e)) {
        println!("{}", line(entry, &(seen(&asked, &entry.alert.id.0) + &waits(&cursors, entry.seq))));
    }
    Ok(())
}

pub(super) fn show(args: &ShowArgs) -> Result<(), Failure> {
    let settings = crate::cli::settings(&args.config)?;
    let id = the_one(&settings, &args.id)?.alert.id;
    let reader = journal(&settings)?;
    let fates = reader.outcomes(&id.0)?;
    for entry in reader.all_of(&id.0)? {
        println!("{}", line(&entry, ""));
        for Fate { sink, outcome, detail, at, .. } in fates.iter().filter(|f| f.cursor == entry.seq) {
            println!("    {sink}: {outcome} {at} {detail}");
        }
        for (sink, cursor) in reader.cursors()?.into_iter().filter(|c| c.1 < entry.seq) {
            println!("    {sink}: waits, done up to {cursor}");
        }
    }
    for asked in reader.asked(UtcMs(0))?.into_iter().filter(|a| a.alert == id.0) {
        println!("{} {} by {}", asked.at, asked.verb, asked.by);
    }
    if let Some(last) = reader.find(&id.0)? {
        println!("{}", serde_json::to_string_pretty(&last.alert)?);
    }
    Ok(())
}

/// Lines a page; the journal is read on while it is written.
const PAGE: usize = 1_000;

pub(super) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let reader: Reader = journal(&crate::cli::settings(&args.config)?)?;
    let since = hours_ago(args.hours);
    let mut cursor = 0;
    loop {
        let entries = reader.after(cursor, PAGE)?;
        let Some(last) = entries.last() else { return Ok(()) };
        cursor = last.seq;
        for entry in entries.iter().filter(|e| e.at >= since) {
            println!("{}", serde_json::to_string(&entry.alert)?);
        }
    }
}
