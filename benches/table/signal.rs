//! Decoders, and the stages of the pipeline around the network.

use crate::Options;
use crate::measure::{Calls, on_one_core, timed};
use crate::network::{WINDOW, prepared, window};
use crate::summary::Summary;
use anyhow::Result;
use contract::{
    BedId, Decoder, Entry, Flags, Frame, FrameParts, Heard, LeadId, Mode, MonoMs, Ratio, UtcMs, topic,
};
use patient::{Lead, Patient, Profile};
use std::hint::black_box;
use std::sync::Arc;
use wardbeat::model::{Bundle, Steps, Work, open_engine};
use wardbeat::pipeline::{Analyser, Due, Now, Recording, Setup, Ward};

const LEADS: [Lead; 3] = [Lead::II, Lead::V1, Lead::V5];
const BEDS: usize = 64;
/// Seconds before a bed's filters and network give a step for each 40 ms.
const WARM_S: usize = 8;
const SECONDS: usize = 20;

fn rate() -> Ratio {
    Ratio::hz(250).expect("a rate within the limits")
}

fn bed(i: usize) -> BedId {
    BedId::new(&format!("site1/icu/b{i:04}")).expect("three clean levels")
}

fn recording(i: usize) -> Recording {
    let samples_mv = Patient::new(i as u64, Profile::default()).samples(250.0, 0, SECONDS * 250, &LEADS);
    let leads = LEADS.iter().map(|l| LeadId::new(l.name()).expect("a short name")).collect();
    Recording { bed: bed(i), leads, rate: rate(), samples_mv }
}

/// Second `s` of a recording.
fn frame(recording: &Recording, s: usize) -> Frame {
    let Recording { bed, leads, rate, samples_mv } = recording.clone();
    let samples_mv = samples_mv.iter().flat_map(|row| row[s * 250..(s + 1) * 250].to_vec()).collect();
    let (flags, mode, n0) = (Flags::default(), Mode::Demo, s as u64 * 250);
    let t0 = Some(UtcMs(1_700_000_000_000 + 1_000 * s as i64));
    Frame::new(FrameParts { bed, epoch: 1, seq: s as u32, n0, rate, t0, flags, mode, leads, samples_mv })
        .expect("a generated ECG is within the limits")
}

/// A ward that has heard `seconds` of each bed, and its last moment.
pub fn ward(beds: usize, seconds: usize) -> (Ward, Now) {
    let bundle = Arc::new(Bundle::embedded().expect("the bundle in this program"));
    let mut analyser = Analyser::new(bundle.clone(), open_engine(&bundle, "cpu").expect("the CPU"));
    let mut ward = Ward::new(Setup::default(), &bundle);
    let recordings: Vec<Recording> = (0..beds).map(recording).collect();
    let moment = |s: usize| Now {
        mono: MonoMs(1_000 * (s as u64 + 1)),
        utc: UtcMs(1_700_000_000_000 + 1_000 * (s as i64 + 1)),
    };
    for s in 0..seconds {
        for recording in &recordings {
            ward.hear(Heard::Frame(frame(recording, s)), moment(s));
        }
        loop {
            let due = ward.take_due(moment(s));
            ward.conclude(&analyser.analyse(&due), moment(s));
            if due.is_empty() {
                break;
            }
        }
    }
    (ward, moment(seconds - 1))
}

pub fn run(_: &Options, summary: &mut Summary) -> Result<()> {
    on_one_core(|| all(summary))
}

fn all(summary: &mut Summary) -> Result<()> {
    println!("\nSignal, one thread on one core");
    let frames: Vec<Frame> = (0..BEDS).map(|i| frame(&recording(i), 7)).collect();
    let frames = &frames;
    let json =
        |unit| frames.iter().map(move |f| (topic::WAVE_JSON, f.bed().clone(), decoder_json::encode(f, unit)));
    let packed = frames.iter().map(|f| {
        let bytes = decoder_packed::encode(f, decoder_packed::Sample::I16, 1_000).expect("leads with codes");
        (topic::WAVE_BIN, f.bed().clone(), bytes)
    });
    decode(summary, "json_uv", &decoder_json::ENTRY, json(decoder_json::Unit::Microvolt).collect());
    decode(summary, "json_mv", &decoder_json::ENTRY, json(decoder_json::Unit::Millivolt).collect());
    decode(summary, "packed_i16", &decoder_packed::ENTRY, packed.collect());
    stages(summary)
}

