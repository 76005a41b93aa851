//! The settings as plain types. Each default stands once, here; `keys.rs` describes the same keys for people.

use super::{Analysis, Broker, Http, Recorder};
use contract::{BedId, Options};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A whole config, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The site: first level of every topic.
    pub site: String,
    /// This node's name; must differ between nodes of a site.
    pub node: String,
    /// IANA time zone for times shown to people; everything on the wire is UTC.
    pub timezone: String,
    /// What runs the network.
    pub device: Device,
    /// Engine threads; 0 = one for each core.
    pub threads: usize,
    /// The broker.
    pub broker: Broker,
    /// What to listen to.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// Tables of foreign dialects, each a decoder by its name.
    #[serde(rename = "dialect")]
    pub dialects: BTreeMap<String, Options>,
    /// The units (wards) and their names.
    #[serde(rename = "unit")]
    pub units: Vec<Unit>,
    /// Labels of beds.
    #[serde(rename = "bed")]
    pub beds: Vec<Bed>,
    /// Learning, limits and budgets of the analysis.
    pub analysis: Analysis,
    /// Alerts on disk.
    pub journal: Journal,
    /// Who may ask what of a bed.
    pub commands: Commands,
    /// The accepted stream on disk.
    pub recorder: Recorder,
    /// What goes out over MQTT.
    pub publish: Publish,
    /// Destinations for alerts beside MQTT.
    #[serde(rename = "sink")]
    pub sinks: Vec<Sink>,
    /// Health, metrics, beds and alerts over HTTP.
    pub http: Http,
    /// The terminal.
    pub display: Display,
}

/// What runs the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The GPU where the build has one and it answers, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU; falls back to the CPU with a message where none answers.
    Cuda,
}

impl std::str::FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            other => Err(format!("{other:?} is not auto, cpu or cuda")),
        }
    }
}

/// A topic and the decoder that reads what comes there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Topic filter, with `+` and a final `#` as MQTT has them.
    pub topic: String,
    /// The decoder's kind, or the name of a dialect.
    pub decoder: String,
    /// The decoder's own keys.
    #[serde(default)]
    pub options: Options,
}

/// A unit (ward).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Second level of the topics.
    pub id: String,
    /// What people call it; empty = the id.
    #[serde(default)]
    pub label: String,
    /// Where technical alerts of the node itself go (the unit's station); empty = the id.
    #[serde(default)]
    pub station: String,
    /// Keys of `[analysis]` that differ in this unit.
    #[serde(default)]
    pub analysis: Options,
}

/// A bed with a label of its own. Beds that are not listed are followed too, under the last level of their id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bed {
    /// `site/unit/bed`, as in the topic.
    pub id: BedId,
    /// What the screen calls it ("Bay 2 window").
    pub label: String,
    /// Keys of `[analysis]` that differ at this bed.
    #[serde(default)]
    pub analysis: Options,
}

/// Alerts, baselines and cursors on disk (SQLite).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// The file; its folder must exist.
    pub path: PathBuf,
    /// Ended alerts older than this many days are deleted.
    pub retention_days: u32,
    /// The oldest ended alerts go when the journal holds more than this many megabytes.
    pub retention_mb: u32,
    /// The audit log; `None` = beside the journal.
    pub audit_path: Option<PathBuf>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { path: "wardbeat.sqlite".into(), retention_days: 90, retention_mb: 1_024, audit_path: None }
    }
}

/// Commands of people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commands {
    /// The file of command keys, as `wardbeat keys` writes it; `None` = no signed command is taken.
    pub keys_file: Option<PathBuf>,
}

/// What goes out over MQTT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publish {
    /// Retained state of each bed, once a second.
    pub state: bool,
    /// Trace, bed and node for screens elsewhere (`wardbeat watch`); the last 24 h are retained.
    pub view: bool,
    /// Assignment, entropy and novelty of every hop.
    pub explain: bool,
}

impl Default for Publish {
    fn default() -> Self {
        Self { state: true, view: true, explain: false }
    }
}

/// A destination for alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Its name in the journal and on the screen.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Hours after which an alert that this destination never took is no longer worth delivering.
    #[serde(default = "a_day")]
    pub expire_h: u32,
    /// What goes out after an outage: all, or of an alert that ended meanwhile its end only.
    #[serde(default)]
    pub after_outage: AfterOutage,
    /// The kind's own keys.
    #[serde(default)]
    pub options: Options,
}

