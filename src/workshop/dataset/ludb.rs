//! LUDB: which wave each 40 ms step of lead II belongs to.

use super::DatasetError;
use crate::model::STEP_SAMPLES;
use crate::pipeline::Recording;
use contract::{BedId, LeadId};
use recordings::{Record, annotations};
use std::path::Path;

/// What a step of an annotated record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wave {
    /// P wave.
    P,
    /// End of P to start of QRS.
    Pr,
    /// QRS.
    Qrs,
    /// End of QRS to start of T.
    St,
    /// T wave.
    T,
    /// End of T to the next wave.
    Tp,
}

impl Wave {
    /// All of them, in the order of a beat.
    pub const ALL: [Self; 6] = [Self::P, Self::Pr, Self::Qrs, Self::St, Self::T, Self::Tp];

    /// As it stands in a cluster's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P => "P",
            Self::Pr => "PR",
            Self::Qrs => "QRS",
            Self::St => "ST",
            Self::T => "T",
            Self::Tp => "T-P",
        }
    }
}

/// One record with its truth.
pub struct Annotated {
    /// The record's number.
    pub name: String,
    /// All twelve leads.
    pub recording: Recording,
    /// Per 40 ms step: its wave, `None` before the first and after the last annotated wave.
    pub waves: Vec<Option<Wave>>,
}

/// One annotated wave, from its onset to its end (samples).
type Span = (u64, u64, Wave);

fn spans(record: &Path) -> Result<Vec<Span>, DatasetError> {
    let (mut spans, mut onset, mut kind) = (Vec::new(), None, None);
    for a in annotations(record, "ii")? {
        match a.symbol() {
            "(" => onset = Some(a.sample),
            ")" => {
                if let Some((wave, at)) = kind.take() {
                    spans.push((at, a.sample, wave));
                }
                onset = None;
            }
            symbol => {
                let wave = match symbol {
                    "p" => Some(Wave::P),
                    "N" => Some(Wave::Qrs),
                    "t" => Some(Wave::T),
                    _ => None,
                };
                kind = wave.map(|w| (w, onset.unwrap_or(a.sample)));
            }
        }
    }
    spans.sort_by_key(|s| s.0);
    Ok(spans)
}

/// What lies between two neighbouring waves (docs/method.md, definitions).
fn between(before: Wave, after: Wave) -> Option<Wave> {
    match (before, after) {
        (Wave::P, Wave::Qrs) => Some(Wave::Pr),
        (Wave::Qrs, Wave::T) => Some(Wave::St),
        (Wave::T | Wave::Qrs, Wave::P | Wave::Qrs) => Some(Wave::Tp),
        _ => None,
    }
}

fn waves(spans: &[Span], steps: usize, samples_per_step: f64) -> Vec<Option<Wave>> {
    let at = |step: usize| (step as f64 * samples_per_step) as u64;
    let of = |n: u64| -> Option<Wave> {
        if let Some((_, _, wave)) = spans.iter().find(|(on, off, _)| (*on..=*off).contains(&n)) {
            return Some(*wave);
        }
        let gap = spans.windows(2).find(|pair| pair[0].1 < n && n < pair[1].0)?;
        between(gap[0].2, gap[1].2)
    };
    (0..steps).map(|step| of(at(step))).collect()
}

/// Reads every record of the folder that has annotations of lead II.
///
/// # Errors
/// [`DatasetError`] names the file and what is wrong with it.
pub fn read_ludb(folder: &Path) -> Result<Vec<Annotated>, DatasetError> {
    let mut all = Vec::new();
    for path in recordings::list(folder)? {
        if !path.with_extension("ii").exists() {
            continue;
        }
        let record = Record::read(&path)?;
        let fault = |why: String| DatasetError::Record { path: path.clone(), why };
        let rate = record.rate().map_err(|e| fault(e.to_string()))?;
        let (mut leads, mut samples_mv) = (Vec::new(), Vec::new());
        for (i, signal) in record.signals.iter().enumerate() {
            leads.push(LeadId::new(&signal.name).map_err(|e| fault(e.to_string()))?);
            samples_mv.push(record.signal_mv(i).ok_or_else(|| fault("a lead is no voltage".into()))?);
        }
        let steps = (record.length as f64 / rate.as_f64() * 100.0) as usize / STEP_SAMPLES;
        let samples_per_step = rate.as_f64() * 0.04;
        let bed = BedId::new("ludb/records/record").map_err(|e| fault(e.to_string()))?;
        all.push(Annotated {
            waves: waves(&spans(&path)?, steps, samples_per_step),
            recording: Recording { bed, leads, rate, samples_mv },
            name: record.name,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stretches_between_waves_have_their_names() {
        let spans = [(10, 14, Wave::P), (20, 25, Wave::Qrs), (35, 45, Wave::T), (60, 64, Wave::P)];
        let waves = waves(&spans, 14, 5.0);
        let at = |n: usize| waves[n / 5];
        assert_eq!(at(5), None);
        assert_eq!(
            [at(10), at(15), at(20), at(30), at(40), at(50), at(60)],
            [
                Some(Wave::P),
                Some(Wave::Pr),
                Some(Wave::Qrs),
                Some(Wave::St),
                Some(Wave::T),
                Some(Wave::Tp),
                Some(Wave::P)
            ]
        );
        assert_eq!(at(65), None);
    }
}
