//! What is held to be true of a bed: compares each second with the bed's own usual and keeps one condition a code.
//!
//! What it does: learns the baseline, turns evidence into the three advisories and signal, clock and silence into
//! technical alerts, with hysteresis, refractory time and a cap. All times of advisories are sample times.
//! What it never does: name a diagnosis, say more than `words` says, raise a level because nobody looked.
//! Door: `Decider`, one a bed. Who calls it: `bed`.

mod advise;
mod alert;
mod baseline;
mod book;
mod channels;
mod condition;
mod fuse;
mod fused;
mod left;
mod shown;
mod signal;
mod windows;
pub(super) mod words;

pub(super) use alert::{Context, Moment};
pub use alert::{node_alert, test_alerts};
pub use baseline::Saved;
pub(super) use book::Held;
pub use fused::{
    BLOCK_S, Channel, Channels, Facts, Fused, Group, QUANTILE, Scored, Tail, channels, quantile,
};
pub use left::Left;

use crate::config::Analysis;
use crate::snapshot::{AlertView, Column, Second, Thresholds};
use alert::Draft;
use baseline::Baseline;
use book::{Book, DAY_S};
use channels::{Evidence, Usual, Window};
use condition::Condition;
use contract::{
    Alert, AlertId, BedId, ClusterShift, Code, Finding, LeadId, Level, NotRead, Reading, Ruling, Signal,
    UtcMs, Why,
};
use fuse::{Fusing, Judged};
use serde::{Deserialize, Serialize};
use shown::{largest, shifts, thousandths};
use signal::SignalWatch;
use std::collections::{BTreeMap, VecDeque};

/// Seconds whose signal a window rests on: its 10 s and the network's look-ahead.
const WINDOW_S: usize = 12;
/// Steps a window needs before it is compared (5 s).
const STEPS_MIN: usize = 125;
/// Seconds remembered for the strip of an alert.
const HISTORY_S: usize = 64;
const ADVISORIES: [Code; 3] = [Code::Uncertain, Code::New, Code::Changed];

/// Whether an alert follows from the samples alone.
fn from_signal(code: Code) -> bool {
    ADVISORIES.contains(&code) || code == Code::Signal
}

/// One second as an alert's evidence shows it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Past {
    second: u64,
    from_n: u64,
    to_n: u64,
    entropy: f32,
    cluster: u8,
}

/// All that is held of one bed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Decider {
    bed: BedId,
    /// Seconds of the bed's own stream, over epochs.
    second: u64,
    /// Time of the newest sample that was decided on.
    at: UtcMs,
    last: Option<(u32, u64)>,
    baseline: Baseline,
    conditions: BTreeMap<Code, Condition>,
    watch: SignalWatch,
    /// Whether each of the newest seconds was good in the leads used.
    good: VecDeque<bool>,
    history: VecDeque<Past>,
    book: Book,
    mask: u16,
    newest: Second,
    evidence: Evidence,
    /// The fused score's past and its condition; idle where channels decide.
    fusing: Fusing,
    /// Open advisories belong to a patient who is gone.
    gone: bool,
}

impl Decider {
    pub fn new(bed: BedId) -> Self {
        Self {
            bed,
            // A day's seconds of an earlier run may lie before this one.
            second: DAY_S,
            at: UtcMs::default(),
            last: None,
            baseline: Baseline::default(),
            conditions: ADVISORIES.iter().map(|&c| (c, Condition::new())).collect(),
            watch: SignalWatch::default(),
            good: VecDeque::new(),
            history: VecDeque::new(),
            book: Book::default(),
            mask: 0,
            newest: Second::default(),
            evidence: Evidence::default(),
            fusing: Fusing::default(),
            gone: false,
        }
    }

    /// Takes one finding, in order; returns how many advisories the cap held back.
    pub fn finding(&mut self, finding: &Finding, context: &Context, out: &mut Vec<Alert>) -> u64 {
        self.second += match self.last {
            Some((epoch, window)) if epoch == finding.epoch => finding.window.saturating_sub(window),
            _ => 1,
        };
        self.last = Some((finding.epoch, finding.window));
        self.at = finding.end;
        self.end_gone(context, out);
        self.watch.second(&finding.leads, context.analysis);
        self.signal(finding, context, out);
        self.newest = Second::default();
        let silent = self.decide(finding, context, out);
        let now = (self.second, self.at);
        silent + self.book.release(context, now, from_signal, out)
    }

