//! An MQTT broker inside this program, on free loopback ports: for the demo and for tests.
//!
//! What it does: runs rumqttd on threads of its own, MQTT 5 on one port and 3.1.1 on another, one router behind
//! both, payloads up to `contract::limits::PAYLOAD_BYTES_MAX`.
//! What it never does: listen beyond loopback, keep messages on disk, replace a site's own broker.
//! Door: [`Broker::start`]. Who calls it: `wardbeat demo`, the simulators' tests, the end-to-end tests.
//!
//! rumqttd offers no way to stop: dropping [`Broker`] leaves its threads and ports until the program ends. Each
//! start takes new ports, so several brokers live side by side. It logs a lost client as an error; programs that
//! show logs may want `rumqttd=off`.

use contract::limits::PAYLOAD_BYTES_MAX;
use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Why no broker could be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No free port, or no thread.
    #[error("the embedded broker found no free loopback port: {0}")]
    Io(#[from] std::io::Error),
    /// rumqttd ended or never listened.
    #[error("the embedded broker did not start: {0}")]
    Start(String),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Connections it accepts: every bed on its own, and the watchers.
const CONNECTIONS_MAX: usize = 5_000;
/// Messages kept for a slow subscriber, per topic filter: 8 segments of 8 MiB, then the oldest segment goes.
const SEGMENT_BYTES: usize = 8 << 20;
const SEGMENTS: usize = 8;
/// How long to wait for the listeners.
const START: Duration = Duration::from_secs(5);
/// Tries with other ports where somebody took one between the choice and the listening.
const TRIES: u32 = 5;

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    port: u16,
    port_v311: u16,
}

impl Broker {
    /// Starts a broker and returns when both listeners answer.
    ///
    /// # Errors
    /// [`Error`] if no loopback port is free or rumqttd does not come up within five seconds.
    pub fn start() -> Result<Self> {
        let mut last = Error::Start("not tried".into());
        for _ in 0..TRIES {
            let (port, port_v311) = free_ports()?;
            match launch(port, port_v311) {
                Ok(()) => return Ok(Self { port, port_v311 }),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Where it listens; always loopback.
    #[must_use]
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Port of MQTT 5.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Port of MQTT 3.1.1, same topics.
    #[must_use]
    pub fn port_v311(&self) -> u16 {
        self.port_v311
    }

    /// `mqtt://127.0.0.1:PORT` of MQTT 5.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://{}:{}", self.host(), self.port)
    }
}

/// Two ports that were free a moment ago; both are held until both are known.
fn free_ports() -> std::io::Result<(u16, u16)> {
    let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let two = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((one.local_addr()?.port(), two.local_addr()?.port()))
}

fn launch(port: u16, port_v311: u16) -> Result<()> {
    let (ended, over) = channel::<String>();
    // A panic inside drops the sender, which counts as ended too.
    thread::Builder::new().name("broker".into()).spawn(move || {
        let end = rumqttd::Broker::new(config(port, port_v311)).start();
        let _ = ended.send(format!("{end:?}"));
    })?;
    let deadline = Instant::now() + START;
    for port in [port, port_v311] {
        wait_for(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &over, deadline)?;
    }
    Ok(())
}

/// Waits until something listens at `addr` while rumqttd is alive.
fn wait_for(addr: SocketAddr, over: &Receiver<String>, deadline: Instant) -> Result<()> {
    loop {
        let listens = TcpStream::connect_timeout(&addr, Duration::from_millis(200)).is_ok();
        match over.try_recv() {
            Ok(end) => return Err(Error::Start(end)),
            Err(TryRecvError::Disconnected) => return Err(Error::Start("its thread panicked".into())),
            Err(TryRecvError::Empty) if listens => return Ok(()),
            Err(TryRecvError::Empty) if Instant::now() > deadline => {
                return Err(Error::Start(format!("nothing listens on {addr}")));
            }
            Err(TryRecvError::Empty) => thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn config(port: u16, port_v311: u16) -> Config {
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        // The topic and the properties travel in the same packet.
        max_payload_size: PAYLOAD_BYTES_MAX + (64 << 10),
        max_inflight_count: 500,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = |name: &str, port: u16| {
        let settings = ServerSettings {
            name: name.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            tls: None,
            next_connection_delay_ms: 0,
            connections: connections.clone(),
        };
        Some(HashMap::from([(name.to_string(), settings)]))
    };
    Config {
        id: 0,
        router: RouterConfig {
            max_connections: CONNECTIONS_MAX,
            max_outgoing_packet_count: 500,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            custom_segment: None,
            initialized_filters: None,
            shared_subscriptions_strategy: rumqttd::Strategy::default(),
        },
        v4: server("broker-v311", port_v311),
        v5: server("broker-v5", port),
        ws: None,
        cluster: None,
        console: None,
        bridge: None,
        prometheus: None,
        metrics: None,
    }
}

#[cfg(test)]
mod tests;
