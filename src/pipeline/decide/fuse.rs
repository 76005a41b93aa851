//! The fused decision: one score of all channels, one advisory a bed, whose code names the cluster channel that
//! contributed most.

use super::alert::{Context, Draft, Moment};
use super::channels::Usual;
use super::condition::{Condition, Turn, Verdict};
use super::fused::{Channels, Facts, Fused, Scored};
use super::shown::thousandths;
use super::{Decider, words};
use crate::config::Analysis;
use contract::{Alert, Code, Finding, Level, Part, Reading, Why};
use serde::{Deserialize, Serialize};

/// A condition ends below the limit of so many times the budget, and is strong from that of so small a part of it.
const OFF: f32 = 4.0;
const STRONG: f32 = 0.25;
const DAY_H: f32 = 24.0;

/// The fused score of one bed: its past and its condition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Fusing {
    channels: Channels,
    condition: Condition,
    /// The code under which it is open.
    code: Code,
}

impl Default for Fusing {
    fn default() -> Self {
        Self { channels: Channels::default(), condition: Condition::new(), code: Code::Changed }
    }
}

/// The limits that the site's budget means, as those of a condition that one second begins.
fn limits(fused: &Fused, analysis: &Analysis) -> Analysis {
    let per_hour = analysis.alerts_per_bed_day / DAY_H;
    Analysis {
        score_on: fused.limit(per_hour),
        score_off: fused.limit(per_hour * OFF),
        score_strong: fused.limit(per_hour * STRONG),
        over_s: 1,
        of_s: 1,
        ..analysis.clone()
    }
}

impl Fusing {
    pub fn stirring(&self, fused: &Fused, analysis: &Analysis) -> bool {
        self.condition.stirring(&limits(fused, analysis))
    }
}

impl Decider {
    /// The score of a second, where it decides and the bed's signal and past allow it.
    pub(super) fn score(&mut self, finding: &Finding, context: &Context) -> Option<Scored> {
        let fused = context.fuses()?;
        let frozen = self.stirring(context);
        let values = self.fusing.channels.second(&Facts::of(finding), frozen)?;
        Some(fused.score(&values))
    }

    /// Turns the condition; returns how many advisories the cap held back.
    pub(super) fn advise_fused(
        &mut self,
        finding: &Finding,
        reading: &Reading,
        scored: &Scored,
        usual: &Usual,
        context: &Context,
        out: &mut Vec<Alert>,
    ) -> u64 {
        let Some(fused) = context.fuses() else { return 0 };
        let limits = limits(fused, context.analysis);
        let at = Moment::of(finding, reading);
        let verdict = Verdict { second: self.second, score: scored.score, at };
        let Some(turn) = self.fusing.condition.turn(verdict, &limits) else { return 0 };
        let level = self.fusing.condition.level().unwrap_or(Level::Advisory);
        if matches!(turn, Turn::Start(_)) {
            self.fusing.code = scored.code();
        }
        let code = self.fusing.code;
        let shown = format!("score {:.1}/{:.1}", scored.score, limits.score_on);
        let why = self.why_fused(code, scored, finding, reading, usual, context);
        match turn {
            Turn::Start(onset) => {
                let bed = self.bed.clone();
                let draft = Draft {
                    bed: bed.as_str(),
                    mode: finding.mode,
                    code,
                    level,
                    onset,
                    decided: finding.end,
                    why,
                };
                return self.book.start(context, draft, self.second, shown, out);
            }
            Turn::Rise => self.book.update(context, code, level, finding.end, (why, shown), out),
            Turn::End => self.book.end(context, code, finding.end, out),
        }
        0
    }

    /// The evidence, with what each kind of channel added and the strongest of them in words.
    fn why_fused(
        &self,
        code: Code,
        scored: &Scored,
        finding: &Finding,
        reading: &Reading,
        usual: &Usual,
        context: &Context,
    ) -> Why {
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
