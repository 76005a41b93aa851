//! The hearing end, pure: messages in, the same snapshot out that a screen of the node itself would get.
//!
//! Retained messages fill in the past and never count as life: a bed of which nothing came live is STOPPED.

use super::pack::unpack_seconds;
use super::{NodeMessage, RECENT, RecentMessage, TREND, TrendMessage, VIEW, ViewMessage};
use crate::snapshot::{AlertView, BedState, BedView, ClusterName, Column, NodeView, Snapshot};
use contract::{BedId, MonoMs, UtcMs, topic};
use std::collections::BTreeMap;

/// Newest 10 s of trace.
const COLUMNS_MAX: usize = 500;
/// A bed of which nothing came for so long is late, and after so long stopped.
const DELAYED_MS: u64 = 3_000;
const STOPPED_MS: u64 = 10_000;
/// A node that is silent for so long is told.
const SILENT_MS: u64 = 3_000;
/// Beds and nodes that one screen keeps.
const BEDS_MAX: usize = contract::limits::BEDS_MAX;
const NODES_MAX: usize = 64;

const BLANK: Column = Column { min_mv: f32::NAN, max_mv: f32::NAN, cluster: None };

/// One bed as heard.
#[derive(Debug, Clone)]
struct Bed {
    view: BedView,
    alerts: Vec<AlertView>,
    /// When it was told live last, by our clock, and the node's wall time then.
    heard: Option<(MonoMs, UtcMs)>,
}

/// A node's last sign of life.
#[derive(Debug, Clone)]
struct Node {
    message: NodeMessage,
    heard: MonoMs,
}

/// The ward as one screen heard it.
#[derive(Debug, Clone, Default)]
pub(super) struct Remote {
    beds: BTreeMap<BedId, Bed>,
    nodes: BTreeMap<String, Node>,
    /// Counts what came live.
    beat: u64,
    /// When something came live last, by our clock.
    alive: Option<MonoMs>,
    /// What to add to our wall clock to have the nodes'.
    ahead_ms: i64,
    /// Messages that could not be read.
    pub refused: u64,
}

impl Remote {
    /// Takes one message. `unit` is the one unit to show, if only one.
    pub fn hear(
        &mut self,
        topic: &str,
        payload: &[u8],
        retained: bool,
        unit: Option<&str>,
        now: (MonoMs, UtcMs),
    ) {
        let Ok((place, leaf)) = topic::split_any(topic) else { return self.refused += 1 };
        let known = if place.unit() == "_node" {
            leaf != VIEW || retained || self.node(&place, payload, now)
        } else if unit.is_some_and(|unit| unit != place.unit()) {
            true
        } else {
            self.bed_word(&place, leaf, payload, retained, now)
        };
        self.refused += u64::from(!known);
    }

    fn bed_word(
        &mut self,
        bed: &BedId,
        leaf: &str,
        payload: &[u8],
        retained: bool,
        now: (MonoMs, UtcMs),
    ) -> bool {
        match leaf {
            // A kept view is of unknown age: it must never look live. An empty word clears what was kept.
            VIEW if retained => true,
            TREND | RECENT if payload.is_empty() => true,
            VIEW => serde_json::from_slice(payload).is_ok_and(|message| self.view(bed, message, now)),
            TREND => serde_json::from_slice(payload).is_ok_and(|m: TrendMessage| {
                self.with(bed, |b| {
                    b.view.trend = m.points.unpack().into();
                    b.view.marks = m.marks;
                    b.name(m.label);
                })
            }),
            RECENT => serde_json::from_slice(payload).is_ok_and(|m: RecentMessage| {
                self.with(bed, |b| {
                    let strips =
                        m.strips.iter().map(super::Columns::unpack).chain(std::iter::repeat(Vec::new()));
                    b.alerts =
                        m.alerts.into_iter().zip(strips).map(|(a, strip)| AlertView { strip, ..a }).collect();
                    b.name(m.label);
                })
            }),
            _ => true,
        }
    }

    fn with(&mut self, bed: &BedId, change: impl FnOnce(&mut Bed)) -> bool {
        if !self.beds.contains_key(bed) && self.beds.len() >= BEDS_MAX {
            return false;
        }
        change(self.beds.entry(bed.clone()).or_insert_with(|| Bed::unheard(bed)));
        true
    }

    fn view(&mut self, bed: &BedId, message: ViewMessage, (mono, utc): (MonoMs, UtcMs)) -> bool {
        let at = utc.after(self.ahead_ms);
        self.live(mono);
        self.with(bed, |b| {
            b.heard = Some((mono, at));
            if let Some(view) = message.bed {
                b.replace(*view, unpack_seconds(&message.seconds));
            }
            if let Some(columns) = message.columns {
                b.append(columns.first, &columns.unpack());
            }
            if let Some(painted) = message.painted {
                b.paint(painted.first, &painted.unpack());
            }
        })
    }

    fn node(&mut self, place: &BedId, payload: &[u8], (mono, utc): (MonoMs, UtcMs)) -> bool {
        let Ok(message) = serde_json::from_slice::<NodeMessage>(payload) else { return false };
        let name = place.place().to_owned();
        if !self.nodes.contains_key(&name) && self.nodes.len() >= NODES_MAX {
            return false;
        }
        self.ahead_ms = message.now.0.saturating_sub(utc.0);
        self.nodes.insert(name, Node { message, heard: mono });
        self.live(mono);
        true
    }

