//! The table of keys as a JSON schema and as the documented config.

use super::Plugins;
use super::keys::{Field, Form, Rule, SECTIONS, Section};
use contract::{Key, Kind};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The JSON schema (draft 2020-12) of a config file, for editors.
#[must_use]
pub fn schema(plugins: &Plugins) -> Value {
    let mut properties = Map::new();
    for section in SECTIONS {
        let own = of_section(section, plugins);
        match section.name {
            "" => properties.extend(own["properties"].as_object().cloned().unwrap_or_default()),
            name => {
                let whole = match section.form {
                    Form::Single => own,
                    Form::List => json!({"type": "array", "items": own, "description": section.doc}),
                    Form::Named => {
                        json!({"type": "object", "additionalProperties": own, "description": section.doc})
                    }
                };
                properties.insert(name.into(), whole);
            }
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Wardbeat config",
        "type": "object",
        "additionalProperties": false,
        "required": ["source"],
        "properties": properties,
    })
}

fn of_section(section: &Section, plugins: &Plugins) -> Value {
    let mut properties: Map<String, Value> =
        section.fields.iter().map(|f| (f.key.name.into(), of_field(f, plugins))).collect();
    let mut required: Vec<&str> =
        section.fields.iter().filter(|f| f.key.required).map(|f| f.key.name).collect();
    if section.form == Form::Named {
        let keys = plugins.dialect.map_or(&[][..], |plugin| plugin.keys);
        properties.extend(keys.iter().map(|key| (key.name.into(), of_key(key))));
        required.extend(keys.iter().filter(|key| key.required).map(|key| key.name));
    }
    json!({
        "type": "object",
        "description": section.doc,
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

fn of_field(field: &Field, plugins: &Plugins) -> Value {
    let mut value = of_key(&field.key);
    let kinds = |section| keys_of(section, plugins).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    match field.rule {
        Rule::OneOf(words) => value["enum"] = json!(words),
        Rule::Between(low, high) => {
            value["minimum"] = json!(low);
            value["maximum"] = json!(high);
        }
        // A dialect's name is the site's own: the words are a help, not a limit.
        Rule::Decoder => value["examples"] = json!(kinds("source")),
        Rule::SinkKind => value["enum"] = json!(kinds("sink")),
        _ => {}
    }
    value
}

fn of_key(key: &Key) -> Value {
    let mut value = match key.kind {
        Kind::Text | Kind::Path => json!({"type": "string"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Number => json!({"type": "number"}),
        Kind::NumberOrText => json!({"type": ["number", "string"]}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Table => json!({"type": "object"}),
    };
    value["description"] = key.doc.into();
    if let Ok(default) = format!("v = {}", key.default).parse::<toml::Table>() {
        value["default"] = serde_json::to_value(&default["v"]).unwrap_or_default();
    }
    value
}

/// `config/wardbeat.toml`: every key with its default and its reason.
#[must_use]
pub fn documented(plugins: &Plugins) -> String {
    let mut text = String::from(
        "# Wardbeat: every key with its default. `wardbeat check FILE` reports all faults of a config at once;\n\
         # `wardbeat check --schema` prints a JSON schema for editors. This file is printed by `wardbeat check --documented`.\n",
    );
    for section in SECTIONS {
        text.push('\n');
        comment(&mut text, section.doc);
        if section.form != Form::Single {
            listed(&mut text, section, plugins);
            continue;
        }
        if !section.name.is_empty() {
            line(&mut text, format_args!("[{}]", section.name));
        }
        for Field { key, .. } in section.fields {
            comment(&mut text, key.doc);
            match key.default {
                "" => line(&mut text, format_args!("# {} = \"…\"", key.name)),
                default => line(&mut text, format_args!("{} = {default}", key.name)),
            }
        }
    }
    text
}

fn listed(text: &mut String, section: &Section, plugins: &Plugins) {
    for Field { key, .. } in section.fields {
        explain(text, key);
    }
    let kinds = keys_of(section.name, plugins);
    let names: Vec<String> = kinds.iter().map(|(kind, _)| format!("{kind:?}")).collect();
    match section.name {
        "source" => comment(text, &format!("Decoders of this build: {}.", names.join(", "))),
        "sink" if names.is_empty() => comment(text, "This build has none: alerts go out over MQTT."),
        "sink" => comment(text, &format!("Kinds of this build: {}.", names.join(", "))),
        _ => {}
    }
    if let Some(plugin) = plugins.dialect.filter(|_| section.form == Form::Named) {
        plugin.keys.iter().for_each(|key| explain(text, key));
    }
    for (kind, keys) in kinds.iter().filter(|(_, keys)| !keys.is_empty()) {
        comment(text, &format!("[{}.options] of {kind:?}:", section.name));
        keys.iter().for_each(|key| explain(text, key));
    }
    text.push_str(section.sample);
}

/// The plugins that a section's entries name, each with its keys.
fn keys_of(section: &str, plugins: &Plugins) -> Vec<(&'static str, &'static [Key])> {
    match section {
        "source" => plugins.decoders.iter().map(|d| (d.kind, d.keys)).collect(),
        "sink" => plugins.sinks.iter().map(|s| (s.kind, s.keys)).collect(),
        _ => Vec::new(),
    }
}

fn explain(text: &mut String, key: &Key) {
    let note = match (key.required, key.default) {
        (true, _) => " (must be given)".to_owned(),
        (false, "") => String::new(),
        (false, default) => format!(" (default {default})"),
    };
    line(text, format_args!("#   {:<9} {}{note}", key.name, key.doc));
}

fn comment(text: &mut String, doc: &str) {
    for part in doc.lines() {
        line(text, format_args!("# {part}"));
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, parse};
    use contract::{Decoder, Entry, OptionsError};

    /// A config of one section without any default changed, built from the table alone.
    fn defaults(section: &Section) -> toml::Table {
        let lines = section.fields.iter().filter(|f| !f.key.default.is_empty());
        let text: Vec<String> = lines.map(|f| format!("{} = {}", f.key.name, f.key.default)).collect();
        let text = text.join("\n");
        text.parse().expect("the defaults of the table are TOML")
    }

    #[test]
    fn the_table_and_the_types_know_the_same_keys_and_defaults() {
        let settings = toml::Table::try_from(Settings::default()).expect("a table");
        for section in SECTIONS.iter().filter(|s| s.form == Form::Single) {
            let typed = match section.name {
                "" => settings.clone().into_iter().filter(|(_, v)| !v.is_table() && !v.is_array()).collect(),
                name => settings[name].as_table().expect("a table").clone(),
            };
            let (table, plain) = (rounded(defaults(section)), rounded(typed));
            assert_eq!(table, plain, "[{}]", section.name);
        }
    }

    /// Floats of single precision print more digits than the table does.
    fn rounded(table: toml::Table) -> Vec<(String, String)> {
        let text = |v: toml::Value| v.as_float().map_or_else(|| v.to_string(), |f| format!("{f:.4}"));
        let mut pairs: Vec<_> = table.into_iter().map(|(k, v)| (k, text(v))).collect();
        pairs.sort();
        pairs
    }

    #[test]
    fn a_plugin_that_refuses_its_options_is_a_fault_of_the_config() {
        let decoders = &[&Entry { kind: "x", keys: &[], build: |_| unbuildable() }];
        let plugins = Plugins { decoders, ..Plugins::default() };
        let error =
            parse("f", "[[source]]\ntopic = \"a\"\ndecoder = \"x\"\n", &plugins).expect_err("not buildable");
        assert_eq!(error.to_string(), "f:1 source[0].gain: too small");
    }

    fn unbuildable() -> Result<Box<dyn Decoder>, OptionsError> {
        Err(OptionsError { key: "gain".into(), why: "too small".into() })
    }

    #[test]
    fn the_id_covers_what_changes_an_alert_and_nothing_else() {
        let plain = Settings::default();
        let other_node = Settings { node: "node-b".into(), ..plain.clone() };
        let mut slower = plain.clone();
        slower.analysis.learn_s += 1;
        assert_eq!(plain.id(), other_node.id());
        assert_ne!(plain.id(), slower.id());
        assert!(plain.id().starts_with("c-") && plain.id().len() == 8);
    }
}
