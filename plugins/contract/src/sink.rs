//! Alerts out, to one destination.

use crate::{Alert, AlertId};
use std::time::Duration;

/// The destination's proof of having taken an alert, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(pub String);

/// Why a delivery failed, by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// Try again later.
    #[error("{0}")]
    Retry(String),
    /// The destination will never take these bytes: park them and raise a technical alert.
    #[error("refused: {0}")]
    Refused(String),
}

/// What a destination sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// Somebody has seen the alert.
    Acknowledged {
        /// Which alert.
        alert: AlertId,
        /// Who, as the destination says.
        by: String,
    },
}

/// One destination kind. Blocking, on a thread of its own; must return within `budget`. Does not spawn, retry,
/// queue or log: the daemon does.
pub trait Sink: Send {
    /// Whether the destination can be reached, without sending an alert.
    ///
    /// # Errors
    /// [`SinkError`] says why not.
    fn probe(&mut self, budget: Duration) -> Result<(), SinkError>;
    /// Delivers one alert; the key for dropping repeats is its id and `rev`.
    ///
    /// # Errors
    /// [`SinkError::Retry`] or [`SinkError::Refused`].
    fn deliver(&mut self, alert: &Alert, budget: Duration) -> Result<Receipt, SinkError>;
    /// The bytes that delivering this alert would send, for people to look at; nothing is sent.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where it would not be sent.
    fn preview(&self, alert: &Alert) -> Result<Vec<u8>, SinkError> {
        serde_json::to_vec(alert).map_err(|e| SinkError::Refused(e.to_string()))
    }
    /// Called at least each second: keep-alive, refresh, acknowledgements coming back.
    ///
    /// # Errors
    /// [`SinkError`] if the link is broken.
    fn tick(&mut self, budget: Duration) -> Result<Vec<Back>, SinkError>;
}
