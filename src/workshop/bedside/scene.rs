//! Every recording as the bench counts it: the channels of each second, which seconds count, when an event is told.

use super::{Cached, NONE, Record, Set, Track};
use crate::pipeline::{Channels, Group};
use rayon::prelude::*;
use std::ops::Range;

/// First second of an intensive-care recording that may be judged: before it too little is known of the bed. The
/// recordings begin two minutes before their alarm.
pub const FROM_S: usize = 45;
/// An alert within these seconds before and after a monitor's alarm has told it: what an alarm is about began up to
/// 10 s before, and the first beats of it earlier.
pub const BEFORE_S: usize = 15;
pub const AFTER_S: usize = 3;

/// One recording with its channels.
pub struct Scene {
    /// The recording.
    pub record: Record,
    /// Values of all channels a second, where there is a verdict.
    pub values: Vec<Option<Vec<f32>>>,
    /// Those of seconds that were read, but that the signal gate holds back.
    pub hidden: Vec<Option<Vec<f32>>>,
}

/// Channels of all recordings.
#[must_use]
pub fn scenes(records: &[Record], cached: Vec<Cached>) -> Vec<Scene> {
    let one = |(record, cached): (&Record, Cached)| {
        let mut channels = Channels::default();
        let second = |facts| {
            let values = channels.second(facts, false);
            let hidden = if values.is_none() { channels.behind_the_gate() } else { None };
            (values, hidden)
        };
        let (values, hidden) = cached.facts.iter().map(second).unzip();
        Scene { record: record.clone(), values, hidden }
    };
    records.par_iter().zip(cached).map(one).collect()
}

impl Scene {
    /// Second of the monitor's alarm, in an intensive-care recording.
    #[must_use]
    pub fn alarm_s(&self) -> Option<usize> {
        self.record.alarm.map(|a| a.at_s as usize)
    }

    /// Whether its alarm is a true one.
    #[must_use]
    pub fn truth(&self) -> bool {
        self.record.alarm.is_some_and(|a| a.truth)
    }

    /// Seconds whose alerts count against the budget: up to the alarm, true or false.
    #[must_use]
    pub fn counted(&self) -> Range<usize> {
        self.alarm_s().map_or(0..0, |at| FROM_S..at - BEFORE_S)
    }

    /// The score of each second.
    #[must_use]
    pub fn scores(&self, score: &dyn Fn(&[f32]) -> f32) -> Vec<f32> {
        self.values.iter().map(|v| v.as_ref().map_or(NONE, |v| score(v))).collect()
    }

    /// The same without the signal gate.
    #[must_use]
    pub fn ungated(&self, score: &dyn Fn(&[f32]) -> f32) -> Vec<f32> {
        let second = self.values.iter().zip(&self.hidden);
        second.map(|(v, hidden)| v.as_ref().or(hidden.as_ref()).map_or(NONE, |v| score(v))).collect()
    }

    /// The recording under a score of its channels.
    #[must_use]
    pub fn track(&self, score: impl Fn(&[f32]) -> f32) -> Track {
        self.under(self.scores(&score))
    }

    /// The recording under these scores, one a second.
    #[must_use]
    pub fn under(&self, scores: Vec<f32>) -> Track {
        let event = self.record.alarm.filter(|a| a.truth);
        let window = |at_s: f64| at_s as usize - BEFORE_S..at_s as usize + AFTER_S;
        Track {
            patient: self.record.patient,
            scores,
            counted: self.counted(),
            event: event.map(|a| (a.kind, window(a.at_s))),
        }
    }
}

/// Recordings of one set.
pub fn of(scenes: &[Scene], set: Set) -> impl Iterator<Item = &Scene> {
    scenes.iter().filter(move |s| s.record.set == set)
}

/// The groups that use a cluster.
pub const CLUSTERS: [Group; 4] = [Group::Entropy, Group::Novelty, Group::Mix, Group::Shape];
