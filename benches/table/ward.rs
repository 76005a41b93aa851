//! The whole pipeline: monitors publish JSON frames at real time through a broker to the daemon as it is shipped, and a
//! listener hears its states. Each is a process of its own.

use crate::Options;
use crate::processes::{Broker, Process, daemon};
use crate::roles::Heard;
use crate::summary::Summary;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Wards of these sizes; the largest of the claims are among them.
const SIZES: [usize; 6] = [1, 16, 64, 256, 1_000, 2_000];
/// Beyond them, in the long run.
const LADDER: [usize; 3] = [2_500, 3_000, 4_000];
/// Until every bed's filters and network give steps.
const WARM_S: u64 = 10;
const MEASURE_S: u64 = 15;
const LONG_S: u64 = 600;
/// A bed is carried if its findings are not later than this.
const LATE_MS_MAX: f64 = 2_000.0;

/// A ward to measure: beds, seconds.
pub type Size = (usize, u64);

/// Reads `1000` or `1000x600`.
pub fn size(text: &str) -> std::result::Result<Size, String> {
    let (beds, seconds) = text.split_once('x').map_or((text, None), |(b, s)| (b, Some(s)));
    let beds = beds.parse().map_err(|e| format!("{beds:?} beds: {e}"))?;
    let seconds = seconds.map(str::parse).transpose().map_err(|e| format!("seconds of {text:?}: {e}"))?;
    Ok((beds, seconds.unwrap_or(MEASURE_S)))
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub beds: usize,
    pub burst: bool,
    pub seconds: u64,
    /// CPU as a share of one core: daemon, broker, monitors.
    pub daemon: f64,
    pub broker: f64,
    pub monitors: f64,
    /// Milliseconds of CPU that the daemon spends on a bed and second.
    pub bed_ms: f64,
    /// The same by the daemon's threads.
    pub threads_ms: BTreeMap<String, f64>,
    /// Resident memory of the daemon in MB, the most it had.
    pub memory_mb: f64,
    pub sent: u64,
    pub lost: u64,
    /// Frames that closed no hop.
    pub unread: u64,
    /// From a frame's due moment to the state at a listener.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// From a frame's arrival at the daemon to its finding, over the whole run.
    pub inside_p99_ms: f64,
    /// The monitors' own lag.
    pub monitors_late_ms: u64,
}

#[derive(Deserialize)]
#[allow(clippy::struct_field_names)] // The report's own names.
struct Sent {
    frames_sent: u64,
    frames_accepted: u64,
    frames_unsent: u64,
    late_ms_max: u64,
}

#[derive(Deserialize)]
struct Counted {
    frames_in: u64,
    frames_lost: u64,
    refused: u64,
    windows: u64,
    p99_ms: f64,
}

pub fn run(options: &Options, summary: &mut Summary) -> Result<()> {
    println!("\nWard, 3 leads at 250 Hz, 1 s frames of JSON, about 4 kB each");
    println!(
        "  {:>5} {:>6} {:>7} {:>7} {:>8} {:>9} {:>6} {:>6} {:>5} {:>7} {:>7}",
        "beds", "", "daemon", "broker", "monitors", "ms a bed", "MB", "sent", "lost", "p50 ms", "p99 ms"
    );
    let mut rows = Vec::new();
    let usual = SIZES.map(|beds| (beds, MEASURE_S));
    for &(beds, seconds) in if options.ward.is_empty() { &usual[..] } else { &options.ward } {
        rows.push(measure(beds, false, seconds)?);
    }
    for beds in [64, 1_000] {
        rows.push(measure(beds, true, MEASURE_S)?);
    }
    if options.long {
        for beds in [1_000, 2_000] {
            rows.push(measure(beds, false, LONG_S)?);
        }
        for beds in LADDER {
            let row = measure(beds, false, 4 * MEASURE_S)?;
            let carried = carried(&row);
            rows.push(row);
            if !carried {
                break;
            }
        }
    }
    claims(&rows, summary);
    summary.set("ward", serde_json::to_value(&rows)?);
    Ok(())
}

fn carried(row: &Row) -> bool {
    row.lost == 0 && row.unread == 0 && row.p99_ms < LATE_MS_MAX
}

fn claims(rows: &[Row], summary: &mut Summary) {
    // Of two runs of one size the longer one counts.
    let spread = |beds: usize| rows.iter().rfind(|r| r.beds == beds && !r.burst);
    let sustained = rows.iter().filter(|r| !r.burst && carried(r)).map(|r| r.beds).max();
    summary.set("beds_sustained", sustained.map_or(Value::Null, |beds| json!(beds)));
    if let Some(row) = spread(64) {
        summary.number("p99_ms_64_beds", row.p99_ms);
    }
    if let Some(row) = spread(1_000) {
        summary.number("p99_ms_1000_beds", row.p99_ms);
        summary.number("rss_mb_1000_beds", row.memory_mb);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        summary.number("cpu_percent_1000_beds", 100.0 * row.daemon / cores as f64);
        summary.set("lost_1000_beds", row.lost);
    }
    if let (Some(many), Some(few)) = (spread(1_000), spread(16)) {
        summary.number("cost_ratio_1000_vs_16", many.bed_ms / few.bed_ms);
    }
}

/// The processes of one ward.
struct Running {
    broker: Broker,
    listener: Process,
    daemon: Process,
    monitors: Process,
    /// Of journal and configs; gone at the end.
    _folder: tempfile::TempDir,
}

