//! The honesty lock: no config, no finding and no path gives a physiological type, a high priority, or a word that
//! diagnoses or reassures.

#[path = "scenarios/script.rs"]
#[allow(dead_code)]
mod script;

use contract::conformance::{alert, never_said};
use contract::{Alert, Code, Heard, Level, Mode, Phase, Priority, Sink, UtcMs};
use proptest::prelude::*;
use script::{Player, Scenario, Wall};
use std::sync::{Arc, LazyLock};
use wardbeat::config::{self, Settings};
use wardbeat::daemon;
use wardbeat::model::Bundle;
use wardbeat::pipeline::{Setup, Ward, node_alert, test_alerts};

static BUNDLE: LazyLock<Arc<Bundle>> = LazyLock::new(|| Arc::new(Bundle::tiny(1)));

fn words() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["info", "low", "medium", "high", "High", "PH", "SP", "urgent", ""])
}

/// A config that asks for priorities in every place that has one.
fn asking(words: &[&str; 5], most: &str) -> String {
    let [advisory, strong, technical, unit, bed] = words;
    format!(
        "[[source]]\ntopic = \"wardbeat/v1/site1/#\"\ndecoder = \"json\"\n\
         [analysis]\npriority = \"{advisory}\"\npriority_strong = \"{strong}\"\npriority_technical = \"{technical}\"\n\
         [[unit]]\nid = \"icu\"\nanalysis = {{ priority = \"{unit}\" }}\n\
         [[bed]]\nid = \"site1/icu/b07\"\nlabel = \"7\"\nanalysis = {{ priority_strong = \"{bed}\" }}\n\
         [[sink]]\nname = \"s\"\nkind = \"mllp\"\n[sink.options]\naddress = \"127.0.0.1:9\"\nunmapped = \"derive\"\n\
         station = \"ICU^^DESK^SITE1\"\npriority_max = \"{most}\"\n"
    )
}

/// Every message that this config could send, over codes, phases and the priorities that it gives.
fn messages(settings: &Settings) -> Vec<String> {
    let bed = contract::BedId::new("site1/icu/b07").expect("valid");
    let (units, beds) = (settings.unit_analysis(), settings.bed_analysis());
    let all = [&settings.analysis, &units["icu"], &beds[&bed]];
    let given = all.iter().flat_map(|a| [a.priority, a.priority_strong, a.priority_technical]);
    let sink: Box<dyn Sink> = (sink_mllp::ENTRY.build)(&settings.sinks[0].options).expect("checked");
    let phases = [Phase::Start, Phase::Update, Phase::End];
    given
        .flat_map(|priority| Code::ALL.map(|code| (priority, code)))
        .flat_map(|(priority, code)| phases.map(|phase| (priority, code, phase)))
        .map(|(priority, code, phase)| {
            let told = Alert { priority, level: Level::Alert, ..alert(code, phase, Mode::Real) };
            String::from_utf8(sink.preview(&told).expect("sent")).expect("UTF-8")
        })
        .collect()
}

