//! Nothing lost: alerts of a whole ward, while the daemon is killed, the broker forgets, receivers misbehave and the
//! disk refuses. What the receivers' ledgers hold is compared with the journal.
//!
//! Short by default; `WARDBEAT_LONG=1` is 2,000 alerts of 200 beds with ten kills. Needs mosquitto; else skipped.

#[path = "nothing_lost/scene.rs"]
mod scene;
mod ward;

use nurse_call::Arrival;
use scene::{Chaos, Row, Scene, Size};
use std::collections::{BTreeMap, BTreeSet};
use ward::until;

/// Milliseconds from a decision to its answer in 99 of 100, beside a stuck receiver and under full ingest.
const P99_MS: i64 = 100;

/// A receiver's ledger against the journal: every row at least once, in order per alert, repeats under one key.
fn compare(sink: &str, rows: &[Row], arrivals: &[Arrival]) {
    let faulty: Vec<_> = arrivals.iter().filter(|a| !a.fault.is_empty()).collect();
    assert!(faulty.is_empty(), "{sink}: {faulty:?}");
    let mut keys = BTreeMap::<(&str, u32), BTreeSet<&str>>::new();
    let mut revs = BTreeMap::<&str, Vec<u32>>::new();
    for arrival in arrivals {
        keys.entry((&arrival.id, arrival.rev)).or_default().insert(&arrival.key);
        let seen = revs.entry(&arrival.id).or_default();
        if !seen.contains(&arrival.rev) {
            seen.push(arrival.rev);
        }
    }
    let lost: Vec<&Row> = rows.iter().filter(|row| !keys.contains_key(&(row.id.as_str(), row.rev))).collect();
    let strangers = keys.keys().filter(|(id, rev)| !rows.iter().any(|row| row.id == *id && row.rev == *rev));
    let (sent, delivered) = (rows.len(), keys.len());
    let duplicates = arrivals.len() - delivered;
    println!("{sink}: sent {sent}, delivered {delivered}, duplicates {duplicates}, lost {}", lost.len());
    assert!(lost.is_empty(), "{sink} lost {lost:?}");
    assert_eq!(strangers.count(), 0, "{sink} got what the journal does not hold");
    for ((id, rev), keys) in &keys {
        assert_eq!(keys.len(), 1, "{sink}: {id}:{rev} came under {keys:?}");
    }
    for (id, revs) in &revs {
        assert!(revs.is_sorted(), "{sink}: {id} came in the order {revs:?}");
    }
}

#[test]
fn every_start_and_end_arrives_whatever_fails() {
    let size = Size::wanted();
    let Some(mut scene) = Scene::new(size) else {
        println!("skipped: no mosquitto");
        return;
    };
    let mut chaos = Chaos::of(size);
    while scene.alerts() < size.alerts {
        scene.feed_a_second();
        if let Some(event) = chaos.due(scene.alerts()) {
            scene.suffer(event);
        }
    }
    scene.settle();
    let rows = scene.rows();
    let alerts: BTreeSet<&str> = rows.iter().map(|r| r.id.as_str()).collect();
    let (analysis, technical): (Vec<&Row>, Vec<&Row>) = rows
        .iter()
        .filter(|r| r.kind == "alert.start")
        .partition(|r| ["WB-UNC", "WB-NEW", "WB-CHG"].contains(&r.code.as_str()));
    println!(
        "{} alerts of {} beds: {} analysis, {} technical; {} kills, {} brokers, {} disks",
        alerts.len(),
        size.beds,
        analysis.len(),
        technical.len(),
        chaos.kills,
        chaos.brokers,
        chaos.disks
    );
    assert!(!analysis.is_empty() && !technical.is_empty());
    compare("mllp", &rows, &scene.mllp.ledger().arrivals());
    compare("webhook", &rows, &scene.webhook.ledger().arrivals());
    // MQTT's promise ends at the broker's PUBACK: brokers that forget are part of the story.
    let confirmed = scene.delivered("mqtt");
    println!("mqtt: sent {}, confirmed {}, lost {}", rows.len(), confirmed, rows.len() - confirmed);
    assert_eq!(confirmed, rows.len());
    assert_eq!(scene.integrity(), "ok");
    assert_eq!(chaos.left(), 0, "not all of it happened");
}

/// Every bed sends in real time while one receiver never answers. What it takes from the decision until the answer is on
/// disk is printed; in the long form, of a whole ward, it must hold the promise.
#[test]
fn from_decision_to_answer_beside_a_stuck_receiver() {
    let (beds, seconds) = if Size::long() { (200, 60_u64) } else { (20, 20) };
    let Some(mut scene) = Scene::well(Size { beds, alerts: 0, kills: 0 }) else {
        println!("skipped: no mosquitto");
        return;
    };
    for _ in 0..seconds {
        scene.feed_in_real_time();
    }
    let good = ["mqtt", "mllp", "webhook"];
    until("every alert is answered by all but the stuck one", || {
        good.iter().all(|s| scene.undelivered(s) == 0)
    });
    assert!(scene.undelivered("stuck") > 0, "the stuck one's alerts wait");
    let mut slow = Vec::new();
    for sink in good {
        let mut ms = scene.latencies_ms(sink);
        ms.sort_unstable();
        let wanted = if Size::long() { beds } else { 1 };
        assert!(ms.len() >= wanted, "{sink}: {} answers of {beds} beds", ms.len());
        let at = |share: f64| ms[((ms.len() - 1) as f64 * share) as usize];
        let (p50, p99, worst) = (at(0.5), at(0.99), at(1.0));
        println!("{sink}: {} answers, p50 {p50} ms, p99 {p99} ms, worst {worst} ms", ms.len());
        // A webhook's receiver is at the end of a new connection each time: nothing is promised of it.
        slow.extend((Size::long() && p99 >= P99_MS && sink != "webhook").then_some(sink));
    }
    assert!(slow.is_empty(), "{slow:?} answer later than {P99_MS} ms");
    let counters = scene.counters();
    println!("ingest of {beds} beds: {counters}");
    // What was sent before it joined the broker it could not hear.
    let heard = counters["frames_in"].as_u64().unwrap_or(0);
    assert!(heard >= beds as u64 * (seconds - 5), "{counters}");
    assert_eq!(counters["frames_lost"], 0, "the stuck receiver slows the ingest: {counters}");
}
