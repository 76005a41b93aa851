use super::*;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use std::time::Duration;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// Connects with MQTT 5, subscribes to everything and returns the next publish that arrives.
async fn next_publish(port: u16, ready: tokio::sync::oneshot::Sender<()>) -> (String, usize) {
    use rumqttc::v5::{AsyncClient, Event, MqttOptions, mqttbytes::QoS, mqttbytes::v5::Packet};
    let mut options = MqttOptions::new("reader", "127.0.0.1", port);
    options.set_max_packet_size(Some(2 << 20));
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe("#", QoS::AtLeastOnce).await.expect("queued");
    let mut ready = Some(ready);
    loop {
        match events.poll().await.expect("connected") {
            Event::Incoming(Packet::SubAck(_)) => {
                let _ = ready.take().expect("one subscription").send(());
            }
            Event::Incoming(Packet::Publish(p)) => {
                return (String::from_utf8_lossy(&p.topic).into(), p.payload.len());
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_largest_payload_goes_from_mqtt_311_to_mqtt_5() {
    let broker = Broker::start().expect("a broker");
    let (ready, subscribed) = tokio::sync::oneshot::channel();
    let reader = tokio::spawn(next_publish(broker.port(), ready));
    timeout(PATIENCE, subscribed).await.expect("in time").expect("subscribed");
    let mut options = MqttOptions::new("writer", broker.host(), broker.port_v311());
    options.set_max_packet_size(2 << 20, 2 << 20);
    let (client, mut events) = AsyncClient::new(options, 10);
    client.publish("a/b", QoS::AtLeastOnce, false, vec![7; PAYLOAD_BYTES_MAX]).await.expect("queued");
    let accepted = async {
        while !matches!(events.poll().await.expect("connected"), Event::Incoming(Packet::PubAck(_))) {}
    };
    timeout(PATIENCE, accepted).await.expect("accepted in time");
    let found = timeout(PATIENCE, reader).await.expect("arrived in time").expect("no panic");
    assert_eq!(found, ("a/b".into(), PAYLOAD_BYTES_MAX));
}

#[test]
fn brokers_live_side_by_side() {
    let (one, two) = (Broker::start().expect("a broker"), Broker::start().expect("another"));
    let mut ports = vec![one.port(), one.port_v311(), two.port(), two.port_v311()];
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4);
    assert_eq!(one.url(), format!("mqtt://127.0.0.1:{}", one.port()));
}
