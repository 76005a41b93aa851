//! Which dialect a group of topics speaks. A config is printed only where a decoder of this build reads what was heard
//! with it; whatever was inferred and not said by the payload is marked.

use crate::daemon::registry::{DECODERS, DIALECT};
use contract::{Decoder, Entry, Heard as Said, LeadId, Options, UtcMs, topic};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Above this a sample is no ECG in mV: it must be in microvolts.
const MILLIVOLTS_MAX: f64 = 20.0;
/// Rates that monitors have, in Hz.
const RATES_HZ: [f64; 12] =
    [62.5, 100.0, 120.0, 125.0, 128.0, 200.0, 240.0, 250.0, 256.0, 300.0, 360.0, 500.0];

/// What came on one topic.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Messages.
    pub count: u64,
    /// Whether the broker had kept one.
    pub retained: bool,
    /// The first and the newest arrival, in microseconds.
    pub between_us: (u64, u64),
    /// Some payloads.
    pub payloads: Vec<Vec<u8>>,
}

impl Heard {
    /// Takes one message.
    pub fn take(&mut self, payload: &[u8], retained: bool, at_us: u64, keep: usize) {
        self.count += 1;
        self.retained |= retained;
        if !retained {
            self.between_us = (if self.between_us.1 == 0 { at_us } else { self.between_us.0 }, at_us);
            if self.payloads.len() < keep {
                self.payloads.push(payload.to_vec());
            }
        }
    }

    /// Seconds between two messages; `None` for fewer than two.
    fn apart_s(&self) -> Option<f64> {
        let (first, last) = self.between_us;
        let count = self.payloads.len().max(self.count as usize);
        (count > 1 && last > first).then(|| (last - first) as f64 / 1e6 / (count - 1) as f64)
    }
}

/// What one group of topics looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// The topic filter of the group.
    pub filter: String,
    /// Topics and messages in it.
    pub topics: usize,
    /// Messages heard.
    pub messages: u64,
    /// What it is, in words.
    pub what: String,
    /// The config that reads it; empty where none does.
    pub config: String,
}

/// Groups topics by their shape and guesses each group.
pub fn all(topics: &BTreeMap<String, Heard>, now: UtcMs) -> Vec<Guess> {
    let mut groups: BTreeMap<String, Vec<(&String, &Heard)>> = BTreeMap::new();
    for (name, heard) in topics {
        groups.entry(shape(name)).or_default().push((name, heard));
    }
    let mut names = BTreeSet::new();
    groups.into_iter().map(|(filter, group)| group_guess(filter, &group, &mut names, now)).collect()
}

/// The filter of a topic: levels that hold a digit are names of places or devices.
fn shape(name: &str) -> String {
    if name.starts_with(topic::ROOT)
        && let Ok((place, leaf)) = topic::split_any(name)
    {
        let leaf = if leaf.starts_with("alert/") { "alert/+" } else { leaf };
        let unit = if place.unit().starts_with('_') { place.unit() } else { "+" };
        return format!("{}/{}/{unit}/+/{leaf}", topic::ROOT, place.site());
    }
    let level = |l: &str| if l.bytes().any(|b| b.is_ascii_digit()) { "+".into() } else { l.to_owned() };
    name.split('/').map(level).collect::<Vec<_>>().join("/")
}

fn group_guess(
    filter: String,
    group: &[(&String, &Heard)],
    names: &mut BTreeSet<String>,
    now: UtcMs,
) -> Guess {
    let messages = group.iter().map(|(_, h)| h.count).sum();
    let (what, config) = native(&filter, group, now)
        .or_else(|| mapped(&filter, group, names, now))
        .unwrap_or_else(|| (unknown(group), String::new()));
    Guess { filter, topics: group.len(), messages, what, config }
}

