//! A bed heard live, with everything that it raised, and the same once more from any checkpoint.

use contract::{
    AlertClass, BedId, Command, Flags, Frame, FrameParts, Heard, LeadId, Mode, MonoMs, Ratio, Status, UtcMs,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wardbeat::config::{Analysis, Decide};
use wardbeat::model::{Bundle, FUSED_FORM, FusedFacts, FusedPart, open_engine};
use wardbeat::pipeline::{Analyser, Due, Evidence, Now, Replay, Setup, Ward, channels};

pub const RATE_HZ: usize = 250;

/// Beats of one shape, then of another, then a flat line, then the first shape again; lead II in mV.
pub fn signal() -> Vec<f32> {
    let mut x = 9_u64;
    let mut noise = move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..110 * RATE_HZ)
        .map(|i| {
            let (second, t) = (i / RATE_HZ, i as f32 / RATE_HZ as f32);
            let beat = (t * 1.2).fract() - 0.3;
            let upright = 1.1 * (-beat * beat * 900.0).exp();
            match second {
                40..70 => 0.9 * (t * 11.0).sin() + 0.01 * noise(),
                80..90 => 0.0,
                _ => upright + 0.02 * noise(),
            }
        })
        .collect()
}

pub fn frame(bed: &BedId, samples: &[f32], second: usize) -> Frame {
    Frame::new(FrameParts {
        bed: bed.clone(),
        epoch: 7,
        seq: second as u32,
        n0: (second * RATE_HZ) as u64,
        rate: Ratio::hz(RATE_HZ as u32).expect("valid"),
        t0: Some(UtcMs(1_795_386_208_000 + second as i64 * 1_000)),
        flags: Flags { first: second == 0, ..Flags::default() },
        mode: Mode::Test,
        leads: vec![LeadId::new("II").expect("valid")],
        samples_mv: samples[second * RATE_HZ..(second + 1) * RATE_HZ].to_vec(),
    })
    .expect("valid")
}

pub fn analysis() -> Analysis {
    Analysis {
        learn_s: 15,
        decide: Decide::Channels,
        score_on: 0.6,
        score_off: 0.5,
        score_strong: 0.9,
        over_s: 3,
        of_s: 5,
        clear_s: 5,
        refractory_s: 5,
        per_hour: 60,
        per_day: 1_000,
        ..Analysis::default()
    }
}

pub fn setup() -> Setup {
    Setup { site: "site1".into(), config_id: "c-1".into(), analysis: analysis(), ..Setup::default() }
}

