//! A small ward for whole-process tests: a monitor that publishes sinus rhythm, a listener that remembers what it
//! heard, settings that fit both. Waits are on conditions with a deadline.

#![allow(dead_code)] // Each test binary uses its own part.

pub mod certificates;
pub mod process;

use contract::{BedId, Flags, Frame, FrameParts, LeadId, Mode, Ratio, UtcMs, topic};
use patient::{Lead, Patient, Profile};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{Client, Event, MqttOptions};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wardbeat::config::{BrokerUrl, Settings, Source};

pub const PATIENCE: Duration = Duration::from_secs(40);

/// Waits for a condition; panics with `what` where it does not come.
pub fn until(what: &str, mut met: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !met() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn bed(name: &str) -> BedId {
    BedId::new(&format!("site1/icu/{name}")).expect("valid")
}

/// Settings for a broker at `port` and a journal in `folder`.
pub fn settings(port: u16, folder: &Path) -> Settings {
    let source = |leaf: &str, decoder: &str| Source {
        topic: format!("wardbeat/v1/+/+/+/{leaf}"),
        decoder: decoder.into(),
        options: contract::Options::default(),
    };
    let mut settings = Settings::default();
    settings.broker.url = BrokerUrl { host: "127.0.0.1".into(), port, tls: false };
    settings.sources = vec![source("wave/bin", "packed"), source("#", "json")];
    settings.journal.path = folder.join("journal.sqlite");
    settings.threads = 2;
    // Any free port: tests run beside each other.
    settings.http.listen = "127.0.0.1:0".into();
    settings
}

/// A connection that remembers everything published below `filter`.
pub struct Listener {
    heard: Arc<Mutex<Vec<Publish>>>,
    client: Client,
}

fn connect(port: u16, name: &str) -> (Client, rumqttc::v5::Connection) {
    opened(MqttOptions::new(name, "127.0.0.1", port))
}

fn opened(mut options: MqttOptions) -> (Client, rumqttc::v5::Connection) {
    options.set_max_packet_size(Some(8 << 20));
    options.set_keep_alive(Duration::from_secs(5));
    Client::new(options, 4_096)
}

impl Listener {
    pub fn new(port: u16, name: &str, filter: &str) -> Self {
        let (client, mut connection) = connect(port, name);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (ears, voice, filter) = (heard.clone(), client.clone(), filter.to_owned());
        let joined = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = joined.clone();
        std::thread::spawn(move || {
            for polled in connection.iter() {
                match polled {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        let _ = voice.try_subscribe(filter.clone(), QoS::AtLeastOnce);
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        told.store(true, std::sync::atomic::Ordering::Release);
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        ears.lock().expect("whole").push(publish);
                    }
                    Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return,
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        until("the listener joins", || joined.load(std::sync::atomic::Ordering::Acquire));
        Self { heard, client }
    }

    /// Everything heard on topics that end with `leaf`, as JSON; an empty payload is null.
    pub fn json(&self, leaf: &str) -> Vec<(String, serde_json::Value)> {
        let heard = self.heard.lock().expect("whole");
        let told = heard.iter().map(|p| (String::from_utf8_lossy(&p.topic).into_owned(), p.payload.clone()));
        told.filter(|(topic, _)| topic.ends_with(leaf))
            .map(|(topic, payload)| (topic, serde_json::from_slice(&payload).unwrap_or_default()))
            .collect()
    }

    /// The last publish on `topic`.
    pub fn last(&self, topic: &str) -> Option<Publish> {
        let heard = self.heard.lock().expect("whole");
        heard.iter().rev().find(|p| p.topic == topic.as_bytes()).cloned()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.client.try_disconnect();
    }
}

/// Wall time.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// A bedside monitor with lead II at 250 Hz, a frame a second of sample time.
pub struct Monitor {
    bed: BedId,
    patient: Patient,
    epoch: u32,
    second: u64,
}

impl Monitor {
    pub fn new(name: &str, seed: u64) -> Self {
        let patient = Patient::new(seed, Profile::default());
        Self { bed: bed(name), patient, epoch: seed as u32 + 1, second: 0 }
    }

    /// The next second as a JSON frame, stamped with the time of its sending.
    pub fn frame(&mut self) -> Vec<u8> {
        self.frame_at(now_ms())
    }

    /// The next second as a JSON frame, its sample 0 at `t0_ms`.
    pub fn frame_at(&mut self, t0_ms: i64) -> Vec<u8> {
        self.frame_with(|parts| parts.t0 = Some(UtcMs(t0_ms)))
    }

    /// The next second, changed before it is written.
    pub fn frame_with(&mut self, change: impl FnOnce(&mut FrameParts)) -> Vec<u8> {
        let n0 = self.second * 250;
        let samples_mv = self.patient.samples(250.0, n0, 250, &[Lead::II]).remove(0);
        let mut parts = FrameParts {
            bed: self.bed.clone(),
            epoch: self.epoch,
            seq: self.second as u32,
            n0,
            rate: Ratio::hz(250).expect("valid"),
            t0: Some(UtcMs(now_ms())),
            flags: Flags { first: self.second == 0, ..Flags::default() },
            mode: Mode::Test,
            leads: vec![LeadId::new("II").expect("valid")],
            samples_mv,
        };
        self.second += 1;
        change(&mut parts);
        decoder_json::encode(&Frame::new(parts).expect("valid"), decoder_json::Unit::Millivolt)
    }

    pub fn topic(&self) -> String {
        topic::of(&self.bed, topic::WAVE_JSON)
    }
}

/// A connection that publishes.
pub struct Voice(Client);

impl Voice {
    pub fn new(port: u16, name: &str) -> Self {
        Self::over(MqttOptions::new(name, "127.0.0.1", port))
    }

    /// Over a connection of the test's own making (TLS, a login).
    pub fn over(options: MqttOptions) -> Self {
        let (client, mut connection) = opened(options);
        std::thread::spawn(move || {
            for polled in connection.iter() {
                match polled {
                    Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return,
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        Self(client)
    }

    pub fn say(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.0.publish(topic, QoS::AtLeastOnce, false, payload.into()).expect("link is up");
    }

    pub fn keep(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.0.publish(topic, QoS::AtLeastOnce, true, payload.into()).expect("link is up");
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        let _ = self.0.try_disconnect();
    }
}

/// A mosquitto without persistence: killed, it forgets everything.
pub struct Mosquitto(Child);

impl Mosquitto {
    pub fn start(port: u16, folder: &Path) -> Option<Self> {
        Self::with(port, folder, "allow_anonymous true\n")
    }

    /// With more lines for its one listener; `None` where there is no mosquitto.
    pub fn with(port: u16, folder: &Path, listener: &str) -> Option<Self> {
        let config = folder.join("mosquitto.conf");
        // Started as root, it would become a user that may not read the test's files.
        let text = format!("listener {port} 127.0.0.1\n{listener}persistence false\nuser root\n");
        std::fs::write(&config, text).expect("writes");
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        let child = Command::new("mosquitto")
            .env("PATH", path)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        until("mosquitto listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self(child))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}
