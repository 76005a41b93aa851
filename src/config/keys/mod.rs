//! Every key of the config, once: what it takes, its default, its rule and one line for people. Validation, the JSON
//! schema and `config/wardbeat.toml` are made from this table; tests hold the defaults to those of `settings.rs`.

mod analysis;

pub(super) use analysis::ANALYSIS;

use super::keys_services::{COMMANDS, HTTP, RECORDER};
use contract::{Key, Kind};

/// What a value must obey beside its kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Nothing.
    Any,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Between these numbers, both allowed.
    Between(f64, f64),
    /// One level of a topic.
    Level,
    /// `site/unit/bed`.
    Bed,
    /// A topic filter.
    Filter,
    /// `mqtt://…` or `mqtts://…`.
    Url,
    /// Address and port to listen at, or nothing.
    Listen,
    /// An IANA time zone.
    Zone,
    /// A file that exists.
    File,
    /// A file in a folder that exists.
    InFolder,
    /// A decoder of this build.
    Decoder,
    /// A destination of this build.
    SinkKind,
    /// A table of keys of `[analysis]`.
    Analysis,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub key: Key,
    pub rule: Rule,
    /// Must differ between the entries of a list.
    pub unique: bool,
}

/// How a section is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `[section]`, once.
    Single,
    /// `[[section]]`: any number of entries.
    List,
    /// `[section.NAME]`: any number of tables; their keys are those of a plugin.
    Named,
}

/// One section; the name is empty for the keys at the top.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub name: &'static str,
    pub form: Form,
    /// What it is for, for people.
    pub doc: &'static str,
    pub fields: &'static [Field],
    /// An entry as the documented config shows it; not for single sections.
    pub sample: &'static str,
}

impl Section {
    /// Its field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.key.name == name)
    }
}

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    rule: Rule,
    doc: &'static str,
) -> Field {
    Field { key: Key { name, kind, required: false, default, doc }, rule, unique: false }
}

const fn required(name: &'static str, kind: Kind, rule: Rule, doc: &'static str) -> Field {
    Field { key: Key { name, kind, required: true, default: "", doc }, rule, unique: false }
}

const fn unique(field: Field) -> Field {
    Field { unique: true, ..field }
}

/// What an alert may carry.
const PRIORITY: Rule = Rule::OneOf(&["info", "low", "medium"]);

/// All sections, in the order of the documented config.
pub(super) const SECTIONS: &[Section] = &[
    TOP, BROKER, SOURCE, DIALECT, UNIT, BED, ANALYSIS, JOURNAL, RECORDER, COMMANDS, PUBLISH, SINK, HTTP,
    DISPLAY,
];

const TOP: Section = Section {
    name: "",
    form: Form::Single,
    doc: "",
    fields: &[
        key("site", Kind::Text, "\"site1\"", Rule::Level, "First level of every topic after wardbeat/v1."),
        key(
            "node",
            Kind::Text,
            "\"node-a\"",
            Rule::Level,
            "Name of this node; must differ between nodes of a site.",
        ),
        key(
            "timezone",
            Kind::Text,
            "\"UTC\"",
            Rule::Zone,
            "IANA time zone of times shown to people, such as Europe/Vienna; the wire is always UTC.",
        ),
        key(
            "device",
            Kind::Text,
            "\"auto\"",
            Rule::OneOf(&["auto", "cpu", "cuda"]),
            "What runs the network; auto takes a GPU where the build has one and it answers.",
        ),
        key(
            "threads",
            Kind::Integer,
            "0",
            Rule::Between(0.0, 256.0),
            "Engine threads; 0 = one for each core.",
        ),
    ],
    sample: "",
};

const BROKER: Section = Section {
    name: "broker",
    form: Form::Single,
    doc: "The MQTT broker of the site. Secrets are files, never text in this one.",
    fields: &[
        key(
            "url",
            Kind::Text,
            "\"mqtt://localhost:1883\"",
            Rule::Url,
            "mqtt://host:1883, or mqtts://host:8883 for TLS.",
        ),
        key("username", Kind::Text, "\"\"", Rule::Any, "User name; empty = none."),
        key("password_file", Kind::Path, "", Rule::File, "File whose first line is the password."),
        key(
            "ca_file",
            Kind::Path,
            "",
            Rule::File,
            "PEM file of the authorities that may vouch for the broker (mqtts only).",
        ),
        key(
            "client_cert_file",
            Kind::Path,
            "",
            Rule::File,
            "PEM file of our own certificate chain (mqtts only).",
        ),
        key("client_key_file", Kind::Path, "", Rule::File, "PEM file of that certificate's key."),
    ],
    sample: "",
};

const SOURCE: Section = Section {
    name: "source",
    form: Form::List,
    doc: "What to listen to: a topic filter and the decoder that reads what comes there. Where two filters match, the\nfirst in this file is used.",
    fields: &[
        unique(required(
            "topic",
            Kind::Text,
            Rule::Filter,
            "Topic filter; + stands for one level, a final # for all that follow.",
        )),
        required(
            "decoder",
            Kind::Text,
            Rule::Decoder,
            "The dialect: a decoder of this build, or a [dialect.NAME].",
        ),
        key("options", Kind::Table, "", Rule::Any, "The decoder's own keys."),
    ],
    sample: "[[source]]\ntopic = \"wardbeat/v1/site1/+/+/wave/bin\"\ndecoder = \"packed\"\n\n[[source]]\ntopic = \"wardbeat/v1/site1/#\"\ndecoder = \"json\"\n",
};

