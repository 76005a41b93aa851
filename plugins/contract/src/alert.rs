//! The message about a condition. Immutable; the same bytes on every channel.

use crate::{BedId, LeadId, Mode, UtcMs};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The first 32 hex digits of a SHA-256 over bed, epoch, code, onset and model: a pure function of the finding, so
/// two nodes name the same alert alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(pub String);

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is said. Three advisories and four technical codes; there are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Code {
    /// The analysis is uncertain: entropy outside the bed's band.
    #[serde(rename = "WB-UNC")]
    Uncertain,
    /// Shapes not seen while learning: novelty outside the bed's band.
    #[serde(rename = "WB-NEW")]
    New,
    /// The mix of clusters or the class evidence differs from the bed's baseline.
    #[serde(rename = "WB-CHG")]
    Changed,
    /// The signal is unusable.
    #[serde(rename = "WB-SIG")]
    Signal,
    /// No data.
    #[serde(rename = "WB-NODATA")]
    NoData,
    /// Time stamps are unreliable.
    #[serde(rename = "WB-CLK")]
    Clock,
    /// Wardbeat itself is behind or could not deliver.
    #[serde(rename = "WB-NODE")]
    Node,
}

impl Code {
    /// All codes, in the order of `docs/wire.md`.
    pub const ALL: [Self; 7] =
        [Self::Uncertain, Self::New, Self::Changed, Self::Signal, Self::NoData, Self::Clock, Self::Node];

    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uncertain => "WB-UNC",
            Self::New => "WB-NEW",
            Self::Changed => "WB-CHG",
            Self::Signal => "WB-SIG",
            Self::NoData => "WB-NODATA",
            Self::Clock => "WB-CLK",
            Self::Node => "WB-NODE",
        }
    }

    /// Analysis or technical.
    #[must_use]
    pub fn class(self) -> AlertClass {
        match self {
            Self::Uncertain | Self::New | Self::Changed => AlertClass::Analysis,
            Self::Signal | Self::NoData | Self::Clock | Self::Node => AlertClass::Technical,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether the alert is about the signal's meaning or about the equipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertClass {
    /// From the network and clusters.
    Analysis,
    /// From signal, link, clock or node.
    Technical,
}

/// How strong the evidence is. Rises with the evidence only, never because nobody acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Differs from this bed's usual (`!`).
    Advisory,
    /// Differs strongly and lasts (`!!`).
    Alert,
}

/// Where the alert stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It began.
    Start,
    /// Its evidence or level changed.
    Update,
    /// It is over.
    End,
}

/// Priority on the wire. There is no high: that is left to the bedside monitors (docs/safety.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// No alarm signal.
    Info,
    /// The default ceiling.
    #[default]
    Low,
    /// Only where the site sets it.
    Medium,
}

/// A stretch of the signal that made the alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// First sample, at the monitor's rate.
    pub from_n: u64,
    /// Sample after the last.
    pub to_n: u64,
    /// Mean entropy there, 0 to 1.
    pub entropy: f32,
    /// The cluster that prevails there.
    pub cluster: u8,
    /// The cluster that prevails in the bed's baseline.
    pub was: u8,
}

/// How one cluster's share moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterShift {
    /// The cluster.
    pub cluster: u8,
    /// Its name in the bundle ("mostly QRS 82%").
    pub name: String,
    /// Its share now, 0 to 1.
    pub now: f32,
    /// Its usual share on this bed, 0 to 1.
    pub usual: f32,
}

/// The evidence, small enough to travel with the alert. Numbers are rounded to thousandths.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Why {
    /// The leads looked at, or those in trouble.
    pub leads: Vec<LeadId>,
    /// Mean entropy of the window, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entropy: Option<f32>,
    /// The bed's own band of the value that raised the alert.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub band: Option<[f32; 2]>,
    /// Mean novelty of the window; 1 = unusual for the lead set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub novelty: Option<f32>,
    /// Distance of the cluster mix from the baseline's, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shift: Option<f32>,
    /// Seconds over the threshold, of the seconds looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub k_of_n: Option<[u32; 2]>,
    /// Share of the seconds looked at with good signal, 0 to 1.
    pub quality: f32,
    /// Share of missing samples, 0 to 1.
    pub missing: f32,
    /// Which seconds.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub segments: Vec<Segment>,
    /// Which clusters changed, the largest shift first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub clusters: Vec<ClusterShift>,
    /// What each kind of channel added to the fused score, the largest first; empty where channels decide by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<Part>,
    /// What a technical condition adds, in plain words and without elapsed seconds; with the fused score, what differs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// What one kind of channel added to the fused score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `entropy`, `novelty`, `mix`, `shape`, `beats`, `amplitude` or `signal`.
    pub group: String,
    /// Log odds against a usual second.
    pub part: f32,
}

/// The message about a condition (`docs/wire.md`, alert object). Its JSON is the same on every channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Version of this object: 1.
    pub v: u8,
    /// `alert.start`, `alert.update` or `alert.end`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The key for dropping repeats, together with `rev`.
    pub id: AlertId,
    /// Counts updates; the start is 0.
    pub rev: u32,
    /// What is said.
    pub code: Code,
    /// Analysis or technical.
    pub class: AlertClass,
    /// How strong the evidence is.
    pub level: Level,
    /// Where it stands.
    pub phase: Phase,
    /// Real, test or demo.
    pub mode: Mode,
    /// Priority on the wire.
    pub priority: Priority,
    /// The bed; `site/_node/NODE` for [`Code::Node`].
    pub bed: String,
    /// The epoch of the sample indices, eight hex digits.
    pub epoch: String,
    /// First sample of the condition, at the monitor's rate.
    pub onset_n: u64,
    /// Wall time of `onset_n`.
    pub onset: UtcMs,
    /// Wall time of the last sample that the decision used, not of computing.
    pub decided: UtcMs,
    /// One line for people.
    pub text: String,
    /// The evidence.
    pub why: Why,
    /// What the alert is not.
    pub limits: String,
    /// The model's id.
    pub model: String,
    /// The config's id.
    pub config: String,
    /// Hash of the evidence bundle on disk, `sha256:…`; empty where there is none.
    pub evidence: String,
}

impl Alert {
    /// Said in every alert.
    pub const LIMITS: &'static str = "advisory; not a diagnosis; not a primary alarm";

    /// The key under which receivers drop repeats: `id:rev`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}:{}", self.id, self.rev)
    }

    /// The bed as an id; `None` for an alert of the node itself.
    #[must_use]
    pub fn bed_id(&self) -> Option<BedId> {
        (self.code != Code::Node).then(|| BedId::new(&self.bed).ok())?
    }
}