fn a_day() -> u32 {
    24
}

impl Default for Sink {
    fn default() -> Self {
        let (name, kind, options) = (String::new(), String::new(), Options::new());
        Self { name, kind, expire_h: a_day(), after_outage: AfterOutage::All, options }
    }
}

/// What goes out after an outage of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterOutage {
    /// Every start, update and end, in order.
    #[default]
    All,
    /// Of an alert that has ended meanwhile, its end only.
    EndOnly,
}

/// The terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Display {
    /// Colours: `auto`, `dark`, `light`, `high-contrast`, `okabe-ito`, `mono`.
    pub theme: String,
    /// Glyphs: `auto`, `braille` or `ascii`.
    pub glyphs: String,
    /// Colour of advisories: `cyan` or `white`.
    pub advisory_hue: String,
    /// Shows the classes' names (research only; never at the bedside).
    pub show_labels: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self { theme: "auto".into(), glyphs: "auto".into(), advisory_hue: "cyan".into(), show_labels: false }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            site: "site1".into(),
            node: "node-a".into(),
            timezone: "UTC".into(),
            device: Device::Auto,
            threads: 0,
            broker: Broker::default(),
            sources: Vec::new(),
            dialects: BTreeMap::new(),
            units: Vec::new(),
            beds: Vec::new(),
            analysis: Analysis::default(),
            journal: Journal::default(),
            commands: Commands::default(),
            recorder: Recorder::default(),
            publish: Publish::default(),
            sinks: Vec::new(),
            http: Http::default(),
            display: Display::default(),
        }
    }
}

impl Settings {
    /// What the screen calls a bed: its label, else the last level of its id.
    #[must_use]
    pub fn label(&self, bed: &BedId) -> String {
        let named = self.beds.iter().find(|b| &b.id == bed).map(|b| b.label.clone());
        named.unwrap_or_else(|| bed.place().to_owned())
    }

    /// The audit log: where the config says, else beside the journal.
    #[must_use]
    pub fn audit_path(&self) -> PathBuf {
        self.journal.audit_path.clone().unwrap_or_else(|| self.journal.path.with_extension("audit.jsonl"))
    }

    /// The unit's station, where alerts without a bed are sent.
    #[must_use]
    pub fn station<'a>(&'a self, unit: &'a str) -> &'a str {
        let named = self.units.iter().find(|u| u.id == unit && !u.station.is_empty());
        named.map_or(unit, |u| u.station.as_str())
    }

    /// Limits and budgets of every bed of a unit that has its own.
    #[must_use]
    pub fn unit_analysis(&self) -> BTreeMap<String, Analysis> {
        let own = self.units.iter().filter(|u| !u.analysis.is_empty());
        own.map(|u| (u.id.clone(), self.analysis.with(&u.analysis))).collect()
    }

    /// Limits and budgets of every bed that has its own, on top of its unit's.
    #[must_use]
    pub fn bed_analysis(&self) -> BTreeMap<BedId, Analysis> {
        let units = self.unit_analysis();
        let of_unit = |bed: &BedId| units.get(bed.unit()).unwrap_or(&self.analysis);
        let own = self.beds.iter().filter(|b| !b.analysis.is_empty());
        own.map(|b| (b.id.clone(), of_unit(&b.id).with(&b.analysis))).collect()
    }

    /// `c-` and six hex digits of the SHA-256 over the settings that can change an alert: analysis, sources and
    /// dialects. Node, broker and paths are left out, so that two nodes of a site write the same alert bytes.
    #[must_use]
    pub fn id(&self) -> String {
        // Values of serde_json keep their keys sorted: one text for one meaning.
        let mut canonical = serde_json::json!({
            "analysis": self.analysis,
            "source": self.sources,
        });
        let own = [
            ("dialect", serde_json::json!(self.dialects)),
            ("unit", serde_json::json!(self.unit_analysis())),
            ("bed", serde_json::json!(self.bed_analysis())),
        ];
        for (name, own) in own.into_iter().filter(|o| o.1 != serde_json::json!({})) {
            canonical[name] = own;
        }
        let digest = Sha256::digest(canonical.to_string());
        format!("c-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
    }
}
