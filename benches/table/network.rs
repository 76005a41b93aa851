//! The network: window engine, live engine and clusters, against the engines that one would pick instead.

use crate::Options;
use crate::measure::{Calls, Contestant, Spent, median, on_one_core, peak_gflops, take_turns, timed};
use crate::peers::{Peer, python, serve};
use crate::summary::{Summary, folder};
use anyhow::{Context, Result, ensure};
use patient::{Lead, Patient, Profile};
use std::cell::RefCell;
use std::hint::black_box;
use std::process::Command;
use wardbeat::model::{
    Architecture, Bundle, Engine, LEADS, LeadMask, LiveEngine, Steps, Stream, Work, open_engine,
};
use wardbeat::pipeline::preprocess::condition_100hz;

/// Samples of a window: 10 s.
pub const WINDOW: usize = 1_000;
const ALL_LEADS: LeadMask = 0xfff;
/// Three leads, as most beds give.
const THREE: LeadMask = 0b100_0100_0010;
const ROUNDS: usize = 25;
const WINDOWS_A_TURN: usize = 8;
/// Beds in one call of the live engine.
const BEDS: usize = 64;
/// Largest error of a peer relative to the largest activation.
const ERROR_MAX: f64 = 1e-4;

/// `seconds` of a generated patient as the network sees it, `[time, lead]`.
pub fn prepared(seed: u64, seconds: usize) -> Vec<f32> {
    let mut rows = Patient::new(seed, Profile::default()).samples(100.0, 0, seconds * 100, &Lead::ALL);
    for row in &mut rows {
        condition_100hz(row);
    }
    (0..seconds * 100).flat_map(|t| rows.iter().map(move |row| row[t])).collect()
}

/// All steps of one window, as a recording read whole.
pub fn window(engine: &mut dyn Engine, x: &[f32]) -> Steps {
    let mut stream = engine.open(ALL_LEADS);
    let mut work = [Work { stream: &mut stream, input: x, finish: true, steps: Steps::default() }];
    engine.advance(&mut work).expect("the CPU does not fail");
    let [work] = work;
    work.steps
}

/// Floating-point operations of `samples` input samples: two for each multiply-add.
pub fn flops(shape: &Architecture, samples: usize) -> f64 {
    let stem = shape.stem();
    let mut rows = samples as f64 / stem.stride as f64;
    let mut sum = rows * stem.weights() as f64;
    for block in shape.blocks() {
        rows /= block.conv1.stride as f64;
        let skip = block.skip.map_or(0, |s| s.weights());
        sum += rows * (block.conv1.weights() + block.conv2.weights() + skip) as f64;
    }
    2.0 * (sum + rows * (shape.features() * shape.classes.len()) as f64)
}

pub fn run(options: &Options, summary: &mut Summary) -> Result<()> {
    on_one_core(|| all(options, summary))
}

fn all(options: &Options, summary: &mut Summary) -> Result<()> {
    let bundle = Bundle::embedded()?;
    let peak = median((0..5).map(|_| peak_gflops()));
    summary.number("peak_gflops", peak);
    println!("\nNetwork of {}, one thread on one core; register FMA peak {peak:.0} GF/s", bundle.id);
    let window_ms = windows(options, summary, &bundle, peak)?;
    live(summary, &bundle, peak, window_ms)?;
    clusters(summary, &bundle)
}

/// Writes the ONNX file by the public command, and what we compute for one window.
fn export(steps: &Steps, x: &[f32], classes: usize) -> Result<()> {
    let folder = folder();
    let exported = Command::new(env!("CARGO_BIN_EXE_wardbeat"))
        .args(["export-onnx", "--out"])
        .arg(folder.join("wardbeat.onnx"))
        .output()?;
    ensure!(exported.status.success(), "export-onnx: {}", String::from_utf8_lossy(&exported.stderr));
    let turned = |values: &[f32], width: usize| -> Vec<u8> {
        let rows = values.len() / width;
        let at = |i: usize| values[i % rows * width + i / rows];
        (0..values.len()).flat_map(|i| at(i).to_le_bytes()).collect()
    };
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes);
    write("x.f32", turned(x, LEADS))?;
    write("mask.f32", (0..LEADS).flat_map(|_| 1.0_f32.to_le_bytes()).collect())?;
    write("taps.f32", turned(&steps.taps, steps.taps.len() / steps.count))?;
    write("logits.f32", turned(&steps.logits, classes))?;
    Ok(())
}

fn peers(options: &Options) -> Result<Vec<Peer>> {
    let this = std::env::current_exe()?;
    // candle reads its number of threads from here.
    let mut all = vec![Peer::start(Command::new(this).arg("candle").env("RAYON_NUM_THREADS", "1"))?];
    if options.peers {
        let (onnx, folder) = (folder().join("wardbeat.onnx"), folder());
        all.push(Peer::start(serve(&python()?).args(["infer", "1"]).args([&onnx, &folder]))?);
    }
    Ok(all)
}

