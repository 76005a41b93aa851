use super::*;
use contract::conformance::{decoder_keeps_units, decoder_refuses_huge, decoder_survives};
use proptest::prelude::*;
use serde_json::json;

fn build(options: &Value) -> Box<dyn Decoder> {
    (ENTRY.build)(options.as_object().expect("an object")).expect("valid options")
}

/// One float per message, the bed in the topic, no time: the commonest hobby gateway.
fn single() -> Box<dyn Decoder> {
    build(&json!({"bed_level": 1, "bed_prefix": "home/lab", "rate_hz": 100, "leads": {"II": "/ecg"}}))
}

/// A list of floats per lead, bed and time in the payload.
fn lists() -> Box<dyn Decoder> {
    build(&json!({"bed": "/dev/bed", "rate_hz": "/fs", "time": "/ts", "time_unit": "s", "unit": "uV",
                  "leads": {"I": "/ch/0", "II": "/ch/1"}}))
}

fn listed(ts: f64, value: f64) -> Vec<u8> {
    let channel = vec![value; 250];
    json!({"dev": {"bed": "s/u/b"}, "fs": 250, "ts": ts, "ch": [channel, channel]}).to_string().into_bytes()
}

fn frame(decoder: &mut dyn Decoder, payload: &[u8], arrived: i64) -> Frame {
    let heard = decoder.decode("hobby/b1/ecg", payload, UtcMs(arrived)).expect("well formed");
    let [Heard::Frame(frame)] = heard.as_slice() else { panic!("not one frame: {heard:?}") };
    frame.clone()
}

#[test]
fn one_float_per_message_is_counted_through_jitter_and_placed_after_a_gap() {
    let mut decoder = single();
    let mut jitter = [0, 3, -4, 40, 12, -9].into_iter().cycle();
    for i in 0..50 {
        let arrived = 1_000_000 + i * 10 + jitter.next().expect("endless");
        let frame = frame(decoder.as_mut(), b"{\"ecg\":0.25}", arrived);
        assert_eq!((frame.parts().n0, frame.parts().seq), (i as u64, i as u32));
        assert_eq!((frame.lead_mv(0), frame.bed().as_str()), (&[0.25_f32][..], "home/lab/b1"));
        assert!(frame.parts().flags.clock_unsynchronised, "the time is that of arrival");
    }
    let late = frame(decoder.as_mut(), b"{\"ecg\":null}", 1_000_000 + 5_000);
    assert!(late.lead_mv(0)[0].is_nan());
    assert!((498..=502).contains(&late.parts().n0), "5 s at 100 Hz: {}", late.parts().n0);
}

#[test]
fn lists_of_floats_follow_their_time_stamps() {
    let expected = [0.125_f32; 250];
    let mut decoder = lists();
    let first = decoder_keeps_units(decoder.as_mut(), "x", &listed(1_000.0, 125.0), &[&expected, &expected]);
    let p = first.parts();
    assert_eq!((p.n0, p.rate.parts(), p.t0), (0, (250, 1), Some(UtcMs(1_000_000))));
    assert!(p.flags.first && !p.flags.clock_unsynchronised);
    let second = frame(decoder.as_mut(), &listed(1_001.02, 1.0), 0);
    assert_eq!((second.parts().n0, second.parts().epoch), (250, p.epoch));
    let gap = frame(decoder.as_mut(), &listed(1_010.0, 1.0), 0);
    assert_eq!((gap.parts().n0, gap.parts().epoch), (2_500, p.epoch));
    let back = frame(decoder.as_mut(), &listed(900.0, 1.0), 0);
    assert_eq!((back.parts().n0, back.parts().flags.first), (0, true));
    assert_ne!(back.parts().epoch, p.epoch, "time ran backwards: a new epoch");
}

#[test]
fn an_index_of_the_gateway_is_kept() {
    let mut decoder =
        build(&json!({"bed": "/b", "rate_hz": "125/2", "n0": "/n", "seq": "/s", "leads": {"V1": "/v"}}));
    let message =
        |n: u64, s: u64| json!({"b": "s/u/b", "n": n, "s": s, "v": [1, 2]}).to_string().into_bytes();
    let one = frame(decoder.as_mut(), &message(7_000, 9), 0);
    assert_eq!((one.parts().n0, one.parts().seq), (7_000, 9));
    let restarted = frame(decoder.as_mut(), &message(0, 0), 10);
    assert_ne!(restarted.parts().epoch, one.parts().epoch, "the counter restarted");
}

