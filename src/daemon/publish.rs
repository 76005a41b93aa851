//! What Wardbeat says over MQTT: alerts, the state of each bed, the node's own status (`docs/wire.md`).

use super::command::Acknowledged;
use super::journal::Reader;
use super::outlet::{Message, Outlet};
use super::wire::LinkHealth;
use crate::config::Settings;
use crate::snapshot::NodeView;
use contract::{Alert, Answer, Back, Code, Finding, Mode, Phase, Receipt, Sink, SinkError, UtcMs, topic};
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{LastWill, LastWillProperties, PublishProperties};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const JSON: &str = "application/json";
/// Seconds that a bed's retained state outlives its node.
const STATE_EXPIRY_S: u32 = 60;
/// Seconds that an explanation is worth sending.
const EXPLAIN_EXPIRY_S: u32 = 10;
/// Seconds that the answer to a command is worth sending.
const REPLY_EXPIRY_S: u32 = 30;
/// The longest reply topic.
const REPLY_TOPIC_BYTES_MAX: usize = 512;
/// Seconds that a transition waits at the broker for a receiver that is away.
const TRANSITION_EXPIRY_S: u32 = 86_400;

/// Properties of a JSON message of ours.
pub(super) fn properties(node: &str, expiry_s: Option<u32>) -> PublishProperties {
    PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: expiry_s,
        content_type: Some(JSON.into()),
        user_properties: vec![("wb-node".into(), node.into())],
        ..PublishProperties::default()
    }
}

fn status_topic(settings: &Settings) -> String {
    format!("{}/{}/_node/{}/status", topic::ROOT, settings.site, settings.node)
}

/// The node's last will: its status, `offline`, retained.
#[must_use]
pub fn last_will(settings: &Settings) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: None,
        payload_format_indicator: Some(1),
        message_expiry_interval: None,
        content_type: Some(JSON.into()),
        response_topic: None,
        correlation_data: None,
        user_properties: vec![("wb-node".into(), settings.node.clone())],
    };
    let payload = json!({"v": 1, "node": settings.node, "state": "offline"}).to_string();
    LastWill::new(status_topic(settings), payload, QoS::AtLeastOnce, true, Some(properties))
}

/// The node's status, retained: `online` at birth and whenever it changes, `stopped` when it leaves in order.
#[must_use]
pub fn status(settings: &Settings, state: &str, node: &NodeView, now: UtcMs) -> Message {
    let payload = json!({
        "v": 1, "node": settings.node, "state": state, "at": now,
        "version": env!("CARGO_PKG_VERSION"), "engine": node.engine, "model": node.model, "config": node.config,
        "engine_delay_ms": node.engine_delay_ms, "undelivered": node.undelivered, "troubles": node.troubles,
        "limits": Alert::LIMITS,
    });
    Message {
        topic: status_topic(settings),
        payload: payload.to_string().into_bytes(),
        retain: true,
        properties: properties(&settings.node, None),
    }
}

/// The alert as it stands, retained under its bed and code; an alert that ended clears the topic.
#[must_use]
pub fn standing(alert: &Alert, bytes: &[u8], node: &str) -> Message {
    Message {
        topic: format!("{}/{}/alert/{}", topic::ROOT, alert.bed, alert.code),
        payload: if alert.phase == Phase::End { Vec::new() } else { bytes.to_vec() },
        retain: true,
        properties: properties(node, None),
    }
}

fn transition(alert: &Alert, bytes: Vec<u8>, node: &str) -> Message {
    Message {
        topic: format!("{}/{}/event", topic::ROOT, alert.bed),
        payload: bytes,
        retain: false,
        properties: properties(node, Some(TRANSITION_EXPIRY_S)),
    }
}

/// Somebody has seen an alert: said once, beside its other transitions.
#[must_use]
pub fn seen(ack: &Acknowledged, node: &str) -> Message {
    let Acknowledged { bed, alert, rev, by, at } = ack;
    let payload =
        json!({"v": 1, "type": "alert.ack", "id": alert, "rev": rev, "bed": bed, "by": by, "at": at});
    Message {
        topic: topic::of(bed, "event"),
        payload: payload.to_string().into_bytes(),
        retain: false,
        properties: properties(node, Some(TRANSITION_EXPIRY_S)),
    }
}

/// The answer to a command, where its sender asked for one below the site's reply topic.
#[must_use]
pub fn reply(site: &str, node: &str, asked: Option<&PublishProperties>, answer: &Answer) -> Option<Message> {
    let asked = asked?;
    let topic = asked.response_topic.clone()?;
    let below = topic.strip_prefix(&format!("{}/{site}/_reply/", topic::ROOT))?;
    let fit = !below.is_empty() && !below.contains(['+', '#']) && topic.len() <= REPLY_TOPIC_BYTES_MAX;
    fit.then(|| Message {
        topic: topic.clone(),
        payload: serde_json::to_vec(answer).unwrap_or_default(),
        retain: false,
        properties: PublishProperties {
            correlation_data: asked.correlation_data.clone(),
            ..properties(node, Some(REPLY_EXPIRY_S))
        },
    })
}

