//! The kit that judges plugins: a decoder survives any bytes and keeps units; a sink honours its budget, takes what an
//! alert may hold, drops no repeat, tells retry from refusal and marks what is not real.
//!
//! The checks of a decoder panic, for tests. Those of a sink answer in words: [`SINK_CHECKS`] runs against a live
//! destination too, where a panic is no answer.

use crate::limits::PAYLOAD_BYTES_MAX;
use crate::{
    Alert, AlertId, Code, DecodeError, Decoder, Frame, Heard, Level, Mode, Phase, Priority, Sink, SinkError,
    UtcMs, Why,
};
use std::time::{Duration, Instant};

/// What no text for the bedside may say: a diagnosis, a rhythm's name, a reassurance, or that this is an alarm.
const NEVER_SAID: [&str; 21] = [
    "normal",
    "safe",
    "no alert",
    "deteriorat",
    "fibrillation",
    "flutter",
    "tachy",
    "brady",
    "asystole",
    "rhythm",
    "sinus",
    "ectop",
    "arrest",
    "infarct",
    "ischaem",
    "ischem",
    "critical",
    "stable",
    "alarm",
    "diagnos",
    "arrhythm",
];

/// The first forbidden word in a text for the bedside, in any case of letters.
#[must_use]
pub fn never_said(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    NEVER_SAID.into_iter().find(|word| text.contains(word))
}

/// Seeded bytes for [`decoder_survives`]: xorshift, so that a failure names its seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        })
        .collect()
}

/// Feeds a decoder with noise, with `good` cut at every length and with `good` with each byte changed. The decoder
/// may refuse; it must not panic, and it must still decode `good` afterwards.
///
/// # Panics
/// If the decoder refuses `good` or panics itself.
pub fn decoder_survives(decoder: &mut dyn Decoder, topic: &str, good: &[u8]) {
    let at = UtcMs(0);
    for seed in 0..200 {
        let _ = decoder.decode(topic, &noise(seed, seed as usize * 3), at);
    }
    for cut in 0..good.len() {
        let _ = decoder.decode(topic, &good[..cut], at);
    }
    for (i, flip) in (0..good.len()).flat_map(|i| [0x01, 0x80, 0xff].map(|f| (i, f))) {
        let mut bytes = good.to_vec();
        bytes[i] ^= flip;
        let _ = decoder.decode(topic, &bytes, at);
    }
    let heard = decoder.decode(topic, good, at);
    assert!(heard.is_ok_and(|h| !h.is_empty()), "the good payload is refused after bad ones");
}

