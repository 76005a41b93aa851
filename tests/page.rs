//! The read-only page for corridor screens, in a real browser: it says what the node says, and looks dead when the
//! node is.

mod ward;

#[path = "http/asking.rs"]
#[allow(dead_code)] // The other HTTP test uses the rest.
mod asking;

use asking::{ask, get};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ward::{Monitor, PATIENCE, Voice, settings, until};
use wardbeat::daemon::{self, Running};
use wardbeat::model::Bundle;

struct Scene {
    running: Option<Running>,
    broker: broker::Broker,
    _folder: tempfile::TempDir,
}

fn scene(page: bool) -> Scene {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(broker.port(), folder.path());
    settings.http.listen = "127.0.0.1:0".into();
    settings.http.page = page;
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-of-some-length\n").expect("writes");
    settings.http.token_file = Some(token);
    let running = daemon::start(settings, Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    until("the door opens", || running.http().is_some());
    Scene { running: Some(running), broker, _folder: folder }
}

impl Scene {
    fn address(&self) -> std::net::SocketAddr {
        self.running.as_ref().and_then(Running::http).expect("open")
    }
}

#[test]
fn the_page_is_off_by_default_and_its_data_want_the_token() {
    let off = scene(false);
    assert_ne!(get(off.address(), "/ward").status, 200);
    let on = scene(true);
    let page = get(on.address(), "/ward");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Not an alarm system") && page.body.len() < 50_000);
    assert_eq!(get(on.address(), "/v1/ward").status, 401);
    for method in ["POST", "PUT", "DELETE"] {
        assert_ne!(ask(on.address(), method, "/v1/ward", &[]).status, 200, "{method}");
    }
}

/// A Chromium without a window; what its tabs are called can be asked over HTTP.
struct Browser {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Browser {
    fn open(url: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(|name| {
            Command::new(name)
                .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
                .args(["--disable-background-networking", "--disable-component-update"])
                .arg("--remote-debugging-port=0")
                .arg(format!("--user-data-dir={}", folder.path().display()))
                .arg(url)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .ok()
        });
        let Some(mut child) = found else {
            println!("skipped: no chromium");
            return None;
        };
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            line.split_once("ws://127.0.0.1:")?.1.split('/').next()?.parse().ok()
        });
        // Somebody must go on reading, or the browser would stand still.
        std::thread::spawn(move || lines.count());
        Some(Self { child, port: port.expect("the browser says where it listens"), _folder: folder })
    }

    fn title(&self) -> String {
        let listed = get(([127, 0, 0, 1], self.port).into(), "/json/list").body;
        let tabs: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        let titles = tabs.as_array().into_iter().flatten().filter_map(|tab| tab["title"].as_str());
        titles.filter(|title| title.contains("Wardbeat")).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_browser_shows_the_ward_and_says_when_nothing_is_heard() {
    let mut scene = scene(true);
    let url = format!("http://{}/ward#token=a-token-of-some-length", scene.address());
    let Some(browser) = Browser::open(&url) else { return };
    let voice = Voice::new(scene.broker.port(), "monitor");
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let monitor = std::thread::spawn(move || {
        let mut monitor = Monitor::new("b01", 1);
        while !told.load(Ordering::Acquire) {
            voice.say(&monitor.topic(), monitor.frame());
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    until("the ward in the browser", || browser.title().contains("of 1"));
    drop(scene.running.take());
    until("the page knows that it is blind", || browser.title().starts_with("NOT WATCHING"));
    stop.store(true, Ordering::Release);
    monitor.join().expect("the monitor ends");
}
