//! One training step against that of `torch`, in both of its forms, on one thread and on two.

use crate::Options;
use crate::measure::{Calls, Contestant, Spent, take_turns, timed};
use crate::network::prepared;
use crate::peers::{Peer, python, serve};
use crate::summary::Summary;
use anyhow::{Context, Result};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use wardbeat::workshop::dataset::{LENGTH, Labels, PtbXl};
use wardbeat::workshop::train::{BATCH, Plan, Run};

/// Auxiliary statements of PTB-XL.
const STATEMENTS: usize = 71;
const ROUNDS: usize = 6;
const STEPS_A_TURN: usize = 2;
/// Place in a run: before the averaged weights begin to teach, so that both sides compute the same loss.
const EARLY: f64 = 0.1;

/// One batch of generated patients with drawn labels, in the form of the database.
fn set() -> PtbXl {
    let labels = |i: usize| Labels {
        ecg_id: i as u32,
        patient_id: i as u32,
        fold: 1,
        age: None,
        classes: std::array::from_fn(|class| i % 5 == class),
        statements: vec![i % STATEMENTS, (i * 7 + 3) % STATEMENTS],
    };
    PtbXl {
        labels: (0..BATCH).map(labels).collect(),
        statements: (0..STATEMENTS).map(|s| format!("form:{s}")).collect(),
        files: vec![std::path::PathBuf::new(); BATCH],
        signals: (0..BATCH).flat_map(|i| prepared(i as u64, LENGTH / 100)).collect(),
    }
}

pub fn run(options: &Options, summary: &mut Summary) -> Result<()> {
    println!("\nTraining step, batch of {BATCH} records of 12 leads");
    let set = set();
    let torch = if options.peers { torch() } else { None };
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let plan = Plan {
            out: PathBuf::from("target/bench"),
            epochs: 1,
            seed: 1,
            train_folds: vec![1],
            choose_fold: 2,
            resume: false,
            device: None,
        };
        let mut run = Run::new(plan, &set).context("a run over one batch")?;
        let records: Vec<usize> = (0..BATCH).collect();
        let mut seed = 0;
        let mut ours = || -> Result<Vec<Spent>> {
            Ok(pool.install(|| {
                timed(STEPS_A_TURN, || {
                    seed += 1;
                    run.step(&records, EARLY, seed).expect("a finite loss");
                })
            }))
        };
        let mut contestants: Vec<Contestant<'_>> = vec![("wardbeat".into(), Box::new(&mut ours))];
        for (name, _) in torch.iter().flat_map(|t| t.borrow().engines.clone()) {
            let order = format!("{} {threads} {STEPS_A_TURN}", name.trim_start_matches("torch_"));
            let torch = torch.as_ref().context("torch was started")?;
            contestants.push((name, Box::new(move || torch.borrow_mut().turn(&order))));
        }
        told(summary, threads, &take_turns(ROUNDS, &mut contestants)?);
    }
    Ok(())
}

fn told(summary: &mut Summary, threads: usize, all: &[(String, Calls)]) {
    let ours = &all[0].1;
    let times = |calls: &Calls| if threads == 1 { ours.faster_than(calls) } else { ours.sooner_than(calls) };
    let mut fastest = f64::INFINITY;
    for (name, calls) in all {
        println!(
            "  {threads} thread{} {name:<9} {:>7.0} ms wall {:>7.0} ms CPU, ours × {:.2}",
            if threads == 1 { " " } else { "s" },
            calls.wall_ms(),
            calls.cpu_ms(),
            times(calls)
        );
        summary.number(&format!("train_step_ms_{name}_{threads}"), calls.wall_ms());
        if name != "wardbeat" {
            fastest = fastest.min(times(calls));
        }
    }
    if fastest.is_finite() {
        summary.number(&format!("train_step_vs_torch_{threads}"), fastest);
        let both = [1, 2]
            .map(|t| summary.get(&format!("train_step_vs_torch_{t}")).and_then(serde_json::Value::as_f64));
        // The claim is for either number of threads: the worse one stands for it.
        if let [Some(one), Some(two)] = both {
            summary.number("train_step_vs_torch", one.min(two));
        }
    }
}

/// The peer, where `benches/peers/setup.sh --torch` installed it.
fn torch() -> Option<RefCell<Peer>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ptbxl/manifest.json");
    // The mean of the lengths that training draws from.
    let numbers = [BATCH, 940, STATEMENTS].map(|n| n.to_string());
    let python = python().ok()?;
    let here = Command::new(&python).args(["-c", "import torch"]).output().is_ok_and(|o| o.status.success());
    if !here {
        println!("  PyTorch is not installed: benches/peers/setup.sh --torch");
        return None;
    }
    match Peer::start(serve(&python).arg("train").arg(&manifest).args(numbers)) {
        Ok(peer) => Some(RefCell::new(peer)),
        Err(fault) => {
            println!("  PyTorch does not answer: {fault:#}");
            None
        }
    }
}
