//! `wardbeat recordings`: what the recorder holds, and its export as WFDB.

use super::Failure;
use crate::daemon::Past;
use crate::{config, daemon};
use anyhow::Context;
use clap::Subcommand;
use contract::BedId;
use recordings::Draft;
use std::fs;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  wardbeat recordings list --config config/ward.toml
  wardbeat recordings export site1/icu/b07 --hours 1 --out /tmp/b07 --config config/ward.toml
  wardbeat demo --replay /tmp/b07

An export is one WFDB record a stretch with the same leads, rate and epoch; what is missing between two hops of a stretch
is marked as missing samples.";

/// Lists what the recorder holds, or writes a bed's newest signal as WFDB.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every bed, its files and bytes.
    List {
        /// The node's config.
        #[arg(long, short)]
        config: PathBuf,
    },
    /// A bed's newest signal as WFDB records.
    Export {
        /// The bed, site/unit/bed.
        bed: String,
        /// The node's config.
        #[arg(long, short)]
        config: PathBuf,
        /// Hours, counted from the newest.
        #[arg(long, default_value_t = 1.0)]
        hours: f64,
        /// The folder; it is made.
        #[arg(long)]
        out: PathBuf,
    },
}

fn past(config: &std::path::Path) -> Result<Past, Failure> {
    let settings = config::load(config, &daemon::plugins()).map_err(|f| Failure::Usage(f.to_string()))?;
    Ok(Past::new(settings))
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::List { config } => {
            let past = past(config)?;
            for bed in past.beds() {
                println!("{bed}: {} files, {} bytes", bed.files, bed.bytes, bed = bed.bed);
            }
            Ok(())
        }
        What::Export { bed, config, hours, out } => {
            let bed = BedId::new(bed).map_err(|e| Failure::Usage(e.to_string()))?;
            export(&past(config)?, &bed, *hours, out)
        }
    }
}

fn export(past: &Past, bed: &BedId, hours: f64, out: &std::path::Path) -> Result<(), Failure> {
    let stretches = past.stretches(bed, (hours * 3_600.0).clamp(1.0, 1e9) as usize)?;
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for (i, stretch) in stretches.iter().enumerate() {
        let name = format!("{}-{}-{i:03}", bed.unit(), bed.place()).replace('.', "_");
        let leads: Vec<&str> = stretch.leads.iter().map(contract::LeadId::as_str).collect();
        let began =
            format!("bed {bed}, epoch {:08x}, sample {} at {}", stretch.epoch, stretch.from_n, stretch.began);
        let draft = Draft {
            name: &name,
            rate_hz: stretch.rate.as_f64(),
            gain_per_mv: 1_000.0,
            leads: &leads,
            samples_mv: &stretch.samples_mv,
            comments: &[&began],
        };
        let path = draft.write(out)?;
        println!("{}: {:.0} s, leads {}", path.display(), stretch.seconds(), leads.join(" "));
    }
    Ok(())
}
