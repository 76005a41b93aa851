//! Counts, queues and latencies for Prometheus, read from the daemon at each scrape.

use super::app::App;
use super::problem::Problem;
use crate::daemon::histogram::Histogram;
use crate::daemon::running::Shared;
use crate::daemon::sink::SinkHealth;
use crate::daemon::tally::Stage;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The media type of the answer.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the latency buckets, in seconds.
const BOUNDS_S: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, f64::INFINITY];

/// `GET /metrics`.
pub async fn all(State(app): State<App>) -> Result<Response, Problem> {
    let mut registry = Registry::with_prefix("wardbeat");
    registry.register_collector(Box::new(Scrape(app.shared.clone())));
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

struct Scrape(Arc<Shared>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

type Labels = Vec<(&'static str, String)>;

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

impl Collector for Scrape {
    fn encode(&self, mut to: DescriptorEncoder) -> fmt::Result {
        self.traffic(&mut to)?;
        self.queues(&mut to)?;
        self.latencies(&mut to)?;
        self.destinations(&mut to)?;
        self.ward(&mut to)
    }
}

fn counters(to: &mut DescriptorEncoder, name: &str, help: &str, rows: &[(Labels, u64)]) -> fmt::Result {
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    rows.iter().try_for_each(|(labels, value)| {
        labelled(&mut metric, labels, |mut one| one.encode_counter::<NoLabelSet, _, u64>(value, None))
    })
}

fn gauges(to: &mut DescriptorEncoder, name: &str, help: &str, rows: &[(Labels, u64)]) -> fmt::Result {
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    rows.iter()
        .try_for_each(|(labels, value)| labelled(&mut metric, labels, |mut one| one.encode_gauge(value)))
}

fn histograms(
    to: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    rows: &[(Labels, &Histogram)],
) -> fmt::Result {
    let mut metric = to.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    rows.iter().try_for_each(|(labels, histogram)| {
        let (sum_s, buckets) = histogram.buckets(&BOUNDS_S);
        let count = buckets.iter().map(|b| b.1).sum();
        labelled(&mut metric, labels, |mut one| {
            one.encode_histogram::<NoLabelSet>(sum_s, count, &buckets, None)
        })
    })
}

/// One row; a metric without labels is written without an empty pair of braces.
fn labelled(
    metric: &mut MetricEncoder,
    labels: &Labels,
    write: impl FnOnce(MetricEncoder) -> fmt::Result,
) -> fmt::Result {
    write(metric.encode_family(&Row(labels))?)
}

#[derive(Debug)]
struct Row<'a>(&'a Labels);

impl EncodeLabelSet for Row<'_> {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelSetEncoder) -> fmt::Result {
        self.0.as_slice().encode(encoder)
    }
}

fn one(value: u64) -> [(Labels, u64); 1] {
    [(Vec::new(), value)]
}

fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

impl Scrape {
    fn traffic(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let (tally, counted) = (&self.0.tally, self.0.counters());
        counters(to, "frames", "Frames decoded", &one(get(&tally.frames_in)))?;
        let lost = counted.frames_lost - get(&tally.evicted);
        let rows = [(label("why", "evicted"), get(&tally.evicted)), (label("why", "late"), lost)];
        counters(to, "frames_lost", "Frames evicted from a full queue or too late to be used", &rows)?;
        let before = get(&self.0.links[0].refused);
        let rows = [(label("by", "link"), before), (label("by", "decoder"), get(&tally.refused))];
        counters(to, "payloads_refused", "Payloads that no decoder could use", &rows)?;
        counters(to, "in_bytes", "Payload bytes received", &one(get(&self.0.links[0].bytes)))?;
        counters(to, "windows", "Windows closed", &one(get(&tally.windows)))?;
        counters(to, "findings", "Windows that the network read", &one(get(&tally.findings)))?;
        let rows = [
            (label("class", "analysis"), get(&tally.alerts)),
            (label("class", "technical"), get(&tally.technical)),
        ];
        counters(to, "alerts", "Alerts begun", &rows)
    }

