//! The HTTP door of a running daemon: what it says, whom it refuses, and that it resumes.

mod ward;

#[path = "http/asking.rs"]
mod asking;

#[path = "http/tls.rs"]
mod tls;

use asking::{Answer, Events, ask, ask_bytes, get, post};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use ward::{Monitor, PATIENCE, Voice, settings, until};
use wardbeat::config::Settings;
use wardbeat::daemon::{self, Running};
use wardbeat::model::Bundle;

struct Scene {
    // Ends first: the daemon leaves while the broker still stands.
    running: Option<Running>,
    address: SocketAddr,
    broker: broker::Broker,
    _folder: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.running = None;
    }
}

fn scene(change: impl FnOnce(&mut Settings, &std::path::Path)) -> Scene {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(broker.port(), folder.path());
    settings.recorder.enabled = true;
    change(&mut settings, folder.path());
    let running = daemon::start(settings, Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    until("the door opens", || running.http().is_some());
    let address = running.http().expect("open");
    Scene { running: Some(running), address, broker, _folder: folder }
}

impl Scene {
    fn running(&self) -> &Running {
        self.running.as_ref().expect("runs")
    }

    fn get(&self, path: &str) -> Answer {
        get(self.address, path)
    }

    fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", answer.body))
    }
}

/// Every key that the schema requires is there, and no key is there that it does not know.
fn fits(document: &Value, schema: &Value, found: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => &document["components"]["schemas"][name.trim_start_matches("#/components/schemas/")],
        None => schema,
    };
    if let Some(items) = found.as_array() {
        return items.iter().for_each(|item| fits(document, &schema["items"], item, place));
    }
    let Some(found) = found.as_object() else { return };
    for key in schema["required"].as_array().into_iter().flatten() {
        assert!(found.contains_key(key.as_str().unwrap_or_default()), "{place} lacks {key}");
    }
    let Some(known) = schema["properties"].as_object() else { return };
    for (key, value) in found {
        assert!(known.contains_key(key), "{place}.{key} is not in the schema");
        fits(document, &known[key], value, &format!("{place}.{key}"));
    }
}

#[test]
fn unasked_a_node_opens_no_port_and_keeps_no_signal() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(broker.port(), folder.path());
    settings.http = Settings::default().http;
    let running = daemon::start(settings, Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    let (voice, mut monitor) = (Voice::new(broker.port(), "monitor"), Monitor::new("b01", 1));
    for _ in 0..5 {
        voice.say(&monitor.topic(), monitor.frame());
    }
    until("windows", || running.counters().windows >= 4);
    assert_eq!(running.http(), None);
    drop(running);
    let kept = std::fs::read_dir(folder.path()).expect("readable").flatten().map(|entry| entry.file_name());
    let strange: Vec<_> = kept.filter(|name| name.to_string_lossy().contains("recorder")).collect();
    assert!(strange.is_empty(), "a patient's signal on disk: {strange:?}");
}

#[test]
fn a_ward_is_told_as_the_document_says() {
    let scene = scene(|_, _| {});
    assert_eq!(scene.get("/healthz").body, "alive\n");
    until("it is ready", || scene.get("/readyz").status == 200);
    let voice = Voice::new(scene.broker.port(), "monitor");
    let mut monitor = Monitor::new("b01", 1);
    for _ in 0..12 {
        voice.say(&monitor.topic(), monitor.frame());
    }
    until("windows", || scene.running().counters().windows >= 11);
    until("the bed", || scene.json("/v1/beds")["beds"].as_array().is_some_and(|beds| beds.len() == 1));
    // Then the monitor is silent: an alert in the journal, open in the list.
    until("the alert", || {
        let open = scene.json("/v1/alerts?open=true&bed=site1/icu/b01");
        open["alerts"].as_array().is_some_and(|a| a.iter().any(|a| a["alert"]["code"] == "WB-NODATA"))
    });
    until("the alert on the bed", || {
        !scene.json("/v1/beds")["beds"][0]["alerts"].as_array().is_none_or(Vec::is_empty)
    });
    let alerts = scene.json("/v1/alerts");
    let message =
        alerts["alerts"].as_array().and_then(|a| a.iter().find(|a| a["alert"]["code"] == "WB-NODATA"));
    let id = message.expect("listed")["alert"]["id"].as_str().expect("an id").to_owned();
    until("the broker's answer is known", || {
        let story = scene.json(&format!("/v1/alerts/{id}"));
        story["outcomes"][0]["outcome"] == "delivered" && story["outcomes"][0]["sink"] == "mqtt"
    });

    let document = scene.json("/v1/schema");
    let bed = "/v1/beds/site1/icu/b01".to_owned();
    let paths = document["paths"].as_object().expect("paths");
    until("the recorder has written", || {
        scene.get("/v1/beds/site1/icu/b01/strip?from_n=300&to_n=2000").status == 200
    });
    // Events never end, and an alert that depends on arrival has no evidence: both have tests of their own.
    let known = |path: &&String| !["/events", "/evidence", "/commands"].iter().any(|end| path.ends_with(end));
    for (path, methods) in paths.iter().filter(|(path, _)| known(path)) {
        let span = if path.ends_with("}/windows") || path.ends_with("/strip") {
            "?from_n=300&to_n=2000"
        } else {
            ""
        };
        let asked = path.replace("{site}/{unit}/{bed}", &bed[9..]).replace("{id}", &id) + span;
        let answer = scene.get(&asked);
        assert_eq!(answer.status, 200, "{asked}: {}", answer.body);
        let content = methods["get"]["responses"]["200"]["content"].as_object().expect("content");
        let (kind, content) = content.iter().next().expect("one");
        let told = answer.header("content-type");
        assert!(told.starts_with(kind.as_str()), "{asked} is {told}, not {kind}");
        if kind == "application/json" {
            let found: Value = serde_json::from_str(&answer.body).expect("JSON");
            fits(&document, &content["schema"], &found, path);
        }
    }
}

