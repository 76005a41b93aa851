//! The generator is no caricature: intervals, P waves and beat shapes lie where those of mitdb lie, rhythm by rhythm,
//! measured by the same code on both. Where at least ten records of mitdb show a rhythm, the generated patients must
//! lie in the 5 to 95 % range of its stretches; one to six patients (fibrillation, tachycardia, pacing) span no
//! population, so there the range is widened.

use patient::{BeatKind, Change, Cue, Lead, Patient, Profile, Rhythm};
use recordings::{Record, annotations, list};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Seconds in one measured stretch, and the shortest that counts.
const STRETCH_S: f64 = 300.0;
const STRETCH_S_MIN: f64 = 60.0;
const RATE_HZ: f64 = 360.0;
/// Generated patients.
const SEEDS: u64 = 16;

/// A stretch of one rhythm in lead II: samples in mV and beats (sample, own kind of that rhythm).
struct Stretch {
    mv: Vec<f32>,
    beats: Vec<(usize, bool)>,
}

/// Figure name to value.
type Figures = BTreeMap<&'static str, f64>;

/// What is compared: the beats of a rhythm, or the premature ventricular beats within a slow one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Beats {
    Of(Rhythm),
    Premature,
}

impl Beats {
    /// The rhythms they lie in, as mitdb names them, and their symbols.
    fn in_mitdb(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Of(Rhythm::Sinus) => (&["(N"], "NLR"),
            Self::Of(Rhythm::AtrialFibrillation) => (&["(AFIB"], "NLR"),
            Self::Of(Rhythm::Paced) => (&["(P"], "/"),
            Self::Of(_) => (&["(VT"], "V"),
            Self::Premature => (&["(N", "(B", "(T"], "V"),
        }
    }

    fn rhythm(self) -> Rhythm {
        match self {
            Self::Of(rhythm) => rhythm,
            Self::Premature => Rhythm::Sinus,
        }
    }
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, n) = values.into_iter().fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
    sum / f64::from(n.max(1))
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// Intervals between neighbouring beats that are both the rhythm's own.
fn intervals(stretch: &Stretch, into: &mut Figures) {
    let rr: Vec<Option<f64>> = stretch
        .beats
        .windows(2)
        .map(|two| (two[0].1 && two[1].1).then(|| (two[1].0 - two[0].0) as f64 / RATE_HZ))
        .collect();
    let own: Vec<f64> = rr.iter().copied().flatten().collect();
    let steps: Vec<f64> = rr.windows(2).filter_map(|two| Some(two[1]? - two[0]?)).collect();
    if own.len() < 8 || steps.len() < 6 {
        return;
    }
    let rr_s = mean(own.iter().copied());
    let sdnn_s = mean(own.iter().map(|rr| (rr - rr_s).powi(2))).sqrt();
    let rmssd_s = mean(steps.iter().map(|s| s * s)).sqrt();
    into.extend([
        ("rr_s", rr_s),
        ("sdnn_s", sdnn_s),
        ("cv", sdnn_s / rr_s),
        ("rmssd_s", rmssd_s),
        ("pnn50", mean(steps.iter().map(|s| f64::from(u8::from(s.abs() > 0.05))))),
    ]);
}

fn at(seconds: f64) -> isize {
    (seconds * RATE_HZ).round() as isize
}

/// The largest deflection within 50 ms of a mark, so that both sides' marks mean the same place.
fn peak_near(mv: &[f32], mark: usize) -> usize {
    let around = |seconds: f64| {
        let reach = at(seconds) as usize;
        mark.saturating_sub(reach)..(mark + reach).min(mv.len())
    };
    let level = mean(mv[around(0.25)].iter().map(|&v| f64::from(v))) as f32;
    let window = around(0.05);
    window.max_by(|&a, &b| (mv[a] - level).abs().total_cmp(&(mv[b] - level).abs())).unwrap_or(mark)
}

