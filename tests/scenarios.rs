//! Hours of ward in seconds of test: `tests/scenarios/*.toml` say what happens at each bed and which alerts may come.
//!
//! A bed's seconds are either a generated patient, read by the embedded model, or scripted readings, which test the
//! decisions alone. Every start must be expected, and every expectation must be met.

use contract::{
    Alert, Beats, BedId, Code, Finding, Flags, Frame, FrameParts, Heard, LeadId, LeadSignal, Level, Mode,
    MonoMs, NotRead, Phase, Ratio, Reading, Signal, UtcMs,
};
use patient::{Change, Cue, Lead, Noise, Patient, Profile, Rhythm};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardbeat::config::Analysis;
use wardbeat::model::{Bundle, open_engine};
use wardbeat::pipeline::{Analyser, Now, Setup, Ward};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    seconds: u64,
    #[serde(default)]
    analysis: Analysis,
    bed: Vec<BedScript>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BedScript {
    name: String,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    leads: Vec<String>,
    /// Seconds without frames.
    #[serde(default)]
    silent: Vec<[u64; 2]>,
    #[serde(default)]
    cue: Vec<CueScript>,
    #[serde(default)]
    reading: Vec<ReadingScript>,
    #[serde(default)]
    expect: Vec<Expect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CueScript {
    at: f64,
    rhythm: Option<String>,
    lead_off: Option<String>,
    muscle_mv: Option<f32>,
}

/// Readings from a second on.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct ReadingScript {
    from: u64,
    #[serde(default)]
    entropy: f32,
    #[serde(default)]
    novelty: f32,
    #[serde(default)]
    mix: [f32; 2],
    #[serde(default)]
    logit: f32,
    /// Instead of a reading.
    not_read: Option<NotRead>,
    signal: Option<Signal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// One of these codes.
    codes: Vec<Code>,
    from: u64,
    to: u64,
    #[serde(default)]
    ends: Option<[u64; 2]>,
    level: Option<Level>,
    /// Others of these codes may come too.
    #[serde(default)]
    more: bool,
}

struct Played {
    bed: String,
    second: u64,
    alert: Alert,
}

fn now(second: u64) -> Now {
    Now { mono: MonoMs(1_000_000 + second * 1_000), utc: UtcMs(1_795_385_712_000 + second as i64 * 1_000) }
}

fn bed_id(script: &BedScript) -> BedId {
    BedId::new(&format!("test/ward/{}", script.name)).expect("a bed's name")
}

fn cue(script: &CueScript) -> Cue {
    let lead = |name: &str| Lead::of(name).expect("a lead");
    let change = match script {
        CueScript { rhythm: Some(name), .. } => Change::Rhythm(match name.as_str() {
            "sinus" => Rhythm::Sinus,
            "af" => Rhythm::AtrialFibrillation,
            "vt" => Rhythm::VentricularTachycardia,
            "vf" => Rhythm::VentricularFibrillation,
            "asystole" => Rhythm::Asystole,
            other => panic!("rhythm {other}"),
        }),
        CueScript { lead_off: Some(name), .. } => Change::LeadOff(lead(name)),
        CueScript { muscle_mv: Some(mv), .. } => Change::Noise(Noise { muscle_mv: *mv, ..Noise::default() }),
        _ => panic!("an empty cue"),
    };
    Cue::at(script.at, change)
}

/// One bed as it is played: a frame of 1 s a second.
struct Player {
    bed: BedId,
    patient: Patient,
    leads: Vec<Lead>,
    silent: Vec<[u64; 2]>,
    readings: Vec<ReadingScript>,
}

impl Player {
    fn new(script: &BedScript) -> Self {
        let leads: Vec<Lead> = script.leads.iter().map(|l| Lead::of(l).expect("a lead")).collect();
        let timeline = script.cue.iter().map(cue).collect();
        Self {
            bed: bed_id(script),
            patient: Patient::new(script.seed, Profile::default()).with_timeline(timeline),
            leads: if leads.is_empty() { vec![Lead::of("II").expect("a lead")] } else { leads },
            silent: script.silent.clone(),
            readings: script.reading.clone(),
        }
    }

    fn frame(&mut self, second: u64) -> Option<Frame> {
        if self.silent.iter().any(|s| (s[0]..s[1]).contains(&second)) {
            return None;
        }
        let rate = Ratio::hz(250).expect("valid");
        let rows = self.patient.samples(250.0, second * 250, 250, &self.leads);
        let flags = Flags { lead_off: !self.patient.leads_off(second as f64).is_empty(), ..Flags::default() };
        let parts = FrameParts {
            bed: self.bed.clone(),
            epoch: 7,
            seq: second as u32,
            n0: second * 250,
            rate,
            t0: Some(now(second).utc),
            flags,
            mode: Mode::Test,
            leads: self.leads.iter().map(|l| LeadId::new(l.name()).expect("valid")).collect(),
            samples_mv: rows.concat(),
        };
        Some(Frame::new(parts).expect("valid"))
    }