    fn live(&mut self, now: MonoMs) {
        self.beat += 1;
        self.alive = Some(now);
    }

    /// The ward as it stood when something came live last; who shows it adds the time since. `troubles` are the
    /// screen's own.
    pub fn snapshot(&self, now: (MonoMs, UtcMs), troubles: Vec<String>) -> Snapshot {
        let at = self.alive.unwrap_or(now.0);
        let since = now.0.since(at) as i64;
        let mut beds: Vec<BedView> = self.beds.values().map(|b| b.at(at)).collect();
        beds.sort_by(|a, b| (a.bed.unit(), &a.label, &a.bed).cmp(&(b.bed.unit(), &b.label, &b.bed)));
        let own = self.beds.values().flat_map(|b| b.alerts.iter().cloned());
        let nodes = self.nodes.values().flat_map(|n| n.message.alerts.iter().cloned());
        let mut alerts: Vec<AlertView> = own.chain(nodes).collect();
        alerts.sort_by(|a, b| (a.onset, &a.id).cmp(&(b.onset, &b.id)));
        Snapshot {
            beat: self.beat,
            now: self.alive.map(|_| now.1.after(self.ahead_ms - since)),
            beds,
            alerts,
            clusters: self.clusters(),
            node: self.node_view(at, troubles),
        }
    }

    fn clusters(&self) -> Vec<ClusterName> {
        self.nodes.values().next().map_or_else(Vec::new, |n| n.message.clusters.clone())
    }

    /// The first node's view; what is wrong with any of them is said.
    fn node_view(&self, at: MonoMs, mut troubles: Vec<String>) -> NodeView {
        let silent = |n: &Node| at.since(n.heard) > SILENT_MS;
        for (name, node) in &self.nodes {
            let several = self.nodes.len() > 1;
            if silent(node) {
                troubles.push(format!("node {name} is silent"));
            } else if several {
                troubles.extend(node.message.node.troubles.iter().map(|t| format!("{name}: {t}")));
            } else {
                troubles.extend(node.message.node.troubles.clone());
            }
        }
        let first = self.nodes.values().next();
        let view = first.map_or_else(NodeView::default, |n| n.message.node.clone());
        let timezone = first.map_or_else(String::new, |n| n.message.timezone.clone());
        NodeView { timezone, troubles, ..view }
    }
}

impl Bed {
    fn unheard(bed: &BedId) -> Self {
        let view = BedView::unheard(bed.clone());
        Self { view, alerts: Vec::new(), heard: None }
    }

    fn name(&mut self, label: String) {
        if !label.is_empty() {
            self.view.label = label;
        }
    }

    /// Everything but what is kept here: trace and trend.
    fn replace(&mut self, view: BedView, mut seconds: Vec<crate::snapshot::Second>) {
        if let Some(newest) = view.seconds.last() {
            seconds.pop();
            seconds.push(*newest);
        }
        let old = std::mem::replace(&mut self.view, view);
        self.view.seconds = seconds;
        self.view.trend = old.trend;
        (self.view.first_column, self.view.columns) = (old.first_column, old.columns);
    }

    /// New trace; a hole before it is blank.
    fn append(&mut self, first: u64, new: &[Column]) {
        let view = &mut self.view;
        let end = view.first_column.saturating_add(view.columns.len() as u64);
        if view.columns.is_empty() || first < end || first - end > COLUMNS_MAX as u64 {
            view.columns.clear();
            view.first_column = first;
        } else {
            view.columns.extend(std::iter::repeat_n(BLANK, (first - end) as usize));
        }
        view.columns.extend_from_slice(new);
        let over = view.columns.len().saturating_sub(COLUMNS_MAX);
        view.columns.drain(..over);
        view.first_column = view.first_column.saturating_add(over as u64);
    }

    fn paint(&mut self, first: u64, clusters: &[Option<u8>]) {
        for (index, cluster) in (first..).zip(clusters) {
            let place = index.checked_sub(self.view.first_column).map(|i| i as usize);
            if let Some(column) = place.and_then(|i| self.view.columns.get_mut(i)) {
                column.cluster = cluster.or(column.cluster);
            }
        }
    }

    /// The bed at `now`: ages go on, and a bed that is told of no more looks dead.
    fn at(&self, now: MonoMs) -> BedView {
        let mut view = self.view.clone();
        let Some((mono, utc)) = self.heard else {
            view.state = BedState::Stopped;
            return view;
        };
        let silent = now.since(mono);
        view.sample_age_ms = view.sample_age_ms.map(|ms| ms.saturating_add(silent));
        view.finding_age_ms = view.finding_age_ms.map(|ms| ms.saturating_add(silent));
        view.pause_left_ms = view.pause_left_ms.map(|ms| ms.saturating_sub(silent));
        if silent > STOPPED_MS {
            (view.state, view.state_since, view.heart_rate) = (BedState::Stopped, utc, None);
            view.state_detail = "not told by its node".into();
        } else if silent > DELAYED_MS && view.state.watched() {
            (view.state, view.state_since) = (BedState::Delayed, utc);
        }
        view
    }
}
