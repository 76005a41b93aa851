//! The screen on a real terminal, driven under tmux as a person would: every key by hand, resize, suspension, a broker
//! that dies, a panic; and the terminal is afterwards what it was before.
#![allow(clippy::unwrap_used)] // A test stops at a surprise.

use contract::{BedId, MonoMs};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardbeat::display::{self, Export, Feed, Options, Wish};
use wardbeat::snapshot::Snapshot;

const PATIENCE: Duration = Duration::from_mins(3);
const WARDBEAT: &str = env!("CARGO_BIN_EXE_wardbeat");

/// A terminal of its own, ended with the test.
struct Terminal {
    socket: String,
    folder: tempfile::TempDir,
}

impl Terminal {
    /// `None` where there is no tmux.
    fn open(name: &str, size: (u16, u16)) -> Option<Self> {
        let found = Command::new("tmux").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            println!("skipped: no tmux");
            return None;
        }
        let terminal = Self {
            socket: format!("wardbeat-{}-{name}", std::process::id()),
            folder: tempfile::tempdir().unwrap(),
        };
        let (wide, high) = (size.0.to_string(), size.1.to_string());
        let shell = "env LANG=C.UTF-8 LC_ALL=C.UTF-8 PS1='$ ' bash --norc --noprofile";
        let opened = terminal.tmux(&["new-session", "-d", "-s", "t", "-x", &wide, "-y", &high, shell]);
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket, "-f", "/dev/null", "-u"]).args(args).env("TERM", "xterm-256color");
        command.output().unwrap()
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-t", "t"]).stdout).into_owned()
    }

    fn key(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "t", key]);
        // No faster than a person: the guard against repeating keys is awake.
        std::thread::sleep(Duration::from_millis(450));
    }

    fn keys(&self, keys: &[&str]) {
        for key in keys {
            self.key(key);
        }
    }

    #[track_caller]
    fn until(&self, what: &str, met: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown();
            if met(&shown) {
                return shown;
            }
            assert!(Instant::now() < end, "waited in vain: {what}\n{shown}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Types a line at the shell.
    fn say(&self, line: &str) {
        self.tmux(&["send-keys", "-t", "t", "-l", line]);
        self.tmux(&["send-keys", "-t", "t", "Enter"]);
    }

    /// Notes the terminal's settings, then runs a command as a job of its own.
    fn run(&self, command: &str) {
        self.say(&format!("stty -g > {}", self.path("before")));
        self.say(command);
    }

    #[track_caller]
    fn is_as_before(&self) {
        self.say(&format!("stty -g > {}; echo ALL-'DONE'", self.path("after")));
        self.until("the shell is back", |s| s.contains("ALL-DONE"));
        let read = |name: &str| std::fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(read("before"), read("after"), "stty before and after");
        let cursor = self.tmux(&["display-message", "-p", "-t", "t", "#{cursor_flag} #{alternate_on}"]);
        assert_eq!(
            String::from_utf8_lossy(&cursor.stdout).trim(),
            "1 0",
            "cursor shown, no alternate screen"
        );
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_nurse_acknowledges_pauses_marks_takes_a_strip_and_leaves() {
    let Some(terminal) = Terminal::open("nurse", (120, 40)) else { return };
    let strips = terminal.path("strips");
    std::fs::create_dir(&strips).unwrap();
    terminal.run(&format!("{WARDBEAT} demo --beds 8 --operator RN --strips {strips} 2>/dev/null"));
    terminal.until("the ward", |s| s.contains("of 8") && s.contains("operator RN"));
    terminal.keys(&["Right", "Right", "Enter"]);
    terminal.until("a bed", |s| s.contains("mm/mV equiv"));
    terminal.keys(&["Escape", "l"]);
    terminal.until("the list", |s| s.contains("ALERT LIST"));
    terminal.key("w");
    terminal.until("a finding", |s| s.lines().any(|l| l.contains("of last") && l.contains('!')));
    terminal.keys(&["n", "Enter"]);
    let bed = terminal.until("what changed", |s| s.contains("WHAT CHANGED"));
    terminal.key("a");
    terminal.until("the echo of the acknowledgement", |s| s.contains("done: acknowledge"));
    terminal.keys(&["p", "1", "c"]);
    terminal.until("the pause", |s| s.contains("PAUSED") && s.contains("care"));
    terminal.key("r");
    terminal.until("the end of the pause", |s| s.contains("done: resume"));
    terminal.keys(&["m", "t"]);
    terminal.until("a mark that waits", |s| s.contains("Esc takes it back"));
    terminal.key("Escape");
    terminal.until("the mark is taken back", |s| !s.contains("Esc takes it back"));
    terminal.key("e");
    let written =
        terminal.until("the strip", |s| s.contains("strip written to") || s.contains("NOT WRITTEN"));
    assert!(written.contains("strip written to"), "{written}\n{bed}");
    let mut kinds: Vec<String> = std::fs::read_dir(&strips)
        .unwrap()
        .map(|f| f.unwrap().path().extension().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["csv", "json", "png", "svg"]);
    terminal.keys(&["d", "t"]);
    terminal.until("another theme", |s| s.contains("theme light"));
    terminal.key("w");
    terminal.tmux(&["resize-window", "-t", "t", "-x", "80", "-y", "24"]);
    terminal.until("the narrower ward", |s| {
        s.contains("BELL ALERTS") && s.lines().all(|l| l.chars().count() <= 80)
    });
    terminal.keys(&["q", "n"]);
    terminal.until("still there", |s| s.contains("of 8"));
    terminal.keys(&["q", "y"]);
    terminal.until("the last words", |s| s.contains("WARDBEAT SCREEN ENDED"));
    terminal.is_as_before();
}

/// A demo without a screen, killed with the test.
struct Demo(Child, String);

impl Demo {
    fn start() -> Self {
        let mut child = Command::new(WARDBEAT)
            .args(["demo", "--headless", "--beds", "4", "--seconds", "900"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines.find_map(|line| Some(line.ok()?.split_once("--broker ")?.1.trim().to_owned()));
        // Somebody must go on reading, or the demo would stand still.
        std::thread::spawn(move || lines.count());
        Self(child, url.expect("the demo says where its broker is"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_screen_elsewhere_is_suspended_comes_back_and_outlives_its_broker() {
    let Some(terminal) = Terminal::open("elsewhere", (100, 30)) else { return };
    let demo = Demo::start();
    terminal.run(&format!("{WARDBEAT} watch --broker {}", demo.1));
    terminal.until("the ward", |s| s.contains("of 4") && s.contains("DEMO"));
    terminal.key("C-z");
    terminal.until("the shell", |s| s.contains("Stopped"));
    let cooked = terminal.tmux(&["display-message", "-p", "-t", "t", "#{alternate_on}"]);
    assert_eq!(String::from_utf8_lossy(&cooked.stdout).trim(), "0");
    terminal.say("fg");
    terminal.until("the ward again", |s| s.contains("of 4") && !s.contains("SILENT"));
    drop(demo);
    terminal.until("the banner", |s| s.contains("WARDBEAT DAEMON SILENT"));
    terminal.until("everything looks dead", |s| s.matches("STOPPED").count() >= 4 && !s.contains("LIVE"));
    terminal.keys(&["q", "y"]);
    terminal.until("the last words", |s| s.contains("WARDBEAT SCREEN ENDED"));
    terminal.is_as_before();
}

#[test]
fn a_panic_gives_the_terminal_back() {
    let Some(terminal) = Terminal::open("panic", (80, 24)) else { return };
    let this = std::env::current_exe().unwrap();
    terminal.run(&format!("{} --ignored --exact panics_on_a_screen --nocapture", this.display()));
    terminal.until("the panic's words", |s| {
        s.contains("this panic is forced") && s.contains("WARDBEAT SCREEN ENDED, not watching")
    });
    terminal.is_as_before();
}

/// A ward whose screen panics after a while.
struct Forced(u64);

impl Feed for Forced {
    fn latest(&mut self) -> Option<Arc<Snapshot>> {
        self.0 += 100;
        assert!(self.0 < 2_000, "this panic is forced");
        Some(Arc::new(Snapshot::default()))
    }
    fn now(&self) -> MonoMs {
        MonoMs(self.0)
    }
    fn closing(&mut self) -> bool {
        self.0 += 5;
        false
    }
    fn ask(&mut self, _: u64, _: &BedId, _: Wish) {}
    fn ring(&mut self) {}
    fn refused(&mut self) -> Vec<(u64, String)> {
        Vec::new()
    }
    fn save(&mut self, _: &Export) -> Result<String, String> {
        Err(String::new())
    }
}

#[test]
#[ignore = "run by the test above, on a terminal of its own"]
fn panics_on_a_screen() {
    let ended = display::run(&Options::default(), &mut Forced(0));
    panic!("the screen ended by itself: {ended:?}, {}", Path::new(".").display());
}
