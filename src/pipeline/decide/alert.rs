//! Builds alert objects (`docs/wire.md`): the only place where an [`Alert`] is made.

use super::fused::Fused;
use super::words;
use crate::config::Decide;
use crate::model::{hex, sha256};
use crate::pipeline::Setup;
use crate::snapshot::ClusterName;
use contract::{Alert, AlertId, Code, Finding, Level, Mode, Phase, Priority, Reading, UtcMs, Why};
use serde::{Deserialize, Serialize};

/// What every alert of a ward carries.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Context<'a> {
    pub analysis: &'a crate::config::Analysis,
    pub model_id: &'a str,
    pub config_id: &'a str,
    pub clusters: &'a [ClusterName],
    /// The bundle's fused score, where it has one.
    pub fused: Option<&'a Fused>,
}

impl<'a> Context<'a> {
    /// The fused score, where it decides.
    pub fn fuses(&self) -> Option<&'a Fused> {
        self.fused.filter(|_| self.analysis.decide == Decide::Fused)
    }
}

/// A place in a bed's stream and its wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::pipeline) struct Moment {
    pub epoch: u32,
    pub n: u64,
    pub at: UtcMs,
}

impl Moment {
    /// Of a second's first step, from the wall time of the window's last sample.
    pub fn of(finding: &Finding, reading: &Reading) -> Self {
        let n = reading.first_step_n.max(0.0) as u64;
        let back = finding.rate.ms_at(finding.to_n.saturating_sub(1)) - finding.rate.ms_at(n);
        Self { epoch: finding.epoch, n, at: finding.end.after(-back) }
    }
}

/// One turn of a condition, before it has words and an id.
pub(super) struct Draft<'a> {
    pub bed: &'a str,
    pub mode: Mode,
    pub code: Code,
    pub level: Level,
    pub onset: Moment,
    pub decided: UtcMs,
    pub why: Why,
}

/// First 32 hex digits of the SHA-256 over the lines that make an alert what it is.
pub(super) fn id(bed: &str, epoch: &str, code: Code, onset_n: u64, model: &str) -> AlertId {
    let lines = format!("wardbeat-alert-v1\n{bed}\n{epoch}\n{code}\n{onset_n}\n{model}");
    AlertId(hex(&sha256(lines.as_bytes())[..16]))
}

fn kind(phase: Phase) -> &'static str {
    match phase {
        Phase::Start => "alert.start",
        Phase::Update => "alert.update",
        Phase::End => "alert.end",
    }
}

fn priority(context: &Context, code: Code, level: Level) -> Priority {
    match (code, level) {
        // Unreliable time stamps need no signal at the bed.
        (Code::Clock, _) => Priority::Info,
        (Code::Uncertain | Code::New | Code::Changed, Level::Advisory) => context.analysis.priority,
        (Code::Uncertain | Code::New | Code::Changed, Level::Alert) => context.analysis.priority_strong,
        _ => context.analysis.priority_technical,
    }
}

/// The first alert of a condition.
pub(super) fn start(context: &Context, draft: Draft) -> Alert {
    let epoch = format!("{:08x}", draft.onset.epoch);
    Alert {
        v: 1,
        kind: kind(Phase::Start).into(),
        id: id(draft.bed, &epoch, draft.code, draft.onset.n, context.model_id),
        rev: 0,
        code: draft.code,
        class: draft.code.class(),
        level: draft.level,
        phase: Phase::Start,
        mode: draft.mode,
        priority: priority(context, draft.code, draft.level),
        bed: draft.bed.into(),
        epoch,
        onset_n: draft.onset.n,
        onset: draft.onset.at,
        decided: draft.decided,
        text: words::text(draft.code, &draft.why),
        why: draft.why,
        limits: Alert::LIMITS.into(),
        model: context.model_id.into(),
        config: context.config_id.into(),
        evidence: String::new(),
    }
}

/// The next alert of the same condition.
pub(super) fn follow(
    context: &Context,
    last: &Alert,
    phase: Phase,
    level: Level,
    decided: UtcMs,
    why: Why,
) -> Alert {
    Alert {
        kind: kind(phase).into(),
        rev: last.rev + 1,
        level,
        phase,
        priority: priority(context, last.code, level),
        decided,
        text: if phase == Phase::End { words::ended(last.code) } else { words::text(last.code, &why) },
        why,
        ..last.clone()
    }
}

