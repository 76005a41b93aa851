//! The fused decision: one score of all channels, one advisory a bed, whose code names the cluster channel that
//! contributed most. What stays below the site's budget goes to the silent review list.

use super::advise::draft;
use super::alert::{Context, Moment};
use super::channels::Usual;
use super::condition::{Condition, Turn, Verdict};
use super::fused::{Channels, Facts, Fused, Learnt, Scored, Tail};
use super::shown::thousandths;
use super::{Decider, words};
use crate::config::Analysis;
use contract::{Alert, Code, Finding, Level, Part, Reading, Why};
use serde::{Deserialize, Serialize};

/// A condition ends below the limit of so many times the budget, and is strong from that of so small a part of it.
const OFF: f32 = 4.0;
const STRONG: f32 = 0.25;
/// What is below the budget, but within so many times of it, is listed for review.
const REVIEW: f32 = 2.0;
const DAY_H: f32 = 24.0;

/// The fused score of one bed: its past and its conditions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Fusing {
    channels: Channels,
    tail: Tail,
    condition: Condition,
    /// The code under which it is open.
    code: Code,
    /// The condition below the budget's line, and its code while it is listed.
    lesser: Condition,
    listed: Option<Code>,
    /// What was known before the last new patient or relearn, for undo.
    previous: Option<Learnt>,
}

impl Default for Fusing {
    fn default() -> Self {
        Self {
            channels: Channels::default(),
            tail: Tail::default(),
            condition: Condition::new(),
            code: Code::Changed,
            lesser: Condition::new(),
            listed: None,
            previous: None,
        }
    }
}

impl Fusing {
    /// The limits that the site's budget means at this bed, as those of a condition that one second begins.
    fn limits(&self, fused: &Fused, analysis: &Analysis) -> Analysis {
        let per_hour = analysis.alerts_per_bed_day / DAY_H;
        let own = fused.calm().map_or(0.0, |calm| self.tail.offset(calm));
        let limit = |times: f32| own + fused.limit(per_hour * times);
        Analysis {
            score_on: limit(1.0),
            score_off: limit(OFF),
            score_strong: limit(STRONG),
            over_s: 1,
            of_s: 1,
            ..analysis.clone()
        }
    }

    /// Those of what is listed only: it never rises, and begins anew at once.
    fn lesser(fused: &Fused, limits: &Analysis, analysis: &Analysis) -> Analysis {
        let per_hour = analysis.alerts_per_bed_day / DAY_H;
        let lower = fused.limit(per_hour) - fused.limit(per_hour * REVIEW);
        Analysis {
            score_on: limits.score_on - lower,
            score_strong: f32::INFINITY,
            refractory_s: 0,
            ..limits.clone()
        }
    }

    pub fn stirring(&self, fused: &Fused, analysis: &Analysis) -> bool {
        self.condition.stirring(&self.limits(fused, analysis))
    }

    /// Goes on where an earlier run left it open.
    pub fn reopen(&mut self, code: Code, second: u64, level: Level) {
        self.code = code;
        self.condition.reopen(second, level);
    }

    /// Rests where an earlier run ended it so long ago.
    pub fn rest(&mut self, second: u64, ended_s_ago: u64, analysis: &Analysis) {
        self.condition.rest(second, ended_s_ago, analysis);
    }

    /// Ends what holds, since it is of a patient who has gone.
    pub fn reset(&mut self) {
        self.condition.reset();
        self.lesser.reset();
        self.listed = None;
    }

    /// Begins to learn anew; what was known is kept for undo.
    pub fn relearn(&mut self) {
        self.previous = self.saved();
        self.channels = Channels::default();
        self.tail = Tail::default();
    }

    /// Takes the last relearn back.
    pub fn undo(&mut self) {
        let previous = self.previous.take();
        self.restore(previous);
    }

    pub fn saved(&self) -> Option<Learnt> {
        self.channels.saved(&self.tail)
    }

    pub fn restore(&mut self, learnt: Option<Learnt>) {
        if let Some(learnt) = learnt {
            (self.channels, self.tail) = Channels::restored(learnt);
        }
    }
}

