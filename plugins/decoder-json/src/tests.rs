use super::*;
use contract::conformance::{
    decoder_keeps_units, decoder_refuses_huge, decoder_refuses_other_bed, decoder_survives,
};
use contract::{Birth, Flags, Frame, FrameParts, LeadId, Mode, Ratio};
use proptest::prelude::*;

const TOPIC: &str = "wardbeat/v1/site1/icu/b07/wave/json";
const META: &str = "wardbeat/v1/site1/icu/b07/meta";
const GOLDEN: &str = r#"{"v":1,"bed":"site1/icu/b07","epoch":"5eed0001","seq":7,"n0":1750,"t0":"2026-11-22T22:15:12.250Z",
 "rate_hz":250,"unit":"uV","lsb":1,"leads":{"II":[-12,0,150,null]}}"#;

fn decode(topic: &str, payload: &str) -> Result<Vec<Heard>, DecodeError> {
    JsonDecoder::default().decode(topic, payload.as_bytes(), UtcMs(0))
}

#[test]
fn the_golden_frame_reads_as_documented() {
    let expected: &[f32] = &[-0.012, 0.0, 0.15, f32::NAN];
    let frame = decoder_keeps_units(&mut JsonDecoder::default(), TOPIC, GOLDEN.as_bytes(), &[expected]);
    let p = frame.parts();
    assert_eq!((p.epoch, p.seq, p.n0, p.rate.parts()), (0x5eed_0001, 7, 1_750, (250, 1)));
    assert_eq!(p.t0, Some(UtcMs(1_795_385_712_250)));
    assert_eq!((p.mode, p.flags, p.leads[0].as_str()), (Mode::Real, Flags::default(), "II"));
}

#[test]
fn each_unit_and_spelling_gives_the_same_millivolts() {
    let change = |from: &str, to: &str| GOLDEN.replace(from, to);
    for payload in [
        change("\"lsb\":1,", ""),
        change("\"uV\",\"lsb\":1", "\"mV\",\"lsb\":0.001"),
        change("\"uV\",\"lsb\":1", "\"count\",\"counts_per_mv\":1000"),
        change("[-12,0,150,null]", "[-12.0,0,1.5e2,null]"),
        change("\"rate_hz\":250", "\"rate_hz\":\"250/1\""),
        change("\"2026-11-22T22:15:12.250Z\"", "1795385712250"),
        change("\"5eed0001\"", "1592590337"),
        change("\"v\":1", "\"from_the_future\":{\"a\":[1,2]},\"v\":1"),
    ] {
        let expected: &[f32] = &[-0.012, 0.0, 0.15, f32::NAN];
        let frame = decoder_keeps_units(&mut JsonDecoder::default(), TOPIC, payload.as_bytes(), &[expected]);
        assert_eq!(frame.parts().epoch, 0x5eed_0001, "{payload}");
        assert_eq!(frame.parts().t0, Some(UtcMs(1_795_385_712_250)), "{payload}");
    }
}

#[test]
fn a_bad_frame_is_refused_in_words() {
    for (from, to, words) in [
        ("-12", "NaN", "expected"),
        ("-12", "Infinity", "expected"),
        ("-12", "1e999", "out of range"),
        ("-12", "1e38", "outside"),
        ("-12", "\"12\"", "invalid type: string"),
        ("-12", "[1]", "invalid type: sequence"),
        ("[-12,0,150,null]", "[]", "0 samples"),
        ("[-12,0,150,null]", "[1,2],\"V1\":[1]", "lead V1 has 1 samples, lead II has 2"),
        ("[-12,0,150,null]", "[1],\"II\":[1]", "lead II appears twice"),
        ("{\"II\":[-12,0,150,null]}", "{}", "0 leads"),
        ("{\"II\":[-12,0,150,null]}", "[1]", "an object of leads"),
        ("\"rate_hz\":250", "\"rate_hz\":-250", "not a sampling rate"),
        ("\"rate_hz\":250", "\"rate_hz\":10", "outside"),
        ("\"rate_hz\":250,", "", "missing field `rate_hz`"),
        ("\"lsb\":1", "\"lsb\":0", "lsb 0 must be a number above 0"),
        ("\"uV\"", "\"count\"", "needs counts_per_mv"),
        ("\"uV\"", "\"V\"", "unknown variant"),
        ("5eed0001", "xyz", "hex digits"),
        ("\"n0\":1750", "\"n0\":-1", "invalid value"),
        ("\"n0\":1750", "\"n0\":18446744073709551615", "no room"),
        ("2026-11-22T22:15:12.250Z", "yesterday", "not an RFC 3339 time"),
        ("\"v\":1", "\"v\":2", "version 2"),
        ("]}}", "", "EOF"),
    ] {
        let payload = GOLDEN.replacen(from, to, 1);
        assert_ne!(payload, GOLDEN, "{from} is not in the golden frame");
        let fault = decode(TOPIC, &payload).expect_err(&payload).to_string();
        assert!(fault.contains(words), "{to}: {fault:?} does not say {words:?}");
    }
}

