//! `wardbeat plugin test`: the conformance kit against a program of the site's own.

use super::Failure;
use crate::daemon;
use anyhow::anyhow;
use clap::Subcommand;
use contract::conformance::SINK_CHECKS;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  wardbeat plugin test /opt/wardbeat/csv-writer.py /tmp/alerts.csv
  wardbeat plugin test --decoder --topic gateway/b07 --payload sample.bin /opt/wardbeat/my-decoder.py

A sink gets about forty alerts, all marked as tests, and must take them. Nothing else is sent anywhere.";

/// Checks of plugins.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Runs the conformance kit against a program.
    #[command(after_help = EXAMPLES)]
    Test {
        /// The program is a decoder.
        #[arg(long, requires_all = ["topic", "payload"])]
        decoder: bool,
        /// Topic of the sample payload.
        #[arg(long, requires = "decoder")]
        topic: Option<String>,
        /// File with one payload that it must read.
        #[arg(long, requires = "decoder", value_name = "FILE")]
        payload: Option<PathBuf>,
        /// A variable of its environment, which is empty but for these and PATH.
        #[arg(long, value_name = "NAME=VALUE")]
        env: Vec<String>,
        /// Seconds that one call may take.
        #[arg(long, default_value_t = 5)]
        budget: u64,
        /// The program (absolute path) and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let What::Test { topic, payload, env, budget, command, .. } = &args.what;
    let program = fs::canonicalize(&command[0]).map_err(|e| anyhow!("{}: {e}", command[0]))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let pairs = env.iter().map(|pair| pair.split_once('=').map(|(k, v)| (k.to_owned(), json!(v))));
    let mut variables: serde_json::Map<_, _> =
        pairs.collect::<Option<_>>().ok_or_else(|| Failure::Usage("--env wants NAME=VALUE".into()))?;
    variables.entry("PATH").or_insert(path.into());
    let options = json!({"program": program, "args": command[1..], "env": variables});
    let options = options.as_object().cloned().unwrap_or_default();
    match (topic, payload) {
        (Some(topic), Some(file)) => decoder(&options, topic, &fs::read(file)?),
        _ => sink(&options, Duration::from_secs(*budget)),
    }
}

fn sink(options: &contract::Options, budget: Duration) -> Result<(), Failure> {
    let entry = daemon::plugins().sinks.iter().find(|s| s.kind == "exec").copied();
    let entry = entry.ok_or_else(|| anyhow!("this build has no exec plugin (feature exec)"))?;
    let mut sink = (entry.build)(options).map_err(|e| Failure::Usage(e.to_string()))?;
    let mut failed = 0;
    for (what, check) in SINK_CHECKS {
        match check(sink.as_mut(), budget) {
            Ok(()) => println!("ok      {what}"),
            Err(why) => {
                failed += 1;
                println!("FAILED  {what}\n        {why}");
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(anyhow!("{failed} of {} checks failed", SINK_CHECKS.len()).into()) }
}

fn decoder(options: &contract::Options, topic: &str, payload: &[u8]) -> Result<(), Failure> {
    let entry = daemon::plugins().decoders.iter().find(|d| d.kind == "exec").copied();
    let entry = entry.ok_or_else(|| anyhow!("this build has no exec plugin (feature exec)"))?;
    let mut decoder = (entry.build)(options).map_err(|e| Failure::Usage(e.to_string()))?;
    let now = daemon::Clock::start().utc();
    let read = |decoder: &mut Box<dyn contract::Decoder>, bytes: &[u8]| decoder.decode(topic, bytes, now);
    let heard = read(&mut decoder, payload).map_err(|e| anyhow!("the sample is refused: {e}"))?;
    for one in &heard {
        if let contract::Heard::Frame(frame) = one {
            let leads: Vec<String> = frame.parts().leads.iter().map(ToString::to_string).collect();
            let (rate, length) = (frame.parts().rate, frame.length());
            println!(
                "ok      a frame of {}: {} at {rate} Hz, {length} samples",
                frame.bed(),
                leads.join(" ")
            );
        }
    }
    if heard.is_empty() {
        return Err(anyhow!("the sample holds no frame").into());
    }
    // Cut and changed payloads may be refused; the program must live and still read the sample.
    for cut in [0, 1, payload.len() / 2, payload.len().saturating_sub(1)] {
        drop(read(&mut decoder, &payload[..cut]));
    }
    for at in (0..payload.len()).step_by((payload.len() / 64).max(1)) {
        let mut changed = payload.to_vec();
        changed[at] ^= 0xff;
        drop(read(&mut decoder, &changed));
    }
    read(&mut decoder, payload).map_err(|e| anyhow!("after damaged payloads the sample is refused: {e}"))?;
    println!("ok      damaged payloads leave it able to read the sample");
    Ok(())
}
