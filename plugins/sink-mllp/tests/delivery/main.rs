//! The sink against a nurse call that behaves well and badly, over real sockets.

mod readers;
mod tls;

use contract::{Alert, AlertId, Back, Sink, SinkError, conformance};
use nurse_call::{Arrival, Behaviour, Ledger, Receiver, Schedule, mllp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const BUDGET: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// Revision `rev` of alert `n`: 0 starts, `last` ends.
fn alert(n: u32, rev: u32, last: u32) -> Alert {
    let phase = match rev {
        0 => "start",
        rev if rev == last => "end",
        _ => "update",
    };
    serde_json::from_value(json!({
        "v": 1, "type": format!("alert.{phase}"), "id": format!("{:032x}", u128::from(n) << 96), "rev": rev,
        "code": "WB-UNC", "class": "analysis", "level": "advisory", "phase": phase, "mode": "test", "priority": "low",
        "bed": format!("site1/icu/b{:02}", n % 20), "epoch": "5eed0001", "onset_n": 1_000,
        "onset": "2026-11-22T22:23:20.250Z", "decided": "2026-11-22T22:23:28.250Z",
        "text": "ECG analysis uncertain: 8 s of last 30 s | lead II & V1.",
        "why": {"leads": ["II"], "quality": 1.0, "missing": 0.0},
        "limits": "", "model": "m", "config": "c", "evidence": ""
    }))
    .expect("an alert")
}

fn sink_to(address: &str, more: &Value) -> Box<dyn Sink> {
    let mut options = json!({"address": address, "unmapped": "derive", "answer_timeout_ms": 200});
    for (key, value) in more.as_object().expect("a table") {
        options[key] = value.clone();
    }
    (sink_mllp::ENTRY.build)(options.as_object().expect("a table")).expect("usable options")
}

fn receiver(schedule: Schedule) -> Receiver {
    mllp::receive("127.0.0.1:0", schedule, Ledger::default()).expect("a free port")
}

fn free_port() -> String {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("bound").to_string()
}

#[test]
fn the_kit_for_sinks_is_passed() {
    let receiver = receiver(Schedule::well());
    let address = receiver.address().to_string();
    let patient = json!({"answer_timeout_ms": 5_000});
    for (protects, check) in conformance::SINK_CHECKS {
        check(sink_to(&address, &patient).as_mut(), BUDGET).unwrap_or_else(|why| panic!("{protects}: {why}"));
    }
    let mut seen = receiver.ledger().arrivals().len();
    let mut arrived = || {
        let arrivals = receiver.ledger().arrivals();
        let texts: Vec<_> = arrivals[seen..].iter().map(|a| a.text.clone()).collect();
        seen = arrivals.len();
        texts.concat()
    };
    conformance::sink_marks_mode(sink_to(&address, &patient).as_mut(), BUDGET, &mut arrived).expect("marked");
    let meets = |behaviour, check: conformance::SinkCheck| {
        receiver.behave(Schedule::scripted(&[behaviour]));
        check(sink_to(&address, &json!({})).as_mut(), BUDGET)
            .unwrap_or_else(|why| panic!("{behaviour:?}: {why}"));
    };
    meets(Behaviour::Error, conformance::sink_retries);
    meets(Behaviour::Reject, conformance::sink_refuses);
    for behaviour in Behaviour::ALL {
        meets(behaviour, conformance::sink_honours_budget);
    }
    conformance::sink_retries(sink_to(&free_port(), &json!({})).as_mut(), BUDGET).expect("nobody there");
}

#[test]
fn each_misbehaviour_is_met_as_the_protocol_says() {
    for behaviour in Behaviour::ALL {
        let receiver = receiver(Schedule::scripted(&[behaviour]).slow_by(Duration::from_millis(60)));
        let mut sink = sink_to(&receiver.address().to_string(), &json!({}));
        let began = Instant::now();
        let first = sink.deliver(&alert(1, 0, 2), BUDGET);
        assert!(began.elapsed() < BUDGET, "{behaviour:?} took {:?}", began.elapsed());
        match &first {
            Ok(receipt) => {
                assert!(behaviour.accepts() && receipt.0.contains("WB"), "{behaviour:?}: {receipt:?}");
            }
            Err(SinkError::Refused(why)) => assert!(behaviour.refuses(), "{behaviour:?}: {why}"),
            Err(SinkError::Retry(why)) => {
                assert!(!behaviour.accepts() && !behaviour.refuses(), "{behaviour:?}: {why}");
            }
        }
        if matches!(first, Err(SinkError::Retry(_))) {
            sink.deliver(&alert(1, 0, 2), BUDGET).unwrap_or_else(|e| panic!("{behaviour:?}, again: {e}"));
        }
        // Whatever happened before, the next message finds a sound connection at once; only a close that is on its
        // way while we send costs one more attempt.
        let mut next = sink.deliver(&alert(2, 0, 2), BUDGET);
        if behaviour == Behaviour::CloseAfter && matches!(next, Err(SinkError::Retry(_))) {
            next = sink.deliver(&alert(2, 0, 2), BUDGET);
        }
        next.unwrap_or_else(|e| panic!("{behaviour:?}, next: {e}"));
        let arrivals = receiver.ledger().arrivals();
        assert!(arrivals.iter().all(|a| a.fault.is_empty() && a.mode == "T"), "{arrivals:?}");
    }
}

/// Delivers `alerts` alerts in turn, each revision until it is taken or refused, as the journal's cursor does.
fn deliver_all(sink: &mut dyn Sink, alerts: u32, last: u32) -> BTreeSet<(AlertId, u32)> {
    let until = Instant::now() + PATIENCE;
    let mut taken = BTreeSet::new();
    for alert in (0..=last).flat_map(|rev| (0..alerts).map(move |n| alert(n, rev, last))) {
        loop {
            assert!(Instant::now() < until, "not delivered in {PATIENCE:?}");
            match sink.deliver(&alert, BUDGET) {
                Ok(_) => break,
                Err(SinkError::Retry(_)) => {}
                Err(SinkError::Refused(why)) => panic!("refused: {why}"),
            }
        }
        let _ = sink.tick(BUDGET);
        taken.insert((alert.id, alert.rev));
    }
    taken
}

fn nothing_lost(arrivals: &[Arrival], taken: &BTreeSet<(AlertId, u32)>) {
    let mut by_key: BTreeMap<&str, &str> = BTreeMap::new();
    let mut firsts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for arrival in arrivals.iter().filter(|a| a.phase != "continue") {
        let hash = by_key.entry(&arrival.key).or_insert(&arrival.sha256);
        assert_eq!(*hash, arrival.sha256, "{} came with other bytes", arrival.key);
        let revs = firsts.entry(&arrival.id).or_default();
        if !revs.contains(&arrival.rev) {
            revs.push(arrival.rev);
        }
        assert_eq!(arrival.fault, "");
    }
    assert!(firsts.values().all(|revs| revs.is_sorted()), "out of order: {firsts:?}");
    let lost = taken.iter().filter(|(id, rev)| !firsts.get(id.0.as_str()).is_some_and(|r| r.contains(rev)));
    assert_eq!(lost.count(), 0);
    assert_eq!(by_key.len(), taken.len());
}

#[test]
fn nothing_is_lost_reordered_or_changed_under_misbehaviour_by_seed() {
    let bad: Vec<_> = Behaviour::ALL.into_iter().filter(|b| !b.refuses()).collect();
    for seed in [1, 2] {
        let schedule = Schedule::seeded(seed, 0.4, &bad).slow_by(Duration::from_millis(30));
        let receiver = receiver(schedule);
        let options = json!({"answer_timeout_ms": 100, "refresh": true});
        let mut sink = sink_to(&receiver.address().to_string(), &options);
        let taken = deliver_all(sink.as_mut(), 25, 2);
        let arrivals = receiver.ledger().arrivals();
        println!("seed {seed}: sent {}, {}, lost 0", taken.len(), receiver.ledger().summary());
        nothing_lost(&arrivals, &taken);
        assert!(arrivals.iter().any(|a| a.duplicate), "the receiver behaved too well");
    }
}

#[test]
fn an_absent_receiver_costs_no_more_than_the_budget() {
    let mut sink = sink_to(&free_port(), &json!({}));
    assert!(matches!(sink.probe(BUDGET), Err(SinkError::Retry(_))));
    assert!(matches!(sink.deliver(&alert(1, 0, 2), BUDGET), Err(SinkError::Retry(_))));
    assert!(matches!(sink.tick(BUDGET), Err(SinkError::Retry(_))));
    let silent = receiver(Schedule::scripted(&[Behaviour::Silent]));
    let mut sink = sink_to(&silent.address().to_string(), &json!({"answer_timeout_ms": 5_000}));
    let (budget, began) = (Duration::from_millis(150), Instant::now());
    assert!(matches!(sink.deliver(&alert(1, 0, 2), budget), Err(SinkError::Retry(_))));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn open_alerts_are_said_again_after_a_reconnect_and_ended_ones_are_not() {
    let receiver = receiver(Schedule::well());
    let mut sink = sink_to(&receiver.address().to_string(), &json!({"refresh": true}));
    for (n, rev) in [(1, 0), (2, 0), (1, 1), (2, 2)] {
        sink.deliver(&alert(n, rev, 2), BUDGET).expect("taken");
    }
    sink.tick(BUDGET).expect("well");
    assert_eq!(receiver.ledger().arrivals().len(), 4, "no refresh without a reconnect");
    receiver.behave(Schedule::scripted(&[Behaviour::CloseAfter]));
    sink.deliver(&alert(3, 0, 2), BUDGET).expect("taken");
    let until = Instant::now() + PATIENCE;
    while receiver.ledger().arrivals().len() < 7 && Instant::now() < until {
        sink.tick(BUDGET).expect("reconnects");
    }
    let arrivals = receiver.ledger().arrivals();
    let again: Vec<_> = arrivals[5..].iter().map(|a| (a.id.clone(), a.rev, a.phase.as_str())).collect();
    assert_eq!(again, [(alert(1, 1, 2).id.0, 1, "continue"), (alert(3, 0, 2).id.0, 0, "continue")]);
}

#[test]
fn an_alert_whose_end_was_refused_is_not_said_again() {
    let receiver = receiver(Schedule::scripted(&[Behaviour::Well, Behaviour::Reject, Behaviour::CloseAfter]));
    let mut sink = sink_to(&receiver.address().to_string(), &json!({"refresh": true}));
    sink.deliver(&alert(1, 0, 2), BUDGET).expect("taken");
    assert!(matches!(sink.deliver(&alert(1, 2, 2), BUDGET), Err(SinkError::Refused(_))));
    sink.deliver(&alert(2, 0, 2), BUDGET).expect("taken");
    let until = Instant::now() + PATIENCE;
    while receiver.ledger().arrivals().len() < 4 && Instant::now() < until {
        sink.tick(BUDGET).expect("reconnects");
    }
    sink.deliver(&alert(2, 2, 2), BUDGET).expect("taken");
    let phases: Vec<_> = receiver.ledger().arrivals().into_iter().map(|a| (a.id, a.phase)).collect();
    assert_eq!(phases.len(), 5, "{phases:?}");
    assert_eq!(phases[3], (alert(2, 0, 2).id.0, "continue".into()));
}

#[test]
fn a_sign_of_life_comes_at_its_time_and_a_last_one_at_the_end() {
    let receiver = receiver(Schedule::well());
    let mut sink = sink_to(&receiver.address().to_string(), &json!({"watchdog_s": 1, "station": "ICU^DESK"}));
    let until = Instant::now() + PATIENCE;
    while receiver.ledger().arrivals().len() < 2 && Instant::now() < until {
        sink.tick(BUDGET).expect("well");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(sink);
    let arrivals = receiver.ledger().arrivals();
    assert!(arrivals.len() >= 3 && arrivals.iter().all(|a| a.fault.is_empty()), "{arrivals:?}");
    assert!(arrivals[1].at_ms - arrivals[0].at_ms >= 900, "{arrivals:?}");
    assert_eq!((arrivals[0].phase.as_str(), arrivals[0].place.as_str()), ("continue", "ICU^DESK"));
    assert_eq!(arrivals.last().expect("one").phase, "end");
}

#[test]
fn acknowledgements_come_back_from_the_states_that_the_site_allows() {
    let receiver = receiver(Schedule::well());
    let listen = free_port();
    let mut sink = sink_to(&receiver.address().to_string(), &json!({"acks_listen": listen}));
    sink.tick(BUDGET).expect("listens");
    let id = alert(7, 0, 2).id;
    let report = |id: String, status: &'static str| {
        let listen = listen.clone();
        std::thread::spawn(move || mllp::report_status(&listen, &id, status, "12^Berger^Ida", PATIENCE))
    };
    let mut poll = |done: &std::thread::JoinHandle<_>| {
        let mut back = Vec::new();
        let until = Instant::now() + PATIENCE;
        while !done.is_finished() && Instant::now() < until {
            back.extend(sink.tick(BUDGET).expect("well"));
            std::thread::sleep(Duration::from_millis(5));
        }
        back.extend(sink.tick(BUDGET).expect("well"));
        back
    };
    for (named, status, code, expected) in [
        (id.0.clone(), "Delivered", "CA", vec![]),
        (
            id.0.clone(),
            "Accepted",
            "CA",
            vec![Back::Acknowledged { alert: id.clone(), by: "Ida Berger".into() }],
        ),
        ("nonsense".to_owned(), "Accepted", "CR", vec![]),
    ] {
        let sending = report(named, status);
        assert_eq!(poll(&sending), expected, "{status}");
        assert_eq!(sending.join().expect("ends").expect("answered"), code);
    }
    // Noise on that socket closes it and disturbs nothing.
    let mut noise = std::net::TcpStream::connect(&listen).expect("listening");
    std::io::Write::write_all(&mut noise, b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let sending = report(id.0.clone(), "Accepted");
    assert_eq!(poll(&sending).len(), 1);
}
