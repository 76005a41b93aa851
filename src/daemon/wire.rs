//! The two links to the broker: one that listens, one that alerts. Alerts never wait behind waveforms.
//!
//! Both speak MQTT 5 with a clean start: replayed old frames are worse than a marked gap, and the journal, not the
//! broker's session, remembers what is undelivered. Each link is polled by one task that never waits for a consumer;
//! after an error it backs off, joins again and subscribes again on every CONNACK.

use super::DaemonError;
use super::backoff::Backoff;
use super::clock::Clock;
use super::queue::Queues;
use super::secret;
use super::tally::Tally;
use crate::config::{Broker, Settings};
use contract::UtcMs;
use contract::limits::{BEDS_MAX, PAYLOAD_BYTES_MAX};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Filter, LastWill, Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// MQTT packets unacknowledged at a time, each way.
const IN_FLIGHT_MAX: u16 = 256;
/// Requests that may wait inside rumqttc.
const REQUESTS_MAX: usize = 4_096;
/// Topic, properties and header beside the largest payload.
const PACKET_OVERHEAD: usize = 4_096;

/// One message as it came.
#[derive(Debug)]
pub struct Payload {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Microseconds of the node's monotonic clock at arrival.
    pub arrived_us: u64,
    /// Wall time at arrival.
    pub arrived: UtcMs,
    /// The broker kept it: it may be old.
    pub retained: bool,
}

/// Payloads by topic, from the link to one source.
pub type Payloads = Queues<Arc<str>, Payload>;

/// A subscription and where its payloads go.
#[derive(Clone)]
pub struct Route {
    /// Topic filter.
    pub filter: String,
    /// The source's queue.
    pub queue: Arc<Payloads>,
    /// Where losses are counted.
    pub tally: Arc<Tally>,
}

/// How a link fares.
#[derive(Debug, Default)]
pub struct LinkHealth {
    joined: AtomicBool,
    since_ms: AtomicI64,
    /// Times joined.
    pub joins: AtomicU64,
    /// Payload bytes received.
    pub bytes: AtomicU64,
    /// Messages refused before any decoder: retained, unreadable topic, no route.
    pub refused: AtomicU64,
}

impl LinkHealth {
    /// Joined since; `None` = not joined.
    #[must_use]
    pub fn since(&self) -> Option<UtcMs> {
        self.joined.load(Ordering::Acquire).then(|| UtcMs(self.since_ms.load(Ordering::Relaxed)))
    }

    pub(super) fn up(&self, now: UtcMs) {
        self.since_ms.store(now.0, Ordering::Relaxed);
        self.joins.fetch_add(1, Ordering::Relaxed);
        self.joined.store(true, Ordering::Release);
    }

    /// Whether it was up.
    pub(super) fn down(&self) -> bool {
        self.joined.swap(false, Ordering::AcqRel)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DaemonError> {
    std::fs::read(path)
        .map_err(|e| DaemonError::File { path: path.display().to_string(), why: e.to_string() })
}

fn transport(broker: &Broker) -> Result<Transport, DaemonError> {
    if !broker.url.tls {
        return Ok(Transport::tcp());
    }
    let client = match (&broker.client_cert_file, &broker.client_key_file) {
        (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
        (None, None) => None,
        _ => {
            let why = "client_cert_file and client_key_file go together: give both or none";
            return Err(DaemonError::Config(why.into()));
        }
    };
    match &broker.ca_file {
        Some(ca) => Ok(Transport::tls(read(ca)?, client, None)),
        None if client.is_none() => Ok(Transport::tls_with_config(TlsConfiguration::default())),
        None => Err(DaemonError::Config("a client certificate needs broker.ca_file beside it".into())),
    }
}

/// Opens one link; `role` ends the client id. Nothing happens before it is polled.
///
/// # Errors
/// [`DaemonError`] if a file of the login or of TLS cannot be read.
pub fn open(
    settings: &Settings,
    role: &str,
    will: Option<LastWill>,
) -> Result<(AsyncClient, EventLoop), DaemonError> {
    let broker = &settings.broker;
    let id = format!("wardbeat-{}-{}-{role}", settings.site, settings.node);
    let plain_v6 = broker.url.host.contains(':') && !broker.url.tls;
    let host = if plain_v6 { format!("[{}]", broker.url.host) } else { broker.url.host.clone() };
    let mut options = MqttOptions::new(id, host, broker.url.port);
    options.set_keep_alive(Duration::from_secs(5));
    options.set_clean_start(true);
    options.set_connection_timeout(5);
    options.set_transport(transport(broker)?);
    options.set_outgoing_inflight_upper_limit(IN_FLIGHT_MAX);
    let mut properties = ConnectProperties::new();
    properties.receive_maximum = Some(IN_FLIGHT_MAX);
    properties.max_packet_size = Some((PAYLOAD_BYTES_MAX + PACKET_OVERHEAD) as u32);
    properties.request_problem_info = Some(1);
    options.set_connect_properties(properties);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(5);
    options.set_network_options(network);
    if let Some(will) = will {
        options.set_last_will(will);
    }
    if !broker.username.is_empty() {
        let password = match &broker.password_file {
            Some(file) => secret::read(file)?,
            None => String::new(),
        };
        options.set_credentials(broker.username.clone(), password);
    }
    Ok(AsyncClient::new(options, REQUESTS_MAX))
}

/// What a link says of itself while it is polled.
pub trait Watcher {
    /// CONNACK came: subscribe, publish the birth. `false` breaks the link, to try again.
    fn up(&mut self) -> bool;
    /// A packet came or a request was written.
    fn polled(&mut self, event: Event);
    /// The link broke; whatever waits inside rumqttc is dropped by `forget`.
    fn down(&mut self, forget: &mut dyn FnMut());
}

/// Polls one link until `stop`: joins, backs off, joins again.
pub async fn drive(
    mut link: EventLoop,
    mut watcher: impl Watcher,
    name: &str,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10), name);
    let mut failures = 0_u64;
    loop {
        let polled = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            polled = link.poll() => polled,
        };
        let fault = match polled {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                tracing::info!(link = name, failures, "joined the broker");
                failures = 0;
                backoff.success();
                if watcher.up() {
                    continue;
                }
                "no room for the subscriptions".to_owned()
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(event) => {
                watcher.polled(event);
                continue;
            }
            Err(ConnectionError::ConnectionRefused(code)) => format!("the broker refuses us: {code:?}"),
            Err(e) => e.to_string(),
        };
        watcher.down(&mut || {
            link.clean();
            link.pending.clear();
        });
        failures += 1;
        if failures.is_power_of_two() {
            tracing::warn!(link = name, failures, fault, "no link to the broker, trying again");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(backoff.after_failure()) => {}
        }
    }
}

