//! Screens elsewhere: what the node tells them, and how they put a ward together from it (`docs/wire.md`, For screens).
//!
//! ```text
//!  engines ─ picture ─▶ Teller ─ view, trend, recent, node view ─▶ broker ─▶ Watching ─▶ Remote ─ snapshot ─▶ screen
//! ```
//!
//! What it does: four times a second publishes what is new of each bed's trace and once a second the bed itself; keeps
//! the last 24 h and the newest alerts retained, so that a screen started now shows them. The other end builds the same
//! `Snapshot` that a screen of the node itself gets, and judges ages by its own clock.
//! What it never does: wait for a screen or a broker (what finds no room is dropped and counted), touch an engine, take
//! a retained message for news.
//! Door: [`Teller`] for the node, [`watch`] for a screen. Who calls it: `start`, and `cli` through `daemon::watch`.

mod pack;
mod tell;
mod ward;
mod watch;

pub use tell::{Teller, TellerThread};
pub use watch::{Watching, watch};

use crate::snapshot::{AlertView, BedView, ClusterName, Mark, NodeView};
use contract::UtcMs;
use pack::{Columns, Painted, Points};
use serde::{Deserialize, Serialize};

/// After a bed: its trace four times a second, itself once a second.
const VIEW: &str = "view";
/// After a bed, retained: its last 24 h.
const TREND: &str = "trend";
/// After a bed, retained: its alerts, open and ended, with the strip of each.
const RECENT: &str = "recent";

/// Topic `view` of a bed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ViewMessage {
    v: u8,
    node: String,
    /// Trace that is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<Columns>,
    /// Clusters of trace that was told before they were known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    painted: Option<Painted>,
    /// The bed without trace, seconds and trend, but for its newest second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bed: Option<Box<BedView>>,
    /// The last 90 s.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    seconds: String,
}

/// Topic `trend` of a bed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TrendMessage {
    v: u8,
    label: String,
    points: Points,
    marks: Vec<Mark>,
}

/// Topic `recent` of a bed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecentMessage {
    v: u8,
    label: String,
    /// The alerts, their strips apart.
    alerts: Vec<AlertView>,
    /// The strip of each alert, in the same order.
    strips: Vec<Columns>,
}

/// Topic `view` of the node, once a second: its sign of life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NodeMessage {
    v: u8,
    beat: u64,
    now: UtcMs,
    timezone: String,
    node: NodeView,
    clusters: Vec<ClusterName>,
    /// Alerts about the node itself.
    alerts: Vec<AlertView>,
}
