//! What two models say over the same recording, before a site switches.

use super::Past;
use crate::daemon::DaemonError;
use crate::model::{Bundle, open_engine};
use crate::pipeline::Replay;
use contract::{Alert, BedId};
use std::sync::Arc;

/// What two models said over the same stretch of signal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Hops that both read.
    pub hops: usize,
    /// Hops that only one could read.
    pub read_by_one: usize,
    /// Messages of each, in order: time, kind, code, text.
    pub alerts: [Vec<String>; 2],
    /// Mean entropy of each, over the hops that both read.
    pub entropy: [f64; 2],
}

fn line(alert: &Alert) -> String {
    format!("{} {} {} {}", alert.decided, alert.kind, alert.code, alert.text)
}

impl Past {
    /// What two models say over the newest `hops` seconds of a bed's recording, each from nothing, with the analysis
    /// of the config. A baseline is learnt first: the stretch should be much longer than `learn_s`.
    ///
    /// # Errors
    /// [`DaemonError`] where there is no recording or no engine.
    pub fn compare(
        &self,
        bed: &BedId,
        hops: usize,
        bundles: [&Arc<Bundle>; 2],
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Comparison, DaemonError> {
        let all = self.newest_hops(bed, hops)?;
        let mut replays = Vec::new();
        for bundle in bundles {
            let engine = open_engine(bundle, "cpu")?;
            replays.push(Replay::new(self.setup(bundle), bundle, engine, bed));
        }
        let mut found = Comparison::default();
        let mut sums = [0.0, 0.0];
        for (i, hop) in all.iter().enumerate() {
            let mut entropies = [None, None];
            for (k, replay) in replays.iter_mut().enumerate() {
                let replayed = replay.hop(hop.clone());
                entropies[k] = replayed.finding.reading.as_ref().ok().map(|r| f64::from(r.window_entropy));
                found.alerts[k].extend(replayed.alerts.iter().map(line));
            }
            match entropies {
                [Some(a), Some(b)] => {
                    found.hops += 1;
                    sums = [sums[0] + a, sums[1] + b];
                }
                [None, None] => {}
                _ => found.read_by_one += 1,
            }
            progress(i + 1, all.len());
        }
        found.entropy = sums.map(|sum| sum / found.hops.max(1) as f64);
        Ok(found)
    }
}
