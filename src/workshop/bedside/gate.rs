//! What the signal gate does to alerts: false ones that it removes, true events that it hides, seconds that it leaves
//! without a verdict. The same scores and limits, with it and without.

use super::holter;
use super::operate::alerts;
use super::scene::{FROM_S, Scene, of};
use super::{Set, Track};
use serde::Serialize;
use std::collections::BTreeMap;

/// Two counts: as it is, and without the gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// With the gate, as it runs.
    pub gated: usize,
    /// Without it.
    pub ungated: usize,
}

/// Seconds of one set without a verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Seconds that are judged: from the one on at which a bed counts as known.
    pub seconds: usize,
    /// Without a verdict, for whatever reason.
    pub without_verdict: usize,
    /// Of these, read and known, and only held back by the gate.
    pub held_by_gate: usize,
}

/// What the gate does at one budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gate {
    /// Alerts per bed-hour that the limits were made for, with the gate.
    pub per_hour: f64,
    /// Bed-hours of the intensive-care recordings that count.
    pub hours: f64,
    /// Alerts there.
    pub alerts: Beside,
    /// True alarms, and how many of them are told.
    pub events: usize,
    /// Told.
    pub told: Beside,
    /// True events told only without the gate.
    pub hidden: usize,
    /// Alerts in the noise of `nstdb`.
    pub noise: Beside,
    /// Minutes of that noise.
    pub noise_minutes: f64,
    /// By set.
    pub silence: BTreeMap<&'static str, Silence>,
}

impl Gate {
    /// False advisories that the gate removes.
    #[must_use]
    pub fn removed(&self) -> i64 {
        self.alerts.ungated as i64 - self.alerts.gated as i64
    }
}

fn silence(scenes: &[Scene]) -> BTreeMap<&'static str, Silence> {
    let mut all = BTreeMap::new();
    for set in Set::ALL {
        let from = if set == Set::Cinc2015 { FROM_S } else { holter::FROM_S };
        let mut found = Silence::default();
        for scene in of(scenes, set) {
            let seconds = scene.values.iter().zip(&scene.hidden).skip(from);
            for (value, hidden) in seconds {
                found.seconds += 1;
                found.without_verdict += usize::from(value.is_none());
                found.held_by_gate += usize::from(hidden.is_some());
            }
        }
        if found.seconds > 0 {
            all.insert(set.name(), found);
        }
    }
    all
}

/// An intensive-care recording under the score of its fold: as it runs, without the gate, and its limit.
pub struct Pair {
    /// As it runs.
    pub track: Track,
    /// Its scores without the gate.
    pub ungated: Vec<f32>,
    /// The limit that it is judged by.
    pub limit: f32,
}

/// Counts what the gate does; `score` and `limit` judge the noise.
#[must_use]
pub fn gate(
    scenes: &[Scene],
    pairs: &[Pair],
    per_hour: f64,
    score: &dyn Fn(&[f32]) -> f32,
    limit: f32,
) -> Gate {
    let mut found = Gate { per_hour, silence: silence(scenes), ..Gate::default() };
    for Pair { track, ungated, limit } in pairs {
        found.hours += track.counted.len() as f64 / 3_600.0;
        let [gated, open] = [&track.scores, ungated];
        found.alerts.gated += alerts(gated, *limit, track.counted.clone()).len();
        found.alerts.ungated += alerts(open, *limit, track.counted.clone()).len();
        let Some((_, window)) = &track.event else { continue };
        let tells = |scores: &[f32]| {
            let all = alerts(scores, *limit, track.counted.start..window.end);
            all.into_iter().any(|at| window.contains(&at))
        };
        let (with, without) = (tells(gated), tells(open));
        found.events += 1;
        found.told.gated += usize::from(with);
        found.told.ungated += usize::from(without);
        found.hidden += usize::from(without && !with);
    }
    for scene in of(scenes, Set::Nstdb) {
        let noisy = |t: usize| scene.record.events.iter().any(|e| (e.from_s..e.to_s).contains(&(t as f64)));
        let count = |scores: &[f32]| {
            let all = alerts(scores, limit, holter::FROM_S.min(scores.len())..scores.len());
            all.into_iter().filter(|t| noisy(*t)).count()
        };
        found.noise.gated += count(&scene.scores(score));
        found.noise.ungated += count(&scene.ungated(score));
        found.noise_minutes += (0..scene.values.len()).filter(|t| noisy(*t)).count() as f64 / 60.0;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::bedside::{Kind, NONE, Record};

    #[test]
    fn what_the_gate_holds_back_is_counted_on_both_sides() {
        let mut scores = vec![0.0; 130];
        scores[118] = 3.0;
        let track = |scores: &[f32], event: bool| Track {
            patient: 1,
            scores: scores.to_vec(),
            counted: 45..105,
            event: event.then_some((Kind::Vt, 105..123)),
        };
        let mut gated = scores.clone();
        gated[110..].fill(NONE);
        let mut noisy = scores.clone();
        noisy[60] = 5.0;
        let pairs = [
            // A true event in bad signal: hidden.
            Pair { track: track(&gated, true), ungated: scores.clone(), limit: 1.0 },
            // A false alert in bad signal: removed.
            Pair { track: track(&scores, false), ungated: noisy, limit: 1.0 },
        ];
        let record = Record {
            set: Set::Mitdb,
            name: "100".into(),
            patient: 100,
            path: "100".into(),
            alarm: None,
            events: Vec::new(),
            normal: true,
        };
        let mut values = vec![Some(vec![0.0]); holter::FROM_S + 10];
        let mut hidden = vec![None; values.len()];
        (values[315], hidden[315], values[316]) = (None, Some(vec![0.0]), None);
        let scenes = [Scene { record, values, hidden }];
        let gate = gate(&scenes, &pairs, 1.0, &|v| v[0], 1.0);
        assert_eq!((gate.removed(), gate.hidden, gate.events), (1, 1, 1));
        assert_eq!(gate.told, Beside { gated: 0, ungated: 1 });
        assert_eq!(gate.silence["mitdb"], Silence { seconds: 10, without_verdict: 2, held_by_gate: 1 });
    }
}
