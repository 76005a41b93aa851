//! `wardbeat replay`: an alert once more from its evidence, or a bed's recording by two models.

use super::progress::{self, Progress};
use super::{Failure, live};
use crate::daemon::{Comparison, Outcome, Past, Verdict};
use crate::model::Bundle;
use crate::{config, daemon};
use contract::BedId;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  wardbeat replay 2500be51 --config config/ward.toml
      derives every message of the alert anew from its evidence, and compares the bytes
  wardbeat replay --bed site1/icu/b07 --against models/new --hours 12 --config config/ward.toml
      what the present and a new model say over the last 12 h of the bed, before you switch

Exit codes: 0 the same bytes (or the comparison is printed); 3 something differs, and what; 1 failed; 2 wrong usage.";

/// Replays an alert from its evidence, or a bed's recording with another model beside the present one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The alert's id, or the beginning of it.
    #[arg(required_unless_present = "bed", conflicts_with = "bed")]
    alert: Option<String>,
    /// The node's config: it says where journal and recordings are.
    #[arg(long, short)]
    config: PathBuf,
    /// Folder of the bundle that spoke, in place of the one in this program.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Replays a bed's recording with two models.
    #[arg(long, value_name = "SITE/UNIT/BED", requires = "against")]
    bed: Option<String>,
    /// Folder of the other bundle.
    #[arg(long, value_name = "DIR", requires = "bed")]
    against: Option<PathBuf>,
    /// The newest hours of the recording.
    #[arg(long, default_value_t = 12.0, requires = "bed")]
    hours: f64,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings =
        config::load(&args.config, &daemon::plugins()).map_err(|f| Failure::Usage(f.to_string()))?;
    let past = Past::new(settings);
    let bundle = Arc::new(live::bundle(args.model.as_deref())?);
    match (&args.alert, &args.bed, &args.against) {
        (Some(id), ..) => told(&past.alert(id, &bundle)?),
        (_, Some(bed), Some(against)) => {
            let bed = BedId::new(bed).map_err(|e| Failure::Usage(e.to_string()))?;
            let other = Arc::new(Bundle::read(against)?);
            let bar = progress::bar(0, "seconds");
            let hops = (args.hours * 3_600.0).clamp(1.0, 1e9) as usize;
            let found = past.compare(&bed, hops, [&bundle, &other], |done, all| {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
            })?;
            bar.finish_and_clear();
            bar.say(&format!("{bed}: {} seconds that both models read", found.hops));
            compared(&found, [&bundle.id, &other.id]);
            Ok(())
        }
        _ => Err(Failure::Usage("name an alert, or --bed and --against".into())),
    }
}

/// Prints a line a message; fails with what differs.
fn told(verdicts: &[Verdict]) -> Result<(), Failure> {
    let mut differs = Vec::new();
    for verdict in verdicts {
        let Verdict { key, kind, bytes, hops, .. } = verdict;
        match &verdict.outcome {
            Outcome::Same => {
                println!("{key} {kind}: the same {bytes} bytes, from {hops} s of recorded signal");
            }
            Outcome::NotPromised => {
                println!(
                    "{key} {kind}: no evidence; it depends on arrival or on a person, not on the signal alone"
                );
            }
            Outcome::Differs(what) => {
                println!("{key} {kind}: differs");
                differs.extend(what.iter().map(|what| format!("{key}: {what}")));
            }
        }
    }
    if differs.is_empty() { Ok(()) } else { Err(Failure::Differs(differs.join("\n"))) }
}

fn compared(found: &Comparison, ids: [&str; 2]) {
    for (k, id) in ids.into_iter().enumerate() {
        let starts = found.alerts[k].iter().filter(|line| line.contains(" alert.start ")).count();
        println!("{id}: {starts} alerts begun, mean entropy {:.3}", found.entropy[k]);
    }
    println!("read by one of them only: {} s", found.read_by_one);
    let [old, new] = &found.alerts;
    let both = old.iter().filter(|line| new.contains(line)).count();
    println!("messages that both say at the same time: {both}");
    for (sign, mine, other) in [('-', old, new), ('+', new, old)] {
        for line in mine.iter().filter(|line| !other.contains(line)) {
            println!("{sign} {line}");
        }
    }
}
