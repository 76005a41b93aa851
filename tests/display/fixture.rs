//! A ward as plain data, with every state and level.

use contract::{AlertId, BedId, ClusterShift, Code, LeadId, LeadSignal, Level, Mode, Signal, UtcMs};
use wardbeat::snapshot::{
    AlertView, BedHealth, BedState, BedView, ClusterName, Column, Family, HeartRate, Mark, NodeView, Second,
    Snapshot, Thresholds, TrendPoint,
};

const STATES: [BedState; 8] = [
    BedState::Live,
    BedState::Live,
    BedState::Live,
    BedState::LeadOff,
    BedState::Paused,
    BedState::Live,
    BedState::Stopped,
    BedState::Delayed,
];

/// 2026-11-23T02:13:41Z.
pub fn now() -> UtcMs {
    UtcMs::parse("2026-11-23T02:13:41.000Z").unwrap()
}

pub fn bump(x: f32, at: f32, wide: f32, high: f32) -> f32 {
    high * (-((x - at) / wide).powi(2) / 2.0).exp()
}

/// A beat each `beat` columns of 20 ms: P, QRS, T.
pub fn columns(beat: u64, first: u64) -> Vec<Column> {
    let shape = |n: u64| {
        let x = (n % beat) as f32 / beat as f32;
        bump(x, 0.18, 0.03, 0.12) + bump(x, 0.30, 0.012, 1.0) - bump(x, 0.34, 0.015, 0.25)
            + bump(x, 0.55, 0.05, 0.28)
    };
    let cluster = |n: u64| match (n % beat) * 20 / beat {
        2..=4 => 3,
        5..=6 => 0,
        7..=8 => 1,
        9..=12 => 2,
        _ => 4,
    };
    let column = |n: u64| {
        let (a, b) = (shape(n), shape(n + 1));
        Column { min_mv: a.min(b), max_mv: a.max(b), cluster: (n < first + 470).then(|| cluster(n)) }
    };
    (first..first + 500).map(column).collect()
}

pub fn seconds(over_from: usize) -> Vec<Second> {
    let second = |i: usize| {
        let wave = 0.04 * (i as f32 * 0.7).sin();
        let entropy = if i >= over_from { 0.84 + wave } else { 0.42 + wave };
        Second { entropy: Some(entropy), novelty: Some(0.31 + wave), shift: Some(0.18 + wave) }
    };
    (0..90).map(second).collect()
}

pub fn shifts() -> Vec<ClusterShift> {
    let shift = |cluster: u8, name: &str, now, usual| ClusterShift { cluster, name: name.into(), now, usual };
    vec![
        shift(5, "mixed (QRS 40, T 35)", 0.29, 0.06),
        shift(4, "baseline T-P", 0.18, 0.41),
        shift(0, "mostly QRS 82%", 0.24, 0.22),
    ]
}

