//! What the HTTP door may read.

use super::problem::Problem;
use crate::daemon::journal::Reader;
use crate::daemon::recorder::Tapes;
use crate::daemon::running::Shared;
use axum::http::StatusCode;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// The parts.
pub struct Parts {
    /// What of the daemon may be read while it runs.
    pub shared: Arc<Shared>,
    /// The journal, opened so that it cannot be written.
    pub reader: Arc<Mutex<Reader>>,
    /// The model's card, Markdown.
    pub card: String,
    /// The recordings, where there are any.
    pub tapes: Option<Tapes>,
}

/// The parts, shared by all requests.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl App {
    /// Shares the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Asks the journal, on a thread that may wait for the disk.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let reader = self.reader.clone();
        let ask = move || question(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        let answer = tokio::task::spawn_blocking(ask).await;
        let fault = match answer {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(e)) => e.to_string(),
            Err(e) => e.to_string(),
        };
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the journal does not answer: {fault}")))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
