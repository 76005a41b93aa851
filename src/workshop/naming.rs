//! Names of clusters, from the waves of LUDB's lead II that fall on them.

use super::WorkshopError;
use super::dataset::{Annotated, Wave};
use crate::model::{Bundle, open_engine};
use crate::pipeline::{Analyser, Recording, analyse_recording};
use crate::snapshot::{ClusterName, Family};
use contract::LeadId;
use std::sync::Arc;

/// Share from which a cluster is "mostly" one wave (docs/method.md, clusters).
const MOSTLY: f64 = 0.60;

/// Steps by cluster and wave: `[cluster][wave]`, waves as [`Wave::ALL`].
pub type Counts = Vec<[u64; 6]>;

/// Counts on which waves each cluster falls, reading lead II alone, as a bedside monitor shows it.
///
/// # Errors
/// [`WorkshopError`] if the engine cannot be opened.
pub fn count_waves(bundle: &Arc<Bundle>, records: &[Annotated]) -> Result<Counts, WorkshopError> {
    let mut analyser = Analyser::new(bundle.clone(), open_engine(bundle, "cpu")?);
    let mut counts = vec![[0; 6]; bundle.codebook.clusters];
    for record in records {
        let Recording { bed, leads, rate, samples_mv } = &record.recording;
        let Some(ii) = leads.iter().position(|l| l.standard() == Some(1)) else { continue };
        let alone = Recording {
            bed: bed.clone(),
            leads: LeadId::new("II").into_iter().collect(),
            rate: *rate,
            samples_mv: vec![samples_mv[ii].clone()],
        };
        let findings = analyse_recording(&mut analyser, &alone, true);
        let clusters = findings.iter().filter_map(|f| f.reading.as_ref().ok()).flat_map(|r| &r.cluster);
        for (cluster, wave) in clusters.zip(&record.waves) {
            if let Some(wave) = wave {
                counts[usize::from(*cluster)][*wave as usize] += 1;
            }
        }
    }
    Ok(counts)
}

fn family(wave: Wave) -> Family {
    match wave {
        Wave::P | Wave::Pr => Family::P,
        Wave::Qrs => Family::Q,
        Wave::St => Family::S,
        Wave::T => Family::T,
        Wave::Tp => Family::Baseline,
    }
}

/// The name of one cluster: "mostly QRS 82%", or "mixed (P 49, PR 34)" with its two largest waves.
#[must_use]
pub fn name(counts: &[u64; 6]) -> ClusterName {
    let total = counts.iter().sum::<u64>();
    if total < 25 {
        return ClusterName { family: Family::Mixed, name: "rare".into() };
    }
    let share = |wave: Wave| counts[wave as usize] as f64 / total as f64;
    let mut waves = Wave::ALL;
    waves.sort_by(|a, b| share(*b).total_cmp(&share(*a)));
    let percent = |wave: Wave| (share(wave) * 100.0).round();
    if share(waves[0]) >= MOSTLY {
        let what = if waves[0] == Wave::Tp { "baseline T-P" } else { waves[0].name() };
        return ClusterName {
            family: family(waves[0]),
            name: format!("mostly {what} {}%", percent(waves[0])),
        };
    }
    // P hardly ever has a cluster of its own: with the segment behind it, it is still one family.
    let joined = share(Wave::P) + share(Wave::Pr);
    let [a, b] = [waves[0], waves[1]];
    let both = format!("({} {}, {} {})", a.name(), percent(a), b.name(), percent(b));
    if joined >= MOSTLY {
        return ClusterName { family: Family::P, name: format!("mostly P and PR {both}") };
    }
    ClusterName { family: Family::Mixed, name: format!("mixed {both}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_prevails_and_how_much() {
        let named = |counts| {
            let n = name(&counts);
            (n.family, n.name)
        };
        assert_eq!(named([0, 0, 82, 18, 0, 0]), (Family::Q, "mostly QRS 82%".into()));
        assert_eq!(named([0, 0, 0, 0, 10, 90]), (Family::Baseline, "mostly baseline T-P 90%".into()));
        assert_eq!(named([49, 34, 10, 0, 0, 7]), (Family::P, "mostly P and PR (P 49, PR 34)".into()));
        assert_eq!(named([0, 0, 40, 35, 25, 0]), (Family::Mixed, "mixed (QRS 40, ST 35)".into()));
        assert_eq!(named([0, 0, 5, 0, 0, 0]).1, "rare");
    }
}
