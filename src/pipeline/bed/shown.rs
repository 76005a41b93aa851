//! What the screen is told of a bed: its state and its view.

use super::{Bed, DELAYED_MS, STOPPED_MS};
use crate::config::Analysis;
use crate::pipeline::decide::{Context, words};
use crate::pipeline::ring::Ring;
use crate::pipeline::{Now, Setup};
use crate::snapshot::{BedState, BedView, LabelView};
use contract::{LeadSignal, NotRead, Reading, Signal};

impl Bed {
    pub(super) fn state_now(&self, analysis: &Analysis, engine_delay_ms: u32, now: Now) -> BedState {
        let Some(age) = self.heard.map(|at| now.mono.since(at)).filter(|&age| age < STOPPED_MS) else {
            return BedState::Stopped;
        };
        let finding_late =
            self.last.as_ref().is_some_and(|l| now.mono.since(l.1) > DELAYED_MS + u64::from(engine_delay_ms));
        let out = self.decider.leads_out();
        let standard = self
            .last
            .as_ref()
            .map_or(0, |l| l.0.leads.iter().filter(|l| l.lead.standard().is_some()).count());
        let paused = self.people.pause_until().is_some();
        if !paused && (age > DELAYED_MS || finding_late) {
            BedState::Delayed
        } else if standard > 0 && out.len() >= standard {
            let off = out.iter().any(|o| o.1 == Signal::LeadOff);
            if off { BedState::LeadOff } else { BedState::Noisy }
        } else if paused {
            BedState::Paused
        } else if !self.decider.learnt() || analysis.learn_s == 0 {
            BedState::Learning
        } else {
            BedState::Live
        }
    }

    fn state_detail(&self, state: BedState) -> String {
        let unread = self.last.as_ref().map(|l| l.0.reading.as_ref().err().copied());
        match state {
            BedState::Stopped if !self.online => "gateway offline".into(),
            BedState::Learning if unread == Some(Some(NotRead::LeadSet)) => {
                "not watched with these leads".into()
            }
            _ => words::signals(&self.decider.leads_out()),
        }
    }

    fn labels(classes: &[String], reading: Option<&Reading>) -> Vec<LabelView> {
        let Some(reading) = reading else { return Vec::new() };
        let surrogate = reading.surrogate_prob.iter().copied().chain(std::iter::repeat(f32::NAN));
        let rows = classes.iter().zip(&reading.class_prob).zip(surrogate);
        rows.filter(|row| !row.1.is_nan())
            .map(|((name, &network), surrogate)| LabelView { name: name.clone(), network, surrogate })
            .collect()
    }

    pub fn view(&self, setup: &Setup, classes: &[String], now: Now) -> BedView {
        let analysis = setup.analysis_of(&self.id);
        let state = self.state_now(analysis, setup.engine_delay_ms, now);
        let reading = self.last.as_ref().and_then(|l| l.0.reading.as_ref().ok());
        let fresh = reading.filter(|_| state.watched());
        let context = Context { analysis, model_id: "", config_id: "", clusters: &[], fused: None };
        let leads: Vec<LeadSignal> = self.last.as_ref().map_or_else(Vec::new, |l| l.0.leads.clone());
        let rate = self.ring.as_ref().map(Ring::rate);
        BedView {
            bed: self.id.clone(),
            label: self.label.clone(),
            state,
            state_since: if state == self.state.0 { self.state.1 } else { now.utc },
            state_detail: self.state_detail(state),
            mode: self.mode,
            paced: self.paced.contains(&true),
            sample_age_ms: self.heard.map(|at| now.mono.since(at)),
            finding_age_ms: self.last.as_ref().map(|l| now.mono.since(l.1)),
            learnt_s: [self.decider.learnt_s(), analysis.learn_s],
            pause_left_ms: self.people.pause_left_ms(now.mono),
            pause_reason: self.people.pause_reason(),
            lead: self.drawn().map(|d| d.1),
            leads,
            first_column: self.view.first_column,
            columns: self.view.columns.iter().copied().collect(),
            seconds: self.view.seconds.iter().copied().collect(),
            thresholds: self.decider.thresholds(analysis),
            shifts: fresh.map_or_else(Vec::new, |r| self.decider.shifts(&r.proportion, &context)),
            doubted: self.names.doubted(),
            labels: if setup.show_labels { Self::labels(classes, fresh) } else { Vec::new() },
            agree: fresh.and_then(agree),
            heart_rate: self.rates.shown(state, now.mono),
            trend: self.view.trend.clone(),
            marks: self.people.marks(),
            rate_hz: rate.map(|r| r.as_f64() as f32),
            health: self.health,
        }
    }
}

/// Whether network and surrogate decide every class alike; `None` without a surrogate.
fn agree(reading: &Reading) -> Option<bool> {
    let pairs = reading.class_prob.iter().zip(&reading.surrogate_prob);
    (!reading.surrogate_prob.is_empty())
        .then(|| pairs.fold(true, |same, (a, b)| same && (*a >= 0.5) == (*b >= 0.5)))
}