/// What they spent while the ward ran evenly.
struct Shares {
    wall_s: f64,
    /// Daemon, broker, monitors, as shares of one core.
    cores: [f64; 3],
    threads_s: BTreeMap<String, f64>,
    memory_mb: f64,
}

fn measure(beds: usize, burst: bool, seconds: u64) -> Result<Row> {
    let running = Running::begin(beds, burst, WARM_S + seconds + 2)?;
    let broker = running.broker.name;
    std::thread::sleep(Duration::from_secs(WARM_S));
    let Shares { wall_s, cores, threads_s, memory_mb } = running.watch(seconds);
    let (sent, counted, heard) = running.end()?;
    let each = |s: f64| s * 1e3 / wall_s / beds as f64;
    let row = Row {
        beds,
        burst,
        seconds,
        daemon: cores[0],
        broker: cores[1],
        monitors: cores[2],
        bed_ms: each(cores[0] * wall_s),
        threads_ms: threads_s.into_iter().map(|(name, s)| (name, each(s))).collect(),
        memory_mb,
        sent: sent.frames_sent,
        lost: sent.frames_sent.saturating_sub(counted.frames_in) + counted.frames_lost,
        unread: counted.frames_in.saturating_sub(counted.windows)
            + counted.windows.saturating_sub(heard.states),
        p50_ms: heard.p50_ms,
        p99_ms: heard.p99_ms,
        inside_p99_ms: counted.p99_ms,
        monitors_late_ms: sent.late_ms_max,
    };
    told(&row, broker);
    Ok(row)
}

impl Running {
    fn begin(beds: usize, burst: bool, seconds: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let broker = Broker::start(folder.path())?;
        let (port, beds, seconds) = (broker.port.to_string(), beds.to_string(), seconds.to_string());
        let warm_s = WARM_S.to_string();
        let spread = if burst { "0" } else { "1" };
        let mut listener = Process::role(&["listener", &port, &beds, &warm_s, spread])?;
        listener.until("listening")?;
        let daemon = daemon(folder.path(), broker.port)?;
        listener.until("online")?;
        let mut arguments =
            vec!["monitors", "--port", &port, "--beds", &beds, "--seconds", &seconds, "--dialect", "json-uv"];
        arguments.extend(burst.then_some("--burst"));
        let monitors = Process::role(&arguments)?;
        Ok(Self { broker, listener, daemon, monitors, _folder: folder })
    }

    fn watch(&self, seconds: u64) -> Shares {
        let processes = [&self.daemon, &self.broker.process, &self.monitors];
        let (before, threads) = (processes.map(Process::cpu_s), self.daemon.threads_s());
        let began = Instant::now();
        std::thread::sleep(Duration::from_secs(seconds));
        let wall_s = began.elapsed().as_secs_f64();
        let after = processes.map(Process::cpu_s);
        let grown = |(name, s): (String, f64)| {
            let s = s - threads.get(&name).unwrap_or(&0.0);
            (name, s)
        };
        Shares {
            wall_s,
            cores: [0, 1, 2].map(|i| (after[i] - before[i]) / wall_s),
            threads_s: self.daemon.threads_s().into_iter().map(grown).collect(),
            memory_mb: self.daemon.memory_mb()[1],
        }
    }

    /// Waits for the last frame, ends all, and says what each counted.
    fn end(mut self) -> Result<(Sent, Counted, Heard)> {
        let sent: Sent = serde_json::from_str(&self.monitors.rest()?).context("the monitors' report")?;
        // The last frames are under way; a daemon that is behind drains what it has when it ends.
        std::thread::sleep(Duration::from_secs(2));
        let counted: Counted =
            serde_json::from_str(&self.daemon.terminate()?).context("the daemon's counters")?;
        std::thread::sleep(Duration::from_millis(200));
        let told = self.listener.end()?;
        let heard: Heard =
            serde_json::from_str(told.lines().last().unwrap_or_default()).context("the listener")?;
        let unsent = sent.frames_unsent;
        ensure!(unsent == 0, "the monitors gave up {unsent} frames: this machine cannot send so much");
        ensure!(sent.frames_accepted == sent.frames_sent, "the broker did not take every frame");
        ensure!(counted.refused == 0, "the daemon refused {} payloads", counted.refused);
        Ok((sent, counted, heard))
    }
}

fn told(row: &Row, broker: &str) {
    let percent = |share: f64| format!("{:.0}%", 100.0 * share);
    println!(
        "  {:>5} {:>6} {:>7} {:>7} {:>8} {:>9.3} {:>6.0} {:>6} {:>5} {:>7.1} {:>7.1}",
        row.beds,
        if row.burst { "burst" } else { "" },
        percent(row.daemon),
        percent(row.broker),
        percent(row.monitors),
        row.bed_ms,
        row.memory_mb,
        row.sent,
        row.lost + row.unread,
        row.p50_ms,
        row.p99_ms
    );
    let threads: Vec<String> = row
        .threads_ms
        .iter()
        .filter(|(_, ms)| **ms > 0.0005)
        .map(|(name, ms)| format!("{name} {ms:.3}"))
        .collect();
    println!(
        "        {broker}; ms a bed by thread: {}; monitors late by {} ms at most",
        threads.join(", "),
        row.monitors_late_ms
    );
}
