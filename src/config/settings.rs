//! The settings as plain types. Each default stands once, here; `keys.rs` describes the same keys for people.

use super::Analysis;
use contract::{BedId, Options};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
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
    /// What goes out over MQTT.
    pub publish: Publish,
    /// Destinations for alerts beside MQTT.
    #[serde(rename = "sink")]
    pub sinks: Vec<Sink>,
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

/// The broker and how to log in. Secrets are named by file, never written in the config.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broker {
    /// Where it is.
    pub url: BrokerUrl,
    /// User name; empty = none.
    pub username: String,
    /// File whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// PEM file of the authorities that may vouch for the broker; `None` = those of the Mozilla list or the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate chain.
    pub client_cert_file: Option<PathBuf>,
    /// PEM file of the certificate's key.
    pub client_key_file: Option<PathBuf>,
}

/// `mqtt://host:1883` or `mqtts://host:8883`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BrokerUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; 1883 or 8883 where the URL names none.
    pub port: u16,
    /// Whether the link is encrypted (`mqtts`).
    pub tls: bool,
}

impl Default for BrokerUrl {
    fn default() -> Self {
        Self { host: "localhost".into(), port: 1883, tls: false }
    }
}

impl BrokerUrl {
    /// Parses `mqtt://host[:port]` or `mqtts://host[:port]`.
    ///
    /// # Errors
    /// Says what is wrong and what to write instead. A user name or password in the URL is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (tls, rest) = if let Some(rest) = text.strip_prefix("mqtts://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("mqtt://") {
            (false, rest)
        } else {
            return Err("must begin with mqtt:// or mqtts://".into());
        };
        if rest.contains('@') {
            return Err("must not hold a login; use username and password_file".into());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| format!("{port:?} is not a port from 1 to 65535"))?)
            }
            _ => (rest, if tls { 8883 } else { 1883 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let clean = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
        if host.is_empty() || !host.chars().all(clean) || port == 0 {
            return Err("must have the form mqtt://host:1883 or mqtts://host:8883".into());
        }
        Ok(Self { host: host.into(), port, tls })
    }
}

impl TryFrom<String> for BrokerUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<BrokerUrl> for String {
    fn from(url: BrokerUrl) -> Self {
        url.to_string()
    }
}

impl std::fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}:{}", self.port)
    }
}

/// A topic and the decoder that reads what comes there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Topic filter, with `+` and a final `#` as MQTT has them.
    pub topic: String,
    /// The decoder's kind.
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
}

/// A bed with a label of its own. Beds that are not listed are followed too, under the last level of their id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bed {
    /// `site/unit/bed`, as in the topic.
    pub id: BedId,
    /// What the screen calls it ("Bay 2 window").
    pub label: String,
}

/// Alerts, baselines and cursors on disk (SQLite).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// The file; its folder must exist.
    pub path: PathBuf,
    /// Ended alerts older than this many days are deleted.
    pub retention_days: u32,
    /// The audit log; `None` = beside the journal.
    pub audit_path: Option<PathBuf>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { path: "wardbeat.sqlite".into(), retention_days: 90, audit_path: None }
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
    /// The kind's own keys.
    #[serde(default)]
    pub options: Options,
}

/// The terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Display {
    /// Colours: `auto`, `dark`, `light`, `high-contrast`, `okabe-ito`, `mono`.
    pub theme: String,
    /// Glyphs: `auto`, `braille` or `ascii`.
    pub glyphs: String,
    /// Shows the classes' names (research only; never at the bedside).
    pub show_labels: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self { theme: "auto".into(), glyphs: "auto".into(), show_labels: false }
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
            units: Vec::new(),
            beds: Vec::new(),
            analysis: Analysis::default(),
            journal: Journal::default(),
            commands: Commands::default(),
            publish: Publish::default(),
            sinks: Vec::new(),
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

    /// `c-` and six hex digits of the SHA-256 over the settings that can change an alert: analysis and
    /// sources. Node, broker and paths are left out, so that two nodes of a site write the same alert bytes.
    #[must_use]
    pub fn id(&self) -> String {
        // Values of serde_json keep their keys sorted: one text for one meaning.
        let canonical = serde_json::json!({
            "analysis": self.analysis,
            "source": self.sources,
        });
        let digest = Sha256::digest(canonical.to_string());
        format!("c-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
    }
}
