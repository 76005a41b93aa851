//! What a person waits for: the start, and the terminal's cost.

use crate::Options;
use crate::measure::{Calls, median, on_one_core, timed};
use crate::processes::{Broker, Process, daemon};
use crate::summary::Summary;
use anyhow::Result;
use std::hint::black_box;
use std::time::Instant;
use wardbeat::display::{Look, Ui, view};
use wardbeat::snapshot::Snapshot;

const STARTS: usize = 5;
/// Beds on the screen.
const BEDS: usize = 64;
/// Pictures a second.
const PICTURES_HZ: f64 = 10.0;

pub fn run(_: &Options, summary: &mut Summary) -> Result<()> {
    println!("\nProgram");
    let start_ms = median((0..STARTS).map(|_| start_ms()).collect::<Result<Vec<_>>>()?);
    println!("  from the command to `online` at the broker: {start_ms:.0} ms (median of {STARTS})");
    summary.number("start_ms", start_ms);
    on_one_core(|| terminal(summary));
    Ok(())
}

fn start_ms() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let mut listener = Process::role(&["listener", &broker.port.to_string(), "1", "0", "1"])?;
    listener.until("listening")?;
    let began = Instant::now();
    let daemon = daemon(folder.path(), broker.port)?;
    listener.until("online")?;
    let ms = began.elapsed().as_secs_f64() * 1e3;
    daemon.terminate()?;
    listener.end()?;
    Ok(ms)
}

/// A ward as a screen is given it, by way of the pipeline; and what making and drawing one picture costs.
fn terminal(summary: &mut Summary) {
    let (ward, now) = crate::signal::ward(BEDS, 16);
    let snapshots = Calls(timed(40, || drop(black_box(ward.snapshot(now)))));
    let (beds, alerts) = ward.snapshot(now);
    let snapshot = Snapshot { now: Some(now.utc), beds, alerts, ..Snapshot::default() };
    let ui = Ui::new(Look::default(), jiff::tz::TimeZone::UTC);
    let frames = Calls(timed(40, || drop(black_box(view(&snapshot, &ui, 0, (200, 60))))));
    let share = (snapshots.cpu_ms() + frames.cpu_ms()) * PICTURES_HZ / 1e3;
    println!(
        "  terminal, {BEDS} beds: {:.2} ms to make a picture, {:.2} ms to draw it at 200 x 60; ten a second are {:.1}% of a core",
        snapshots.cpu_ms(),
        frames.cpu_ms(),
        100.0 * share
    );
    summary.number("snapshot_us_a_bed", snapshots.cpu_ms() * 1e3 / BEDS as f64);
    summary.number("terminal_percent_of_core", 100.0 * share);
}
