//! The scene: a real broker, the real binary, receivers that misbehave by seed, and a ward that makes alerts.

use crate::ward::{Mosquitto, Voice, free_port};
use contract::{BedId, Flags, Frame, FrameParts, LeadId, Mode, Ratio, UtcMs, topic};
use nurse_call::{Behaviour, Ledger, Receiver, Schedule, mllp, webhook};
use patient::{Change, Cue, Lead, Patient, Profile, Rhythm};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const KEY: &str = "whsec_d2FyZGJlYXQtZXhhbXBsZS1rZXktMDEyMzQ1Njc4OWFi";
/// One round of a bed: the usual, a change, the usual, a lead off, the usual; in seconds of its signal.
const ROUND_S: u64 = 52;
const CHANGE_S: std::ops::Range<u64> = 26..34;
const OFF_S: std::ops::Range<u64> = 44..47;
/// Bytes that any file may have while the disk refuses.
const DISK_BYTES: u64 = 128 << 10;

/// How large the scene is.
#[derive(Clone, Copy)]
pub struct Size {
    pub beds: usize,
    pub alerts: usize,
    pub kills: usize,
}

impl Size {
    pub fn long() -> bool {
        std::env::var("WARDBEAT_LONG").is_ok()
    }

    pub fn wanted() -> Self {
        if Self::long() {
            Self { beds: 200, alerts: 2_000, kills: 10 }
        } else {
            Self { beds: 12, alerts: 60, kills: 3 }
        }
    }
}

/// What happens to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Kill,
    Broker,
    Disk,
}

/// What happens, and at how many alerts.
pub struct Chaos {
    plan: VecDeque<(usize, Event)>,
    pub kills: usize,
    pub brokers: usize,
    pub disks: usize,
}

impl Chaos {
    pub fn of(size: Size) -> Self {
        let mut events = vec![Event::Disk];
        for i in 0..size.kills {
            events.extend([Event::Kill, Event::Broker].iter().take(1 + i % 2));
        }
        events.rotate_left(2);
        let each = size.alerts / (events.len() + 1);
        let plan = events.into_iter().enumerate().map(|(i, e)| ((i + 1) * each, e)).collect();
        Self { plan, kills: 0, brokers: 0, disks: 0 }
    }

    pub fn due(&mut self, alerts: usize) -> Option<Event> {
        let (_, event) = self.plan.pop_front_if(|next| next.0 <= alerts)?;
        *match event {
            Event::Kill => &mut self.kills,
            Event::Broker => &mut self.brokers,
            Event::Disk => &mut self.disks,
        } += 1;
        Some(event)
    }

    pub fn left(&self) -> usize {
        self.plan.len()
    }
}

/// A row of the journal.
#[derive(Debug)]
pub struct Row {
    pub id: String,
    pub rev: u32,
    pub kind: String,
    pub code: String,
}

struct Bed {
    id: BedId,
    patient: Patient,
    epoch: u32,
}

pub struct Scene {
    folder: tempfile::TempDir,
    port: u16,
    broker: Option<Mosquitto>,
    daemon: Option<Child>,
    voice: Option<Voice>,
    beds: Vec<Bed>,
    second: u64,
    pub mllp: Receiver,
    pub webhook: Receiver,
    stuck: Receiver,
    with_stuck: bool,
}

fn misbehaving(seed: u64, among: impl Fn(Behaviour) -> bool) -> Schedule {
    let bad: Vec<_> = Behaviour::ALL.into_iter().filter(|b| !b.refuses() && among(*b)).collect();
    let share = if Size::long() { 0.05 } else { 0.1 };
    Schedule::seeded(seed, share, &bad).slow_by(Duration::from_millis(50))
}

fn patient(seed: u64) -> Patient {
    let at = |s: u64, rhythm| Cue::at(s as f64, Change::Rhythm(rhythm));
    let cues = (0..200).flat_map(|round| {
        let from = round * ROUND_S;
        [at(from + CHANGE_S.start, Rhythm::VentricularFibrillation), at(from + CHANGE_S.end, Rhythm::Sinus)]
    });
    Patient::new(seed, Profile::default()).with_timeline(cues.collect())
}

impl Scene {
    /// Receivers in every mood, by seed.
    pub fn new(size: Size) -> Option<Self> {
        let odd = misbehaving(11, |_| true);
        // A redirect is a refusal to a webhook.
        let odd_hook = misbehaving(12, |b| b != Behaviour::WrongId);
        Self::open(size, odd, odd_hook, false)
    }

    /// Receivers that behave, and one that never answers.
    pub fn well(size: Size) -> Option<Self> {
        Self::open(size, Schedule::well(), Schedule::well(), true)
    }

