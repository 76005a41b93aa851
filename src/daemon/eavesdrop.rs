//! A connection of its own that listens for a while and publishes nothing: for `sniff` and `doctor`.

use super::DaemonError;
use super::wire;
use crate::config::Settings;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish};
use rumqttc::v5::{ConnectionError, Event};
use std::time::Duration;

/// Why nothing was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deaf {
    /// The broker cannot be reached, or breaks the link.
    Link(String),
    /// The broker refuses the login.
    Login(String),
}

impl std::fmt::Display for Deaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Link(why) => write!(f, "no link to the broker: {why}"),
            Self::Login(why) => write!(f, "the broker refuses the login: {why}"),
        }
    }
}

/// Listens to these filters with the broker of `settings`; gives each message to `take`.
///
/// # Errors
/// [`DaemonError`] where a file of the login cannot be read; inside it [`Deaf`], why the broker was not joined.
pub fn listen(
    settings: &Settings,
    filters: &[String],
    patience: Duration,
    mut take: impl FnMut(&Publish),
) -> Result<Result<(), Deaf>, DaemonError> {
    let mut settings = settings.clone();
    settings.node = format!("{}-{}", settings.node, std::process::id());
    let (client, mut link) = wire::open(&settings, "listen", None)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listening = async {
        loop {
            match link.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    let filters = filters.iter().map(|filter| Filter::new(filter.clone(), QoS::AtMostOnce));
                    // A link without room breaks, and that is told.
                    let _ = client.try_subscribe_many(filters);
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => take(&publish),
                Ok(_) => {}
                Err(ConnectionError::ConnectionRefused(code)) => return Deaf::Login(format!("{code:?}")),
                Err(e) => return Deaf::Link(e.to_string()),
            }
        }
    };
    // The time is over: that is the orderly end.
    let heard = runtime.block_on(async { tokio::time::timeout(patience, listening).await });
    Ok(heard.map_or(Ok(()), Err))
}
