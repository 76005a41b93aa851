//! Live findings equal the offline ones of the same samples, byte for byte, however frames are cut and shuffled.

use contract::{
    BedId, Finding, Flags, Frame, FrameParts, Heard, LeadId, Mode, MonoMs, Ratio, Reading, UtcMs,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recordings::Record;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardbeat::model::{Bundle, open_engine};
use wardbeat::pipeline::{Analyser, Now, Recording, Setup, Ward, analyse_recording};

const SECONDS: u64 = 16;
/// Of each real record its first two minutes, so that every record given fits into a run of all tests.
const RECORD_S: u64 = 120;
/// Ways in which each real record is cut and shuffled.
const WAYS: u64 = 3;

fn bed() -> BedId {
    BedId::new("site/unit/bed").expect("valid")
}

fn analyser(bundle: &Arc<Bundle>) -> Analyser {
    Analyser::new(Arc::clone(bundle), open_engine(bundle, "cpu").expect("the CPU is always there"))
}

/// 16 s of two leads with waves and a little noise; `holes` are missing in both.
fn recording(rate: Ratio, seed: u64, holes: &[(usize, usize)]) -> Recording {
    let mut x = seed | 1;
    let mut noise = move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let length = rate.samples_in(SECONDS) as usize;
    let lead = |gain: f32, noise: &mut dyn FnMut() -> f32| -> Vec<f32> {
        let mut row: Vec<f32> = (0..length)
            .map(|i| {
                let beat = (i as f32 / rate.as_f64() as f32 * 1.2).fract() - 0.3;
                gain * (-beat * beat * 900.0).exp() + 0.02 * noise()
            })
            .collect();
        for &(from, to) in holes {
            row[from.min(length)..to.min(length)].fill(f32::NAN);
        }
        row
    };
    let samples_mv = vec![lead(1.1, &mut noise), lead(-0.7, &mut noise)];
    let leads = ["II", "V1"].map(|l| LeadId::new(l).expect("valid")).to_vec();
    Recording { bed: bed(), leads, rate, samples_mv }
}

fn frames(recording: &Recording, cuts: &[usize]) -> Vec<Frame> {
    let length = recording.samples_mv[0].len();
    let mut frames = Vec::new();
    let (mut from, mut cuts) = (0, cuts.iter().cycle());
    while from < length {
        let to = (from + cuts.next().copied().unwrap_or(length)).min(length);
        frames.push(
            Frame::new(FrameParts {
                bed: bed(),
                epoch: 0,
                seq: frames.len() as u32,
                n0: from as u64,
                rate: recording.rate,
                t0: Some(UtcMs(recording.rate.ms_at(from as u64))),
                flags: Flags::default(),
                mode: Mode::Real,
                leads: recording.leads.clone(),
                samples_mv: recording.samples_mv.iter().flat_map(|row| &row[from..to]).copied().collect(),
            })
            .expect("valid"),
        );
        from = to;
    }
    frames
}

fn live(bundle: &Arc<Bundle>, frames: Vec<Frame>) -> Vec<Finding> {
    let (mut ward, mut analyser) = (Ward::new(Setup::default(), bundle), analyser(bundle));
    let mut findings = Vec::new();
    for (i, frame) in frames.into_iter().enumerate() {
        let now = Now { mono: MonoMs(i as u64 * 40), utc: UtcMs(i as i64 * 40) };
        ward.hear(Heard::Frame(frame), now);
        loop {
            let due = ward.take_due(now);
            if due.is_empty() {
                break;
            }
            let new = analyser.analyse(&due);
            ward.conclude(&new, now);
            findings.extend(new);
        }
    }
    findings
}

/// Neighbours change places where `swap` says so; the first frame stays, since it says where the stream begins.
fn shuffle(frames: &mut [Frame], mut swap: impl FnMut(usize) -> bool) {
    let mut i = 1;
    while i + 1 < frames.len() {
        let swapped = swap(i);
        if swapped {
            frames.swap(i, i + 1);
        }
        i += 1 + usize::from(swapped);
    }
}

fn bytes(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| serde_json::to_string(f).expect("plain")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_and_order_gives_the_bytes_of_the_batch_run(
        rate in prop::sample::select(vec![(100, 1), (125, 2), (250, 1), (360, 1)]),
        seed in any::<u64>(),
        cuts in prop::collection::vec(5_usize..400, 1..6),
        swaps in prop::collection::vec(any::<bool>(), 64),
        hole in prop::option::of((300_usize..1_500, 1_usize..400)),
    ) {
        let bundle = Arc::new(Bundle::tiny(3));
        let rate = Ratio::new(rate.0, rate.1).expect("valid");
        let holes: Vec<(usize, usize)> = hole.into_iter().map(|(at, long)| (at, at + long)).collect();
        let recording = recording(rate, seed, &holes);
        let offline = analyse_recording(&mut analyser(&bundle), &recording, false);
        prop_assert_eq!(offline.len() as u64, SECONDS);
        prop_assert!(offline.iter().any(|f| f.reading.is_ok()), "nothing was read");

        let mut frames = frames(&recording, &cuts);
        shuffle(&mut frames, |i| swaps[i % swaps.len()]);
        prop_assert_eq!(bytes(&live(&bundle, frames)), bytes(&offline));
    }
}

#[test]
fn a_recording_read_whole_has_all_its_steps() {
    let bundle = Arc::new(Bundle::tiny(3));
    let rate = Ratio::hz(500).expect("valid");
    let mut recording = recording(rate, 5, &[]);
    for row in &mut recording.samples_mv {
        row.truncate(5_000);
    }
    let findings = analyse_recording(&mut analyser(&bundle), &recording, true);
    let last = findings.last().and_then(|f| f.reading.as_ref().ok()).expect("read");
    let steps: usize = findings.iter().filter_map(|f| f.reading.as_ref().ok()).map(|r| r.steps).sum();
    assert_eq!((last.window_steps, steps), (250, 250));
    assert!((last.proportion.iter().sum::<f32>() - 1.0).abs() < 1e-5);
}

/// The records of mitdb at hand: all of the unpacked set, else the small ones beside this checkout.
fn mitdb() -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/tiny");
    let folder = std::env::var_os("WARDBEAT_DATA").map_or_else(beside, PathBuf::from).join("mitdb");
    let found = recordings::list(&folder).unwrap_or_default();
    if found.is_empty() {
        println!("skipped: no recordings");
    }
    found
}

