//! A screen elsewhere: what it shows comes from the broker alone and equals what the node itself shows.

mod ward;

use contract::{Command, UtcMs, Verb};
use std::sync::Arc;
use ward::{Monitor, PATIENCE, Voice, now_ms, settings, until};
use wardbeat::config::Settings;
use wardbeat::daemon::{self, Keys, Running, Watching, read_own};
use wardbeat::model::Bundle;
use wardbeat::snapshot::{BedState, BedView, Snapshot};

struct Scene {
    running: Option<Running>,
    broker: broker::Broker,
    folder: tempfile::TempDir,
}

fn start(port: u16, folder: &std::path::Path) -> Running {
    let mut settings = Settings { timezone: "Europe/Berlin".into(), ..settings(port, folder) };
    settings.commands.keys_file = Some(folder.join("keys.json"));
    let running = daemon::start(settings, Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    running
}

fn scene() -> Scene {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    Scene { running: Some(start(broker.port(), folder.path())), broker, folder }
}

impl Scene {
    fn screen(&self, unit: Option<&str>) -> Watching {
        let mut own = Settings { site: "+".into(), ..Settings::default() };
        own.broker.url = settings(self.broker.port(), std::path::Path::new("")).broker.url;
        daemon::watch(&own, unit.map(str::to_owned)).expect("a link")
    }

    fn own(&self) -> Snapshot {
        self.running.as_ref().expect("runs").snapshot()
    }
}

fn bed(snapshot: &Snapshot, place: &str) -> Option<BedView> {
    snapshot.beds.iter().find(|b| b.bed.place() == place).cloned()
}

/// The columns that both hold, as pairs.
fn shared(a: &BedView, b: &BedView) -> Vec<(f32, f32)> {
    let from = a.first_column.max(b.first_column);
    let of = |v: &BedView| {
        v.columns.iter().skip((from - v.first_column) as usize).map(|c| c.max_mv).collect::<Vec<_>>()
    };
    of(a).into_iter().zip(of(b)).collect()
}

#[test]
fn a_screen_elsewhere_shows_the_same_ward_and_one_started_later_its_past() {
    let mut scene = scene();
    let voice = Voice::new(scene.broker.port(), "monitor");
    let screen = scene.screen(None);
    let mut monitor = Monitor::new("b01", 1);
    // A minute and a half of signal at once; its stamps say when each second was.
    let began_ms = now_ms() - 90_000;
    for second in 0..90 {
        voice.say(&monitor.topic(), monitor.frame_at(began_ms + second * 1_000));
        let heard = |s: &Running| s.counters().frames_in + 20 > second as u64;
        until("the frames are heard", || heard(scene.running.as_ref().expect("runs")));
    }
    until("the trend's first minute", || {
        bed(&scene.own(), "b01").is_some_and(|b| !b.trend.is_empty() && b.seconds.len() > 60)
    });
    until("the bed on the other screen", || {
        let (own, theirs) = (bed(&scene.own(), "b01"), bed(&screen.snapshot(), "b01"));
        own.zip(theirs).is_some_and(|(a, b)| {
            a.state == b.state
                && a.trend.len() == b.trend.len()
                && shared(&a, &b).len() > 400
                && a.seconds.last() == b.seconds.last()
        })
    });
    let (own, theirs) =
        (bed(&scene.own(), "b01").expect("own"), bed(&screen.snapshot(), "b01").expect("heard"));
    for (a, b) in shared(&own, &theirs) {
        assert!((a - b).abs() < 0.05 || (a.is_nan() && b.is_nan()), "{a} {b}");
    }
    assert_eq!((own.label, own.learnt_s[1], own.lead), (theirs.label, theirs.learnt_s[1], theirs.lead));
    until("the node's own word", || !screen.snapshot().node.name.is_empty());
    let node = screen.snapshot().node;
    assert_eq!((node.timezone.as_str(), node.name.as_str()), ("Europe/Berlin", "node-a"));

    // The monitor falls silent: both screens say so, and list the alert.
    let listed =
        |s: &Snapshot| s.alerts.iter().any(|a| a.code == contract::Code::NoData && a.ended.is_none());
    until("the alert on both", || listed(&scene.own()) && listed(&screen.snapshot()));
    until("stopped on both", || {
        let state = |s: &Snapshot| bed(s, "b01").map(|b| b.state);
        state(&scene.own()) == Some(BedState::Stopped) && state(&screen.snapshot()) == Some(BedState::Stopped)
    });

    // A screen that starts now has the past at once, one of another unit has nothing of it.
    let (late, other) = (scene.screen(None), scene.screen(Some("elsewhere")));
    until("the past", || {
        let s = late.snapshot();
        listed(&s) && bed(&s, "b01").is_some_and(|b| b.trend == theirs.trend)
    });
    until("the node on the other unit's screen", || !other.snapshot().node.name.is_empty());
    assert!(other.snapshot().beds.is_empty());
    assert_eq!(late.refused() + screen.refused(), 0);

    // The daemon ends: the beat stands still, and nothing on the screen looks live.
    drop(scene.running.take());
    let standing = || {
        let before = late.snapshot().beat;
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        late.snapshot().beat == before
    };
    until("the beat stands", standing);

    the_past_is_there_again(&mut scene, &late, theirs.trend.len());
}

/// The node starts again: before anything new comes its own screen has the trend of the run before, and so have others.
fn the_past_is_there_again(scene: &mut Scene, other: &Watching, minutes: usize) {
    scene.running = Some(start(scene.broker.port(), scene.folder.path()));
    let trend = |s: &Snapshot| bed(s, "b01").map(|b| b.trend).unwrap_or_default();
    until("the trend of the run before", || !trend(&scene.own()).is_empty());
    let own = trend(&scene.own());
    assert_eq!(own.len(), minutes);
    until("the same on the other screen", || {
        let heard = trend(&other.snapshot());
        let same = heard.iter().zip(own.iter()).all(|(a, b)| (a.at, a.over_s) == (b.at, b.over_s));
        heard.len() == own.len() && same
    });
}

/// MQTT 3.1.1, by hand: joins, subscribes to everything, and never reads what comes.
fn stalled_screen(port: u16) -> std::net::TcpStream {
    use std::io::Write;
    let mut link = std::net::TcpStream::connect(("127.0.0.1", port)).expect("a broker");
    let connect = b"\x10\x13\x00\x04MQTT\x04\x02\x00\x00\x00\x07stalled";
    let subscribe = b"\x82\x12\x00\x01\x00\x0dwardbeat/v1/#\x00";
    link.write_all(connect).and_then(|()| link.write_all(subscribe)).expect("written");
    link
}

#[test]
fn a_screen_that_reads_nothing_slows_nobody() {
    let scene = scene();
    let _stalled = [stalled_screen(scene.broker.port()), stalled_screen(scene.broker.port())];
    let screen = scene.screen(None);
    let voice = Voice::new(scene.broker.port(), "monitor");
    let running = scene.running.as_ref().expect("runs");
    let mut monitors: Vec<Monitor> = (0..8).map(|i| Monitor::new(&format!("b{i:02}"), i)).collect();
    for second in 1..=60 {
        for monitor in &mut monitors {
            voice.say(&monitor.topic(), monitor.frame());
        }
        until("the frames are heard", || running.counters().frames_in + 80 > second * 8);
    }
    until("all windows", || running.counters().windows >= 8 * 59);
    let counters = running.counters();
    assert_eq!((counters.frames_in, counters.frames_lost), (480, 0), "{counters:?}");
    until("the other screen has all beds", || screen.snapshot().beds.len() == 8);
}

#[test]
fn a_signed_pause_from_one_screen_shows_on_another() {
    let scene = scene();
    let (keys, own) = (scene.folder.path().join("keys.json"), scene.folder.path().join("console.key"));
    Keys::add(&keys, &own, ("console", &Verb::ALL, &[]), UtcMs(now_ms())).expect("a key");
    let (name, secret) = read_own(&own).expect("its own file");
    let (screen, other) = (scene.screen(None), scene.screen(None));
    let voice = Voice::new(scene.broker.port(), "monitor");
    let mut monitor = Monitor::new("b01", 1);
    voice.say(&monitor.topic(), monitor.frame());
    until("the bed", || bed(&other.snapshot(), "b01").is_some());
    let asked = |by: &str, key: &str, command| {
        let pending = screen.ask((key, &secret), by, &ward::bed("b01"), command);
        let mut answer = None;
        until("an answer", || {
            answer = answer.take().or_else(|| pending.answer());
            answer.is_some()
        });
        answer.expect("answered").expect("an answer")
    };
    let pause = || Command::Pause { minutes: 2, reason: "care".into() };
    let refused = asked("RN", "stranger", pause());
    assert!(!refused.ok, "{refused:?}");
    let done = asked("RN", &name, pause());
    assert!(done.ok, "{done:?}");
    until("the pause on the other screen", || {
        bed(&other.snapshot(), "b01")
            .is_some_and(|b| b.pause_left_ms.is_some() && b.pause_reason == "care, RN")
    });
    assert!(asked("RN", &name, Command::Resume).ok);
    until("its end", || bed(&other.snapshot(), "b01").is_some_and(|b| b.pause_left_ms.is_none()));
}
