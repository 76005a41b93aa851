//! Frames in, findings, alerts out: the whole daemon against a real broker on loopback.

mod ward;

use std::sync::Arc;
use ward::{Listener, Monitor, PATIENCE, Voice, bed, settings, until};
use wardbeat::daemon::{self, Running};
use wardbeat::model::Bundle;

struct Scene {
    // Ends first: the daemon leaves while the broker still stands.
    running: Option<Running>,
    broker: broker::Broker,
    _folder: tempfile::TempDir,
}

fn scene() -> Scene {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(broker.port(), folder.path());
    settings.publish.explain = true;
    let running = daemon::start(settings, Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    Scene { running: Some(running), broker, _folder: folder }
}

impl Scene {
    fn running(&self) -> &Running {
        self.running.as_ref().expect("runs")
    }
}

#[test]
fn frames_become_findings_state_and_silence_an_alert() {
    let mut scene = scene();
    let port = scene.broker.port();
    let listener = Listener::new(port, "listener", "wardbeat/v1/#");
    let voice = Voice::new(port, "monitor");
    let mut monitor = Monitor::new("b01", 1);
    for _ in 0..20 {
        voice.say(&monitor.topic(), monitor.frame());
    }
    until("windows", || scene.running().counters().windows >= 19);
    // The number of beds is that of the newest picture of the ward, which is made a few times a second.
    until("the bed's picture", || scene.running().counters().beds == 1);
    let counters = scene.running().counters();
    assert_eq!((counters.beds, counters.frames_in, counters.frames_lost, counters.refused), (1, 20, 0, 0));
    assert!(counters.findings > 0, "the network read nothing: {counters:?}");
    assert!(counters.p50_ms > 0.0 && counters.p50_ms <= counters.p99_ms, "{counters:?}");
    until("states", || listener.json("/b01/state").len() >= 19);
    let (_, state) = listener.json("/b01/state").pop().expect("one");
    assert_eq!((&state["bed"], &state["mode"]), (&"site1/icu/b01".into(), &"test".into()));
    until("explanations", || listener.json("/b01/explain").len() >= 19);
    for (_, told) in listener.json("/b01/explain") {
        let reading = &told["reading"]["Ok"];
        assert!(reading.get("class_prob").is_none(), "class probabilities on the wire");
        for value in reading["entropy"].as_array().into_iter().flatten() {
            assert!(value.as_f64().is_some_and(|v| (0.0..=1.0).contains(&v)), "{value}");
        }
    }

    // The monitor falls silent: a technical alert, retained; then it comes back and the topic is cleared.
    let alert_topic = "wardbeat/v1/site1/icu/b01/alert/WB-NODATA";
    until("the alert", || listener.last(alert_topic).is_some_and(|p| !p.payload.is_empty()));
    let late = Listener::new(port, "late", "wardbeat/v1/+/+/+/alert/+");
    until("the retained alert", || late.last(alert_topic).is_some_and(|p| p.retain));
    let said = late.last(alert_topic).expect("there");
    let properties = said.properties.expect("MQTT 5 properties");
    assert_eq!(properties.payload_format_indicator, Some(1));
    assert!(properties.user_properties.contains(&("wb-node".into(), "node-a".into())));
    for _ in 0..15 {
        voice.say(&monitor.topic(), monitor.frame());
    }
    until("the topic is cleared", || listener.last(alert_topic).is_some_and(|p| p.payload.is_empty()));
    let told = || -> Vec<_> {
        let events = listener.json("/b01/event").into_iter();
        let silence = events.filter(|(_, alert)| alert["code"] == "WB-NODATA");
        silence.map(|(_, alert)| (alert["type"].clone(), alert["id"].clone())).collect()
    };
    until("its end", || told().last().is_some_and(|t| t.0 == "alert.end"));
    let told = told();
    assert_eq!(told.first().map(|t| &t.0), Some(&"alert.start".into()));
    assert!(told.iter().all(|t| t.1 == told[0].1), "one alert has one id: {told:?}");

    let status = "wardbeat/v1/site1/_node/node-a/status";
    let state = || serde_json::from_slice::<serde_json::Value>(&listener.last(status)?.payload).ok();
    assert_eq!(state().expect("a status")["state"], "online");
    until("every frame is heard", || scene.running().counters().frames_in == 35);
    let counters = scene.running.take().expect("runs").stop();
    assert_eq!(counters.frames_in, 35);
    until("the farewell", || state().is_some_and(|s| s["state"] == "stopped"));
}

#[test]
fn a_storm_of_bad_input_is_counted_and_leaves_other_beds_alone() {
    let scene = scene();
    let port = scene.broker.port();
    let voice = Voice::new(port, "monitor");
    let mut good = Monitor::new("good", 2);
    let mut other = Monitor::new("other", 3);
    let wave = |name: &str| contract::topic::of(&bed(name), contract::topic::WAVE_JSON);
    let bin = |name: &str| contract::topic::of(&bed(name), contract::topic::WAVE_BIN);
    let mut bad = 0;
    let mut say_bad = |topic: &str, payload: Vec<u8>| {
        voice.say(topic, payload);
        bad += 1;
    };
    for round in 0..20_usize {
        voice.say(&good.topic(), good.frame());
        let whole = other.frame();
        say_bad(&wave("other"), whole[..whole.len() * round / 21].to_vec());
        say_bad(&wave("b9"), whole);
        say_bad(&bin("other"), vec![0xff; 100 * round]);
        say_bad(&wave("other"), br#"{"v":1,"bed":7,"leads":"II"}"#.to_vec());
        say_bad(&wave("other"), br#"{"v":1,"bed":"site1/icu/other","epoch":"1","seq":0,"n0":0,"rate_hz":-250,"unit":"mV","lsb":1,"leads":{"II":[0]}}"#.to_vec());
        say_bad(&wave("other"), b"[".repeat(10_000));
    }
    say_bad(&wave("other"), vec![b' '; 900_000]);
    for i in 0..1_000 {
        say_bad(&wave(&format!("unknown{i}")), b"{}".to_vec());
    }
    voice.keep(&wave("kept"), other.frame());
    until("the good bed's windows", || {
        scene.running().snapshot().beds.iter().any(|b| b.bed == bed("good") && b.health.frames == 20)
    });
    until("every bad payload is counted", || scene.running().counters().refused >= bad);
    let snapshot = scene.running().snapshot();
    let view = snapshot.beds.iter().find(|b| b.bed == bed("good")).expect("known");
    assert_eq!((view.health.refused, view.health.gaps, view.health.evicted), (0, 0, 0));
    assert!(
        snapshot.beds.iter().all(|b| !b.bed.place().starts_with("unknown")),
        "refused payloads make no beds"
    );
}

#[test]
fn a_retained_frame_never_looks_live() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let voice = Voice::new(broker.port(), "monitor");
    let mut monitor = Monitor::new("b01", 4);
    voice.keep(&monitor.topic(), monitor.frame());
    let listener = Listener::new(broker.port(), "listener", "wardbeat/v1/#");
    until("the broker keeps it", || listener.last(&monitor.topic()).is_some());
    let running =
        daemon::start(settings(broker.port(), folder.path()), Arc::new(Bundle::tiny(7))).expect("starts");
    until("the refusal", || running.counters().refused == 1);
    assert_eq!(running.counters().frames_in, 0);
}
