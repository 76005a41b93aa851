//! Settings of the analysis that a site may choose; everything else comes from the model's card.

use contract::{Options, Priority};
use serde::{Deserialize, Serialize};

/// What raises an advisory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decide {
    /// One score of all channels, by the weights of the bundle; by channels where the bundle has none.
    #[default]
    Fused,
    /// Each cluster channel against the bed's own band.
    Channels,
}

/// Learning, limits and budgets of the analysis. Scores are means of `ln(1 + z)` over the channels of
/// `docs/method.md`, Live use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Analysis {
    /// Good signal needed before the first verdict, in seconds (10 to 3,600).
    pub learn_s: u32,
    /// What raises an advisory.
    pub decide: Decide,
    /// Fused decision: advisories a bed-day that are acceptable (1 to 192); the limit follows from it and from the bed's
    /// own tail of scores.
    pub alerts_per_bed_day: f32,
    /// Decision by channels: a second counts as over from this score on.
    pub score_on: f32,
    /// The same: a second counts as under below this score; lower than `score_on`, so that a condition does not flap.
    pub score_off: f32,
    /// The same: a second counts as strong (level alert) from this score on.
    pub score_strong: f32,
    /// The same: seconds over the limit, of the last `of_s`, that begin a condition.
    pub over_s: u32,
    /// The same: seconds looked at (at most 64).
    pub of_s: u32,
    /// Seconds without one over `score_off` that end a condition.
    pub clear_s: u32,
    /// Seconds after the end before the same condition may begin again.
    pub refractory_s: u32,
    /// Advisories a bed may raise within an hour; what is beyond is listed on the screen and not delivered.
    pub per_hour: u32,
    /// The same within a day.
    pub per_day: u32,
    /// An advisory whose condition is over stays until somebody has seen it.
    pub latching: bool,
    /// Seconds of unusable signal before WB-SIG.
    pub signal_on_s: u32,
    /// Seconds of good signal before WB-SIG ends.
    pub signal_off_s: u32,
    /// Priority of advisories on the wire.
    pub priority: Priority,
    /// Priority of an advisory at level alert.
    pub priority_strong: Priority,
    /// Priority of technical alerts.
    pub priority_technical: Priority,
}

impl Analysis {
    /// These, with the keys that `own` names in their place. What `check` would refuse changes nothing.
    #[must_use]
    pub fn with(&self, own: &Options) -> Self {
        let merged = || {
            let mut all = serde_json::to_value(self).ok()?;
            all.as_object_mut()?.extend(own.clone());
            serde_json::from_value(all).ok()
        };
        merged().unwrap_or_else(|| self.clone())
    }
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            learn_s: 15 * 60,
            decide: Decide::Fused,
            alerts_per_bed_day: 24.0,
            score_on: 1.6,
            score_off: 1.2,
            score_strong: 2.2,
            over_s: 8,
            of_s: 12,
            clear_s: 20,
            refractory_s: 300,
            per_hour: 2,
            per_day: 6,
            latching: false,
            signal_on_s: 4,
            signal_off_s: 5,
            priority: Priority::Low,
            priority_strong: Priority::Low,
            priority_technical: Priority::Low,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_or_bed_changes_only_what_it_names() {
        let own = serde_json::json!({"per_hour": 4, "priority": "info", "latching": true});
        let changed = Analysis::default().with(own.as_object().expect("a table"));
        let wanted =
            Analysis { per_hour: 4, priority: Priority::Info, latching: true, ..Analysis::default() };
        assert_eq!(changed, wanted);
        let wrong = serde_json::json!({"priority": "high"});
        assert_eq!(Analysis::default().with(wrong.as_object().expect("a table")), Analysis::default());
    }
}
