//! The real binary: ends in order when asked, and loses no alert when it is killed.

mod ward;

use rusqlite::Connection;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use ward::{Listener, Monitor, Mosquitto, Voice, free_port, until};

struct Daemon(Child);

impl Daemon {
    fn start(port: u16, folder: &Path) -> Self {
        let journal = folder.join("journal.sqlite");
        let config = folder.join("ward.toml");
        let text = format!(
            "threads = 1\n[broker]\nurl = \"mqtt://127.0.0.1:{port}\"\n\
             [[source]]\ntopic = \"wardbeat/v1/site1/#\"\ndecoder = \"json\"\n\
             [journal]\npath = \"{}\"\n",
            journal.display()
        );
        std::fs::write(&config, text).expect("writes");
        let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_wardbeat"))
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("starts");
        Self(child)
    }

    fn signal(&self, name: &str) {
        let told = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.0.id())]).status();
        assert!(told.expect("a shell").success());
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the process ends", || {
            status = self.0.try_wait().expect("ours");
            status.is_some()
        });
        status.expect("ended")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn online(listener: &Listener, state: &str) -> bool {
    listener.json("/status").last().is_some_and(|(_, told)| told["state"] == state)
}

/// Ids of the silence alerts in the journal that were written and not yet delivered.
fn undelivered(folder: &Path) -> Vec<String> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let db = Connection::open(folder.join("journal.sqlite"))?;
        let mut rows = db.prepare(
            "SELECT id FROM alert WHERE code = 'WB-NODATA' AND phase = 'alert.start' AND seq > \
             (SELECT seq FROM cursor WHERE sink = 'mqtt')",
        )?;
        rows.query_map([], |row| row.get(0))?.collect()
    };
    read().unwrap_or_default()
}

#[test]
fn asked_to_stop_it_drains_says_farewell_and_ends_with_zero() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let listener = Listener::new(broker.port(), "listener", "wardbeat/v1/#");
    for signal in ["TERM", "INT"] {
        let mut daemon = Daemon::start(broker.port(), folder.path());
        until("it is online", || online(&listener, "online"));
        daemon.signal(signal);
        assert_eq!(daemon.ended().code(), Some(0), "{signal}");
        until("its farewell", || online(&listener, "stopped"));
    }
}

#[test]
fn killed_it_is_called_offline_by_its_last_will() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let Some(_broker) = Mosquitto::start(port, folder.path()) else {
        println!("skipped: no mosquitto");
        return;
    };
    let listener = Listener::new(port, "listener", "wardbeat/v1/#");
    let daemon = Daemon::start(port, folder.path());
    until("it is online", || online(&listener, "online"));
    daemon.signal("KILL");
    until("its last will", || online(&listener, "offline"));
}

#[test]
fn killed_between_decision_and_delivery_the_alert_comes_after_the_restart_with_the_same_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let Some(broker) = Mosquitto::start(port, folder.path()) else {
        println!("skipped: no mosquitto");
        return;
    };
    let mut daemon = Daemon::start(port, folder.path());
    {
        let listener = Listener::new(port, "first", "wardbeat/v1/#");
        until("it is online", || online(&listener, "online"));
        let mut monitor = Monitor::new("b01", 9);
        Voice::new(port, "monitor").say(&monitor.topic(), monitor.frame());
        until("the frame went through", || listener.last(&monitor.topic()).is_some());
        // The state of its first hop says that the frame was heard.
        until("the frame is heard", || !listener.json("/b01/state").is_empty());
    }
    drop(broker);
    until("the alert is decided", || !undelivered(folder.path()).is_empty());
    daemon.signal("KILL");
    daemon.ended();
    let id = undelivered(folder.path()).remove(0);

    let _broker = Mosquitto::start(port, folder.path()).expect("again");
    let listener = Listener::new(port, "second", "wardbeat/v1/#");
    let _daemon = Daemon::start(port, folder.path());
    until("the alert arrives", || {
        let told = listener.json("/b01/event");
        told.iter().any(|(_, a)| a["id"] == id.as_str() && a["type"] == "alert.start" && a["rev"] == 0)
    });
    until("nothing waits", || undelivered(folder.path()).is_empty());
}
