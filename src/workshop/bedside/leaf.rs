//! Moments to leaf through: every event told, every event missed and every false alert at one budget, with its strip, its
//! clusters and what was said.

use super::bench::{Bench, SHIPPED};
use super::fit::Fit;
use super::holter::{self, counts};
use super::operate::{alerts, raised};
use super::scene::{AFTER_S, BEFORE_S, Scene, of};
use super::{NONE, Set};
use crate::model::Bundle;
use crate::pipeline::{Channel, Recording, channels};
use crate::strip::{self, StripPicture};
use crate::workshop::WorkshopError;
use crate::workshop::explain::{explain, thinned};
use rayon::prelude::*;
use std::sync::Arc;

/// What a strip shows, in seconds, and how much of it before the moment in question.
const STRIP_S: usize = 10;
const LEAD_IN_S: usize = 8;
/// The network is read from so long before the strip on, and so long after it: its filters and its look-ahead.
const RUN_UP_S: usize = 40;
const RUN_OUT_S: usize = 3;
/// Samples a second that are drawn: enough to see shapes.
const DRAWN_HZ: f32 = 62.5;

/// What became of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// An event, told in time.
    Told,
    /// An event, not told.
    Missed,
    /// An alert where no event is annotated.
    False,
}

impl Fate {
    /// In the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Missed => "missed",
            Self::False => "false alert",
        }
    }
}

/// One moment with its strip.
pub struct Leaf {
    /// What became of it.
    pub fate: Fate,
    /// What is annotated there: the kind of the monitor's alarm and whether it was true, or the rhythm.
    pub what: String,
    /// The recording.
    pub name: String,
    /// Second of it.
    pub at_s: usize,
    /// What was said.
    pub said: String,
    /// The strip's file and its bytes.
    pub file: String,
    /// SVG.
    pub svg: String,
}

/// A moment before it is drawn.
struct Moment<'a> {
    fate: Fate,
    scene: &'a Scene,
    what: String,
    at_s: usize,
    fit: &'a Fit,
    limit: f32,
}

impl Moment<'_> {
    fn said(&self, channels: &[Channel]) -> String {
        let Some(values) = self.scene.values.get(self.at_s).and_then(Option::as_ref) else {
            return "no verdict: signal not good or not read".into();
        };
        let mut parts = self.fit.parts(values, channels);
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let parts = parts.iter().take(3).map(|(group, part)| format!("{} {part:+.1}", group.word()));
        let score = self.fit.score(values);
        format!("score {score:.1}, limit {:.1}; {}", self.limit, parts.collect::<Vec<_>>().join(", "))
    }

    fn leaf(&self, bundle: &Arc<Bundle>, channels: &[Channel]) -> Result<Leaf, WorkshopError> {
        let (record, at_s) = (&self.scene.record, self.at_s);
        let set = record.set.name();
        let title =
            vec![format!("{set} {}, second {at_s}: {}", record.name, self.fate.word()), self.what.clone()];
        Ok(Leaf {
            fate: self.fate,
            what: self.what.clone(),
            name: format!("{set} {}", record.name),
            at_s,
            said: self.said(channels),
            file: format!("{set}-{}-{at_s}.svg", record.name),
            svg: draw(bundle, self.scene, title, at_s)?,
        })
    }
}

/// The seconds of a recording, cut at whole samples.
fn cut(recording: &Recording, from_s: usize, to_s: usize) -> Recording {
    let at = |s: usize| recording.rate.samples_in(s as u64) as usize;
    let cut = |mv: &Vec<f32>| mv[at(from_s).min(mv.len())..at(to_s).min(mv.len())].to_vec();
    Recording { samples_mv: recording.samples_mv.iter().map(cut).collect(), ..recording.clone() }
}

fn draw(
    bundle: &Arc<Bundle>,
    scene: &Scene,
    title: Vec<String>,
    at_s: usize,
) -> Result<String, WorkshopError> {
    let from_s = at_s.saturating_sub(LEAD_IN_S);
    let began_s = from_s.saturating_sub(RUN_UP_S);
    let recording = cut(&scene.record.read()?, began_s, from_s + STRIP_S + RUN_OUT_S);
    let stretch = explain(bundle, &recording, title, (from_s - began_s) as f32, STRIP_S as f32)?;
    let mut picture = StripPicture {
        start: format!("{from_s} s of the recording"),
        // Names of classes are no matter of an alert.
        evidence: Vec::new(),
        ..thinned(stretch.picture, DRAWN_HZ)
    };
    picture.leads.truncate(1);
    Ok(strip::svg(&picture)?)
}

