//! Checks a config against the table of keys and finds all faults at once, each with its line.

use super::Plugins;
use super::keys::{ANALYSIS, Field, Rule, SECTIONS, Section};
use super::settings::BrokerUrl;
use contract::{BedId, Key, Kind, Options};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One fault: where and what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line in the file, from 1; 0 = the file as a whole.
    pub line: usize,
    /// The key's path, such as `sink[1].options.port`; empty where there is none.
    pub place: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

type Table<'a> = DeTable<'a>;
type Value<'a> = Spanned<DeValue<'a>>;

/// Reads the text and collects every fault.
pub(super) fn diagnose(text: &str, plugins: &Plugins) -> Vec<Fault> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut found = Diagnosis { text, plugins, faults: Vec::new() };
    for error in errors {
        let what = format!("not TOML: {}", error.message().replace('\n', "; "));
        found.fault(error.span().unwrap_or(0..0), "", what);
    }
    // After a syntax error the rest is guesswork: one cause, not ten consequences.
    if found.faults.is_empty() {
        found.document(document.get_ref());
    }
    found.faults.sort();
    found.faults
}

struct Diagnosis<'a> {
    text: &'a str,
    plugins: &'a Plugins,
    faults: Vec<Fault>,
}

impl Diagnosis<'_> {
    fn fault(&mut self, span: Range<usize>, place: &str, what: impl Into<String>) {
        let start = span.start.min(self.text.len());
        let line = 1 + line_breaks(self.text, start);
        self.faults.push(Fault { line, place: place.into(), what: what.into() });
    }

    fn document(&mut self, document: &Table<'_>) {
        for (key, value) in document {
            let name: &str = key.get_ref();
            let section = SECTIONS.iter().find(|s| !s.name.is_empty() && s.name == name);
            match (section, SECTIONS[0].field(name)) {
                (Some(section), _) if section.list => self.list(section, value),
                (Some(section), _) => self.single(section, value),
                (None, Some(field)) => self.value(name, field, value),
                (None, None) => {
                    let top = SECTIONS[0].fields.iter().map(|f| f.key.name);
                    let known: Vec<&str> = SECTIONS[1..].iter().map(|s| s.name).chain(top).collect();
                    self.fault(key.span(), name, unknown(name, &known));
                }
            }
        }
        if !document.contains_key("source") {
            let what = "missing: without a [[source]] nothing is heard (topic and decoder)";
            self.faults.push(Fault { line: 0, place: "source".into(), what: what.into() });
        }
        if let Some(broker) = document.get("broker").and_then(|b| b.get_ref().as_table()) {
            self.broker(broker);
        }
        if let Some(analysis) = document.get("analysis").and_then(|a| a.get_ref().as_table()) {
            self.order(analysis);
        }
    }

    fn single(&mut self, section: &Section, value: &Value<'_>) {
        match value.get_ref().as_table() {
            Some(table) => self.section(section, section.name, table, value.span()),
            None => self.fault(value.span(), section.name, format!("must be a section, [{}]", section.name)),
        }
    }

    fn list(&mut self, section: &Section, value: &Value<'_>) {
        let Some(entries) = value.get_ref().as_array() else {
            let what = format!("must be a list of sections; write [[{}]]", section.name);
            return self.fault(value.span(), section.name, what);
        };
        let mut seen: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let place = format!("{}[{index}]", section.name);
            let Some(table) = entry.get_ref().as_table() else {
                self.fault(entry.span(), &place, format!("must be a section; write [[{}]]", section.name));
                continue;
            };
            self.section(section, &place, table, entry.span());
            for field in section.fields.iter().filter(|f| f.unique) {
                let name = field.key.name;
                let Some(value) = table.get(name) else { continue };
                let Some(text) = value.get_ref().as_str() else { continue };
                if let Some(first) = seen.insert((name, text.into()), index) {
                    let what = format!("{text:?} stands in {}[{first}] already", section.name);
                    self.fault(value.span(), &format!("{place}.{name}"), what);
                }
            }
        }
    }

    fn section(&mut self, section: &Section, place: &str, table: &Table<'_>, span: Range<usize>) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let at = format!("{place}.{name}");
            match section.field(name) {
                Some(field) if name == "options" => self.options(section, field, &at, table, value),
                Some(field) => self.value(&at, field, value),
                None => {
                    let known: Vec<&str> = section.fields.iter().map(|f| f.key.name).collect();
                    self.fault(key.span(), &at, unknown(name, &known));
                }
            }
        }
        for field in section.fields.iter().filter(|f| f.key.required && !table.contains_key(f.key.name)) {
            let what = format!("missing: {}", field.key.doc);
            self.fault(span.clone(), &format!("{place}.{}", field.key.name), what);
        }
        if section.field("options").is_some() && !table.contains_key("options") {
            self.plugin(section, place, table, &DeTable::new(), span);
        }
    }

    fn options(&mut self, section: &Section, field: &Field, at: &str, entry: &Table<'_>, value: &Value<'_>) {
        match value.get_ref().as_table() {
            Some(options) => self.plugin(section, at, entry, options, value.span()),
            None => self.fault(value.span(), at, wrong_kind(field.key.kind, value.get_ref())),
        }
    }

    /// Checks a plugin's options against its own keys, then lets the plugin judge them.
    fn plugin(
        &mut self,
        section: &Section,
        at: &str,
        entry: &Table<'_>,
        options: &Table<'_>,
        span: Range<usize>,
    ) {
        let before = self.faults.len();
        let kind_of = |name| entry.get(name).and_then(|v| v.get_ref().as_str());
        let keys = match section.name {
            "source" => {
                self.plugins.decoders.iter().find(|d| Some(d.kind) == kind_of("decoder")).map(|d| d.keys)
            }
            _ => self.plugins.sinks.iter().find(|s| Some(s.kind) == kind_of("kind")).map(|s| s.keys),
        };
        // An unknown plugin is a fault of its own key.
        let Some(keys) = keys else { return };
        for (key, value) in options {
            let name: &str = key.get_ref();
            let place = format!("{at}.{name}");
            match keys.iter().find(|k| k.name == name) {
                Some(known) if !of_kind(known.kind, value.get_ref()) => {
                    self.fault(value.span(), &place, wrong_kind(known.kind, value.get_ref()));
                }
                Some(_) => {}
                None => {
                    let known: Vec<&str> = keys.iter().map(|k| k.name).collect();
                    self.fault(key.span(), &place, unknown(name, &known));
                }
            }
        }
        for key in keys.iter().filter(|k| k.required && !options.contains_key(k.name)) {
            self.fault(span.clone(), &format!("{at}.{}", key.name), format!("missing: {}", key.doc));
        }
        if self.faults.len() == before {
            self.built(section, at, entry, options, span);
        }
    }

    fn built(
        &mut self,
        section: &Section,
        at: &str,
        entry: &Table<'_>,
        options: &Table<'_>,
        span: Range<usize>,
    ) {
        let plain: Options =
            options.iter().map(|(k, v)| (k.get_ref().to_string(), json(v.get_ref()))).collect();
        let is = |kind: &str, key: &str| entry.get(key).and_then(|v| v.get_ref().as_str()) == Some(kind);
        let result = match section.name {
            "source" => {
                let entry = self.plugins.decoders.iter().find(|d| is(d.kind, "decoder"));
                entry.map(|d| (d.build)(&plain).map(drop))
            }
            _ => self.plugins.sinks.iter().find(|s| is(s.kind, "kind")).map(|s| (s.build)(&plain).map(drop)),
        };
        if let Some(Err(error)) = result {
            let span = options.get(error.key.as_str()).map_or(span, Spanned::span);
            self.fault(span, &format!("{at}.{}", error.key), error.why);
        }
    }

    fn value(&mut self, place: &str, field: &Field, value: &Value<'_>) {
        let found = if of_kind(field.key.kind, value.get_ref()) {
            obeys(field.rule, value.get_ref(), self.plugins)
        } else {
            Err(wrong_kind(field.key.kind, value.get_ref()))
        };
        if let Err(what) = found {
            self.fault(value.span(), place, what);
        }
    }

    /// Keys of `[analysis]` of which the first must not exceed the second.
    fn order(&mut self, analysis: &Table<'_>) {
        let default =
            |name| ANALYSIS.field(name).and_then(|f| f.key.default.parse().ok()).unwrap_or(f64::NAN);
        let value = |name| analysis.get(name).map_or_else(|| default(name), |v| number(v.get_ref()));
        for (low, high) in [("score_off", "score_on"), ("score_on", "score_strong"), ("over_s", "of_s")] {
            let Some(given) = analysis.get(low).or(analysis.get(high)) else { continue };
            if value(low) > value(high) {
                let what = format!("{} exceeds {high}, which is {}", value(low), value(high));
                self.fault(given.span(), &format!("analysis.{low}"), what);
            }
        }
    }

    /// What the keys of `[broker]` ask of each other.
    fn broker(&mut self, broker: &Table<'_>) {
        let text = |name: &str| broker.get(name).and_then(|v| v.get_ref().as_str()).unwrap_or_default();
        let tls = text("url").starts_with("mqtts://");
        for name in ["ca_file", "client_cert_file", "client_key_file"] {
            if let Some(value) = broker.get(name).filter(|_| !tls) {
                let what = "only for an encrypted link; write url = \"mqtts://…\"";
                self.fault(value.span(), &format!("broker.{name}"), what);
            }
        }
        let needs = [
            ("password_file", "username"),
            ("client_cert_file", "client_key_file"),
            ("client_key_file", "client_cert_file"),
        ];
        for (name, other) in needs {
            if let Some(value) = broker.get(name).filter(|_| text(other).is_empty()) {
                self.fault(value.span(), &format!("broker.{name}"), format!("needs {other} beside it"));
            }
        }
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    format!("unknown key{}", suggestion(name, known))
}