    fn open(size: Size, mllp: Schedule, hook: Schedule, with_stuck: bool) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let broker = Mosquitto::start(port, folder.path())?;
        let here = "127.0.0.1:0";
        let silent = Schedule::seeded(1, 1.0, &[Behaviour::Silent]);
        let bed = |i: usize| Bed {
            id: BedId::new(&format!("site1/icu/b{i:03}")).expect("valid"),
            patient: patient(i as u64),
            epoch: 1 + i as u32,
        };
        let mut scene = Self {
            port,
            broker: Some(broker),
            daemon: None,
            voice: Some(Voice::new(port, "monitors")),
            beds: (0..size.beds).map(bed).collect(),
            second: 0,
            mllp: mllp::receive(here, mllp, Ledger::default()).expect("listens"),
            webhook: webhook::receive(here, Some(KEY.into()), hook, Ledger::default()).expect("listens"),
            stuck: mllp::receive(here, silent, Ledger::default()).expect("listens"),
            with_stuck,
            folder,
        };
        std::fs::write(scene.folder.path().join("hook.key"), KEY).expect("writes");
        scene.write_config();
        scene.start(false);
        Some(scene)
    }

    fn write_config(&self) {
        let folder = self.folder.path().display();
        let never = format!(
            "[[sink]]\nname = \"stuck\"\nkind = \"mllp\"\n[sink.options]\naddress = \"{}\"\nunmapped = \"derive\"\n\
             station = \"ICU^^DESK^SITE1\"\n",
            self.stuck.address()
        );
        let text = format!(
            "[broker]\nurl = \"mqtt://127.0.0.1:{}\"\n[[source]]\ntopic = \"wardbeat/v1/site1/#\"\ndecoder = \"json\"\n\
             [publish]\nstate = false\n[journal]\npath = \"{folder}/journal.sqlite\"\n\
             [analysis]\ndecide = \"channels\"\nlearn_s = 10\nscore_on = 0.8\nscore_off = 0.5\nscore_strong = 1.5\nover_s = 2\nof_s = 3\nclear_s = 2\n\
             refractory_s = 0\nper_hour = 60\nper_day = 1440\nsignal_on_s = 1\nsignal_off_s = 1\n\
             [[sink]]\nname = \"mllp\"\nkind = \"mllp\"\n[sink.options]\naddress = \"{}\"\nunmapped = \"derive\"\n\
             station = \"ICU^^DESK^SITE1\"\nanswer_timeout_ms = 300\n\
             [[sink]]\nname = \"webhook\"\nkind = \"webhook\"\n[sink.options]\nurl = \"http://{}/alerts\"\n\
             key_files = [\"{folder}/hook.key\"]\n{}",
            self.port,
            self.mllp.address(),
            self.webhook.address(),
            if self.with_stuck { never.as_str() } else { "" },
        );
        std::fs::write(self.folder.path().join("ward.toml"), text).expect("writes");
    }

    /// Starts the daemon; where the disk refuses, no file of it may grow beyond [`DISK_BYTES`].
    fn start(&mut self, disk_refuses: bool) {
        let log =
            File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        let run = "exec \"$0\" run --config \"$1\"";
        // ulimit counts blocks of 512 bytes; ignored, the signal becomes an error that is returned.
        let script = if disk_refuses {
            format!("trap '' XFSZ; ulimit -f {}; {run}", DISK_BYTES / 512)
        } else {
            run.into()
        };
        let child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_wardbeat")])
            .arg(self.folder.path().join("ward.toml"))
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(File::create(self.folder.path().join("counters")).expect("a file"))
            .stderr(log)
            .spawn();
        self.daemon = Some(child.expect("starts"));
    }

    fn end(&mut self, signal: &str) {
        let Some(mut child) = self.daemon.take() else { return };
        let told = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
        assert!(told.expect("a shell").success());
        child.wait().expect("ours");
    }

    /// Ends the daemon in order; what it counted.
    pub fn counters(&mut self) -> serde_json::Value {
        self.end("TERM");
        let told = std::fs::read_to_string(self.folder.path().join("counters")).unwrap_or_default();
        serde_json::from_str(&told).unwrap_or_default()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn suffer(&mut self, event: Event) {
        println!("{event:?} at {} alerts", self.alerts());
        match event {
            Event::Kill => {
                self.end("KILL");
                self.start(false);
            }
            Event::Broker => {
                self.broker = None;
                self.broker = Mosquitto::start(self.port, self.folder.path());
            }
            Event::Disk => {
                self.end("KILL");
                let before = self.log().matches("journal cannot be written").count();
                self.start(true);
                let began = Instant::now();
                while self.log().matches("journal cannot be written").count() == before {
                    assert!(
                        began.elapsed() < Duration::from_mins(2),
                        "the disk refused nothing: {}",
                        self.log()
                    );
                    self.feed_a_second();
                }
                self.end("KILL");
                self.start(false);
            }
        }
    }

    /// One second of signal of every bed, faster than real time.
    pub fn feed_a_second(&mut self) {
        self.say();
        std::thread::sleep(Duration::from_millis(2 * self.beds.len() as u64 + 20));
    }

    pub fn feed_in_real_time(&mut self) {
        let began = Instant::now();
        self.say();
        std::thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed()));
    }

    fn say(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
        let (second, voice) = (self.second, self.voice.as_ref().expect("a voice"));
        for (i, bed) in self.beds.iter_mut().enumerate() {
            // Not all at once: each bed is at another place of its round.
            let place = second + i as u64 * 7;
            let mut samples_mv = bed.patient.samples(250.0, place * 250, 250, &[Lead::II]).remove(0);
            let lead_off = OFF_S.contains(&(place % ROUND_S));
            if lead_off {
                samples_mv.fill(0.0);
            }
            let parts = FrameParts {
                bed: bed.id.clone(),
                epoch: bed.epoch,
                seq: second as u32,
                n0: second * 250,
                rate: Ratio::hz(250).expect("valid"),
                t0: Some(UtcMs(now)),
                flags: Flags { first: second == 0, lead_off, clock_unsynchronised: true, ..Flags::default() },
                mode: Mode::Test,
                leads: vec![LeadId::new("II").expect("valid")],
                samples_mv,
            };
            let frame = Frame::new(parts).expect("valid");
            voice.say(
                &topic::of(&bed.id, topic::WAVE_JSON),
                decoder_json::encode(&frame, decoder_json::Unit::Millivolt),
            );
        }
        self.second += 1;
    }

    fn journal(&self) -> Connection {
        let db = Connection::open(self.folder.path().join("journal.sqlite")).expect("opens");
        db.busy_timeout(Duration::from_secs(10)).expect("set");
        db
    }

    fn number(&self, sql: &str) -> usize {
        let read = self.journal().query_row(sql, [], |row| row.get::<_, i64>(0));
        read.map_or(0, |n| n as usize)
    }

    /// Alerts begun so far.
    pub fn alerts(&self) -> usize {
        self.number("SELECT COUNT(*) FROM alert WHERE phase = 'alert.start'")
    }

    pub fn undelivered(&self, sink: &str) -> usize {
        self.number(&format!(
            "SELECT COUNT(*) FROM alert WHERE seq > (SELECT seq FROM cursor WHERE sink = '{sink}')"
        ))
    }

    pub fn delivered(&self, sink: &str) -> usize {
        self.number(&format!("SELECT COUNT(*) FROM outcome WHERE outcome = 'delivered' AND sink = '{sink}'"))
    }

    pub fn rows(&self) -> Vec<Row> {
        let db = self.journal();
        let mut rows = db.prepare("SELECT id, rev, phase, code FROM alert ORDER BY seq").expect("reads");
        let found = rows.query_map([], |row| {
            Ok(Row { id: row.get(0)?, rev: row.get(1)?, kind: row.get(2)?, code: row.get(3)? })
        });
        found.expect("reads").map(|row| row.expect("a row")).collect()
    }

    pub fn latencies_ms(&self, sink: &str) -> Vec<i64> {
        let db = self.journal();
        let sql = "SELECT o.at_ms - a.at_ms FROM outcome o JOIN alert a ON a.seq = o.seq WHERE o.sink = ?1";
        let mut rows = db.prepare(sql).expect("reads");
        let found = rows.query_map([sink], |row| row.get(0));
        found.expect("reads").map(|ms| ms.expect("a number")).collect()
    }

    pub fn integrity(&self) -> String {
        self.journal().query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("reads")
    }

    /// The ward falls silent and the daemon delivers what there is, until nothing waits after an orderly end.
    pub fn settle(&mut self) {
        let sinks = ["mqtt", "mllp", "webhook"];
        self.voice = None;
        loop {
            // Long enough for the last alerts: the silence itself.
            std::thread::sleep(Duration::from_secs(10));
            let began = Instant::now();
            while sinks.iter().any(|s| self.undelivered(s) > 0) {
                assert!(began.elapsed() < Duration::from_mins(10), "not delivered in ten minutes");
                std::thread::sleep(Duration::from_millis(100));
            }
            self.end("TERM");
            if sinks.iter().all(|s| self.undelivered(s) == 0) {
                return;
            }
            self.start(false);
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}