#[test]
fn metrics_count_what_happened() {
    let scene = scene(|_, _| {});
    let voice = Voice::new(scene.broker.port(), "monitor");
    let mut monitor = Monitor::new("b01", 1);
    for _ in 0..5 {
        voice.say(&monitor.topic(), monitor.frame());
    }
    voice.say(&monitor.topic(), "nothing");
    until("frames and the refusal", || {
        let text = scene.get("/metrics").body;
        text.contains("\nwardbeat_frames_total 5\n")
            && text.contains("\nwardbeat_payloads_refused_total{by=\"decoder\"} 1\n")
    });
    until("windows", || scene.running().counters().windows == 5);
    until("the bed", || scene.get("/metrics").body.contains("wardbeat_beds{state="));
    let text = scene.get("/metrics").body;
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends with its mark");
    for line in [
        "wardbeat_windows_total 5",
        "wardbeat_stage_seconds_count{stage=\"decode\"} 5",
        "wardbeat_stage_seconds_bucket{le=\"+Inf\",stage=\"arrival-to-finding\"} 5",
        "wardbeat_sink_up{sink=\"mqtt\"} 1",
        "wardbeat_broker_up{link=\"in\"} 1",
        "wardbeat_queue_length{queue=\"source-0\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        assert!(name.starts_with("wardbeat_") && value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn what_cannot_be_answered_is_refused_in_words() {
    let scene = scene(|_, _| {});
    let check = |method: &str, path: &str, status: u16, word: &str| {
        let answer = ask(scene.address, method, path, &[]);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.header("content-type").starts_with("application/problem+json"), "{path}");
        let problem: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(word)), "{path}: {problem}");
    };
    check("GET", "/v1/nothing", 404, "/v1/schema");
    check("POST", "/v1/beds", 405, "POST");
    check("DELETE", "/v1/alerts", 405, "DELETE");
    check("GET", "/v1/beds/site1/icu/never", 404, "site1/icu/never");
    check("GET", "/v1/beds/site1/icu/b%20d", 400, "characters");
    check("GET", "/v1/alerts?since=now", 400, "since");
    check("GET", "/v1/alerts?limit=0", 400, "1 to 1000");
    check("GET", "/v1/alerts?limit=1001", 400, "1 to 1000");
    check("GET", "/v1/alerts?form=x", 400, "form");
    check("GET", "/v1/alerts/0123", 404, "0123");
    check("GET", "/v1/alerts/0123/evidence", 404, "0123");
    check("GET", "/v1/beds/site1/icu/never/strip?from_n=0&to_n=9", 404, "nothing is recorded");
    check("GET", "/v1/beds/site1/icu/never/strip?from_n=9&to_n=9", 400, "above from_n");
    check("GET", "/v1/beds/site1/icu/never/windows?from_n=0&to_n=9&epoch=xyz", 400, "hex");
    check("GET", "/v1/beds/site1/icu/never/windows?from_n=0", 400, "to_n");
    check("GET", "/v1/beds/%ff/a/b", 400, "");
    let foreign = ask(scene.address, "GET", "/v1/beds", &[("Host", "ward.example.org")]);
    assert_eq!(foreign.status, 403, "another name for this machine is not this machine");
    let odd = Events::open(scene.address, "/v1/events", &[("Last-Event-ID", "yesterday")]);
    assert_eq!(odd.status, 400);
}

