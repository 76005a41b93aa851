//! Every real recording at hand agrees with its header, and its annotations can be read.

use recordings::{Record, annotations, list};
use std::path::{Path, PathBuf};

const ANNOTATORS: [&str; 18] = [
    "atr", "q1c", "q2c", "qt1", "pu0", "man", "i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4",
    "v5", "v6",
];

/// The unpacked sets, and the tiny ones beside the workspace.
fn folders() -> Vec<PathBuf> {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tiny");
    let all = std::env::var_os("WARDBEAT_DATA").map(PathBuf::from);
    let found: Vec<_> = all.into_iter().chain([tiny]).filter(|f| f.is_dir()).collect();
    if found.is_empty() {
        println!("skipped: no recordings");
    }
    found
}

/// Reads one annotator's file, where it exists, and checks it; returns the number of marks.
fn marks_of(path: &Path, extension: &str, record: &Record) -> usize {
    if !PathBuf::from(format!("{}.{extension}", path.display())).exists() {
        return 0;
    }
    let found = annotations(path, extension).unwrap_or_else(|error| panic!("{error}"));
    assert!(found.is_sorted_by_key(|a| a.sample), "{} {extension}", path.display());
    assert!(found.iter().all(|a| a.sample <= record.length as u64), "{} {extension}", path.display());
    found.len()
}

#[test]
fn every_recording_agrees_with_its_header_and_annotations_lie_within_it() {
    for folder in folders() {
        let records = list(&folder).expect("listed");
        assert!(!records.is_empty(), "{} holds no record", folder.display());
        let (mut read, mut marks) = (0, 0);
        for (i, path) in records.iter().enumerate() {
            // PTB-XL is two thirds of everything and of one kind: every 20th record.
            if path.components().any(|c| c.as_os_str() == "records100") && i % 20 != 0 {
                continue;
            }
            let record = Record::read(path).unwrap_or_else(|error| panic!("{error}"));
            assert!(record.length > 0 && record.rate().is_ok(), "{}", path.display());
            let ecg_mv = (0..record.signals.len()).filter_map(|i| record.signal_mv(i)).flatten();
            assert!(ecg_mv.filter(|mv| mv.is_finite()).all(|mv| mv.abs() < 1000.0), "{}", path.display());
            read += 1;
            marks +=
                ANNOTATORS.into_iter().map(|extension| marks_of(path, extension, &record)).sum::<usize>();
        }
        println!("{}: {read} of {} records read, {marks} annotations", folder.display(), records.len());
    }
}

#[test]
fn known_recordings_read_as_published() {
    let Some(tiny) = folders().pop().filter(|f| f.ends_with("tiny")) else { return };
    let record = Record::read(&tiny.join("mitdb/100")).expect("mitdb 100");
    assert_eq!(
        (record.rate_hz as u32, record.length, record.signals[0].name.as_str()),
        (360, 108_000, "MLII")
    );
    // 995 counts, 1024 is zero, 200 counts per mV.
    assert!((record.signal_mv(0).expect("mV")[0] + 0.145).abs() < 1e-6);
    let marks = annotations(&tiny.join("mitdb/100"), "atr").expect("atr");
    assert_eq!((marks[0].sample, marks[0].symbol(), marks[0].aux.as_str()), (18, "+", "(N"));
    assert_eq!((marks[1].sample, marks[1].symbol()), (77, "N"));

    let alarm = Record::read(&tiny.join("cinc2015/a103l.hea")).expect("cinc2015");
    assert_eq!(alarm.comments, ["Asystole", "False alarm"]);
    assert_eq!((alarm.length, alarm.raw(0)[0]), (82_500, -171));
    assert_eq!(alarm.signal_mv(2), None, "the finger signal is no voltage");

    let waves = annotations(&tiny.join("ludb/1"), "ii").expect("ludb");
    assert_eq!(waves.iter().take(3).map(recordings::Annotation::symbol).collect::<String>(), "(N)");
}
