//! WB-SIG: which leads are unusable, with seconds of hysteresis, so that one bad second raises nothing and one good
//! second ends nothing.

use crate::config::Analysis;
use contract::{LeadId, LeadSignal, Signal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Lead {
    out: bool,
    /// Seconds in a row that speak against the present state.
    against: u32,
    why: Signal,
}

/// The leads of a bed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct SignalWatch {
    leads: BTreeMap<LeadId, Lead>,
}

impl SignalWatch {
    /// Takes one second of all leads. A second of which no lead has a sample is a gap, not a bad lead.
    pub fn second(&mut self, leads: &[LeadSignal], analysis: &Analysis) {
        if leads.iter().all(|l| l.missing >= 1.0 && l.signal == Signal::Missing) {
            return;
        }
        self.leads.retain(|name, _| leads.iter().any(|l| l.lead == *name));
        for now in leads.iter().filter(|l| l.lead.standard().is_some()) {
            let entry =
                self.leads.entry(now.lead).or_insert(Lead { out: false, against: 0, why: Signal::Good });
            let bad = now.signal != Signal::Good;
            if bad {
                entry.why = now.signal;
            }
            entry.against = if bad == entry.out { 0 } else { entry.against + 1 };
            let needed = if entry.out { analysis.signal_off_s } else { analysis.signal_on_s };
            if entry.against >= needed {
                *entry = Lead { out: bad, against: 0, why: entry.why };
            }
        }
    }

    /// These were out when an earlier run ended.
    pub fn reopen(&mut self, leads: &[LeadId]) {
        let out = |&lead: &LeadId| (lead, Lead { out: true, against: 0, why: Signal::LeadOff });
        self.leads.extend(leads.iter().map(out));
    }

    /// The unusable leads and what is the matter with each, in the order of their names.
    pub fn out(&self) -> Vec<(LeadId, Signal)> {
        self.leads.iter().filter(|l| l.1.out).map(|(name, l)| (*name, l.why)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_is_out_after_seconds_and_back_after_seconds() {
        let lead = LeadId::new("II").expect("valid");
        let analysis = Analysis { signal_on_s: 3, signal_off_s: 2, ..Analysis::default() };
        let mut watch = SignalWatch::default();
        let states: String = ".nn.nnn.n..."
            .chars()
            .map(|c| {
                let signal = if c == 'n' { Signal::Noisy } else { Signal::Good };
                watch.second(&[LeadSignal { lead, signal, missing: 0.0 }], &analysis);
                if watch.out().is_empty() { '.' } else { 'o' }
            })
            .collect();
        assert_eq!(states, "......oooo..");
    }

    #[test]
    fn a_gap_of_all_leads_changes_nothing() {
        let lead = LeadId::new("II").expect("valid");
        let mut watch = SignalWatch::default();
        for _ in 0..20 {
            watch.second(&[LeadSignal { lead, signal: Signal::Missing, missing: 1.0 }], &Analysis::default());
        }
        assert!(watch.out().is_empty());
    }
}
