//! Commands: one file each.
//!
//! What it does: parses the command line, calls a room, turns its result into words and an exit code; joins daemon and
//! display, which do not know each other.
//! What it never does: compute, open sockets, make threads.
//! Door: [`main`]. Who calls it: the `wardbeat` program.

mod age;
mod alerts;
mod audit;
mod audit_log;
mod calibrate;
mod check;
mod completions;
mod cross_validate;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod dress;
mod evaluate;
mod evaluate_live;
mod explain;
mod export_onnx;
mod fit_clusters;
mod keys;
mod live;
mod plugin;
mod progress;
mod prove;
mod recordings;
mod rehearse;
mod replay;
mod run;
mod screen;
mod screenshot;
mod sniff;
mod train;
mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What Wardbeat is and is not; `--version`, start-up, README and the model card carry the same words.
pub const INTENDED_USE: &str = include_str!("intended_use.txt");

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\n\n", include_str!("intended_use.txt"));

const EXAMPLES: &str = "\
Examples:
  wardbeat demo                                   a scripted ward on this machine, in the terminal
  wardbeat demo --headless --summary demo.json    the same as log lines, checked
  wardbeat check config/ward.toml                 all faults of a config at once
  wardbeat run --config config/ward.toml --tui    beside real monitors
  wardbeat watch --config config/ward.toml        the same screen on another machine

Exit codes: 0 done; 1 failed, the reason is on standard error; 2 wrong usage or a faulty config; 3 the demo missed
something that it expects, or a replay differs.";

/// Streaming ECG analysis beside the bedside monitor: clusters, entropy, explained advisories.
#[derive(Debug, Parser)]
#[command(name = "wardbeat", version = VERSION, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays a ward on this machine: broker, monitors and Wardbeat in one process, offline.
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    /// Runs beside real monitors until SIGINT or SIGTERM.
    Run(run::Args),
    /// Shows the ward on this terminal, from the broker alone.
    Watch(watch::Args),
    /// Draws the terminal's picture of a ward, for documents.
    Screenshot(screenshot::Args),
    /// Checks a config and reports all of its faults at once.
    Check(check::Args),
    /// Alerts on disk: acknowledge one, list them, test the way to the nurse call.
    Alerts(alerts::Args),
    /// Keys of those who may acknowledge, pause, mark and relearn.
    Keys(keys::Args),
    /// The log of who did what.
    AuditLog(audit_log::Args),
    /// Trains the network on PTB-XL.
    Train(train::Args),
    /// Fits clusters to trained weights and writes a bundle.
    FitClusters(fit_clusters::Args),
    /// Fits the fused score of a bundle, by which a bed is told.
    FitLive(evaluate_live::FitArgs),
    /// Judges a bundle on records it never saw.
    Evaluate(evaluate::Args),
    /// Lists the labels of a data set that are most likely wrong.
    Audit(audit::Args),
    /// Explains a stretch of a recording.
    Explain(explain::Args),
    /// Writes the folded network as an ONNX file.
    ExportOnnx(export_onnx::Args),
    /// Checks a device against the CPU and times it.
    Prove(prove::Args),
    /// Says which link is dumb: broker, topics, frames, clocks, destinations, disk.
    Doctor(doctor::Args),
    /// Derives an alert anew from its evidence, or a bed's recording by two models.
    Replay(replay::Args),
    /// Lists what the recorder holds, or exports it as WFDB.
    Recordings(recordings::Args),
    /// Shows what recordings would have raised under a config, with strips.
    Rehearse(rehearse::Args),
    /// Shows how many alerts a bed-day each setting raises on recordings.
    Calibrate(calibrate::Args),
    /// Listens to a broker and prints the config for what is spoken there.
    Sniff(sniff::Args),
    /// Runs the conformance kit against a plugin of yours.
    Plugin(plugin::Args),
    /// Prints completions for a shell.
    Completions(completions::Args),
}

/// How a command failed, by exit code.
#[derive(Debug)]
enum Failure {
    /// 2: the config or the command line is wrong.
    Usage(String),
    /// 3: the demo missed something.
    #[cfg(feature = "demo")]
    Missing(String),
    /// 3: a replay differs.
    Differs(String),
    /// 1: anything else.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// The config in that file, or all that is wrong with it.
fn settings(path: &std::path::Path) -> Result<crate::config::Settings, Failure> {
    crate::config::load(path, &crate::daemon::plugins()).map_err(|faults| Failure::Usage(faults.to_string()))
}

/// Parses the command line and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Screenshot(args) => screenshot::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Alerts(args) => alerts::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::AuditLog(args) => audit_log::run(&args),
        Command::Train(args) => train::run(&args),
        Command::FitClusters(args) => fit_clusters::run(&args),
        Command::FitLive(args) => evaluate_live::fit(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::ExportOnnx(args) => export_onnx::run(&args),
        Command::Prove(args) => prove::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Recordings(args) => recordings::run(&args),
        Command::Rehearse(args) => rehearse::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Sniff(args) => sniff::run(&args),
        Command::Plugin(args) => plugin::run(&args),
        Command::Completions(args) => {
            completions::run(&args);
            Ok(())
        }
    };
    let (code, text) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => (2, text),
        #[cfg(feature = "demo")]
        Err(Failure::Missing(text)) => (3, text),
        Err(Failure::Differs(text)) => (3, text),
        Err(Failure::Other(error)) => (1, format!("wardbeat: {error:#}")),
    };
    eprintln!("{text}");
    ExitCode::from(code)
}