const DIALECT: Section = Section {
    name: "dialect",
    form: Form::Named,
    doc: "Dialects of foreign gateways that send JSON: tables of JSON pointers, each a decoder by its name.",
    fields: &[],
    sample: "# [dialect.hobby]                # read by: decoder = \"hobby\"\n# bed_level = 1                  # in hobby/bed7/ecg, bed7 …\n# bed_prefix = \"site1/icu\"       # … is site1/icu/bed7\n# rate_hz = 250\n# time = \"/ts\"\n# unit = \"uV\"\n# [dialect.hobby.leads]\n# II = \"/ecg/II\"\n",
};

const UNIT: Section = Section {
    name: "unit",
    form: Form::List,
    doc: "The units (wards), where the id alone does not say it to people.",
    fields: &[
        unique(required("id", Kind::Text, Rule::Level, "Second level of the topics.")),
        key("label", Kind::Text, "\"\"", Rule::Any, "What people call it; empty = the id."),
        key(
            "station",
            Kind::Text,
            "\"\"",
            Rule::Any,
            "Where technical alerts of the node itself go; empty = the id.",
        ),
        key("analysis", Kind::Table, "", Rule::Analysis, "Keys of [analysis] that differ in this unit."),
    ],
    sample: "# [[unit]]\n# id = \"icu\"\n# label = \"Intensive care\"\n# station = \"ICU desk\"\n",
};

const BED: Section = Section {
    name: "bed",
    form: Form::List,
    doc: "Labels of beds. A bed that is not listed is followed too and shown under the last level of its id.",
    fields: &[
        unique(required("id", Kind::Text, Rule::Bed, "site/unit/bed, as in the topic.")),
        required("label", Kind::Text, Rule::Any, "What the screen calls it."),
        key("analysis", Kind::Table, "", Rule::Analysis, "Keys of [analysis] that differ at this bed."),
    ],
    sample: "# [[bed]]\n# id = \"site1/icu/b07\"\n# label = \"Bay 2 window\"\n# analysis = { latching = true, per_hour = 4 }\n",
};

const JOURNAL: Section = Section {
    name: "journal",
    form: Form::Single,
    doc: "Alerts, baselines and delivery marks on disk (SQLite).",
    fields: &[
        key("path", Kind::Path, "\"wardbeat.sqlite\"", Rule::InFolder, "The file."),
        key(
            "retention_days",
            Kind::Integer,
            "90",
            Rule::Between(1.0, 36_500.0),
            "Ended alerts older than this are deleted.",
        ),
        key(
            "retention_mb",
            Kind::Integer,
            "1024",
            Rule::Between(1.0, 1_000_000.0),
            "Above so many megabytes the oldest ended alerts go, whatever their age.",
        ),
        key(
            "audit_path",
            Kind::Path,
            "",
            Rule::InFolder,
            "The audit log of starts, commands and keys; beside the journal if absent.",
        ),
    ],
    sample: "",
};

const PUBLISH: Section = Section {
    name: "publish",
    form: Form::Single,
    doc: "What goes out over MQTT beside the alerts themselves, which always do.",
    fields: &[
        key("state", Kind::Flag, "true", Rule::Any, "Retained state of each bed, once a second."),
        key(
            "view",
            Kind::Flag,
            "true",
            Rule::Any,
            "What `wardbeat watch` shows elsewhere: traces four times a second, about 1.5 kB a second a bed.",
        ),
        key("explain", Kind::Flag, "false", Rule::Any, "Assignment, entropy and novelty of every hop."),
    ],
    sample: "",
};

const SINK: Section = Section {
    name: "sink",
    form: Form::List,
    doc: "Destinations for alerts beside MQTT.",
    fields: &[
        unique(required("name", Kind::Text, Rule::Level, "Its name in the journal and on the screen.")),
        required("kind", Kind::Text, Rule::SinkKind, "The kind of destination."),
        key(
            "expire_h",
            Kind::Integer,
            "24",
            Rule::Between(1.0, 720.0),
            "Hours after which an alert that it never took is given up, which WB-NODE says.",
        ),
        key(
            "after_outage",
            Kind::Text,
            "\"all\"",
            Rule::OneOf(&["all", "end-only"]),
            "After an outage: everything, or of an alert that ended meanwhile its end only.",
        ),
        key("options", Kind::Table, "", Rule::Any, "The kind's own keys."),
    ],
    sample: "",
};

const DISPLAY: Section = Section {
    name: "display",
    form: Form::Single,
    doc: "The terminal of `demo` and `run --tui`.",
    fields: &[
        key(
            "theme",
            Kind::Text,
            "\"auto\"",
            Rule::OneOf(&["auto", "dark", "light", "high-contrast", "okabe-ito", "mono"]),
            "Colours; auto asks the terminal.",
        ),
        key(
            "glyphs",
            Kind::Text,
            "\"auto\"",
            Rule::OneOf(&["auto", "braille", "ascii"]),
            "ascii for fonts without braille; auto asks the terminal.",
        ),
        key(
            "advisory_hue",
            Kind::Text,
            "\"cyan\"",
            Rule::OneOf(&["cyan", "white"]),
            "Colour of advisories; white where the monitors use cyan for technical messages.",
        ),
        key(
            "show_labels",
            Kind::Flag,
            "false",
            Rule::Any,
            "Shows the classes' names: for research, never at the bedside.",
        ),
    ],
    sample: "",
};
