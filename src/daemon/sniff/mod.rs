//! What is on a broker: topics, their payloads, the dialect that they look like, and the config that would read them.

mod guess;

pub use guess::{Guess, Heard};

use super::DaemonError;
use super::clock::Clock;
use super::eavesdrop::listen;
use crate::config::{BrokerUrl, Settings};
use std::collections::BTreeMap;
use std::time::Duration;

/// Topics that are looked at.
const TOPICS_MAX: usize = 4_096;
/// Payloads kept of a topic.
const PAYLOADS_MAX: usize = 16;

/// Listens to `filter` for so long, then groups what came and guesses. Publishes nothing.
///
/// # Errors
/// [`DaemonError`] where the broker cannot be joined.
pub fn sniff(url: &BrokerUrl, filter: &str, patience: Duration) -> Result<Vec<Guess>, DaemonError> {
    let mut settings = Settings::default();
    settings.broker.url = url.clone();
    settings.node = "sniff".into();
    let clock = Clock::start();
    let mut topics: BTreeMap<String, Heard> = BTreeMap::new();
    listen(&settings, &[filter.to_owned()], patience, |publish| {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        if topics.len() < TOPICS_MAX || topics.contains_key(&topic) {
            let heard = topics.entry(topic).or_default();
            heard.take(&publish.payload, publish.retain, clock.micros(), PAYLOADS_MAX);
        }
    })?
    .map_err(|deaf| DaemonError::Asked(format!("{url}: {deaf}")))?;
    Ok(guess::all(&topics, clock.utc()))
}
