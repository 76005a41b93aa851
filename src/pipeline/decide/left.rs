//! What an earlier run left behind, taken up at the start: open alerts go on under their ids.

use super::book::DAY_S;
use super::{Context, Decider, alert};
use crate::snapshot::{Mark, TrendPoint};
use contract::{Alert, AlertClass, AlertId, BedId, Code, Level, UtcMs};

/// What an earlier run left of one bed.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// The bed.
    pub bed: BedId,
    /// Its open alerts, as they were last said.
    pub open: Vec<Alert>,
    /// Who had seen which of them, and when.
    pub seen: Vec<(AlertId, String, UtcMs)>,
    /// How many seconds ago advisories were let out, within a day.
    pub let_out_s_ago: Vec<u64>,
    /// Which conditions ended how many seconds ago, within a day.
    pub ended_s_ago: Vec<(Code, u64)>,
    /// Marks that people set.
    pub marks: Vec<Mark>,
    /// Its trend of the last day, oldest first.
    pub trend: Vec<TrendPoint>,
}

impl Decider {
    /// Takes up what was left. Advisories of another model cannot be judged by this one: their ends are told.
    pub fn reopen(&mut self, left: &Left, context: &Context, now: UtcMs) -> Vec<Alert> {
        let second = self.second;
        let ago = |s: u64| second.saturating_sub(s.min(DAY_S));
        self.book.let_out(left.let_out_s_ago.iter().map(|&s| ago(s)));
        for &(code, s) in &left.ended_s_ago {
            if let Some(condition) = self.conditions.get_mut(&code) {
                condition.rest(second, s, context.analysis);
                self.fusing.rest(second, s, context.analysis);
            }
        }
        let mut taken_up = false;
        let mut ends = Vec::new();
        for open in &left.open {
            self.at = self.at.max(open.decided);
            let analysis = open.class == AlertClass::Analysis;
            // The fused score knows one advisory a bed.
            let one_too_many = taken_up && context.fuses().is_some();
            if analysis && (open.model != context.model_id || one_too_many) {
                ends.push(alert::left(open, now));
                continue;
            }
            taken_up |= analysis;
            let seen = left.seen.iter().find(|s| s.0 == open.id);
            // What is said next has evidence of its own, or none.
            let taken = Alert { evidence: String::new(), ..open.clone() };
            self.book.reopen(taken, seen.map(|s| (s.1.clone(), s.2)));
            if open.code == Code::Signal {
                self.watch.reopen(&open.why.leads);
            }
            let level = open.level.max(Level::Advisory);
            if !self.book.is_open(open.code) {
                continue;
            }
            if analysis && context.fuses().is_some() {
                self.fusing.reopen(open.code, second, level);
            } else if let Some(condition) = self.conditions.get_mut(&open.code) {
                condition.reopen(second, level);
            }
        }
        ends
    }
}
