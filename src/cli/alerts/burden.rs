//! `wardbeat alerts burden`.

use super::{hours_ago, journal};
use crate::cli::Failure;
use crate::daemon::{Burden, Clock};
use std::path::PathBuf;

/// Which stretch of time; 8 hours make a shift summary.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The config file.
    #[arg(long, short)]
    config: PathBuf,
    /// The last so many hours.
    #[arg(long, default_value_t = 8)]
    hours: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let reader = journal(&crate::cli::settings(&args.config)?)?;
    let from = hours_ago(args.hours);
    let to = Clock::start().utc().after(1);
    let (entries, held) = (reader.since(from, i64::MAX)?, reader.held(from)?);
    let burden = Burden::of(&entries, &reader.asked(from)?, &held, [from, to]);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&burden)?);
        return Ok(());
    }
    println!("the last {} h, to {to}", args.hours);
    println!("{:<28} {:>10} {:>10}  held back", "bed", "advisories", "technical");
    for (bed, load) in &burden.beds {
        let held: Vec<String> = load.held.iter().map(|(why, n)| format!("{why} {n}")).collect();
        println!("{bed:<28} {:>10} {:>10}  {}", load.analysis, load.technical, held.join(", "));
    }
    println!("advisories a bed and day: {:.2}", burden.a_bed_and_day());
    match (burden.to_ack_quantile_s(0.5), burden.to_ack_quantile_s(0.9)) {
        (Some(half), Some(most)) => println!("seen: half within {half} s, nine of ten within {most} s"),
        _ => println!("seen: none"),
    }
    println!(
        "not seen: {}   still open: {}   tests of the nurse call: {}",
        burden.unseen, burden.open, burden.tests
    );
    Ok(())
}
