//! What people asked of a bed: acknowledgements, the pause of its notices, marks, learning anew.

use super::Bed;
use crate::pipeline::Now;
use crate::snapshot::Mark;
use contract::limits::MARKS_MAX;
use contract::{Command, MarkAt, MonoMs, Ruling, Status, UtcMs};
use std::collections::VecDeque;

const MINUTE_MS: u64 = 60_000;
/// Marks are kept for a day.
const MARK_MS: i64 = 24 * 3_600_000;

/// A pause of a bed's notices.
#[derive(Debug, Clone)]
struct Pause {
    until: MonoMs,
    /// Why and by whom, for the screen.
    reason: String,
}

/// What people asked of one bed and still counts.
#[derive(Debug, Clone, Default)]
pub(super) struct People {
    pause: Option<Pause>,
    marks: VecDeque<Mark>,
}

impl People {
    /// Whether a pause ends now; it is then forgotten.
    pub fn pause_is_over(&mut self, now: MonoMs) -> bool {
        self.pause.take_if(|p| now >= p.until).is_some()
    }

    pub fn pause_until(&self) -> Option<MonoMs> {
        self.pause.as_ref().map(|p| p.until)
    }

    pub fn pause_left_ms(&self, now: MonoMs) -> Option<u64> {
        self.pause_until().map(|until| until.since(now))
    }

    pub fn pause_reason(&self) -> String {
        self.pause.as_ref().map_or_else(String::new, |p| p.reason.clone())
    }

    pub fn marks(&self) -> Vec<Mark> {
        self.marks.iter().cloned().collect()
    }

    /// Takes a mark in, at its place in time; the oldest gives way.
    pub fn mark(&mut self, mark: Mark, now: UtcMs) {
        let at = self.marks.partition_point(|m| m.at <= mark.at);
        self.marks.insert(at, mark);
        self.marks.retain(|m| m.at.after(MARK_MS) > now);
        while self.marks.len() > MARKS_MAX {
            self.marks.pop_front();
        }
    }
}

impl Bed {
    /// Does what a person asked.
    pub fn obey(&mut self, command: &Command, by: &str, now: Now) -> Ruling {
        self.changed = true;
        match command {
            Command::Acknowledge { alert, rev } => {
                let known = self.decider.acknowledge(alert, *rev, by, now.utc);
                known.unwrap_or_else(|| Ruling::refused(Status::Unknown, "no such alert at this bed"))
            }
            Command::Pause { minutes, reason } => {
                let until = now.mono.after(u64::from(*minutes) * MINUTE_MS);
                self.people.pause = Some(Pause { until, reason: format!("{reason}, {by}") });
                self.decider.pause(true);
                Ruling::applied(None)
            }
            Command::Resume => {
                self.people.pause = None;
                self.decider.pause(false);
                Ruling::applied(None)
            }
            Command::Mark { at, letter, note } => {
                let at = match at {
                    MarkAt::Now => Some(now.utc),
                    MarkAt::Time(time) => Some(*time),
                    MarkAt::Sample(n) => self.ring.as_ref().and_then(|r| self.timeline.at(*n, r.rate())),
                };
                let Some(at) = at else {
                    return Ruling::refused(Status::Unknown, "the bed has no samples yet");
                };
                self.people.mark(Mark { at, letter: *letter, note: note.clone() }, now.utc);
                Ruling::applied(None)
            }
            Command::Relearn { undo, .. } if self.decider.relearn(*undo) => Ruling::applied(None),
            Command::Relearn { .. } => {
                Ruling::refused(Status::Unknown, "there is no earlier baseline to take back")
            }
            Command::Test => Ruling::refused(Status::Invalid, "a test is asked of the node, not of a bed"),
        }
    }
}
