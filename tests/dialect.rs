//! A foreign gateway's JSON, from what `sniff` hears of it to findings, without a line of code.

mod ward;

use contract::{Heard, UtcMs};
use patient::{Lead, Patient, Profile};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ward::{PATIENCE, Voice, now_ms, settings, until};
use wardbeat::config::{BrokerUrl, parse};
use wardbeat::daemon;
use wardbeat::model::Bundle;

const TOPIC: &str = "lab/bed7/ecg";

/// Half a second of lead II in microvolts, as a hobby gateway might say it.
fn message(patient: &mut Patient, half: u64, began_ms: i64) -> Vec<u8> {
    let samples = patient.samples(250.0, half * 125, 125, &[Lead::II]).remove(0);
    let microvolts: Vec<i64> = samples.iter().map(|mv| (mv * 1_000.0).round() as i64).collect();
    let ts = began_ms + half as i64 * 500;
    json!({"device": {"serial": "x1"}, "ts": ts, "fs": 250, "leads": {"II": microvolts}})
        .to_string()
        .into_bytes()
}

#[test]
fn what_sniff_prints_is_a_config_that_makes_findings_of_a_foreign_gateway() {
    let broker = broker::Broker::start().expect("a broker");
    let (done, port) = (Arc::new(AtomicBool::new(false)), broker.port());
    let told = done.clone();
    let gateway = std::thread::spawn(move || {
        let (voice, mut patient) = (Voice::new(port, "gateway"), Patient::new(5, Profile::default()));
        let (mut half, began) = (0, now_ms());
        while !told.load(Ordering::Acquire) {
            voice.say(TOPIC, message(&mut patient, half, began));
            half += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let url = BrokerUrl { host: "127.0.0.1".into(), port, tls: false };
    let found = daemon::sniff(&url, "#", Duration::from_secs(2)).expect("the broker is there");
    let printed: String = found.iter().map(|guess| guess.config.as_str()).collect();
    assert!(printed.contains("[dialect.lab]") && printed.contains("[dialect.lab.leads]"), "{printed}");
    let sniffed = parse("sniffed", &printed, &daemon::plugins()).unwrap_or_else(|f| panic!("{f}\n{printed}"));

    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(port, folder.path());
    (settings.sources, settings.dialects) = (sniffed.sources, sniffed.dialects);
    let running = daemon::start(settings, Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    until("findings", || running.counters().findings >= 5);
    let bed = running.snapshot().beds.remove(0);
    let leads: Vec<String> = bed.leads.iter().map(|lead| lead.lead.to_string()).collect();
    assert_eq!((bed.bed.as_str(), leads), ("site1/icu/bed7", vec!["II".to_owned()]));
    let trace: Vec<f32> = bed.columns.iter().map(|c| c.max_mv).filter(|mv| mv.is_finite()).collect();
    let highest = trace.iter().fold(0.0_f32, |most, mv| most.max(*mv));
    assert!((0.3..4.0).contains(&highest), "a heart beat in mV: {highest}");
    assert_eq!(running.counters().refused, 0);
    done.store(true, Ordering::Release);
    gateway.join().expect("ends");
}

#[test]
fn the_dialect_of_the_page_is_a_config_that_reads_the_message_beside_it() {
    let page = include_str!("../docs/wire.md");
    let (_, after) = page.split_once("## Other dialects").expect("the heading");
    let block = after.split("```toml\n").nth(1).and_then(|t| t.split("```").next()).expect("a block");
    let settings = parse("wire.md", block, &daemon::plugins()).unwrap_or_else(|f| panic!("{f}"));
    let comment = block.lines().find_map(|line| line.split_once("# reads ")).expect("the message").1;
    let (message, topic) = comment.split_once(" on ").expect("its topic");
    let table = &settings.dialects[&settings.sources[0].decoder];
    let mut decoder = (decoder_mapped::ENTRY.build)(table).expect("builds");
    let heard = decoder.decode(topic, message.as_bytes(), UtcMs(0)).expect("reads it");
    let [Heard::Frame(frame)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((frame.bed().as_str(), frame.lead_mv(0)), ("site1/icu/bed7", &[-0.012, 0.0, 0.15][..]));
}
