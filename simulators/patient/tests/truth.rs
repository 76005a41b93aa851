//! What the generator promises: equal samples however they are asked for, exact leads, exact truth.

use patient::{Beat, BeatKind, Change, Cue, Lead, Noise, Patient, Profile, Rhythm};

const RATE_HZ: f64 = 250.0;

fn eventful(seed: u64) -> Patient {
    let noise = Noise { motion_mv: 0.5, muscle_mv: 0.1, mains_mv: 0.05, wander_mv: 0.2 };
    Patient::new(seed, Profile { pvc_share: 0.1, ..Profile::default() }).with_timeline(vec![
        Cue::at(8.0, Change::Rhythm(Rhythm::AtrialFibrillation)),
        Cue::at(12.0, Change::Noise(noise)),
        Cue::at(16.0, Change::Rhythm(Rhythm::VentricularTachycardia)),
        Cue::at(18.0, Change::LeadOff(Lead::V1)),
        Cue::at(20.0, Change::Rhythm(Rhythm::VentricularFibrillation)),
        Cue::at(26.0, Change::Rhythm(Rhythm::Asystole)),
        Cue::at(30.0, Change::Rhythm(Rhythm::Paced)),
        Cue::at(34.0, Change::LeadOn(Lead::V1)),
    ])
}

fn bits(rows: &[Vec<f32>]) -> Vec<u32> {
    rows.iter().flatten().map(|v| v.to_bits()).collect()
}

#[test]
fn samples_do_not_depend_on_how_they_are_asked_for() {
    let whole = eventful(5).samples(RATE_HZ, 0, 10_000, &Lead::ALL);
    assert!(whole.iter().flatten().all(|v| v.is_finite() && v.abs() < 10.0));
    let mut other = eventful(5);
    // Backwards, in odd pieces.
    for n0 in (0..10_000_usize).step_by(777).rev() {
        let count = 777.min(10_000 - n0);
        let piece = other.samples(RATE_HZ, n0 as u64, count, &Lead::ALL);
        for (row, whole) in piece.iter().zip(&whole) {
            assert_eq!(bits(std::slice::from_ref(row)), bits(&[whole[n0..n0 + count].to_vec()]), "from {n0}");
        }
    }
    // A lead reads the same beside others as alone.
    let some = other.samples(RATE_HZ, 4_000, 500, &[Lead::V5, Lead::Avl]);
    assert_eq!(bits(&some), bits(&[whole[10][4_000..4_500].to_vec(), whole[4][4_000..4_500].to_vec()]));
    // The same person at twice the rate (no stimulus of a pacemaker here, whose share of a sample differs).
    let fine = other.samples(2.0 * RATE_HZ, 0, 14_000, &[Lead::II]);
    let coarse: Vec<f32> = fine[0].iter().copied().step_by(2).collect();
    assert_eq!(bits(&[coarse]), bits(&[whole[1][..7_000].to_vec()]));
}

#[test]
fn the_limb_leads_obey_einthoven_to_the_last_bit() {
    let rows = eventful(9).samples(RATE_HZ, 0, 10_000, &Lead::ALL);
    let sample = |i: usize| -> [f32; 6] { std::array::from_fn(|lead| rows[lead][i]) };
    for i in 0..10_000 {
        let [one, two, three, avr, avl, avf] = sample(i);
        assert_eq!(
            [three, avr, avl, avf].map(f32::to_bits),
            [two - one, -(one + two) / 2.0, one - two / 2.0, two - one / 2.0].map(f32::to_bits),
            "sample {i}"
        );
    }
}

