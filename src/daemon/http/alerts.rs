//! Alerts out of the journal, in the bytes that every destination got.

use super::app::App;
use super::problem::{Asked, Named, Problem, json_text};
use crate::daemon::archive::{ALERTS_MAX, Kept, Wanted};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write as _;

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
fn listed(kept: &[Kept]) -> String {
    let mut text = String::from("[");
    for (i, one) in kept.iter().enumerate() {
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
    let mut kept = app.ask(move |archive| archive.alerts(&wanted)).await?;
    let more = kept.len() > limit;
    kept.truncate(limit);
    let next = kept.last().map_or(since, |one| one.seq);
    Ok(json_text(format!("{{\"alerts\":{},\"next\":{next},\"more\":{more}}}", listed(&kept))))
}

/// `GET /v1/alerts/{id}`: every message about one alert, and what became of each at every destination.
pub async fn one(State(app): State<App>, Named(id): Named<String>) -> Result<Response, Problem> {
    let wanted = id.clone();
    let (kept, outcomes) =
        app.ask(move |archive| Ok((archive.alert(&wanted)?, archive.outcomes(&wanted)?))).await?;
    if kept.is_empty() {
        return Err(Problem::not_found(format!("no alert {id} in the journal")));
    }
    Ok(json_text(format!("{{\"messages\":{},\"outcomes\":{}}}", listed(&kept), json!(outcomes))))
}