/// MQTT as a destination like any other: delivered means that the broker confirmed both messages.
pub struct MqttSink {
    /// The alerting link.
    pub outlet: Outlet,
    /// Its health.
    pub health: Arc<LinkHealth>,
    /// The join at which the open alerts were last retained.
    pub seen_join: u64,
    /// The journal, for the open alerts.
    pub reader: Reader,
    /// The node's name.
    pub node: String,
}

impl MqttSink {
    /// The name of its cursor.
    pub const NAME: &'static str = "mqtt";

    /// A broker that came back may have forgotten what it retained: the open alerts are said again, as standing
    /// alerts, not as transitions.
    fn say_open_again(&self, budget: Duration) -> Result<(), String> {
        let cursor = self.reader.cursor(Self::NAME).map_err(|e| e.to_string())?;
        for entry in self.reader.open_alerts(cursor).map_err(|e| e.to_string())? {
            let bytes = serde_json::to_vec(&entry.alert).map_err(|e| e.to_string())?;
            self.outlet.send(standing(&entry.alert, &bytes, &self.node))?.wait(budget)?;
        }
        Ok(())
    }
}

impl Sink for MqttSink {
    fn probe(&mut self, _: Duration) -> Result<(), SinkError> {
        Ok(())
    }

    fn deliver(&mut self, alert: &Alert, budget: Duration) -> Result<Receipt, SinkError> {
        let bytes = serde_json::to_vec(alert).map_err(|e| SinkError::Refused(e.to_string()))?;
        // A test of the way to the nurse call stands for nothing, and must not clear what does.
        let stands = !(alert.code == Code::Node && alert.mode == Mode::Test);
        let standing = stands.then(|| standing(alert, &bytes, &self.node));
        // One after the other: a broker whose TCP gathers small answers keeps the second of two until the first is
        // acknowledged, which ours delays by 40 ms. Then a burst of alerts waits for seconds.
        for message in standing.into_iter().chain([transition(alert, bytes, &self.node)]) {
            self.outlet.send(message).and_then(|told| told.wait(budget / 2)).map_err(SinkError::Retry)?;
        }
        Ok(Receipt("puback".into()))
    }

    fn tick(&mut self, budget: Duration) -> Result<Vec<Back>, SinkError> {
        let join = self.health.joins.load(Ordering::Relaxed);
        if join != self.seen_join && self.health.since().is_some() {
            self.say_open_again(budget).map_err(SinkError::Retry)?;
            self.seen_join = join;
        }
        Ok(Vec::new())
    }
}

/// State and explanations: the newest is all that counts, so they are dropped where the link has no room.
#[derive(Clone)]
pub struct Murmur {
    /// The listening link's client.
    pub client: AsyncClient,
    /// What the site wants published.
    pub settings: Arc<Settings>,
    /// Messages dropped.
    pub dropped: Arc<AtomicU64>,
}

impl Murmur {
    fn say(&self, topic: String, payload: &Value, retain: bool, expiry_s: u32) {
        let properties = properties(&self.settings.node, Some(expiry_s));
        let sent = self.client.try_publish_with_properties(
            topic,
            QoS::AtMostOnce,
            retain,
            payload.to_string(),
            properties,
        );
        if sent.is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says what one hop showed, as far as the site wants it.
    pub fn hop(&self, finding: &Finding, lag_ms: u64) {
        if self.settings.publish.state {
            self.say(topic::of(&finding.bed, "state"), &state(finding, lag_ms), true, STATE_EXPIRY_S);
        }
        if self.settings.publish.explain {
            let labels = self.settings.display.show_labels;
            let told = explanation(finding, labels);
            self.say(topic::of(&finding.bed, "explain"), &told, false, EXPLAIN_EXPIRY_S);
        }
    }
}

/// Three decimals say all that a reading is worth.
fn rounded(v: f32) -> f64 {
    (f64::from(v) * 1_000.0).round() / 1_000.0
}

fn state(finding: &Finding, lag_ms: u64) -> Value {
    let mut told = json!({
        "v": 1, "bed": finding.bed, "epoch": format!("{:08x}", finding.epoch), "window": finding.window,
        "from_n": finding.from_n, "to_n": finding.to_n, "end": finding.end, "mode": finding.mode,
        "quality": rounded(finding.coverage), "leads": finding.leads, "lag_ms": lag_ms,
    });
    match &finding.reading {
        Ok(reading) => {
            told["cluster"] = json!(reading.cluster.last());
            told["entropy"] = json!(rounded(reading.window_entropy));
            told["novelty"] = json!(rounded(reading.window_novelty));
        }
        Err(why) => told["not_read"] = json!(why),
    }
    told
}

/// Classes and their probabilities stay out unless the site shows labels (research only).
fn explanation(finding: &Finding, labels: bool) -> Value {
    let mut told = json!(finding);
    told["v"] = json!(1);
    if !labels && let Some(reading) = told.pointer_mut("/reading/Ok").and_then(Value::as_object_mut) {
        for key in ["evidence", "class_logit", "class_prob", "surrogate_prob"] {
            reading.remove(key);
        }
    }
    told
}