fn decode(
    summary: &mut Summary,
    name: &str,
    entry: &Entry<dyn Decoder>,
    payloads: Vec<(&str, BedId, Vec<u8>)>,
) {
    let mut decoder = (entry.build)(&contract::Options::default()).expect("a decoder without options");
    let payloads: Vec<_> =
        payloads.into_iter().map(|(leaf, bed, bytes)| (topic::of(&bed, leaf), bytes)).collect();
    let bytes: usize = payloads.iter().map(|p| p.1.len()).sum();
    let calls = Calls(timed(60, || {
        for (topic, bytes) in &payloads {
            let heard = decoder.decode(topic, bytes, UtcMs(0));
            assert_eq!(black_box(heard).expect("our own frames are read").len(), 1);
        }
    }));
    let us = calls.cpu_ms() * 1e3 / payloads.len() as f64;
    let rate = bytes as f64 / calls.cpu_ms() / 1e3;
    println!("  decode {name:<11} {us:>7.2} µs a frame of {} bytes, {rate:.0} MB/s", bytes / payloads.len());
    summary.number(&format!("decode_us_{name}"), us);
}

/// The whole analysis of a bed and second, and what is left of it when network and clusters are taken away.
fn stages(summary: &mut Summary) -> Result<()> {
    let bundle = Arc::new(Bundle::embedded()?);
    let mut analyser = Analyser::new(bundle.clone(), open_engine(&bundle, "cpu")?);
    let hops: Vec<Vec<Due>> = (0..BEDS).map(|i| recording(i).hops(false)).collect();
    let second = |s: usize| hops.iter().map(|hops| hops[s].clone()).collect::<Vec<_>>();
    for s in 0..WARM_S {
        analyser.analyse(&second(s));
    }
    let seconds: Vec<Vec<Due>> = (WARM_S..SECONDS).map(second).collect();
    let (mut next, mut read) = (seconds.iter(), 0);
    let whole = Calls(timed(seconds.len(), || {
        let findings = analyser.analyse(next.next().expect("one for each call"));
        read += findings.iter().filter(|f| f.reading.is_ok()).count();
    }));
    // A generated patient may move: what is noisy is not read.
    let share = read as f64 / (seconds.len() * BEDS) as f64;
    anyhow::ensure!(share > 0.9, "only {share:.2} of the seconds were read");
    let mut engine = open_engine(&bundle, "cpu")?;
    let (input, taps) = (prepared(2, 1), window(engine.as_mut(), &prepared(3, WINDOW / 100)).taps);
    let mut streams: Vec<_> = (0..BEDS).map(|_| engine.open(0b100_0100_0010)).collect();
    let network = Calls(timed(12 + WARM_S, || {
        let work = |stream| Work { stream, input: &input, finish: false, steps: Steps::default() };
        let mut work: Vec<_> = streams.iter_mut().map(work).collect();
        engine.advance(&mut work).expect("the CPU does not fail");
    }));
    let clusters = Calls(timed(60, || drop(black_box(bundle.codebook.assign(&taps, 0xfff)))));
    let us = |ms: f64, beds: usize| ms * 1e3 / beds as f64;
    let (whole, network) = (us(whole.cpu_ms(), BEDS), us(network.cpu_ms(), BEDS));
    let clusters = us(clusters.cpu_ms(), WINDOW / 100);
    let rest = whole - network - clusters;
    println!(
        "  analysis, {BEDS} beds of 3 leads at 250 Hz: {whole:.0} µs a bed and second = network {network:.0} + clusters {clusters:.0} + \
         judging, resampling, filters, windows {rest:.0}"
    );
    summary.number("analysis_us", whole);
    summary.number("preprocess_us", rest);
    Ok(())
}
