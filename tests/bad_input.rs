//! What may go wrong on the wire, through the real program: every kind is refused in words or shown as the bed's
//! technical state, counted, and changes nothing for another bed; memory stays bounded.

mod ward;

use contract::{LeadId, UtcMs, topic};
use ward::process::{Daemon, config};
use ward::{Listener, Monitor, Voice, bed, until};

/// Growth allowed to everything below: about 20 MB of refused payloads pass through.
const GROWTH_BYTES_MAX: u64 = 96 << 20;
/// Windows that twelve frames of one second are sure to give.
const WINDOWS: usize = 11;

fn wave(name: &str) -> String {
    topic::of(&bed(name), topic::WAVE_JSON)
}

/// A frame of `name` with other words for rate and samples.
fn frame(name: &str, rate: &str, samples: &str) -> Vec<u8> {
    format!(
        r#"{{"v":1,"bed":"site1/icu/{name}","epoch":"1","seq":0,"n0":0,"rate_hz":{rate},"unit":"mV","lsb":1,"leads":{{"II":[{samples}]}}}}"#
    )
    .into_bytes()
}

/// Topic, payload and what the log must say of it.
fn refused() -> Vec<(String, Vec<u8>, &'static str)> {
    let mut whole = Monitor::new("truncated", 3).frame();
    whole.truncate(whole.len() / 2);
    let elsewhere = Monitor::new("elsewhere", 4).frame();
    vec![
        (wave("truncated"), whole, "EOF while parsing"),
        (wave("empty"), Vec::new(), "EOF while parsing"),
        (wave("types"), br#"{"v":1,"bed":7,"leads":"II"}"#.to_vec(), "invalid type"),
        (wave("nan"), frame("nan", "250", "0.1,NaN"), "expected"),
        (wave("infinite"), frame("infinite", "250", "1e39"), "number out of range"),
        (wave("loud"), frame("loud", "250", "5000"), "5000 mV is outside"),
        (wave("negative"), frame("negative", "-250", "0.1"), "is not a sampling rate such as 250"),
        (wave("fast"), frame("fast", "100000", "0.1"), "is outside 50 to 2000 Hz"),
        (wave("other"), elsewhere, "payload is for bed \"site1/icu/elsewhere\""),
        (wave("future"), br#"{"v":9}"#.to_vec(), "frame version 9 is not known"),
        (wave("nested"), b"[".repeat(100_000), "expected"),
        (wave("blank"), vec![b' '; 1_000_000], "EOF while parsing"),
        (topic::of(&bed("bytes"), topic::WAVE_BIN), vec![0xff; 4_000], "payload refused"),
        (topic::of(&bed("birth"), topic::META), b"{}".to_vec(), "missing field"),
        (topic::of(&bed("link"), topic::LINK), b"perhaps".to_vec(), "must be online or offline"),
        ("wardbeat/v1/site1/icu/b0 7/wave/json".into(), b"{}".to_vec(), "b0 7"),
    ]
}

#[test]
fn bad_input_is_refused_in_words_and_counted_and_leaves_other_beds_and_memory_alone() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let listener = Listener::new(broker.port(), "listener", "wardbeat/v1/#");
    let voice = Voice::new(broker.port(), "monitor");
    let mut daemon = Daemon::start(folder.path(), &config(folder.path(), &broker.url(), "", ""));
    until("it is online", || listener.json("/status").iter().any(|(_, told)| told["state"] == "online"));
    let mut good = Monitor::new("good", 2);
    let mut say_good = |count: usize| (0..count).for_each(|_| voice.say(&good.topic(), good.frame()));
    let windows = || listener.json("/good/state").len();
    say_good(10);
    until("the good bed is followed", || windows() >= 9);
    let before = daemon.resident_bytes();

    let mut bad = 0_u64;
    for (topic, payload, words) in refused() {
        voice.say(&topic, payload);
        bad += 1;
        let said = |line: &str| line.contains("payload refused") && line.contains(words);
        until(&format!("the log says {words:?} of {topic}"), || {
            daemon.log().lines().any(|line| line.contains(&topic) && said(line))
        });
    }
    for i in 0..1_000 {
        voice.say(&wave(&format!("unknown{i}")), vec![b'x'; 20_000]);
        bad += 1;
    }
    voice.keep(&topic::of(&bed("good"), "cmd/pause"), br#"{"v":1,"minutes":60}"#.to_vec());
    say_good(10);
    until("the good bed's windows", || windows() >= 19);
    let grown = daemon.resident_bytes().saturating_sub(before);
    println!("resident {} MB, grown by {} MB", before >> 20, grown >> 20);
    assert!(before > 0 && grown < GROWTH_BYTES_MAX, "grown by {grown} bytes");
    for (_, state) in listener.json("/good/state") {
        assert_eq!((&state["quality"], &state["mode"]), (&1.0.into(), &"test".into()), "{state}");
    }

    daemon.signal("TERM");
    assert_eq!(daemon.ended().code(), Some(0));
    let counters = daemon.counters();
    // The retained command may count as one more.
    let refused = counters["refused"].as_u64().expect("a count");
    assert!((bad..=bad + 1).contains(&refused), "{bad} of {counters}");
    assert_eq!(counters["beds"], 1, "{counters}");
    assert_eq!((&counters["frames_in"], &counters["frames_lost"]), (&20.into(), &0.into()), "{counters}");
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn a_clock_that_jumps_and_leads_nobody_knows_show_at_their_bed_only() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let listener = Listener::new(broker.port(), "listener", "wardbeat/v1/#");
    let voice = Voice::new(broker.port(), "monitor");
    let daemon = Daemon::start(folder.path(), &config(folder.path(), &broker.url(), "", ""));
    until("it is online", || listener.json("/status").iter().any(|(_, told)| told["state"] == "online"));
    let [mut good, mut jumps, mut strange] = ["good", "jumps", "strange"].map(|name| Monitor::new(name, 5));
    let began = 1_795_385_712_000_i64;
    for second in 0..12_i64 {
        let at = |shift: i64| Some(UtcMs(began + second * 1_000 + shift));
        voice.say(&good.topic(), good.frame_with(|parts| parts.t0 = at(0)));
        // An hour ahead from the sixth second on.
        voice.say(
            &jumps.topic(),
            jumps.frame_with(|parts| parts.t0 = at(if second < 6 { 0 } else { 3_600_000 })),
        );
        let unknown = LeadId::new("PLETH").expect("a name");
        voice.say(&strange.topic(), strange.frame_with(|p| (p.leads, p.t0) = (vec![unknown], at(0))));
    }
    let states = |name: &str| listener.json(&format!("/{name}/state"));
    until("all windows", || ["good", "jumps", "strange"].iter().all(|name| states(name).len() >= WINDOWS));
    let clock = |name: &str| listener.json(&format!("/{name}/alert/WB-CLK"));
    until("the jump is told", || !clock("jumps").is_empty());
    assert_eq!(clock("jumps")[0].1["class"], "technical");
    assert!(clock("good").is_empty() && clock("strange").is_empty());
    // Stamps only label: what the jumping bed's signal says is what the same signal says elsewhere.
    let read = |name: &str| -> Vec<_> {
        // One bed's last window may arrive a moment before the other's.
        let told = states(name).into_iter().take(WINDOWS).map(|(_, s)| s);
        told.map(|s| [&s["window"], &s["cluster"], &s["entropy"], &s["novelty"]].map(Clone::clone)).collect()
    };
    assert_eq!(read("jumps"), read("good"));
    // A bed without any lead that the network knows is not watched, and says so.
    for (_, state) in states("strange") {
        assert_eq!(state["not_read"], "lead-set", "{state}");
    }
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