/// Whether a decoder makes frames of everything that was heard: how many leads, and at which rate.
fn reads(
    entry: &Entry<dyn Decoder>,
    options: &Options,
    group: &[(&String, &Heard)],
    now: UtcMs,
) -> Option<String> {
    let mut decoder = (entry.build)(options).ok()?;
    let mut told = None;
    for (name, heard) in group {
        for payload in &heard.payloads {
            for said in decoder.decode(name, payload, now).ok()? {
                if let Said::Frame(frame) = said {
                    let leads: Vec<String> = frame.parts().leads.iter().map(ToString::to_string).collect();
                    told = Some(format!("{} at {} Hz", leads.join(" "), frame.parts().rate.as_f64()));
                }
            }
        }
    }
    told
}

fn source(filter: &str, decoder: &str) -> String {
    format!("[[source]]\ntopic = {filter:?}\ndecoder = {decoder:?}\n")
}

fn native(filter: &str, group: &[(&String, &Heard)], now: UtcMs) -> Option<(String, String)> {
    let (place, leaf) = group.first().and_then(|(name, _)| topic::split_any(name).ok())?;
    let site = format!("{}/{}", topic::ROOT, place.site());
    let (kind, all) = match leaf {
        topic::WAVE_BIN => ("packed", filter.to_owned()),
        topic::WAVE_JSON => ("json", format!("{site}/#")),
        topic::META | topic::LINK | topic::NUMERIC => {
            return Some((format!("a gateway's {leaf}, read by decoder json"), String::new()));
        }
        _ => return Some((format!("said by Wardbeat itself ({leaf})"), String::new())),
    };
    let entry = DECODERS.iter().find(|d| d.kind == kind);
    let found = entry.and_then(|entry| reads(entry, &Options::default(), group, now));
    Some(match found {
        Some(told) => (format!("Wardbeat's own frames: {told}"), source(&all, kind)),
        None => {
            (format!("named like Wardbeat's own frames, but decoder {kind} cannot read them"), String::new())
        }
    })
}

fn unknown(group: &[(&String, &Heard)]) -> String {
    let payload = group.iter().find_map(|(_, h)| h.payloads.first());
    match payload {
        None => "only kept messages".into(),
        Some(p) if serde_json::from_slice::<Value>(p).is_ok() => {
            let text: String = String::from_utf8_lossy(p).chars().take(100).collect();
            format!("JSON without an ECG that this build finds: {text}")
        }
        Some(p) => format!("no JSON: {} bytes, beginning {:02x?}", p.len(), &p[..p.len().min(8)]),
    }
}

/// Numbers at a JSON pointer.
struct Series {
    pointer: String,
    values: Vec<f64>,
}

/// Every list of numbers, and every number, with its pointer.
fn walk(at: &str, value: &Value, lists: &mut Vec<Series>, singles: &mut Vec<(String, Value)>) {
    match value {
        Value::Array(items) if items.len() > 1 && items.iter().all(|v| v.is_number() || v.is_null()) => {
            let values = items.iter().filter_map(Value::as_f64).collect();
            lists.push(Series { pointer: at.into(), values });
        }
        Value::Array(items) => {
            for (i, item) in items.iter().take(16).enumerate() {
                walk(&format!("{at}/{i}"), item, lists, singles);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                walk(&format!("{at}/{escaped}"), item, lists, singles);
            }
        }
        other => singles.push((at.into(), other.clone())),
    }
}

fn last(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}

fn named_like(pointer: &str, words: &[&str]) -> bool {
    let name = last(pointer).to_ascii_lowercase();
    words.iter().any(|w| name == *w || name.ends_with(&format!("_{w}")) || name.starts_with(&format!("{w}_")))
}