fn windows(options: &Options, summary: &mut Summary, bundle: &Bundle, peak: f64) -> Result<f64> {
    let (x, mut engine) = (prepared(1, WINDOW / 100), open_engine(bundle, "cpu")?);
    export(&window(engine.as_mut(), &x), &x, bundle.manifest.classes.len())?;
    let peers: Vec<_> = peers(options)?.into_iter().map(RefCell::new).collect();
    // As training, fitting and evaluation read whole records.
    let (mut ours, mut steps) = (LiveEngine::new(bundle.network().clone()), Steps::default());
    let mut contestants: Vec<Contestant<'_>> = vec![(
        "wardbeat".into(),
        Box::new(|| Ok(timed(WINDOWS_A_TURN, || ours.record(black_box(&x), ALL_LEADS, &mut steps)))),
    )];
    for peer in &peers {
        for (name, error) in peer.borrow().engines.clone() {
            // Half the precision is asked for by name; it must only be sane.
            let most = if name.ends_with("bf16") { 0.1 } else { ERROR_MAX };
            ensure!(error < most, "{name} is off by {error:.1e}");
            summary.set(&format!("error_{name}"), error);
            let order = format!("{name} {WINDOWS_A_TURN}");
            contestants.push((name, Box::new(move || peer.borrow_mut().turn(&order))));
        }
    }
    let all = take_turns(ROUNDS, &mut contestants)?;
    let gf = flops(&bundle.manifest.network, WINDOW) / 1e9;
    println!("  one window of 10 s, 12 leads, {gf:.2} GFLOP");
    println!(
        "  {:<16} {:>9} {:>9} {:>8} {:>8} {:>7}",
        "engine", "wall ms", "CPU ms", "GF/s", "of peak", "ours ×"
    );
    let ours = all[0].1.clone();
    for (name, calls) in &all {
        let rate = gf / calls.cpu_ms() * 1e3;
        println!(
            "  {name:<16} {:>9.3} {:>9.3} {rate:>8.0} {:>7.0}% {:>7.2}",
            calls.wall_ms(),
            calls.cpu_ms(),
            100.0 * rate / peak,
            ours.faster_than(calls),
        );
        if name != "wardbeat" {
            summary.number(&format!("window_vs_{name}"), ours.faster_than(calls));
        }
        summary.number(&format!("window_ms_{name}"), calls.cpu_ms());
    }
    summary.number("window_of_peak", gf / ours.cpu_ms() * 1e3 / peak);
    Ok(ours.cpu_ms())
}

/// Streams of many beds that have been running for a while.
struct Live {
    engine: Box<dyn Engine>,
    streams: Vec<Stream>,
    second: Vec<f32>,
}

impl Live {
    fn new(bundle: &Bundle) -> Result<Self> {
        let engine = open_engine(bundle, "cpu")?;
        let streams = (0..BEDS).map(|_| engine.open(THREE)).collect();
        Ok(Self { engine, streams, second: prepared(2, 1) })
    }

    /// One second of each bed.
    fn second(&mut self) -> usize {
        let input = &self.second;
        let work = |stream| Work { stream, input, finish: false, steps: Steps::default() };
        let mut work: Vec<Work<'_>> = self.streams.iter_mut().map(work).collect();
        self.engine.advance(&mut work).expect("the CPU does not fail");
        work.iter().map(|w| w.steps.count).sum()
    }
}

fn live(summary: &mut Summary, bundle: &Bundle, peak: f64, window_ms: f64) -> Result<()> {
    let mut beds = Live::new(bundle)?;
    let full = BEDS * 100 / bundle.manifest.network.step_samples();
    while beds.second() != full {}
    let calls = Calls(timed(40, || assert_eq!(beds.second(), full, "every bed gives a second of steps")));
    let bed_ms = calls.cpu_ms() / BEDS as f64;
    let rate = flops(&bundle.manifest.network, 100) / 1e6 / bed_ms;
    println!(
        "  live engine, {BEDS} beds a call: {bed_ms:.3} ms a bed and second of signal, {rate:.0} GF/s, {:.0}% of peak",
        100.0 * rate / peak
    );
    summary.number("live_ms", bed_ms);
    summary.number("live_of_peak", rate / peak);
    summary.number("live_vs_window", window_ms / bed_ms);
    if let Some(openvino) = summary.get("window_ms_openvino_f32").and_then(serde_json::Value::as_f64) {
        summary.number("live_vs_openvino_f32", openvino / bed_ms);
        println!("  against OpenVINO f32, a window anew each second: {:.1} times less", openvino / bed_ms);
    }
    Ok(())
}

fn clusters(summary: &mut Summary, bundle: &Bundle) -> Result<()> {
    let mut engine = open_engine(bundle, "cpu")?;
    let taps = window(engine.as_mut(), &prepared(3, WINDOW / 100)).taps;
    let beds = 10;
    let calls = Calls(timed(200, || drop(black_box(bundle.codebook.assign(&taps, ALL_LEADS)))));
    let us = calls.cpu_ms() * 1e3 / f64::from(beds);
    let k = bundle.codebook.clusters;
    println!("  clusters (K = {k}), assignment, entropy, novelty: {us:.1} µs a bed and second of signal");
    summary.number("clusters_us", us);
    Ok(())
}

/// The role `candle`: the network in candle's plain operations behind the peers' line protocol.
pub fn candle(lines: impl Iterator<Item = std::io::Result<String>>) -> Result<()> {
    let bundle = Bundle::embedded()?;
    let (x, mut engine) = (prepared(1, WINDOW / 100), open_engine(&bundle, "candle")?);
    let found = window(engine.as_mut(), &x).taps;
    let ours = window(open_engine(&bundle, "cpu")?.as_mut(), &x).taps;
    let scale = ours.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let off = found.iter().zip(&ours).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    println!("engine candle {:e}\nready", off / scale);
    for line in lines {
        let line = line?;
        let n = line.split(' ').nth(1).context("ENGINE N")?.parse()?;
        let spent = timed(n, || drop(black_box(window(engine.as_mut(), &x))));
        println!(
            "{}",
            spent
                .iter()
                .map(|Spent { wall_ms, cpu_ms }| format!("{wall_ms}/{cpu_ms}"))
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
    Ok(())
}