#[test]
fn a_version_that_changed_its_shape_is_named_as_such() {
    let fault = decode(TOPIC, r#"{"v":2,"samples":"base64"}"#);
    assert_eq!(fault, Err(DecodeError::Version(2)));
}

#[test]
fn birth_link_and_numeric_are_heard() {
    let birth = Birth {
        bed: BedId::new("site1/icu/b07").expect("valid"),
        epoch: Some(7),
        leads: vec![LeadId::new("II").expect("valid")],
        rate: Some(Ratio::new(125, 2).expect("valid")),
        patient: Some("tok-1".into()),
        monitor: None,
        clock: Some("ntp".into()),
        paced: true,
        mode: Mode::Demo,
    };
    let payload = encode_birth(&birth, Announcement::default());
    let heard = JsonDecoder::default().decode(META, &payload, UtcMs(0));
    assert_eq!(heard, Ok(vec![Heard::Birth(birth)]));
    let link = |p: &str| decode("wardbeat/v1/site1/icu/b07/link", p);
    assert!(matches!(link("offline").as_deref(), Ok([Heard::Link(Link { online: false, .. })])));
    assert!(link("maybe").is_err());
    let numeric = |p: &str| decode("wardbeat/v1/site1/icu/b07/numeric", p);
    let heard = numeric(r#"{"v":1,"heart_rate_per_min":72}"#);
    assert!(
        matches!(heard.as_deref(), Ok([Heard::Numeric(n)]) if n.heart_rate_per_min == Some(72.0)),
        "{heard:?}"
    );
    assert!(numeric(r#"{"v":1,"heart_rate_per_min":-3}"#).is_err());
}

#[test]
fn a_gateways_last_will_takes_its_beds_offline() {
    let mut decoder = JsonDecoder::default();
    for (bed, gateway) in [("b01", "g1"), ("b02", "g1"), ("b03", "g2"), ("b02", "g2")] {
        let payload = format!(r#"{{"v":1,"gateway":"{gateway}"}}"#);
        let topic = format!("wardbeat/v1/site1/icu/{bed}/meta");
        decoder.decode(&topic, payload.as_bytes(), UtcMs(0)).expect("a birth");
    }
    let heard = decoder.decode("wardbeat/v1/site1/_gw/g2/link", b"offline", UtcMs(0)).expect("a link");
    let beds: Vec<_> = heard
        .iter()
        .map(|h| match h {
            Heard::Link(Link { bed, online: false }) => bed.place(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(beds, ["b02", "b03"]);
    assert_eq!(decoder.decode("wardbeat/v1/site1/_gw/g2/link", b"online", UtcMs(0)), Ok(vec![]));
}

#[test]
fn the_kit_is_content() {
    let mut decoder = JsonDecoder::default();
    decoder_survives(&mut decoder, TOPIC, GOLDEN.as_bytes());
    decoder_survives(&mut decoder, META, br#"{"v":1,"gateway":"g","leads":["II"],"rate_hz":"125/2"}"#);
    decoder_refuses_other_bed(&mut decoder, "wardbeat/v1/site1/icu/b08/wave/json", GOLDEN.as_bytes());
    decoder_refuses_huge(&mut decoder, TOPIC);
}

prop_compose! {
    fn any_frame()(
        leads in 1_usize..4,
        samples in prop::collection::vec(prop::option::weighted(0.9, -900.0_f32..900.0), 12),
        epoch: u32, seq: u32, n0 in 0_u64..1 << 40,
        t0 in prop::option::of(0_i64..4_000_000_000_000),
        rate in 50_u32..=2_000, bits in 0_u8..32, mode in 0..3,
    ) -> Frame {
        let names = LeadId::STANDARD;
        Frame::new(FrameParts {
            bed: BedId::new("site1/icu/b07").expect("valid"),
            epoch, seq, n0,
            rate: Ratio::hz(rate).expect("in range"),
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
    fn a_frame_survives_the_wire_bit_for_bit(frame in any_frame()) {
        let payload = encode(&frame, Unit::Millivolt);
        let heard = JsonDecoder::default().decode(TOPIC, &payload, UtcMs(0)).expect("own frame");
        let [Heard::Frame(back)] = heard.as_slice() else { panic!("not one frame") };
        let bits = |f: &Frame| f.parts().samples_mv.iter().map(|v| if v.is_nan() { 0 } else { v.to_bits() }).collect::<Vec<_>>();
        prop_assert_eq!(bits(back), bits(&frame));
        let rest = |f: &Frame| { let mut p = f.parts().clone(); p.samples_mv.clear(); p };
        prop_assert_eq!(rest(back), rest(&frame));
    }

    #[test]
    fn microvolts_are_kept_to_half_a_microvolt(frame in any_frame()) {
        let payload = encode(&frame, Unit::Microvolt);
        let heard = JsonDecoder::default().decode(TOPIC, &payload, UtcMs(0)).expect("own frame");
        let [Heard::Frame(back)] = heard.as_slice() else { panic!("not one frame") };
        for (a, b) in back.parts().samples_mv.iter().zip(&frame.parts().samples_mv) {
            prop_assert!(a.is_nan() && b.is_nan() || (a - b).abs() <= 6e-4, "{} {}", a, b);
        }
    }

    #[test]
    fn no_bytes_panic_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..400), leaf in "(wave/json|meta|link|numeric|x)") {
        let _ = JsonDecoder::default().decode(&format!("wardbeat/v1/site1/icu/b07/{leaf}"), &bytes, UtcMs(0));
    }

    #[test]
    fn no_topic_panics_the_decoder(topic in "(wardbeat/v1/)?[a-z_/ ]{0,30}", text in "[\\[\\]{}\":,0-9a-zI.-]{0,80}") {
        let _ = JsonDecoder::default().decode(&topic, text.as_bytes(), UtcMs(0));
    }
}
