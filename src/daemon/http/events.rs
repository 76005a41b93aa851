//! Alerts as they are written, as server-sent events. The id of an event is its place in the journal, so that a
//! listener who comes back with `Last-Event-ID` misses nothing.

use super::app::App;
use super::problem::{Asked, Problem};
use crate::daemon::journal::{Entry, Reader, Wanted};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Listeners at a time.
const LISTENERS_MAX: usize = 64;
/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// A comment is sent after so long without an event, so that a dead link is noticed on both sides.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Events read from the journal at a time.
const BATCH_MAX: usize = 100;

/// The query of `GET /v1/events`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// After this cursor; `Last-Event-ID` goes before it. Without either: what comes from now on.
    since: Option<i64>,
}

static LISTENERS: AtomicUsize = AtomicUsize::new(0);

/// One listener's place; given back when the stream is dropped.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let taken = LISTENERS
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < LISTENERS_MAX).then_some(n + 1));
        taken.is_ok().then_some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Listening {
    app: App,
    cursor: i64,
    waiting: VecDeque<Entry>,
    _place: Arc<Place>,
}

/// `GET /v1/events`.
pub async fn stream(
    State(app): State<App>,
    headers: HeaderMap,
    Asked(query): Asked<Query>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let last =
        headers.get("last-event-id").map(|id| id.to_str().ok().and_then(|id| id.trim().parse::<i64>().ok()));
    let since = match (last, query.since) {
        (Some(None), _) => {
            return Err(Problem::bad("Last-Event-ID must be the id of an event from here: a whole number"));
        }
        (Some(given), _) | (None, given) => given,
    };
    let place = Place::take().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{LISTENERS_MAX} listeners are here already; try again later"),
        )
    })?;
    let cursor = match since {
        Some(cursor) => cursor,
        None => app.ask(Reader::newest).await?,
    };
    let listening = Listening { app, cursor, waiting: VecDeque::new(), _place: Arc::new(place) };
    let events = stream::unfold(listening, |mut listening| async {
        let entry = listening.next().await;
        let event = Event::default().id(entry.seq.to_string()).event(entry.alert.kind).data(entry.body);
        Some((Ok(event), listening))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

impl Listening {
    async fn next(&mut self) -> Entry {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                self.cursor = entry.seq;
                return entry;
            }
            let wanted = Wanted { since: self.cursor, max: BATCH_MAX, bed: None, open: false };
            // A journal that does not answer now may answer later: the cursor stays.
            self.waiting =
                self.app.ask(move |reader| reader.wanted(&wanted)).await.unwrap_or_default().into();
            if self.waiting.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}
