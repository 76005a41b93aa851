//! What an alert means, how often it comes and what it misses, in three sentences made of the summary's figures: README and
//! card carry them word for word, and a test holds them to it.

use serde_json::Value;

fn number(summary: &Value, path: &str) -> Option<f64> {
    summary.pointer(path)?.as_f64()
}

/// Meaning, frequency and what is missed, of a summary as `wardbeat evaluate live` writes it; `None` where a figure is not
/// there.
#[must_use]
pub fn sentences(summary: &Value) -> Option<[String; 3]> {
    let of = |path: &str| number(summary, path);
    let percent = |path: &str| Some((100.0 * of(path)?).round());
    let at = "/sensitivity_at_1_per_bed_hour";
    let [all, vt] = [format!("{at}_all/share"), format!("{at}_vt/share")];
    let onsets = summary.get("mitdb_onsets_within_60_s")?.as_array()?;
    let sum = |key: &str| onsets.iter().filter_map(|o| o.get(key)?.as_u64()).sum::<u64>();
    let meaning = "**What an alert means:** this bed's signal now differs from the same bed's own usual, and in what; look \
                   at the strip and at the patient. It names no rhythm and no illness, and no alert does not mean that all \
                   is well.";
    let often = format!(
        "**How often it comes:** the site sets it; with the fused score set to one alert an hour on difficult \
         intensive-care recordings, {:.1} an hour came there on patients it had not seen, {:.1} an hour in recordings of \
         normal rhythm ({} in {:.1} h, so at most {:.1} an hour at 95 %), and {} in {:.0} min of added noise.",
        of(&format!("{at}_all/realised_per_bed_hour"))?,
        of("/mitdb_normal_advisories_per_hour/value")?,
        of("/mitdb_normal_advisories_per_hour/alerts")?,
        of("/mitdb_normal_advisories_per_hour/hours")?,
        of("/mitdb_normal_advisories_per_hour/high")?,
        of("/noise_advisories/in_noise")?,
        of("/noise_advisories/minutes_of_noise")?,
    );
    let misses = format!(
        "**What it misses:** most of what a monitor rightly alarms for. At that setting {} % of {} true alarms were told (95 % \
         interval {} to {} %), {} % of {} ventricular tachycardias, and {} of {} onsets of abnormal rhythms in long \
         recordings within a minute.",
        percent(&format!("{all}/value"))?,
        of(&format!("{all}/events"))?,
        percent(&format!("{all}/low"))?,
        percent(&format!("{all}/high"))?,
        percent(&format!("{vt}/value"))?,
        of(&format!("{vt}/events"))?,
        sum("told"),
        sum("all"),
    );
    Some([meaning.into(), often, misses])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> String {
        std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect("committed")
    }

    #[test]
    fn readme_and_card_say_what_the_summary_says() {
        let summary: Value = serde_json::from_str(&file("docs/reports/live/summary.json")).expect("JSON");
        let told = sentences(&summary).expect("every figure");
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for place in ["README.md", "models/ptbxl/CARD.md"] {
            let text = flat(&file(place));
            for sentence in &told {
                assert!(text.contains(&flat(sentence)), "{place} must say:\n\n{}\n", told.join("\n\n"));
            }
        }
    }

    #[test]
    fn without_a_figure_nothing_is_said() {
        assert_eq!(sentences(&serde_json::json!({ "mitdb_onsets_within_60_s": [] })), None);
    }
}
