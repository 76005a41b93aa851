//! Alerts derived again: from a checkpoint and the hops after it, and from a daemon's evidence on disk.

#[path = "replay/live.rs"]
mod live;
mod ward;

use contract::{Alert, AlertClass, Code, Heard, MonoMs, Phase, UtcMs, topic};
use live::{RATE_HZ, analysis, comes_out_again, frame, fused, live, setup, signal};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use ward::{PATIENCE, Voice, settings, until};
use wardbeat::daemon::{self, Outcome, Past};
use wardbeat::model::{Bundle, open_engine};
use wardbeat::pipeline::{Analyser, Left, Now, Replay, Saved, Ward};
use wardbeat::workshop::WorkshopError;
use wardbeat::workshop::rehearse::{self, Hops, Source};

#[test]
fn from_any_checkpoint_on_alerts_and_evidence_are_the_live_ones_byte_for_byte() {
    let (bundle, bed) = (Arc::new(Bundle::tiny(3)), ward::bed("b01"));
    comes_out_again(&bundle, &bed, &live(&bundle, &bed, None));
}

#[test]
fn the_fused_decision_comes_out_again_byte_for_byte_too() {
    let (bundle, bed) = (fused(&[(8.0, -0.5), (1.0, 0.0), (0.25, 0.5)]), ward::bed("b01"));
    let live = live(&bundle, &bed, None);
    let said: Vec<&String> = live.alerts.iter().map(|a| &a.1).filter(|a| a.contains("WB-CHG")).collect();
    assert!(said.iter().any(|a| a.contains("\"parts\":[{\"group\":\"mix\"")), "{said:#?}");
    assert!(!live.alerts.iter().any(|a| a.1.contains("WB-UNC") || a.1.contains("WB-NEW")), "one alert a bed");
    comes_out_again(&bundle, &bed, &live);
}

#[test]
fn what_stays_below_the_budget_is_listed_and_nobody_is_called() {
    // The budget of one an hour begins far above what happens here, twice the budget below it.
    let (bundle, bed) = (fused(&[(8.0, -0.5), (2.0, 0.0), (1.0, 9.0), (0.25, 10.0)]), ward::bed("b01"));
    let live = live(&bundle, &bed, None);
    assert_eq!(live.analysis, 0, "{:#?}", live.alerts);
    assert!(live.held.iter().any(|h| h.1 == "below"), "nothing is listed: {:?}", live.held);
    let mut replay =
        Replay::new(live.setup.clone(), &bundle, open_engine(&bundle, "cpu").expect("the CPU"), &bed);
    let again = live.hops.iter().flat_map(|hop| replay.hop(hop.clone()).held);
    assert_eq!(again.map(|(a, why)| (a.key(), why)).collect::<Vec<_>>(), live.held);
}

#[test]
fn a_fused_advisory_that_a_restart_left_open_goes_on_and_ends() {
    let (bundle, bed) = (fused(&[(8.0, -0.5), (1.0, 0.0), (0.25, 0.5)]), ward::bed("b01"));
    let before = live(&bundle, &bed, None);
    assert!(before.saved.contains("\"fused\":{") && before.saved.len() < 40_000, "{}", before.saved.len());
    let open = before.alerts.iter().map(|a| serde_json::from_str::<Alert>(&a.1).expect("an alert"));
    let open = open.into_iter().find(|a| a.code == Code::Changed && a.phase == Phase::Start).expect("begun");
    let setup = before.setup.clone();
    let mut ward = Ward::new(setup, &bundle);
    let now = |second: usize| Now { mono: MonoMs(second as u64 * 1_000), utc: UtcMs(second as i64 * 1_000) };
    let saved = serde_json::from_str::<Option<Saved>>(&before.saved).expect("the same").expect("learnt");
    assert!(ward.restore(&bed, saved, now(0)));
    let left = Left {
        bed: bed.clone(),
        open: vec![open.clone()],
        seen: Vec::new(),
        let_out_s_ago: vec![30],
        ended_s_ago: Vec::new(),
        marks: Vec::new(),
        trend: Vec::new(),
    };
    assert!(ward.reopen(&left, now(0)).is_empty(), "it is of this model");
    let mut analyser = Analyser::new(bundle.clone(), open_engine(&bundle, "cpu").expect("the CPU"));
    // The first forty seconds are beats of the shape that the bed was learnt with.
    let (samples, mut said) = (signal(), Vec::new());
    for second in 0..40 {
        ward.hear(Heard::Frame(frame(&bed, &samples, second)), now(second));
        let due = ward.take_due(now(second));
        let findings = analyser.analyse(&due);
        said.extend(ward.conclude(&findings, now(second)));
    }
    let ends = said.iter().filter(|a| a.id == open.id && a.phase == Phase::End).count();
    assert_eq!(ends, 1, "{said:#?}");
}

