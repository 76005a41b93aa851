//! What is usual for a bed: learnt in good signal, one set of windows a lead set, since beds with different leads must
//! not be compared. Belongs to the bed: gaps, pauses and open advisories freeze it, nothing drops it but another patient.

use super::channels::{Usual, Window};
use super::fused::Learnt as Fused;
use super::windows::Windows;
use crate::config::Analysis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Good signal kept after learning at least, in seconds: 9 minutes, from 1 to 10 minutes ago.
const KEPT_S_MIN: u32 = 540;
/// Windows overlap by nine tenths: where the learning time is long, one in so many is kept.
const EVERY_S: u32 = 5;
/// A window waits this long before it is learnt, so that a slow change is not learnt while it builds up.
const WAIT_S: u64 = 60;
/// The statistics are renewed this often.
const RENEW_S: u64 = 5;
/// Lead sets kept for a bed.
const SETS_MAX: usize = 3;

/// Seconds between windows that are kept.
fn every_s(analysis: &Analysis) -> u32 {
    if analysis.learn_s < KEPT_S_MIN { 1 } else { EVERY_S }
}

/// The windows of one lead set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Learnt {
    /// Seconds of good signal seen.
    seconds: u32,
    windows: Windows,
    waiting: VecDeque<(u64, Window)>,
    usual: Option<Usual>,
    renewed: u64,
    used: u64,
}

/// One lead set as it is saved: enough to speak at once after a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct SavedSet {
    seconds: u32,
    windows: VecDeque<Window>,
}

/// A bed's baseline as it is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The model it was learnt with; another model cannot use it.
    pub model: String,
    /// The config it was learnt with.
    pub config: String,
    /// The patient's token, where the gateway gives one.
    pub patient: Option<String>,
    sets: BTreeMap<u16, SavedSet>,
    /// What the fused score has learnt, where it decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fused: Option<Fused>,
}

/// A bed's baseline.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Baseline {
    patient: Option<String>,
    sets: BTreeMap<u16, Learnt>,
    /// The baseline before the last new patient or relearn, for undo.
    previous: Option<BTreeMap<u16, Learnt>>,
}

impl Baseline {
    /// Takes a good window of a lead set at a second of the bed; `frozen` while something is building up or open.
    pub fn learn(&mut self, mask: u16, second: u64, window: &Window, frozen: bool, analysis: &Analysis) {
        if !self.sets.contains_key(&mask) && self.sets.len() >= SETS_MAX {
            let oldest = self.sets.iter().min_by_key(|s| s.1.used).map(|s| *s.0);
            oldest.map(|mask| self.sets.remove(&mask));
        }
        let set = self.sets.entry(mask).or_default();
        set.used = second;
        let every = every_s(analysis);
        if set.seconds < analysis.learn_s {
            if set.seconds.is_multiple_of(every) {
                set.windows.push(window);
            }
            set.seconds += 1;
            if set.seconds == analysis.learn_s {
                set.renew(second);
            }
            return;
        }
        if frozen {
            // What led up to it is not learnt either.
            set.waiting.clear();
        } else if second.is_multiple_of(u64::from(every)) {
            set.waiting.push_back((second, window.clone()));
        }
        let keep = (KEPT_S_MIN.max(analysis.learn_s) / every) as usize;
        while set.waiting.front().is_some_and(|w| w.0 + WAIT_S <= second) {
            if let Some((_, window)) = set.waiting.pop_front() {
                set.windows.push(&window);
            }
        }
        set.windows.keep(keep);
        if set.usual.is_none() || (set.renewed + RENEW_S <= second && !frozen) {
            set.renew(second);
        }
    }

    /// What is usual with this lead set, once learnt.
    pub fn usual(&self, mask: u16) -> Option<&Usual> {
        self.sets.get(&mask)?.usual.as_ref()
    }

    /// Seconds learnt with this lead set.
    pub fn seconds(&self, mask: u16) -> u32 {
        self.sets.get(&mask).map_or(0, |s| s.seconds)
    }

    /// Tells whose baseline it is; returns whether that is another patient, whose learning then begins anew.
    pub fn patient(&mut self, token: &str) -> bool {
        let other = self.patient.as_deref().is_some_and(|p| p != token);
        self.patient = Some(token.into());
        if other {
            self.relearn();
        }
        other
    }

