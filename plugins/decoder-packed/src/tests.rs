use super::*;
use contract::conformance::{decoder_keeps_units, decoder_refuses_huge, decoder_survives};
use contract::{BedId, Flags, LeadId, Mode, Ratio};
use proptest::prelude::*;

const TOPIC: &str = "wardbeat/v1/site1/icu/b07/wave/bin";
const GOLDEN: &str = "
57 42 46 31 01 21 01 01 07 00 00 00 01 00 ed 5e d6 06 00 00 00 00 00 00 90 0c 9d cf e4 60 06 00
fa 00 00 00 01 00 04 00 e8 03 00 00 02 00 00 00 f4 ff 00 00 96 00 00 80 12 75 10 fc";

fn golden() -> Vec<u8> {
    GOLDEN.split_whitespace().map(|hex| u8::from_str_radix(hex, 16).expect("hex")).collect()
}

fn decode(payload: &[u8]) -> Result<Vec<Heard>, DecodeError> {
    PackedDecoder.decode(TOPIC, payload, UtcMs(0))
}

/// The golden frame with `bytes` at `at` and a matching checksum.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut payload = golden();
    payload[at..at + bytes.len()].copy_from_slice(bytes);
    let end = payload.len() - 4;
    let crc = crc32fast::hash(&payload[..end]).to_le_bytes();
    payload[end..].copy_from_slice(&crc);
    payload
}

#[test]
fn the_golden_frame_reads_as_documented_and_is_written_again() {
    let expected: &[f32] = &[-0.012, 0.0, 0.15, f32::NAN];
    let frame = decoder_keeps_units(&mut PackedDecoder, TOPIC, &golden(), &[expected]);
    let p = frame.parts();
    assert_eq!((p.epoch, p.seq, p.n0, p.rate.parts()), (0x5eed_0001, 7, 1_750, (250, 1)));
    assert_eq!(p.t0, Some(UtcMs(1_795_385_712_250)));
    assert_eq!((p.mode, p.leads[0].as_str()), (Mode::Real, "II"));
    assert_eq!(p.flags, Flags { first: true, ..Flags::default() });
    assert_eq!(encode(&frame, Sample::I16, 1_000), Ok(golden()));
}

#[test]
fn each_flag_has_its_meaning() {
    let heard = |bits| match decode(&with(5, &[bits])).as_deref() {
        Ok([Heard::Frame(f)]) => (f.parts().flags, f.parts().mode),
        other => panic!("{other:?}"),
    };
    let none = Flags::default();
    assert_eq!(heard(32 | 2), (Flags { gap_before: true, ..none }, Mode::Real));
    assert_eq!(heard(32 | 4), (Flags { lead_off: true, ..none }, Mode::Real));
    assert_eq!(heard(32 | 8), (Flags { clock_unsynchronised: true, ..none }, Mode::Real));
    assert_eq!(heard(32 | 16), (Flags { paced: true, ..none }, Mode::Real));
    assert_eq!(heard(32 | 64), (none, Mode::Demo));
    assert_eq!(heard(32 | 128), (none, Mode::Test));
}

#[test]
fn a_frame_without_checksum_or_time_is_read() {
    let mut payload = golden();
    payload[5] &= !32;
    payload.truncate(payload.len() - 4);
    payload[24..32].copy_from_slice(&i64::MIN.to_le_bytes());
    assert!(matches!(decode(&payload).as_deref(), Ok([Heard::Frame(f)]) if f.parts().t0.is_none()));
}

#[test]
fn a_bad_frame_is_refused_in_words() {
    for (payload, words) in [
        (golden()[..43].to_vec(), "43 bytes"),
        (golden()[..59].to_vec(), "the head announces 60"),
        (with(0, b"RIFF"), "begins with WBF1"),
        (with(4, &[2]), "version 2"),
        (with(5, &[32 | 64 | 128]), "at once"),
        (with(6, &[0]), "0 leads"),
        (with(6, &[200]), "200 leads"),
        (with(7, &[9]), "sample type 9"),
        (with(16, &[0xff; 8]), "no room"),
        (with(32, &[0; 4]), "not a sampling rate"),
        (with(32, &[1, 0, 0, 0]), "outside"),
        (with(38, &[0xff, 0xff]), "the head announces"),
        (with(40, &[0; 4]), "nV per LSB must be above 0"),
        (with(44, &[13]), "lead code 13"),
    ] {
        let fault = decode(&payload).expect_err(words).to_string();
        assert!(fault.contains(words), "{fault:?} does not say {words:?}");
    }
    let mut flipped = golden();
    flipped[50] ^= 1;
    assert!(matches!(decode(&flipped), Err(DecodeError::Checksum { .. })));
}

