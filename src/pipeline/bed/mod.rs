//! One bed of the ward: its stream, its clock, what is held of it, and what the screen shows.

mod people;
mod shown;

use super::beats::{Names, Rates};
use super::decide::{Context, Decider, Held, Left, Moment, Saved};
use super::evidence::{Evidence, Keeper};
use super::replay;
use super::ring::{Ring, Taken};
use super::timeline::{ClockTrouble, Timeline};
use super::view::View;
use super::window::{Part, complete_hop, cut, first_hop};
use super::{Analyser, Due, Now};
use crate::config::Analysis;
use crate::snapshot::{AlertView, BedHealth, BedState, TrendPoint};
use contract::{Alert, BedId, Birth, Code, Finding, Frame, LeadId, Mode, MonoMs, Numeric, Why};
use people::People;
use std::collections::VecDeque;

/// Samples or findings older than this are late.
const DELAYED_MS: u64 = 3_000;
/// Nothing for so long is silence.
const STOPPED_MS: u64 = 8_000;
/// A clock condition ends when nothing was wrong for so long.
const CLOCK_CLEAR_MS: u64 = 60_000;
/// A drift beyond this makes time stamps unreliable.
const DRIFT_PPM_MAX: f32 = 2_000.0;
/// What may be the matter with a clock.
const CLOCK_WORDS: [&str; 5] = [
    "the clock drifts",
    "the clock jumped",
    "the clock wrapped",
    "samples differ for the same index",
    "the rate changed without a new epoch",
];
/// Former epochs whose late frames are known as such.
const EPOCHS_KEPT: usize = 4;

/// One bed.
pub(super) struct Bed {
    id: BedId,
    label: String,
    born: MonoMs,
    heard: Option<MonoMs>,
    epoch: Option<u32>,
    former: VecDeque<u32>,
    ring: Option<Ring>,
    timeline: Timeline,
    next_hop: Option<u64>,
    mode: Mode,
    /// Paced, as the birth message says and as the frames of this epoch say: either is enough.
    paced: [bool; 2],
    /// Stretch of the index for which the monitor says that a lead is off.
    lead_off: Option<(u64, u64)>,
    pub online: bool,
    rates: Rates,
    names: Names,
    clock: Option<(&'static str, Moment, MonoMs)>,
    pub health: BedHealth,
    /// Stands in the ward's queue of beds that may have a complete hop.
    pub waits: bool,
    decider: Decider,
    people: People,
    keeper: Keeper,
    evidence: Vec<Evidence>,
    /// A person or a birth changed what is held of the bed since the last checkpoint.
    changed: bool,
    view: View,
    last: Option<(Finding, MonoMs)>,
    state: (BedState, contract::UtcMs),
}

impl Bed {
    pub fn new(id: BedId, label: String, now: Now) -> Self {
        Self {
            decider: Decider::new(id.clone()),
            keeper: Keeper::default(),
            evidence: Vec::new(),
            changed: false,
            id,
            label,
            born: now.mono,
            heard: None,
            epoch: None,
            former: VecDeque::new(),
            ring: None,
            timeline: Timeline::default(),
            next_hop: None,
            mode: Mode::Real,
            paced: [false; 2],
            lead_off: None,
            online: true,
            rates: Rates::default(),
            names: Names::default(),
            clock: None,
            health: BedHealth::default(),
            waits: false,
            people: People::default(),
            view: View::default(),
            last: None,
            state: (BedState::Stopped, now.utc),
        }
    }

    pub fn birth(&mut self, birth: &Birth, now: Now) {
        self.born = self.born.max(now.mono);
        self.mode = birth.mode;
        self.paced[0] = birth.paced;
        if let Some(token) = &birth.patient {
            self.decider.patient(token);
            self.changed = true;
        }
    }

    pub fn numeric(&mut self, numeric: &Numeric, now: Now) {
        self.rates.numeric(numeric, now.mono);
    }

