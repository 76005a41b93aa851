//! What a value must obey, and how it is said where it does not.

use super::Http;
use super::broker::BrokerUrl;
use super::keys::Rule;
use contract::{BedId, Kind};
use std::path::Path;
use toml::de::DeValue;

pub(super) fn unknown(name: &str, known: &[&str]) -> String {
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

pub(super) fn of_kind(kind: Kind, value: &DeValue<'_>) -> bool {
    match kind {
        Kind::Text | Kind::Path => value.is_str(),
        Kind::Flag => value.is_bool(),
        Kind::Integer => value.is_integer(),
        Kind::Number => value.is_integer() || value.is_float(),
        Kind::NumberOrText => value.is_integer() || value.is_float() || value.is_str(),
        Kind::Texts => value.as_array().is_some_and(|list| list.iter().all(|v| v.get_ref().is_str())),
        Kind::Table => value.is_table(),
    }
}

pub(super) fn wrong_kind(kind: Kind, value: &DeValue<'_>) -> String {
    let wanted = match kind {
        Kind::Text => "a text in quotes",
        Kind::Path => "a path in quotes",
        Kind::Flag => "true or false",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::NumberOrText => "a number, or a text in quotes",
        Kind::Texts => "a list of texts",
        Kind::Table => "a table",
    };
    format!("must be {wanted}, not {}", value.type_str())
}

/// Line breaks in the first `end` bytes of a text.
pub(super) fn line_breaks(text: &str, end: usize) -> usize {
    text.bytes().take(end).filter(|b| *b == b'\n').count()
}

pub(super) fn number(value: &DeValue<'_>) -> f64 {
    let text = value
        .as_integer()
        .map(toml::de::DeInteger::as_str)
        .or(value.as_float().map(toml::de::DeFloat::as_str));
    text.and_then(|t| t.replace('_', "").parse().ok()).unwrap_or(f64::NAN)
}

/// The words that a config may name plugins by.
#[derive(Default)]
pub(super) struct Known<'a> {
    /// Decoders of this build and dialects of this config.
    pub decoders: Vec<&'a str>,
    /// Kinds of destinations.
    pub sinks: Vec<&'a str>,
}

pub(super) fn obeys(rule: Rule, value: &DeValue<'_>, known: &Known<'_>) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let one_of = |known: &[&str]| {
        let what = || format!("{text:?} is not known{}", suggestion(text, known));
        known.contains(&text).then_some(()).ok_or_else(what)
    };
    match rule {
        Rule::Any | Rule::Analysis => Ok(()),
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
        Rule::Listen => Http { listen: text.into(), ..Http::default() }.address().map(drop),
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
        Rule::Decoder => one_of(&known.decoders),
        Rule::SinkKind => one_of(&known.sinks),
    }
}

fn filter(text: &str) -> Result<(), String> {
    if text.starts_with("$share/") {
        return Err("a shared subscription splits a bed's frames between nodes; name the topic alone".into());
    }
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
pub(super) fn json(value: &DeValue<'_>) -> serde_json::Value {
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