#[test]
fn waves_of_a_beat_come_in_order_and_r_stands_where_the_truth_says() {
    for seed in 0..20 {
        let mut patient = Patient::new(seed, Profile::default());
        let beats = patient.beats(5.0..65.0);
        let rows = patient.samples(RATE_HZ, 0, 70 * 250, &[Lead::I, Lead::II, Lead::V5]);
        let size = |n: usize| rows.iter().map(|row| (row[n] - row[n - 25]).abs()).sum::<f32>();
        for Beat { at_s, p, qrs, t, kind, .. } in beats {
            let p = p.expect("a sinus beat has a P wave");
            assert_eq!(kind, BeatKind::Sinus);
            let order = [p.0, p.1, qrs.0, at_s, qrs.1, t.1];
            assert!(order.is_sorted() && t.0 < t.1, "seed {seed}: {order:?}");
            let widths_ms = [p.1 - p.0, qrs.1 - qrs.0].map(|s| s * 1e3);
            assert!(
                (60.0..140.0).contains(&widths_ms[0]) && (65.0..130.0).contains(&widths_ms[1]),
                "{widths_ms:?}"
            );
            let n = (at_s * RATE_HZ).round() as usize;
            let peak = (n - 20..n + 20).max_by(|&a, &b| size(a).total_cmp(&size(b))).expect("a range");
            assert!(peak.abs_diff(n) <= 7, "seed {seed}: peak {} samples from the truth", peak.abs_diff(n));
        }
    }
}

#[test]
fn beats_follow_the_script() {
    let mut patient = eventful(2);
    let kinds = |patient: &mut Patient, from_s, to_s| -> Vec<BeatKind> {
        patient.beats(from_s..to_s).iter().map(|beat| beat.kind).collect()
    };
    assert_eq!(patient.rhythm_at(9.0), Rhythm::AtrialFibrillation);
    let fibrillating = patient.beats(8.0..16.0);
    assert!(fibrillating.len() > 5 && fibrillating.iter().all(|beat| beat.p.is_none()));
    let fast = kinds(&mut patient, 16.0, 20.0);
    assert!(fast.len() > 5 && fast.iter().all(|kind| *kind == BeatKind::Ventricular { focus: 1 }));
    assert_eq!(kinds(&mut patient, 20.0, 30.0), []);
    let paced = kinds(&mut patient, 30.0, 60.0);
    assert!(paced.len() > 20 && paced.iter().all(|kind| *kind == BeatKind::Paced));

    let rms = |patient: &mut Patient, from: u64| {
        let row = &patient.samples(RATE_HZ, from * 250, 750, &[Lead::II])[0];
        (row.iter().map(|v| v * v).sum::<f32>() / row.len() as f32).sqrt()
    };
    let stop = Cue::at(10.0, Change::Rhythm(Rhythm::Asystole));
    let mut stopping = Patient::new(4, Profile::default()).with_timeline(vec![stop]);
    assert!(rms(&mut stopping, 20) < 0.3 * rms(&mut stopping, 5), "an asystole is nearly flat");
    let line = &stopping.samples(RATE_HZ, 5_000, 250, &[Lead::II])[0];
    assert!(line.windows(2).any(|w| w[0].to_bits() != w[1].to_bits()), "but not exactly");
}

#[test]
fn the_share_of_premature_beats_is_the_one_asked_for_and_their_pause_compensates() {
    for share in [0.05, 0.2, 0.5] {
        let profile = Profile { pvc_share: share, ..Profile::default() };
        let beats = Patient::new(3, profile).beats(0.0..1_800.0);
        let early: Vec<_> = beats.windows(3).filter(|b| b[1].kind != BeatKind::Sinus).collect();
        let found = early.len() as f32 / beats.len() as f32;
        assert!((found - share).abs() < 0.15 * share + 0.01, "{found} of {share}");
        for beats in early {
            assert!(beats[1].rr_s < beats[2].rr_s && beats[1].p.is_none());
            assert!(beats[1].qrs.1 - beats[1].qrs.0 > 0.12, "a premature beat is wide");
        }
    }
}

