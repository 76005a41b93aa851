//! The options of `[sink.options]` and what they may not ask for.

use contract::{Key, Kind, Options, OptionsError, Priority};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Which set of identifiers the receiver knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    /// 68480 to 68485.
    Current,
    /// 68164 to 68168.
    Legacy,
    /// The old ones for source to inactivation, the new ones for priority and type.
    GeMixed,
}

/// How messages are written for one receiver.
#[derive(Debug, Clone)]
pub struct Profile {
    pub app: String,
    pub app_eui: String,
    pub facility: String,
    pub to_app: String,
    pub to_facility: String,
    pub msh21: String,
    pub codes: Codes,
    pub observation_status: String,
    pub priority_max: Priority,
    pub locations: BTreeMap<String, String>,
    pub devices: BTreeMap<String, String>,
    pub patients: BTreeMap<String, String>,
    pub station: String,
    pub derive_locations: bool,
}

/// Files for TLS.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub ca: String,
    /// Certificate and key of this side.
    pub own: Option<(String, String)>,
    /// The name that the receiver's certificate must carry.
    pub name: String,
}

/// All options, read and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub profile: Profile,
    pub address: String,
    pub acks_listen: Option<String>,
    pub acks_accept: Vec<String>,
    pub tls: Option<TlsFiles>,
    pub insecure_tcp: bool,
    pub answer_timeout: Duration,
    pub refresh: bool,
    pub watchdog_s: u32,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, required: false, default, doc }
}

const MSH21: &str = "IHE_PCD_ACM_001^IHE PCD^1.3.6.1.4.1.19376.1.6.4.4^ISO";
const EUI: &str = "0200000000000001";

pub const KEYS: &[Key] = &[
    Key {
        required: true,
        ..key("address", Kind::Text, "", "host:port of the receiver. Plain TCP on loopback only, else TLS.")
    },
    key("tls_ca", Kind::Path, "", "PEM file with the authority of the receiver's certificate; turns TLS on."),
    key("tls_cert", Kind::Path, "", "PEM file with this side's certificate."),
    key("tls_key", Kind::Path, "", "PEM file with the key of tls_cert."),
    key("tls_name", Kind::Text, "", "Name in the receiver's certificate; the host of address if absent."),
    key(
        "insecure_tcp",
        Kind::Flag,
        "false",
        "Allows plain TCP to another host: anybody on the way reads along.",
    ),
    key("application", Kind::Text, "\"WARDBEAT\"", "MSH-3, this side's name."),
    key(
        "eui64",
        Kind::Text,
        "\"0200000000000001\"",
        "MSH-3, 16 hex digits; 02 at the front = chosen locally.",
    ),
    key("facility", Kind::Text, "\"SITE1\"", "MSH-4, also the authority of patient pseudonyms."),
    key("receiving_application", Kind::Text, "\"AM_GATEWAY\"", "MSH-5."),
    key("receiving_facility", Kind::Text, "\"SITE1\"", "MSH-6."),
    key(
        "msh21",
        Kind::Text,
        "\"IHE_PCD_ACM_001^IHE PCD^1.3.6.1.4.1.19376.1.6.4.4^ISO\"",
        "MSH-21, the profile; some receivers want another number.",
    ),
    key(
        "codes",
        Kind::Text,
        "\"current\"",
        "current, legacy or ge-mixed: which identifiers the receiver knows.",
    ),
    key("obx11", Kind::Text, "\"R\"", "OBX-11 of the facets, R or F."),
    key(
        "priority_max",
        Kind::Text,
        "\"PM\"",
        "PI, PL or PM: the highest priority sent. PH does not exist here.",
    ),
    key("locations", Kind::Table, "", "Bed = PV1-3: \"site1/icu/b07\" = \"ICU^^B07^SITE1\"."),
    key("unmapped", Kind::Text, "\"refuse\"", "refuse, or derive UNIT^^BED^SITE for beds without a line."),
    key("station", Kind::Text, "", "PV1-3 of alerts about Wardbeat itself, which have no bed."),
    key(
        "devices",
        Kind::Table,
        "",
        "Bed = monitor: \"site1/icu/b07\" = \"MON-B07^^02000000000000B7^EUI-64\".",
    ),
    key("patients", Kind::Table, "", "Bed = pseudonym for PID-3. Absent = no patient is named."),
    key(
        "answer_timeout_ms",
        Kind::Integer,
        "5000",
        "Without an answer the socket is closed and the alert sent again.",
    ),
    key("refresh", Kind::Flag, "false", "After a reconnect say each open alert again as continue."),
    key("watchdog_s", Kind::Integer, "0", "Sign of life every so many seconds; 0 = none."),
    key(
        "acks_listen",
        Kind::Text,
        "",
        "host:port on which acknowledgements (PCD-05) are taken. Absent = none.",
    ),
    key("acks_accept", Kind::Texts, "[\"accepted\"]", "Which reported states acknowledge an alert."),
];