/// The intensive-care recordings, judged by fits and limits that did not see the patient.
fn alarms<'a>(scenes: &[&'a Scene], bench: &'a Bench) -> Vec<Moment<'a>> {
    let raised = raised(&bench.last.tracks, SHIPPED);
    let mut moments = Vec::new();
    for (i, (&scene, (alerts, limit))) in scenes.iter().zip(raised).enumerate() {
        let Some(alarm) = scene.record.alarm else { continue };
        let (fit, scores) = (&bench.last.unseen[i], &bench.last.tracks[i].scores);
        let what =
            format!("{} ({})", alarm.kind.name(), if alarm.truth { "true alarm" } else { "false alarm" });
        let moment = |fate, at_s| Moment { fate, scene, what: what.clone(), at_s, fit, limit };
        let window = alarm.at_s as usize - BEFORE_S..alarm.at_s as usize + AFTER_S;
        let told = alerts.iter().copied().find(|t| window.contains(t));
        if alarm.truth {
            // A missed one is shown at the alarm, with the best second of its window.
            let best = window.clone().max_by(|a, b| {
                let of = |t: &usize| scores.get(*t).copied().unwrap_or(NONE);
                of(a).total_cmp(&of(b)).then(b.cmp(a))
            });
            let fate = if told.is_some() { Fate::Told } else { Fate::Missed };
            moments.push(moment(fate, told.or(best).unwrap_or(window.start)));
        }
        let wrong = alerts.iter().filter(|t| !window.contains(t) || !alarm.truth);
        moments.extend(wrong.map(|t| moment(Fate::False, *t)));
    }
    moments
}

/// One long recording under the final score, which never saw it.
fn long<'a>(scene: &'a Scene, fit: &'a Fit, limit: f32) -> Vec<Moment<'a>> {
    let scores = scene.scores(&|v| fit.score(v));
    let raised = alerts(&scores, limit, holter::FROM_S.min(scores.len())..scores.len());
    let rhythm = |at: f64| scene.record.events.iter().find(|e| (e.from_s..e.to_s).contains(&at));
    let moment = |fate, what: &str, at_s| Moment { fate, scene, what: what.into(), at_s, fit, limit };
    let mut moments = Vec::new();
    let mut telling = Vec::new();
    for event in scene.record.events.iter().filter(|e| counts(e) && scene.record.set == Set::Mitdb) {
        let within = event.from_s..event.from_s + holter::WITHIN_S;
        let told = raised.iter().copied().find(|t| within.contains(&(*t as f64 + 1.0)));
        telling.extend(told);
        let fate = if told.is_some() { Fate::Told } else { Fate::Missed };
        moments.push(moment(fate, event.kind.name(), told.unwrap_or(event.from_s as usize + LEAD_IN_S / 2)));
    }
    for &at in raised.iter().filter(|t| !telling.contains(t)) {
        let what = rhythm(at as f64).map_or("nothing annotated", |e| e.kind.name());
        moments.push(moment(Fate::False, what, at));
    }
    moments
}

/// Every moment of the intensive-care recordings, of `mitdb` and of `nstdb`, drawn.
///
/// # Errors
/// [`WorkshopError`] if a recording cannot be read or drawn.
pub fn leaves(bundle: &Arc<Bundle>, scenes: &[Scene], bench: &Bench) -> Result<Vec<Leaf>, WorkshopError> {
    let channels = &channels(bundle.codebook.clusters);
    let icu: Vec<&Scene> = of(scenes, Set::Cinc2015).collect();
    let mut moments = alarms(&icu, bench);
    let limit = bench.last.limit(SHIPPED);
    for scene in of(scenes, Set::Mitdb).chain(of(scenes, Set::Nstdb)) {
        moments.extend(long(scene, &bench.last.fit, limit));
    }
    let drawn = moments.par_iter().map(|m| m.leaf(bundle, channels));
    let mut leaves: Vec<Leaf> = drawn.collect::<Result<_, WorkshopError>>()?;
    leaves.sort_by(|a, b| (a.fate, &a.what, &a.name, a.at_s).cmp(&(b.fate, &b.what, &b.name, b.at_s)));
    Ok(leaves)
}