/// The listening link: subscriptions in, payloads to the sources' queues.
pub struct Listener {
    /// For the subscriptions.
    pub client: AsyncClient,
    /// What to subscribe to.
    pub routes: Vec<Route>,
    /// Its health.
    pub health: Arc<LinkHealth>,
    /// For arrival times.
    pub clock: Clock,
    /// Topics heard and the routes that they take.
    pub topics: Topics,
}

/// Topics as they came, with the place of their route: looked up once, then shared by every message on them.
pub type Topics = HashMap<Arc<str>, usize>;

/// Topics kept; beyond, all are forgotten and looked up anew.
const TOPICS_MAX: usize = 8 * BEDS_MAX;

impl Watcher for Listener {
    fn up(&mut self) -> bool {
        let filter = |route: &Route| {
            let mut filter = Filter::new(route.filter.clone(), QoS::AtLeastOnce);
            // States and explanations leave on this link; a wide filter would bring each of them back.
            filter.nolocal = true;
            filter
        };
        self.client.try_subscribe_many(self.routes.iter().map(filter)).is_ok()
    }

    fn polled(&mut self, event: Event) {
        match event {
            Event::Incoming(Packet::Publish(publish)) => self.heard(&publish),
            Event::Incoming(Packet::SubAck(ack)) => {
                let refused = ack.return_codes.iter().zip(&self.routes);
                for (code, route) in
                    refused.filter(|(code, _)| !matches!(code, SubscribeReasonCode::Success(_)))
                {
                    tracing::error!(filter = route.filter, ?code, "the broker refuses the subscription");
                }
                self.health.up(self.clock.utc());
            }
            _ => {}
        }
    }

    fn down(&mut self, forget: &mut dyn FnMut()) {
        self.health.down();
        forget();
    }
}

impl Listener {
    /// The topic, shared, and its route; `None` where it is unreadable or nobody's.
    fn route(&mut self, topic: &[u8]) -> Option<(Arc<str>, &Route)> {
        let text = std::str::from_utf8(topic).ok()?;
        if let Some((topic, &at)) = self.topics.get_key_value(text) {
            return Some((topic.clone(), &self.routes[at]));
        }
        let at = self.routes.iter().position(|route| matches(&route.filter, text))?;
        if self.topics.len() == TOPICS_MAX {
            self.topics.clear();
        }
        let topic: Arc<str> = text.into();
        self.topics.insert(topic.clone(), at);
        Some((topic, &self.routes[at]))
    }

    fn heard(&mut self, publish: &Publish) {
        self.health.bytes.fetch_add(publish.payload.len() as u64, Ordering::Relaxed);
        let (clock, health) = (self.clock, self.health.clone());
        let Some((topic, route)) = self.route(&publish.topic) else {
            health.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let bytes = publish.payload.len() + topic.len() + 256;
        let payload = Payload {
            topic: topic.clone(),
            bytes: publish.payload.to_vec(),
            arrived_us: clock.micros(),
            arrived: clock.utc(),
            retained: publish.retain,
        };
        let lost = route.queue.push(topic, payload, bytes, true);
        if lost > 0 {
            route.tally.evicted.fetch_add(lost as u64, Ordering::Relaxed);
        }
    }
}

/// Whether an MQTT topic filter matches a topic.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (_, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_mqtt_says() {
        for (filter, topic, expected) in [
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a/b/c/d", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("+", "a/b", false),
            ("a/b", "a/c", false),
            ("a/b/c", "a/b", false),
            ("#", "x/y", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn half_a_client_certificate_is_refused_in_words() {
        let mut settings = Settings::default();
        settings.broker.url.tls = true;
        settings.broker.client_cert_file = Some("cert.pem".into());
        let told = open(&settings, "in", None).err().expect("refused").to_string();
        assert!(told.contains("client_key_file"), "{told}");
    }
}
