//! `cargo bench`: every claim about speed as a ratio measured in one run, as a table and as `target/bench/summary.json`.
//!
//! What is compared takes turns, round by round, on the same core; medians count. The whole pipeline runs as separate
//! processes (broker, monitors, daemon, listener), whose CPU time is read from the system. `docs/performance.md` explains
//! the figures.

mod machine;
mod measure;
mod network;
mod peers;
mod plot;
mod processes;
mod program;
mod roles;
mod signal;
mod summary;
mod training;
mod ward;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use summary::Summary;

/// Measures Wardbeat and the engines that one would pick instead.
#[derive(Parser)]
#[command(
    bin_name = "cargo bench --bench table --",
    after_help = "Examples:\n  cargo bench\n  cargo bench --bench table -- --only network,signal\n  cargo bench --bench table -- --only ward --ward 16,1000x600\n  benches/peers/setup.sh --torch && cargo bench --bench table -- --long"
)]
struct Cli {
    /// The parts to run; the others keep their last figures. Default: all.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Also the long proofs: ten minutes of 1,000 and of 2,000 beds, and the ladder above.
    #[arg(long)]
    long: bool,
    /// Only these wards: beds, or beds x seconds.
    #[arg(long, value_delimiter = ',', value_name = "BEDS[xSECONDS]", value_parser = ward::size)]
    ward: Vec<ward::Size>,
    /// Without the peers of benches/peers.
    #[arg(long)]
    no_peers: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    /// This program as one of the processes that a part needs.
    #[command(subcommand)]
    role: Option<roles::Role>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Window engine, live engine, clusters.
    Network,
    /// Decoders and the stages before the network.
    Signal,
    /// A training step.
    Training,
    /// Start-up and the terminal.
    Program,
    /// The whole pipeline for 1 to 2,000 beds.
    Ward,
}

/// Measures one part, tells it, and sets its figures.
type Run = fn(&Options, &mut Summary) -> Result<()>;

/// What the parts are told.
struct Options {
    long: bool,
    ward: Vec<ward::Size>,
    peers: bool,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if let Some(role) = cli.role {
        return roles::play(role);
    }
    let options = Options { long: cli.long, ward: cli.ward, peers: !cli.no_peers };
    let mut summary = Summary::open(!cli.only.is_empty())?;
    machine::describe(&mut summary);
    let parts: [(Part, Run); 5] = [
        (Part::Network, network::run),
        (Part::Signal, signal::run),
        (Part::Training, training::run),
        (Part::Program, program::run),
        (Part::Ward, ward::run),
    ];
    let mut failed = 0;
    for (part, run) in parts {
        if !cli.only.is_empty() && !cli.only.contains(&part) {
            continue;
        }
        if let Err(fault) = run(&options, &mut summary) {
            println!("  failed: {fault:#}");
            failed += 1;
        }
        summary.write()?;
    }
    plot::write(&summary)?;
    summary.print();
    anyhow::ensure!(failed == 0, "{failed} parts failed");
    Ok(())
}
