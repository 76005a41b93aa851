//! A marked test alert, straight to one destination: what an integrator sees before anything else runs.

use super::clock::Clock;
use super::registry::SINKS;
use crate::config::Settings;
use crate::pipeline::{Setup, test_alerts};
use contract::{Alert, BedId, Code, SinkError};
use std::time::Duration;

const BUDGET: Duration = Duration::from_secs(10);

/// Sends a start and an end, both in mode test, to the destination of that name, or gives the bytes that would be sent
/// (`dump`). With `bed` they name that bed's place (WB-SIG), else the node's (WB-NODE). Gives lines for people.
///
/// # Errors
/// In words: no such destination, options that cannot be used, or what the destination said.
pub fn test_sink(
    settings: &Settings,
    name: &str,
    bed: Option<&BedId>,
    by: &str,
    dump: bool,
) -> Result<Vec<u8>, String> {
    let sink = settings.sinks.iter().find(|s| s.name == name).ok_or("there is no such destination")?;
    let entry = SINKS.iter().find(|e| e.kind == sink.kind).ok_or("its kind is not in this build")?;
    let mut plugin = (entry.build)(&sink.options).map_err(|e| e.to_string())?;
    let setup = Setup { site: settings.site.clone(), node: settings.node.clone(), ..Setup::default() };
    let now = Clock::start().utc();
    let mut told = Vec::new();
    for alert in test_alerts(&setup, "m-test", by, now) {
        let alert = match bed {
            None => alert,
            Some(bed) => Alert { bed: bed.to_string(), code: Code::Signal, ..alert },
        };
        if dump {
            told.extend(plugin.preview(&alert).map_err(|e| e.to_string())?);
            told.push(b'\n');
            continue;
        }
        match plugin.deliver(&alert, BUDGET) {
            Ok(receipt) => told.extend(format!("{name}: {} {}\n", alert.kind, receipt.0).into_bytes()),
            Err(SinkError::Retry(why)) => return Err(format!("not now: {why}")),
            Err(SinkError::Refused(why)) => return Err(format!("refused: {why}")),
        }
    }
    Ok(told)
}