    /// Begins anew; the old one is kept for undo. Always possible.
    pub fn relearn(&mut self) -> bool {
        self.previous = Some(std::mem::take(&mut self.sets));
        true
    }

    /// Takes the last relearn back. Returns whether there was one.
    pub fn undo(&mut self) -> bool {
        self.previous.take().map(|sets| self.sets = sets).is_some()
    }

    /// For saving, with what the fused score has learnt; `None` while there is nothing to save.
    pub fn saved(&self, model: &str, config: &str, fused: Option<Fused>) -> Option<Saved> {
        if self.sets.is_empty() && self.patient.is_none() {
            return None;
        }
        let kept = |set: &Learnt| SavedSet { seconds: set.seconds, windows: set.windows.all() };
        let sets = self.sets.iter().map(|(mask, set)| (*mask, kept(set))).collect();
        Some(Saved { model: model.into(), config: config.into(), patient: self.patient.clone(), sets, fused })
    }

    /// From saved; returns whether it was taken (it is not, if another patient is known to lie there).
    pub fn restore(&mut self, saved: Saved, analysis: &Analysis) -> bool {
        if self.patient.is_some() && self.patient != saved.patient {
            return false;
        }
        self.patient = saved.patient;
        let set = |s: SavedSet| Learnt {
            seconds: s.seconds,
            windows: s.windows.into_iter().collect(),
            ..Learnt::default()
        };
        self.sets = saved.sets.into_iter().map(|(mask, s)| (mask, set(s))).collect();
        for set in self.sets.values_mut() {
            if set.seconds >= analysis.learn_s && set.windows.len() > 0 {
                set.renew(0);
            }
        }
        true
    }
}

impl Learnt {
    fn renew(&mut self, second: u64) {
        self.usual = Some(Usual::learn(&self.windows));
        self.renewed = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(h: f32) -> Window {
        Window { h, ln_m: 0.0, ln_rms: 0.0, logit: vec![0.0; 5], share: vec![125, 125] }
    }

    fn learnt(seconds: u64, analysis: &Analysis) -> Baseline {
        let mut baseline = Baseline::default();
        for s in 0..seconds {
            baseline.learn(2, s, &window(0.4 + 0.01 * (s % 3) as f32), false, analysis);
        }
        baseline
    }

    #[test]
    fn it_speaks_only_after_the_learning_time_and_a_lead_set_at_a_time() {
        let analysis = Analysis { learn_s: 30, ..Analysis::default() };
        assert!(learnt(29, &analysis).usual(2).is_none());
        let baseline = learnt(30, &analysis);
        assert!(baseline.usual(2).is_some() && baseline.usual(3).is_none());
    }

    #[test]
    fn a_change_is_not_learnt_while_it_is_open() {
        let analysis = Analysis { learn_s: 30, ..Analysis::default() };
        let mut baseline = learnt(200, &analysis);
        let before = baseline.usual(2).expect("learnt").e;
        for s in 200..400 {
            baseline.learn(2, s, &window(0.9), s >= 210, &analysis);
        }
        let after = baseline.usual(2).expect("learnt").e;
        assert!((after.middle - before.middle).abs() < 0.02, "{before:?} {after:?}");
    }

    #[test]
    fn a_saved_baseline_speaks_at_once() {
        for (learn_s, windows) in [(30, 540), (900, 180)] {
            let analysis = Analysis { learn_s, ..Analysis::default() };
            // The last renewal falls on the last second that was learnt.
            let baseline = learnt(1_800, &analysis);
            let saved = baseline.saved("m", "c", None).expect("some");
            assert_eq!(saved.sets[&2].windows.len(), windows, "overlapping ones are not all kept");
            let json = serde_json::to_string(&saved).expect("plain");
            let mut restored = Baseline::default();
            assert!(restored.restore(serde_json::from_str(&json).expect("same"), &analysis));
            assert_eq!(baseline.usual(2), restored.usual(2));
        }
    }

    #[test]
    fn another_patient_begins_anew_and_can_be_taken_back() {
        let analysis = Analysis { learn_s: 30, ..Analysis::default() };
        let mut baseline = learnt(100, &analysis);
        assert!(!baseline.patient("p1"), "the first token names whom we know already");
        assert!(baseline.patient("p2") && baseline.usual(2).is_none());
        assert!(baseline.undo() && baseline.usual(2).is_some());
    }
}
