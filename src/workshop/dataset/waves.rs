//! Which wave each 40 ms step belongs to, from annotated wave borders.

use super::DatasetError;
use recordings::{Annotation, annotations};
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

/// One annotated wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// First and last sample.
    pub from: u64,
    pub to: u64,
    pub wave: Wave,
    /// Whether its onset was marked; else `from` is its peak.
    pub onset: bool,
}

/// A gap between neighbouring waves that is longer belongs to no wave, in seconds.
const GAP_S: f64 = 1.5;

fn kind(a: &Annotation) -> Option<Wave> {
    match a.symbol() {
        "p" => Some(Wave::P),
        "t" => Some(Wave::T),
        _ => a.is_beat().then_some(Wave::Qrs),
    }
}

/// The annotated waves of a record, in their order.
pub(super) fn spans(record: &Path, extension: &str) -> Result<Vec<Span>, DatasetError> {
    let (mut spans, mut onset, mut open) = (Vec::new(), None, None);
    for a in annotations(record, extension)? {
        match a.symbol() {
            "(" => onset = Some(a.sample),
            ")" => {
                if let Some((wave, from, marked)) = open.take() {
                    spans.push(Span { from, to: a.sample, wave, onset: marked });
                }
                onset = None;
            }
            _ => {
                let begin = |wave| (wave, onset.unwrap_or(a.sample), onset.is_some());
                open = kind(&a).map(begin);
                onset = None;
            }
        }
    }
    spans.sort_by_key(|s| s.from);
    Ok(spans)
}

/// What lies between two neighbouring waves (docs/method.md, definitions).
fn between(before: Span, after: Span) -> Option<Wave> {
    match (before.wave, after.wave) {
        (Wave::P, Wave::Qrs) => Some(Wave::Pr),
        (Wave::Qrs, Wave::T) => after.onset.then_some(Wave::St),
        (Wave::T | Wave::Qrs, Wave::P | Wave::Qrs) => Some(Wave::Tp),
        _ => None,
    }
}

/// The wave of each step; step t is centred on sample `first` + t · `samples_per_step`.
pub(super) fn waves(spans: &[Span], steps: usize, samples_per_step: f64, first: u64) -> Vec<Option<Wave>> {
    let gap_max = (GAP_S / 0.04 * samples_per_step) as u64;
    let of = |n: u64| -> Option<Wave> {
        let after = spans.partition_point(|s| s.to < n);
        let next = spans.get(after)?;
        if next.from <= n {
            return Some(next.wave);
        }
        let last = after.checked_sub(1).map(|i| spans[i])?;
        if next.from - last.to > gap_max { None } else { between(last, *next) }
    };
    (0..steps).map(|step| of(first + (step as f64 * samples_per_step) as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64, wave: Wave, onset: bool) -> Span {
        Span { from, to, wave, onset }
    }

    #[test]
    fn the_stretches_between_waves_have_their_names() {
        let spans = [
            span(10, 14, Wave::P, true),
            span(20, 25, Wave::Qrs, true),
            span(35, 45, Wave::T, true),
            span(60, 64, Wave::P, true),
        ];
        let waves = waves(&spans, 14, 5.0, 0);
        let at = |n: usize| waves[n / 5];
        assert_eq!((at(5), at(65)), (None, None));
        let expected = [Wave::P, Wave::Pr, Wave::Qrs, Wave::St, Wave::T, Wave::Tp, Wave::P];
        assert_eq!([10, 15, 20, 30, 40, 50, 60].map(at), expected.map(Some));
    }

    #[test]
    fn where_borders_are_missing_no_wave_is_claimed() {
        let spans =
            [span(20, 25, Wave::Qrs, true), span(40, 45, Wave::T, false), span(400, 410, Wave::Qrs, true)];
        let waves = waves(&spans, 90, 5.0, 0);
        assert_eq!(waves[6], None, "the onset of T is unknown");
        assert_eq!(waves[8], Some(Wave::T));
        assert_eq!(waves[40], None, "a gap of 14 s is not T-P");
    }
}
