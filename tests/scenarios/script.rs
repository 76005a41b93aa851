//! What a scenario may say, and the beds that play it.

use contract::{
    Alert, Beats, BedId, Birth, Code, Finding, Flags, Frame, FrameParts, LeadId, LeadSignal, Level, Mode,
    MonoMs, NotRead, Options, Ratio, Reading, Signal, Status, UtcMs,
};
use patient::{Change, Cue, Lead, Noise, Patient, Profile, Rhythm};
use serde::Deserialize;
use std::collections::BTreeMap;
use wardbeat::config::Analysis;
use wardbeat::pipeline::Now;
use wardbeat::snapshot::BedState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub seconds: u64,
    #[serde(default)]
    pub analysis: Analysis,
    /// What units have of their own.
    #[serde(default)]
    pub unit: BTreeMap<String, Options>,
    /// Seconds at which Wardbeat is restarted.
    #[serde(default)]
    pub restart: Vec<u64>,
    pub bed: Vec<BedScript>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BedScript {
    pub name: String,
    #[serde(default = "ward")]
    pub unit: String,
    /// What the bed has of its own.
    #[serde(default)]
    pub analysis: Options,
    /// What people ask.
    #[serde(default)]
    pub ask: Vec<AskScript>,
    /// Who lies in the bed from when on.
    #[serde(default)]
    pub patient: Vec<PatientScript>,
    /// Seconds at which the monitor restarts: a new epoch, samples counted from 0.
    #[serde(default)]
    pub epoch: Vec<u64>,
    /// What the screen must show.
    #[serde(default)]
    pub look: Vec<Look>,
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub leads: Vec<String>,
    /// Seconds without frames.
    #[serde(default)]
    pub silent: Vec<[u64; 2]>,
    #[serde(default)]
    pub cue: Vec<CueScript>,
    #[serde(default)]
    pub reading: Vec<ReadingScript>,
    #[serde(default)]
    pub expect: Vec<Expect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CueScript {
    pub at: f64,
    pub rhythm: Option<String>,
    pub lead_off: Option<String>,
    pub muscle_mv: Option<f32>,
}

/// Readings from a second on.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct ReadingScript {
    pub from: u64,
    #[serde(default)]
    pub entropy: f32,
    #[serde(default)]
    pub novelty: f32,
    #[serde(default)]
    pub mix: [f32; 2],
    #[serde(default)]
    pub logit: f32,
    /// Instead of a reading.
    pub not_read: Option<NotRead>,
    pub signal: Option<Signal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// One of these codes.
    pub codes: Vec<Code>,
    pub from: u64,
    pub to: u64,
    #[serde(default)]
    pub ends: Option<[u64; 2]>,
    pub level: Option<Level>,
    /// Others of these codes may come too.
    #[serde(default)]
    pub more: bool,
    /// It is not said but held back, by this (`cap`, `pause`, `lesser`).
    pub held: Option<String>,
    /// An update raises its level to alert.
    pub rises: Option<[u64; 2]>,
    /// Its first second.
    pub onset: Option<[u64; 2]>,
    /// The second of signal on which its start is decided.
    pub decided: Option<[u64; 2]>,
    /// It never ends in this story.
    #[serde(default)]
    pub stays: bool,
}

/// Something that a person asks at a second.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // Each is a word of the script.
pub struct AskScript {
    pub at: u64,
    /// Acknowledge the listed alert of this code.
    pub ack: Option<Code>,
    /// Name the revision before the present one.
    #[serde(default)]
    pub stale: bool,
    /// Minutes.
    pub pause: Option<u32>,
    #[serde(default)]
    pub resume: bool,
    #[serde(default)]
    pub relearn: bool,
    #[serde(default)]
    pub undo: bool,
    pub mark: Option<String>,
    #[serde(default = "applied")]
    pub answer: Status,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientScript {
    pub at: u64,
    pub token: String,
}

/// What the screen shows of a bed at a second.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    pub at: u64,
    pub state: Option<BedState>,
    /// Alerts listed whose condition is open.
    pub open: Option<usize>,
    /// Alerts listed that nobody has seen.
    pub unseen: Option<usize>,
    /// Alerts listed that were held back.
    pub silent: Option<usize>,
    pub marks: Option<usize>,
}

pub fn ward() -> String {
    "ward".into()
}

pub fn applied() -> Status {
    Status::Applied
}

