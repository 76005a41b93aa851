//! `wardbeat demo`: broker, monitors and daemon in one process, on loopback, with nothing left behind.

mod expect;
mod ward;

use super::dress::Dress;
use super::screen::{self, Person};
use super::{Failure, INTENDED_USE, live};
use crate::daemon::{Counters, Running};
use crate::{config, daemon};
use anyhow::{Context, anyhow};
use expect::Watch;
use monitor::{Background, Monitor, Options, Report};
use serde::Serialize;
use std::fs;
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The config of the demo; also a short example.
const CONFIG: &str = include_str!("../../../config/demo.toml");
/// Length of the script.
const SCRIPT_S: u64 = 60;
/// How long the parts may take to find each other.
const PATIENCE: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  wardbeat demo
  wardbeat demo --beds 16 --seconds 120
  wardbeat demo --headless --summary demo.json
  wardbeat demo --replay recordings/mitdb --speed 10 --seconds 60

Everything stays on this machine. Without --replay the ward follows a script of one minute: one bed's rhythm collapses,
one becomes irregular, one loses a lead, one becomes noisy, one falls silent and comes back. Headless without --seconds
plays it once and ends with 0, or with 3 and the alert that is missing.";

/// Plays a ward.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Beds.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    beds: u16,
    /// WFDB records (a folder or one record) in place of generated patients, dealt out in turn and looped.
    #[arg(long, value_name = "DIR")]
    replay: Option<PathBuf>,
    /// Seconds of signal per second, for --replay.
    #[arg(long, default_value_t = 1.0, requires = "replay")]
    speed: f64,
    /// Ends after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Log lines instead of the terminal; by itself where standard output is no terminal.
    #[arg(long)]
    headless: bool,
    /// Writes what was counted as JSON.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Writes the last picture of the ward as the terminal shows it, 120 by 40 cells, as SVG.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Seed of the generated patients.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of a bundle (weights, clusters, card), in place of the one in this program.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Writes the last ward as JSON, for `wardbeat screenshot`.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    #[command(flatten)]
    dress: Dress,
    #[command(flatten)]
    person: Person,
    /// What runs the network.
    #[arg(long, default_value = "auto")]
    device: config::Device,
}

/// What a demo counted.
#[derive(Debug, Serialize)]
struct Summary {
    beds: u64,
    frames_sent: u64,
    frames_in: u64,
    frames_lost: u64,
    windows: u64,
    findings: u64,
    alerts: u64,
    technical: u64,
    p50_ms: f32,
    p99_ms: f32,
}

impl Summary {
    fn new(sent: &Report, counted: Counters) -> Self {
        Self {
            beds: counted.beds,
            frames_sent: sent.frames_sent,
            frames_in: counted.frames_in,
            frames_lost: sent.frames_sent.saturating_sub(counted.frames_in) + counted.frames_lost,
            windows: counted.windows,
            findings: counted.findings,
            alerts: counted.alerts,
            technical: counted.technical,
            p50_ms: counted.p50_ms,
            p99_ms: counted.p99_ms,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let headless = args.headless || !stdout().is_terminal();
    eprint!("{INTENDED_USE}");
    if headless {
        live::log();
    }
    let scripted = args.replay.is_none();
    let seconds = args.seconds.or(headless.then_some(SCRIPT_S));
    let plans = match &args.replay {
        Some(path) => ward::replayed(path, args.beds)?,
        None => ward::scripted(args.beds, args.seed)?,
    };
    let folder = Folder::new()?;
    let broker = broker::Broker::start()?;
    let settings = settings(args, &broker, &folder)?;
    let running = daemon::start(settings.clone(), Arc::new(live::bundle(args.model.as_deref())?))?;
    if !running.joined(PATIENCE) {
        return Err(anyhow!("the daemon did not join the embedded broker in {} s", PATIENCE.as_secs()).into());
    }
    if headless {
        eprintln!("the same ward on another terminal: wardbeat watch --broker {}", settings.broker.url);
    }
    let options = Options {
        host: broker.host().into(),
        port: broker.port(),
        speed: args.speed,
        seconds: seconds.map(|s| (s as f64 * args.speed).ceil() as u64),
        ..Options::default()
    };
    let monitors = Monitor::new(plans, options)?.start()?;

    let (mut watch, mut newest) = (Watch::default(), None);
    let mut over = || {
        let finished = monitors.finished();
        let snapshot = running.snapshot();
        watch.look(&snapshot);
        newest = Some(snapshot);
        finished
    };
    if headless {
        live::watch(&running, &mut over);
    } else {
        screen::open(&running, &settings, (&args.dress, &args.person), &mut over)?;
    }
    let interrupted = !monitors.finished();
    if let (Some(file), Some(snapshot)) = (&args.picture, &newest) {
        let picture = screen::picture(snapshot, &settings, &args.dress)?;
        fs::write(file, picture).with_context(|| format!("--picture {}", file.display()))?;
    }
    if let (Some(file), Some(snapshot)) = (&args.scenario, &newest) {
        let ward = serde_json::to_string(snapshot)?;
        fs::write(file, ward + "\n").with_context(|| format!("--scenario {}", file.display()))?;
    }
    let (sent, counted) = end(running, monitors, &mut watch)?;

    let summary = serde_json::to_string_pretty(&Summary::new(&sent, counted))?;
    println!("{summary}");
    if let Some(file) = &args.summary {
        fs::write(file, summary + "\n").with_context(|| format!("--summary {}", file.display()))?;
    }
    let whole = scripted && headless && args.seconds.is_none() && !interrupted;
    let missing = if whole { watch.missing(args.beds) } else { Vec::new() };
    if missing.is_empty() { Ok(()) } else { Err(Failure::Missing(missing.join("\n"))) }
}

/// Stops the monitors, lets the daemon read what is under way, stops it.
fn end(running: Running, monitors: Background, watch: &mut Watch) -> anyhow::Result<(Report, Counters)> {
    let sent = monitors.stop()?;
    let arrived = || running.counters().frames_in >= sent.frames_accepted;
    daemon::Clock::start().wait(Duration::from_secs(3), arrived);
    watch.look(&running.snapshot());
    Ok((sent, running.stop()))
}

fn settings(args: &Args, broker: &broker::Broker, folder: &Folder) -> Result<config::Settings, Failure> {
    let mut settings = config::parse("config/demo.toml", CONFIG, &daemon::plugins())
        .map_err(|faults| Failure::Usage(faults.to_string()))?;
    settings.broker.url = config::BrokerUrl { host: broker.host().into(), port: broker.port(), tls: false };
    settings.journal.path = folder.0.join("journal.sqlite");
    settings.device = args.device;
    Ok(settings)
}

/// A folder of this run only, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("wardbeat-demo-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("temporary folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean.
        let _ = fs::remove_dir_all(&self.0);
    }
}
