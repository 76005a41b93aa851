//! A disk that is really full: beds are watched and shown, the node says so, and nothing on the disk is damaged.
//!
//! The disk is a small one in memory, in a mount namespace of the daemon's own; skipped where the system gives none.

mod ward;

#[path = "http/asking.rs"]
#[allow(dead_code)] // This test asks few things.
mod asking;

use asking::get;
use rusqlite::Connection;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use ward::process::{Daemon, config};
use ward::{Listener, Monitor, Voice, free_port, until};

/// Below 100 MB free the node says that the disk is almost full.
const DISK_MB: u64 = 140;
const ALMOST_FULL_MB: usize = 60;

/// Mounts a small disk at its first argument, where only the program that follows sees it.
const MOUNT: &str = "mount -t tmpfs -o size=\"$0\" none \"$1\" && shift && exec \"$@\"";

struct Scene {
    daemon: Daemon,
    disk: PathBuf,
    address: SocketAddr,
    voice: Voice,
    monitors: [Monitor; 2],
}

impl Scene {
    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&get(self.address, path).body).expect("JSON")
    }

    /// A second of both beds; the first one's lead may be off.
    fn feed(&mut self, lead_off: bool) {
        for (i, monitor) in self.monitors.iter_mut().enumerate() {
            let topic = monitor.topic();
            let frame = monitor.frame_with(|parts| {
                parts.flags.clock_unsynchronised = true;
                if lead_off && i == 0 {
                    parts.flags.lead_off = true;
                    parts.samples_mv.fill(0.0);
                }
            });
            self.voice.say(&topic, frame);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }

    fn windows(&self) -> u64 {
        let text = get(self.address, "/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix("wardbeat_windows_total "));
        line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    }

    fn codes(&self, path: &str) -> Vec<String> {
        let told = self.json(path);
        let alerts = told.pointer("/beds/0/alerts").or(told.get("alerts")).and_then(Value::as_array).cloned();
        let code = |a: &Value| a.get("alert").unwrap_or(a)["code"].as_str().unwrap_or_default().to_owned();
        alerts.unwrap_or_default().iter().map(code).collect()
    }

    /// Every message in the journal, in order.
    fn messages(&self) -> Vec<Value> {
        let told = self.json("/v1/alerts?limit=1000");
        told["alerts"].as_array().expect("a list").iter().map(|one| one["alert"].clone()).collect()
    }
}

/// Writes zeros until the file has so many bytes or the disk has no more room.
fn fill(file: &Path, bytes: usize) {
    let mut file = File::options().create(true).append(true).open(file).expect("a file");
    let mut left = bytes;
    for block in [1 << 20, 4 << 10, 1] {
        while left >= block {
            match file.write(&vec![0; block]) {
                Ok(written) if written > 0 => left -= written,
                _ => break,
            }
        }
    }
}

fn scene(folder: &Path, port: u16) -> Option<Scene> {
    let inside = folder.join("disk");
    std::fs::create_dir(&inside).expect("a folder");
    let can = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none"]).arg(&inside).output();
    if !can.is_ok_and(|output| output.status.success()) {
        println!("skipped: no mount namespace");
        return None;
    }
    let http = free_port();
    let more = format!(
        "[http]\nlisten = \"127.0.0.1:{http}\"\n[recorder]\nenabled = true\n[analysis]\nsignal_on_s = 1\nsignal_off_s = 1\n"
    );
    let text = config(&inside, &format!("mqtt://127.0.0.1:{port}"), "", &more);
    let (size, place) = (format!("{DISK_MB}m"), inside.display().to_string());
    let wrap = ["unshare", "-rm", "sh", "-c", MOUNT, &size, &place];
    let daemon = Daemon::start_in(folder, &text, &wrap);
    let disk = PathBuf::from(format!("/proc/{}/root{place}", daemon.id()));
    let address = SocketAddr::from(([127, 0, 0, 1], http));
    until("the door opens", || std::net::TcpStream::connect(address).is_ok());
    let monitors = [Monitor::new("b01", 1), Monitor::new("b02", 2)];
    Some(Scene { daemon, disk, address, voice: Voice::new(port, "monitors"), monitors })
}

#[test]
fn on_a_full_disk_beds_are_watched_the_node_says_so_and_nothing_is_damaged() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut scene) = scene(folder.path(), broker.port()) else { return };
    let listener = Listener::new(broker.port(), "listener", "wardbeat/v1/#");
    let about_node = |words: &str| {
        let said =
            |(_, told): &(String, Value)| told["text"].as_str().is_some_and(|text| text.contains(words));
        listener.json("/event").iter().any(said)
    };
    until("both beds", || {
        scene.feed(false);
        scene.json("/v1/beds")["beds"].as_array().is_some_and(|beds| beds.len() == 2)
    });

    // Almost full: said while there is room for the alert that says it.
    fill(&scene.disk.join("filler"), ALMOST_FULL_MB << 20);
    until("the alert before the disk is full", || {
        scene.feed(false);
        about_node("almost full")
    });
    let before = scene.messages();

    // Full: a lead comes off, the lead is back, and so on, until the journal has no room left.
    fill(&scene.disk.join("filler"), usize::MAX);
    let mut second = 0;
    until("the journal's trouble", || {
        scene.feed(second % 8 < 4);
        second += 1;
        let status = listener.json("/status").pop();
        status.is_some_and(|(_, told)| told["troubles"].to_string().contains("journal cannot be written"))
    });
    let (windows, written) = (scene.windows(), scene.messages());
    until("the beds are watched on, the lead's alert is on the screen", || {
        scene.feed(true);
        scene.windows() > windows + 10 && scene.codes("/v1/beds").contains(&"WB-SIG".to_owned())
    });
    assert_eq!(get(scene.address, "/readyz").status, 503);
    assert_eq!(scene.messages(), written, "written where there is no room?");
    assert!(written.starts_with(&before), "what was written is lost");

    // Room again: what waited is written and told.
    std::fs::remove_file(scene.disk.join("filler")).expect("removed");
    until("what waited is on disk", || {
        scene.feed(true);
        scene.messages().len() > written.len()
            && scene.codes("/v1/alerts?open=true").contains(&"WB-SIG".into())
    });
    until("and told", || listener.json("/b01/event").iter().any(|(_, told)| told["code"] == "WB-SIG"));
    assert!(scene.messages().starts_with(&written), "what was written is lost");

    left_whole(scene, folder.path());
}

/// The disk goes with the daemon: what is on it is judged beside it, as a crash would leave it.
fn left_whole(mut scene: Scene, folder: &Path) {
    let kept = folder.join("kept");
    scene.daemon.signal("STOP");
    let copied = Command::new("cp").arg("-r").arg(&scene.disk).arg(&kept).status();
    scene.daemon.signal("CONT");
    assert!(copied.expect("cp").success());
    let db = Connection::open(kept.join("journal.sqlite")).expect("opens");
    let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("reads");
    assert_eq!(whole, "ok");
    scene.daemon.signal("TERM");
    assert_eq!(scene.daemon.ended().code(), Some(0));
    let text = config(&kept, "mqtt://127.0.0.1:1", "", "[recorder]\nenabled = true\n");
    let file = folder.join("kept.toml");
    std::fs::write(&file, text).expect("writes");
    for command in [&["audit-log", "verify"][..], &["recordings", "list"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_wardbeat")).args(command).arg("--config").arg(&file).output();
        let output = output.expect("runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!told.is_empty(), "{command:?} says nothing");
    }
}
