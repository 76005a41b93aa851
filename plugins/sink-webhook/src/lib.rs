//! Alerts to an HTTPS receiver, signed as Standard Webhooks (`docs/plugins.md`, webhook).
//!
//! What it does: posts the alert's own JSON bytes with `webhook-id`, `webhook-timestamp`, `webhook-signature` (one per
//! live key) and `Idempotency-Key`; says from the answer's status whether it is done, to be tried again or refused.
//! What it never does: follow a redirect, use a proxy of the environment, send in the clear to another machine, keep
//! a connection: each delivery has its own, so a half-closed one can swallow nothing.
//! Door: [`ENTRY`], [`signature`] for receivers. Who calls it: `daemon/registry.rs`, the receiver simulator, tests.

mod options;
mod sign;

use contract::limits::WEBHOOK_ANSWER_BYTES_MAX;
use contract::{Alert, Back, Entry, Receipt, Sink, SinkError};
use options::Settings;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::http::Response;
use ureq::{Agent, Body};

pub use sign::{SigningKey, signature};

/// The plugin: `sink = "webhook"`.
pub const ENTRY: Entry<dyn Sink> = Entry {
    kind: "webhook",
    keys: options::KEYS,
    build: |given| Ok(Box::new(Webhook::new(Settings::read(given)?))),
};

/// What an answer's first words may fill in a reason.
const REASON_CHARS: usize = 160;

struct Webhook {
    settings: Settings,
    agent: Agent,
    /// The receiver said 410: it wants nothing more.
    gone: bool,
}

impl Webhook {
    fn new(settings: Settings) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .max_idle_connections(0)
            .max_response_header_size(WEBHOOK_ANSWER_BYTES_MAX)
            .user_agent(concat!("wardbeat/", env!("CARGO_PKG_VERSION")))
            .tls_config(settings.tls.clone())
            .build();
        Self { settings, agent: config.new_agent(), gone: false }
    }

    fn post(&self, alert: &Alert, budget: Duration) -> Result<Response<Body>, SinkError> {
        let body = serde_json::to_vec(alert).map_err(|e| SinkError::Refused(e.to_string()))?;
        let id = format!("wbe_{}_{}", alert.id, alert.rev);
        // The receiver refuses old time stamps, so a repeat is stamped and signed anew.
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let signatures: Vec<String> =
            self.settings.keys.iter().map(|key| signature(key, &id, now_s, &body)).collect();
        self.agent
            .post(&self.settings.url)
            .config()
            .timeout_global(Some(budget))
            .build()
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", now_s.to_string())
            .header("webhook-signature", signatures.join(" "))
            .header("idempotency-key", &id)
            .send(&body[..])
            .map_err(|e| SinkError::Retry(format!("{}: {e}", self.settings.host)))
    }
}

/// The beginning of an answer, for people. What cannot be read is left out: the status has said all that counts.
fn said(answer: &mut Response<Body>) -> String {
    let mut bytes = Vec::new();
    let body = answer.body_mut().as_reader();
    let _ = body.take(WEBHOOK_ANSWER_BYTES_MAX as u64 / 64).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_CHARS).collect();
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

impl Sink for Webhook {
    /// Any answer at all shows that the receiver is there.
    fn probe(&mut self, budget: Duration) -> Result<(), SinkError> {
        let asked = self.agent.head(&self.settings.url).config().timeout_global(Some(budget)).build().call();
        asked.map(drop).map_err(|e| SinkError::Retry(format!("{}: {e}", self.settings.host)))
    }

    fn deliver(&mut self, alert: &Alert, budget: Duration) -> Result<Receipt, SinkError> {
        let host = &self.settings.host;
        if self.gone {
            let why =
                format!("{host} answered 410 to an earlier alert: it wants no more; correct url and restart");
            return Err(SinkError::Refused(why));
        }
        let mut answer = self.post(alert, budget)?;
        let status = answer.status().as_u16();
        match status {
            200..=299 => return Ok(Receipt(format!("{host} answered {status}"))),
            300..=399 => {
                let to =
                    answer.headers().get("location").and_then(|v| v.to_str().ok()).unwrap_or("elsewhere");
                let why = format!("{host} answered {status} to {to:.200}; redirects are not followed");
                return Err(SinkError::Refused(why));
            }
            _ => {}
        }
        let why = format!("{host} answered {status}{}", said(&mut answer));
        match status {
            408 | 429 | 500..=599 => Err(SinkError::Retry(why)),
            410 => {
                self.gone = true;
                Err(SinkError::Refused(why))
            }
            _ => Err(SinkError::Refused(why)),
        }
    }

    fn tick(&mut self, _: Duration) -> Result<Vec<Back>, SinkError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests;