pub fn bed(i: usize, state: BedState) -> BedView {
    let stopped = state == BedState::Stopped;
    let detail = match state {
        BedState::LeadOff => "lead II",
        BedState::Noisy => "movement on II, V1",
        _ => "",
    };
    let over = if i % 8 == 2 || i % 8 == 5 { 60 } else { 90 };
    let first = 1_000 + 13 * i as u64;
    let trend = (0..240i64)
        .map(|m| TrendPoint {
            at: Some(now().after(-60_000 * (240 - m))),
            entropy: (m % 50 > 3).then_some(0.44),
            entropy_max: (m % 50 > 3).then_some(if m > 200 { 0.8 } else { 0.5 }),
            over_s: 0,
            new_s: u8::from(m % 30 == 7) * 4,
            blind_s: 0,
        })
        .collect::<Vec<_>>();
    let lead = |name: &str, signal| LeadSignal { lead: LeadId::new(name).unwrap(), signal, missing: 0.0 };
    BedView {
        bed: BedId::new(&format!("site1/icu/b{:02}", i + 1)).unwrap(),
        label: format!("{:02}", i + 1),
        state,
        state_since: now().after(-65_000),
        state_detail: detail.into(),
        mode: Mode::Real,
        paced: i == 1,
        sample_age_ms: Some(match state {
            BedState::Stopped => 65_000,
            BedState::Delayed => 6_000,
            _ => 400,
        }),
        finding_age_ms: Some(if stopped { 65_000 } else { 600 }),
        learnt_s: if state == BedState::Learning { [540, 900] } else { [900, 900] },
        pause_left_ms: (state == BedState::Paused).then_some(540_000),
        pause_reason: if state == BedState::Paused { "care RN".into() } else { String::new() },
        lead: LeadId::new("II").ok(),
        leads: vec![lead("II", Signal::Good), lead("V1", Signal::Noisy)],
        first_column: first,
        columns: columns(40 + i as u64 % 5, first),
        seconds: seconds(over),
        thresholds: Thresholds { entropy: Some(0.64), novelty: Some(0.5), shift: Some(0.3) },
        shifts: shifts(),
        doubted: if i == 5 { vec![4] } else { Vec::new() },
        labels: Vec::new(),
        agree: Some(i.is_multiple_of(2)),
        heart_rate: Some(HeartRate { per_min: 72.0, theirs: i.is_multiple_of(2) }),
        trend: trend.into(),
        marks: vec![Mark { at: now().after(-3_600_000), letter: 't', note: "turned".into() }],
        rate_hz: Some(250.0),
        health: BedHealth { frames: 1_000, gaps: 2, lag_ms: Some(210), ..BedHealth::default() },
    }
}

pub fn alert(i: usize, code: Code, level: Level, ago_s: i64) -> AlertView {
    AlertView {
        id: AlertId(format!("{i:04}{}{ago_s}", code.as_str())),
        rev: 0,
        bed: BedId::new(&format!("site1/icu/b{:02}", i + 1)).ok(),
        label: format!("{:02}", i + 1),
        code,
        class: code.class(),
        level,
        onset: now().after(-1_000 * ago_s),
        ended: None,
        seen: None,
        text: "the clusters are more mixed than usual".into(),
        k_of_n: Some([43, 60]),
        evidence: "H 0.84/0.64".into(),
        shifts: shifts(),
        strip: columns(37, 0),
        silent: false,
        latched: false,
    }
}

pub fn clusters() -> Vec<ClusterName> {
    [
        (Family::Q, "mostly QRS 82%"),
        (Family::S, "ST part"),
        (Family::T, "mostly T"),
        (Family::P, "mostly P"),
        (Family::Baseline, "baseline T-P"),
        (Family::Mixed, "mixed"),
    ]
    .map(|(family, name)| ClusterName { family, name: name.into() })
    .to_vec()
}

/// A ward with every state and level, repeating every eight beds (one LEARNING, one NOISY from bed 12 on).
pub fn ward(beds: usize) -> Snapshot {
    let state = |i: usize| match i {
        11 => BedState::Learning,
        12 => BedState::Noisy,
        i => STATES[i % 8],
    };
    let mut alerts = vec![
        alert(5, Code::Uncertain, Level::Alert, 133),
        alert(2, Code::New, Level::Advisory, 40),
        AlertView { ended: Some(now().after(-1_900_000)), ..alert(0, Code::Changed, Level::Advisory, 2_000) },
        AlertView { text: "lead II off".into(), ..alert(3, Code::Signal, Level::Advisory, 65) },
    ];
    alerts
        .retain(|a| a.bed.as_ref().is_some_and(|b| (0..beds).any(|i| b.place() == format!("b{:02}", i + 1))));
    Snapshot {
        beat: 77,
        now: Some(now()),
        beds: (0..beds).map(|i| bed(i, state(i))).collect(),
        alerts,
        clusters: clusters(),
        node: NodeView {
            name: "node1".into(),
            broker_since: Some(now().after(-22_320_000)),
            broker: "localhost:1883".into(),
            in_bytes_per_s: 4_100,
            frames: 12_345,
            findings: 9_876,
            latency_ms: [80.0, 210.0],
            engine: "cpu-avx2".into(),
            model: "ptbxl-1".into(),
            config: "demo".into(),
            disk_free_bytes: Some(41_000_000_000),
            sinks: vec![("pager".into(), "refused: connection reset".into())],
            ..NodeView::default()
        },
    }
}