    /// Turns the conditions by what the finding shows; returns how many advisories the cap held back.
    fn decide(&mut self, finding: &Finding, context: &Context, out: &mut Vec<Alert>) -> u64 {
        let scored = self.score(finding, context);
        let compared = self.compare(finding, context);
        if context.fuses().is_some() {
            let (Some(scored), Ok(reading)) = (scored, &finding.reading) else { return 0 };
            let Some(usual) = self.baseline.usual(reading.lead_mask).cloned() else { return 0 };
            let judged = Judged { finding, reading, scored: &scored, usual: &usual };
            return self.advise_fused(judged, context, out);
        }
        let Some((reading, usual)) = compared else { return 0 };
        self.advise(finding, reading, &usual, context, out)
    }

    /// Learns from a good window and compares it with what is usual.
    fn compare<'a>(&mut self, finding: &'a Finding, context: &Context) -> Option<(&'a Reading, Usual)> {
        let (reading, window) = self.judge(finding)?;
        self.mask = reading.lead_mask;
        self.newest.entropy = Some(reading.window_entropy);
        self.newest.novelty = Some(reading.window_novelty);
        self.remember(finding, reading);
        let frozen = self.stirring(context);
        self.baseline.learn(self.mask, self.second, &window, frozen, context.analysis);
        let usual = self.baseline.usual(self.mask).cloned()?;
        self.evidence = usual.compare(&window);
        self.newest.shift = Some(self.evidence.shift);
        Some((reading, usual))
    }

    /// The window of a finding, if every second it rests on was good.
    fn judge<'a>(&mut self, finding: &'a Finding) -> Option<(&'a Reading, Window)> {
        if finding.reading == Err(NotRead::Warming) {
            // A new stream: its windows hold nothing of what was before.
            self.good.clear();
        }
        let used = |lead: LeadId, mask: u16| lead.standard().is_some_and(|i| mask >> i & 1 == 1);
        let good = finding.reading.as_ref().is_ok_and(|reading| {
            finding.leads.iter().all(|l| l.signal == Signal::Good || !used(l.lead, reading.lead_mask))
        });
        self.good.push_back(good);
        if self.good.len() > WINDOW_S {
            self.good.pop_front();
        }
        let reading = finding.reading.as_ref().ok()?;
        let window = Window::of(reading);
        let whole = reading.window_steps >= STEPS_MIN && reading.steps > 0 && window.finite();
        (whole && self.good.iter().all(|&g| g)).then_some((reading, window))
    }

    fn remember(&mut self, finding: &Finding, reading: &Reading) {
        let steps = reading.steps.max(1) as f32;
        let mut counts = vec![0_u32; reading.clusters];
        for &k in &reading.cluster {
            if let Some(count) = counts.get_mut(usize::from(k)) {
                *count += 1;
            }
        }
        let from_n = reading.first_step_n.max(0.0) as u64;
        self.history.push_back(Past {
            second: self.second,
            from_n,
            to_n: from_n + (finding.to_n - finding.from_n).min(finding.rate.samples_in(1)),
            entropy: reading.entropy.iter().sum::<f32>() / steps,
            cluster: largest(counts.iter().map(|&c| c as f32)),
        });
        if self.history.len() > HISTORY_S {
            self.history.pop_front();
        }
    }

    fn signal(&mut self, finding: &Finding, context: &Context, out: &mut Vec<Alert>) {
        let bad = self.watch.out();
        let at = Moment { epoch: finding.epoch, n: finding.from_n, at: finding.end };
        let leads: Vec<LeadId> = bad.iter().map(|b| b.0).collect();
        let detail = (!bad.is_empty()).then(|| words::signals(&bad));
        let why = Why { leads, missing: thousandths(1.0 - finding.coverage), ..Why::default() };
        self.technical(Code::Signal, detail, (why, at), finding.mode, context, out);
    }

    /// Raises, says anew or ends a technical condition; `detail` is `None` when all is well again.
    pub fn technical(
        &mut self,
        code: Code,
        detail: Option<String>,
        (why, at): (Why, Moment),
        mode: contract::Mode,
        context: &Context,
        out: &mut Vec<Alert>,
    ) {
        let open = self.book.last(code);
        let Some(detail) = detail else { return self.book.end(context, code, at.at, out) };
        let same = open.is_some_and(|a| a.why.detail.as_deref() == Some(&detail));
        let is_open = open.is_some();
        let why = Why { detail: Some(detail), ..why };
        let level = Level::Advisory;
        if same {
        } else if is_open {
            self.book.update(context, code, level, at.at, (why, String::new()), out);
        } else {
            let bed = self.bed.clone();
            let draft = Draft { bed: bed.as_str(), mode, code, level, onset: at, decided: at.at, why };
            self.book.start(context, draft, self.second, String::new(), out);
        }
    }

    /// Ends what is open about a patient who has left the bed.
    fn end_gone(&mut self, context: &Context, out: &mut Vec<Alert>) {
        if !std::mem::take(&mut self.gone) {
            return;
        }
        for (code, condition) in &mut self.conditions {
            condition.reset();
            self.book.close(context, *code, self.at, out);
        }
        self.fusing.reset();
    }

    /// Tells who lies in the bed, by an opaque token.
    pub fn patient(&mut self, token: &str) {
        if self.baseline.patient(token) {
            self.fusing.relearn();
            self.gone = true;
        }
    }

    /// Begins learning anew, or takes the last time back; open advisories about the old baseline end.
    pub fn relearn(&mut self, undo: bool) -> bool {
        let done = if undo { self.baseline.undo() } else { self.baseline.relearn() };
        if done {
            if undo { self.fusing.undo() } else { self.fusing.relearn() }
        }
        self.gone |= done;
        done
    }

    pub fn is_open(&self, code: Code) -> bool {
        self.book.is_open(code)
    }

    pub fn acknowledge(&mut self, id: &AlertId, rev: Option<u32>, by: &str, at: UtcMs) -> Option<Ruling> {
        self.book.acknowledge(id, rev, by, at)
    }

    /// Holds notices back, or lets them out again.
    pub fn pause(&mut self, on: bool) {
        if on { self.book.pause() } else { self.book.resume() }
    }

    /// Says what is held back no longer of silence and clock, which follow from time; what follows from the signal waits
    /// for the next finding, so that the same samples make the same alert, unless the bed is silent. Returns how many
    /// advisories the cap now holds back.
    pub fn release(&mut self, context: &Context, now: UtcMs, out: &mut Vec<Alert>) -> u64 {
        let mut silent = self.book.release(context, (self.second, now), |code| !from_signal(code), out);
        if self.is_open(Code::NoData) {
            self.end_gone(context, out);
            silent += self.book.release(context, (self.second, self.at), from_signal, out);
        }
        silent
    }

    /// What was held back since the last call.
    pub fn take_held(&mut self) -> Vec<(Alert, Held)> {
        self.book.take_held()
    }

    pub fn freeze(&mut self, columns: impl Fn() -> Vec<Column>) {
        self.book.freeze(columns);
    }

    pub fn views<'a>(&'a self, label: &'a str) -> impl Iterator<Item = AlertView> + 'a {
        self.book.views(&self.bed, label)
    }

    /// The newest second's values; empty without a verdict.
    pub fn newest(&self) -> Second {
        self.newest
    }

    /// Leads out of use and why.
    pub fn leads_out(&self) -> Vec<(LeadId, Signal)> {
        self.watch.out()
    }

    /// Whether there is a baseline for the leads in use.
    pub fn learnt(&self) -> bool {
        self.baseline.usual(self.mask).is_some()
    }

    /// Seconds learnt with the leads in use.
    pub fn learnt_s(&self) -> u32 {
        self.baseline.seconds(self.mask)
    }

    pub fn thresholds(&self, analysis: &Analysis) -> Thresholds {
        let Some(usual) = self.baseline.usual(self.mask) else { return Thresholds::default() };
        let upper = |band: channels::Band| band.limits(analysis.score_on)[1];
        Thresholds {
            entropy: Some(upper(usual.e).min(1.0)),
            novelty: Some(libm::expf(upper(usual.n))),
            shift: Some(upper(usual.j).min(1.0)),
        }
    }

    /// The cluster mix against the usual, the largest shift first.
    pub fn shifts(&self, proportion: &[f32], context: &Context) -> Vec<ClusterShift> {
        self.baseline.usual(self.mask).map_or_else(Vec::new, |u| shifts(proportion, &u.mix, context))
    }

    /// Whether something is building up or open: the baseline must not learn from it.
    fn stirring(&self, context: &Context) -> bool {
        match context.fuses() {
            Some(fused) => self.fusing.stirring(fused, context.analysis),
            None => self.conditions.values().any(|c| c.stirring(context.analysis)),
        }
    }

    pub fn saved(&self, context: &Context) -> Option<Saved> {
        let fused = context.fuses().and_then(|_| self.fusing.saved());
        self.baseline.saved(context.model_id, context.config_id, fused)
    }

    pub fn restore(&mut self, saved: Saved, analysis: &Analysis) -> bool {
        let fused = saved.fused.clone();
        let taken = self.baseline.restore(saved, analysis);
        if taken {
            self.fusing.restore(fused);
        }
        taken
    }
}
