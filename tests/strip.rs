//! The explained strip: to scale, well-formed, decodable, gaps blank.
#![allow(clippy::unwrap_used)] // A test stops at a surprise.

use contract::{Alert, LeadId};
use wardbeat::strip::{
    ClassEvidence, LeadTrace, LegendEntry, SECONDS_MAX, StepMark, StripError, StripPicture, json, png, svg,
};

/// Two leads of `seconds`, a square of 1 mV between 0.2 and 0.4 s, steps of 40 ms.
fn picture(seconds: f32) -> StripPicture {
    let rate_hz = 100.0;
    let square = |i: usize| if (20..40).contains(&i) { 1.0 } else { 0.0 };
    let samples_mv: Vec<f32> = (0..(seconds * rate_hz) as usize).map(square).collect();
    let trace = |name: &str| LeadTrace { lead: LeadId::new(name).unwrap(), samples_mv: samples_mv.clone() };
    let step = |i: usize| StepMark {
        cluster: (i / 5 % 3) as u8,
        family: ['Q', 'T', 'b'][i / 5 % 3],
        entropy: 0.4,
        novelty: 0.3,
    };
    StripPicture {
        title: vec!["record <1> & lead II".into()],
        start: "10.0 s".into(),
        rate_hz,
        leads: vec![trace("II"), trace("V1")],
        steps: (0..(seconds / 0.04) as usize).map(step).collect(),
        step_s: 0.04,
        first_step_s: 0.0,
        entropy_band: Some([0.2, 0.64]),
        novelty_threshold: Some(1.0),
        legend: vec![LegendEntry { cluster: 0, family: 'Q', name: "mostly QRS 82%".into(), share: 0.3 }],
        evidence: Vec::new(),
        note: Alert::LIMITS.into(),
    }
}

/// The points of every polyline that is drawn in ink.
fn traces(svg: &str) -> Vec<Vec<[f32; 2]>> {
    let points = svg.split("<polyline points=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let pair = |p: &str| {
        let (x, y) = p.split_once(',').unwrap();
        [x.parse().unwrap(), y.parse().unwrap()]
    };
    points.map(|p| p.split(' ').map(pair).collect()).collect()
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() < 0.02
}

#[test]
fn paper_speed_and_gain_are_to_scale() {
    let drawn = svg(&picture(2.0)).unwrap();
    let lines = traces(&drawn);
    // Calibration pulse first: 1 mV high, 0.2 s wide.
    let pulse = &lines[0];
    assert!(close(pulse[0][1] - pulse[2][1], 10.0) && close(pulse[3][0] - pulse[2][0], 5.0));
    let trace = &lines[1];
    assert_eq!(trace.len(), 200);
    // 1 s = 100 samples = 25 mm; 1 mV = 10 mm upward.
    assert!(close(trace[100][0] - trace[0][0], 25.0));
    assert!(close(trace[0][1] - trace[30][1], 10.0));
    // Every unit is a millimetre.
    let width: f32 = drawn.split("width=\"").nth(1).unwrap().split("mm").next().unwrap().parse().unwrap();
    let view: Vec<f32> = drawn
        .split("viewBox=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .split(' ')
        .map(|v| v.parse().unwrap())
        .collect();
    assert!(close(width, view[2]));
    assert!(trace.iter().all(|[x, y]| (0.0..view[2]).contains(x) && (0.0..view[3]).contains(y)));
}

#[test]
fn a_ribbon_piece_is_as_long_as_its_steps() {
    let drawn = svg(&picture(2.0)).unwrap();
    let first =
        drawn.split("<rect ").find(|r| r.contains("#8a6100") && r.contains("height=\"5.00\"")).unwrap();
    // Five steps of 40 ms at 25 mm/s.
    assert!(first.contains("width=\"5.00\""), "{first}");
}

#[test]
fn missing_samples_are_blank_and_never_bridged() {
    let mut broken = picture(2.0);
    for v in &mut broken.leads[0].samples_mv[80..120] {
        *v = f32::NAN;
    }
    let lines = traces(&svg(&broken).unwrap());
    assert_eq!((lines[1].len(), lines[2].len()), (80, 80));
    assert!(lines[2][0][0] - lines[1][79][0] > 10.0);
    assert!(json(&broken).unwrap().contains("null"));
    broken.leads[0].samples_mv.fill(f32::NAN);
    assert!(svg(&broken).is_ok() && png(&broken).is_ok());
}

#[test]
fn every_element_is_closed_and_text_is_escaped() {
    let mut all = picture(1.0);
    all.evidence = vec![ClassEvidence {
        name: "A<B".into(),
        network: 0.4,
        surrogate: Some(0.3),
        per_step: vec![0.5; 25],
    }];
    let drawn = svg(&all).unwrap();
    assert!(drawn.contains("record &lt;1&gt; &amp; lead II") && drawn.contains("A&lt;B"));
    assert!(drawn.contains(Alert::LIMITS));
    let mut depth = 0i32;
    for tag in drawn.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("each tag ends");
        depth += if tag.starts_with('/') { -1 } else { i32::from(!tag.ends_with('/')) };
        assert!(depth >= 0);
    }
    assert_eq!(depth, 0);
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
}

#[test]
fn the_png_has_the_papers_size() {
    let picture = picture(10.0);
    let image = tiny_skia::Pixmap::decode_png(&png(&picture).unwrap()).unwrap();
    let drawn = svg(&picture).unwrap();
    let height: f32 = drawn.split("height=\"").nth(1).unwrap().split("mm").next().unwrap().parse().unwrap();
    assert_eq!(image.width(), ((6.0 * 2.0 + 24.0 + 250.0) * 8.0_f32).ceil() as u32);
    assert!((image.height() as f32 - height * 8.0).abs() <= 1.0);
    let ink = image.pixels().iter().filter(|p| p.red() < 60 && p.green() < 60 && p.blue() < 60).count();
    assert!(ink > 5_000, "trace and text are there: {ink}");
}

#[test]
fn what_cannot_be_drawn_is_refused_with_a_reason() {
    let empty = StripPicture { rate_hz: 100.0, ..StripPicture::default() };
    assert_eq!(svg(&empty), Err(StripError::Empty));
    let rate = StripPicture { rate_hz: 0.0, ..picture(1.0) };
    assert_eq!(json(&rate), Err(StripError::Rate(0.0)));
    let long = picture(SECONDS_MAX + 1.0);
    assert!(matches!(png(&long), Err(StripError::Long(_))));
}

#[test]
fn a_small_strip_looks_as_it_did() {
    let mut small = picture(0.4);
    small.leads.truncate(1);
    insta::assert_snapshot!("strip-small", svg(&small).unwrap());
}
