//! What the scripted ward must raise, and what it must not.

use super::ward::{COLLAPSE_S, IRREGULAR_S, LEAD_OFF_S, NOISE_S, SILENT_S, bed};
use crate::snapshot::{AlertView, Snapshot};
use contract::{AlertClass, AlertId, BedId, Code, UtcMs};
use std::collections::BTreeMap;

/// The alerts that were seen, and when the first bed was.
#[derive(Default)]
pub(super) struct Watch {
    began: Option<UtcMs>,
    alerts: BTreeMap<AlertId, (AlertView, UtcMs)>,
}

/// One line of the script.
struct Expected {
    number: u16,
    what: &'static str,
    from_s: u64,
    within_s: u64,
    codes: &'static [Code],
    /// Advisories of this bed are a fault.
    technical_only: bool,
}

const ADVISORIES: &[Code] = &[Code::Uncertain, Code::New, Code::Changed];
const SCRIPT: [Expected; 5] = [
    Expected {
        number: 1,
        what: "an advisory after its rhythm collapsed",
        from_s: COLLAPSE_S,
        within_s: 20,
        codes: ADVISORIES,
        technical_only: false,
    },
    Expected {
        number: 2,
        what: "an advisory after its rhythm became irregular",
        from_s: IRREGULAR_S,
        within_s: 60,
        codes: ADVISORIES,
        technical_only: false,
    },
    Expected {
        number: 3,
        what: "WB-SIG for its lost lead",
        from_s: LEAD_OFF_S,
        within_s: 10,
        codes: &[Code::Signal],
        technical_only: true,
    },
    Expected {
        number: 4,
        what: "WB-SIG for its noise",
        from_s: NOISE_S,
        within_s: 10,
        codes: &[Code::Signal],
        technical_only: true,
    },
    Expected {
        number: 5,
        what: "WB-NODATA for its silence",
        from_s: SILENT_S[0],
        within_s: 10,
        codes: &[Code::NoData],
        technical_only: true,
    },
];

impl Watch {
    /// Notes the alerts that are open or ended.
    pub(super) fn look(&mut self, snapshot: &Snapshot) {
        let Some(now) = snapshot.now else { return };
        if self.began.is_none() && snapshot.beds.iter().any(|bed| bed.sample_age_ms.is_some()) {
            self.began = Some(now);
        }
        for alert in &snapshot.alerts {
            self.alerts.entry(alert.id.clone()).or_insert_with(|| (alert.clone(), now));
        }
    }

    /// What should have been raised and was not, or was and should not have been; a line each.
    pub(super) fn missing(&self, beds: u16) -> Vec<String> {
        let Some(began) = self.began else { return vec!["no bed was ever heard".into()] };
        let mut lines = Vec::new();
        for expected in SCRIPT.iter().filter(|e| e.number <= beds) {
            let id = bed(expected.number);
            let raised_s = |code: Code| {
                let mine = self.of(&id).filter(move |(alert, _)| alert.code == code);
                mine.map(move |(_, at)| (at.0 - began.0) as f64 / 1_000.0)
            };
            let (from_s, to_s) = (expected.from_s as f64, (expected.from_s + expected.within_s) as f64 + 1.0);
            let told = expected.codes.iter().flat_map(|c| raised_s(*c)).any(|s| (from_s..=to_s).contains(&s));
            if !told {
                lines.push(format!("missing on {id}: {} (within {} s)", expected.what, expected.within_s));
            }
        }
        let quiet = |number: &u16| SCRIPT.iter().all(|e| e.number != *number || e.technical_only);
        for id in (1..=beds).filter(quiet).map(bed) {
            let advisories = self.of(&id).filter(|(alert, _)| alert.class == AlertClass::Analysis);
            lines.extend(advisories.map(|(alert, _)| format!("unexpected on {id}: {}", alert.text)));
        }
        lines
    }

    fn of<'a>(&'a self, id: &'a BedId) -> impl Iterator<Item = &'a (AlertView, UtcMs)> {
        self.alerts.values().filter(move |(alert, _)| alert.bed.as_ref() == Some(id))
    }
}