/// The first `seconds` of a record.
fn beginning(path: &Path, seconds: u64) -> Recording {
    let record = Record::read(path).unwrap_or_else(|e| panic!("{e}"));
    let rate = record.rate().expect("a rate that a frame carries");
    let length = record.length.min(rate.samples_in(seconds) as usize);
    let rows = (0..record.signals.len()).filter_map(|i| {
        let name = LeadId::new(&record.signals[i].name).ok()?;
        Some((name, record.signal_mv(i)?[..length].to_vec()))
    });
    let (leads, samples_mv) = rows.unzip();
    Recording { bed: bed(), leads, rate, samples_mv }
}

#[test]
fn every_record_of_mitdb_gives_live_the_bytes_of_the_batch_run() {
    let records = mitdb();
    let bundle = Arc::new(Bundle::embedded().expect("the embedded model"));
    let (mut read, mut all) = (0, 0);
    for (r, path) in records.iter().enumerate() {
        let recording = beginning(path, RECORD_S);
        let offline = analyse_recording(&mut analyser(&bundle), &recording, false);
        let wanted = bytes(&offline);
        assert!(offline.iter().all(finite), "{}", path.display());
        all += offline.len();
        read += offline.iter().filter(|f| f.reading.is_ok()).count();
        for way in 0..WAYS {
            let mut rng = ChaCha8Rng::seed_from_u64(r as u64 * WAYS + way);
            let cuts: Vec<usize> = (0..64).map(|_| rng.random_range(20..700)).collect();
            let mut frames = frames(&recording, &cuts);
            shuffle(&mut frames, |_| rng.random_bool(0.3));
            let told = bytes(&live(&bundle, frames));
            assert_eq!(told.len(), wanted.len(), "{} way {way}", path.display());
            let differs = told.iter().zip(&wanted).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{} way {way}: first differing finding", path.display());
        }
    }
    println!("{} records, {all} findings, {read} of them read, {WAYS} ways each", records.len());
    assert!(records.is_empty() || read * 2 > all, "most of the signal must be readable");
}

/// Whether every number of a reading is one.
fn finite(finding: &Finding) -> bool {
    let Ok(r) = &finding.reading else { return true };
    let rows = [&r.assignment, &r.entropy, &r.novelty, &r.evidence, &r.proportion, &r.class_logit];
    let more = [&r.class_prob, &r.surrogate_prob];
    rows.into_iter().chain(more).flatten().all(|v| v.is_finite())
        && [r.window_entropy, r.window_novelty, r.rms_mv].iter().all(|v| v.is_finite())
}

/// The largest difference of two readings, relative to the size of what is compared.
fn furthest(a: &Reading, b: &Reading) -> f32 {
    // Proportions count nearest clusters: a tie may go either way.
    let pairs: [(&[f32], &[f32]); 7] = [
        (&a.assignment, &b.assignment),
        (&a.entropy, &b.entropy),
        (&a.novelty, &b.novelty),
        (&a.evidence, &b.evidence),
        (&a.class_logit, &b.class_logit),
        (&a.class_prob, &b.class_prob),
        (&[a.window_entropy, a.window_novelty], &[b.window_entropy, b.window_novelty]),
    ];
    let off = pairs.map(|(a, b)| {
        assert_eq!(a.len(), b.len());
        let scale = b.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
        a.iter().zip(b).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / scale
    });
    off.into_iter().fold(0.0, f32::max)
}

#[test]
fn candle_reads_a_real_record_as_the_cpu_engine_does() {
    let Some(path) = mitdb().into_iter().next() else { return };
    let bundle = Arc::new(Bundle::embedded().expect("the embedded model"));
    let recording = beginning(&path, 60);
    let cpu = analyse_recording(&mut analyser(&bundle), &recording, false);
    let candle = open_engine(&bundle, "candle").expect("candle runs on any CPU");
    let candle = analyse_recording(&mut Analyser::new(bundle, candle), &recording, false);
    assert_eq!(candle.len(), cpu.len());
    let mut worst = 0.0_f32;
    for (a, b) in candle.iter().zip(&cpu) {
        match (&a.reading, &b.reading) {
            (Ok(a), Ok(b)) => worst = worst.max(furthest(a, b)),
            (a, b) => assert_eq!(a.as_ref().err(), b.as_ref().err(), "window {}", cpu.len()),
        }
    }
    println!("furthest {worst:e}");
    assert!(worst > 0.0 && worst < 1e-4, "{worst}");
}
