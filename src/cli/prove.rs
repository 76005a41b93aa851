//! `wardbeat prove`: whether a device computes what it should, and how fast.

use super::Failure;
use super::progress::bar;
use crate::daemon::Clock;
use crate::model::{
    Architecture, Bundle, Device, Engine, ModelError, arrays, cuda, device_facts, open_engine, proof,
};
use crate::workshop::dataset::PtbXl;
use crate::workshop::prove::{Beds, Windows};
use crate::workshop::train::{Plan, Run};
use anyhow::anyhow;
use indicatif::ProgressBar;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a device may be off, relative to the largest value.
const LIMIT: f64 = 1e-4;
/// A kernel's gradient sums over a whole batch in another order: ten times that.
const GRADIENT_LIMIT: f64 = 1e-3;
/// Share of each second that the analysis of a sustained ward may take.
const SUSTAINED_MS: f64 = 600.0;
/// Records of PTB-XL's folds 1 to 8.
const FOLDS_1_TO_8: f64 = 17_418.0;
/// Records of a training step.
const BATCH: usize = 64;

const EXAMPLES: &str = "\
Examples:
  wardbeat prove --device cuda --json gpu.json
  wardbeat prove --device cuda --data ptbxl --json gpu.json
  wardbeat prove --device candle --quick          the same code on the CPU

Ends with 1 where a result is off by more than it may.";

/// Checks a device against the CPU and times it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What runs the network: cuda, cpu, or candle (the GPU's code on the CPU).
    #[arg(long, default_value = "cuda", value_parser = ["cuda", "cpu", "candle"])]
    device: String,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// PTB-XL, for a real training epoch; without it a part of one is timed on noise.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Small sizes: shows that everything runs, says little about speed.
    #[arg(long)]
    quick: bool,
    /// Folder of a bundle, in place of the one in this program.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Gradient {
    taps: usize,
    stride: usize,
    dilation: usize,
    batch: usize,
    forward: f64,
    input: f64,
    kernel: f64,
}

/// Largest relative differences.
#[derive(Debug, Serialize)]
struct Checks {
    forward_taps: f64,
    forward_logits: f64,
    convolutions: Vec<Gradient>,
    step_logits: f64,
    step_moments: f64,
    step_gradients: f64,
    limit: f64,
    gradient_limit: f64,
    pass: bool,
}

