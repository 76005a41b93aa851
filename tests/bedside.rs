//! What a site says of its beds: who lies there, what it is called, whether the heart is paced, what time it is.

mod ward;

use contract::{BedId, Birth, Mode, UtcMs, topic};
use std::sync::Arc;
use ward::{Listener, Monitor, PATIENCE, Voice, bed, settings, until};
use wardbeat::config::{Bed, Settings};
use wardbeat::daemon::{self, Running};
use wardbeat::display;
use wardbeat::model::Bundle;
use wardbeat::snapshot::{BedState, BedView, Snapshot};

/// Seconds of good signal that make a baseline here.
const LEARN_S: u32 = 5;

struct Scene {
    // Ends first: the daemon leaves while the broker still stands.
    running: Running,
    voice: Voice,
    listener: Listener,
    _broker: broker::Broker,
    _folder: tempfile::TempDir,
}

fn scene(change: impl FnOnce(&mut Settings)) -> Scene {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(broker.port(), folder.path());
    settings.analysis.learn_s = LEARN_S;
    change(&mut settings);
    let voice = Voice::new(broker.port(), "monitor");
    let listener = Listener::new(broker.port(), "listener", "wardbeat/v1/#");
    let bundle = Arc::new(Bundle::embedded().expect("the embedded model"));
    let running = daemon::start(settings, bundle).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    Scene { running, voice, listener, _broker: broker, _folder: folder }
}

impl Scene {
    fn bed(&self, id: &BedId) -> Option<BedView> {
        self.running.snapshot().beds.into_iter().find(|view| view.bed == *id)
    }

    /// Says who lies in a bed, retained, as a gateway does.
    fn birth(&self, bed: &BedId, patient: &str, paced: bool) {
        let birth = Birth {
            bed: bed.clone(),
            epoch: None,
            leads: Vec::new(),
            rate: None,
            patient: Some(patient.into()),
            monitor: None,
            clock: None,
            paced,
            mode: Mode::Test,
        };
        let payload = decoder_json::encode_birth(&birth, decoder_json::Announcement::default());
        self.voice.keep(&topic::of(bed, topic::META), payload);
    }

    /// `count` seconds of signal, and their windows.
    fn play(&self, monitor: &mut Monitor, count: usize) {
        let leaf = monitor.topic().replace(topic::WAVE_JSON, "state");
        let before = self.listener.json(&leaf).len();
        (0..count).for_each(|_| self.voice.say(&monitor.topic(), monitor.frame()));
        until("the windows", || self.listener.json(&leaf).len() + 1 >= before + count);
    }
}

#[test]
fn another_patient_in_a_live_bed_begins_a_new_baseline_and_the_same_one_does_not() {
    let scene = scene(|_| {});
    let id = bed("b01");
    let mut monitor = Monitor::new("b01", 1);
    let learnt = || scene.bed(&id).map_or(0, |view| view.learnt_s[0]);
    let live = || scene.bed(&id).is_some_and(|view| view.state == BedState::Live);
    scene.birth(&id, "token-1", false);
    scene.play(&mut monitor, 30);
    until("the baseline is learnt", || learnt() == LEARN_S);
    scene.birth(&id, "token-1", false);
    scene.play(&mut monitor, 2);
    until("the picture", live);
    assert_eq!(learnt(), LEARN_S, "the same patient");

    scene.birth(&id, "token-2", false);
    until("learning begins anew", || learnt() < LEARN_S);
    assert_eq!(scene.bed(&id).map(|view| view.learnt_s[1]), Some(LEARN_S));
    scene.play(&mut monitor, 15);
    until("the new patient is learnt", || learnt() == LEARN_S && live());
}

#[test]
fn a_pacemaker_that_only_the_birth_message_names_stays_known() {
    let scene = scene(|_| {});
    let (paced, plain) = (bed("paced"), bed("plain"));
    scene.birth(&paced, "token-1", true);
    scene.birth(&plain, "token-2", false);
    for name in ["paced", "plain"] {
        // The first frame says `first` and nothing of a pacemaker.
        scene.play(&mut Monitor::new(name, 3), 4);
    }
    let shown = |id: &BedId| scene.bed(id).filter(|view| view.health.frames == 4).map(|view| view.paced);
    until("both pictures", || shown(&paced).is_some() && shown(&plain).is_some());
    assert_eq!((shown(&paced), shown(&plain)), (Some(true), Some(false)));
    // A frame's own flag is enough too, and a new epoch without it takes it back.
    let mut monitor = Monitor::new("plain", 9);
    scene.voice.say(&monitor.topic(), monitor.frame_with(|parts| parts.flags.paced = true));
    until("the flag", || scene.bed(&plain).is_some_and(|view| view.paced));
    scene.play(&mut Monitor::new("plain", 10), 2);
    until("no flag any more", || scene.bed(&plain).is_some_and(|view| !view.paced));
}

#[test]
fn beds_are_called_what_the_site_calls_them() {
    let label =
        |id: BedId, label: &str| Bed { id, label: label.into(), analysis: contract::Options::default() };
    let scene = scene(|settings| {
        settings.beds = vec![label(bed("b07"), "Bay 2 window"), label(bed("4B.2"), "Überwachung 4B – Tür")];
    });
    for name in ["b07", "4B.2", "fenster-links"] {
        scene.play(&mut Monitor::new(name, 2), 3);
    }
    until("three beds", || scene.running.snapshot().beds.len() == 3);
    let snapshot = scene.running.snapshot();
    let mut labels: Vec<&str> = snapshot.beds.iter().map(|view| view.label.as_str()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["Bay 2 window", "fenster-links", "Überwachung 4B – Tür"]);
    let shown = display::picture(&snapshot, &display::Options::default(), (120, 40), "").expect("a picture");
    // The ward gives a label eight cells.
    for words in ["Bay 2", "fenst", "Überw"] {
        assert!(shown.contains(words), "{words} is not on the screen");
    }
}

#[test]
fn the_screen_shows_the_sites_own_time() {
    let clock = |utc: &str, zone: &str| {
        let snapshot = Snapshot { now: Some(UtcMs::parse(utc).expect("a time")), ..Snapshot::default() };
        let options = display::Options { zone: Some(zone.into()), ..display::Options::default() };
        display::picture(&snapshot, &options, (120, 40), "").expect("a picture")
    };
    for (utc, zone, local) in [
        ("2026-11-23T02:13:41.000Z", "UTC", "02:13:41"),
        ("2026-11-23T02:13:41.000Z", "Europe/Vienna", "03:13:41"),
        ("2026-07-23T02:13:41.000Z", "Europe/Vienna", "04:13:41"),
        ("2026-11-23T02:13:41.000Z", "Asia/Kathmandu", "07:58:41"),
    ] {
        assert!(clock(utc, zone).contains(local), "{utc} in {zone}");
    }
}
