//! An alert for the tests of this room.

use contract::{Alert, AlertId, Code, Level, Mode, Phase, Priority, UtcMs, Why};

/// An alert of bed `s/u/b` under this id.
pub fn alert(id: &str, rev: u32, phase: Phase) -> Alert {
    let word = match phase {
        Phase::Start => "start",
        Phase::Update => "update",
        Phase::End => "end",
    };
    Alert {
        v: 1,
        kind: format!("alert.{word}"),
        id: AlertId(id.into()),
        rev,
        code: Code::Signal,
        class: Code::Signal.class(),
        level: Level::Alert,
        phase,
        mode: Mode::Test,
        priority: Priority::Low,
        bed: "s/u/b".into(),
        epoch: "00000001".into(),
        onset_n: 0,
        onset: UtcMs(0),
        decided: UtcMs(0),
        text: "signal unusable".into(),
        why: Why::default(),
        limits: Alert::LIMITS.into(),
        model: "m-1".into(),
        config: "c-1".into(),
        evidence: String::new(),
    }
}