pub struct Played {
    pub bed: String,
    pub second: u64,
    pub alert: Alert,
    pub held: Option<&'static str>,
}

/// The time of a second of signal.
pub fn stamp(second: u64) -> UtcMs {
    UtcMs(1_795_385_712_000 + second as i64 * 1_000)
}

/// The node's clock, so late behind the signal.
#[derive(Clone, Copy)]
pub struct Wall {
    pub late_ms: u32,
}

impl Wall {
    pub fn now(self, second: u64) -> Now {
        let mono = MonoMs(1_000_000 + second * 1_000 + u64::from(self.late_ms));
        Now { mono, utc: stamp(second).after(i64::from(self.late_ms)) }
    }
}

pub fn bed_id(script: &BedScript) -> BedId {
    BedId::new(&format!("test/{}/{}", script.unit, script.name)).expect("a bed's name")
}

pub fn birth(script: &BedScript, token: &str) -> Birth {
    Birth {
        bed: bed_id(script),
        epoch: None,
        leads: Vec::new(),
        rate: None,
        patient: Some(token.into()),
        monitor: None,
        clock: None,
        paced: false,
        mode: Mode::Test,
    }
}

pub fn cue(script: &CueScript) -> Cue {
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
pub struct Player {
    pub bed: BedId,
    pub patient: Patient,
    pub leads: Vec<Lead>,
    pub silent: Vec<[u64; 2]>,
    pub readings: Vec<ReadingScript>,
    pub epochs: Vec<u64>,
}

impl Player {
    pub fn new(script: &BedScript) -> Self {
        let leads: Vec<Lead> = script.leads.iter().map(|l| Lead::of(l).expect("a lead")).collect();
        let timeline = script.cue.iter().map(cue).collect();
        Self {
            bed: bed_id(script),
            patient: Patient::new(script.seed, Profile::default()).with_timeline(timeline),
            leads: if leads.is_empty() { vec![Lead::of("II").expect("a lead")] } else { leads },
            silent: script.silent.clone(),
            readings: script.reading.clone(),
            epochs: script.epoch.clone(),
        }
    }

    /// The epoch of a second, and the second within it.
    pub fn place(&self, second: u64) -> (u32, u64) {
        let before = self.epochs.iter().filter(|&&e| e <= second);
        (7 + before.clone().count() as u32, second - before.max().copied().unwrap_or(0))
    }

    pub fn frame(&mut self, second: u64) -> Option<Frame> {
        if self.silent.iter().any(|s| (s[0]..s[1]).contains(&second)) {
            return None;
        }
        let (epoch, within) = self.place(second);
        let rate = Ratio::hz(250).expect("valid");
        let rows = self.patient.samples(250.0, second * 250, 250, &self.leads);
        let flags = Flags { lead_off: !self.patient.leads_off(second as f64).is_empty(), ..Flags::default() };
        let parts = FrameParts {
            bed: self.bed.clone(),
            epoch,
            seq: within as u32,
            n0: within * 250,
            rate,
            t0: Some(stamp(second)),
            flags,
            mode: Mode::Test,
            leads: self.leads.iter().map(|l| LeadId::new(l.name()).expect("valid")).collect(),
            samples_mv: rows.concat(),
        };
        Some(Frame::new(parts).expect("valid"))
    }

    /// The scripted finding of a second, with a small fixed unrest.
    pub fn scripted(&self, second: u64) -> Option<Finding> {
        let script = self.readings.iter().rfind(|r| r.from <= second)?;
        let rate = Ratio::hz(250).expect("valid");
        let unrest = [0.0, 0.004, -0.004, 0.008, -0.008][(second * 7 % 5) as usize];
        let lead = LeadId::new("II").expect("valid");
        let (epoch, within) = self.place(second);
        let reading = Reading {
            lead_mask: 2,
            steps: 25,
            first_step_n: (within * 250) as f64 - 367.0,
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
            epoch,
            window: within,
            from_n: (within + 1).saturating_sub(10) * 250,
            to_n: (within + 1) * 250,
            rate,
            end: stamp(second),
            mode: Mode::Test,
            paced: false,
            coverage: 1.0,
            leads: vec![LeadSignal { lead, signal: script.signal.unwrap_or(Signal::Good), missing: 0.0 }],
            quality: contract::Quality::default(),
            beats: Beats::default(),
            reading: script.not_read.map_or(Ok(reading), Err),
        })
    }
}
