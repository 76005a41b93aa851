//! `nurse-call`: a receiver on the command line. Prints each arrival as one line of JSON.

use clap::{Args, Parser, Subcommand};
use nurse_call::{Behaviour, Ledger, Receiver, Schedule, mllp, webhook};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Takes alerts as a nurse call would, well or badly, and keeps a ledger of what arrived.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Receive HL7 over MLLP.
    Mllp(Receive),
    /// Receive webhooks.
    Webhook {
        #[command(flatten)]
        receive: Receive,
        /// File with the key (`whsec_…`) that signatures must be made with.
        #[arg(long)]
        key_file: Option<PathBuf>,
    },
    /// Report what became of an alert (PCD-05).
    Report {
        /// Where Wardbeat listens (`acks_listen`).
        #[arg(long)]
        to: String,
        /// The alert's id, 32 hex digits.
        #[arg(long)]
        alert: String,
        /// Delivered, Read, Accepted or Rejected.
        #[arg(long, default_value = "Accepted")]
        status: String,
        /// Who.
        #[arg(long, default_value = "1^Nurse")]
        by: String,
    },
}

#[derive(Args)]
struct Receive {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:2575")]
    listen: String,
    /// Behaviours for the first messages: well,slow,error,reject,gone,wrong-id,half-frame,two-frames,pieces,drop,
    /// close-after,half-close,silent,garbage. Then well, or as --bad says.
    #[arg(long, value_delimiter = ',')]
    script: Vec<Behaviour>,
    /// Share of messages met badly, drawn by --seed.
    #[arg(long, default_value_t = 0.0)]
    bad: f64,
    /// Seed of the draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Delay of slow answers, in ms.
    #[arg(long, default_value_t = 1_000)]
    slow_ms: u64,
    /// Also write the ledger here, one line of JSON an arrival.
    #[arg(long)]
    ledger: Option<PathBuf>,
}

impl Receive {
    fn schedule(&self) -> Schedule {
        let drawn: Vec<_> = Behaviour::ALL.into_iter().filter(|b| !b.refuses()).collect();
        let schedule = Schedule::seeded(self.seed, self.bad, &drawn).beginning_with(&self.script);
        schedule.slow_by(Duration::from_millis(self.slow_ms))
    }

    fn ledger(&self) -> std::io::Result<Ledger> {
        self.ledger.as_deref().map_or_else(|| Ok(Ledger::default()), Ledger::to_file)
    }
}

fn follow(receiver: &Receiver) -> ! {
    println!("listening on {}", receiver.address());
    let mut seen = 0;
    loop {
        if receiver.ledger().wait_for(Duration::from_hours(1), |all| all.len() > seen) {
            let arrivals = receiver.ledger().arrivals();
            for arrival in &arrivals[seen..] {
                println!("{}", serde_json::to_string(arrival).unwrap_or_default());
            }
            seen = arrivals.len();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    match Cli::parse().command {
        Command::Mllp(receive) => {
            follow(&mllp::receive(&receive.listen, receive.schedule(), receive.ledger()?)?)
        }
        Command::Webhook { receive, key_file } => {
            let key = key_file.map(std::fs::read_to_string).transpose()?.map(|key| key.trim().to_owned());
            follow(&webhook::receive(&receive.listen, key, receive.schedule(), receive.ledger()?)?)
        }
        Command::Report { to, alert, status, by } => {
            println!("{}", mllp::report_status(&to, &alert, &status, &by, Duration::from_secs(5))?);
            Ok(())
        }
    }
}
