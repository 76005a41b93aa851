//! The sink role: alerts to the child, one at a time; the daemon sends again what was not answered.

use crate::launch::{Launch, SINK_KEYS, refuse};
use crate::link::{Link, Pace};
use contract::protocol::{FromPlugin, Role, ToPlugin};
use contract::{Alert, AlertId, Back, Options, OptionsError, Receipt, Sink, SinkError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The longest wait a child may ask for; the daemon asks again after its own back-off in any case.
const HELD_MS_MAX: u64 = 3_600_000;
/// Acknowledgements kept between two ticks.
const BACKS_MAX: usize = 256;

/// A program as destination.
pub(crate) struct ExecSink {
    link: Link,
    allow_ack: bool,
    /// Keys that the child asked to wait for.
    held: BTreeMap<String, Instant>,
    backs: Vec<Back>,
}

/// Keeps an acknowledgement where the config allows it.
fn note(backs: &mut Vec<Back>, allow_ack: bool, message: FromPlugin) {
    if let FromPlugin::Ack { alert, by } = message
        && allow_ack
        && backs.len() < BACKS_MAX
    {
        let by = by.chars().filter(|c| !c.is_control()).take(64).collect();
        backs.push(Back::Acknowledged { alert: AlertId(alert), by });
    }
}

impl ExecSink {
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        Self::paced(options, Pace::default())
    }

    pub fn paced(options: &Options, pace: Pace) -> Result<Self, OptionsError> {
        let allow_ack = match options.get("allow_ack") {
            None => false,
            Some(Value::Bool(allow)) => *allow,
            Some(_) => return Err(refuse("allow_ack", "true or false is expected")),
        };
        let launch = Launch::read(options, SINK_KEYS)?;
        let link = Link::new(launch, Role::Sink, pace);
        Ok(Self { link, allow_ack, held: BTreeMap::new(), backs: Vec::new() })
    }
}

impl Sink for ExecSink {
    fn probe(&mut self, budget: Duration) -> Result<(), SinkError> {
        self.link.ready(Instant::now() + budget).map_err(SinkError::Retry)
    }

    fn deliver(&mut self, alert: &Alert, budget: Duration) -> Result<Receipt, SinkError> {
        let now = Instant::now();
        let key = alert.key();
        self.held.retain(|_, until| *until > now);
        if self.held.contains_key(&key) {
            return Err(SinkError::Retry(format!("{} asked to wait", self.link.name())));
        }
        let message = ToPlugin::Alert { key: key.clone(), alert: Box::new(alert.clone()) };
        let line = message.line().map_err(|e| SinkError::Refused(e.to_string()))?;
        let (backs, allow_ack) = (&mut self.backs, self.allow_ack);
        let answer = self.link.ask(&line, now + budget, |message| match message {
            FromPlugin::Done { key: k }
            | FromPlugin::Retry { key: k, .. }
            | FromPlugin::Fail { key: k, .. }
                if k != key =>
            {
                None // A second answer to an earlier key changes nothing.
            }
            FromPlugin::Done { .. } | FromPlugin::Retry { .. } | FromPlugin::Fail { .. } => Some(message),
            other => {
                note(backs, allow_ack, other);
                None
            }
        });
        let name = self.link.name();
        match answer.map_err(SinkError::Retry)? {
            FromPlugin::Retry { after_ms, why, .. } => {
                self.held.insert(key, now + Duration::from_millis(after_ms.min(HELD_MS_MAX)));
                Err(SinkError::Retry(format!("{name}: {}", said(&why))))
            }
            FromPlugin::Fail { why, .. } => Err(SinkError::Refused(format!("{name}: {}", said(&why)))),
            _ => Ok(Receipt(format!("done by {name}"))),
        }
    }

    fn preview(&self, alert: &Alert) -> Result<Vec<u8>, SinkError> {
        let message = ToPlugin::Alert { key: alert.key(), alert: Box::new(alert.clone()) };
        message.line().map(String::into_bytes).map_err(|e| SinkError::Refused(e.to_string()))
    }

    fn tick(&mut self, _: Duration) -> Result<Vec<Back>, SinkError> {
        let (backs, allow_ack) = (&mut self.backs, self.allow_ack);
        self.link.idle(|message| note(backs, allow_ack, message)).map_err(SinkError::Retry)?;
        Ok(std::mem::take(&mut self.backs))
    }
}

/// The child's reason, fit for one line of a screen.
pub(crate) fn said(why: &str) -> String {
    let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    if why.trim().is_empty() { "no reason given".into() } else { why }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