/// `; did you mean "port"?`, or the words that are known.
fn suggestion(name: &str, known: &[&str]) -> String {
    let near = known.iter().map(|k| (strsim::damerau_levenshtein(name, k), *k)).min();
    match near {
        Some((distance, best)) if distance <= 1 + name.len() / 4 => format!("; did you mean {best:?}?"),
        Some(_) => format!("; known here: {}", known.join(", ")),
        None => "; none is known here".into(),
    }
}

fn of_kind(kind: Kind, value: &DeValue<'_>) -> bool {
    match kind {
        Kind::Text | Kind::Path => value.is_str(),
        Kind::Flag => value.is_bool(),
        Kind::Integer => value.is_integer(),
        Kind::Number => value.is_integer() || value.is_float(),
        Kind::Texts => value.as_array().is_some_and(|list| list.iter().all(|v| v.get_ref().is_str())),
        Kind::Table => value.is_table(),
    }
}

fn wrong_kind(kind: Kind, value: &DeValue<'_>) -> String {
    let wanted = match kind {
        Kind::Text => "a text in quotes",
        Kind::Path => "a path in quotes",
        Kind::Flag => "true or false",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::Texts => "a list of texts",
        Kind::Table => "a table",
    };
    format!("must be {wanted}, not {}", value.type_str())
}

