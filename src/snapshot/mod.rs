//! What a screen may know: plain data, replaced as a whole, never queued.
//!
//! What it does: holds one picture of the ward, made by `pipeline::Ward` (beds) and `daemon` (node, deliveries), read
//! by `display`, and sent to watchers as JSON.
//! What it never does: compute, read a clock, know a screen. Ages are computed by the maker, from its `now`.

mod clusters;
mod written;

pub use clusters::{ClusterName, Family};

use contract::{AlertClass, AlertId, BedId, ClusterShift, Code, LeadId, LeadSignal, Level, Mode, UtcMs};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The ward at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Counts snapshots of this node; a standing number is a dead node.
    pub beat: u64,
    /// Wall time of the snapshot.
    pub now: Option<UtcMs>,
    /// Beds, ordered by unit and label; their places on the screen never move.
    pub beds: Vec<BedView>,
    /// Open alerts and those that ended unseen, oldest first.
    pub alerts: Vec<AlertView>,
    /// The clusters' names and families, for legends; index = cluster.
    pub clusters: Vec<ClusterName>,
    /// The node itself.
    pub node: NodeView,
}

/// The state of a bed's data: outranks any finding on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BedState {
    /// Newest sample and finding are fresh; verdicts are given.
    Live,
    /// Samples or findings are late.
    Delayed,
    /// Nothing received for the stop limit.
    Stopped,
    /// Every used lead is off.
    LeadOff,
    /// Every used lead is flat, clipped, noisy or has too many missing samples.
    Noisy,
    /// The baseline is not learnt yet.
    Learning,
    /// Notices are paused by a person.
    Paused,
}

impl BedState {
    /// Whether verdicts are given now: the n of "watching n of N".
    #[must_use]
    pub fn watched(self) -> bool {
        matches!(self, Self::Live | Self::Delayed)
    }
}

/// One 20 ms column of the trace: the envelope of the shown lead, so that no QRS falls between dots.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Smallest value in mV; NaN (null in JSON) = missing, drawn as blank and never bridged.
    #[serde(with = "written::nan_as_null")]
    pub min_mv: f32,
    /// Largest value in mV.
    #[serde(with = "written::nan_as_null")]
    pub max_mv: f32,
    /// Nearest cluster of the step that covers it, once the network has seen its look-ahead.
    pub cluster: Option<u8>,
}

/// One second of analysis, for the rows under the trace and the trends.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Second {
    /// Mean entropy of the second's steps, 0 to 1; `None` = no verdict.
    pub entropy: Option<f32>,
    /// Mean novelty; 1 = unusual for the lead set.
    pub novelty: Option<f32>,
    /// Distance of the window's cluster mix from the baseline's, 0 to 1.
    pub shift: Option<f32>,
}

/// The bed's own limits for the three rows, once learnt.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Thresholds {
    /// Upper entropy limit, 0 to 1.
    pub entropy: Option<f32>,
    /// Upper novelty limit.
    pub novelty: Option<f32>,
    /// Upper limit of the shift.
    pub shift: Option<f32>,
}

/// One minute of one bed, for the 1 to 24 h trends.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TrendPoint {
    /// Start of the minute.
    pub at: Option<UtcMs>,
    /// Median entropy of the minute; `None` = no verdict.
    pub entropy: Option<f32>,
    /// Largest entropy of the minute.
    pub entropy_max: Option<f32>,
    /// Seconds over the threshold.
    pub over_s: u8,
    /// Seconds with shapes beyond the bed's novelty limit.
    #[serde(default)]
    pub new_s: u8,
    /// Seconds without a verdict.
    pub blind_s: u8,
}

