//! The program `monitor`: publishes simulated bedside monitors to a broker and prints as JSON what was sent.

use crate::{Act, BedPlan, Dialect, Faults, Generated, Monitor, Options, Recorded, Signal};
use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use contract::{BedId, Mode, Ratio};
use patient::{Lead, Patient, Profile};
use std::ffi::OsString;
use std::path::PathBuf;
use tokio::sync::watch;

/// Publishes ECG over MQTT as bedside monitors would: recordings, or generated patients.
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools)] // Switches of a command line.
#[command(name = "monitor", version, about)]
struct Cli {
    /// The broker's host.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The broker's port, MQTT 5.
    #[arg(long, default_value_t = 1883)]
    port: u16,
    /// User name, where the broker asks for one.
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// File that holds the password.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// WFDB records to play, with or without .hea; a folder plays all of its records.
    records: Vec<PathBuf>,
    /// Beds; recordings are dealt out in turn. Default: one for each record, or 4 patients.
    #[arg(long)]
    beds: Option<usize>,
    /// Site and unit of the beds, which are then named b01, b02 and so on.
    #[arg(long, default_value = "site1/icu")]
    unit: String,
    /// Leads of generated patients.
    #[arg(long, value_delimiter = ',', default_value = "II,V1,V5")]
    leads: Vec<String>,
    /// Sampling rate of generated patients, in Hz.
    #[arg(long, default_value_t = 250.0)]
    rate: f64,
    /// Play recordings again and again.
    #[arg(long = "loop")]
    looped: bool,
    /// Seconds of signal per second.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// End after this much signal, in seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Length of a frame, in milliseconds of signal.
    #[arg(long, default_value_t = 1_000)]
    frame_ms: u32,
    /// How frames are written.
    #[arg(long, value_enum, default_value_t = Written::Json)]
    dialect: Written,
    /// Publish with quality of service 1: the broker confirms each frame.
    #[arg(long)]
    confirmed: bool,
    /// Beds on one connection. Default: 1 up to 32 beds, 128 beyond.
    #[arg(long)]
    per_connection: Option<usize>,
    /// All beds send at the same moment, instead of spread over a frame's length.
    #[arg(long)]
    burst: bool,
    /// What the frames are marked as.
    #[arg(long, value_enum, default_value_t = Marked::Demo)]
    mode: Marked,
    /// The patients are paced, as the frames say.
    #[arg(long)]
    paced: bool,
    /// What happens to a bed: "b03 silent 20 32", "b04 off V1 10", "b04 off V1 10 25" (seconds of signal).
    #[arg(long)]
    script: Vec<String>,
    #[command(flatten)]
    faults: FaultArgs,
}

/// What goes wrong by chance; shares are of frames, 0 to 1.
#[derive(clap::Args)]
struct FaultArgs {
    /// Seed of patients and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of frames lost.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Share of frames sent twice.
    #[arg(long, default_value_t = 0.0)]
    duplicate: f64,
    /// Share of frames sent after their successor.
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// Longest delay of a frame, in milliseconds.
    #[arg(long, default_value_t = 0)]
    delay_ms: u32,
    /// How fast the monitors' clocks run ahead, in parts per million.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    drift_ppm: f64,
    /// Share of frames at which the clock jumps.
    #[arg(long, default_value_t = 0.0)]
    jump: f64,
    /// How far it jumps, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    jump_ms: u32,
    /// Share of frames at which a silence begins.
    #[arg(long, default_value_t = 0.0)]
    silence: f64,
    /// Length of a silence, in seconds of signal.
    #[arg(long, default_value_t = 12.0)]
    silence_s: f64,
    /// Share of frames at which a lead falls off.
    #[arg(long, default_value_t = 0.0)]
    lead_off: f64,
    /// How long it stays off, in seconds of signal.
    #[arg(long, default_value_t = 15.0)]
    lead_off_s: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Written {
    /// JSON in millivolts, exact.
    Json,
    /// JSON in whole microvolts.
    JsonUv,
    /// Packed binary floats, exact.
    Packed,
    /// Packed binary 16-bit integers of one microvolt.
    PackedI16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Marked {
    Demo,
    Test,
    Real,
}

/// Generated patients beyond this many beds share recordings of a few of them.
const PATIENTS_MAX: usize = 32;
/// Patients that a large ward shares, and how long their recordings are, in seconds.
const SHARED: (usize, u64) = (16, 60);

/// Runs the program with these arguments, the program's name first: publishes until the signals end or SIGINT comes,
/// then prints what was sent as JSON.
///
/// # Errors
/// If an argument cannot be used or no broker answers.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let cli = Cli::parse_from(arguments);
    let monitor = Monitor::new(plans(&cli)?, options(&cli))?;
    let report = tokio::runtime::Runtime::new()?.block_on(async {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.send_replace(true);
            }
            // Without signals the run ends with its signal; the sender must live on.
            std::future::pending::<()>().await;
        });
        monitor.run(stopped).await
    })?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn options(cli: &Cli) -> Options {
    let f = &cli.faults;
    let beds = beds(cli);
    Options {
        host: cli.host.clone(),
        port: cli.port,
        login: cli.user.clone().zip(cli.password_file.clone()),
        dialect: match cli.dialect {
            Written::Json => Dialect::Json,
            Written::JsonUv => Dialect::JsonMicrovolt,
            Written::Packed => Dialect::Packed,
            Written::PackedI16 => Dialect::PackedInteger,
        },
        confirmed: cli.confirmed,
        speed: cli.speed,
        frame_ms: cli.frame_ms,
        seconds: cli.seconds,
        beds_per_connection: cli.per_connection.unwrap_or(if beds <= 32 { 1 } else { 128 }),
        spread: !cli.burst,
        faults: Faults {
            seed: f.seed,
            loss: f.loss,
            duplicate: f.duplicate,
            reorder: f.reorder,
            delay_ms_max: f.delay_ms,
            drift_ppm: f.drift_ppm,
            jump: f.jump,
            jump_ms: f.jump_ms,
            silence: f.silence,
            silence_s: f.silence_s,
            lead_off: f.lead_off,
            lead_off_s: f.lead_off_s,
        },
        epoch: None,
    }
}