fn mapped(
    filter: &str,
    group: &[(&String, &Heard)],
    names: &mut BTreeSet<String>,
    now: UtcMs,
) -> Option<(String, String)> {
    let (name, heard) = group.iter().max_by_key(|(_, h)| h.payloads.len())?;
    let message: Value = serde_json::from_slice(heard.payloads.first()?).ok()?;
    let (mut lists, mut singles) = (Vec::new(), Vec::new());
    walk("", &message, &mut lists, &mut singles);
    let standard = |s: &Series| LeadId::new(last(&s.pointer)).is_ok_and(|l| l.standard().is_some());
    let mut doubts = Vec::new();
    let leads: Vec<(String, Series)> = if lists.iter().any(standard) {
        lists.into_iter().filter(standard).map(|s| (last(&s.pointer).to_owned(), s)).collect()
    } else {
        let ecg =
            |s: &Series| named_like(&s.pointer, &["ecg", "samples", "data", "wave", "values", "signal"]);
        let only =
            lists.into_iter().filter(|s| ecg(s) || s.pointer.is_empty()).max_by_key(|s| s.values.len())?;
        doubts.push("which lead it is: II is taken");
        vec![("II".into(), only)]
    };
    let mut options = Map::new();
    bed(name, filter, &singles, &mut options, &mut doubts);
    rate(&singles, heard, leads[0].1.values.len(), &mut options, &mut doubts)?;
    time(&singles, &mut options);
    let highest = leads.iter().flat_map(|l| &l.1.values).fold(0.0_f64, |m, v| m.max(v.abs()));
    options.insert("unit".into(), json!(if highest > MILLIVOLTS_MAX { "uV" } else { "mV" }));
    doubts.push("the unit: taken from the size of the samples");
    let pointers: Map<String, Value> = leads.into_iter().map(|(lead, s)| (lead, s.pointer.into())).collect();
    options.insert("leads".into(), Value::Object(pointers));
    let told = reads(DIALECT?, &options, group, now)?;
    Some((
        format!("a foreign dialect in JSON: {told}"),
        table(filter, &dialect(filter, names), &options, &doubts),
    ))
}

fn bed(
    name: &str,
    filter: &str,
    singles: &[(String, Value)],
    options: &mut Map<String, Value>,
    doubts: &mut Vec<&'static str>,
) {
    let texts = || singles.iter().filter_map(|(p, v)| Some((p, v.as_str()?)));
    if let Some((pointer, _)) = texts().find(|(_, text)| contract::BedId::new(text).is_ok()) {
        options.insert("bed".into(), pointer.as_str().into());
        return;
    }
    options.insert("bed_prefix".into(), "site1/icu".into());
    doubts.push("site and unit (bed_prefix): put yours");
    let placed =
        |(p, _): &(&String, &str)| named_like(p, &["bed", "bed_id", "device", "device_id", "id", "patient"]);
    let level = filter.split('/').enumerate().filter(|(_, level)| *level == "+").map(|(i, _)| i).last();
    match (level, texts().find(placed)) {
        (Some(level), _) => drop(options.insert("bed_level".into(), level.into())),
        (None, Some((pointer, _))) => drop(options.insert("bed".into(), pointer.as_str().into())),
        (None, None) => {
            doubts.push("which bed: the topic's last level is taken");
            options.insert("bed_level".into(), (name.split('/').count() - 1).into());
        }
    }
}

fn rate(
    singles: &[(String, Value)],
    heard: &Heard,
    samples: usize,
    options: &mut Map<String, Value>,
    doubts: &mut Vec<&'static str>,
) -> Option<()> {
    let words =
        ["rate", "fs", "hz", "rate_hz", "sample_rate", "samplerate", "sampling_rate", "frequency", "freq"];
    let said = singles
        .iter()
        .find(|(p, v)| named_like(p, &words) && v.as_f64().is_some_and(|hz| (50.0..=2_000.0).contains(&hz)));
    if let Some((pointer, _)) = said {
        options.insert("rate_hz".into(), pointer.as_str().into());
        return Some(());
    }
    let measured = samples as f64 / heard.apart_s()?;
    let nearest = RATES_HZ.into_iter().chain([1_000.0]).min_by(|a, b| {
        let off = |hz: &f64| (hz / measured).ln().abs();
        off(a).total_cmp(&off(b))
    })?;
    doubts.push("the rate: measured by the arrivals");
    let whole = nearest.fract() == 0.0;
    let rate = if whole { json!(nearest as u32) } else { json!(format!("{}/2", nearest * 2.0)) };
    options.insert("rate_hz".into(), rate);
    Some(())
}

