//! Alerts out of the journal, in the bytes that every destination got.

use super::app::App;
use super::problem::{Asked, Named, Problem, json_text};
use crate::daemon::journal::{Entry, Wanted};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write as _;

/// Messages in one answer.
const ALERTS_MAX: usize = 1_000;

/// The query of `GET /v1/alerts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// After this cursor; 0 = from the oldest kept.
    #[serde(default)]
    since: i64,
    /// At most so many.
    limit: Option<usize>,
    /// Of one bed only.
    bed: Option<String>,
    /// Only alerts that have not ended: the newest message of each.
    #[serde(default)]
    open: bool,
}

/// A JSON list of messages. The bytes of each alert stay as they are, so the list is made of text.
fn listed(entries: &[Entry]) -> String {
    let mut text = String::from("[");
    for (i, one) in entries.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let (cursor, body) = (one.seq, &one.body);
        let _ = write!(text, "{comma}{{\"cursor\":{cursor},\"written\":\"{}\",\"alert\":{body}}}", one.at);
    }
    text + "]"
}

/// `GET /v1/alerts`: messages about alerts in the order of the journal. `next` is the cursor for the next question.
pub async fn all(State(app): State<App>, Asked(query): Asked<Query>) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=ALERTS_MAX).contains(&limit) {
        return Err(Problem::bad(format!("limit must be 1 to {ALERTS_MAX}")));
    }
    let since = query.since;
    let wanted = Wanted { since, max: limit + 1, bed: query.bed, open: query.open };
    let mut entries = app.ask(move |reader| reader.wanted(&wanted)).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().map_or(since, |one| one.seq);
    Ok(json_text(format!("{{\"alerts\":{},\"next\":{next},\"more\":{more}}}", listed(&entries))))
}

/// `GET /v1/alerts/{id}`: every message about one alert, and what became of each at every destination.
pub async fn one(State(app): State<App>, Named(id): Named<String>) -> Result<Response, Problem> {
    let wanted = id.clone();
    let (entries, outcomes) =
        app.ask(move |reader| Ok((reader.all_of(&wanted)?, reader.outcomes(&wanted)?))).await?;
    if entries.is_empty() {
        return Err(Problem::not_found(format!("no alert {id} in the journal")));
    }
    Ok(json_text(format!("{{\"messages\":{},\"outcomes\":{}}}", listed(&entries), json!(outcomes))))
}
