//! What the HTTP door may read.

use super::problem::Problem;
use crate::daemon::archive::Archive;
use crate::daemon::recorder::Tapes;
use crate::daemon::running::Shared;
use axum::http::StatusCode;
use std::ops::Deref;
use std::sync::Arc;

/// The parts.
pub struct Parts {
    /// What of the daemon may be read while it runs.
    pub shared: Arc<Shared>,
    /// The journal, read only.
    pub archive: Arc<Archive>,
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
        question: impl FnOnce(&Archive) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let archive = self.archive.clone();
        let answer = tokio::task::spawn_blocking(move || question(&archive)).await;
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
