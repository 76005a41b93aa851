//! What the alerts of a stretch of time asked of people: how many a bed and day, how soon they were seen, what was held back.

use super::journal::{Asked, Entry};
use contract::{AlertClass, Code, Mode, Phase, UtcMs, Verb};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One bed's share.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Load {
    /// Advisories begun.
    pub analysis: u64,
    /// Technical alerts begun.
    pub technical: u64,
    /// Advisories and technical alerts held back, by what held them.
    pub held: BTreeMap<String, u64>,
}

/// The burden of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Burden {
    /// Its length in days.
    pub days: f64,
    /// By bed; the node stands under its place.
    pub beds: BTreeMap<String, Load>,
    /// Seconds from the start of an alert to the first acknowledgement, in order of size.
    pub to_ack_s: Vec<u64>,
    /// Alerts begun that nobody has acknowledged.
    pub unseen: u64,
    /// Alerts begun that have not ended.
    pub open: u64,
    /// Tests of the way to the nurse call.
    pub tests: u64,
}

impl Burden {
    /// Adds up what was said, asked and held back from `from` to `to`.
    #[must_use]
    pub fn of(entries: &[Entry], asked: &[Asked], held: &[(Entry, String)], [from, to]: [UtcMs; 2]) -> Self {
        let mut burden = Self { days: (to.0 - from.0).max(1) as f64 / 86_400_000.0, ..Self::default() };
        let within = |at: UtcMs| from <= at && at < to;
        let ended: BTreeSet<&str> =
            entries.iter().filter(|e| e.alert.phase == Phase::End).map(|e| e.alert.id.0.as_str()).collect();
        for Entry { at, alert, .. } in
            entries.iter().filter(|e| e.alert.phase == Phase::Start && within(e.at))
        {
            if alert.code == Code::Node && alert.mode == Mode::Test {
                burden.tests += 1;
                continue;
            }
            let load = burden.beds.entry(alert.bed.clone()).or_default();
            match alert.class {
                AlertClass::Analysis => load.analysis += 1,
                AlertClass::Technical => load.technical += 1,
            }
            let seen = asked.iter().find(|a| a.verb == Verb::Ack && a.alert == alert.id.0);
            match seen {
                Some(seen) => burden.to_ack_s.push((seen.at.0 - at.0).max(0).unsigned_abs() / 1_000),
                None => burden.unseen += 1,
            }
            burden.open += u64::from(!ended.contains(alert.id.0.as_str()));
        }
        for (entry, why) in held.iter().filter(|h| within(h.0.at)) {
            let load = burden.beds.entry(entry.alert.bed.clone()).or_default();
            *load.held.entry(why.clone()).or_default() += 1;
        }
        burden.to_ack_s.sort_unstable();
        burden
    }

    /// Advisories a bed and day, over the beds that are named.
    #[must_use]
    pub fn a_bed_and_day(&self) -> f64 {
        let beds = self.beds.keys().filter(|bed| !bed.contains("/_node/")).count().max(1) as f64;
        self.beds.values().map(|load| load.analysis).sum::<u64>() as f64 / beds / self.days
    }

    /// The time to acknowledge that this share of the alerts stays below, in seconds.
    #[must_use]
    pub fn to_ack_quantile_s(&self, share: f64) -> Option<u64> {
        let last = self.to_ack_s.len().checked_sub(1)?;
        self.to_ack_s.get((last as f64 * share).round() as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::testing::alert;

    #[test]
    fn a_shift_is_added_up_by_bed_and_by_what_held_back() {
        let entry = |seq, at, id: &str, phase| Entry {
            seq,
            at: UtcMs(at),
            alert: alert(id, 0, phase),
            body: String::new(),
        };
        let entries = [
            entry(1, -5, "before", Phase::Start),
            entry(2, 0, "a", Phase::Start),
            entry(3, 10_000, "b", Phase::Start),
            entry(4, 20_000, "a", Phase::End),
        ];
        let asked = [Asked {
            at: UtcMs(7_500),
            bed: "s/u/b".into(),
            verb: Verb::Ack,
            by: "RN".into(),
            alert: "a".into(),
            args: String::new(),
        }];
        let held = [(entry(0, 30_000, "h", Phase::Start), "cap".to_owned())];
        let burden = Burden::of(&entries, &asked, &held, [UtcMs(0), UtcMs(86_400_000)]);
        let load = &burden.beds["s/u/b"];
        assert_eq!((load.technical, load.analysis, load.held["cap"]), (2, 0, 1));
        assert_eq!((burden.to_ack_s.as_slice(), burden.unseen, burden.open), (&[7][..], 1, 1));
        assert_eq!((burden.to_ack_quantile_s(0.5), burden.days), (Some(7), 1.0));
        assert_eq!(Burden::default().to_ack_quantile_s(0.5), None);
    }
}