/// A second under its score.
#[derive(Clone, Copy)]
pub(super) struct Judged<'a> {
    pub finding: &'a Finding,
    pub reading: &'a Reading,
    pub scored: &'a Scored,
    pub usual: &'a Usual,
}

impl Decider {
    /// The score of a second, where it decides and the bed's signal and past allow it.
    pub(super) fn score(&mut self, finding: &Finding, context: &Context) -> Option<Scored> {
        let fused = context.fuses()?;
        let frozen = self.stirring(context);
        let values = self.fusing.channels.second(&Facts::of(finding), frozen)?;
        let scored = fused.score(&values);
        if !frozen {
            self.fusing.tail.second(scored.score);
        }
        Some(scored)
    }

    /// Turns the condition; returns how many advisories the cap held back.
    pub(super) fn advise_fused(&mut self, judged: Judged, context: &Context, out: &mut Vec<Alert>) -> u64 {
        let Some(fused) = context.fuses() else { return 0 };
        let limits = self.fusing.limits(fused, context.analysis);
        let at = Moment::of(judged.finding, judged.reading);
        let verdict = Verdict { second: self.second, score: judged.scored.score, at };
        let Some(turn) = self.fusing.condition.turn(verdict, &limits) else {
            let lesser = Fusing::lesser(fused, &limits, context.analysis);
            self.list(verdict, &lesser, judged, context, out);
            return 0;
        };
        let level = self.fusing.condition.level().unwrap_or(Level::Advisory);
        if matches!(turn, Turn::Start(_)) {
            self.unlist(judged.finding, context, out);
            self.fusing.code = judged.scored.code();
        }
        let code = self.fusing.code;
        let said = (self.why_fused(code, judged, context), shown(judged.scored, &limits));
        self.turned((turn, code, level), judged.finding, said, context, out)
    }

    /// Turns the condition below the budget's line, while nothing is above it: its findings are listed, nobody is called.
    fn list(
        &mut self,
        verdict: Verdict,
        limits: &Analysis,
        judged: Judged,
        context: &Context,
        out: &mut Vec<Alert>,
    ) {
        if self.fusing.condition.level().is_some() {
            return;
        }
        match self.fusing.lesser.turn(verdict, limits) {
            Some(Turn::Start(onset)) => {
                let code = judged.scored.code();
                let why = self.why_fused(code, judged, context);
                let draft = draft(self.bed.as_str(), (code, Level::Advisory, onset), judged.finding, why);
                if self.book.review(context, draft, shown(judged.scored, limits)) {
                    self.fusing.listed = Some(code);
                }
            }
            Some(Turn::End) => self.unlist(judged.finding, context, out),
            Some(Turn::Rise) | None => {}
        }
    }

    /// Ends what is listed.
    fn unlist(&mut self, finding: &Finding, context: &Context, out: &mut Vec<Alert>) {
        self.fusing.lesser.reset();
        if let Some(code) = self.fusing.listed.take() {
            self.book.close(context, code, finding.end, out);
        }
    }

    /// The evidence, with what each kind of channel added and the strongest of them in words.
    fn why_fused(&self, code: Code, judged: Judged, context: &Context) -> Why {
        let Judged { finding, reading, scored, usual } = judged;
        let mut parts = scored.parts.clone();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let adds = parts.iter().filter(|p| p.1 > 0.0);
        let said: Vec<&str> =
            adds.filter_map(|p| words::differs(p.0, scored.beats.as_deref())).take(2).collect();
        let part = |p: &(super::Group, f32)| Part { group: p.0.word().into(), part: thousandths(p.1) };
        Why {
            parts: parts.iter().map(part).collect(),
            detail: (!said.is_empty()).then(|| said.join(", ")),
            ..self.why(code, None, finding, reading, usual, context)
        }
    }
}

/// Score and limit, for the alert list.
fn shown(scored: &Scored, limits: &Analysis) -> String {
    format!("score {:.1}/{:.1}", scored.score, limits.score_on)
}
