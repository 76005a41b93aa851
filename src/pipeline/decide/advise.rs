//! The decision by channels, and what any decision makes of a condition that turns: an alert begins, rises or ends.

use super::alert::{Context, Draft, Moment};
use super::channels::Usual;
use super::condition::{Turn, Verdict};
use super::shown::shown;
use super::{ADVISORIES, Decider};
use contract::{Alert, Code, Finding, Level, Reading, Why};

impl Decider {
    /// Turns the conditions of the channels; returns how many advisories the cap held back.
    pub(super) fn advise(
        &mut self,
        finding: &Finding,
        reading: &Reading,
        usual: &Usual,
        context: &Context,
        out: &mut Vec<Alert>,
    ) -> u64 {
        let e = self.evidence;
        let at = Moment::of(finding, reading);
        let mut silent = 0;
        for code in ADVISORIES {
            let own = match code {
                Code::Uncertain => e.e,
                Code::New => e.n,
                _ => e.j.max(e.c),
            };
            let verdict = Verdict { second: self.second, score: own.min(e.score()), at };
            let Some(condition) = self.conditions.get_mut(&code) else { continue };
            let Some(turn) = condition.turn(verdict, context.analysis) else { continue };
            let level = condition.level().unwrap_or(Level::Advisory);
            let k_of_n = condition.k_of_n(context.analysis);
            let why = self.why(code, Some(k_of_n), finding, reading, usual, context);
            let shown = shown(code, reading, usual, &e, context.analysis);
            silent += self.turned((turn, code, level), finding, (why, shown), context, out);
        }
        silent
    }

    /// Says what a turn means; returns how many advisories the cap held back.
    pub(super) fn turned(
        &mut self,
        (turn, code, level): (Turn, Code, Level),
        finding: &Finding,
        (why, shown): (Why, String),
        context: &Context,
        out: &mut Vec<Alert>,
    ) -> u64 {
        match turn {
            Turn::Start(onset) => {
                let bed = self.bed.clone();
                let draft = draft(bed.as_str(), (code, level, onset), finding, why);
                return self.book.start(context, draft, self.second, shown, out);
            }
            Turn::Rise => self.book.update(context, code, level, finding.end, (why, shown), out),
            Turn::End => self.book.end(context, code, finding.end, out),
        }
        0
    }
}

/// What a finding begins.
pub(super) fn draft<'a>(
    bed: &'a str,
    (code, level, onset): (Code, Level, Moment),
    finding: &Finding,
    why: Why,
) -> Draft<'a> {
    Draft { bed, mode: finding.mode, code, level, onset, decided: finding.end, why }
}