/// The mean beat from -0.3 s to 0.3 s and each beat's correlation with it within 80 ms of its peak.
fn mean_beat(beats: &[&[f32]]) -> (Vec<f64>, f64) {
    let length = beats[0].len();
    let shape: Vec<f64> = (0..length).map(|i| mean(beats.iter().map(|b| f64::from(b[i])))).collect();
    let core = length / 2 - at(0.08) as usize..length / 2 + at(0.08) as usize;
    let alike: Vec<f64> = beats
        .iter()
        .map(|b| {
            let beat: Vec<f64> = b[core.clone()].iter().map(|&v| f64::from(v)).collect();
            correlation(&beat, &shape[core.clone()])
        })
        .collect();
    (shape, quantile(&alike, 0.5))
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (ma, mb) = (mean(a.iter().copied()), mean(b.iter().copied()));
    let dot = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(f).sum::<f64>();
    let both = dot(&|i| (a[i] - ma) * (b[i] - mb));
    both / (dot(&|i| (a[i] - ma).powi(2)) * dot(&|i| (b[i] - mb).powi(2))).sqrt().max(1e-12)
}

/// P height, QRS size and width and likeness of the rhythm's own beats.
fn shapes(stretch: &Stretch, into: &mut Figures) {
    let half = at(0.3) as usize;
    let beats: Vec<&[f32]> = stretch
        .beats
        .iter()
        .filter(|beat| beat.1)
        .map(|beat| peak_near(&stretch.mv, beat.0))
        .filter(|&peak| peak >= half && peak + half < stretch.mv.len())
        .map(|peak| &stretch.mv[peak - half..=peak + half])
        .collect();
    if beats.len() < 8 {
        return;
    }
    let (shape, likeness) = mean_beat(&beats);
    let part = |from_s: f64, to_s: f64| {
        let place = |s: f64| half.saturating_add_signed(at(s));
        &shape[place(from_s)..=place(to_s)]
    };
    let top = |part: &[f64]| part.iter().copied().fold(f64::MIN, f64::max);
    let low = |part: &[f64]| part.iter().copied().fold(f64::MAX, f64::min);
    let line = 0.5 * (mean(part(-0.29, -0.26).iter().copied()) + mean(part(-0.075, -0.06).iter().copied()));
    let qrs = part(-0.06, 0.06);
    let slope: Vec<f64> = part(-0.14, 0.14).windows(3).map(|w| (w[2] - w[0]).abs()).collect();
    let steep = 0.1 * top(&slope);
    let first = slope.iter().position(|&s| s > steep).unwrap_or(0);
    let last = slope.iter().rposition(|&s| s > steep).unwrap_or(0);
    into.extend([
        ("p_mv", top(part(-0.22, -0.09)) - line),
        ("qrs_mv", top(qrs) - low(qrs)),
        ("qrs_width_s", (last - first) as f64 / RATE_HZ),
        ("likeness", likeness),
    ]);
}

/// How early a premature beat comes and how long the heart then waits, relative to the interval before it.
fn pauses(stretch: &Stretch, into: &mut Figures) {
    let lone = stretch.beats.windows(4).filter(|b| b.iter().map(|b| b.1).eq([false, false, true, false]));
    let (early, late): (Vec<f64>, Vec<f64>) = lone
        .map(|b| {
            let rr = (b[1].0 - b[0].0) as f64;
            ((b[2].0 - b[1].0) as f64 / rr, (b[3].0 - b[2].0) as f64 / rr)
        })
        .unzip();
    if early.len() >= 8 {
        into.extend([("coupling", quantile(&early, 0.5)), ("pause", quantile(&late, 0.5))]);
    }
}

fn figures(stretch: &Stretch, beats: Beats) -> Figures {
    let mut figures = Figures::new();
    if beats == Beats::Premature {
        pauses(stretch, &mut figures);
    } else {
        intervals(stretch, &mut figures);
    }
    shapes(stretch, &mut figures);
    // A wide QRS begins where P would be.
    if !matches!(beats, Beats::Of(Rhythm::Sinus | Rhythm::AtrialFibrillation)) {
        figures.remove("p_mv");
    }
    figures
}

