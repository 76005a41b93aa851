//! WB-SIG: which leads are unusable, with seconds of hysteresis, so that one bad second raises nothing and one good
//! second ends nothing. A stream that loses whole seconds again and again is unusable in all its leads: no window of it
//! is ever complete, and nothing else would say so.

use crate::config::Analysis;
use contract::{LeadId, LeadSignal, Signal};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// So many gaps that began within [`LOSSES_S`] are a link that loses frames; none within it, and it does so no more.
const LOSSES_MIN: usize = 3;
const LOSSES_S: u64 = 30;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Lead {
    out: bool,
    /// Seconds in a row that speak against the present state.
    against: u32,
    why: Signal,
    /// Seconds in a row in which a lead that is out has another fault than the one told: noise and clipping take turns,
    /// and nobody wants to hear of each turn.
    #[serde(default)]
    other: u32,
}

/// The leads of a bed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct SignalWatch {
    leads: BTreeMap<LeadId, Lead>,
    /// Seconds looked at.
    seconds: u64,
    /// At which of the newest of them a gap began.
    gaps: VecDeque<u64>,
    in_gap: bool,
    /// The link loses frames.
    lossy: bool,
}

impl SignalWatch {
    /// Takes one second of all leads. A second of which no lead has a sample is a gap, not a bad lead.
    pub fn second(&mut self, leads: &[LeadSignal], analysis: &Analysis) {
        let gap = leads.iter().all(|l| l.missing >= 1.0 && l.signal == Signal::Missing);
        self.lose(gap);
        if gap && !self.lossy {
            return;
        }
        self.leads.retain(|name, _| leads.iter().any(|l| l.lead == *name));
        for now in leads.iter().filter(|l| l.lead.standard().is_some()) {
            let fresh = Lead { out: false, against: 0, why: Signal::Good, other: 0 };
            let entry = self.leads.entry(now.lead).or_insert(fresh);
            let seen = if self.lossy { Signal::Missing } else { now.signal };
            let bad = seen != Signal::Good;
            entry.other = if bad && entry.out && seen != entry.why { entry.other + 1 } else { 0 };
            if bad && (!entry.out || entry.other >= analysis.signal_on_s) {
                (entry.why, entry.other) = (seen, 0);
            }
            entry.against = if bad == entry.out { 0 } else { entry.against + 1 };
            let needed = if entry.out { analysis.signal_off_s } else { analysis.signal_on_s };
            if entry.against >= needed {
                *entry = Lead { out: bad, against: 0, ..*entry };
            }
        }
    }

    fn lose(&mut self, gap: bool) {
        self.seconds += 1;
        if gap && !self.in_gap {
            self.gaps.push_back(self.seconds);
        }
        self.in_gap = gap;
        while self.gaps.front().is_some_and(|began| began + LOSSES_S <= self.seconds) {
            self.gaps.pop_front();
        }
        self.lossy = self.gaps.len() >= if self.lossy { 1 } else { LOSSES_MIN };
    }

    /// These were out when an earlier run ended.
    pub fn reopen(&mut self, leads: &[LeadId]) {
        let out = |&lead: &LeadId| (lead, Lead { out: true, against: 0, why: Signal::LeadOff, other: 0 });
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
    fn another_fault_of_a_lead_that_is_out_is_told_when_it_has_lasted() {
        let lead = LeadId::new("II").expect("valid");
        let analysis = Analysis { signal_on_s: 3, signal_off_s: 2, ..Analysis::default() };
        let mut watch = SignalWatch::default();
        let told: String = "nnnccnccncccc"
            .chars()
            .map(|c| {
                let signal = if c == 'n' { Signal::Noisy } else { Signal::Clipped };
                watch.second(&[LeadSignal { lead, signal, missing: 0.0 }], &analysis);
                watch.out().first().map_or('.', |out| if out.1 == Signal::Noisy { 'n' } else { 'c' })
            })
            .collect();
        assert_eq!(told, "..nnnnnnnnncc");
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

    #[test]
    fn a_stream_with_many_gaps_is_unusable_until_they_cease() {
        let lead = LeadId::new("II").expect("valid");
        let analysis = Analysis { signal_on_s: 3, signal_off_s: 2, ..Analysis::default() };
        let mut watch = SignalWatch::default();
        let mut out = |lost: bool| {
            let (signal, missing) = if lost { (Signal::Missing, 1.0) } else { (Signal::Good, 0.0) };
            watch.second(&[LeadSignal { lead, signal, missing }], &analysis);
            watch.out().first().map(|o| o.1)
        };
        assert!((0..40).all(|s| out(s == 5 || s == 30).is_none()), "two gaps in half a minute are bridged");
        let states: Vec<_> = (0..20).map(|s| out(s % 2 == 0)).collect();
        let first = states.iter().position(Option::is_some).expect("every other second is lost");
        assert!(first < 8 && states[first..].iter().all(|s| *s == Some(Signal::Missing)), "{states:?}");
        let back = (0..60).position(|_| out(false).is_none()).expect("usable again");
        assert!((25..40).contains(&back), "{back} s after the last gap");
    }
}