fn time(singles: &[(String, Value)], options: &mut Map<String, Value>) {
    let words = ["t", "t0", "ts", "time", "timestamp", "at", "date", "datetime"];
    let unit = |value: &Value| match (value.as_f64(), value.as_str()) {
        // 2001 to 2286 in each unit.
        (Some(s), _) if (1e9..1e10).contains(&s) => Some("s"),
        (Some(ms), _) if (1e12..1e13).contains(&ms) => Some("ms"),
        (Some(us), _) if (1e15..1e16).contains(&us) => Some("us"),
        (None, Some(text)) if UtcMs::parse(text).is_ok() => Some("rfc3339"),
        _ => None,
    };
    let found = singles.iter().filter(|(p, _)| named_like(p, &words)).find_map(|(p, v)| Some((p, unit(v)?)));
    if let Some((pointer, unit)) = found {
        options.insert("time".into(), pointer.as_str().into());
        options.insert("time_unit".into(), unit.into());
    }
}

/// A name for a filter's dialect that no other has: its first level that is a word.
fn dialect(filter: &str, taken: &mut BTreeSet<String>) -> String {
    let word = |level: &&str| level.bytes().any(|b| b.is_ascii_alphanumeric());
    let level = filter.split('/').find(word).unwrap_or("gateway");
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '_' };
    let name: String = level.chars().map(plain).collect();
    let numbered = (2..).map(|i| format!("{name}-{i}"));
    let free = |n: &String| !taken.contains(n) && DECODERS.iter().all(|d| d.kind != n);
    let name = std::iter::once(name.clone()).chain(numbered).find(free).unwrap_or_default();
    taken.insert(name.clone());
    name
}

