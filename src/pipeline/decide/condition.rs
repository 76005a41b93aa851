//! The state machine of one condition of one bed. This file holds the evidence (left), `book` what becomes of it (right).
//!
//! ```text
//!           a second over         over_s of of_s                     over, nobody has seen it,
//!           score_on              (condition delay)                  and the site latches
//!  Inactive ─────────────▶ Pending ──────────────▶ Active ─────────────────────────────▶ Latched
//!   ▲    ▲                   │                     │  ▲ │                                 │ seen
//!   │    └─ none over ───────┘               seen  │  │ │ clear_s under score_off         │
//!   │                                              ▼  │ │                                 │
//!   │                             level rises, ─ Acknowledged                             │
//!   │                             asks again          │ │                                 │
//!   │  refractory_s                                   ▼ ▼                                 │
//!   └───────────────────────────────────────────── Refractory ◀───────────────────────────┘
//!
//!  beside Active:  said ◀──── held back: Paused (by a person; a higher level breaks through; ends by itself)
//!                                        Lesser (a greater alert of the bed is open)
//!                                        Cap    (two an hour, six a day; final, on the review list)
//! ```
//! The level rises from advisory to alert with strong evidence in `over_s` of `of_s`, or after [`LASTS_S`]; it never
//! falls back. Seconds without a verdict (gap, lead off, learning) count neither as over nor as under: the machine
//! stands still.

use super::alert::Moment;
use crate::config::Analysis;
use contract::Level;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// An advisory that goes on this long differs "strongly and lasts".
const LASTS_S: u64 = 60;

/// What one second said to the condition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// The bed's own count of seconds.
    pub second: u64,
    /// Strength of the evidence.
    pub score: f32,
    /// First sample of the second.
    pub at: Moment,
}

/// What the condition did at that second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Turn {
    /// It began, with its first second over the limit.
    Start(Moment),
    /// Its level rose.
    Rise,
    /// It is over.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum State {
    Inactive,
    Pending,
    Active { since: u64, level: Level, clear: u32 },
    Refractory { until: u64 },
}

/// One condition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Condition {
    state: State,
    recent: VecDeque<Verdict>,
}

impl Condition {
    pub fn new() -> Self {
        Self { state: State::Inactive, recent: VecDeque::new() }
    }

    /// Level while active.
    pub fn level(&self) -> Option<Level> {
        match self.state {
            State::Active { level, .. } => Some(level),
            _ => None,
        }
    }

    /// Whether something is building up or open: the baseline must not learn from it.
    pub fn stirring(&self, analysis: &Analysis) -> bool {
        matches!(self.state, State::Active { .. } | State::Pending) || self.count(analysis.score_on) > 0
    }

    fn count(&self, limit: f32) -> u32 {
        self.recent.iter().filter(|v| v.score >= limit).count() as u32
    }

    /// Seconds over the limit, of those looked at.
    pub fn k_of_n(&self, analysis: &Analysis) -> [u32; 2] {
        [self.count(analysis.score_on), self.recent.len() as u32]
    }

    /// Takes the verdict of one second.
    pub fn turn(&mut self, verdict: Verdict, analysis: &Analysis) -> Option<Turn> {
        let second = verdict.second;
        self.recent.push_back(verdict);
        // Only the newest of_s seconds count; older ones (a gap lies between) are forgotten.
        while self.recent.front().is_some_and(|v| v.second + u64::from(analysis.of_s) <= second) {
            self.recent.pop_front();
        }
        match self.state {
            State::Refractory { until } if second < until => None,
            State::Active { since, level, clear } => {
                let clear = if verdict.score < analysis.score_off { clear + 1 } else { 0 };
                if clear >= analysis.clear_s {
                    self.state = State::Refractory { until: second + u64::from(analysis.refractory_s) };
                    self.recent.clear();
                    return Some(Turn::End);
                }
                let strong = self.count(analysis.score_strong) >= analysis.over_s;
                let lasts = second >= since + LASTS_S && self.count(analysis.score_on) >= analysis.over_s;
                let rises = level == Level::Advisory && (strong || lasts);
                let level = if rises { Level::Alert } else { level };
                self.state = State::Active { since, level, clear };
                rises.then_some(Turn::Rise)
            }
            _ => {
                let over = self.count(analysis.score_on);
                self.state = if over > 0 { State::Pending } else { State::Inactive };
                if over < analysis.over_s {
                    return None;
                }
                let onset = self.recent.iter().find(|v| v.score >= analysis.score_on)?.at;
                let strong = self.count(analysis.score_strong) >= analysis.over_s;
                let level = if strong { Level::Alert } else { Level::Advisory };
                self.state = State::Active { since: second, level, clear: 0 };
                Some(Turn::Start(onset))
            }
        }
    }

    /// Goes on where an earlier run left it open.
    pub fn reopen(&mut self, second: u64, level: Level) {
        self.state = State::Active { since: second, level, clear: 0 };
    }

    /// Rests where an earlier run ended it so long ago.
    pub fn rest(&mut self, second: u64, ended_s_ago: u64, analysis: &Analysis) {
        let left = u64::from(analysis.refractory_s).saturating_sub(ended_s_ago);
        if left > 0 && self.level().is_none() {
            self.state = State::Refractory { until: second + left };
        }
    }

    /// Forgets everything (another patient); returns whether it was active.
    pub fn reset(&mut self) -> bool {
        let active = self.level().is_some();
        *self = Self::new();
        active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analysis() -> Analysis {
        Analysis {
            score_on: 2.0,
            score_off: 1.0,
            score_strong: 3.0,
            over_s: 3,
            of_s: 5,
            clear_s: 4,
            refractory_s: 10,
            ..Analysis::default()
        }
    }

    /// Each digit is a second's score, `.` a second without a verdict; gives the turns as `second:letter`.
    fn check(script: &str, expected: &str) {
        let (analysis, mut condition) = (analysis(), Condition::new());
        let mut turns = Vec::new();
        for (i, c) in script.chars().enumerate() {
            let Some(score) = c.to_digit(10) else { continue };
            let at = Moment { n: i as u64, ..Moment::default() };
            match condition.turn(Verdict { second: i as u64, score: score as f32, at }, &analysis) {
                Some(Turn::Start(onset)) => turns.push(format!("{i}:start@{}", onset.n)),
                Some(Turn::Rise) => turns.push(format!("{i}:rise")),
                Some(Turn::End) => turns.push(format!("{i}:end")),
                None => {}
            }
        }
        assert_eq!(turns.join(" "), expected, "{script}");
    }

    #[test]
    fn it_begins_with_k_of_n_and_ends_when_clear() {
        check("0202000", "");
        check("0222", "3:start@1");
        check("020202", "5:start@1");
        check("02220000", "3:start@1 7:end");
        check("0222000111100000", "3:start@1 14:end");
    }

    #[test]
    fn between_exit_and_entry_it_holds() {
        check("022211111111", "3:start@1");
        check("0222000100001", "3:start@1 11:end");
    }

    #[test]
    fn strong_evidence_rises_once() {
        check("0222333333", "3:start@1 6:rise");
        check("0333", "3:start@1");
    }

    #[test]
    fn it_does_not_begin_again_at_once() {
        check("02220000222222222222", "3:start@1 7:end 17:start@13");
    }

    #[test]
    fn seconds_without_a_verdict_stand_still() {
        check("0222000.......0", "3:start@1 14:end");
        check("022.....2", "");
    }
}
