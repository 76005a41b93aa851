//! One bed's recording through analysis and decision, with the strip of each moment.

use super::{Day, Heard, Moment, Rehearsed, Source, day, time};
use crate::model::{Bundle, open_engine};
use crate::pipeline::{Due, Replay, Replayed, Setup};
use crate::strip::{self, StripPicture};
use crate::workshop::WorkshopError;
use crate::workshop::explain::{Stretch, picture, thinned};
use contract::{Alert, AlertClass, Finding, Phase};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a strip shows, and how long after the moment it is drawn: the network looks ahead 1.4 s.
const STRIP_S: usize = 10;
const AFTER_S: usize = 2;
/// Hops kept for it.
const KEPT: usize = STRIP_S + 2;
/// Samples a second that are drawn.
const DRAWN_HZ: f32 = 62.5;
/// Strips of one bed and day: a page must be leafed through.
const STRIPS_A_DAY: usize = 20;

/// The newest hops and what they showed.
#[derive(Default)]
struct Newest(VecDeque<(Due, Finding)>);

impl Newest {
    fn take(&mut self, due: Due, finding: Finding) {
        let joins = |(last, _): &(Due, Finding)| {
            (last.epoch, last.to_n, last.rate, &last.leads) == (due.epoch, due.from_n, due.rate, &due.leads)
        };
        if !self.0.back().is_some_and(joins) {
            self.0.clear();
        }
        self.0.push_back((due, finding));
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// The newest seconds with their clusters.
    fn draw(&self, bundle: &Bundle, title: Vec<String>) -> Option<String> {
        let begin = self.0.len().saturating_sub(STRIP_S);
        let (first, _) = self.0.get(begin)?;
        let row = |lead: usize| {
            self.0.range(begin..).flat_map(|(due, _)| due.samples_mv.row(lead).to_vec()).collect()
        };
        let stretch = Stretch {
            leads: first.leads.clone(),
            rate: first.rate,
            from_n: first.from_n,
            samples_mv: (0..first.leads.len()).map(row).collect(),
        };
        // The newest findings reach back: their steps are those of the seconds before.
        let findings: Vec<Finding> = self.0.iter().map(|(_, finding)| finding.clone()).collect();
        let picture = StripPicture {
            title,
            start: time(first.end.after(-1_000)),
            // Names of classes are no matter of an alert.
            evidence: Vec::new(),
            ..thinned(picture(bundle, &stretch, &findings), DRAWN_HZ)
        };
        strip::svg(&picture).ok()
    }
}

fn moment(alert: &Alert, held: Option<&'static str>) -> Moment {
    Moment {
        day: day(alert.decided),
        at: time(alert.decided),
        code: alert.code.to_string(),
        level: format!("{:?}", alert.level).to_lowercase(),
        text: alert.text.clone(),
        held: held.map(Into::into),
        strip: None,
    }
}

fn count(day: &mut Day, alert: &Alert, held: Option<&'static str>) {
    let counts = match (alert.class, held) {
        (AlertClass::Technical, _) => &mut day.technical,
        (AlertClass::Analysis, None) => &mut day.said,
        (AlertClass::Analysis, Some(_)) => &mut day.listed,
    };
    let key = held.map_or_else(|| alert.code.to_string(), Into::into);
    *counts.entry(key).or_default() += 1;
}

/// One bed on its way.
struct Run<'a> {
    bundle: &'a Bundle,
    found: Rehearsed,
    newest: Newest,
    /// Moments that wait for the seconds after them.
    waiting: Vec<(usize, usize)>,
}

impl Run<'_> {
    fn take(&mut self, due: Due, replayed: Replayed, learnt: bool) {
        let today = day(due.end);
        let counts = self.found.days.entry(today.clone()).or_default();
        counts.seconds += 1;
        counts.judged += u64::from(learnt && replayed.finding.reading.is_ok());
        let said = replayed.alerts.iter().filter(|a| a.phase == Phase::Start).map(|a| (a, None));
        let held = replayed.held.iter().map(|(alert, why)| (alert, Some(*why)));
        for (alert, held) in said.chain(held) {
            count(counts, alert, held);
            let drawn = self.found.moments.iter().filter(|m| m.day == today).count();
            if drawn < STRIPS_A_DAY {
                self.waiting.push((self.found.moments.len(), AFTER_S));
            }
            self.found.moments.push(moment(alert, held));
        }
        self.newest.take(due, replayed.finding);
        self.draw(false);
    }

    /// Draws what has waited long enough; `all` at the end of the recording.
    fn draw(&mut self, all: bool) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|(place, left)| {
            if *left > 0 && !all {
                *left -= 1;
                return true;
            }
            let moment = &mut self.found.moments[*place];
            let title = vec![format!("{}, {}", self.found.bed, moment.code), moment.text.clone()];
            moment.strip = self.newest.draw(self.bundle, title);
            false
        });
        self.waiting = waiting;
    }
}

/// Rehearses one bed from nothing.
pub fn bed(
    bundle: &Arc<Bundle>,
    setup: &Setup,
    source: &Source,
    heard: &Heard,
) -> Result<Rehearsed, WorkshopError> {
    let mut replay = Replay::new(setup.clone(), bundle, open_engine(bundle, "cpu")?, &source.bed);
    let (bed, days, moments) = (source.bed.clone(), std::collections::BTreeMap::new(), Vec::new());
    let found = Rehearsed { bed, days, moments, fault: None };
    let mut run = Run { bundle, found, newest: Newest::default(), waiting: Vec::new() };
    for hop in (source.open)() {
        heard.second();
        match hop {
            Ok(due) => {
                let replayed = replay.hop(due.clone());
                run.take(due, replayed, replay.learnt());
            }
            Err(fault) => {
                run.found.fault = Some(fault.to_string());
                break;
            }
        }
    }
    run.draw(true);
    Ok(run.found)
}
