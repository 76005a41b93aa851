//! The broker goes and comes back: the daemon joins again, listens again, and no alert is lost.

mod ward;

use std::sync::Arc;
use ward::{Listener, Monitor, Mosquitto, PATIENCE, Voice, free_port, settings, until};
use wardbeat::daemon;
use wardbeat::model::Bundle;

#[test]
fn an_alert_decided_while_the_broker_is_away_arrives_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let Some(broker) = Mosquitto::start(port, folder.path()) else {
        println!("skipped: no mosquitto");
        return;
    };
    let running = daemon::start(settings(port, folder.path()), Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE));
    let mut monitor = Monitor::new("b01", 5);
    {
        let voice = Voice::new(port, "monitor");
        for _ in 0..3 {
            voice.say(&monitor.topic(), monitor.frame());
        }
        until("the first frames", || running.counters().frames_in == 3);
    }
    drop(broker);
    // Silence while the broker is away: the alert is decided, written and waits.
    until("the alert is decided", || running.counters().technical >= 1);
    until("the alert waits", || running.snapshot().node.undelivered >= 1);

    let _broker = Mosquitto::start(port, folder.path()).expect("again");
    let listener = Listener::new(port, "listener", "wardbeat/v1/#");
    let topic = "wardbeat/v1/site1/icu/b01/alert/WB-NODATA";
    until("the alert arrives", || listener.last(topic).is_some_and(|p| !p.payload.is_empty()));
    until("its transition arrives", || {
        listener
            .json("/b01/event")
            .iter()
            .any(|(_, a)| a["type"] == "alert.start" && a["code"] == "WB-NODATA")
    });
    until("nothing waits", || running.snapshot().node.undelivered == 0);
    let voice = Voice::new(port, "monitor");
    until("frames are heard again", || {
        voice.say(&monitor.topic(), monitor.frame());
        running.counters().frames_in > 3
    });
    assert!(running.snapshot().node.reconnects >= 1);
}

#[test]
fn an_open_alert_is_retained_again_by_a_broker_that_forgot_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let Some(broker) = Mosquitto::start(port, folder.path()) else {
        println!("skipped: no mosquitto");
        return;
    };
    let running = daemon::start(settings(port, folder.path()), Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE));
    let mut monitor = Monitor::new("b01", 6);
    Voice::new(port, "monitor").say(&monitor.topic(), monitor.frame());
    let topic = "wardbeat/v1/site1/icu/b01/alert/WB-NODATA";
    let first = Listener::new(port, "first", topic);
    until("the alert", || first.last(topic).is_some());
    until("nothing waits", || running.snapshot().node.undelivered == 0);
    drop((first, broker));
    let _broker = Mosquitto::start(port, folder.path()).expect("again");
    let second = Listener::new(port, "second", topic);
    until("the alert again", || second.last(topic).is_some_and(|p| !p.payload.is_empty()));
}

#[test]
fn an_alert_that_could_not_be_delivered_comes_with_the_same_id_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let Some(broker) = Mosquitto::start(port, folder.path()) else {
        println!("skipped: no mosquitto");
        return;
    };
    let bundle = Arc::new(Bundle::tiny(7));
    let first = daemon::start(settings(port, folder.path()), bundle.clone()).expect("starts");
    assert!(first.joined(PATIENCE));
    let mut monitor = Monitor::new("b01", 8);
    Voice::new(port, "monitor").say(&monitor.topic(), monitor.frame());
    until("the frame", || first.counters().frames_in == 1);
    drop(broker);
    until("the alert is decided", || {
        first.snapshot().alerts.iter().any(|a| a.code == contract::Code::NoData)
    });
    let id = first.snapshot().alerts.iter().find(|a| a.code == contract::Code::NoData).map(|a| a.id.clone());
    let _ = first.stop();

    let _broker = Mosquitto::start(port, folder.path()).expect("again");
    let listener = Listener::new(port, "listener", "wardbeat/v1/#");
    let second = daemon::start(settings(port, folder.path()), bundle).expect("starts");
    until("the alert arrives", || {
        let wanted = id.as_ref().map(|id| id.0.as_str());
        listener
            .json("/b01/event")
            .iter()
            .any(|(_, a)| a["id"].as_str() == wanted && a["type"] == "alert.start")
    });
    let _ = second.stop();
}