/// One bed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BedView {
    /// The bed.
    pub bed: BedId,
    /// What the screen calls it (config), else the bed's last level.
    pub label: String,
    /// The data's state.
    pub state: BedState,
    /// Since when.
    pub state_since: UtcMs,
    /// What the state adds in plain words ("lead II"), without elapsed time.
    pub state_detail: String,
    /// Real, test or demo.
    pub mode: Mode,
    /// The patient is paced, as the monitor says.
    pub paced: bool,
    /// Age of the newest sample in ms; `None` = never any.
    pub sample_age_ms: Option<u64>,
    /// Age of the newest finding in ms.
    pub finding_age_ms: Option<u64>,
    /// Good signal learnt so far and needed, in seconds.
    pub learnt_s: [u32; 2],
    /// Pause: milliseconds left and reason.
    pub pause_left_ms: Option<u64>,
    /// Reason and person of the pause.
    pub pause_reason: String,
    /// The lead drawn.
    pub lead: Option<LeadId>,
    /// All leads with their signal.
    pub leads: Vec<LeadSignal>,
    /// Index of the first column since the epoch began (20 ms each), so that a sweep keeps its place.
    pub first_column: u64,
    /// The newest 10 s of trace, oldest first.
    pub columns: Vec<Column>,
    /// The newest 90 s, oldest first.
    pub seconds: Vec<Second>,
    /// The bed's limits.
    pub thresholds: Thresholds,
    /// The cluster mix now against the usual, the largest shift first.
    pub shifts: Vec<ClusterShift>,
    /// Clusters whose name does not hold on this bed: fewer than half of their steps lie where the name says.
    #[serde(default)]
    pub doubted: Vec<u8>,
    /// Classes by network and surrogate; empty unless `show_labels`.
    pub labels: Vec<LabelView>,
    /// Whether network and surrogate agree; `None` while nothing is read.
    pub agree: Option<bool>,
    /// Heart rate per minute and whether it is the monitor's own number.
    pub heart_rate: Option<HeartRate>,
    /// The last 24 h, a point a minute, oldest first; shared, since it is long and seldom changes.
    #[serde(with = "written::shared")]
    pub trend: Arc<Vec<TrendPoint>>,
    /// Marks that people set.
    pub marks: Vec<Mark>,
    /// Rate of the stream in Hz.
    pub rate_hz: Option<f32>,
    /// Samples lost, frames late or refused, clock drift.
    pub health: BedHealth,
}

impl BedView {
    /// The same bed without trace, seconds and trend, which are long.
    #[must_use]
    pub fn without_history(&self) -> Self {
        Self {
            bed: self.bed.clone(),
            label: self.label.clone(),
            state_detail: self.state_detail.clone(),
            pause_reason: self.pause_reason.clone(),
            leads: self.leads.clone(),
            columns: Vec::new(),
            seconds: Vec::new(),
            shifts: self.shifts.clone(),
            doubted: self.doubted.clone(),
            labels: self.labels.clone(),
            trend: Arc::default(),
            marks: self.marks.clone(),
            ..*self
        }
    }

    /// A bed of which nothing is known yet but its name.
    #[must_use]
    pub fn unheard(bed: BedId) -> Self {
        Self {
            label: bed.place().into(),
            bed,
            state: BedState::Stopped,
            state_since: UtcMs(0),
            state_detail: String::new(),
            mode: Mode::Real,
            paced: false,
            sample_age_ms: None,
            finding_age_ms: None,
            learnt_s: [0, 0],
            pause_left_ms: None,
            pause_reason: String::new(),
            lead: None,
            leads: Vec::new(),
            first_column: 0,
            columns: Vec::new(),
            seconds: Vec::new(),
            thresholds: Thresholds::default(),
            shifts: Vec::new(),
            doubted: Vec::new(),
            labels: Vec::new(),
            agree: None,
            heart_rate: None,
            trend: Arc::default(),
            marks: Vec::new(),
            rate_hz: None,
            health: BedHealth::default(),
        }
    }
}

/// A heart rate and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeartRate {
    /// Beats per minute.
    pub per_min: f32,
    /// The monitor's own number (`true`) or ours.
    pub theirs: bool,
}