#[test]
fn the_kit_is_content() {
    decoder_survives(&mut PackedDecoder, TOPIC, &golden());
    decoder_refuses_huge(&mut PackedDecoder, TOPIC);
}

#[test]
fn what_has_no_binary_form_is_said() {
    let frame = |lead: &str, mv: f32| {
        Frame::new(FrameParts {
            bed: BedId::new("s/u/b").expect("valid"),
            epoch: 1,
            seq: 0,
            n0: 0,
            rate: Ratio::hz(250).expect("valid"),
            t0: None,
            flags: Flags::default(),
            mode: Mode::Real,
            leads: vec![LeadId::new(lead).expect("valid")],
            samples_mv: vec![mv],
        })
        .expect("valid")
    };
    assert!(matches!(encode(&frame("PLETH", 0.0), Sample::I16, 1_000), Err(EncodeError::Lead(_))));
    assert!(matches!(encode(&frame("II", 40.0), Sample::I16, 1_000), Err(EncodeError::Range { .. })));
    assert!(encode(&frame("II", 40.0), Sample::I32, 1_000).is_ok());
    let carried = |name: &str| carried_lead(&LeadId::new(name).expect("valid"), 3).to_string();
    assert_eq!([carried("MLII"), carried("PLETH")], ["II", "S67"]);
}

prop_compose! {
    fn any_frame()(
        leads in 1_usize..4,
        samples in prop::collection::vec(prop::option::weighted(0.9, -30.0_f32..30.0), 12),
        epoch: u32, seq: u32, n0 in 0_u64..1 << 40,
        t0 in prop::option::of(0_i64..4_000_000_000_000),
        rate in 50_u32..=2_000, bits in 0_u8..32, mode in 0..3,
    ) -> Frame {
        let names = ["II", "V6", "S127"];
        Frame::new(FrameParts {
            bed: BedId::new("site1/icu/b07").expect("valid"),
            epoch, seq, n0,
            rate: Ratio::new(rate * 2, 2).expect("in range"),
            t0: t0.map(UtcMs),
            flags: Flags {
                first: bits & 1 > 0, gap_before: bits & 2 > 0, lead_off: bits & 4 > 0,
                clock_unsynchronised: bits & 8 > 0, paced: bits & 16 > 0,
            },
            mode: [Mode::Real, Mode::Test, Mode::Demo][mode as usize],
            leads: names[..leads].iter().map(|n| LeadId::new(n).expect("valid")).collect(),
            samples_mv: samples.into_iter().map(|s| s.unwrap_or(f32::NAN)).collect(),
        }).expect("a valid frame")
    }
}

proptest! {
    #[test]
    fn a_frame_survives_the_wire(frame in any_frame()) {
        for (sample, nv, tolerance) in [(Sample::F32, 1_000_000, 0.0), (Sample::I16, 1_000, 6e-4), (Sample::I32, 10, 1e-5)] {
            let payload = encode(&frame, sample, nv).expect("fits");
            let heard = decode(&payload).expect("own frame");
            let [Heard::Frame(back)] = heard.as_slice() else { panic!("not one frame") };
            for (a, b) in back.parts().samples_mv.iter().zip(&frame.parts().samples_mv) {
                prop_assert!(a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance, "{} {}", a, b);
            }
            let rest = |f: &Frame| { let mut p = f.parts().clone(); p.samples_mv.clear(); p };
            prop_assert_eq!(rest(back), rest(&frame));
        }
    }

    #[test]
    fn no_bytes_panic_the_decoder(tail in prop::collection::vec(any::<u8>(), 0..200), keep in 0_usize..60) {
        let mut payload = golden();
        payload.truncate(keep);
        payload.extend(tail);
        let _ = decode(&payload);
    }

    #[test]
    fn no_head_panics_the_decoder(head in prop::collection::vec(any::<u8>(), 39), samples in 0_usize..64) {
        // Right magic, version and length, so that the checks behind them are reached; no checksum.
        let mut payload = b"WBF1\x01".to_vec();
        payload.extend(head);
        payload[5] &= !32;
        payload[6] %= 5;
        payload[7] %= 4;
        payload[38..40].copy_from_slice(&(samples as u16).to_le_bytes());
        let leads = usize::from(payload[6]);
        let each = if payload[7] == 1 { 2 } else { 4 };
        payload.resize(44 + leads.next_multiple_of(4) + leads * samples * each, 2);
        let _ = decode(&payload);
    }
}