#[test]
fn what_a_pause_held_back_has_evidence_and_comes_out_again_too() {
    let (bundle, bed) = (Arc::new(Bundle::tiny(3)), ward::bed("b01"));
    let live = live(&bundle, &bed, Some([38, 60]));
    let alerts = live.alerts.iter().map(|a| serde_json::from_str::<Alert>(&a.1).expect("an alert"));
    let held = alerts.filter(|a| a.class == AlertClass::Analysis && a.phase == Phase::Start);
    let late = held.filter(|a| a.decided.0 - a.onset.0 > 10_000).count();
    assert!(late > 0, "nothing was let go by the end of the pause: {:#?}", live.alerts);
    comes_out_again(&bundle, &bed, &live);
}

#[test]
fn a_checkpoint_of_another_model_or_of_garbage_is_refused_in_words() {
    let bundle = Arc::new(Bundle::tiny(3));
    let other = Arc::new(Bundle::tiny(4));
    let bed = ward::bed("b01");
    let live = live(&bundle, &bed, None);
    let mut replay = Replay::new(setup(), &other, open_engine(&other, "cpu").expect("the CPU"), &bed);
    let told = replay.load(&live.checkpoints[&13]).expect_err("another model").to_string();
    assert!(told.contains(&bundle.id), "{told}");
    for cut in [0, 1, 100, live.checkpoints[&13].len() - 1] {
        assert!(replay.load(&live.checkpoints[&13][..cut]).is_err(), "cut at {cut}");
    }
}

struct Recorded {
    folder: tempfile::TempDir,
    config: PathBuf,
    id: String,
    settings: wardbeat::config::Settings,
}

/// A daemon hears the signal, raises WB-SIG and ends it, and stops.
fn recorded(bundle: &Arc<Bundle>) -> Recorded {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(broker.port(), folder.path());
    settings.analysis = analysis();
    settings.recorder.enabled = true;
    let running = daemon::start(settings.clone(), bundle.clone()).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    let (bed, samples) = (ward::bed("b01"), signal());
    let voice = Voice::new(broker.port(), "monitor");
    for second in 0..samples.len() / RATE_HZ {
        let frame = frame(&bed, &samples, second);
        let payload = decoder_json::encode(&frame, decoder_json::Unit::Millivolt);
        voice.say(&topic::of(&bed, topic::WAVE_JSON), payload);
        // Slower than a flood, so that no queue lets a frame go.
        until("the frame is heard", || running.counters().frames_in > second as u64);
    }
    until("all seconds", || running.counters().windows as usize == samples.len() / RATE_HZ);
    assert_eq!(running.counters().frames_lost, 0);
    drop(running);
    let db = rusqlite::Connection::open(folder.path().join("journal.sqlite")).expect("opens");
    let sql = "SELECT id FROM alert WHERE code = 'WB-SIG' ORDER BY seq LIMIT 1";
    let id = db.query_row(sql, [], |row| row.get(0)).expect("WB-SIG was raised");
    let config = folder.path().join("ward.toml");
    let analysis = toml::to_string(&analysis()).expect("plain");
    let sources = toml::to_string(&BTreeMap::from([("source", &settings.sources)])).expect("plain");
    let text = format!(
        "{sources}\n[analysis]\n{analysis}\n[journal]\npath = \"{}\"\n[broker]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        settings.journal.path.display(),
        broker.port()
    );
    std::fs::write(&config, text).expect("writes");
    Recorded { folder, config, id, settings }
}

#[test]
fn a_daemon_s_alerts_come_out_of_their_evidence_again_or_what_differs_is_said() {
    let bundle = Arc::new(Bundle::tiny(7));
    let recorded = recorded(&bundle);
    let past = Past::new(recorded.settings.clone());
    let db = rusqlite::Connection::open(recorded.folder.path().join("journal.sqlite")).expect("opens");
    let mut rows = db.prepare("SELECT DISTINCT id FROM alert WHERE code <> 'WB-NODATA'").expect("reads");
    let ids: Vec<String> =
        rows.query_map([], |row| row.get(0)).expect("reads").collect::<Result<_, _>>().expect("texts");
    let mut same = 0;
    for id in &ids {
        for verdict in past.alert(id, &bundle).expect("answers") {
            assert!(
                matches!(verdict.outcome, Outcome::Same | Outcome::NotPromised),
                "{}: {:?}",
                verdict.key,
                verdict.outcome
            );
            same += usize::from(verdict.outcome == Outcome::Same);
        }
    }
    assert!(same >= 2, "start and end of WB-SIG at least: {same} of {ids:?}");

    // The beginning of an id is enough; another model is named; a changed sample is found.
    let told = past.alert(&recorded.id[..10], &Arc::new(Bundle::tiny(8))).expect("answers");
    let Outcome::Differs(what) = &told[0].outcome else { panic!("another model: {told:?}") };
    assert!(what.iter().any(|w| w.contains("the model is")), "{what:?}");
    let path = recorded.folder.path().join("journal.recorder/evidence");
    for entry in std::fs::read_dir(path).expect("evidence").flatten() {
        let mut bytes = std::fs::read(entry.path()).expect("reads");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(entry.path(), bytes).expect("writes");
    }
    let told = past.alert(&recorded.id, &bundle).expect("answers");
    assert!(told.iter().all(|v| matches!(v.outcome, Outcome::Differs(_))), "damage goes unseen: {told:?}");
}

