//! The writer: an alert as `ORU^R40^ORU_R40`, HL7 v2.6. Pure: the same alert and profile give the same bytes, so that
//! a resend is a resend.

use crate::escape::{components, escape};
use crate::options::Profile;
use crate::terms;
use contract::{Alert, Code, Mode, Phase, UtcMs};

/// The phase on the wire. There is no `escalate`: calling people is the nurse-call system's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A transition of the alert itself.
    Transition,
    /// Said again after a reconnect, for a receiver that forgot.
    Continue,
}

/// A message ready to be framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// MSH-10, which the answer must repeat.
    pub control_id: String,
    /// The segments, each ended by CR.
    pub text: String,
}

/// MSH-10 in at most 20 characters, equal on every resend: two letters, 14 digits of the id, the revision in three
/// places (from 1,000 on with a leading letter).
fn control_id(kind: &str, alert: &Alert) -> String {
    let id: String = alert.id.0.chars().take(14).collect();
    let rev = match alert.rev {
        rev @ 0..1_000 => format!("{rev:03}"),
        rev => {
            let rest = rev - 1_000;
            let digit = |n: u32| char::from_digit(n % 36, 36).unwrap_or('0');
            let first = char::from_digit(10 + rest / 1_296 % 26, 36).unwrap_or('a');
            format!("{first}{}{}", digit(rest / 36), digit(rest)).to_uppercase()
        }
    };
    escape(&format!("{kind}{id}-{rev}"))
}

/// `20261122222328.250+0000`
fn hl7_time(at: UtcMs) -> String {
    let digits: String = at.to_string().chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    digits + "+0000"
}

/// One segment; fields are given by their number, the rest is empty.
fn segment(name: &str, fields: &[(usize, &str)]) -> String {
    // The separator itself is MSH-1.
    let first = if name == "MSH" { 2 } else { 1 };
    let last = fields.iter().filter(|f| !f.1.is_empty()).map(|f| f.0).max().unwrap_or(0);
    let mut line = String::from(name);
    for i in first..=last {
        line.push('|');
        line.push_str(fields.iter().find(|f| f.0 == i).map_or("", |f| f.1));
    }
    line.push('\r');
    line
}

/// What the facets of one message say.
struct Facets<'a> {
    event_name: &'a str,
    event: String,
    source: String,
    phase: &'a str,
    state: &'a str,
    priority: &'a str,
    kind: &'a str,
    at: String,
}

impl Profile {
    /// The message for an alert.
    ///
    /// # Errors
    /// Why this bed must not be reported: it has no line in `locations`.
    pub fn report(&self, alert: &Alert, wire: Wire) -> Result<Report, String> {
        let location = self.location(alert)?;
        let kind = if wire == Wire::Continue { "WR" } else { "WB" };
        let control_id = control_id(kind, alert);
        let phase = match (wire, alert.phase) {
            (Wire::Continue, _) => "continue",
            (_, Phase::Start) => "start",
            (_, Phase::Update) => "update",
            (_, Phase::End) => "end",
        };
        let ended = alert.phase == Phase::End;
        let begun = phase == "start";
        let onset = hl7_time(alert.onset);
        let decided = hl7_time(alert.decided);
        let mut text = self.head(&control_id, &decided, alert.mode);
        text += &self.place(&alert.bed, &location);

        let (app, eui) = (escape(&self.app), escape(&self.app_eui));
        let this = format!("{}-{}^{app}^{eui}^EUI-64", escape(&alert.id.0), alert.rev);
        let parent = format!("^{}-0&{app}&{eui}&EUI-64", escape(&alert.id.0));
        text += &segment(
            "OBR",
            &[
                (1, "1"),
                (2, &this),
                (3, &this),
                (4, terms::EVENT_ALARM),
                (7, &onset),
                (8, if ended { &decided } else { "" }),
                (29, if begun { "" } else { &parent }),
            ],
        );
        text += &self.device(&alert.bed);
        text += &self.facets(&Facets {
            event_name: terms::EVENT_ALARM,
            event: event(alert),
            source: terms::source(alert.code, &alert.why.leads),
            phase,
            state: if ended { "inactive" } else { "active" },
            priority: terms::priority(alert.priority.min(self.priority_max)),
            kind: terms::alert_type(alert.class),
            at: if begun { onset } else { decided },
        });
        Ok(Report { control_id, text })
    }

