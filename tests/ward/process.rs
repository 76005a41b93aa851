//! The real program as a child process: started from a config file, told by signals, read by its log.

use super::until;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A config for a broker at `url` that listens to everything of the site; `broker` adds keys to `[broker]`, `more`
/// whole sections.
pub fn config(folder: &Path, url: &str, broker: &str, more: &str) -> String {
    format!(
        "threads = 1\n[broker]\nurl = \"{url}\"\n{broker}\n\
         [[source]]\ntopic = \"wardbeat/v1/site1/+/+/wave/bin\"\ndecoder = \"packed\"\n\
         [[source]]\ntopic = \"wardbeat/v1/site1/#\"\ndecoder = \"json\"\n\
         [journal]\npath = \"{}\"\n{more}\n",
        folder.join("journal.sqlite").display()
    )
}

/// `wardbeat run` with log and counters in a folder; killed where a test gives up on it.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; a second start in the same folder goes on with the same journal and log.
    pub fn start(folder: &Path, config: &str) -> Self {
        Self::start_in(folder, config, &[])
    }

    /// As `start`, by a program that becomes it: its words come first.
    pub fn start_in(folder: &Path, config: &str, wrap: &[&str]) -> Self {
        let file = folder.join("ward.toml");
        std::fs::write(&file, config).expect("writes");
        let log = folder.join("log");
        let mut words = wrap.to_vec();
        words.extend([env!("CARGO_BIN_EXE_wardbeat"), "run", "--config"]);
        let child = Command::new(words[0])
            .args(&words[1..])
            .arg(&file)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("counters")).expect("a file"))
            .stderr(File::options().create(true).append(true).open(&log).expect("a log"))
            .spawn()
            .expect("starts");
        Self { child, log }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its short name (`TERM`).
    pub fn signal(&self, name: &str) {
        send(self.child.id(), name);
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the process ends", || {
            status = self.child.try_wait().expect("ours");
            status.is_some()
        });
        status.expect("ended")
    }

    /// What it counted, as it says when it ended.
    pub fn counters(&self) -> serde_json::Value {
        let said = std::fs::read_to_string(self.log.with_file_name("counters")).unwrap_or_default();
        serde_json::from_str(&said).unwrap_or_default()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Resident memory in bytes, as the system counts it.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1_024
    }
}

/// Sends a signal to a process.
pub fn send(id: u32, name: &str) {
    let told = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status();
    assert!(told.expect("a shell").success());
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
