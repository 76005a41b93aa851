use super::*;
use broker::Broker;
use contract::{BedId, Birth, Decoder, Frame, Heard, LeadId, Link, Mode, Ratio, UtcMs};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions, mqttbytes::QoS, mqttbytes::v5::Packet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that a broker says, decoded, in order of arrival.
struct Ear {
    heard: Arc<Mutex<Vec<Heard>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Ear {
    /// Listens; returns when the subscription stands.
    async fn open(port: u16) -> Self {
        let mut options = MqttOptions::new(format!("ear-{:?}", Instant::now()), "127.0.0.1", port);
        options.set_max_packet_size(Some(2 << 20));
        let (client, events) = AsyncClient::new(options, 10);
        client.subscribe("wardbeat/v1/#", QoS::AtLeastOnce).await.expect("queued");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (ready, subscribed) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(listen(events, client, heard.clone(), ready));
        tokio::time::timeout(PATIENCE, subscribed).await.expect("in time").expect("subscribed");
        Self { heard, task }
    }

    /// Waits until `enough` and returns what was heard.
    async fn until(&self, enough: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
        let deadline = Instant::now() + PATIENCE;
        let mut found = Vec::new();
        while !enough(&found) {
            assert!(Instant::now() < deadline, "not heard in time: {} messages", found.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
            found.clone_from(&self.heard.lock().expect("not poisoned"));
        }
        found
    }

    /// Waits for the goodbye of every bed, which comes after its last frame.
    async fn until_gone(self, beds: usize) -> Vec<Heard> {
        let gone = |heard: &[Heard]| {
            let off = heard.iter().filter_map(|h| match h {
                Heard::Link(Link { bed, online: false }) => Some(bed.clone()),
                _ => None,
            });
            off.collect::<BTreeSet<_>>().len() == beds
        };
        let heard = self.until(gone).await;
        self.task.abort();
        heard
    }
}

/// Decodes what comes; the client is held so that its request channel stays open.
async fn listen(
    mut events: EventLoop,
    _client: AsyncClient,
    heard: Arc<Mutex<Vec<Heard>>>,
    ready: tokio::sync::oneshot::Sender<()>,
) {
    let mut json = decoder_json::JsonDecoder::default();
    let mut ready = Some(ready);
    loop {
        match events.poll().await.expect("connected") {
            Event::Incoming(Packet::SubAck(_)) => {
                ready.take().expect("one subscription").send(()).expect("awaited");
            }
            Event::Incoming(Packet::Publish(p)) => {
                let topic = String::from_utf8_lossy(&p.topic);
                let binary = topic.ends_with(contract::topic::WAVE_BIN);
                let decoder: &mut dyn Decoder =
                    if binary { &mut decoder_packed::PackedDecoder } else { &mut json };
                let found = decoder.decode(&topic, &p.payload, UtcMs(0)).expect("well formed");
                heard.lock().expect("not poisoned").extend(found);
            }
            _ => {}
        }
    }
}

fn bed(i: usize) -> BedId {
    BedId::new(&format!("site1/icu/b{i:02}")).expect("valid")
}

fn leads() -> Vec<LeadId> {
    ["II", "V1"].map(|n| LeadId::new(n).expect("valid")).to_vec()
}

/// `seconds` of a two-lead signal whose values tell bed, lead and sample apart, with an odd rate.
fn recorded(bed: usize, seconds: u64) -> Recorded {
    let rate = Ratio::new(125, 2).expect("valid");
    let length = rate.samples_in(seconds);
    let value = |i: u64| if i % 97 == 5 { f32::NAN } else { (i as f32 * 0.37 + bed as f32).sin() * 1.3 };
    Recorded::new(leads(), rate, (0..2 * length).map(value).collect()).expect("even")
}

fn plans(beds: usize, seconds: u64) -> Vec<BedPlan> {
    (0..beds).map(|i| BedPlan::new(bed(i), Box::new(recorded(i, seconds)))).collect()
}

fn options(broker: &Broker) -> Options {
    Options { port: broker.port(), speed: 60.0, ..Options::default() }
}

fn frames(heard: &[Heard]) -> Vec<&Frame> {
    heard.iter().filter_map(|h| if let Heard::Frame(f) = h { Some(f) } else { None }).collect()
}

/// Runs `plans` to their end; what was reported and what a subscriber heard.
async fn play(plans: Vec<BedPlan>, options: Options) -> (Report, Vec<Heard>) {
    let beds = plans.len();
    let ear = Ear::open(options.port).await;
    let (_stop, stopped) = watch::channel(false);
    let report = Monitor::new(plans, options).expect("valid").run(stopped).await.expect("a broker");
    let heard = ear.until_gone(beds).await;
    (report, heard)
}

#[tokio::test]
async fn every_sample_arrives_in_every_dialect_and_is_accounted_for() {
    let broker = Broker::start().expect("a broker");
    let exact = [(Dialect::Json, false), (Dialect::Packed, true), (Dialect::Json, true)];
    let rounded = [(Dialect::JsonMicrovolt, true), (Dialect::PackedInteger, false)];
    for (i, (dialect, confirmed)) in exact.into_iter().chain(rounded).enumerate() {
        let options = Options { dialect, confirmed, beds_per_connection: 2, ..options(&broker) };
        let (report, heard) = play(plans(3, 11), options).await;
        let frames = frames(&heard);
        assert_eq!(frames.len(), 33, "{dialect:?}");
        assert_eq!((report.frames_sent, report.frames_accepted, report.frames_measured), (33, 33, 33));
        assert_eq!((report.samples_sent, report.reconnects, report.frames_unsent), (3 * 2 * 687, 0, 0));
        let tolerance = if i < 3 { 0.0 } else { 5.1e-4 };
        for frame in frames {
            assert!(as_recorded(frame, tolerance), "{dialect:?} {} {}", frame.bed(), frame.parts().n0);
        }
    }
}

/// Whether the frame holds what [`recorded`] gives for its bed and place in time.
fn as_recorded(frame: &Frame, tolerance: f32) -> bool {
    let place: usize = frame.bed().place()[1..].parse().expect("a number");
    let mut all = vec![0.0; 2 * 687];
    recorded(place, 11).read(0, 687, &mut all);
    let same = |(a, b): (&f32, &f32)| (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance;
    (0..2).all(|lead| {
        let sent = &all[lead * 687 + frame.parts().n0 as usize..][..frame.length()];
        sent.iter().zip(frame.lead_mv(lead)).all(same)
    })
}

#[tokio::test]
async fn a_birth_comes_first_and_the_link_tells_the_end() {
    let broker = Broker::start().expect("a broker");
    let mut plans = plans(1, 3);
    plans[0].patient = Some("tok-7".into());
    plans[0].paced = true;
    let (_, heard) = play(plans, options(&broker)).await;
    let Heard::Birth(Birth { epoch, patient, paced: true, mode: Mode::Demo, rate, leads: named, .. }) =
        &heard[0]
    else {
        panic!("no birth first: {:?}", heard[0])
    };
    assert_eq!(
        (patient.as_deref(), named, rate.map(Ratio::parts)),
        (Some("tok-7"), &leads(), Some((125, 2)))
    );
    assert!(matches!(heard[1], Heard::Link(Link { online: true, .. })));
    assert!(matches!(heard.last(), Some(Heard::Link(Link { online: false, .. }))));
    let frames = frames(&heard);
    assert!(frames.iter().all(|f| Some(f.parts().epoch) == *epoch && f.parts().flags.paced));
    assert!(frames[0].parts().flags.first && !frames[1].parts().flags.first);
    // Birth and link are retained: whoever comes later knows them.
    let later = Ear::open(broker.port()).await.until_gone(1).await;
    assert!(later.iter().any(|h| matches!(h, Heard::Birth(_))), "{later:?}");
}

#[tokio::test]
async fn each_start_has_an_epoch_of_its_own() {
    let broker = Broker::start().expect("a broker");
    let mut epochs = BTreeSet::new();
    for _ in 0..3 {
        let (report, _) = play(plans(2, 1), options(&broker)).await;
        epochs.extend(report.per_bed.into_iter().map(|b| b.epoch));
    }
    assert_eq!(epochs.len(), 6);
}

#[tokio::test]
async fn faults_by_seed_are_the_same_twice_and_exactly_counted() {
    let broker = Broker::start().expect("a broker");
    let faults = Faults {
        seed: 7,
        loss: 0.1,
        duplicate: 0.1,
        reorder: 0.1,
        jump: 0.05,
        jump_ms: 3_000,
        lead_off: 0.05,
        lead_off_s: 2.0,
        ..Faults::default()
    };
    let run = || play(plans(2, 60), Options { faults: faults.clone(), epoch: Some(1), ..options(&broker) });
    let (report, heard) = run().await;
    let frames = frames(&heard);
    let unique: BTreeSet<_> = frames.iter().map(|f| (f.bed().clone(), f.parts().n0)).collect();
    assert_eq!(unique.len() as u64, report.frames_sent);
    assert_eq!(frames.len() as u64, report.frames_sent + report.frames_duplicated);
    assert_eq!(frames.len() as u64, report.frames_accepted);
    assert_eq!(report.frames_sent + report.lost_on_purpose, 120);
    let counts = [report.lost_on_purpose, report.frames_duplicated, report.frames_reordered];
    assert!(counts.iter().all(|c| (3..=30).contains(c)), "{counts:?} of 120");
    let jumps: u64 = report.per_bed.iter().map(|b| b.clock_jumps).sum();
    let off: u64 = report.per_bed.iter().map(|b| b.frames_lead_off).sum();
    assert!(jumps > 0 && off > 0, "{jumps} jumps, {off} frames with a lead off");
    let mut newest = BTreeMap::new();
    let late = |f: &&&Frame| {
        let newest = newest.entry(f.bed().clone()).or_insert(0);
        let late = f.parts().n0 < *newest;
        *newest = f.parts().n0.max(*newest);
        late
    };
    assert!(frames.iter().filter(late).count() as u64 >= report.frames_reordered / 2);
    let (again, _) = run().await;
    assert_eq!(again.per_bed, report.per_bed);
}

#[tokio::test]
async fn a_script_silences_a_bed_and_takes_a_lead_off() {
    let broker = Broker::start().expect("a broker");
    let mut plans = plans(1, 30);
    plans[0].script = vec![Act::silent(10.0, 16.0), Act::lead_off(leads()[1], 20.0, Some(25.0))];
    let (report, heard) = play(plans, options(&broker)).await;
    let second = |f: &Frame| (f.parts().n0 as f64 / 62.5).round() as u64;
    let heard: BTreeMap<u64, &Frame> = frames(&heard).into_iter().map(|f| (second(f), f)).collect();
    let silent: Vec<u64> = (0..30).filter(|s| !heard.contains_key(s)).collect();
    assert_eq!(silent, [10, 11, 12, 13, 14, 15]);
    assert_eq!(report.frames_silent, 6);
    assert!(heard[&16].parts().flags.gap_before && !heard[&17].parts().flags.gap_before);
    for (s, frame) in heard {
        let off = (20..25).contains(&s);
        assert_eq!(frame.parts().flags.lead_off, off, "second {s}");
        assert_eq!(frame.lead_mv(1).iter().all(|v| v.is_nan()), off, "second {s}");
        assert!(!frame.lead_mv(0).iter().all(|v| v.is_nan()));
    }
}

#[tokio::test]
async fn a_fast_replay_carries_the_records_own_time() {
    let broker = Broker::start().expect("a broker");
    let slope_ppm = async |drift_ppm: f64| {
        let faults = Faults { drift_ppm, ..Faults::default() };
        let (_, heard) = play(plans(1, 40), Options { faults, ..options(&broker) }).await;
        let frames = frames(&heard);
        let at = |f: &Frame| (f.parts().t0.expect("a time").0 as f64, f.parts().n0 as f64 / 62.5 * 1_000.0);
        let ((t_a, n_a), (t_b, n_b)) = (at(frames[0]), at(frames[39]));
        ((t_b - t_a) / (n_b - n_a) - 1.0) * 1e6
    };
    assert!(slope_ppm(0.0).await.abs() < 30.0, "rounding of a millisecond alone");
    assert!((slope_ppm(5_000.0).await - 5_000.0).abs() < 60.0);
}

#[tokio::test]
async fn stopping_flushes_and_says_goodbye() {
    let broker = Broker::start().expect("a broker");
    let ear = Ear::open(broker.port()).await;
    let (stop, stopped) = watch::channel(false);
    let looped = |i| BedPlan::new(bed(i), Box::new(recorded(i, 2).looped()));
    let monitor = Monitor::new((0..4).map(looped).collect(), options(&broker)).expect("valid");
    let run = tokio::spawn(monitor.run(stopped));
    ear.until(|h| frames(h).len() > 40).await;
    stop.send(true).expect("it runs");
    let report = run.await.expect("no panic").expect("a broker");
    let heard = ear.until_gone(4).await;
    assert_eq!(frames(&heard).len() as u64, report.frames_sent);
    assert_eq!(report.frames_accepted, report.frames_sent);
}

#[tokio::test]
async fn a_gateway_that_vanishes_leaves_its_last_will() {
    let broker = Broker::start().expect("a broker");
    for beds_per_connection in [1, 2] {
        let ear = Ear::open(broker.port()).await;
        let options = Options { beds_per_connection, ..options(&broker) };
        let monitor = Monitor::new(plans(2, 60), options).expect("valid");
        // A runtime of its own: dropping it cuts the connections without a word, as a power cut would.
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (_stop, stopped) = watch::channel(false);
        runtime.spawn(monitor.run(stopped));
        ear.until(|h| frames(h).len() > 4).await;
        runtime.shutdown_background();
        ear.until_gone(2).await;
    }
}

#[tokio::test]
async fn no_broker_is_said_and_bad_options_are_refused() {
    let (_stop, stopped) = watch::channel(false);
    let gone = Options { port: 1, ..Options::default() };
    let run = Monitor::new(plans(1, 1), gone).expect("valid").run(stopped).await;
    assert!(matches!(&run, Err(Error::Connect { broker, .. }) if broker == "127.0.0.1:1"), "{run:?}");
    let refuse = |options: Options| Monitor::new(plans(1, 1), options).err().expect("refused").to_string();
    assert!(refuse(Options { speed: 0.0, ..Options::default() }).contains("speed"));
    assert!(refuse(Options { frame_ms: 1, ..Options::default() }).contains("frame length"));
    let faults = Faults { loss: 2.0, ..Faults::default() };
    assert!(refuse(Options { faults, ..Options::default() }).contains("loss"));
    let twice = vec![plans(1, 1).remove(0), plans(1, 1).remove(0)];
    assert!(Monitor::new(twice, Options::default()).is_err());
}