/// The one frame that `payload` holds must carry `expected_mv`, lead after lead, within a millionth of a millivolt;
/// NaN stands for a missing sample. Returns the frame for what else the caller wants to check.
///
/// # Panics
/// If the decoder refuses the payload, hears anything but one frame, or a value differs.
pub fn decoder_keeps_units(
    decoder: &mut dyn Decoder,
    topic: &str,
    payload: &[u8],
    expected_mv: &[&[f32]],
) -> Frame {
    let heard = decoder.decode(topic, payload, UtcMs(0)).expect("the payload is well formed");
    let [Heard::Frame(frame)] = heard.as_slice() else { panic!("not one frame: {heard:?}") };
    assert_eq!(frame.parts().leads.len(), expected_mv.len(), "number of leads");
    for (i, expected) in expected_mv.iter().enumerate() {
        let found = frame.lead_mv(i);
        let same = |(a, b): (&f32, &f32)| (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6;
        assert!(
            found.len() == expected.len() && found.iter().zip(*expected).all(same),
            "lead {}: {found:?} mV instead of {expected:?} mV",
            frame.parts().leads[i]
        );
    }
    frame.clone()
}

/// A payload that names its bed must be refused on the topic of another.
///
/// # Panics
/// If it is accepted, or refused for another reason.
pub fn decoder_refuses_other_bed(decoder: &mut dyn Decoder, other_topic: &str, payload: &[u8]) {
    let heard = decoder.decode(other_topic, payload, UtcMs(0));
    assert!(matches!(heard, Err(DecodeError::OtherBed { .. })), "another bed's payload: {heard:?}");
}

/// A payload over [`PAYLOAD_BYTES_MAX`] must be refused by its size alone.
///
/// # Panics
/// If it is accepted, or refused for another reason.
pub fn decoder_refuses_huge(decoder: &mut dyn Decoder, topic: &str) {
    let huge = vec![b' '; PAYLOAD_BYTES_MAX + 1];
    let heard = decoder.decode(topic, &huge, UtcMs(0));
    assert_eq!(heard, Err(DecodeError::TooLarge(huge.len())), "a payload over the limit");
}

/// How late after its budget a sink may return: what a busy machine needs to wake it.
const LATE_MAX: Duration = Duration::from_secs(1);

/// What a check of a sink says: nothing, or what the sink did wrong.
pub type Judged = Result<(), String>;

/// One check of a sink, run with a budget for each call.
pub type SinkCheck = fn(&mut dyn Sink, Duration) -> Judged;

/// The checks that every sink must pass against a destination that is there and takes alerts, by what each protects.
/// All alerts are marked as tests.
pub const SINK_CHECKS: &[(&str, SinkCheck)] = &[
    ("it can be probed without an alert", sink_probes),
    ("an alert's start, update and end are taken in order", sink_takes_a_life),
    ("a repeat under the same key is taken again", sink_takes_repeats),
    ("any text is taken: delimiters, quotes, line ends, other scripts", sink_takes_any_text),
    ("every code, with and without a bed, is taken", sink_takes_every_code),
    ("every call returns within its budget", sink_honours_budget),
];

/// An alert as Wardbeat writes it, for tests of sinks: bed `site1/icu/b07`, one id a code.
#[must_use]
pub fn alert(code: Code, phase: Phase, mode: Mode) -> Alert {
    let (rev, word) = match phase {
        Phase::Start => (0, "start"),
        Phase::Update => (1, "update"),
        Phase::End => (2, "end"),
    };
    Alert {
        v: 1,
        kind: format!("alert.{word}"),
        id: AlertId(format!("2500be5134ba93ff8ae3d893580d3c{:02x}", 0x33 + code as u8)),
        rev,
        code,
        class: code.class(),
        level: Level::Advisory,
        phase,
        mode,
        priority: Priority::Low,
        bed: if code == Code::Node { "site1/_node/node-a" } else { "site1/icu/b07" }.into(),
        epoch: "5eed0001".into(),
        onset_n: 123_750,
        onset: UtcMs(1_795_386_200_250),
        decided: UtcMs(1_795_386_208_250),
        text: "ECG analysis uncertain: 8 s of last 30 s, lead II. Look at the strip.".into(),
        why: Why { entropy: Some(0.81), band: Some([0.22, 0.47]), k_of_n: Some([3, 4]), ..Why::default() },
        limits: Alert::LIMITS.into(),
        model: "m-3f9a1c".into(),
        config: "c-77d0e2".into(),
        evidence: String::new(),
    }
}

/// One call, in words if it fails or is late.
fn timed<T>(
    what: &str,
    budget: Duration,
    call: impl FnOnce(Duration) -> Result<T, SinkError>,
) -> Result<T, String> {
    let began = Instant::now();
    let answer = call(budget);
    let took = began.elapsed();
    if took > budget + LATE_MAX {
        return Err(format!("{what} took {} ms of {} ms", took.as_millis(), budget.as_millis()));
    }
    answer.map_err(|e| format!("{what}: {e}"))
}

fn taken(sink: &mut dyn Sink, alert: &Alert, budget: Duration) -> Judged {
    let what = format!("{} {} rev {}", alert.code, alert.kind, alert.rev);
    timed(&what, budget, |b| sink.deliver(alert, b)).map(drop)
}

/// A probe says that the destination is there.
///
/// # Errors
/// What went wrong.
pub fn sink_probes(sink: &mut dyn Sink, budget: Duration) -> Judged {
    timed("probe", budget, |b| sink.probe(b))
}

/// Start, update and end of one alert are taken, with ticks between them.
///
/// # Errors
/// What went wrong.
pub fn sink_takes_a_life(sink: &mut dyn Sink, budget: Duration) -> Judged {
    for phase in [Phase::Start, Phase::Update, Phase::End] {
        taken(sink, &alert(Code::Uncertain, phase, Mode::Test), budget)?;
        timed("tick", budget, |b| sink.tick(b))?;
    }
    Ok(())
}

/// The same key is taken three times: after a crash Wardbeat sends again, and dropping repeats is the receiver's part.
///
/// # Errors
/// What went wrong.
pub fn sink_takes_repeats(sink: &mut dyn Sink, budget: Duration) -> Judged {
    let alert = alert(Code::Changed, Phase::Start, Mode::Test);
    (0..3).try_for_each(|_| taken(sink, &alert, budget))
}

/// Texts that have broken receivers before are taken like any other.
///
/// # Errors
/// What went wrong.
pub fn sink_takes_any_text(sink: &mut dyn Sink, budget: Duration) -> Judged {
    let texts = [
        "",
        "a|b^c~d\\e&f",
        "\"quoted\", 'single', `back`, $(echo 1), %s, ;, --",
        "line\nend\r\nand\ttab",
        "Überprüfung, 心電図, \u{1f493}",
        "\u{1}\u{2}\u{3}\u{b}\u{1c}\u{7f}",
    ];
    for (rev, text) in texts.iter().enumerate() {
        let told =
            Alert { text: (*text).into(), rev: rev as u32, ..alert(Code::New, Phase::Update, Mode::Test) };
        taken(sink, &told, budget).map_err(|e| format!("text {text:?}: {e}"))?;
    }
    Ok(())
}

/// All seven codes are taken; [`Code::Node`] has no bed.
///
/// # Errors
/// What went wrong.
pub fn sink_takes_every_code(sink: &mut dyn Sink, budget: Duration) -> Judged {
    Code::ALL.iter().try_for_each(|&code| taken(sink, &alert(code, Phase::Start, Mode::Test), budget))
}

/// Every call returns within `budget`, whatever it answers: run it against destinations that are slow or silent.
///
/// # Errors
/// Which call was late.
pub fn sink_honours_budget(sink: &mut dyn Sink, budget: Duration) -> Judged {
    let alert = alert(Code::Signal, Phase::Start, Mode::Test);
    let on_time = |what: &str, call: &mut dyn FnMut(Duration)| {
        timed(what, budget, |b| {
            call(b);
            Ok(())
        })
    };
    on_time("probe", &mut |b| drop(sink.probe(b)))?;
    on_time("deliver", &mut |b| drop(sink.deliver(&alert, b)))?;
    on_time("tick", &mut |b| drop(sink.tick(b)))
}

/// Against a destination that is away for now, delivery says retry.
///
/// # Errors
/// If it says anything else.
pub fn sink_retries(sink: &mut dyn Sink, budget: Duration) -> Judged {
    match sink.deliver(&alert(Code::Signal, Phase::Start, Mode::Test), budget) {
        Err(SinkError::Retry(why)) if !why.is_empty() => Ok(()),
        other => Err(format!("retry with a reason expected, not {other:?}")),
    }
}

/// Against a destination that will never take it, delivery says refused.
///
/// # Errors
/// If it says anything else.
pub fn sink_refuses(sink: &mut dyn Sink, budget: Duration) -> Judged {
    match sink.deliver(&alert(Code::Signal, Phase::Start, Mode::Test), budget) {
        Err(SinkError::Refused(why)) if !why.is_empty() => Ok(()),
        other => Err(format!("refused with a reason expected, not {other:?}")),
    }
}

/// A test and a demo alert must not look like a real one where they arrive. `arrived` gives what the destination got
/// since it was asked last.
///
/// # Errors
/// Which mode is not marked.
pub fn sink_marks_mode(sink: &mut dyn Sink, budget: Duration, arrived: &mut dyn FnMut() -> String) -> Judged {
    for (mode, word) in [(Mode::Test, "test"), (Mode::Demo, "demo")] {
        taken(sink, &alert(Code::Signal, Phase::Start, mode), budget)?;
        let got = arrived();
        if !got.to_lowercase().contains(word) {
            return Err(format!("an alert of mode {word} arrives unmarked: {got:?}"));
        }
    }
    Ok(())
}
