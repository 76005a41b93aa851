//! Whatever the bytes, reading ends with a record or an error.

use proptest::prelude::*;
use recordings::{Annotation, Draft, Record, annotations, write_annotations};
use std::path::Path;

fn read(header: &[u8], signal: &[u8]) -> Result<Record, recordings::RecordError> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("r.hea"), header).expect("written");
    std::fs::write(folder.path().join("r.dat"), signal).expect("written");
    Record::read(&folder.path().join("r"))
}

proptest! {
    #[test]
    fn no_header_bytes_panic(header in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&header, &[0; 64]);
    }

    #[test]
    fn no_header_of_plausible_fields_panics(
        fields in proptest::collection::vec("[0-9a-z+x:/().#-]{0,8}", 0..12),
        format in prop_oneof![Just("16"), Just("212"), Just("80"), Just("16+24")],
        length in any::<u64>(),
        signal in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let header = format!("r 1 250 {length}\nr.dat {format} {}\n", fields.join(" "));
        let _ = read(header.as_bytes(), &signal);
        let header = format!("r 2 250\nr.dat {format} 200\nr.dat {format} {}\n", fields.join(" "));
        if let Ok(record) = read(header.as_bytes(), &signal) {
            prop_assert_eq!(record.physical(1).len(), record.length);
        }
    }

    #[test]
    fn no_annotation_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = recordings::parse_annotations(&bytes, Path::new("r.atr"));
    }

    #[test]
    fn what_is_written_is_read_back(
        rows in proptest::collection::vec(proptest::collection::vec(-30.0_f32..30.0, 5), 1..4),
        marks in proptest::collection::vec((0_u64..3_000, 1_u8..50, any::<i8>(), any::<u8>(), any::<i8>(), "[ -~]{0,9}"), 0..20),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["I", "aVR", "V 6"];
        let draft = Draft {
            name: "w", rate_hz: 62.5, gain_per_mv: 1000.0, leads: &names[..rows.len()], samples_mv: &rows,
            comments: &["kept"],
        };
        let path = draft.write(folder.path()).expect("written");
        let record = Record::read(&path).expect("read");
        prop_assert_eq!(record.rate().expect("valid").parts(), (125, 2));
        prop_assert_eq!(&record.comments, &["kept"]);
        for (i, row) in rows.iter().enumerate() {
            prop_assert_eq!(&record.signals[i].name, names[i]);
            let read = record.signal_mv(i).expect("a voltage");
            prop_assert!(row.iter().zip(&read).all(|(a, b)| (a - b).abs() < 6e-4), "{:?} {:?}", row, read);
        }
        let mut at = 0;
        let marks: Vec<_> = marks.into_iter().map(|(gap, code, subtype, channel, num, aux)| {
            at += gap;
            Annotation { sample: at, code, subtype, channel, num, aux }
        }).collect();
        write_annotations(&path, "tst", &marks).expect("written");
        prop_assert_eq!(annotations(&path, "tst").expect("read"), marks);
    }
}

#[test]
fn a_missing_sample_is_nan_in_mv() {
    let record = read(b"r 1 250\nr.dat 16 1000(0)/uV\n", &[0, 0x80, 0xe8, 0x03]).expect("valid");
    let mv = record.signal_mv(0).expect("a voltage");
    assert!(mv[0].is_nan() && (mv[1] - 0.001).abs() < 1e-9, "{mv:?}");
    let record = read(b"r 1 250\nr.dat 80 10(2)/V\n", &[0, 140]).expect("valid");
    let mv = record.signal_mv(0).expect("a voltage");
    assert!(mv[0].is_nan() && (mv[1] - 1_000.0).abs() < 1e-3, "{mv:?}");
    let record = read(b"r 1 250\nr.dat 212 100 12 0 -2048 0 0 NU\n", &[0, 8]);
    assert!(record.is_err(), "the checksum of -2048 is not 0");
    let record = read(b"r 1 250\nr.dat 212 100/NU\n", &[0, 8]).expect("valid");
    assert!(record.physical(0)[0].is_nan());
    assert_eq!(record.signal_mv(0), None, "NU is no voltage");
}

#[test]
fn a_header_that_disagrees_with_the_samples_is_refused() {
    let signal = [1, 0, 2, 0];
    for (header, why) in [
        ("r 1 250 2\nr.dat 16 200 16 0 1 4 0 II\n", "r.dat: lead II: checksum 3, the header says 4"),
        ("r 1 250 2\nr.dat 16 200 16 0 7 3 0 II\n", "r.dat: lead II: initial value 1, the header says 7"),
        ("r 1 250 3\nr.dat 16 200\n", "r.dat: 1 signals of 3 samples announced, the file holds 2 samples"),
        ("r 1 250 18446744073709551615\nr.dat 16 200\n", "the file holds 2 samples"),
        ("r 1 250\nr.dat 16+99 200\n", "r.dat: ends before its offset of 99 bytes"),
        ("r 1 250\nother.dat 16 200\n", "other.dat: "),
        ("r 2 250\nr.dat 16 200\nr.dat 80 200\n", "r.hea:2: the signals in \"r.dat\" differ in format"),
    ] {
        let error = read(header.as_bytes(), &signal).expect_err(header).to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn signals_may_lie_in_several_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
    put(
        "r.hea",
        b"r 3 250 2\na.dat 16 200 16 0 1 3 0 A\nb.dat 80 200 8 0 0 2 0 B\nb.dat 80 200 8 0 1 4 0 C\n",
    );
    put("a.dat", &[1, 0, 2, 0]);
    put("b.dat", &[128, 129, 130, 131]);
    let record = Record::read(&folder.path().join("r.hea")).expect("valid");
    assert_eq!([record.raw(0), record.raw(1), record.raw(2)], [&[1, 2], &[0, 2], &[1, 3]]);
}
