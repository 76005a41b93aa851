//! The webhook receiver as a sender sees it.

use nurse_call::{Behaviour, Ledger, Receiver, Schedule, signature, webhook};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

const KEY: &str = "whsec_d2FyZGJlYXQtZXhhbXBsZS1rZXktMDEyMzQ1Njc4OWFi";
const BODY: &str =
    r#"{"type":"alert.start","id":"2500be5134ba93ff8ae3d893580d3c33","rev":0,"bed":"site1/icu/b07"}"#;
const ID: &str = "wbe_2500be5134ba93ff8ae3d893580d3c33_0";

fn receiver(schedule: Schedule) -> Receiver {
    webhook::receive("127.0.0.1:0", Some(KEY.into()), schedule, Ledger::default()).expect("a free port")
}

/// Posts `BODY`, signed at `age_s` seconds ago; gives the first line of the answer, empty where none came.
fn post(receiver: &Receiver, age_s: u64, key: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let time = now - age_s;
    let signature = signature::sign(key, ID, time, BODY.as_bytes()).expect("a key");
    let head = format!(
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nwebhook-id: {ID}\r\nIdempotency-Key: {ID}\r\n\
         webhook-timestamp: {time}\r\nwebhook-signature: {signature}\r\n\r\n",
        BODY.len()
    );
    let mut socket = TcpStream::connect(receiver.address()).expect("listening");
    socket.set_read_timeout(Some(Duration::from_millis(400))).expect("set");
    socket.write_all(format!("{head}{BODY}").as_bytes()).expect("sent");
    let mut bytes = [0; 1_024];
    let n = socket.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..n]).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn each_behaviour_is_seen_by_the_sender_and_stands_in_the_ledger() {
    for (behaviour, answer) in [
        (Behaviour::Well, "HTTP/1.1 204 No Content"),
        (Behaviour::Slow, "HTTP/1.1 204 No Content"),
        (Behaviour::Error, "HTTP/1.1 503 Service Unavailable"),
        (Behaviour::Reject, "HTTP/1.1 400 Bad Request"),
        (Behaviour::Gone, "HTTP/1.1 410 Gone"),
        (Behaviour::WrongId, "HTTP/1.1 302 Found"),
        (Behaviour::TwoFrames, "HTTP/1.1 204 No Content"),
        (Behaviour::CloseAfter, "HTTP/1.1 204 No Content"),
        (Behaviour::Drop, ""),
        (Behaviour::HalfClose, ""),
        (Behaviour::Silent, ""),
    ] {
        let receiver = receiver(Schedule::scripted(&[behaviour]));
        assert_eq!(post(&receiver, 0, KEY), answer, "{behaviour:?}");
        assert_eq!(post(&receiver, 0, KEY), "HTTP/1.1 204 No Content");
        let arrivals = receiver.ledger().arrivals();
        let told: Vec<_> = arrivals.iter().map(|a| (a.behaviour, a.duplicate, a.fault.as_str())).collect();
        assert_eq!(told, [(behaviour, false, ""), (Behaviour::Well, true, "")]);
        assert_eq!((arrivals[0].phase.as_str(), arrivals[0].place.as_str()), ("start", "site1/icu/b07"));
        assert_eq!(arrivals[0].sha256, arrivals[1].sha256);
    }
}

#[test]
fn a_message_that_cannot_be_believed_is_refused_and_written_down() {
    let receiver = receiver(Schedule::well());
    assert_eq!(post(&receiver, 400, KEY), "HTTP/1.1 401 Unauthorized");
    assert_eq!(post(&receiver, 0, "whsec_b3RoZXI="), "HTTP/1.1 401 Unauthorized");
    let faults: Vec<_> = receiver.ledger().arrivals().into_iter().map(|a| a.fault).collect();
    assert!(faults[0].ends_with("s away") && faults[1] == "wrong signature", "{faults:?}");
    assert!(receiver.ledger().json().contains("\"wrong signature\""));
}

#[test]
fn the_same_seed_behaves_the_same() {
    let draws = |seed| {
        let mut schedule = Schedule::seeded(seed, 0.5, &Behaviour::ALL);
        (0..200).map(|_| schedule.draw()).collect::<Vec<_>>()
    };
    assert_eq!(draws(3), draws(3));
    assert_ne!(draws(3), draws(4));
    assert!(Behaviour::ALL.iter().all(|b| draws(3).contains(b)));
}
