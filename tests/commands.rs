//! Commands over a real broker: from the command line to the bed and back, and what every one leaves behind.

mod ward;

use contract::{AlertId, BedId, Command, MarkAt, Status, Verb};
use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;
use std::time::Duration;
use ward::{Listener, Monitor, PATIENCE, Voice, bed, settings, until};
use wardbeat::config::Settings;
use wardbeat::daemon::{self, Audit, Running};
use wardbeat::model::Bundle;
use wardbeat::snapshot::{AlertView, BedState};

struct Scene {
    running: Running,
    broker: broker::Broker,
    settings: Settings,
    folder: tempfile::TempDir,
}

/// A daemon, and a key that may do everything.
fn opened(change: impl FnOnce(&mut Settings)) -> Scene {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(broker.port(), folder.path());
    let keys = folder.path().join("keys.json");
    let made = daemon::Keys::add(
        &keys,
        &folder.path().join("own.key"),
        ("console", &Verb::ALL, &[]),
        contract::UtcMs(0),
    );
    made.expect("a key");
    settings.commands.keys_file = Some(keys);
    change(&mut settings);
    let running = daemon::start(settings.clone(), Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE));
    Scene { running, broker, settings, folder }
}

/// One whose bed b01 has fallen silent, with the alert that says so.
fn scene() -> (Scene, AlertView) {
    let scene = opened(|_| {});
    let mut monitor = Monitor::new("b01", 1);
    Voice::new(scene.broker.port(), "monitor").say(&monitor.topic(), monitor.frame());
    let mut found = None;
    until("the bed falls silent", || {
        found = scene.running.snapshot().alerts.first().cloned();
        found.is_some()
    });
    (scene, found.expect("an alert"))
}

impl Scene {
    fn send(&self, bed: &BedId, command: &Command) -> contract::Answer {
        let (name, secret) = daemon::read_own(&self.folder.path().join("own.key")).expect("a key");
        daemon::send(&self.settings, (&name, &secret), "RN", (bed, command), PATIENCE).expect("an answer")
    }

    fn bed_view(&self) -> wardbeat::snapshot::BedView {
        self.running.snapshot().beds.into_iter().find(|b| b.bed == bed("b01")).expect("known")
    }

    fn seen(&self) -> Option<String> {
        let alerts = self.running.snapshot().alerts;
        alerts.iter().find(|a| a.bed.is_some()).and_then(|a| a.seen.clone()).map(|s| s.0)
    }
}

#[test]
fn a_signed_acknowledgement_reaches_the_bed_the_ward_and_the_sender() {
    let (scene, alert) = scene();
    let listener = Listener::new(scene.broker.port(), "listener", "wardbeat/v1/site1/#");
    let stale = Command::Acknowledge { alert: alert.id.clone(), rev: Some(alert.rev + 1) };
    assert_eq!(scene.send(&bed("b01"), &stale).status, Status::Stale);
    let none = Command::Acknowledge { alert: AlertId("nothing".into()), rev: None };
    assert_eq!(scene.send(&bed("b01"), &none).status, Status::Unknown);
    assert_eq!(scene.send(&bed("b77"), &none).status, Status::Unknown);
    assert_eq!(scene.seen(), None);
    let command = Command::Acknowledge { alert: alert.id.clone(), rev: Some(alert.rev) };
    let answer = scene.send(&bed("b01"), &command);
    assert_eq!((answer.ok, answer.status, answer.rev), (true, Status::Applied, Some(alert.rev)));
    until("the screen shows who has seen it", || scene.seen().as_deref() == Some("RN"));
    until("the ward is told", || {
        listener
            .json("/b01/event")
            .iter()
            .any(|(_, e)| e["type"] == "alert.ack" && e["id"] == alert.id.0.as_str())
    });
    // The sender's answer carried what it asked to have copied.
    let reply = format!("wardbeat/v1/site1/_reply/{}", answer.id);
    let said = listener.last(&reply).expect("the reply").properties.expect("MQTT 5 properties");
    assert_eq!(said.correlation_data.as_deref(), Some(answer.id.as_bytes()));
    let _ = scene.running.stop();
    let standing = Audit::new(&scene.settings.audit_path()).verify().expect("holds");
    assert_eq!(standing.lines, 5, "a start and four commands");
}