fn honest(alert: &Alert) {
    assert_eq!(never_said(&alert.text), None, "{:?}", alert.text);
    let json = serde_json::to_value(alert).expect("plain");
    let priority = json["priority"].as_str().expect("a word");
    assert!(["info", "low", "medium"].contains(&priority), "{priority}");
    assert_eq!(json["limits"], Alert::LIMITS);
    assert!(["analysis", "technical"].contains(&json["class"].as_str().expect("a word")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_config_that_asks_for_more_is_refused_with_the_reason_and_no_other_sends_it(
        words in prop::array::uniform5(words()),
        most in prop::sample::select(vec!["PI", "PL", "PM", "PH", "PN"]),
    ) {
        let known = ["info", "low", "medium"];
        let allowed = words.iter().all(|w| known.contains(w)) && ["PI", "PL", "PM"].contains(&most);
        match config::parse("ward.toml", &asking(&words, most), &daemon::plugins()) {
            Ok(settings) => {
                prop_assert!(allowed, "{words:?} {most} was accepted");
                for message in messages(&settings) {
                    let marks: Vec<&str> = message.split('\r').filter(|l| l.starts_with("OBX|2|")).collect();
                    prop_assert_eq!(marks.len(), 1);
                    let marks = marks[0].split('|').nth(8).expect("OBX-8");
                    let parts: Vec<&str> = marks.split('~').collect();
                    prop_assert!(["PI", "PL", "PM"].contains(&parts[1]), "{}", marks);
                    prop_assert!(["ST", "SA"].contains(&parts[2]), "{}", marks);
                    prop_assert!(!message.contains("|PH|") && !message.contains("|SP|"), "{}", message);
                }
            }
            Err(faults) => {
                prop_assert!(!allowed, "{faults}");
                if words.contains(&"high") {
                    let told = faults.to_string();
                    prop_assert!(told.contains("high is left to the bedside monitors"), "{}", told);
                }
            }
        }
    }

    #[test]
    fn no_finding_makes_an_alert_say_more_than_it_may(
        parts in prop::collection::vec(
            (0.0_f32..60.0, 0.01_f32..9.0, 0.0_f32..1.0, -60.0_f32..900.0, 0_usize..7), 4..9),
        latching in any::<bool>(),
    ) {
        let signals = ["good", "noisy", "clipped", "flat", "lead-off", "missing"];
        let reading = |(i, (e, n, mix, logit, signal)): (usize, &(f32, f32, f32, f32, usize))| match signals.get(*signal) {
            Some(signal) => format!(
                "{{ from = {}, entropy = {e}, novelty = {n}, mix = [{mix}, {}], logit = {logit}, signal = \"{signal}\" }}",
                i * 25, 1.0 - mix
            ),
            None => format!("{{ from = {}, not_read = \"coverage\" }}", i * 25),
        };
        let readings: Vec<String> = parts.iter().enumerate().map(reading).collect();
        let text = format!(
            "seconds = 250\n[analysis]\ndecide = \"channels\"\nlearn_s = 15\nscore_on = 0.5\nscore_off = 0.3\nlatching = {latching}\n\
             priority_strong = \"medium\"\n[[bed]]\nname = \"b\"\nsilent = [[60, 75]]\nreading = [{}]\n",
            readings.join(", ")
        );
        let scenario: Scenario = toml::from_str(&text).expect("a scenario");
        let setup = Setup { analysis: scenario.analysis.clone(), ..Setup::default() };
        let (mut ward, mut player) = (Ward::new(setup, &BUNDLE), Player::new(&scenario.bed[0]));
        let mut alerts = Vec::new();
        let wall = Wall { late_ms: 0 };
        for second in 0..parts.len() as u64 * 25 {
            if let Some(frame) = player.frame(second) {
                ward.hear(Heard::Frame(frame), wall.now(second));
            }
            while !ward.take_due(wall.now(second)).is_empty() {}
            let findings: Vec<_> = player.scripted(second).into_iter().collect();
            alerts.extend(ward.conclude(&findings, wall.now(second)));
            alerts.extend(ward.take_held().into_iter().map(|held| held.0));
        }
        alerts.iter().for_each(honest);
    }

    #[test]
    fn the_node_says_no_more_than_that(detail in "[a-z ]{1,60}", by in "\\PC{0,80}") {
        let setup = Setup { site: "s".into(), node: "n".into(), ..Setup::default() };
        prop_assume!(never_said(&detail).is_none() && never_said(&by).is_none());
        honest(&node_alert(&setup, "m", Phase::Start, (UtcMs(1), 0), UtcMs(1), &detail));
        for test in test_alerts(&setup, "m", &by, UtcMs(1)) {
            honest(&test);
            prop_assert!(test.mode == Mode::Test && test.text.contains("TEST"));
        }
    }
}

#[test]
fn there_is_no_high_priority_to_be_had() {
    for word in ["\"high\"", "\"High\"", "\"PH\""] {
        assert!(serde_json::from_str::<Priority>(word).is_err(), "{word}");
    }
}
