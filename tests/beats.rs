//! Beats as a bed finds them, against the annotations of the arrhythmia recordings: within 150 ms, over all beats
//! outside ventricular flutter, with the quality gates and filters of live use.
#![allow(clippy::unwrap_used)] // A test stops at a surprise.

use contract::{BedId, LeadId};
use recordings::{Annotation, Record};
use std::path::{Path, PathBuf};
use wardbeat::pipeline::{Recording, beats_of};

/// 150 ms at 360 Hz.
const NEAR: u64 = 54;

#[derive(Debug, Default, Clone, Copy)]
struct Score {
    found: u64,
    missed: u64,
    extra: u64,
}

impl Score {
    fn sensitivity(self) -> f64 {
        self.found as f64 / (self.found + self.missed) as f64
    }

    fn predictivity(self) -> f64 {
        self.found as f64 / (self.found + self.extra) as f64
    }
}

fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("WARDBEAT_DATA").map(|d| PathBuf::from(d).join("mitdb"));
    data.filter(|d| d.is_dir())
}

/// Stretches of ventricular flutter, with the window around them.
fn flutter(marks: &[Annotation]) -> Vec<(u64, u64)> {
    let at = |symbol| marks.iter().filter(move |a| a.symbol() == symbol).map(|a| a.sample);
    let ends = at("]").chain(std::iter::repeat(u64::MAX - NEAR));
    at("[").zip(ends).map(|(from, to)| (from.saturating_sub(NEAR), to + NEAR)).collect()
}

/// Pairs beats and annotations in order, each at most once.
fn pair(found: &[u64], annotated: &[u64]) -> Score {
    let (mut score, mut i, mut j) = (Score::default(), 0, 0);
    while i < found.len() || j < annotated.len() {
        match (found.get(i), annotated.get(j)) {
            (Some(f), Some(a)) if f.abs_diff(*a) <= NEAR => {
                score.found += 1;
                i += 1;
                j += 1;
            }
            (Some(f), Some(a)) if f > a => {
                score.missed += 1;
                j += 1;
            }
            (None, _) => {
                score.missed += 1;
                j += 1;
            }
            _ => {
                score.extra += 1;
                i += 1;
            }
        }
    }
    score
}

fn judge(path: &Path) -> Score {
    let record = Record::read(path).unwrap();
    let leads = record.signals.iter().map(|s| LeadId::new(&s.name).unwrap()).collect();
    let samples_mv = (0..record.signals.len()).map(|i| record.signal_mv(i).unwrap()).collect();
    let bed = BedId::new("mitdb/records/one").unwrap();
    let found = beats_of(&Recording { bed, leads, rate: record.rate().unwrap(), samples_mv });
    let marks = recordings::annotations(path, "atr").unwrap();
    let flutter = flutter(&marks);
    let outside = |n: &u64| !flutter.iter().any(|(from, to)| (from..=to).contains(&n));
    let found: Vec<u64> = found.into_iter().filter(outside).collect();
    let annotated = marks.iter().filter(|a| a.is_beat()).map(|a| a.sample).filter(outside);
    pair(&found, &annotated.collect::<Vec<_>>())
}

#[test]
fn beats_of_all_arrhythmia_recordings_are_found() {
    let Some(folder) = folder() else {
        println!("skipped: no recordings");
        return;
    };
    let mut gross = Score::default();
    for path in recordings::list(&folder).unwrap() {
        let score = judge(&path);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        println!(
            "{name}: {} found, {} missed, {} extra, sensitivity {:.2} %, predictivity {:.2} %",
            score.found,
            score.missed,
            score.extra,
            score.sensitivity() * 100.0,
            score.predictivity() * 100.0
        );
        gross.found += score.found;
        gross.missed += score.missed;
        gross.extra += score.extra;
    }
    let (sensitivity, predictivity) = (gross.sensitivity(), gross.predictivity());
    println!("gross: {gross:?}, sensitivity {sensitivity:.4}, positive predictivity {predictivity:.4}");
    assert!(sensitivity >= 0.99 && predictivity >= 0.99, "{gross:?}");
}
