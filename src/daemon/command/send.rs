//! A signed command over MQTT, as the command line sends it: published to the bed's topic, answered on a topic of its own.

use super::keys::Secret;
use super::signed::Signed;
use crate::config::Settings;
use crate::daemon::clock::Clock;
use crate::daemon::{DaemonError, wire};
use contract::{Answer, BedId, Command, Status, topic};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use std::time::Duration;

/// Seconds for which the command is good.
const TTL_S: u32 = 30;

/// Signs and sends `command` for `bed`, and waits for the answer.
///
/// # Errors
/// In words: no broker, no answer within `patience`, files that cannot be read.
pub fn send(
    settings: &Settings,
    key: (&str, &Secret),
    by: &str,
    (bed, command): (&BedId, &Command),
    patience: Duration,
) -> Result<Answer, DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Clock::start();
    let no = |why: &str| DaemonError::Command(why.into());
    let mut last = None;
    // Two consoles that share a key may overtake each other: the one that lost makes a new command.
    for turn in 0..2 {
        let now = clock.utc();
        let ctr = now.0.unsigned_abs();
        let id = format!("{}-{ctr}-{turn}", std::process::id());
        let signed = Signed::new(key, by, (bed, command), (&id, ctr), (now, TTL_S));
        let answer = runtime.block_on(async {
            let (client, link) = wire::open(settings, &format!("cmd-{id}"), None)?;
            let exchange = exchange(client, link, settings, &signed);
            let in_time = tokio::time::timeout(patience, exchange).await;
            in_time.map_err(|_| no("no answer: is wardbeat running, and does it hear this broker?"))?
        })?;
        if answer.status != Status::Replayed {
            return Ok(answer);
        }
        last = Some(answer);
    }
    last.ok_or_else(|| no("no answer"))
}

async fn exchange(
    client: AsyncClient,
    mut link: EventLoop,
    settings: &Settings,
    signed: &Signed,
) -> Result<Answer, DaemonError> {
    let no = |why: String| DaemonError::Command(why);
    let reply_to = format!("{}/{}/_reply/{}", topic::ROOT, settings.site, signed.id);
    let bytes = serde_json::to_vec(signed).map_err(|e| no(e.to_string()))?;
    client.try_subscribe(&reply_to, QoS::AtLeastOnce).map_err(|e| no(e.to_string()))?;
    loop {
        match link.poll().await {
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                let properties = PublishProperties {
                    payload_format_indicator: Some(1),
                    message_expiry_interval: Some(TTL_S),
                    content_type: Some("application/json".into()),
                    response_topic: Some(reply_to.clone()),
                    correlation_data: Some(signed.id.clone().into()),
                    ..PublishProperties::default()
                };
                let to = topic::of(&signed.bed, &format!("cmd/{}", signed.verb));
                client
                    .try_publish_with_properties(to, QoS::AtLeastOnce, false, bytes.clone(), properties)
                    .map_err(|e| no(e.to_string()))?;
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let answer: Answer = serde_json::from_slice(&publish.payload)
                    .map_err(|e| no(format!("the answer cannot be read: {e}")))?;
                if answer.id == signed.id || answer.id.is_empty() {
                    let _ = client.try_disconnect();
                    let _ = link.poll().await;
                    return Ok(answer);
                }
            }
            Ok(_) => {}
            Err(e) => return Err(no(format!("broker {}: {e}", settings.broker.url))),
        }
    }
}