/// The stretches that hold `beats` in one record, in pieces of at most `STRETCH_S`.
fn stretches(path: &Path, beats: Beats) -> Vec<Stretch> {
    let record = Record::read(path).expect("a record of mitdb");
    let Some(lead) = record.signals.iter().position(|s| s.name == "MLII") else { return Vec::new() };
    let marks = annotations(path, "atr").expect("its annotations");
    let mv = record.signal_mv(lead).expect("a voltage");
    let (names, own) = beats.in_mitdb();
    let changes: Vec<_> = marks.iter().filter(|m| m.symbol() == "+").collect();
    let mut found = Vec::new();
    for (i, change) in changes.iter().enumerate().filter(|(_, c)| names.contains(&c.aux.as_str())) {
        let to = changes.get(i + 1).map_or(mv.len(), |next| next.sample as usize);
        let from = change.sample as usize;
        let shortest = if beats.rhythm() == Rhythm::VentricularTachycardia { 3.0 } else { STRETCH_S_MIN };
        for from in (from..to).step_by(at(STRETCH_S) as usize) {
            let to = to.min(from + at(STRETCH_S) as usize);
            if ((to - from) as f64) < shortest * RATE_HZ {
                continue;
            }
            let inside = marks.iter().filter(|m| m.is_beat() && (from..to).contains(&(m.sample as usize)));
            let beats = inside.map(|m| (m.sample as usize - from, own.contains(m.symbol()))).collect();
            found.push(Stretch { mv: mv[from..to].to_vec(), beats });
        }
    }
    found
}

/// A generated stretch with its true beats; tachycardia comes in a run, as in mitdb.
fn generated(seed: u64, of: Beats) -> Stretch {
    let rhythm = of.rhythm();
    let run = rhythm == Rhythm::VentricularTachycardia;
    let (from_s, to_s) = if run { (20.0, 35.0) } else { (0.0, STRETCH_S) };
    let pvc_share = if of == Beats::Premature { 0.1 } else { 0.0 };
    let profile = Profile { pvc_share, ..Profile::default() };
    let mut patient = Patient::new(seed, profile).with_timeline(vec![
        Cue::at(from_s, Change::Rhythm(rhythm)),
        Cue::at(to_s, Change::Rhythm(Rhythm::Sinus)),
    ]);
    let count = at(to_s - from_s) as usize;
    let rows = patient.samples(RATE_HZ, at(from_s) as u64, count, &[Lead::II]);
    let beats = patient.beats(from_s..to_s);
    let own = |kind: BeatKind| of != Beats::Premature || kind != BeatKind::Sinus;
    let beats = beats.iter().map(|b| (at(b.at_s - from_s) as usize, own(b.kind))).collect();
    Stretch { mv: rows.into_iter().next().expect("one lead"), beats }
}

fn columns(all: &[Figures]) -> BTreeMap<&'static str, Vec<f64>> {
    let mut columns: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, value) in all.iter().flatten() {
        columns.entry(name).or_default().push(*value);
    }
    columns
}

/// The 5 to 95 % range; wider where it stands on a `few` patients: shares and P heights by a fixed margin, the rest
/// by half of the value.
fn range(name: &str, real: &[f64], few: bool) -> (f64, f64) {
    let (low, high) = (quantile(real, 0.05), quantile(real, 0.95));
    match name {
        _ if !few => (low, high),
        "pnn50" => (low - 0.15, high + 0.15),
        "p_mv" => (low - 0.05, high + 0.05),
        _ => (low / 1.5, high * 1.5),
    }
}

fn data(set: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WARDBEAT_DATA").map(|d| PathBuf::from(d).join(set)).filter(|d| d.is_dir());
    if folder.is_none() {
        println!("skipped: no recordings");
    }
    folder
}

/// Prints and compares one kind of beats; returns the names of what lies outside.
fn compare(records: &[PathBuf], of: Beats) -> Vec<String> {
    let by_record: Vec<_> = records.iter().map(|r| stretches(r, of)).filter(|s| !s.is_empty()).collect();
    let few = by_record.len() < 10;
    let real: Vec<Figures> = by_record.iter().flatten().map(|s| figures(s, of)).collect();
    let made: Vec<Figures> = (0..SEEDS).map(|seed| figures(&generated(seed, of), of)).collect();
    let (real, made) = (columns(&real), columns(&made));
    println!("{of:?}: {} records", by_record.len());
    let mut outside = Vec::new();
    for (name, real) in &real {
        let made = &made[name];
        let (low, high) = range(name, real, few);
        let inside = mean(made.iter().map(|v| f64::from(u8::from((low..=high).contains(v)))));
        let [a, b, c] = [0.05, 0.5, 0.95].map(|q| quantile(made, q));
        println!(
            "{of:?} {name}: mitdb {low:.3} .. {:.3} .. {high:.3} ({} stretches), generated {a:.3} .. {b:.3} .. {c:.3}, {:.0} % inside",
            quantile(real, 0.5),
            real.len(),
            100.0 * inside,
        );
        if !(low..=high).contains(&b) || inside < if few { 0.5 } else { 0.75 } {
            outside.push(format!("{of:?} {name}"));
        }
    }
    outside
}

