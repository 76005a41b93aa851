//! The beds as the screen sees them.

use super::app::App;
use super::problem::{Named, Problem, json_of};
use crate::snapshot::{BedView, Snapshot};
use axum::extract::State;
use axum::response::Response;
use contract::BedId;
use serde_json::{Value, json};

/// One bed in the list: what a table of beds shows.
fn line(bed: &BedView, snapshot: &Snapshot) -> Value {
    let open =
        |a: &&crate::snapshot::AlertView| a.bed.as_ref() == Some(&bed.bed) && a.ended.is_none() && !a.silent;
    let alerts: Vec<Value> = snapshot
        .alerts
        .iter()
        .filter(open)
        .map(|a| json!({"id": a.id, "code": a.code, "level": a.level, "onset": a.onset, "text": a.text}))
        .collect();
    json!({
        "bed": bed.bed, "label": bed.label, "unit": bed.bed.unit(),
        "state": bed.state, "state_since": bed.state_since, "state_detail": bed.state_detail, "mode": bed.mode,
        "watched": bed.state.watched(), "sample_age_ms": bed.sample_age_ms, "finding_age_ms": bed.finding_age_ms,
        "learnt_s": bed.learnt_s, "leads": bed.leads, "rate_hz": bed.rate_hz, "heart_rate": bed.heart_rate,
        "alerts": alerts, "health": bed.health,
    })
}

/// `GET /v1/beds`.
pub async fn all(State(app): State<App>) -> Response {
    let snapshot = app.shared.snapshot();
    let beds: Vec<Value> = snapshot.beds.iter().map(|bed| line(bed, &snapshot)).collect();
    let watched = snapshot.beds.iter().filter(|bed| bed.state.watched()).count();
    json_of(&json!({"now": snapshot.now, "watched": watched, "beds": beds}))
}

/// The bed that three levels of a path name.
pub fn named([site, unit, bed]: [String; 3]) -> Result<BedId, Problem> {
    BedId::new(&format!("{site}/{unit}/{bed}")).map_err(|e| Problem::bad(e.to_string()))
}

/// `GET /v1/beds/{site}/{unit}/{bed}`: the whole view of one bed, trace included.
pub async fn one(State(app): State<App>, Named(path): Named<[String; 3]>) -> Result<Response, Problem> {
    let bed = named(path)?;
    let snapshot = app.shared.snapshot();
    let view = snapshot.beds.iter().find(|view| view.bed == bed);
    view.map(json_of).ok_or_else(|| {
        Problem::not_found(format!("bed {bed} has not been heard of; /v1/beds lists those that have"))
    })
}
