//! This program as one of the processes that a part needs: a broker, a listener, an engine behind a line protocol.

use crate::network;
use anyhow::{Context, Result};
use clap::Subcommand;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{Client, Event, MqttOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::stdin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Subcommand)]
#[command(hide = true)]
pub enum Role {
    /// The embedded broker; prints its port.
    Broker,
    /// Hears the daemon's status and states; see [`Heard`].
    Listener {
        port: u16,
        beds: usize,
        /// Seconds after the first state that count in no quantile.
        skip_s: u64,
        /// Whether the beds' frames are spread over a second.
        spread: u8,
    },
    /// The program `monitor` of the simulators, with its own arguments.
    Monitors {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// candle behind the peers' line protocol.
    Candle,
}

pub fn play(role: Role) -> Result<()> {
    match role {
        Role::Broker => {
            let broker = broker::Broker::start()?;
            println!("{}", broker.port());
            stdin().lines().for_each(drop);
            Ok(())
        }
        Role::Listener { port, beds, skip_s, spread } => listen(port, beds, skip_s, spread > 0),
        Role::Monitors { arguments } => monitor::main(std::iter::once("monitor".into()).chain(arguments)),
        Role::Candle => network::candle(stdin().lines()),
    }
}

/// What a listener heard, printed as JSON when its input ends.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Heard {
    /// States: one for each hop of each bed.
    pub states: u64,
    /// Of those, hops that the network read.
    pub readings: u64,
    /// Beds heard of.
    pub beds: usize,
    /// From the moment at which a frame was due to leave its monitor to the arrival of the state that it closed, in
    /// ms: monitor, broker, daemon and broker again.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

#[derive(Default)]
struct Ear {
    heard: Heard,
    names: BTreeSet<String>,
    first: Option<Instant>,
    late_ms: Vec<f64>,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    end: Option<contract::UtcMs>,
    #[serde(default)]
    entropy: Option<f64>,
}

/// `site1/icu/b017` is bed 16 of the ward.
fn place(topic: &str) -> Option<(&str, usize)> {
    let bed = topic.split('/').nth(4)?;
    Some((bed, bed.strip_prefix('b')?.parse::<usize>().ok()?.checked_sub(1)?))
}

impl Ear {
    fn state(&mut self, publish: &Publish, beds: usize, skip_s: u64, spread: bool) {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64() * 1e3);
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let Some((bed, place)) = place(&topic) else { return };
        let Ok(state) = serde_json::from_slice::<State>(&publish.payload) else { return };
        self.heard.states += 1;
        self.heard.readings += u64::from(state.entropy.is_some());
        if !self.names.contains(bed) {
            self.names.insert(bed.into());
        }
        let first = *self.first.get_or_insert_with(Instant::now);
        let (true, Some(end)) = (first.elapsed().as_secs() >= skip_s, state.end) else { return };
        // A monitor sends a frame a share of a second after its last sample, bed by bed.
        let phase_ms = if spread { place as f64 / beds as f64 * 1e3 } else { 0.0 };
        self.late_ms.push(now_ms - end.0 as f64 - 4.0 - phase_ms);
    }

    fn told(mut self) -> Heard {
        self.late_ms.sort_by(f64::total_cmp);
        let at = |q: f64| {
            let last = self.late_ms.len().saturating_sub(1) as f64;
            self.late_ms.get((q * last).round() as usize).copied().unwrap_or(0.0)
        };
        let (p50_ms, p99_ms, max_ms) = (at(0.5), at(0.99), at(1.0));
        Heard { beds: self.names.len(), p50_ms, p99_ms, max_ms, ..self.heard }
    }
}

fn listen(port: u16, beds: usize, skip_s: u64, spread: bool) -> Result<()> {
    let mut options = MqttOptions::new(format!("listener-{}", std::process::id()), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(5));
    options.set_max_packet_size(Some(1 << 20));
    let (client, mut link) = Client::new(options, 16);
    let mut network = link.eventloop.options.network_options();
    network.set_tcp_nodelay(true);
    link.eventloop.options.set_network_options(network);
    for filter in ["wardbeat/v1/+/_node/+/status", "wardbeat/v1/+/+/+/state"] {
        client.subscribe(filter, QoS::AtMostOnce)?;
    }
    let ear = Arc::new(Mutex::new(Ear::default()));
    let hearing = ear.clone();
    std::thread::spawn(move || {
        for event in link.iter() {
            match event {
                Ok(Event::Incoming(Packet::SubAck(_))) => println!("listening"),
                Ok(Event::Incoming(Packet::Publish(publish))) if publish.topic.ends_with(b"/status") => {
                    let online = publish.payload.windows(8).any(|w| w == b"\"online\"");
                    println!("{}", if online { "online" } else { "offline" });
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let mut ear = hearing.lock().unwrap_or_else(PoisonError::into_inner);
                    ear.state(&publish, beds, skip_s, spread);
                }
                Ok(_) => {}
                Err(fault) => return println!("broken: {fault}"),
            }
        }
    });
    stdin().lines().for_each(drop);
    let ear = std::mem::take(&mut *ear.lock().unwrap_or_else(PoisonError::into_inner));
    println!("{}", serde_json::to_string(&ear.told()).context("plain numbers")?);
    Ok(())
}