fn fault(key: &str, why: impl Into<String>) -> OptionsError {
    OptionsError { key: key.into(), why: why.into() }
}

/// The options by kind, with their defaults.
struct Given<'a>(&'a Options);

impl Given<'_> {
    fn text(&self, key: &str, default: &str) -> Result<String, OptionsError> {
        let text = match self.0.get(key) {
            None => default,
            Some(Value::String(text)) => text,
            Some(_) => return Err(fault(key, "must be a text")),
        };
        plain(key, text)
    }

    fn flag(&self, key: &str) -> Result<bool, OptionsError> {
        match self.0.get(key) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| fault(key, "must be true or false")),
        }
    }

    fn whole(
        &self,
        key: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, OptionsError> {
        let value = self.0.get(key).map_or(Some(default), Value::as_u64);
        let why = || fault(key, format!("must be {} to {}", range.start(), range.end()));
        value.filter(|v| range.contains(v)).ok_or_else(why)
    }

    fn table(&self, key: &str) -> Result<BTreeMap<String, String>, OptionsError> {
        let Some(value) = self.0.get(key) else { return Ok(BTreeMap::new()) };
        let why = || fault(key, "must be a table of texts: { \"site1/icu/b07\" = \"…\" }");
        let pairs = value.as_object().ok_or_else(why)?;
        let pair = |(bed, text): (&String, &Value)| {
            Ok((bed.clone(), plain(key, text.as_str().filter(|t| !t.is_empty()).ok_or_else(why)?)?))
        };
        pairs.iter().map(pair).collect()
    }

    fn one_of<T: Copy>(&self, key: &str, default: T, words: &[(&str, T)]) -> Result<T, OptionsError> {
        let text = self.text(key, "")?;
        if text.is_empty() && !self.0.contains_key(key) {
            return Ok(default);
        }
        let known = || words.iter().map(|w| w.0).collect::<Vec<_>>().join(", ");
        let found = words.iter().find(|w| w.0 == text).map(|w| w.1);
        found.ok_or_else(|| fault(key, format!("{text:?} is not known; one of {}", known())))
    }
}

fn plain(key: &str, text: &str) -> Result<String, OptionsError> {
    if text.chars().any(char::is_control) {
        return Err(fault(key, "must not hold control characters"));
    }
    Ok(text.into())
}