fn table(filter: &str, name: &str, options: &Map<String, Value>, doubts: &[&str]) -> String {
    let mut text = source(filter, name);
    for doubt in doubts {
        let _ = writeln!(text, "# guessed, check it: {doubt}");
    }
    let _ = writeln!(text, "[dialect.{name}]");
    for (key, value) in options.iter().filter(|(_, v)| !v.is_object()) {
        let _ = writeln!(text, "{key} = {value}");
    }
    for (key, value) in options {
        let Some(map) = value.as_object() else { continue };
        let _ = writeln!(text, "[dialect.{name}.{key}]");
        for (lead, pointer) in map {
            let _ = writeln!(text, "{lead} = {pointer}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(payloads: &[Vec<u8>], apart_s: f64) -> Heard {
        let mut heard = Heard::default();
        for (i, payload) in payloads.iter().enumerate() {
            heard.take(payload, false, 1 + (i as f64 * apart_s * 1e6) as u64, 16);
        }
        heard
    }

    fn guessed(topics: &[(&str, Heard)]) -> Vec<Guess> {
        let topics = topics.iter().map(|(name, heard)| ((*name).to_owned(), heard.clone())).collect();
        all(&topics, UtcMs(1_795_386_208_000))
    }

    /// What is printed must be a config that `check` takes.
    fn checked(guess: &Guess) -> crate::config::Settings {
        let plugins = crate::daemon::plugins();
        crate::config::parse("sniffed", &guess.config, &plugins)
            .unwrap_or_else(|f| panic!("{f}\n{}", guess.config))
    }

    #[test]
    fn a_hobby_gateway_s_json_is_read_by_the_table_that_is_printed() {
        let payload = |i: i64| {
            let samples: Vec<f64> = (0..125).map(|k| f64::from(k % 50) * 10.0 - 100.0).collect();
            json!({"device": {"id": "x1"}, "ts": 1_795_386_208_000_i64 + i * 500, "ecg": {"II": samples, "V1": samples}})
                .to_string()
                .into_bytes()
        };
        let payloads: Vec<_> = (0..8).map(payload).collect();
        let found =
            guessed(&[("hobby/bed7/ecg", heard(&payloads, 0.5)), ("hobby/bed8/ecg", heard(&payloads, 0.5))]);
        assert_eq!(found.len(), 1, "one shape: {found:?}");
        assert!(found[0].what.contains("II V1 at 250 Hz"), "{}", found[0].what);
        let settings = checked(&found[0]);
        let source = &settings.sources[0];
        assert_eq!((source.topic.as_str(), source.decoder.as_str()), ("hobby/+/ecg", "hobby"));
        let table = &settings.dialects["hobby"];
        assert_eq!((&table["unit"], &table["time_unit"]), (&json!("uV"), &json!("ms")));
        assert_eq!(table["bed_level"], 1);
    }

    #[test]
    fn a_rate_and_a_bed_in_the_payload_are_found() {
        let payload = json!({"bed": "north/icu/b1", "sampling_rate": 500, "t": "2026-11-22T22:15:12Z", "samples": [0.1, 0.2, -0.1]});
        let found = guessed(&[("ward/ecg", heard(&[payload.to_string().into_bytes()], 1.0))]);
        let table = &checked(&found[0]).dialects["ward"];
        assert_eq!(table["bed"], "/bed");
        assert_eq!(table["rate_hz"], "/sampling_rate");
        assert_eq!(table["time_unit"], "rfc3339");
        assert_eq!(table["leads"], json!({"II": "/samples"}));
        assert!(found[0].config.contains("check it: which lead"), "{}", found[0].config);
    }

    #[test]
    fn what_is_printed_of_two_gateways_is_one_config() {
        let payload = json!({"fs": 250, "ecg": [0.1, 0.2, -0.1]}).to_string().into_bytes();
        let heard = || heard(std::slice::from_ref(&payload), 1.0);
        let found = guessed(&[("json/b1/a", heard()), ("json/a/b1", heard())]);
        let whole: String = found.iter().map(|g| g.config.as_str()).collect();
        let settings = checked(&Guess { config: whole, ..found[0].clone() });
        let names: Vec<&String> = settings.dialects.keys().collect();
        assert_eq!(names, ["json-2", "json-3"], "json is a decoder of its own");
    }

    #[test]
    fn what_is_no_ecg_is_shown_and_not_configured() {
        let found = guessed(&[
            ("lamp/kitchen", heard(&[b"{\"on\":true}".to_vec()], 1.0)),
            ("raw/x", heard(&[vec![0xff, 0x00, 0x01]], 1.0)),
            ("wardbeat/v1/site1/icu/b01/state", heard(&[b"{}".to_vec()], 1.0)),
            ("wardbeat/v1/site1/icu/b01/wave/json", heard(&[b"{}".to_vec()], 1.0)),
        ]);
        assert!(found.iter().all(|g| g.config.is_empty()), "{found:?}");
        let what: Vec<&str> = found.iter().map(|g| g.what.as_str()).collect();
        assert!(what[0].contains("{\"on\":true}") && what[1].contains("no JSON"), "{what:?}");
        assert!(what[2].contains("itself") && what[3].contains("cannot read"), "{what:?}");
    }

    #[test]
    fn our_own_frames_are_known() {
        let frame = br#"{"v":1,"bed":"site1/icu/b07","epoch":"5eed0001","seq":7,"n0":1750,"rate_hz":250,"unit":"uV","leads":{"II":[-12,0]}}"#;
        let found = guessed(&[("wardbeat/v1/site1/icu/b07/wave/json", heard(&[frame.to_vec()], 1.0))]);
        let source = &checked(&found[0]).sources[0];
        assert_eq!((source.topic.as_str(), source.decoder.as_str()), ("wardbeat/v1/site1/#", "json"));
    }
}