#[test]
fn a_bad_message_is_refused_in_words() {
    let mut decoder = lists();
    for (payload, words) in [
        (json!({"fs": 250, "ts": 1, "ch": [[1], [1]]}), "nothing at /dev/bed"),
        (json!({"dev": {"bed": 7}, "fs": 250, "ts": 1, "ch": [[1], [1]]}), "the bed must be a text"),
        (json!({"dev": {"bed": "x"}, "fs": 250, "ts": 1, "ch": [[1], [1]]}), "site/unit/bed"),
        (json!({"dev": {"bed": "s/u/b"}, "fs": -1, "ts": 1, "ch": [[1], [1]]}), "/fs"),
        (json!({"dev": {"bed": "s/u/b"}, "fs": 250, "ts": "now", "ch": [[1], [1]]}), "a time as a number"),
        (json!({"dev": {"bed": "s/u/b"}, "fs": 250, "ts": 1, "ch": [[1, 2], [1]]}), "1 samples"),
        (json!({"dev": {"bed": "s/u/b"}, "fs": 250, "ts": 1, "ch": ["high"]}), "a number, a list"),
        (json!({"dev": {"bed": "s/u/b"}, "fs": 250, "ts": 1}), "no lead at /ch/0, /ch/1"),
        (json!({"dev": {"bed": "s/u/b"}, "fs": 250, "ts": 1, "ch": [[], []]}), "0 samples"),
    ] {
        let heard = decoder.decode("x", payload.to_string().as_bytes(), UtcMs(0));
        let fault = heard.expect_err(words).to_string();
        assert!(fault.contains(words), "{fault:?} does not say {words:?}");
    }
}

#[test]
fn a_table_that_cannot_work_is_refused_by_its_key() {
    for (options, key) in [
        (json!({"rate_hz": 250, "leads": {"II": "/v"}}), "bed"),
        (json!({"bed": "/b", "bed_level": 1, "rate_hz": 250, "leads": {"II": "/v"}}), "bed_level"),
        (json!({"bed": "b", "rate_hz": 250, "leads": {"II": "/v"}}), "bed"),
        (json!({"bed": "/b", "leads": {"II": "/v"}}), "rate_hz"),
        (json!({"bed": "/b", "rate_hz": 1, "leads": {"II": "/v"}}), "rate_hz"),
        (json!({"bed": "/b", "rate_hz": 250, "leads": {}}), "leads"),
        (json!({"bed": "/b", "rate_hz": 250, "leads": {"II": 7}}), "leads.II"),
        (json!({"bed": "/b", "rate_hz": 250, "leads": {"II": "ecg"}}), "leads.II"),
        (json!({"bed": "/b", "rate_hz": 250, "unit": "V", "leads": {"II": "/v"}}), "unit"),
        (
            json!({"bed": "/b", "rate_hz": 250, "time": "/t", "time_unit": "h", "leads": {"II": "/v"}}),
            "time_unit",
        ),
        (json!({"bed": "/b", "rate_hz": 250, "leads": {"II": "/v"}, "lead": 1}), "lead"),
    ] {
        let fault = (ENTRY.build)(options.as_object().expect("an object")).err().expect("refused");
        assert_eq!(fault.key, key, "{fault}");
    }
}

#[test]
fn the_kit_is_content() {
    decoder_survives(single().as_mut(), "hobby/b1/ecg", b"{\"ecg\":0.25}");
    let small = br#"{"dev":{"bed":"s/u/b"},"fs":250,"ts":1000,"ch":[[1,2],[3,null]]}"#;
    decoder_survives(lists().as_mut(), "x", small);
    decoder_refuses_huge(single().as_mut(), "hobby/b1/ecg");
}

proptest! {
    #[test]
    fn no_bytes_panic_the_decoder(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        ts in any::<f64>(), fs in any::<i64>(), value in any::<f64>(), arrived in any::<i64>(),
    ) {
        let mut decoder = lists();
        let _ = decoder.decode("x", &bytes, UtcMs(arrived));
        let message = json!({"dev": {"bed": "s/u/b"}, "fs": fs, "ts": ts, "ch": [[value], [value]]}).to_string();
        let _ = decoder.decode("x", message.as_bytes(), UtcMs(arrived));
        let _ = decoder.decode("x", &listed(ts.abs().min(1e9), 1.0), UtcMs(arrived));
        let _ = single().decode("a/b/c", b"{\"ecg\":1}", UtcMs(arrived));
    }
}
