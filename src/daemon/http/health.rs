//! Whether the process lives and whether it does its work.

use super::app::App;
use super::problem::{MEDIA_TYPE, json_of};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// `GET /healthz`: the process answers.
pub async fn alive() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: 200 where the broker is joined, analysis keeps up, the disk takes alerts and no destination keeps
/// them waiting; else 503 with the reasons.
pub async fn ready(State(app): State<App>) -> Response {
    let mut reasons = Vec::new();
    for (link, what) in app.shared.links.iter().zip(["hears", "alerts"]) {
        if link.since().is_none() {
            reasons.push(format!("no link to the broker (the one that {what})"));
        }
    }
    reasons.extend(app.shared.node.newest().0.troubles);
    if reasons.is_empty() {
        return json_of(&json!({"ready": true, "reasons": []}));
    }
    let problem = json!({
        "type": "about:blank", "title": "Not ready", "status": 503, "detail": reasons.join("; "),
        "ready": false, "reasons": reasons,
    });
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, MEDIA_TYPE)], problem.to_string())
        .into_response()
}