fn beds(cli: &Cli) -> usize {
    cli.beds.unwrap_or(if cli.records.is_empty() { 4 } else { cli.records.len() })
}

fn plans(cli: &Cli) -> Result<Vec<BedPlan>> {
    let signals = if cli.records.is_empty() { generated(cli)? } else { recorded(cli)? };
    let width = signals.len().to_string().len().max(2);
    let mut plans = Vec::with_capacity(signals.len());
    for (i, signal) in signals.into_iter().enumerate() {
        let bed = BedId::new(&format!("{}/b{:0width$}", cli.unit, i + 1)).context("--unit is site/unit")?;
        let mut plan = BedPlan::new(bed, signal);
        plan.patient = Some(format!("simulated-{}-{i}", cli.faults.seed));
        plan.paced = cli.paced;
        plan.mode = match cli.mode {
            Marked::Demo => Mode::Demo,
            Marked::Test => Mode::Test,
            Marked::Real => Mode::Real,
        };
        plans.push(plan);
    }
    for line in &cli.script {
        let (bed, act) = line.split_once(' ').context("--script begins with a bed")?;
        let act: Act = act.parse().with_context(|| format!("--script {line:?}"))?;
        let plan = plans.iter_mut().find(|p| p.bed.place() == bed);
        plan.with_context(|| format!("--script {line:?}: there is no bed {bed}"))?.script.push(act);
    }
    Ok(plans)
}

fn recorded(cli: &Cli) -> Result<Vec<Box<dyn Signal>>> {
    let mut paths = Vec::new();
    for path in &cli.records {
        if path.is_dir() {
            paths.extend(recordings::list(path)?);
        } else {
            paths.push(path.clone());
        }
    }
    let beds = cli.beds.unwrap_or(paths.len());
    paths.truncate(beds);
    let read = |path: &PathBuf| Ok(Recorded::of(&recordings::Record::read(path)?)?);
    let records = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
    ensure!(!records.is_empty(), "there are no records in {:?}", cli.records);
    let turn = |i: usize| {
        let record = records[i % records.len()].clone();
        let record = if cli.looped { record.looped() } else { record };
        Box::new(record) as Box<dyn Signal>
    };
    Ok((0..beds).map(turn).collect())
}

fn generated(cli: &Cli) -> Result<Vec<Box<dyn Signal>>> {
    let rate = Ratio::from_f64(cli.rate)?;
    let mut leads = Vec::new();
    for name in &cli.leads {
        let Some(lead) = Lead::of(name) else { bail!("lead {name} is not one of I to V6") };
        leads.push(lead);
    }
    let patient =
        |i: usize| Generated::new(Patient::new(cli.faults.seed + i as u64, Profile::default()), &leads, rate);
    let beds = beds(cli);
    if beds <= PATIENTS_MAX {
        return (0..beds).map(|i| Ok(Box::new(patient(i)?) as Box<dyn Signal>)).collect();
    }
    let (people, seconds) = SHARED;
    let shared =
        (0..people).map(|i| Ok(patient(i)?.recorded(seconds).looped())).collect::<Result<Vec<_>>>()?;
    let length = rate.samples_in(seconds) as usize;
    let bed = |i: usize| Box::new(shared[i % people].starting_at(i * length / beds)) as Box<dyn Signal>;
    Ok((0..beds).map(bed).collect())
}
