//! Live findings equal the offline ones of the same samples, byte for byte, however frames are cut and shuffled.

use contract::{BedId, Finding, Flags, Frame, FrameParts, Heard, LeadId, Mode, MonoMs, Ratio, UtcMs};
use proptest::prelude::*;
use std::sync::Arc;
use wardbeat::model::{Bundle, open_engine};
use wardbeat::pipeline::{Analyser, Now, Recording, Setup, Ward, analyse_recording};

const SECONDS: u64 = 16;

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
        // Neighbours change places; the first frame stays, since it says where the stream begins.
        let mut i = 1;
        while i + 1 < frames.len() {
            let swap = swaps[i % swaps.len()];
            if swap {
                frames.swap(i, i + 1);
            }
            i += 1 + usize::from(swap);
        }
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