/// A mark set by a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: UtcMs,
    /// One letter: c care, t turned, s suction, d drug, l leads, o other.
    pub letter: char,
    /// Free text.
    pub note: String,
}

/// One class, by network and surrogate. The training set's names for shapes; not findings about the patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelView {
    /// The class.
    pub name: String,
    /// The network's probability.
    pub network: f32,
    /// The surrogate's, from the clusters alone.
    pub surrogate: f32,
}

/// How a bed's stream fares.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BedHealth {
    /// Frames accepted.
    pub frames: u64,
    /// Frames refused by the decoder.
    pub refused: u64,
    /// Frames dropped as repeats.
    pub repeats: u64,
    /// Frames that came too late.
    pub late: u64,
    /// Gaps filled with missing samples.
    pub gaps: u64,
    /// Frames evicted from a full queue.
    pub evicted: u64,
    /// Drift of the monitor's clock against its sample counter, in parts per million.
    pub drift_ppm: Option<f32>,
    /// Delay from the newest sample to its finding, in ms.
    pub lag_ms: Option<u64>,
}

/// One alert as the screen lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertView {
    /// Its id.
    pub id: AlertId,
    /// Its revision, to be named when it is acknowledged.
    #[serde(default)]
    pub rev: u32,
    /// The bed; `None` for the node itself.
    pub bed: Option<BedId>,
    /// What the screen calls the bed.
    pub label: String,
    /// What is said.
    pub code: Code,
    /// Analysis or technical.
    pub class: AlertClass,
    /// How strong.
    pub level: Level,
    /// Since when.
    pub onset: UtcMs,
    /// When it ended; `None` = open.
    pub ended: Option<UtcMs>,
    /// Who has seen it and when.
    pub seen: Option<(String, UtcMs)>,
    /// The alert's one line.
    pub text: String,
    /// Seconds over the threshold, of the seconds looked at.
    pub k_of_n: Option<[u32; 2]>,
    /// Value, threshold and unit of the channel that raised it ("H 0.84/0.64").
    pub evidence: String,
    /// Which clusters changed.
    pub shifts: Vec<ClusterShift>,
    /// The trace around the moment it rose, frozen.
    pub strip: Vec<Column>,
    /// Held back from nurse call (cap, pause, a greater alert of the bed, below the budget): the silent review list.
    pub silent: bool,
    /// Its condition is over; it stays until somebody has seen it.
    #[serde(default)]
    pub latched: bool,
}

/// The node and its links.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NodeView {
    /// The node's name.
    pub name: String,
    /// The site's time zone as an IANA name; empty = unknown.
    #[serde(default)]
    pub timezone: String,
    /// Connected to the broker since; `None` = not connected.
    pub broker_since: Option<UtcMs>,
    /// The broker's address, without credentials.
    pub broker: String,
    /// Times reconnected.
    pub reconnects: u64,
    /// Payload bytes a second coming in.
    pub in_bytes_per_s: u64,
    /// Frames received, over all beds.
    pub frames: u64,
    /// Payloads refused.
    pub refused: u64,
    /// Frames evicted from full queues.
    pub evicted: u64,
    /// Windows read.
    pub findings: u64,
    /// Latency from a frame's arrival to its finding: 50th and 99th percentile, in ms.
    pub latency_ms: [f32; 2],
    /// The engine's stated delay (look-ahead and resampler), in ms.
    pub engine_delay_ms: u32,
    /// What computes: cpu-avx512, cpu-avx2, cpu-portable, cuda, candle.
    pub engine: String,
    /// The model's id.
    pub model: String,
    /// The config's id.
    pub config: String,
    /// Alerts in the journal not yet delivered everywhere.
    pub undelivered: u64,
    /// Each sink and its health in words; empty text = well.
    pub sinks: Vec<(String, String)>,
    /// Free bytes of the journal's disk.
    pub disk_free_bytes: Option<u64>,
    /// What is wrong with Wardbeat itself, in words; empty = nothing known.
    pub troubles: Vec<String>,
}