    /// Takes a frame in, or counts why not.
    pub fn frame(&mut self, frame: Frame, now: Now) {
        let parts = frame.parts();
        if self.epoch != Some(parts.epoch) && !self.begin_epoch(parts.epoch) {
            self.health.late += 1;
            return;
        }
        let ring = self.ring.get_or_insert_with(|| Ring::new(parts.rate));
        if ring.rate() != parts.rate {
            self.health.refused += 1;
            return self.clock_trouble(CLOCK_WORDS[4], parts.n0, now);
        }
        let (n0, end, stamp, flags, mode) = (parts.n0, frame.end(), parts.t0, parts.flags, parts.mode);
        let before = ring.end();
        let taken = ring.take(frame);
        self.health.gaps += std::mem::take(&mut ring.gaps);
        let rate = ring.rate();
        match taken {
            Taken::Accepted => self.health.frames += 1,
            Taken::Repeat => {
                self.health.repeats += 1;
                return;
            }
            Taken::Late => {
                self.health.late += 1;
                return;
            }
            Taken::TooLong => {
                self.health.refused += 1;
                return;
            }
            Taken::Conflict => return self.clock_trouble(CLOCK_WORDS[3], n0, now),
        }
        self.heard = Some(now.mono);
        self.mode = mode;
        self.paced[1] = flags.paced || self.paced[1] && !flags.first;
        if flags.lead_off {
            self.lead_off = match self.lead_off {
                Some((from, to)) if n0 <= to => Some((from, to.max(end))),
                _ => Some((n0, end)),
            };
        }
        match self.timeline.hear(n0, stamp, now.utc, rate) {
            Some(ClockTrouble::Jump) => self.clock_trouble(CLOCK_WORDS[1], n0, now),
            Some(ClockTrouble::Wrap) => self.clock_trouble(CLOCK_WORDS[2], n0, now),
            None if flags.clock_unsynchronised && stamp.is_some() => {}
            None => self.check_drift(n0, now),
        }
        self.draw(before);
    }

    /// Whether the epoch is a new one (`true`) or a former one coming late.
    fn begin_epoch(&mut self, epoch: u32) -> bool {
        if self.former.contains(&epoch) {
            return false;
        }
        if let Some(old) = self.epoch.replace(epoch) {
            self.former.push_back(old);
            if self.former.len() > EPOCHS_KEPT {
                self.former.pop_front();
            }
        }
        self.ring = None;
        self.next_hop = None;
        self.lead_off = None;
        self.timeline = Timeline::default();
        self.view.restart();
        true
    }

    fn clock_trouble(&mut self, detail: &'static str, n: u64, now: Now) {
        let at = Moment { epoch: self.epoch.unwrap_or(0), n, at: now.utc };
        let at = self.clock.map_or(at, |open| open.1);
        self.clock = Some((detail, at, now.mono.after(CLOCK_CLEAR_MS)));
    }

    fn check_drift(&mut self, n0: u64, now: Now) {
        let Some(ring) = &self.ring else { return };
        self.health.drift_ppm = self.timeline.drift_ppm(ring.rate());
        if self.health.drift_ppm.is_some_and(|ppm| ppm.abs() > DRIFT_PPM_MAX) {
            self.clock_trouble(CLOCK_WORDS[0], n0, now);
        }
    }

    /// The lead drawn: II where it is usable, else the first usable one.
    fn drawn(&self) -> Option<(usize, LeadId)> {
        let ring = self.ring.as_ref()?;
        let out = self.decider.leads_out();
        let usable = |lead: &LeadId| !out.iter().any(|o| o.0 == *lead);
        let leads: Vec<(usize, LeadId)> = ring.leads().enumerate().collect();
        let best = leads.iter().filter(|l| usable(&l.1)).min_by_key(|l| (l.1.standard() != Some(1), l.0));
        best.or(leads.first()).copied()
    }

    fn draw(&mut self, before: Option<u64>) {
        let (drawn, Some(ring)) = (self.drawn(), &mut self.ring) else { return };
        let (Some((index, _)), Some(end)) = (drawn, ring.end()) else { return };
        let from = before.unwrap_or(0).max(ring.start());
        let samples = ring.read(index, from, end);
        self.view.draw(ring.rate(), from, &samples);
    }

    /// The next complete hop.
    pub fn due(&mut self) -> Option<Due> {
        let ring = self.ring.as_mut()?;
        let rate = ring.rate();
        let next = self.next_hop.unwrap_or_else(|| first_hop(rate, ring.start()));
        let (window, from_n, to_n) = complete_hop(ring, next)?;
        self.next_hop = Some(window + 1);
        let (leads, samples_mv) = cut(ring, from_n, to_n);
        let due = Due {
            bed: self.id.clone(),
            epoch: self.epoch?,
            window,
            from_n,
            to_n,
            rate,
            end: self.timeline.at(to_n - 1, rate)?,
            mode: self.mode,
            paced: self.paced.contains(&true),
            lead_off: self.lead_off.is_some_and(|(from, to)| from < to_n && from_n < to),
            leads,
            samples_mv,
            part: Part::Live,
        };
        self.keeper.hop(&due);
        Some(due)
    }

    /// Takes a finding; returns how many advisories the cap held back.
    pub fn conclude(
        &mut self,
        finding: &Finding,
        context: &Context,
        now: Now,
        alerts: &mut Vec<Alert>,
    ) -> u64 {
        let before = alerts.len();
        let silent = self.decider.finding(finding, context, alerts);
        let raised = &mut alerts[before..];
        self.evidence.extend(replay::seal(&self.keeper, &self.decider, raised, finding, context));
        let newest = self.decider.newest();
        self.view.second(newest, self.decider.thresholds(context.analysis), finding);
        if let Ok(reading) = &finding.reading {
            self.view.paint(finding.rate, reading);
        }
        self.rates.finding(finding);
        self.names.finding(finding, context.clusters);
        self.health.lag_ms = self.heard.map(|at| now.mono.since(at));
        self.last = Some((finding.clone(), now.mono));
        silent
    }