    /// A sign of life; `last` says that the silence to come is meant.
    #[must_use]
    pub fn watchdog(&self, at: UtcMs, every_s: u32, last: bool) -> Report {
        let control_id = format!("WW{:x}", at.0);
        let time = hl7_time(at);
        let mut text = self.head(&control_id, &time, Mode::Real);
        text += &self.place("", &components(&self.station));
        let (app, eui) = (escape(&self.app), escape(&self.app_eui));
        let this = format!("{control_id}^{app}^{eui}^EUI-64");
        text += &segment("OBR", &[(1, "1"), (2, &this), (3, &this), (4, terms::EVENT_ALARM), (7, &time)]);
        text += &self.device("");
        text += &self.facets(&Facets {
            event_name: terms::EVENT_ACTIVE,
            event: format!("{}^^^^^^Wardbeat is running", terms::EVENT_ACTIVE),
            source: terms::MONITOR.into(),
            phase: if last { "end" } else { "continue" },
            state: if last { "inactive" } else { "active" },
            priority: "PN",
            kind: "SA",
            at: time,
        });
        let status = self.observation_status.as_str();
        let timeout = (2 * every_s).to_string();
        text += &segment(
            "OBX",
            &[
                (1, "9"),
                (2, "NM"),
                (3, terms::CONFIRM_TIMEOUT),
                (4, "1.0.0.0.8"),
                (5, &timeout),
                (6, terms::SECONDS),
                (11, status),
            ],
        );
        Report { control_id, text }
    }

    fn head(&self, control_id: &str, at: &str, mode: Mode) -> String {
        let sender = format!("{}^{}^EUI-64", escape(&self.app), escape(&self.app_eui));
        segment(
            "MSH",
            &[
                (2, r"^~\&"),
                (3, &sender),
                (4, &escape(&self.facility)),
                (5, &components(&self.to_app)),
                (6, &components(&self.to_facility)),
                (7, at),
                (9, "ORU^R40^ORU_R40"),
                (10, control_id),
                (11, terms::processing(mode)),
                (12, "2.6"),
                (15, "AL"),
                (16, "NE"),
                (18, "UNICODE UTF-8"),
                (21, &components(&self.msh21)),
            ],
        )
    }

    /// PID and PV1: by default no name and no number of a patient leaves the building.
    fn place(&self, bed: &str, location: &str) -> String {
        let token = self.patients.get(bed);
        let patient = token.map(|t| format!("{}^^^{}^PI", escape(t), escape(&self.facility)));
        let patient = patient.unwrap_or_default();
        segment("PID", &[(3, &patient), (5, "^^^^^^U")]) + &segment("PV1", &[(2, "I"), (3, location)])
    }

    /// PV1-3 of a bed, `unit^room^bed^facility`.
    fn location(&self, alert: &Alert) -> Result<String, String> {
        if let Some(place) = self.locations.get(&alert.bed) {
            return Ok(components(place));
        }
        if alert.code == Code::Node && !self.station.is_empty() {
            return Ok(components(&self.station));
        }
        let what = &alert.bed;
        let mut levels = what.split('/').map(|level| escape(&level.to_uppercase()));
        match (self.derive_locations, levels.next(), levels.next(), levels.next()) {
            (true, Some(site), Some(_), Some(node)) if alert.code == Code::Node => {
                Ok(format!("^^{node}^{site}"))
            }
            (true, Some(site), Some(unit), Some(bed)) => Ok(format!("{unit}^^{bed}^{site}")),
            _ => Err(format!("{what} has no line in locations, so the nurse call would not know the place")),
        }
    }

    /// OBX 1: the device, or Wardbeat itself where the site named none.
    fn device(&self, bed: &str) -> String {
        let own = || format!("{}^^{}^EUI-64", escape(&self.app), escape(&self.app_eui));
        let device = self.devices.get(bed).map_or_else(own, |d| components(d));
        segment("OBX", &[(1, "1"), (3, terms::MONITOR), (4, "1.0.0.0"), (11, "X"), (18, &device)])
    }

    fn facets(&self, said: &Facets<'_>) -> String {
        let status = self.observation_status.as_str();
        let marks = format!("A~{}~{}", said.priority, said.kind);
        let mut text = segment(
            "OBX",
            &[
                (1, "2"),
                (2, "CWE"),
                (3, said.event_name),
                (4, "1.0.0.0.1"),
                (5, &said.event),
                (8, &marks),
                (11, status),
                (14, &said.at),
            ],
        );
        let values = [&said.source, said.phase, said.state, "enabled", said.priority, said.kind];
        for (i, (name, value)) in terms::facets(self.codes).into_iter().zip(values).enumerate() {
            let kind = if i == 0 { "CWE" } else { "ST" };
            let (number, facet) = ((i + 3).to_string(), format!("1.0.0.0.{}", i + 2));
            let fields = [(1, number.as_str()), (2, kind), (3, name), (4, &facet), (5, value), (11, status)];
            text += &segment("OBX", &fields);
        }
        text
    }
}

