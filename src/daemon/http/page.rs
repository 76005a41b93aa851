//! The read-only page for corridor screens and phones: one static document, and the ward as server-sent events four
//! times a second. It shows beds by their labels and nothing that names a patient; nothing can be changed on it.

use super::app::App;
use super::problem::Problem;
use crate::snapshot::{AlertView, BedView, ClusterName, Column, Family, Snapshot};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use contract::{AlertClass, BedId, Level, Mode};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where the page is; it holds no data and asks for no token.
pub const PAGE: &str = "/ward";
/// Where its data come from.
const WARD: &str = "/v1/ward";
/// Pages open at a time.
const PAGES_MAX: usize = 32;
const EACH: Duration = Duration::from_millis(250);
/// Newest columns whose clusters are told again: the network knows them up to three seconds after the trace.
const LETTERS: usize = 150;

const DOCUMENT: &str = include_str!("page.html");
/// Nothing from elsewhere is loaded, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                      frame-ancestors 'none'";

/// Both places.
pub fn router() -> Router<App> {
    Router::new().route(PAGE, get(page)).route(WARD, get(ward))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, DOCUMENT)
}

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// One page's place; given back when its stream is dropped.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let room = |n| (n < PAGES_MAX).then_some(n + 1);
        OPEN.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok().then_some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Showing {
    app: App,
    /// Index after the newest column that each bed was shown with.
    told: BTreeMap<BedId, u64>,
    every: tokio::time::Interval,
    _place: Arc<Place>,
}

async fn ward(State(app): State<App>) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = Place::take().ok_or_else(|| {
        let what = format!("{PAGES_MAX} pages are open already; close one");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, what)
    })?;
    let mut every = tokio::time::interval(EACH);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let showing = Showing { app, told: BTreeMap::new(), every, _place: Arc::new(place) };
    let words = stream::unfold(showing, |mut showing| async move {
        showing.every.tick().await;
        let snapshot = showing.app.shared.snapshot();
        let mut word = told(&snapshot, &mut showing.told);
        word["white"] = (showing.app.shared.settings.display.advisory_hue == "white").into();
        Some((Ok(Event::default().data(word.to_string())), showing))
    });
    Ok(Sse::new(words).keep_alive(KeepAlive::default()))
}

/// The ward in few words, with the trace that is new since the last call.
fn told(snapshot: &Snapshot, before: &mut BTreeMap<BedId, u64>) -> Value {
    let open = |a: &&AlertView| a.ended.is_none() && a.class == AlertClass::Analysis;
    let strongest = |bed: &BedView| {
        let own = snapshot.alerts.iter().filter(open).filter(|a| a.bed.as_ref() == Some(&bed.bed));
        own.min_by_key(|a| (std::cmp::Reverse(a.level), a.onset))
    };
    let count = |level| snapshot.beds.iter().filter_map(strongest).filter(|a| a.level == level).count();
    let mode = |mode| snapshot.beds.iter().any(|b| b.mode == mode);
    let bed = |bed: &BedView| {
        let end = bed.first_column + bed.columns.len() as u64;
        let from = before.insert(bed.bed.clone(), end).filter(|from| (bed.first_column..=end).contains(from));
        let from = from.unwrap_or(bed.first_column);
        let finding = strongest(bed)
            .map(|a| json!({"level": a.level, "code": a.code, "onset": a.onset, "seen": a.seen.is_some()}));
        let fresh = &bed.columns[(from - bed.first_column) as usize..];
        let newest = &bed.columns[bed.columns.len().saturating_sub(LETTERS.max(fresh.len()))..];
        json!({
            "id": bed.bed, "label": bed.label, "state": bed.state, "since": bed.state_since, "age": bed.sample_age_ms,
            "detail": bed.state_detail, "reason": bed.pause_reason, "left": bed.pause_left_ms, "learnt": bed.learnt_s,
            "first": from, "columns": fresh.iter().map(hundredths).collect::<Vec<_>>(),
            "letters": letters(newest, &snapshot.clusters), "finding": finding,
        })
    };
    json!({
        "now": snapshot.now, "zone": snapshot.node.timezone, "trouble": snapshot.node.troubles.first(),
        "mode": if mode(Mode::Demo) { "DEMO" } else if mode(Mode::Test) { "TEST" } else { "" },
        "watching": snapshot.beds.iter().filter(|b| b.state.watched()).count(),
        "alerts": count(Level::Alert), "advisories": count(Level::Advisory),
        "beds": snapshot.beds.iter().map(bed).collect::<Vec<_>>(),
    })
}

/// Smallest and largest value of a column in 0.01 mV; `None` = missing.
fn hundredths(column: &Column) -> Option<[i32; 2]> {
    let known = column.min_mv.is_finite() && column.max_mv.is_finite();
    known.then(|| [column.min_mv, column.max_mv].map(|mv| (mv * 100.0).round() as i32))
}

/// The families of these columns, a letter each as in the terminal; `.` = not known yet.
fn letters(columns: &[Column], clusters: &[ClusterName]) -> String {
    let family = |k: u8| clusters.get(usize::from(k)).map_or(Family::Mixed, |c| c.family);
    let letter = |c: &Column| c.cluster.map_or('.', |k| family(k).letter());
    columns.iter().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_trace_is_told_and_its_clusters_once_more_when_they_are_known() {
        let column = |n: u64, end: u64| Column {
            min_mv: if n == 1_490 { f32::NAN } else { -0.1 },
            max_mv: 1.234,
            cluster: (n + 70 < end).then_some(0),
        };
        let ward = |end: u64| {
            let bed = BedView {
                first_column: end - 500,
                columns: (end - 500..end).map(|n| column(n, end)).collect(),
                ..BedView::unheard(BedId::new("s/u/b").expect("valid"))
            };
            let clusters = vec![ClusterName { family: Family::T, name: "mostly T".into() }];
            Snapshot { beds: vec![bed], clusters, ..Snapshot::default() }
        };
        let mut before = BTreeMap::new();
        let first = told(&ward(1_500), &mut before)["beds"][0].clone();
        assert_eq!((&first["first"], first["columns"].as_array().map(Vec::len)), (&json!(1_000), Some(500)));
        assert_eq!((&first["columns"][0], &first["columns"][490]), (&json!([-10, 123]), &Value::Null));
        let second = told(&ward(1_512), &mut before)["beds"][0].clone();
        assert_eq!((&second["first"], second["columns"].as_array().map(Vec::len)), (&json!(1_500), Some(12)));
        let letters = second["letters"].as_str().expect("text");
        assert_eq!(letters, "T".repeat(80) + &".".repeat(70));
        // Another epoch begins with another count.
        assert_eq!(told(&ward(600), &mut before)["beds"][0]["first"], 100);
    }

    #[test]
    fn the_page_is_small_and_asks_nothing_of_elsewhere() {
        assert!(DOCUMENT.len() < 50_000);
        for foreign in ["http:", "https:", "//cdn", "@import", "<link", "src="] {
            assert!(!DOCUMENT.contains(foreign), "{foreign}");
        }
        for forbidden in ["normal", "critical", "stable", "safe", "diagnos"] {
            assert!(!DOCUMENT.to_lowercase().contains(forbidden), "{forbidden}");
        }
    }
}