#[test]
fn a_pause_is_shown_counts_down_and_can_be_ended() {
    let (scene, _) = scene();
    let port = scene.broker.port();
    let (voice, mut monitor) = (Voice::new(port, "again"), Monitor::new("b01", 1));
    monitor.frame();
    let pause = Command::Pause { minutes: 2, reason: "care".into() };
    assert_eq!(scene.send(&bed("b01"), &pause).status, Status::Applied);
    until("the screen shows the pause", || {
        voice.say(&monitor.topic(), monitor.frame());
        std::thread::sleep(Duration::from_millis(50));
        scene.bed_view().state == BedState::Paused
    });
    let view = scene.bed_view();
    assert_eq!(view.pause_reason, "care, RN");
    assert!(view.pause_left_ms.is_some_and(|left| left <= 120_000));
    let mark = Command::Mark { at: MarkAt::Now, letter: 's', note: "suction".into() };
    assert_eq!(scene.send(&bed("b01"), &mark).status, Status::Applied);
    // A person at this node's terminal goes by the door, without a signature.
    let commands = scene.running.commands();
    let answer = commands.act("RN2", &bed("b01"), Command::Resume).wait(PATIENCE).expect("an answer");
    assert_eq!(answer.status, Status::Applied);
    until("the pause is over", || scene.bed_view().state != BedState::Paused);
    until("the mark is there", || scene.bed_view().marks.iter().any(|m| m.note == "suction"));
}

#[test]
fn a_relearn_sets_the_usual_aside_and_can_be_taken_back_once() {
    let scene = opened(|settings| settings.analysis.learn_s = 10);
    let (voice, mut monitor) = (Voice::new(scene.broker.port(), "monitor"), Monitor::new("b01", 1));
    let (b01, mut sent) = (bed("b01"), 0);
    until("the bed is learnt", || {
        // No faster than the daemon reads: a full queue would lose the oldest.
        if scene.running.counters().windows + 20 > sent {
            voice.say(&monitor.topic(), monitor.frame());
            sent += 1;
        }
        scene.running.snapshot().beds.iter().any(|b| b.bed == b01 && b.thresholds.entropy.is_some())
    });
    let usual = scene.bed_view().learnt_s[0];
    assert!(usual >= 10);
    let relearn = Command::Relearn { reason: "new leads".into(), undo: false };
    assert_eq!(scene.send(&b01, &relearn).status, Status::Applied);
    until("it learns anew", || {
        let view = scene.bed_view();
        view.state == BedState::Learning && view.learnt_s[0] < usual && view.thresholds.entropy.is_none()
    });
    for _ in 0..5 {
        voice.say(&monitor.topic(), monitor.frame());
    }
    until("it has begun to", || (1..10).contains(&scene.bed_view().learnt_s[0]));
    let undo = Command::Relearn { reason: "a slip".into(), undo: true };
    assert_eq!(scene.send(&b01, &undo).status, Status::Applied);
    until("the first usual is back", || {
        let view = scene.bed_view();
        view.learnt_s[0] >= usual && view.thresholds.entropy.is_some()
    });
    assert_eq!(scene.send(&b01, &undo).status, Status::Unknown, "there is one earlier baseline, not two");
    let audited = std::fs::read_to_string(scene.settings.audit_path()).expect("reads");
    assert_eq!(audited.matches("\"relearn\"").count(), 3, "{audited}");
}