#[test]
fn the_rate_glides_to_what_is_asked() {
    let cue = Cue::at(60.0, Change::HeartRatePerMin(120.0));
    let profile = Profile { heart_rate_per_min: Some(70.0), ..Profile::default() };
    let mut patient = Patient::new(1, profile).with_timeline(vec![cue]);
    let rate = |patient: &mut Patient, from_s: f64, to_s: f64| {
        patient.beats(from_s..to_s).len() as f64 * 60.0 / (to_s - from_s)
    };
    assert!((rate(&mut patient, 0.0, 60.0) - 70.0).abs() < 6.0);
    assert!((rate(&mut patient, 100.0, 160.0) - 120.0).abs() < 8.0);
    let steps: Vec<f64> = patient.beats(55.0..100.0).windows(2).map(|b| b[1].rr_s / b[0].rr_s).collect();
    assert!(steps.iter().all(|step| (0.75..1.3).contains(step)), "no jump: {steps:?}");
}

#[test]
fn a_lead_that_is_off_is_flat_and_the_others_go_on() {
    let mut patient = eventful(7);
    assert_eq!((patient.leads_off(17.0), patient.leads_off(19.0)), (vec![], vec![Lead::V1]));
    let rows = patient.samples(RATE_HZ, 18 * 250, 2_000, &[Lead::V1, Lead::V2]);
    assert!(rows[0][0].abs() > 3.0, "the amplifier jumps");
    assert!(rows[0][600..].iter().all(|v| v.abs() < 1e-6), "then the line is flat");
    assert!(rows[1][600..].windows(2).any(|w| (w[0] - w[1]).abs() > 0.01));
    assert_eq!(patient.leads_off(35.0), vec![]);
}

#[test]
fn noise_sets_in_smoothly() {
    let noise = Noise { mains_mv: 1.0, ..Noise::default() };
    let mut quiet = Patient::new(6, Profile::default());
    let mut noisy = quiet.clone().with_timeline(vec![Cue::at(10.0, Change::Noise(noise))]);
    let mut off = |from: u64| {
        let (a, b) =
            (quiet.samples(1_000.0, from, 100, &[Lead::V2]), noisy.samples(1_000.0, from, 100, &[Lead::V2]));
        a[0].iter().zip(&b[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(off(9_900).abs() < 1e-9);
    let sizes = [off(10_200), off(10_500), off(11_500)];
    assert!(sizes.is_sorted() && sizes[0] > 0.0 && sizes[2] > 4.0 * sizes[0], "{sizes:?}");
}

#[test]
fn people_differ() {
    let mut traits: Vec<[f64; 3]> = (0..8)
        .map(|seed| {
            let mut patient = Patient::new(seed, Profile::default());
            let beats = patient.beats(0.0..60.0).len() as f64;
            let rows = patient.samples(RATE_HZ, 0, 15_000, &[Lead::I, Lead::Avf]);
            let net = |row: &[f32]| {
                let extremes =
                    row.iter().fold((0.0_f32, 0.0_f32), |(low, high), &v| (low.min(v), high.max(v)));
                f64::from(extremes.0 + extremes.1)
            };
            let (one, avf) = (net(&rows[0]), net(&rows[1]));
            [beats, avf.atan2(one).to_degrees(), one.hypot(avf)]
        })
        .collect();
    for (i, least) in [15.0, 25.0, 0.5].into_iter().enumerate() {
        traits.sort_by(|a, b| a[i].total_cmp(&b[i]));
        let spread = traits[7][i] - traits[0][i];
        assert!(spread > least, "trait {i} (rate, axis, size) spreads over {spread} only: {traits:?}");
    }
}

#[test]
fn a_sinus_rhythm_stays_the_same_for_half_an_hour() {
    for seed in 0..8 {
        let beats = Patient::new(seed, Profile::default()).beats(0.0..1_800.0);
        let mean = |from_s: f64| {
            let part: Vec<f64> =
                beats.iter().filter(|b| (from_s..from_s + 300.0).contains(&b.at_s)).map(|b| b.rr_s).collect();
            part.iter().sum::<f64>() / part.len() as f64
        };
        let first = mean(0.0);
        for from_s in [300.0, 600.0, 900.0, 1_200.0, 1_500.0] {
            let ratio = mean(from_s) / first;
            assert!((0.88..1.14).contains(&ratio), "seed {seed}: RR changed to {ratio} after {from_s} s");
        }
    }
}