    fn queues(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let sources = self.0.sources.iter().enumerate().map(|(i, q)| (format!("source-{i}"), q.standing()));
        let engines =
            self.0.shards.0.iter().enumerate().map(|(i, s)| (format!("engine-{i}"), s.words.standing()));
        let standing: Vec<_> = sources.chain(engines).collect();
        let rows = |of: fn((usize, usize)) -> usize| -> Vec<(Labels, u64)> {
            standing.iter().map(|(name, s)| (label("queue", name.clone()), of(*s) as u64)).collect()
        };
        gauges(to, "queue_length", "Payloads or frames that wait", &rows(|s| s.0))?;
        gauges(to, "queue_bytes", "Bytes that wait", &rows(|s| s.1))
    }

    fn latencies(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let mut rows: Vec<_> =
            Stage::ALL.iter().map(|s| (label("stage", s.as_str()), self.0.tally.stage(*s))).collect();
        rows.push((label("stage", "arrival-to-finding"), &self.0.tally.latency));
        histograms(to, "stage", "Time spent in a stage of the way from a payload to its finding", &rows)?;
        let rows: Vec<_> =
            self.0.sinks.iter().map(|(name, s)| (label("sink", name.clone()), &s.latency)).collect();
        histograms(to, "delivery", "From the decision to the answer of a destination", &rows)
    }

    fn destinations(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let now_ms = self.0.clock.mono().0;
        let rows = |of: &dyn Fn(&SinkHealth) -> u64| -> Vec<(Labels, u64)> {
            self.0.sinks.iter().map(|(name, s)| (label("sink", name.clone()), of(s))).collect()
        };
        let well = |s: &SinkHealth| u64::from(s.trouble(now_ms).is_empty());
        gauges(to, "sink_up", "1 where the destination is well", &rows(&well))?;
        gauges(to, "sink_waiting", "Alerts that it has not taken yet", &rows(&|s| get(&s.waiting)))?;
        counters(to, "sink_failed", "Alerts that it refused or that expired", &rows(&|s| get(&s.failed)))?;
        let links = || self.0.links.iter().zip(["in", "out"]);
        let up: Vec<_> =
            links().map(|(l, name)| (label("link", name), u64::from(l.since().is_some()))).collect();
        gauges(to, "broker_up", "1 where the link to the broker stands", &up)?;
        let joins: Vec<_> = links().map(|(l, name)| (label("link", name), get(&l.joins))).collect();
        counters(to, "broker_joins", "Times the broker was joined", &joins)
    }

    fn ward(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let snapshot = self.0.snapshot();
        let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let mut beds: BTreeMap<String, u64> = BTreeMap::new();
        for bed in &snapshot.beds {
            *beds.entry(word(serde_json::json!(bed.state))).or_default() += 1;
        }
        let rows: Vec<_> = beds.into_iter().map(|(state, n)| (label("state", state), n)).collect();
        gauges(to, "beds", "Beds by the state of their data", &rows)?;
        let mut open: BTreeMap<(String, String), u64> = BTreeMap::new();
        for alert in snapshot.alerts.iter().filter(|a| a.ended.is_none()) {
            let key = (alert.code.to_string(), word(serde_json::json!(alert.level)));
            *open.entry(key).or_default() += 1;
        }
        let rows: Vec<(Labels, u64)> =
            open.into_iter().map(|((code, level), n)| (vec![("code", code), ("level", level)], n)).collect();
        gauges(to, "open_alerts", "Alerts that have not ended", &rows)?;
        let node = &snapshot.node;
        let about = vec![
            ("node", node.name.clone()),
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("engine", node.engine.clone()),
            ("model", node.model.clone()),
            ("config", node.config.clone()),
        ];
        gauges(to, "about", "What runs", &[(about, 1)])?;
        gauges(
            to,
            "troubles",
            "What is wrong with the node itself, counted",
            &one(node.troubles.len() as u64),
        )
    }
}