/// Line breaks in the first `end` bytes of a text.
pub(super) fn line_breaks(text: &str, end: usize) -> usize {
    text.bytes().take(end).filter(|b| *b == b'\n').count()
}

fn number(value: &DeValue<'_>) -> f64 {
    let text = value
        .as_integer()
        .map(toml::de::DeInteger::as_str)
        .or(value.as_float().map(toml::de::DeFloat::as_str));
    text.and_then(|t| t.replace('_', "").parse().ok()).unwrap_or(f64::NAN)
}

fn obeys(rule: Rule, value: &DeValue<'_>, plugins: &Plugins) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let one_of = |known: &[&str]| {
        let what = || format!("{text:?} is not known{}", suggestion(text, known));
        known.contains(&text).then_some(()).ok_or_else(what)
    };
    match rule {
        Rule::Any => Ok(()),
        Rule::OneOf(words) if text == "high" && words.contains(&"medium") => {
            Err("high is left to the bedside monitors; at most \"medium\"".into())
        }
        Rule::OneOf(words) => one_of(words),
        Rule::Between(low, high) => {
            let inside = (low..=high).contains(&number(value));
            inside.then_some(()).ok_or_else(|| format!("must be {low} to {high}"))
        }
        Rule::Level => BedId::new(&format!("{text}/u/b")).map(drop).map_err(|fault| match fault {
            contract::IdFault::Levels(_) => format!("{text:?} must be one level of a topic, without /"),
            other => other.to_string(),
        }),
        Rule::Bed => BedId::new(text).map(drop).map_err(|fault| fault.to_string()),
        Rule::Filter => filter(text),
        Rule::Url => BrokerUrl::parse(text).map(drop),
        Rule::Zone => {
            let what = |_| format!("{text:?} is not an IANA time zone such as Europe/Vienna");
            jiff::tz::TimeZone::get(text).map(drop).map_err(what)
        }
        Rule::File => Path::new(text).is_file().then_some(()).ok_or_else(|| format!("no file {text:?}")),
        Rule::InFolder => {
            let folder = Path::new(text).parent().filter(|p| !p.as_os_str().is_empty());
            let there = !text.is_empty() && folder.is_none_or(Path::is_dir);
            there.then_some(()).ok_or_else(|| format!("the folder of {text:?} does not exist; create it"))
        }
        Rule::Decoder => one_of(&plugins.decoders.iter().map(|d| d.kind).collect::<Vec<_>>()),
        Rule::SinkKind => one_of(&plugins.sinks.iter().map(|s| s.kind).collect::<Vec<_>>()),
    }
}

fn filter(text: &str) -> Result<(), String> {
    let levels: Vec<&str> = text.split('/').collect();
    let last = levels.len() - 1;
    let good = |(i, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => i == last,
        other => !other.contains(['+', '#', '\0']),
    };
    let ok = !text.is_empty() && !text.starts_with('$') && levels.iter().enumerate().all(good);
    ok.then_some(())
        .ok_or_else(|| "not a topic filter: + and # stand alone between slashes, # comes last".into())
}

/// A TOML value as the plain value that plugins take.
fn json(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Integer(i) => i.to_string().parse::<i64>().map_or_else(|_| number(value).into(), Into::into),
        DeValue::Float(_) => number(value).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(list) => list.iter().map(|v| json(v.get_ref())).collect(),
        DeValue::Table(table) => {
            let pairs = table.iter().map(|(k, v)| (k.get_ref().to_string(), json(v.get_ref())));
            serde_json::Value::Object(pairs.collect())
        }
    }
}

/// The keys of a plugin, for the schema and the documentation.
pub(super) fn keys_of(section: &str, plugins: &Plugins) -> Vec<(&'static str, &'static [Key])> {
    match section {
        "source" => plugins.decoders.iter().map(|d| (d.kind, d.keys)).collect(),
        "sink" => plugins.sinks.iter().map(|s| (s.kind, s.keys)).collect(),
        _ => Vec::new(),
    }
}
