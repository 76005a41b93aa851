//! Commands over HTTP: the same signed object as over MQTT, to the same desk. The one route that is not only read.

use super::app::App;
use super::problem::{Problem, json_of};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::limits::COMMAND_BYTES_MAX;
use contract::{Answer, Status};
use std::time::Duration;
use tokio::sync::oneshot;

/// An answer comes within this, or it is not confirmed.
const PATIENCE: Duration = Duration::from_secs(10);

/// `POST /v1/commands`: the answer object; its `ok` and the HTTP status agree.
pub async fn ask(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // A web form of elsewhere cannot send this type without asking first.
    if !kind.starts_with("application/json") {
        let what = "send the command with content-type application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what));
    }
    if body.len() > COMMAND_BYTES_MAX {
        let what = format!("a command has at most {COMMAND_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what));
    }
    let (told, answer) = oneshot::channel();
    // Nobody may wait any more: the effect stands, and the audit log has it.
    let reply = Box::new(move |answer: &Answer| drop(told.send(answer.clone())));
    let away = |why: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why);
    app.shared.commands.signed(None, body.to_vec(), false, reply).map_err(away)?;
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok((status(&answer), json_of(&answer)).into_response()),
        Ok(Err(_)) => Err(away("the daemon stops")),
        Err(_) => Err(Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "not confirmed in time; ask again with the same bytes",
        )),
    }
}

fn status(answer: &Answer) -> StatusCode {
    match answer.status {
        _ if answer.ok => StatusCode::OK,
        Status::Invalid => StatusCode::BAD_REQUEST,
        Status::Denied => StatusCode::FORBIDDEN,
        Status::Unknown => StatusCode::NOT_FOUND,
        Status::Unconfirmed => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::CONFLICT,
    }
}