/// The host of `host:port`, `[::1]:2575` included.
fn host(key: &str, address: &str) -> Result<String, OptionsError> {
    let why = || fault(key, format!("{address:?} must be host:port, such as 127.0.0.1:2575"));
    let (host, port) = address.rsplit_once(':').ok_or_else(why)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    port.parse::<u16>().ok().filter(|_| !host.is_empty()).ok_or_else(why)?;
    Ok(host.into())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Settings {
    /// Reads and checks all options. Touches no file and no network.
    ///
    /// # Errors
    /// The first option that cannot be used.
    pub fn read(options: &Options) -> Result<Self, OptionsError> {
        let given = Given(options);
        if let Some(unknown) = options.keys().find(|name| KEYS.iter().all(|key| key.name != *name)) {
            return Err(fault(unknown, "is not an option of mllp"));
        }
        let address = given.text("address", "")?;
        let host_name = host("address", &address)?;
        let tls = tls(&given, &host_name)?;
        let insecure_tcp = given.flag("insecure_tcp")?;
        let acks_listen = Some(given.text("acks_listen", "")?).filter(|a| !a.is_empty());
        let mut ends = vec![("address", host_name)];
        if let Some(listen) = &acks_listen {
            ends.push(("acks_listen", host("acks_listen", listen)?));
        }
        let open = ends.iter().find(|(_, host)| tls.is_none() && !insecure_tcp && !is_loopback(host));
        if let Some((key, host)) = open {
            let why = format!("{host} is not this machine: give tls_ca, or allow it by insecure_tcp = true");
            return Err(fault(key, why));
        }
        if acks_listen.is_some() && tls.as_ref().is_some_and(|tls| tls.own.is_none()) {
            return Err(fault("acks_listen", "with TLS it needs tls_cert and tls_key"));
        }
        Ok(Self {
            profile: profile(&given)?,
            address,
            acks_listen,
            acks_accept: states(options)?,
            tls,
            insecure_tcp,
            answer_timeout: Duration::from_millis(given.whole("answer_timeout_ms", 5_000, 50..=60_000)?),
            refresh: given.flag("refresh")?,
            watchdog_s: given.whole("watchdog_s", 0, 0..=3_600)? as u32,
        })
    }
}

fn tls(given: &Given<'_>, host: &str) -> Result<Option<TlsFiles>, OptionsError> {
    let [ca, cert, own_key] = ["tls_ca", "tls_cert", "tls_key"].map(|key| given.text(key, ""));
    let (ca, cert, own_key) = (ca?, cert?, own_key?);
    let name = given.text("tls_name", host)?;
    if cert.is_empty() != own_key.is_empty() {
        return Err(fault("tls_cert", "tls_cert and tls_key go together"));
    }
    if ca.is_empty() {
        let alone = (!cert.is_empty()).then(|| fault("tls_cert", "needs tls_ca, which turns TLS on"));
        return alone.map_or(Ok(None), Err);
    }
    Ok(Some(TlsFiles { ca, own: (!cert.is_empty()).then_some((cert, own_key)), name }))
}

fn states(options: &Options) -> Result<Vec<String>, OptionsError> {
    let why = || fault("acks_accept", "must be a list of texts: [\"accepted\"]");
    let Some(list) = options.get("acks_accept") else { return Ok(vec!["accepted".into()]) };
    let texts =
        list.as_array().ok_or_else(why)?.iter().map(|text| text.as_str().map(str::to_ascii_lowercase));
    texts.collect::<Option<_>>().ok_or_else(why)
}

fn profile(given: &Given<'_>) -> Result<Profile, OptionsError> {
    let app_eui = given.text("eui64", EUI)?;
    if app_eui.len() != 16 || !app_eui.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(fault("eui64", "must be 16 hex digits"));
    }
    if given.0.get("priority_max").is_some_and(|p| p == "PH" || p == "high") {
        return Err(fault("priority_max", "PH is left to the bedside monitors; at most PM (docs/safety.md)"));
    }
    let priorities = [("PI", Priority::Info), ("PL", Priority::Low), ("PM", Priority::Medium)];
    let codes = [("current", Codes::Current), ("legacy", Codes::Legacy), ("ge-mixed", Codes::GeMixed)];
    let status = given.one_of("obx11", "R", &[("R", "R"), ("F", "F")])?;
    Ok(Profile {
        app: given.text("application", "WARDBEAT")?,
        app_eui,
        facility: given.text("facility", "SITE1")?,
        to_app: given.text("receiving_application", "AM_GATEWAY")?,
        to_facility: given.text("receiving_facility", "SITE1")?,
        msh21: given.text("msh21", MSH21)?,
        codes: given.one_of("codes", Codes::Current, &codes)?,
        observation_status: status.into(),
        priority_max: given.one_of("priority_max", Priority::Medium, &priorities)?,
        locations: given.table("locations")?,
        devices: given.table("devices")?,
        patients: given.table("patients")?,
        station: given.text("station", "")?,
        derive_locations: given.one_of("unmapped", false, &[("refuse", false), ("derive", true)])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(options: &Value) -> String {
        let read = Settings::read(options.as_object().expect("a table"));
        read.expect_err("must be refused").to_string()
    }

    #[test]
    fn what_must_not_be_asked_for_is_refused_with_the_reason() {
        for (options, reason) in [
            (json!({"address": "127.0.0.1:1", "priority_max": "PH"}), "left to the bedside monitors"),
            (json!({"address": "127.0.0.1:1", "type": "SP"}), "not an option"),
            (json!({"address": "10.1.2.3:2575"}), "give tls_ca, or allow it by insecure_tcp"),
            (json!({"address": "127.0.0.1:1", "acks_listen": "0.0.0.0:1"}), "acks_listen: 0.0.0.0 is not"),
            (json!({"address": "127.0.0.1"}), "host:port"),
            (json!({}), "host:port"),
            (json!({"address": "127.0.0.1:1", "codes": "new"}), "current, legacy, ge-mixed"),
            (json!({"address": "127.0.0.1:1", "obx11": "X"}), "R, F"),
            (json!({"address": "127.0.0.1:1", "eui64": "12"}), "16 hex digits"),
            (json!({"address": "127.0.0.1:1", "msh21": "a\rOBX|9"}), "control characters"),
            (json!({"address": "127.0.0.1:1", "locations": {"a/b/c": 7}}), "table of texts"),
            (json!({"address": "127.0.0.1:1", "tls_cert": "x"}), "go together"),
            (json!({"address": "127.0.0.1:1", "answer_timeout_ms": 0}), "50 to 60000"),
        ] {
            let text = refused(&options);
            assert!(text.contains(reason), "{options}: {text}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let settings = Settings::read(json!({"address": "[::1]:2575"}).as_object().expect("a table"));
        let settings = settings.expect("usable");
        assert_eq!(settings.answer_timeout, Duration::from_secs(5));
        for (name, value) in [("msh21", &settings.profile.msh21), ("eui64", &settings.profile.app_eui)] {
            let key = KEYS.iter().find(|k| k.name == name).expect("a key");
            assert_eq!(key.default.trim_matches('"'), value);
        }
        for host in ["10.0.0.1:1", "alarms.example.org:2575"] {
            let open = json!({"address": host, "insecure_tcp": true});
            assert!(Settings::read(open.as_object().expect("a table")).is_ok());
        }
    }
}