/// OBX-5 of the first facet: our code, its title, and the whole text. A lead-off carries the standard term beside it.
fn event(alert: &Alert) -> String {
    let mark = terms::mode_mark(alert.mode);
    let detail = alert.why.detail.as_deref().unwrap_or_default();
    let off = alert.code == Code::Signal && detail.split("; ").any(|part| part.ends_with(" off"));
    let alternative = if off { terms::LEAD_OFF } else { "^^" };
    let said = if alert.text.starts_with(mark.trim_end()) { "" } else { mark };
    let (code, title, text) = (alert.code, terms::title(alert.code), escape(&alert.text));
    format!("{code}^{mark}{title}^99WARDBEAT^{alternative}^^^{said}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape::unescape;
    use crate::frame::framed;
    use crate::options::Settings;
    use contract::{AlertClass, Priority};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use sha2::{Digest, Sha256};

    /// The alert object of `docs/wire.md`.
    fn worked() -> Alert {
        serde_json::from_value(json!({
            "v": 1, "type": "alert.start", "id": "2500be5134ba93ff8ae3d893580d3c33", "rev": 0, "code": "WB-UNC",
            "class": "analysis", "level": "advisory", "phase": "start", "mode": "real", "priority": "low",
            "bed": "site1/icu/b07", "epoch": "5eed0001", "onset_n": 123_750, "onset": "2026-11-22T22:23:20.250Z",
            "decided": "2026-11-22T22:23:28.250Z",
            "text": "ECG analysis uncertain: 8 s of last 30 s, lead II. Look at the strip.",
            "why": {"leads": ["II"], "entropy": 0.81, "band": [0.22, 0.47], "k_of_n": [3, 4], "quality": 0.94,
                "missing": 0.0, "segments": [{"from_n": 123_750, "to_n": 125_750, "entropy": 0.81, "cluster": 5, "was": 2}]},
            "limits": "advisory; not a diagnosis; not a primary alarm", "model": "m-3f9a1c", "config": "c-77d0e2",
            "evidence": "sha256:…"
        }))
        .expect("an alert")
    }

    fn profile(more: &Value) -> Profile {
        let mut options = json!({
            "address": "127.0.0.1:2575",
            "locations": {"site1/icu/b07": "ICU^^B07^SITE1"},
            "devices": {"site1/icu/b07": "MON-B07^^02000000000000B7^EUI-64"},
            "patients": {"site1/icu/b07": "P-0042"},
        });
        for (key, value) in more.as_object().expect("a table") {
            options[key] = value.clone();
        }
        Settings::read(options.as_object().expect("a table")).expect("usable").profile
    }

    fn written(alert: &Alert, more: &Value) -> String {
        profile(more).report(alert, Wire::Transition).expect("a mapped bed").text
    }

    #[test]
    fn the_worked_message_is_reproduced_byte_for_byte() {
        let report = profile(&json!({})).report(&worked(), Wire::Transition).expect("a mapped bed");
        assert_eq!(report.control_id, "WB2500be5134ba93-000");
        assert_eq!(report.text.len(), 1_186, "{}", report.text.replace('\r', "\n"));
        let hash = format!("{:x}", Sha256::digest(framed(&report.text)));
        assert_eq!(hash, "945536d4be5cfa331f372c712c5a7a28881ca23ddca8d25767364f46ed2c3d41");
    }

    #[test]
    fn updates_and_ends_name_their_start() {
        let update = Alert { rev: 3, phase: Phase::Update, kind: "alert.update".into(), ..worked() };
        let text = written(&update, &json!({}));
        assert!(text.contains("|WB2500be5134ba93-003|P|"), "{text}");
        assert!(
            text.contains("^2500be5134ba93ff8ae3d893580d3c33-0&WARDBEAT&0200000000000001&EUI-64\r"),
            "{text}"
        );
        assert!(text.contains("|1.0.0.0.3|update|") && text.contains("|1.0.0.0.4|active|"), "{text}");
        let end = Alert { phase: Phase::End, ..update.clone() };
        let text = written(&end, &json!({}));
        assert!(text.contains("|1.0.0.0.3|end|") && text.contains("|1.0.0.0.4|inactive|"), "{text}");
        let again = profile(&json!({})).report(&update, Wire::Continue).expect("a mapped bed");
        assert!(again.text.contains("|1.0.0.0.3|continue|") && again.control_id == "WR2500be5134ba93-003");
    }

    #[test]
    fn what_is_not_real_is_marked_twice() {
        for (mode, letter, mark) in [(Mode::Test, "|T|2.6", "^TEST ECG"), (Mode::Demo, "|D|2.6", "^DEMO ECG")]
        {
            let text = written(&Alert { mode, ..worked() }, &json!({}));
            assert!(text.contains(letter) && text.matches(mark).count() == 2, "{text}");
        }
    }

    #[test]
    fn each_receiver_gets_its_code_set() {
        for (codes, numbers) in [
            ("current", [68480, 68481, 68482, 68483, 68484, 68485]),
            ("legacy", [68164, 68165, 68166, 68167, 68168, 68485]),
            ("ge-mixed", [68164, 68165, 68166, 68167, 68484, 68485]),
        ] {
            let text = written(&worked(), &json!({"codes": codes, "obx11": "F"}));
            for number in numbers {
                assert!(text.contains(&format!("|{number}^MDC_ATTR_")), "{codes}: {number}");
            }
            assert!(!text.contains("||||||R"), "{text}");
        }
    }

    #[test]
    fn a_bed_without_a_place_is_not_sent_somewhere() {
        let elsewhere = Alert { bed: "site1/icu/b08".into(), ..worked() };
        let refused = profile(&json!({})).report(&elsewhere, Wire::Transition);
        assert!(refused.expect_err("no place").contains("site1/icu/b08 has no line in locations"));
        let derived = written(&elsewhere, &json!({"unmapped": "derive"}));
        assert!(
            derived.contains("PV1||I|ICU^^B08^SITE1\r") && derived.contains("PID|||||^^^^^^U\r"),
            "{derived}"
        );
        let node = Alert { code: Code::Node, bed: "site1/_node/a".into(), ..worked() };
        assert!(written(&node, &json!({"station": "ICU^DESK"})).contains("PV1||I|ICU^DESK\r"));
        assert!(written(&node, &json!({"unmapped": "derive"})).contains("PV1||I|^^A^SITE1\r"));
        assert!(profile(&json!({})).report(&node, Wire::Transition).is_err());
    }

    #[test]
    fn a_lead_off_carries_the_standard_term_and_noise_does_not() {
        let signal = |detail: &str| {
            let mut alert = Alert { code: Code::Signal, class: AlertClass::Technical, ..worked() };
            alert.why.detail = Some(detail.into());
            written(&alert, &json!({}))
        };
        assert!(signal("lead II off; lead V1 noisy").contains("^99WARDBEAT^196680^MDC_EVT_LEAD_OFF^MDC^^^"));
        assert!(!signal("lead II noisy").contains("LEAD_OFF"));
    }

    #[test]
    fn control_ids_stay_short_and_apart() {
        let mut seen = std::collections::BTreeSet::new();
        for rev in 0..30_000 {
            let id = control_id("WB", &Alert { rev, ..worked() });
            assert!(id.len() == 20 && seen.insert(id), "revision {rev}");
        }
    }

    proptest! {
        /// The honesty lock: whatever alert and options, no SP, no PH, and no text breaks out of its field.
        #[test]
        fn nothing_asks_for_more_than_it_is(
            text in r"([|^~\\&\r\n\x0b\x1cäß心]|SP|PH|\PC){0,40}",
            name in r"([|~\\&äß心]|[ -~]){1,20}",
            code in 0_usize..7, priority in 0_usize..3, phase in 0_usize..3, rev in 0_u32..5_000,
            cap in prop_oneof![Just("PI"), Just("PL"), Just("PM")],
            codes in prop_oneof![Just("current"), Just("legacy"), Just("ge-mixed")],
        ) {
            let code = Code::ALL[code];
            let alert = Alert {
                code, class: code.class(), rev, text: text.clone(),
                priority: [Priority::Info, Priority::Low, Priority::Medium][priority],
                phase: [Phase::Start, Phase::Update, Phase::End][phase],
                ..worked()
            };
            let more = json!({"priority_max": cap, "codes": codes, "application": name, "facility": name});
            let text_out = written(&alert, &more);
            let lines: Vec<&str> = text_out.split_terminator('\r').collect();
            prop_assert_eq!(lines.len(), 12);
            let said: Vec<&str> = lines[11].split('|').collect();
            prop_assert!(said[5] == "SA" || said[5] == "ST", "type {}", said[5]);
            let said: Vec<&str> = lines[10].split('|').collect();
            prop_assert!(["PI", "PL", "PM"].contains(&said[5]) && said[5] != "PM" || cap == "PM");
            let marks = lines[5].split('|').nth(8).unwrap_or_default();
            prop_assert!(!marks.contains("SP") && !marks.contains("PH"), "{}", marks);
            let whole = lines[5].split('|').nth(5).unwrap_or_default().split('^').nth(8).unwrap_or_default();
            prop_assert_eq!(unescape(whole), text);
        }
    }
}
