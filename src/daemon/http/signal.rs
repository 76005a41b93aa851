//! Signal and what was seen in it, from the recorder; and the evidence of alerts.

use super::app::App;
use super::beds::named;
use super::problem::{Asked, Named, Problem, json_of, json_text};
use crate::daemon::past::stretches;
use crate::daemon::recorder::{self, Excerpt, Kind, Seen};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::BedId;
use recordings::Draft;
use serde::Deserialize;
use serde_json::{Value, json};

/// Samples a lead in one answer: ten minutes at 2,000 Hz.
const SAMPLES_MAX: u64 = 1_200_000;

/// The query of `…/windows` and `…/strip`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    from_n: u64,
    to_n: u64,
    /// Eight hex digits; without it, the newest epoch.
    epoch: Option<String>,
    format: Option<String>,
}

fn no_recorder() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "nothing is recorded here; see recorder.enabled in the config",
    )
}

async fn excerpt(app: &App, bed: &BedId, query: &Query) -> Result<Excerpt, Problem> {
    if query.from_n >= query.to_n || query.to_n - query.from_n > SAMPLES_MAX {
        return Err(Problem::bad(format!("to_n must lie above from_n, by {SAMPLES_MAX} at most")));
    }
    let hex = |text: &String| {
        let what = || Problem::bad(format!("epoch {text:?} must be 1 to 8 hex digits"));
        u32::from_str_radix(text, 16).map_err(|_| what())
    };
    let epoch = query.epoch.as_ref().map(hex).transpose()?;
    let tapes = app.tapes.clone().ok_or_else(no_recorder)?;
    let (asked, from_n, to_n) = (bed.clone(), query.from_n, query.to_n);
    let read = tokio::task::spawn_blocking(move || tapes.stretch(&asked, epoch, from_n, to_n)).await;
    let told = |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why);
    let found = read.map_err(|e| told(e.to_string()))?.map_err(told)?;
    if found.hops.is_empty() {
        let what = format!("nothing is recorded of {bed} between samples {from_n} and {to_n}");
        return Err(Problem::not_found(what));
    }
    Ok(found)
}

fn number(value: f32) -> Value {
    json!((!value.is_nan()).then_some(value))
}

fn window(seen: &Seen, found: &Excerpt) -> Value {
    let hop = found.hops.iter().find(|hop| hop.window == seen.window);
    json!({
        "window": seen.window, "from_n": hop.map(|h| h.from_n), "to_n": hop.map(|h| h.to_n), "end": hop.map(|h| h.end),
        "coverage": number(seen.coverage), "entropy": number(seen.entropy), "novelty": number(seen.novelty),
        "clusters": seen.clusters, "not_read": (!seen.not_read.is_empty()).then_some(seen.not_read),
    })
}

/// `GET …/windows`: what was seen in each second.
pub async fn windows(
    State(app): State<App>,
    Named(path): Named<[String; 3]>,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let bed = named(path)?;
    let found = excerpt(&app, &bed, &query).await?;
    let epoch = format!("{:08x}", found.hops[0].epoch);
    let windows: Vec<Value> = found.seen.iter().map(|seen| window(seen, &found)).collect();
    Ok(json_of(&json!({"bed": bed, "epoch": epoch, "windows": windows})))
}

/// `GET …/strip`: the recorded seconds that hold these samples, as JSON or as a WFDB record in a tar archive.
pub async fn strip(
    State(app): State<App>,
    Named(path): Named<[String; 3]>,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let bed = named(path)?;
    let found = excerpt(&app, &bed, &query).await?;
    let stretches = stretches::of(&found.hops);
    match query.format.as_deref().unwrap_or("json") {
        "json" => {
            let part = |s: &stretches::Stretch| {
                let leads: serde_json::Map<String, Value> = s
                    .leads
                    .iter()
                    .zip(&s.samples_mv)
                    .map(|(lead, row)| (lead.to_string(), row.iter().map(|v| number(*v)).collect()))
                    .collect();
                json!({"epoch": format!("{:08x}", s.epoch), "from_n": s.from_n, "rate_hz": s.rate, "unit": "mV", "leads": leads})
            };
            Ok(json_of(&json!({"bed": bed, "stretches": stretches.iter().map(part).collect::<Vec<_>>()})))
        }
        "wfdb" => archive(&bed, &stretches),
        other => Err(Problem::bad(format!("format {other:?} must be json or wfdb"))),
    }
}

fn archive(bed: &BedId, stretches: &[stretches::Stretch]) -> Result<Response, Problem> {
    let told = |e: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e);
    let mut tar = tar::Builder::new(Vec::new());
    for (i, stretch) in stretches.iter().enumerate() {
        let name = format!("strip-{i:03}");
        let leads: Vec<&str> = stretch.leads.iter().map(contract::LeadId::as_str).collect();
        let from = format!("bed {bed}, epoch {:08x}, sample {}", stretch.epoch, stretch.from_n);
        let draft = Draft {
            name: &name,
            rate_hz: stretch.rate.as_f64(),
            gain_per_mv: 1_000.0,
            leads: &leads,
            samples_mv: &stretch.samples_mv,
            comments: &[&from],
        };
        let (header, signal) = draft.bytes().map_err(|e| told(e.to_string()))?;
        for (ending, bytes) in [("hea", header.as_bytes()), ("dat", &signal)] {
            let mut head = tar::Header::new_ustar();
            head.set_size(bytes.len() as u64);
            head.set_mode(0o644);
            let path = format!("{name}.{ending}");
            tar.append_data(&mut head, path, bytes).map_err(|e| told(e.to_string()))?;
        }
    }
    let bytes = tar.into_inner().map_err(|e| told(e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], bytes).into_response())
}

/// The query of `GET /v1/alerts/{id}/evidence`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The message; without it, the newest that has evidence.
    rev: Option<u32>,
}

/// `GET /v1/alerts/{id}/evidence`: the document whose hash the alert carries, in its very bytes.
pub async fn evidence(
    State(app): State<App>,
    Named(id): Named<String>,
    Asked(which): Asked<Which>,
) -> Result<Response, Problem> {
    let wanted = id.clone();
    let entries = app.ask(move |reader| reader.all_of(&wanted)).await?;
    if entries.is_empty() {
        return Err(Problem::not_found(format!("no alert {id} in the journal")));
    }
    let alerts = entries.into_iter().rev().map(|entry| entry.alert);
    let mut fits = alerts.filter(|a| !a.evidence.is_empty() && which.rev.is_none_or(|rev| rev == a.rev));
    let none =
        || Problem::not_found(format!("alert {id} has no evidence: it does not come from the signal alone"));
    let alert = fits.next().ok_or_else(none)?;
    let tapes = app.tapes.clone().ok_or_else(no_recorder)?;
    let path = tapes.evidence(&alert.id, alert.rev);
    let read = tokio::task::spawn_blocking(move || recorder::read(&path)).await;
    let gone = |why: String| Problem::not_found(format!("its evidence is not on disk any more: {why}"));
    let reading = read.map_err(|e| gone(e.to_string()))?.map_err(gone)?;
    let document = reading.records.into_iter().rev().find(|r| r.kind == Kind::Evidence);
    let text = document.and_then(|d| String::from_utf8(d.body).ok());
    text.map(json_text).ok_or_else(|| gone("the file is torn".into()))
}