#[derive(Debug, Serialize)]
struct Batch {
    windows: usize,
    ms: f64,
    windows_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Ward {
    beds: usize,
    ms_a_second: f64,
}

#[derive(Debug, Serialize)]
struct Training {
    data: &'static str,
    records: usize,
    ms_per_step: f64,
    epoch_s: f64,
    loss: f64,
}

/// In MB.
#[derive(Debug, Serialize)]
struct Memory {
    /// Of the device, by all programs, after the largest batch.
    device_used: Option<u64>,
    device_total: Option<u64>,
    /// Of this program, at its largest.
    host_peak: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Report {
    device: String,
    device_name: Option<String>,
    family: &'static str,
    version: &'static str,
    model: String,
    cores: usize,
    quick: bool,
    checks: Checks,
    windows: Vec<Batch>,
    wards: Vec<Ward>,
    beds_sustained: usize,
    sustained_ms: f64,
    training: Training,
    memory_mb: Memory,
}

struct Sizes {
    batches: &'static [usize],
    wards: &'static [usize],
    repeats: usize,
    steps: usize,
}

const FULL: Sizes = Sizes {
    batches: &[1, 4, 16, 64, 256, 1_024, 4_096],
    wards: &[64, 256, 1_000, 2_000, 4_000, 8_000, 16_000],
    repeats: 15,
    steps: 40,
};
const QUICK: Sizes = Sizes { batches: &[1, 8], wards: &[2, 8], repeats: 3, steps: 1 };

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let bundle = Arc::new(super::live::bundle(args.model.as_deref())?);
    let device = match args.device.as_str() {
        "cuda" => cuda()?,
        _ => Device::Cpu,
    };
    let composed = (args.device != "cpu").then(|| device.clone());
    let sizes = if args.quick { QUICK } else { FULL };
    let open = || open_engine(&bundle, &args.device);
    let checks = checks(&bundle, open()?.as_mut(), &device)?;
    println!(
        "checks {}: forward {:.1e}, training step {:.1e}, gradients {:.1e}",
        if checks.pass { "hold" } else { "FAIL" },
        checks.forward_taps.max(checks.forward_logits),
        checks.step_logits.max(checks.step_moments),
        checks.step_gradients
    );
    let windows = windows(open()?.as_mut(), &sizes)?;
    let facts = device_facts(&device);
    let wards = wards(&bundle, open, &sizes)?;
    let sustained = wards.iter().filter(|ward| ward.ms_a_second <= SUSTAINED_MS).map(|ward| ward.beds);
    let report = Report {
        device: args.device.clone(),
        device_name: facts.as_ref().map(|facts| facts.name.clone()),
        family: open()?.family(),
        version: env!("CARGO_PKG_VERSION"),
        model: bundle.id.clone(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        quick: args.quick,
        beds_sustained: sustained.max().unwrap_or(0),
        sustained_ms: SUSTAINED_MS,
        training: training(args.data.as_deref(), composed, &sizes)?,
        memory_mb: Memory {
            device_used: facts.as_ref().map(|facts| facts.used_bytes >> 20),
            device_total: facts.map(|facts| facts.total_bytes >> 20),
            host_peak: host_peak_mb(),
        },
        checks,
        windows,
        wards,
    };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    if let Some(path) = &args.json {
        arrays::write(path, text.as_bytes())?;
    }
    if report.checks.pass {
        Ok(())
    } else {
        Err(anyhow!("the device is off by more than it may:\n{text}").into())
    }
}

fn checks(bundle: &Bundle, engine: &mut dyn Engine, device: &Device) -> Result<Checks, Failure> {
    let [forward_taps, forward_logits] = proof::engine(bundle, engine, 8, 6)?;
    let mut convolutions = Vec::new();
    for conv in proof::convolution_shapes(&Architecture::default()) {
        for batch in [1, 4] {
            let [forward, input, kernel] = proof::convolution(&conv, batch, 41, device)?;
            convolutions.push(Gradient {
                taps: conv.taps,
                stride: conv.stride,
                dilation: conv.dilation,
                batch,
                forward,
                input,
                kernel,
            });
        }
    }
    let step = proof::training_step(&proof::small_network(), 8, 200, device)?;
    let pass = convolutions.iter().all(|c| c.forward < LIMIT && c.input < LIMIT && c.kernel < LIMIT)
        && [forward_taps, forward_logits, step.logits, step.moments].iter().all(|e| *e < LIMIT)
        && step.gradients < GRADIENT_LIMIT;
    Ok(Checks {
        forward_taps,
        forward_logits,
        convolutions,
        step_logits: step.logits,
        step_moments: step.moments,
        step_gradients: step.gradients,
        limit: LIMIT,
        gradient_limit: GRADIENT_LIMIT,
        pass,
    })
}

/// The median time of `f` in ms, after `warm` calls that do not count.
fn median_ms<T, E>(warm: usize, repeats: usize, mut f: impl FnMut() -> Result<T, E>) -> Result<f64, E> {
    let clock = Clock::start();
    let mut times = Vec::new();
    for i in 0..warm + repeats {
        let began = clock.micros();
        f()?;
        if i >= warm {
            times.push((clock.micros() - began) as f64 / 1_000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn windows(engine: &mut dyn Engine, sizes: &Sizes) -> Result<Vec<Batch>, Failure> {
    let mut all = Vec::new();
    for &batch in sizes.batches {
        let mut windows = Windows::new(engine, batch);
        // The first seconds have less to compute, and load the device's code.
        let ms = median_ms(4, sizes.repeats, || windows.hop())?;
        let windows_per_s = batch as f64 / ms * 1_000.0;
        println!("{batch:>6} windows in {ms:>9.2} ms: {windows_per_s:>9.0} a second");
        all.push(Batch { windows: batch, ms, windows_per_s });
    }
    Ok(all)
}

fn wards(
    bundle: &Arc<Bundle>,
    open: impl Fn() -> Result<Box<dyn Engine>, ModelError>,
    sizes: &Sizes,
) -> Result<Vec<Ward>, Failure> {
    let mut all = Vec::new();
    for &beds in sizes.wards {
        let mut ward = Beds::new(bundle.clone(), open()?, beds);
        let ms_a_second =
            median_ms(5, sizes.repeats.min(5), || Ok::<_, std::convert::Infallible>(ward.hop()))
                .unwrap_or_default();
        println!("{beds:>6} beds: {ms_a_second:>9.1} ms for each second of the ward");
        all.push(Ward { beds, ms_a_second });
        if ms_a_second > 2.0 * SUSTAINED_MS {
            break;
        }
    }
    Ok(all)
}

/// The second of two epochs, or what is left of a real one.
fn training(data: Option<&Path>, device: Option<Device>, sizes: &Sizes) -> Result<Training, Failure> {
    let quiet = ProgressBar::hidden();
    let set = match data {
        Some(folder) => PtbXl::read(folder, None, &bar(0, "reading records"))?,
        // One fold of ten is for choices and one is left out.
        None => PtbXl::made_up(sizes.steps * BATCH * 10 / 8 + 10, 1),
    };
    let out = std::env::temp_dir().join(format!("wardbeat-prove-{}", std::process::id()));
    std::fs::create_dir_all(&out)?;
    let plan = Plan {
        out: out.clone(),
        epochs: 2,
        seed: 1,
        train_folds: (1..=8).collect(),
        choose_fold: 9,
        resume: false,
        device,
    };
    let timed = || -> Result<Training, Failure> {
        let mut run = Run::new(plan, &set)?;
        let (steps, clock) = (run.steps_per_epoch() as f64, Clock::start());
        run.epoch(&quiet)?;
        let began = clock.micros();
        let loss = run.epoch(&quiet)?.loss;
        let ms_per_step = (clock.micros() - began) as f64 / 1_000.0 / steps;
        let epoch_s = ms_per_step / 1_000.0 * (FOLDS_1_TO_8 / BATCH as f64).floor();
        let records = steps as usize * BATCH;
        Ok(Training {
            data: if data.is_some() { "PTB-XL" } else { "noise" },
            records,
            ms_per_step,
            epoch_s,
            loss,
        })
    };
    let told = timed();
    // What cannot be removed is the system's to clean.
    let _ = std::fs::remove_dir_all(&out);
    let told = told?;
    println!(
        "training: {:.1} ms a step of {BATCH}, {:.0} s an epoch of PTB-XL",
        told.ms_per_step, told.epoch_s
    );
    Ok(told)
}

/// The largest resident size of this program so far, where the system says it.
fn host_peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? >> 10)
}
