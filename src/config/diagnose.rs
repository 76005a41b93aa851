//! Checks a config against the table of keys and finds all faults at once, each with its line.

use super::Plugins;
use super::keys::{ANALYSIS, Field, Form, Rule, SECTIONS, Section};
use super::rules::{Known, json, line_breaks, number, obeys, of_kind, unknown, wrong_kind};
use super::together;
use contract::{Entry, Options};
use std::collections::BTreeMap;
use std::ops::Range;
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

/// The keys of `[analysis]` that an entry of a list has of its own.
fn own<'a>(entry: Option<&Table<'a>>) -> Option<Table<'a>> {
    entry?.get("analysis")?.get_ref().as_table().cloned()
}

fn id(entry: Option<&Table<'_>>) -> Option<String> {
    entry?.get("id")?.get_ref().as_str().map(String::from)
}

/// Where the value of a key stands; `leads.II` is `II` in the table `leads`.
fn span_of(options: &Table<'_>, key: &str) -> Option<Range<usize>> {
    match key.split_once('.') {
        Some((table, rest)) => span_of(options.get(table)?.get_ref().as_table()?, rest),
        None => options.get(key).map(Spanned::span),
    }
}

/// Reads the text and collects every fault.
pub(super) fn diagnose(text: &str, plugins: &Plugins) -> Vec<Fault> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let dialects = document.get_ref().get("dialect").and_then(|d| d.get_ref().as_table());
    let dialects = dialects.into_iter().flat_map(Table::keys).map(|k| &**k.get_ref());
    let known = Known {
        decoders: plugins.decoders.iter().map(|d| d.kind).chain(dialects).collect(),
        sinks: plugins.sinks.iter().map(|s| s.kind).collect(),
    };
    let mut found = Diagnosis { text, plugins, known, faults: Vec::new() };
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
    known: Known<'a>,
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
                (Some(section), _) => match section.form {
                    Form::Single => self.single(section, value),
                    Form::List => self.list(section, value),
                    Form::Named => self.dialects(section, value),
                },
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
        if let Some(http) = document.get("http").and_then(|h| h.get_ref().as_table()) {
            self.http(http);
        }
        let empty = DeTable::new();
        let base = document.get("analysis").and_then(|a| a.get_ref().as_table()).unwrap_or(&empty);
        self.order("analysis", &[base]);
        self.orders(document, base);
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
                Some(field) if matches!(field.rule, Rule::Analysis) => self.overrides(field, &at, value),
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
            self.chosen(section, place, table, &DeTable::new(), span);
        }
    }

    /// Tables of foreign dialects: each has a name of its own and the keys of the one plugin that reads them.
    fn dialects(&mut self, section: &Section, value: &Value<'_>) {
        let name = section.name;
        let Some(tables) = value.get_ref().as_table() else {
            return self.fault(value.span(), name, format!("must be named sections; write [{name}.NAME]"));
        };
        for (key, value) in tables {
            let at = format!("{name}.{}", key.get_ref());
            let plugins = *self.plugins;
            let built_in = plugins.decoders.iter().any(|d| d.kind == &**key.get_ref());
            match (value.get_ref().as_table(), plugins.dialect) {
                _ if built_in => {
                    self.fault(key.span(), &at, "is a decoder of this build already; take another name");
                }
                (None, _) => {
                    self.fault(value.span(), &at, format!("must be a section; write [{name}.NAME]"));
                }
                (_, None) => self.fault(key.span(), &at, "this build reads no dialects"),
                (Some(table), Some(plugin)) => self.plugin(plugin, &at, table, value.span()),
            }
        }
    }

    fn options(&mut self, section: &Section, field: &Field, at: &str, entry: &Table<'_>, value: &Value<'_>) {
        match value.get_ref().as_table() {
            Some(options) => self.chosen(section, at, entry, options, value.span()),
            None => self.fault(value.span(), at, wrong_kind(field.key.kind, value.get_ref())),
        }
    }

    /// Keys of `[analysis]` that a unit or bed has of its own.
    fn overrides(&mut self, field: &Field, at: &str, value: &Value<'_>) {
        let Some(table) = value.get_ref().as_table() else {
            return self.fault(value.span(), at, wrong_kind(field.key.kind, value.get_ref()));
        };
        for (key, value) in table {
            let (name, at): (&str, _) = (key.get_ref(), format!("{at}.{}", key.get_ref()));
            if let Some(field) = ANALYSIS.field(name) {
                self.value(&at, field, value);
            } else {
                let known: Vec<&str> = ANALYSIS.fields.iter().map(|f| f.key.name).collect();
                self.fault(key.span(), &at, unknown(name, &known));
            }
        }
    }

    /// Checks the options of the plugin that an entry names.
    fn chosen(
        &mut self,
        section: &Section,
        at: &str,
        entry: &Table<'_>,
        options: &Table<'_>,
        span: Range<usize>,
    ) {
        let named = |key| entry.get(key).and_then(|v| v.get_ref().as_str());
        let plugins = *self.plugins;
        // An unknown plugin is a fault of its own key.
        if section.name == "sink" {
            if let Some(plugin) = plugins.sinks.iter().find(|s| Some(s.kind) == named("kind")) {
                self.plugin(plugin, at, options, span);
            }
            return;
        }
        let decoder = named("decoder");
        if let Some(plugin) = plugins.decoders.iter().find(|d| Some(d.kind) == decoder) {
            self.plugin(plugin, at, options, span);
        } else if let Some(name) = decoder.filter(|name| self.known.decoders.contains(name))
            && let Some((key, _)) = options.iter().next()
        {
            self.fault(key.span(), at, format!("the keys of a dialect stand in [dialect.{name}]"));
        }
    }

    /// Checks a plugin's options against its own keys, then lets the plugin judge them.
    fn plugin<T: ?Sized>(&mut self, plugin: &Entry<T>, at: &str, options: &Table<'_>, span: Range<usize>) {
        let before = self.faults.len();
        for (key, value) in options {
            let name: &str = key.get_ref();
            let place = format!("{at}.{name}");
            match plugin.keys.iter().find(|k| k.name == name) {
                Some(known) if !of_kind(known.kind, value.get_ref()) => {
                    self.fault(value.span(), &place, wrong_kind(known.kind, value.get_ref()));
                }
                Some(_) => {}
                None => {
                    let known: Vec<&str> = plugin.keys.iter().map(|k| k.name).collect();
                    self.fault(key.span(), &place, unknown(name, &known));
                }
            }
        }
        for key in plugin.keys.iter().filter(|k| k.required && !options.contains_key(k.name)) {
            self.fault(span.clone(), &format!("{at}.{}", key.name), format!("missing: {}", key.doc));
        }
        if self.faults.len() > before {
            return;
        }
        let plain: Options =
            options.iter().map(|(k, v)| (k.get_ref().to_string(), json(v.get_ref()))).collect();
        if let Err(error) = (plugin.build)(&plain) {
            let span = span_of(options, &error.key).unwrap_or(span);
            self.fault(span, &format!("{at}.{}", error.key), error.why);
        }
    }

    fn value(&mut self, place: &str, field: &Field, value: &Value<'_>) {
        let found = if of_kind(field.key.kind, value.get_ref()) {
            obeys(field.rule, value.get_ref(), &self.known)
        } else {
            Err(wrong_kind(field.key.kind, value.get_ref()))
        };
        if let Err(what) = found {
            self.fault(value.span(), place, what);
        }
    }

    /// Units and beds with keys of their own, each on top of what it stands in.
    fn orders(&mut self, document: &Table<'_>, base: &Table<'_>) {
        let tables = |name: &str| {
            let list = document.get(name).and_then(|v| v.get_ref().as_array());
            list.into_iter().flatten().map(|v| v.get_ref().as_table()).collect::<Vec<_>>()
        };
        let (units, beds) = (tables("unit"), tables("bed"));
        for (i, unit) in units.iter().enumerate() {
            if let Some(own) = own(*unit) {
                self.order(&format!("unit[{i}].analysis"), &[&own, base]);
            }
        }
        for (i, bed) in beds.iter().enumerate() {
            let Some(bed_own) = own(*bed) else { continue };
            let of = id(*bed).and_then(|id| id.split('/').nth(1).map(String::from));
            let unit = units.iter().find(|u| id(**u) == of).and_then(|u| own(*u)).unwrap_or_default();
            self.order(&format!("bed[{i}].analysis"), &[&bed_own, &unit, base]);
        }
    }

    /// Keys of which the first must not exceed the second; the first table that has a key says it.
    fn order(&mut self, place: &str, tables: &[&Table<'_>]) {
        let default =
            |name| ANALYSIS.field(name).and_then(|f| f.key.default.parse().ok()).unwrap_or(f64::NAN);
        let value = |name| {
            let said = tables.iter().find_map(|t| t.get(name));
            said.map_or_else(|| default(name), |v| number(v.get_ref()))
        };
        for (low, high) in [("score_off", "score_on"), ("score_on", "score_strong"), ("over_s", "of_s")] {
            let Some(given) = tables[0].get(low).or(tables[0].get(high)) else { continue };
            if value(low) > value(high) {
                let what = format!("{} exceeds {high}, which is {}", value(low), value(high));
                self.fault(given.span(), &format!("{place}.{low}"), what);
            }
        }
    }

    fn http(&mut self, http: &Table<'_>) {
        let text = |key: &str| http.get(key).and_then(|v| v.get_ref().as_str());
        let texts = http.keys().filter_map(|k| Some((&**k.get_ref(), text(k.get_ref())?))).collect();
        if let Some((key, what)) = together::http(&texts) {
            let span = http.get(key).map_or(0..0, Spanned::span);
            self.fault(span, &format!("http.{key}"), what);
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
