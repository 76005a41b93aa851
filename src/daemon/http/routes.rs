//! Every route, once: the router and the document that describes it are made from this table.

use super::app::App;
use super::problem::json_of;
use super::{alerts, beds, commands, document, events, health, metrics, signal};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

/// A key of a query, for the document.
#[derive(Clone, Copy)]
pub struct Asks {
    pub name: &'static str,
    /// A type of JSON schema: `integer`, `string`, `boolean`.
    pub kind: &'static str,
    pub what: &'static str,
}

/// One route.
pub struct Route {
    pub path: &'static str,
    pub method: &'static str,
    /// One line for people.
    pub what: &'static str,
    pub asks: &'static [Asks],
    /// Media type of the answer.
    pub gives: &'static str,
    /// The answer's schema in the document; empty = text.
    pub schema: &'static str,
    pub at: fn() -> MethodRouter<App>,
}

const JSON: &str = "application/json";

const fn asks(name: &'static str, kind: &'static str, what: &'static str) -> Asks {
    Asks { name, kind, what }
}

/// A stretch of a bed's signal.
const SPAN: &[Asks] = &[
    asks("from_n", "integer", "index of the first sample"),
    asks("to_n", "integer", "index after the last one"),
    asks("epoch", "string", "of this epoch, eight hex digits; without it, of the newest"),
];

/// All routes, in the order of the document.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/healthz",
        method: "get",
        what: "The process answers. Needs no token.",
        asks: &[],
        gives: "text/plain",
        schema: "",
        at: || get(health::alive),
    },
    Route {
        path: "/readyz",
        method: "get",
        what: "Whether it does its work: broker joined, analysis keeps up, journal written, nothing undelivered. 503 gives the reasons.",
        asks: &[],
        gives: JSON,
        schema: "Ready",
        at: || get(health::ready),
    },
    Route {
        path: "/metrics",
        method: "get",
        what: "Counts, queues and latencies for Prometheus (OpenMetrics text).",
        asks: &[],
        gives: metrics::MEDIA_TYPE,
        schema: "",
        at: || get(metrics::all),
    },
    Route {
        path: "/v1/beds",
        method: "get",
        what: "Every bed heard of, a line each, with its open alerts.",
        asks: &[],
        gives: JSON,
        schema: "Beds",
        at: || get(beds::all),
    },
    Route {
        path: "/v1/beds/{site}/{unit}/{bed}",
        method: "get",
        what: "All that the screen knows of one bed: ten seconds of trace, ninety of analysis, a day of trend.",
        asks: &[],
        gives: JSON,
        schema: "Bed",
        at: || get(beds::one),
    },
    Route {
        path: "/v1/beds/{site}/{unit}/{bed}/windows",
        method: "get",
        what: "What the analysis saw in each recorded second that holds these samples.",
        asks: SPAN,
        gives: JSON,
        schema: "Windows",
        at: || get(signal::windows),
    },
    Route {
        path: "/v1/beds/{site}/{unit}/{bed}/strip",
        method: "get",
        what: "The recorded seconds that hold these samples, as JSON, or with format=wfdb as WFDB records in a tar archive.",
        asks: &[SPAN[0], SPAN[1], SPAN[2], asks("format", "string", "json or wfdb")],
        gives: JSON,
        schema: "Strip",
        at: || get(signal::strip),
    },
    Route {
        path: "/v1/alerts",
        method: "get",
        what: "Messages about alerts in the order of the journal, from a cursor on. Ask again with `since` = `next`.",
        asks: &[
            asks("since", "integer", "after this cursor; 0 = from the oldest kept"),
            asks("limit", "integer", "at most so many, 1 to 1000; 100 without"),
            asks("bed", "string", "of this bed only, site/unit/bed"),
            asks("open", "boolean", "only alerts that have not ended, the newest message of each"),
        ],
        gives: JSON,
        schema: "Alerts",
        at: || get(alerts::all),
    },
    Route {
        path: "/v1/alerts/{id}",
        method: "get",
        what: "Every message about one alert, and what became of each at every destination.",
        asks: &[],
        gives: JSON,
        schema: "AlertStory",
        at: || get(alerts::one),
    },
    Route {
        path: "/v1/alerts/{id}/evidence",
        method: "get",
        what: "The document whose SHA-256 the alert carries as `evidence`, in its very bytes.",
        asks: &[asks("rev", "integer", "of this message; without it, of the newest that has any")],
        gives: JSON,
        schema: "Evidence",
        at: || get(signal::evidence),
    },
    Route {
        path: "/v1/events",
        method: "get",
        what: "Alerts as they are written, as server-sent events; `id` is the cursor, `Last-Event-ID` resumes.",
        asks: &[asks("since", "integer", "after this cursor; without it, from now on")],
        gives: "text/event-stream",
        schema: "",
        at: || get(events::stream),
    },
    Route {
        path: "/v1/commands",
        method: "post",
        what: "A signed command, as over MQTT (docs/wire.md). Needs content-type application/json; the answer says how it ended.",
        asks: &[],
        gives: JSON,
        schema: "Answer",
        at: || post(commands::ask),
    },
    Route {
        path: "/v1/model-card",
        method: "get",
        what: "The card of the model that runs: data, figures, limits.",
        asks: &[],
        gives: "text/markdown",
        schema: "",
        at: || get(card),
    },
    Route {
        path: "/v1/schema",
        method: "get",
        what: "This document (OpenAPI 3.1), with the schemas of all objects.",
        asks: &[],
        gives: JSON,
        schema: "Document",
        at: || get(schema),
    },
];

/// The router of the table.
pub fn router() -> Router<App> {
    ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.at)()))
}

async fn card(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], app.card.clone()).into_response()
}

async fn schema() -> Response {
    json_of(&document::openapi())
}