#[test]
fn a_rehearsal_on_the_archive_says_what_the_daemon_said() {
    let bundle = Arc::new(Bundle::tiny(7));
    let recorded = recorded(&bundle);
    let archive = recorded.folder.path().join("journal.recorder");
    let past = Past::at(recorded.settings.clone(), &archive);
    let open = || -> Hops<'_> {
        let told = |e: wardbeat::daemon::DaemonError| WorkshopError::Recording(e.to_string());
        Box::new(past.hops(&ward::bed("b01")).map(move |hop| hop.map_err(told)))
    };
    let sources = [Source { bed: ward::bed("b01"), open: Box::new(open) }];
    let bar = indicatif::ProgressBar::hidden();
    let beds = rehearse::rehearse(&bundle, &recorded.settings, &sources, &bar).expect("rehearses");
    assert_eq!((beds.len(), &beds[0].fault), (1, &None));
    let rehearsed: Vec<(String, String)> = beds[0]
        .moments
        .iter()
        .filter(|m| m.held.is_none())
        .map(|m| (m.code.clone(), m.text.clone()))
        .collect();
    let db = rusqlite::Connection::open(recorded.folder.path().join("journal.sqlite")).expect("opens");
    let sql = "SELECT code, body FROM alert WHERE phase = 'alert.start' AND code <> 'WB-NODATA' ORDER BY seq";
    let mut rows = db.prepare(sql).expect("reads");
    let row = |row: &rusqlite::Row| {
        let alert: Alert = serde_json::from_str(&row.get::<_, String>(1)?).expect("an alert");
        Ok((row.get::<_, String>(0)?, alert.text))
    };
    let daemon: Vec<(String, String)> =
        rows.query_map([], row).expect("reads").collect::<Result<_, _>>().expect("rows");
    assert!(daemon.iter().any(|a| a.0 == "WB-SIG"), "{daemon:?}");
    assert_eq!(rehearsed, daemon);
    let day = beds[0].days.values().next().expect("a day");
    assert_eq!(day.seconds as usize, signal().len() / RATE_HZ);
    let strip = beds[0].moments[0].strip.as_deref().unwrap_or_default();
    assert!(strip.contains("clusters") && strip.contains("<svg"), "no strip with clusters");
    assert!(rehearse::page(&beds, "a test").contains(&beds[0].moments[0].at));
}

#[test]
fn recordings_are_listed_exported_and_compared_by_two_models() {
    let bundle = Arc::new(Bundle::tiny(7));
    let recorded = recorded(&bundle);
    let past = Past::new(recorded.settings.clone());
    let bed = ward::bed("b01");
    let found = past.compare(&bed, 3_600, [&bundle, &bundle], |_, _| {}).expect("compares");
    assert!(found.hops > 50 && found.read_by_one == 0);
    assert_eq!(found.alerts[0], found.alerts[1], "one model twice says one thing");
    assert!(!found.alerts[0].is_empty());
    let other = Arc::new(Bundle::tiny(8));
    let found = past.compare(&bed, 3_600, [&bundle, &other], |_, _| {}).expect("compares");
    assert!((found.entropy[0] - found.entropy[1]).abs() > 1e-6, "two models read alike");

    let run = |args: &[&str]| {
        let output = process::Command::new(env!("CARGO_BIN_EXE_wardbeat")).args(args).output().expect("runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
        told
    };
    let config = recorded.config.to_str().expect("text");
    assert!(run(&["recordings", "list", "--config", config]).contains("site1/icu/b01: 1 files"));
    let out = recorded.folder.path().join("out");
    run(&["recordings", "export", "site1/icu/b01", "--config", config, "--out", out.to_str().expect("text")]);
    let record = recordings::Record::read(&out.join("icu-b01-000")).expect("a WFDB record");
    let exported = record.signal_mv(0).expect("a lead in mV");
    let sent = signal();
    assert_eq!(exported.len(), sent.len());
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 0.000_6;
    assert!(exported.iter().zip(&sent).all(near), "the export is not the signal");
}
