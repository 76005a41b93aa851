//! `wardbeat doctor` as an integrator meets it: which link is dumb, and what to do.

mod ward;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ward::process::config;
use ward::{Monitor, Voice, free_port, now_ms};

/// What the doctor says of a site, and whether all works.
fn examined(folder: &Path, port: u16, more: &str) -> (String, Option<i32>) {
    let file = folder.join("ward.toml");
    std::fs::write(&file, config(folder, &format!("mqtt://127.0.0.1:{port}"), "", more)).expect("writes");
    let output = Command::new(env!("CARGO_BIN_EXE_wardbeat"))
        .args(["doctor", "--seconds", "2", "--config"])
        .arg(&file)
        .output()
        .expect("runs");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

/// Says something ten times a second until it is dropped.
struct Speaker(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Speaker {
    fn new(port: u16, mut say: impl FnMut(&Voice) + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let thread = std::thread::spawn(move || {
            let voice = Voice::new(port, "gateway");
            while !told.load(Ordering::Acquire) {
                say(&voice);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

fn says(told: &str, begins: &str, word: &str) {
    let found = told.lines().any(|line| line.starts_with(begins) && line.contains(word));
    assert!(found, "no line {begins:?} with {word:?}:\n{told}");
}

#[test]
fn each_dumb_link_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (told, code) = examined(folder.path(), free_port(), "");
    says(&told, "! broker", "firewall");
    assert_eq!(code, Some(1), "{told}");

    let broker = broker::Broker::start().expect("a broker");
    let sink = format!(
        "[[sink]]\nname = \"desk\"\nkind = \"mllp\"\n[sink.options]\naddress = \"127.0.0.1:{}\"\nunmapped = \"derive\"\n",
        free_port()
    );
    let numbers = Speaker::new(broker.port(), |voice| {
        let number =
            format!("{{\"v\":1,\"bed\":\"site1/icu/b01\",\"t0\":{},\"heart_rate_per_min\":72}}", now_ms());
        voice.say("wardbeat/v1/site1/icu/b01/numeric", number);
        voice.say("wardbeat/v1/site1/icu/b02/wave/json", "{\"v\":1}");
    });
    let (told, code) = examined(folder.path(), broker.port(), &sink);
    drop(numbers);
    says(&told, ". broker", "joined");
    says(&told, "? source wardbeat/v1/site1/#", " 0 frames");
    says(&told, "? source wardbeat/v1/site1/+/+/wave/bin", "sniff");
    says(&told, "! source wardbeat/v1/site1/#", "b02/wave/json is refused");
    says(&told, "! sink desk", "refused");
    assert_eq!(code, Some(1), "{told}");

    let mut monitor = Monitor::new("b01", 1);
    let waves = Speaker::new(broker.port(), move |voice| voice.say(&monitor.topic(), monitor.frame()));
    let (told, code) = examined(folder.path(), broker.port(), "");
    drop(waves);
    says(&told, ". bed site1/icu/b01", "II at 250 Hz");
    assert_eq!(code, Some(0), "{told}");
}
