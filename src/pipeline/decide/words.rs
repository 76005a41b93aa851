//! Every text that a bedside may read, in one table. Never a diagnosis, a rhythm's name or a reassurance.

use super::fused::Group;
use contract::{Code, LeadId, Signal, Why};

/// What each code says.
fn says(code: Code) -> &'static str {
    match code {
        Code::Uncertain => "ECG analysis uncertain",
        Code::New => "Shapes not seen while learning",
        Code::Changed => "Pattern differs from this patient's baseline",
        Code::Signal => "Signal unusable",
        Code::NoData => "No data from the monitor",
        Code::Clock => "Time stamps unreliable",
        Code::Node => "Wardbeat behind or alert undelivered",
    }
}

/// What the fused score rests on most, in the words of somebody who looks at the strip.
pub(super) fn differs(group: Group, beats: Option<&str>) -> Option<&'static str> {
    match group {
        Group::Entropy => Some("more or less mixed than usual"),
        Group::Novelty => Some("shapes farther from the known ones than usual"),
        Group::Mix => Some("other shapes than usual"),
        Group::Shape => Some("beats of another shape than usual"),
        Group::Amplitude => Some("another height than usual"),
        Group::Beats => beats.map(|name| match name {
            _ if name.starts_with("gap") => "a longer stretch without a beat than usual",
            "no_beats" => "no beats found",
            _ if name.starts_with("variation") || name.starts_with("jitter") => "beats less even than usual",
            _ if name.ends_with("down") || name.ends_with("below") || name.ends_with("slow") => {
                "fewer beats than usual"
            }
            _ => "more beats than usual",
        }),
        // Noise is no news about the patient.
        Group::Signal => None,
    }
}

fn leads(leads: &[LeadId]) -> String {
    let names: Vec<&str> = leads.iter().take(3).map(LeadId::as_str).collect();
    let more = leads.len().saturating_sub(3);
    match (leads.len(), more) {
        (0, _) => String::new(),
        (1, _) => format!("lead {}", names[0]),
        (_, 0) => format!("leads {}", names.join(", ")),
        _ => format!("leads {} and {more} more", names.join(", ")),
    }
}

/// The one line of an alert that begins or goes on.
pub(super) fn text(code: Code, why: &Why) -> String {
    let mut line = says(code).to_string();
    let mut parts = Vec::new();
    if let Some([over, of]) = why.k_of_n {
        parts.push(format!("{over} s of last {of} s"));
    }
    parts.extend(why.detail.clone());
    if !why.leads.is_empty() && (why.detail.is_none() || !why.parts.is_empty()) {
        parts.push(leads(&why.leads));
    }
    if !parts.is_empty() {
        line = format!("{line}: {}", parts.join(", "));
    }
    match code {
        Code::Uncertain | Code::New | Code::Changed => line + ". Look at the strip.",
        Code::Signal | Code::NoData => line + ". Look at the leads and the monitor.",
        Code::Clock | Code::Node => line + ".",
    }
}

/// The one line of an alert that ends.
pub(super) fn ended(code: Code) -> String {
    format!("Ended: {}.", lower(code))
}

fn lower(code: Code) -> String {
    says(code).to_lowercase().replace("ecg", "ECG").replace("wardbeat", "Wardbeat")
}

/// The one line of an alert whose condition is over, where the site keeps it until somebody has seen it.
pub(super) fn latched(code: Code) -> String {
    format!("Over, not seen yet: {}. Look at the strip.", lower(code))
}

/// The end of an alert that an earlier run left open and that this one cannot judge.
pub(super) const RESTARTED: &str = "Ended: judged anew after a restart of Wardbeat.";

/// The test of a shift; `by` is who asked for it.
pub(super) fn tested(by: &str) -> String {
    let by: String = by.chars().filter(|c| !c.is_control()).take(40).collect();
    format!("TEST of the nurse call, asked for by {by}. Confirm that it arrived.")
}

/// The end of such a test.
pub(super) const TEST_ENDED: &str = "Ended: TEST of the nurse call.";

/// What is the matter with a lead.
pub(in crate::pipeline) fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Good => "usable",
        Signal::Noisy => "noisy",
        Signal::Clipped => "at the limit of the range",
        Signal::Flat => "flat",
        Signal::LeadOff => "off",
        Signal::Missing => "missing",
    }
}

/// Leads and what is the matter with them ("lead II off; leads V1, V2 noisy").
pub(in crate::pipeline) fn signals(bad: &[(LeadId, Signal)]) -> String {
    let mut kinds: Vec<Signal> = bad.iter().map(|b| b.1).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let part = |kind: &Signal| {
        let names: Vec<LeadId> = bad.iter().filter(|b| b.1 == *kind).map(|b| b.0).collect();
        format!("{} {}", leads(&names), signal(*kind))
    };
    kinds.iter().map(part).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_diagnoses_or_reassures() {
        let lead = |name: &str| LeadId::new(name).expect("valid");
        let why = Why {
            leads: ["II", "V1", "V2", "V5"].map(lead).to_vec(),
            k_of_n: Some([8, 12]),
            ..Why::default()
        };
        let all = [Signal::Noisy, Signal::Clipped, Signal::Flat, Signal::LeadOff, Signal::Missing];
        let bad: Vec<(LeadId, Signal)> = all.iter().map(|&s| (lead("II"), s)).collect();
        let texts = Code::ALL
            .iter()
            .flat_map(|&c| [text(c, &why), text(c, &Why::default()), ended(c), latched(c)])
            .chain(Group::ALL.iter().filter_map(|g| differs(*g, Some("rate5_up"))).map(String::from))
            .chain(
                ["gap", "no_beats", "jitter", "rate16_slow"]
                    .iter()
                    .filter_map(|b| differs(Group::Beats, Some(b)))
                    .map(String::from),
            )
            .chain([signals(&bad), RESTARTED.into(), tested("RN"), TEST_ENDED.into()]);
        for text in texts {
            assert_eq!(contract::conformance::never_said(&text), None, "{text:?}");
            assert!(!text.is_empty() && text.len() < 160, "{text:?}");
        }
    }

    #[test]
    fn a_text_says_what_since_when_and_where_to_look() {
        let why =
            Why { leads: vec![LeadId::new("II").expect("valid")], k_of_n: Some([8, 30]), ..Why::default() };
        assert_eq!(
            text(Code::Uncertain, &why),
            "ECG analysis uncertain: 8 s of last 30 s, lead II. Look at the strip."
        );
    }
}