/// The beginning of an alert that nobody outside has heard of yet, with newer evidence.
pub(super) fn again(context: &Context, first: &Alert, level: Level, decided: UtcMs, why: Why) -> Alert {
    let text = words::text(first.code, &why);
    Alert { level, priority: priority(context, first.code, level), decided, text, why, ..first.clone() }
}

/// The update that says that the condition is over and its alert waits to be seen.
pub(super) fn latched(last: &Alert, decided: UtcMs) -> Alert {
    Alert {
        kind: kind(Phase::Update).into(),
        rev: last.rev + 1,
        phase: Phase::Update,
        decided,
        text: words::latched(last.code),
        ..last.clone()
    }
}

/// The end of an alert that an earlier run left open and that this one cannot judge.
pub(super) fn left(last: &Alert, decided: UtcMs) -> Alert {
    Alert {
        kind: kind(Phase::End).into(),
        rev: last.rev + 1,
        phase: Phase::End,
        decided,
        text: words::RESTARTED.into(),
        // It follows from a restart, not from the signal.
        evidence: String::new(),
        ..last.clone()
    }
}

/// A test of the way to every destination, asked for by a person at `now`: its start and its end. It is of the node,
/// in mode test, and stands for nothing.
#[must_use]
pub fn test_alerts(setup: &Setup, model_id: &str, by: &str, now: UtcMs) -> [Alert; 2] {
    let tested = |phase, rev, text: String| {
        let alert = node_alert(setup, model_id, phase, (now, rev), now, "test");
        Alert { mode: Mode::Test, level: Level::Advisory, text, ..alert }
    };
    [tested(Phase::Start, 0, words::tested(by)), tested(Phase::End, 1, words::TEST_ENDED.into())]
}

/// An alert about the node itself (WB-NODE), raised by the daemon and by [`Ward`](super::super::Ward) for a failed
/// engine. `since` is its onset and revision: give those of the start (revision + 1) to update or end it. `detail` is
/// plain words without elapsed time.
#[must_use]
pub fn node_alert(
    setup: &Setup,
    model_id: &str,
    phase: Phase,
    since: (UtcMs, u32),
    decided: UtcMs,
    detail: &str,
) -> Alert {
    let context = Context {
        analysis: &setup.analysis,
        model_id,
        config_id: &setup.config_id,
        clusters: &[],
        fused: None,
    };
    let bed = format!("{}/_node/{}", setup.site, setup.node);
    let why = Why { quality: 1.0, detail: Some(detail.into()), ..Why::default() };
    let onset = Moment { epoch: 0, n: since.0.0.max(0) as u64, at: since.0 };
    let draft = Draft {
        bed: &bed,
        mode: Mode::Real,
        code: Code::Node,
        level: Level::Alert,
        onset,
        decided,
        why: why.clone(),
    };
    let first = start(&context, draft);
    match phase {
        Phase::Start => first,
        _ => Alert { rev: since.1, ..follow(&context, &first, phase, Level::Alert, decided, why) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_recipe_of_the_wire_page() {
        // printf 'wardbeat-alert-v1\nsite1/icu/b07\n5eed0001\nWB-UNC\n123750\nm-3f9a1c' | sha256sum
        let id = id("site1/icu/b07", "5eed0001", Code::Uncertain, 123_750, "m-3f9a1c");
        assert_eq!(id.0, "2500be5134ba93ff8ae3d893580d3c33");
    }

    #[test]
    fn a_node_alert_keeps_its_id_until_it_ends() {
        let setup = Setup { site: "s".into(), node: "n1".into(), ..Setup::default() };
        let begin = node_alert(&setup, "m-1", Phase::Start, (UtcMs(5), 0), UtcMs(6), "disk full");
        let end = node_alert(&setup, "m-1", Phase::End, (UtcMs(5), 1), UtcMs(9), "disk full");
        assert_eq!((&begin.id, begin.rev, end.rev), (&end.id, 0, 1));
        assert_eq!((begin.bed.as_str(), end.kind.as_str()), ("s/_node/n1", "alert.end"));
        assert!(begin.text.contains("disk full"));
    }
}