    /// The scripted finding of a second, with a small fixed unrest.
    fn scripted(&self, second: u64) -> Option<Finding> {
        let script = self.readings.iter().rfind(|r| r.from <= second)?;
        let rate = Ratio::hz(250).expect("valid");
        let unrest = [0.0, 0.004, -0.004, 0.008, -0.008][(second * 7 % 5) as usize];
        let lead = LeadId::new("II").expect("valid");
        let reading = Reading {
            lead_mask: 2,
            steps: 25,
            first_step_n: (second * 250) as f64 - 367.0,
            clusters: 2,
            assignment: vec![0.5; 50],
            cluster: vec![u8::from(script.mix[1] > script.mix[0]); 25],
            entropy: vec![script.entropy + unrest; 25],
            novelty: vec![script.novelty; 25],
            evidence: vec![0.0; 125],
            window_steps: 250,
            proportion: vec![script.mix[0] + unrest, script.mix[1] - unrest],
            window_entropy: script.entropy + unrest,
            window_novelty: script.novelty * (1.0 + unrest),
            class_logit: vec![script.logit + unrest; 5],
            class_prob: vec![0.5; 5],
            surrogate_prob: Vec::new(),
            rms_mv: 0.3,
        };
        Some(Finding {
            bed: self.bed.clone(),
            epoch: 7,
            window: second,
            from_n: (second + 1).saturating_sub(10) * 250,
            to_n: (second + 1) * 250,
            rate,
            end: now(second).utc,
            mode: Mode::Test,
            paced: false,
            coverage: 1.0,
            leads: vec![LeadSignal { lead, signal: script.signal.unwrap_or(Signal::Good), missing: 0.0 }],
            beats: Beats::default(),
            reading: script.not_read.map_or(Ok(reading), Err),
        })
    }
}

fn play(scenario: &Scenario, bundle: &Arc<Bundle>) -> Vec<Played> {
    let setup = Setup { analysis: scenario.analysis.clone(), engine_delay_ms: 1_470, ..Setup::default() };
    let mut ward = Ward::new(setup, bundle);
    let mut analyser = Analyser::new(Arc::clone(bundle), open_engine(bundle, "cpu").expect("a CPU"));
    let mut players: Vec<Player> = scenario.bed.iter().map(Player::new).collect();
    let mut played = Vec::new();
    for second in 0..scenario.seconds {
        let now = now(second);
        for frame in players.iter_mut().filter_map(|p| p.frame(second)) {
            ward.hear(Heard::Frame(frame), now);
        }
        let mut findings: Vec<Finding> = players.iter().filter_map(|p| p.scripted(second)).collect();
        loop {
            let due = ward.take_due(now);
            if due.is_empty() {
                break;
            }
            let scripted = |d: &&wardbeat::pipeline::Due| {
                players.iter().any(|p| p.bed == d.bed && !p.readings.is_empty())
            };
            let read: Vec<_> = due.iter().filter(|d| !scripted(d)).cloned().collect();
            findings.extend(analyser.analyse(&read));
        }
        let alerts = ward.conclude(&findings, now);
        played.extend(alerts.into_iter().map(|alert| Played {
            bed: alert.bed.rsplit('/').next().unwrap_or_default().into(),
            second,
            alert,
        }));
    }
    played
}

/// What the alerts of one bed have against its expectations.
fn faults(script: &BedScript, played: &[Played]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut starts: Vec<&Played> =
        played.iter().filter(|p| p.bed == script.name && p.alert.phase == Phase::Start).collect();
    for expect in &script.expect {
        let fits = |p: &&Played| {
            expect.codes.contains(&p.alert.code) && (expect.from..=expect.to).contains(&p.second)
        };
        let Some(at) = starts.iter().position(fits) else {
            faults.push(format!(
                "{}: none of {:?} from {} to {} s",
                script.name, expect.codes, expect.from, expect.to
            ));
            continue;
        };
        let start = starts.remove(at);
        if expect.more {
            starts.retain(|p| !(expect.codes.contains(&p.alert.code) && p.second >= expect.from));
        }
        let later = || played.iter().filter(|p| p.alert.id == start.alert.id);
        if let Some([from, to]) = expect.ends
            && !later().any(|p| p.alert.phase == Phase::End && (from..=to).contains(&p.second))
        {
            faults.push(format!("{}: {} does not end from {from} to {to} s", script.name, start.alert.code));
        }
        if let Some(level) = expect.level
            && !later().any(|p| p.alert.level == level)
        {
            faults.push(format!("{}: {} is never {level:?}", script.name, start.alert.code));
        }
    }
    faults
        .extend(starts.iter().map(|p| format!("{}: unexpected at {} s: {}", p.bed, p.second, p.alert.text)));
    faults
}

fn check(path: &Path, bundle: &Arc<Bundle>) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a scenario");
    let scenario: Scenario = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let played = play(&scenario, bundle);
    for p in &played {
        println!("{} {:>5} s {:?} {:?} {}", p.bed, p.second, p.alert.phase, p.alert.level, p.alert.text);
        assert!(p.alert.onset <= p.alert.decided, "{:?}", p.alert);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    scenario.bed.iter().flat_map(|b| faults(b, &played)).map(|f| format!("{name}: {f}")).collect()
}

fn scenarios(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(folder);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("scenarios").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

#[test]
fn decisions_follow_the_script() {
    let bundle = Arc::new(Bundle::tiny(1));
    let faults: Vec<String> = scenarios("decisions").iter().flat_map(|p| check(p, &bundle)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn generated_patients_raise_what_they_should_and_nothing_else() {
    let bundle = Arc::new(Bundle::embedded().expect("the embedded model"));
    let faults: Vec<String> = scenarios("patients").iter().flat_map(|p| check(p, &bundle)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
