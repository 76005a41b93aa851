//! Bedside monitors that are not there: recordings or generated patients, published over MQTT as a gateway would.
//!
//! What it does: cuts each bed's signal into frames on its own time axis, at 0.1x to 100x of real time; announces
//! births and links; breaks things by seed or by script (loss, delay, reorder, duplicates, drift, jumps, silence,
//! leads off); counts every frame's fate, so that a receiver's loss can be proven.
//! What it never does: read Wardbeat's topics, change a sample that is sent, forget a frame.
//! Door: [`Monitor::new`] with one [`BedPlan`] a bed and [`Options`], then [`Monitor::run`] gives the [`Report`]
//! ([`Monitor::start`] does so on a thread of its own); [`main`] is the whole program.
//! Who calls it: `wardbeat demo`, the end-to-end tests, the benches, the program `monitor`.

mod background;
mod gateway;
mod generated;
mod link;
mod options;
mod plan;
mod program;
mod random;
mod report;
mod signal;
mod stream;

pub use background::Background;
pub use generated::Generated;
pub use options::{Dialect, Error, Faults, Options};
pub use plan::{Act, BedPlan, Trouble};
pub use program::main;
pub use report::{BedReport, Report};
pub use signal::{Recorded, Signal};

use gateway::Gateway;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use stream::{Anchor, Stream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The simulated monitors of a ward, ready to run.
pub struct Monitor {
    streams: Vec<Stream>,
    options: Options,
}

impl Monitor {
    /// Checks the plans and options.
    ///
    /// # Errors
    /// [`Error::Options`] names the value that cannot be used, [`Error::Bed`] the bed.
    pub fn new(plans: Vec<BedPlan>, options: Options) -> Result<Self, Error> {
        options.check()?;
        let mut beds: Vec<_> = plans.iter().map(|p| p.bed.clone()).collect();
        beds.sort();
        if let Some(twice) = beds.windows(2).find(|w| w[0] == w[1]) {
            return Err(Error::Bed(twice[0].clone(), "is planned twice".into()));
        }
        let count = plans.len();
        let make = |(i, plan)| Stream::new(plan, i, count, &options);
        let streams = plans.into_iter().enumerate().map(make).collect::<Result<_, _>>()?;
        Ok(Self { streams, options })
    }

    /// Connects, publishes until every signal has ended or `stop` turns true (or its sender is gone), flushes,
    /// disconnects and reports. Sample 0 of every bed is measured at the moment all connections stand.
    ///
    /// # Errors
    /// [`Error::Connect`] if a connection does not stand within ten seconds. A broker that goes away later is no
    /// error: frames of that time are counted as unsent, and the link is tried again.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<Report, Error> {
        let began = Instant::now();
        let mut gateways = Vec::new();
        let mut streams = self.streams.into_iter().peekable();
        while streams.peek().is_some() {
            let mine = streams.by_ref().take(self.options.beds_per_connection).collect();
            gateways.push(Gateway::connect(mine, &self.options, gateways.len()));
        }
        for gateway in &mut gateways {
            gateway.connected().await?;
        }
        let anchor = Anchor { instant: tokio::time::Instant::now(), utc_ms: now_utc_ms() };
        let mut tasks = JoinSet::new();
        for gateway in gateways {
            tasks.spawn(gateway.run(anchor, stop.clone()));
        }
        let mut report = Report { speed: self.options.speed, ..Report::default() };
        while let Some(done) = tasks.join_next().await {
            report.add(done.map_err(|e| Error::Broken(e.to_string()))?);
        }
        report.close(began.elapsed());
        Ok(report)
    }
}

fn now_utc_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

#[cfg(test)]
mod tests;
