//! One MQTT connection: a task of its own polls it, counts what the broker took and announces the beds at each
//! connect. Whoever publishes never polls, and the poller never waits for room in the queue.

use crate::options::Options;
use rumqttc::v5::mqttbytes::v5::{LastWill, Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions, mqttbytes::QoS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A message of the gateway itself: birth or link, always `QoS` 1 and retained.
#[derive(Clone)]
pub(crate) struct Announcement {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// What the poller saw.
#[derive(Default)]
pub(crate) struct Counters {
    /// `QoS` 0 publishes written.
    pub written: AtomicU64,
    /// `QoS` 1 publishes confirmed.
    pub confirmed: AtomicU64,
    /// Announcements queued: they are confirmed too.
    pub announced: AtomicU64,
    pub connects: AtomicU64,
}

/// State of the link as the poller tells it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    Waiting,
    Up,
    Down(String),
}

/// A running connection.
pub(crate) struct Link {
    pub client: AsyncClient,
    pub state: watch::Receiver<State>,
    pub counters: Arc<Counters>,
    poller: JoinHandle<()>,
}

/// Frames that may wait for the socket.
const QUEUE: usize = 256;
/// Pause before a lost broker is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Largest packet: the payload limit and room for topic and properties.
const PACKET_BYTES_MAX: u32 = (contract::limits::PAYLOAD_BYTES_MAX + (64 << 10)) as u32;

impl Link {
    /// Begins to connect; `will` is published by the broker if this program vanishes.
    pub fn open(options: &Options, name: &str, will: &Announcement, births: Vec<Announcement>) -> Self {
        let mut mqtt = MqttOptions::new(name, &options.host, options.port);
        mqtt.set_keep_alive(Duration::from_secs(5));
        mqtt.set_max_packet_size(Some(PACKET_BYTES_MAX));
        mqtt.set_outgoing_inflight_upper_limit(200);
        mqtt.set_last_will(LastWill::new(&will.topic, will.payload.clone(), QoS::AtLeastOnce, true, None));
        if let Some((user, file)) = &options.login {
            let password = std::fs::read_to_string(file).unwrap_or_default();
            mqtt.set_credentials(user, password.trim_end());
        }
        let (client, mut events) = AsyncClient::new(mqtt, QUEUE + births.len());
        let mut network = events.options.network_options();
        // Else a small frame waits up to 40 ms for the previous one's confirmation.
        network.set_tcp_nodelay(true);
        events.options.set_network_options(network);
        let (tell, state) = watch::channel(State::Waiting);
        let counters = Arc::new(Counters::default());
        let poller = tokio::spawn(poll(events, client.clone(), births, tell, counters.clone()));
        Self { client, state, counters, poller }
    }

    /// Whether the link stands now.
    pub fn up(&self) -> bool {
        *self.state.borrow() == State::Up
    }

    /// Disconnects without the Will and ends the poller.
    pub async fn close(self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.client.disconnect()).await;
        drop(self.client);
        let abort = self.poller.abort_handle();
        if tokio::time::timeout(Duration::from_secs(2), self.poller).await.is_err() {
            abort.abort();
        }
    }
}

/// Confirmed and retained.
pub(crate) fn announce(client: &AsyncClient, counters: &Counters, what: &Announcement) -> bool {
    let queued =
        client.try_publish(what.topic.as_str(), QoS::AtLeastOnce, true, what.payload.clone()).is_ok();
    if queued {
        counters.announced.fetch_add(1, SeqCst);
    }
    queued
}

/// Properties of a wave frame.
pub(crate) fn wave_properties(binary: bool) -> PublishProperties {
    let content = if binary {
        "application/vnd.wardbeat.frame; v=1"
    } else {
        "application/vnd.wardbeat.frame+json; v=1"
    };
    PublishProperties {
        payload_format_indicator: Some(u8::from(!binary)),
        // A stalled link must never deliver old waves as live ones.
        message_expiry_interval: Some(10),
        content_type: Some(content.into()),
        ..PublishProperties::default()
    }
}

async fn poll(
    mut events: EventLoop,
    client: AsyncClient,
    births: Vec<Announcement>,
    tell: watch::Sender<State>,
    counters: Arc<Counters>,
) {
    use rumqttc::Outgoing;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                counters.connects.fetch_add(1, SeqCst);
                for birth in &births {
                    announce(&client, &counters, birth);
                }
                tell.send_replace(State::Up);
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                counters.confirmed.fetch_add(1, SeqCst);
            }
            // Packet identifier 0 is `QoS` 0.
            Ok(Event::Outgoing(Outgoing::Publish(0))) => {
                counters.written.fetch_add(1, SeqCst);
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(fault) => {
                tracing::warn!(%fault, "broker lost");
                tell.send_replace(State::Down(fault.to_string()));
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