/// What a live run gave: hops, checkpoints before some of them, messages and evidence by key.
#[derive(Default)]
pub struct Live {
    pub setup: Setup,
    pub hops: Vec<Due>,
    pub checkpoints: BTreeMap<usize, Vec<u8>>,
    /// Checkpoints that followed a change which no signal made, as the recorder keeps them.
    pub changes: BTreeMap<usize, Vec<u8>>,
    /// Messages that follow from the signal: those with evidence.
    pub alerts: Vec<(String, String)>,
    pub evidence: Vec<Evidence>,
    /// What was held back and why.
    pub held: Vec<(String, &'static str)>,
    pub analysis: usize,
    /// What the bed has learnt, as it is saved.
    pub saved: String,
}

/// A live run; notices are paused by a person from the first of these seconds to the second.
pub fn live(bundle: &Arc<Bundle>, bed: &BedId, paused: Option<[usize; 2]>) -> Live {
    let mut found = Live { setup: setup(), ..Live::default() };
    if bundle.fused.is_some() {
        found.setup.analysis.decide = Decide::Fused;
    }
    if paused.is_some() {
        // Nothing breaks through.
        found.setup.analysis.score_strong = 99.0;
    }
    let mut ward = Ward::new(found.setup.clone(), bundle);
    let mut analyser = Analyser::new(bundle.clone(), open_engine(bundle, "cpu").expect("the CPU"));
    let samples = signal();
    for second in 0..samples.len() / RATE_HZ {
        let now = Now { mono: MonoMs(second as u64 * 1_000), utc: UtcMs(second as i64 * 1_000) };
        let asked = [Command::Pause { minutes: 10, reason: "care".into() }, Command::Resume];
        for (_, command) in paused.into_iter().flatten().zip(asked).filter(|(at, _)| *at == second) {
            assert_eq!(ward.obey(bed, &command, "RN", now).status, Status::Applied);
        }
        ward.hear(Heard::Frame(frame(bed, &samples, second)), now);
        loop {
            let due = ward.take_due(now);
            if due.is_empty() {
                break;
            }
            let place = found.hops.len();
            if place.is_multiple_of(13) {
                found.checkpoints.insert(place, ward.checkpoint(bed, &analyser).expect("a known bed"));
            }
            if ward.take_changed(bed) {
                found.changes.insert(place, ward.checkpoint(bed, &analyser).expect("a known bed"));
            }
            let findings = analyser.analyse(&due);
            for alert in ward.conclude(&findings, now) {
                found.analysis += usize::from(alert.class == AlertClass::Analysis);
                if !alert.evidence.is_empty() {
                    found.alerts.push((alert.key(), serde_json::to_string(&alert).expect("plain")));
                }
            }
            found.evidence.extend(ward.take_evidence());
            found.held.extend(ward.take_held().into_iter().map(|(a, why)| (a.key(), why)));
            found.hops.extend(due);
        }
    }
    found.saved = serde_json::to_string(&ward.baseline(bed)).expect("plain");
    found
}

/// Every message has its evidence, and from every checkpoint on both come out again, byte for byte.
pub fn comes_out_again(bundle: &Arc<Bundle>, bed: &BedId, live: &Live) {
    let codes: Vec<&str> = live.alerts.iter().map(|a| a.1.as_str()).collect();
    assert!(live.analysis >= 2, "no analysis alert to compare: {codes:#?}");
    assert!(codes.iter().any(|c| c.contains("WB-SIG")), "no signal alert to compare: {codes:#?}");
    assert_eq!(live.alerts.len(), live.evidence.len(), "each message has its evidence");
    for ((key, alert), evidence) in live.alerts.iter().zip(&live.evidence) {
        assert_eq!(*key, format!("{}:{}", evidence.id, evidence.rev));
        let hash = wardbeat::model::sha256_hex(&evidence.document);
        assert!(alert.contains(&format!("\"evidence\":\"sha256:{hash}\"")), "{alert}");
        let document = String::from_utf8_lossy(&evidence.document);
        assert!(!document.contains("class_prob\":[0"), "class probabilities in the evidence");
    }
    for (from, checkpoint) in &live.checkpoints {
        let engine = open_engine(bundle, "cpu").expect("the CPU");
        let mut replay = Replay::new(live.setup.clone(), bundle, engine, bed);
        assert_eq!(replay.load(checkpoint), Ok("c-1".into()));
        let (mut alerts, mut evidence, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for (place, hop) in live.hops.iter().enumerate().skip(*from) {
            if let Some(changed) = live.changes.get(&place).filter(|_| place > *from) {
                replay.load(changed).expect("of the same model");
            }
            let replayed = replay.hop(hop.clone());
            alerts
                .extend(replayed.alerts.iter().map(|a| (a.key(), serde_json::to_string(a).expect("plain"))));
            evidence.extend(replayed.evidence);
            held.extend(replayed.held.into_iter().map(|(a, why)| (a.key(), why)));
        }
        let rest = live.alerts.len() - alerts.len();
        assert_eq!(alerts, live.alerts[rest..], "from hop {from}");
        assert_eq!(evidence, live.evidence[rest..], "from hop {from}");
        assert!(live.held.ends_with(&held), "from hop {from}: {held:?} of {:?}", live.held);
        assert!(*from > 0 || rest == 0, "the first checkpoint replays everything");
    }
}

/// A bundle whose score is the shift of the mix alone.
pub fn fused(limits: &[(f32, f32)]) -> Arc<Bundle> {
    let mut bundle = Bundle::tiny(3);
    let part = |name: String| {
        let weight = if name == "shift_5s" { 1.0 } else { 0.0 };
        FusedPart { name, weight, usual: 0.0 }
    };
    bundle.fused = Some(FusedFacts {
        form: FUSED_FORM,
        codebook: String::new(),
        training: "made up".into(),
        offset: -2.0,
        channels: channels(bundle.codebook.clusters).into_iter().map(|c| part(c.name)).collect(),
        limits: limits.to_vec(),
        calm: Some(-1.0),
    });
    Arc::new(bundle)
}