#[test]
fn each_rhythm_lies_where_mitdb_lies() {
    let Some(folder) = data("mitdb") else { return };
    let records = list(&folder).expect("listed");
    let rhythms = [Rhythm::Sinus, Rhythm::AtrialFibrillation, Rhythm::VentricularTachycardia, Rhythm::Paced]
        .map(Beats::Of);
    let outside: Vec<String> =
        rhythms.into_iter().chain([Beats::Premature]).flat_map(|of| compare(&records, of)).collect();
    assert!(outside.is_empty(), "outside mitdb's 5 to 95 %: {outside:?}");
}

/// Zero crossings per second halved, and effective size in mV, after the mean of each second is taken off.
fn wave(mv: &[f32], rate_hz: f64) -> Option<(f64, f64)> {
    let (mut crossings, mut squares, mut n) = (0, 0.0, 0);
    for second in mv.chunks_exact(rate_hz as usize) {
        if second.iter().any(|v| v.is_nan()) {
            return None;
        }
        let level = mean(second.iter().map(|&v| f64::from(v)));
        // Averages of 20 ms, so that noise around zero does not count.
        let calm: Vec<f64> = second
            .chunks((rate_hz * 0.02) as usize)
            .map(|part| mean(part.iter().map(|&v| f64::from(v))) - level)
            .collect();
        crossings += calm.windows(2).filter(|w| (w[0] < 0.0) != (w[1] < 0.0)).count();
        squares += calm.iter().map(|v| v * v).sum::<f64>();
        n += calm.len();
    }
    let seconds = (mv.len() as f64 / rate_hz).floor();
    Some((crossings as f64 / 2.0 / seconds, (squares / n as f64).sqrt()))
}

#[test]
fn ventricular_fibrillation_lies_where_true_alarms_lie() {
    let Some(folder) = data("cinc2015") else { return };
    let mut real = Vec::new();
    for path in list(&folder).expect("listed") {
        let is_alarm = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('f'));
        let Some(record) = is_alarm.then(|| Record::read(&path).expect("a record")) else { continue };
        let lead = record.signals.iter().position(|s| s.name == "II");
        if let (Some(lead), true) = (lead, record.comments.iter().any(|c| c == "True alarm")) {
            // The alarm sounds at sample 30,000; the six seconds before it made it.
            let mv = record.signal_mv(lead).expect("a voltage");
            real.extend(wave(&mv[28_500..30_000], record.rate_hz));
        }
    }
    let made: Vec<(f64, f64)> = (0..SEEDS)
        .map(|seed| {
            let fibrillation = Change::Rhythm(Rhythm::VentricularFibrillation);
            let mut patient =
                Patient::new(seed, Profile::default()).with_timeline(vec![Cue::at(30.0, fibrillation)]);
            let rows = patient.samples(250.0, 32 * 250, 1_500, &[Lead::II]);
            wave(&rows[0], 250.0).expect("finite")
        })
        .collect();
    let column = |waves: &[(f64, f64)], name: &str| -> Vec<f64> {
        waves.iter().map(|wave| if name == "hz" { wave.0 } else { wave.1 }).collect()
    };
    for name in ["hz", "effective_mv"] {
        let (real, made) = (column(&real, name), column(&made, name));
        let [low, middle, high] = [0.05, 0.5, 0.95].map(|q| quantile(&real, q));
        let [a, b, c] = [0.05, 0.5, 0.95].map(|q| quantile(&made, q));
        println!(
            "{name}: {} true alarms {low:.2} .. {middle:.2} .. {high:.2}, generated {a:.2} .. {b:.2} .. {c:.2}",
            real.len()
        );
        assert!((low..=high).contains(&b), "{name}: {b} is outside {low} to {high}");
    }
}

#[test]
fn the_figures_tell_fibrillation_from_sinus() {
    let median = |rhythm, name: &str| {
        let made: Vec<f64> = (0..12)
            .map(|seed| figures(&generated(seed, Beats::Of(rhythm)), Beats::Of(rhythm))[name])
            .collect();
        quantile(&made, 0.5)
    };
    assert!(median(Rhythm::AtrialFibrillation, "cv") > 3.0 * median(Rhythm::Sinus, "cv"));
    assert!(median(Rhythm::AtrialFibrillation, "p_mv") < 0.4 * median(Rhythm::Sinus, "p_mv"));
}