#[test]
fn a_listener_who_comes_back_misses_nothing() {
    let scene = scene(|_, _| {});
    let port = scene.broker.port();
    let mut from_now = Events::open(scene.address, "/v1/events", &[]);
    let voice = Voice::new(port, "monitor");
    let mut monitors = [Monitor::new("b01", 1), Monitor::new("b02", 2)];
    for monitor in &mut monitors {
        voice.say(&monitor.topic(), monitor.frame());
    }
    // Both are silent from now on: two alerts.
    let first = from_now.next();
    assert_eq!((from_now.status, first.kind.as_str()), (200, "alert.start"));
    drop(from_now);
    let mut again = Events::open(scene.address, "/v1/events", &[("Last-Event-ID", &first.id)]);
    let second = again.next();
    assert!(second.id.parse::<i64>().expect("a number") > first.id.parse::<i64>().expect("a number"));
    let mut all = Events::open(scene.address, "/v1/events?since=0", &[]);
    let told = [all.next(), all.next()];
    assert_eq!([&told[0].id, &told[1].id], [&first.id, &second.id]);
    let listed = scene.get("/v1/alerts?limit=1").body;
    assert!(listed.contains(&first.data), "the same bytes on every channel");
}

#[test]
fn a_strip_is_the_signal_that_was_sent_as_json_and_as_wfdb() {
    let scene = scene(|_, _| {});
    let voice = Voice::new(scene.broker.port(), "monitor");
    let mut monitor = Monitor::new("b01", 1);
    let mut sent = Vec::new();
    for _ in 0..6 {
        let frame = monitor.frame();
        let parsed: Value = serde_json::from_slice(&frame).expect("JSON");
        sent.extend(parsed["leads"]["II"].as_array().expect("samples").iter().filter_map(Value::as_f64));
        voice.say(&monitor.topic(), frame);
    }
    let path = "/v1/beds/site1/icu/b01/strip?from_n=500&to_n=1000";
    until("the strip", || {
        scene.get(path).status == 200
            && scene.json(path)["stretches"][0]["leads"]["II"].as_array().is_some_and(|s| s.len() == 500)
    });
    let strip = scene.json(path);
    let stretch = &strip["stretches"][0];
    assert_eq!(
        (&stretch["from_n"], &stretch["rate_hz"], &stretch["unit"]),
        (&500.into(), &250.into(), &"mV".into())
    );
    let told: Vec<f64> =
        stretch["leads"]["II"].as_array().expect("samples").iter().filter_map(Value::as_f64).collect();
    let same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
    assert!(told.iter().zip(&sent[500..1000]).all(same), "the strip is not what was sent");
    let tar = ask_bytes(scene.address, &format!("{path}&format=wfdb"));
    let text = String::from_utf8_lossy(&tar);
    assert!(
        text.contains("strip-000.hea") && text.contains("strip-000 1 250 500"),
        "no header in the archive"
    );
}

#[test]
fn a_command_that_is_not_signed_changes_nothing_and_says_why() {
    let scene = scene(|_, _| {});
    let ask = |kind: &str, body: &str| post(scene.address, "/v1/commands", kind, body);
    assert_eq!(ask("text/plain", "{}").status, 415);
    assert_eq!(ask("application/json", &" ".repeat(5_000)).status, 413);
    let check = |body: &str, status: u16, word: &str| {
        let answer = ask("application/json", body);
        let told: Value = serde_json::from_str(&answer.body).expect("an answer");
        assert_eq!(
            (answer.status, &told["ok"], &told["status"]),
            (status, &false.into(), &word.into()),
            "{told}"
        );
    };
    check("nothing", 400, "invalid");
    let unsigned = r#"{"v":1,"id":"x1","bed":"site1/icu/b01","verb":"pause","by":"RN","key":"nobody","ctr":1,"ts":0,"ttl_s":30,"args":"{}","sig":"v1,AAAA"}"#;
    check(unsigned, 403, "denied");
}

#[test]
fn without_the_token_only_the_pulse_is_told() {
    let scene = scene(|settings, folder| {
        let file = folder.join("token");
        std::fs::write(&file, "a-token-of-some-length\n").expect("writes");
        settings.http.token_file = Some(file);
    });
    assert_eq!(scene.get("/healthz").status, 200);
    let refused = scene.get("/v1/beds");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
    let with = |token: &str| {
        let bearer = format!("Bearer {token}");
        ask(scene.address, "GET", "/v1/beds", &[("Authorization", &bearer)]).status
    };
    assert_eq!((with("a-token-of-some-length"), with("a-token-of-some-lengtH"), with("")), (200, 401, 401));
}