    /// Judges what depends on time alone: silence, the clock, the end of a pause; returns how many advisories the cap
    /// held back.
    pub fn time(&mut self, context: &Context, now: Now, alerts: &mut Vec<Alert>) -> u64 {
        let end = self.ring.as_ref().and_then(Ring::end).unwrap_or(0);
        let at = Moment { epoch: self.epoch.unwrap_or(0), n: end, at: now.utc };
        // A silence that an earlier run told goes on until something is heard.
        let unheard = self.heard.is_none() && self.decider.is_open(Code::NoData);
        let silent = unheard || now.mono.since(self.quiet_since()) >= STOPPED_MS;
        let why = Why { quality: 1.0, ..Why::default() };
        let detail =
            silent.then(|| String::from(if self.online { "nothing received" } else { "gateway offline" }));
        // The words of the start stay: a link that goes down later is no news about the data.
        if silent != self.decider.is_open(Code::NoData) {
            self.decider.technical(Code::NoData, detail, (why.clone(), at), self.mode, context, alerts);
        }
        self.clock = self.clock.filter(|clock| now.mono < clock.2);
        let (detail, since) = self.clock.map_or((None, at), |c| (Some(c.0.to_string()), c.1));
        if detail.is_some() || self.decider.is_open(Code::Clock) {
            self.decider.technical(Code::Clock, detail, (why, since), self.mode, context, alerts);
        }
        let pause_over = self.people.pause_is_over(now.mono);
        if pause_over {
            self.decider.pause(false);
        }
        let before = alerts.len();
        let silent = self.decider.release(context, now.utc, alerts);
        self.changed |= pause_over || alerts.len() > before;
        let view = &self.view;
        self.decider.freeze(|| view.columns.iter().copied().collect());
        let state = self.state_now(context.analysis, 0, now);
        if state != self.state.0 {
            self.state = (state, now.utc);
        }
        silent
    }

    fn quiet_since(&self) -> MonoMs {
        self.heard.map_or(self.born, |at| at.max(self.born.min(at)))
    }

    /// When `time` must look again.
    pub fn deadline(&self) -> Option<MonoMs> {
        let silence = (!self.decider.is_open(Code::NoData)).then(|| self.quiet_since().after(STOPPED_MS));
        silence.into_iter().chain(self.clock.map(|c| c.2)).chain(self.people.pause_until()).min()
    }

    pub fn alerts(&self) -> impl Iterator<Item = AlertView> + '_ {
        self.decider.views(&self.label)
    }

    /// What was held back since the last call.
    pub fn take_held(&mut self) -> Vec<(Alert, Held)> {
        self.decider.take_held()
    }

    /// Minutes of the trend that closed since the last call.
    pub fn take_minutes(&mut self) -> Vec<TrendPoint> {
        self.view.take_minutes()
    }

    pub fn saved(&self, context: &Context) -> Option<Saved> {
        self.decider.saved(context)
    }

    /// Takes up what an earlier run left; returns the ends of what cannot be judged any more.
    pub fn reopen(&mut self, left: &Left, context: &Context, now: Now) -> Vec<Alert> {
        if let Some(clock) = left.open.iter().find(|a| a.code == Code::Clock) {
            let told = clock.why.detail.as_deref().unwrap_or_default();
            let detail = CLOCK_WORDS.into_iter().find(|words| *words == told).unwrap_or(CLOCK_WORDS[0]);
            let at = Moment { epoch: 0, n: clock.onset_n, at: clock.onset };
            self.clock = Some((detail, at, now.mono.after(CLOCK_CLEAR_MS)));
        }
        for mark in &left.marks {
            self.people.mark(mark.clone(), now.utc);
        }
        self.view.recall(&left.trend);
        self.changed = true;
        self.decider.reopen(left, context, now.utc)
    }

    /// Evidence of what was raised since the last call.
    pub fn take_evidence(&mut self) -> Vec<Evidence> {
        std::mem::take(&mut self.evidence)
    }

    /// Whether something but the stream changed what is held since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub fn checkpoint(&self, analyser: &Analyser, context: &Context) -> Option<Vec<u8>> {
        let state = (&self.decider, &self.keeper);
        replay::checkpoint(analyser, &self.id, state, (context.model_id, context.config_id))
    }

    pub fn restore(&mut self, saved: Saved, analysis: &Analysis) -> bool {
        self.decider.restore(saved, analysis)
    }
}