#[test]
fn a_test_alert_goes_to_the_destinations_marked_and_stands_for_nothing() {
    let (scene, _) = scene();
    let listener = Listener::new(scene.broker.port(), "listener", "wardbeat/v1/#");
    let node = scene.running.commands().node().clone();
    assert_eq!(scene.send(&bed("b01"), &Command::Test).status, Status::Invalid);
    assert_eq!(scene.send(&node, &Command::Test).status, Status::Applied);
    until("start and end", || listener.json("/_node/node-a/event").len() >= 2);
    for (_, event) in listener.json("/_node/node-a/event") {
        assert_eq!((&event["mode"], &event["code"]), (&"test".into(), &"WB-NODE".into()));
        assert!(event["text"].as_str().is_some_and(|t| t.contains("TEST")), "{event}");
    }
    assert!(listener.last("wardbeat/v1/site1/_node/node-a/alert/WB-NODE").is_none(), "nothing is retained");
}

#[test]
fn a_retained_command_is_ignored_and_written_down() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let voice = Voice::new(broker.port(), "careless");
    let args = Command::Resume.args(&bed("b01"));
    let body = serde_json::json!({"v": 1, "id": "r1", "bed": bed("b01"), "verb": "resume", "by": "x",
        "key": "console", "ctr": 1, "ts": 0, "ttl_s": 30, "args": args, "sig": "v1,"});
    let topic = contract::topic::of(&bed("b01"), "cmd/resume");
    voice.keep(&topic, body.to_string());
    let listener = Listener::new(broker.port(), "listener", "wardbeat/v1/#");
    until("the broker keeps it", || listener.last(&topic).is_some());
    let settings = settings(broker.port(), folder.path());
    let running = daemon::start(settings.clone(), Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE));
    let audit = || std::fs::read_to_string(settings.audit_path()).unwrap_or_default();
    until("it is in the audit log", || audit().contains("retained") && audit().contains("denied"));
}

fn wardbeat(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Process::new(env!("CARGO_BIN_EXE_wardbeat")).args(arguments).output().expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn config(scene: &Scene, folder: &Path) -> String {
    let path = folder.join("ward.toml");
    let journal = scene.settings.journal.path.display();
    let keys = scene.settings.commands.keys_file.as_ref().expect("set").display();
    let text = format!(
        "[broker]\nurl = \"mqtt://127.0.0.1:{}\"\n[[source]]\ntopic = \"wardbeat/v1/site1/#\"\ndecoder = \"json\"\n\
         [journal]\npath = \"{journal}\"\n[commands]\nkeys_file = \"{keys}\"\n",
        scene.broker.port()
    );
    std::fs::write(&path, text).expect("writes");
    path.display().to_string()
}

#[test]
fn the_command_line_makes_a_key_acknowledges_and_proves_it() {
    let (scene, alert) = scene();
    let config = config(&scene, scene.folder.path());
    let own = scene.folder.path().join("desk.key").display().to_string();
    let (code, said) = wardbeat(&[
        "keys", "new", "desk", "--config", &config, "--verbs", "ack", "--units", "icu", "--out", &own,
    ]);
    assert_eq!(code, Some(0), "{said}");
    let (_, listed) = wardbeat(&["keys", "list", "--config", &config]);
    assert!(listed.contains("desk  ack  icu") && !listed.contains("whsec_"), "{listed}");
    let ack = ["alerts", "ack", &alert.id.0[..8], "--config", &config, "--key", &own, "--by", "RN"];
    let (code, said) = wardbeat(&ack);
    assert_eq!(code, Some(0), "{said}");
    until("the screen shows who has seen it", || scene.seen().as_deref() == Some("RN"));
    assert_eq!(wardbeat(&["keys", "revoke", "desk", "--config", &config]).0, Some(0));
    let (code, said) = wardbeat(&ack);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Denied"), "{said}");
    let (code, said) = wardbeat(&["audit-log", "verify", "--config", &config]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("5 lines"), "{said}");
    let path = scene.settings.audit_path();
    let text = std::fs::read_to_string(&path).expect("reads");
    std::fs::write(&path, text.replacen("RN", "XX", 1)).expect("writes");
    let (code, said) = wardbeat(&["audit-log", "verify", "--config", &config]);
    assert_eq!(code, Some(1));
    assert!(said.contains("was edited"), "{said}");
}
