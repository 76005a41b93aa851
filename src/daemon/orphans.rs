//! Alerts that an earlier run left open: each still gets its end.
//!
//! After a restart the ward judges anew. Where it holds a condition again, the earlier alert ends first; where it has
//! not after a while, the earlier alert ends by itself. So no destination is left with an alert that never closes.

use contract::{Alert, Code, MonoMs, Phase, UtcMs};
use std::collections::BTreeMap;

/// How long a condition may take to show again.
const PATIENCE_MS: u64 = 60_000;

/// Open alerts of an earlier run, by bed and code.
#[derive(Debug, Default)]
pub struct Orphans {
    open: BTreeMap<(String, Code), Alert>,
}

impl Orphans {
    /// Takes up the alerts that the journal shows as open.
    #[must_use]
    pub fn new(open: impl IntoIterator<Item = Alert>) -> Self {
        Self { open: open.into_iter().map(|a| ((a.bed.clone(), a.code), a)).collect() }
    }

    /// The end that must go out before `next`, if any. The very same alert raised again goes on instead.
    pub fn before(&mut self, next: &Alert, now: UtcMs) -> Option<Alert> {
        let earlier = self.open.remove(&(next.bed.clone(), next.code))?;
        (earlier.id != next.id).then(|| ended(earlier, now))
    }

    /// The ends of those that have not shown again since the start.
    pub fn overdue(&mut self, now: MonoMs, utc: UtcMs) -> Vec<Alert> {
        if now.0 < PATIENCE_MS {
            return Vec::new();
        }
        std::mem::take(&mut self.open).into_values().map(|alert| ended(alert, utc)).collect()
    }
}

fn ended(alert: Alert, now: UtcMs) -> Alert {
    Alert {
        kind: "alert.end".into(),
        rev: alert.rev + 1,
        phase: Phase::End,
        decided: now,
        text: "Ended: judged anew after a restart of Wardbeat.".into(),
        ..alert
    }
}
