//! The beds of the demo: generated patients after a script, or recordings.

use anyhow::{Context, ensure};
use contract::{BedId, Ratio};
use monitor::{Act, BedPlan, Generated, Recorded};
use patient::{Change, Cue, Lead, Noise, Patient, Profile, Rhythm};
use std::path::Path;

/// Site and unit of the demo's beds, as in `config/demo.toml`.
const UNIT: &str = "demo/ward";
/// When the rhythm of bed 1 collapses.
pub(super) const COLLAPSE_S: u64 = 32;
/// When the rhythm of bed 2 becomes irregular.
pub(super) const IRREGULAR_S: u64 = 28;
/// When bed 3 loses a lead.
pub(super) const LEAD_OFF_S: u64 = 24;
/// When bed 4 becomes noisy.
pub(super) const NOISE_S: u64 = 26;
/// When bed 5 falls silent, and when it comes back.
pub(super) const SILENT_S: [u64; 2] = [22, 36];

/// Lead sets of real monitors, in turn.
const LEADS: [&[Lead]; 3] = [&[Lead::II, Lead::V1], &[Lead::II, Lead::V5], &[Lead::I, Lead::II, Lead::V1]];
/// Sampling rates of real monitors, in turn.
const RATES_HZ: [u32; 3] = [250, 500, 360];

pub(super) fn bed(number: u16) -> BedId {
    BedId::new(&format!("{UNIT}/b{number:02}")).expect("clean levels")
}

/// Generated patients, the first five after the script.
pub(super) fn scripted(beds: u16, seed: u64) -> anyhow::Result<Vec<BedPlan>> {
    (1..=beds).map(|number| scripted_bed(number, seed)).collect()
}

fn scripted_bed(number: u16, seed: u64) -> anyhow::Result<BedPlan> {
    let place = usize::from(number - 1);
    let (leads, rate) = (LEADS[place % LEADS.len()], Ratio::hz(RATES_HZ[place % RATES_HZ.len()])?);
    let at = |second: u64, change| vec![Cue::at(second as f64, change)];
    let loud = Noise { motion_mv: 1.5, muscle_mv: 0.4, mains_mv: 0.3, wander_mv: 0.8 };
    let cues = match number {
        1 => at(COLLAPSE_S, Change::Rhythm(Rhythm::VentricularFibrillation)),
        2 => at(IRREGULAR_S, Change::Rhythm(Rhythm::AtrialFibrillation)),
        3 => at(LEAD_OFF_S, Change::LeadOff(leads[leads.len() - 1])),
        4 => at(NOISE_S, Change::Noise(loud)),
        _ => Vec::new(),
    };
    let patient = Patient::new(seed.wrapping_add(u64::from(number)), Profile::default()).with_timeline(cues);
    let mut plan = BedPlan::new(bed(number), Box::new(Generated::new(patient, leads, rate)?));
    plan.patient = Some(format!("generated-{seed}-{number}"));
    if number == 5 {
        plan.script.push(Act::silent(SILENT_S[0] as f64, SILENT_S[1] as f64));
    }
    Ok(plan)
}

/// Recordings, dealt out in turn; a bed that repeats one starts elsewhere in it.
pub(super) fn replayed(path: &Path, beds: u16) -> anyhow::Result<Vec<BedPlan>> {
    let paths = if path.is_dir() { recordings::list(path)? } else { vec![path.to_owned()] };
    ensure!(!paths.is_empty(), "no WFDB records in {}; give the folder of their .hea files", path.display());
    let used = paths.len().min(usize::from(beds));
    let read = |path: &std::path::PathBuf| -> anyhow::Result<Recorded> {
        let record = recordings::Record::read(path).with_context(|| path.display().to_string())?;
        Ok(Recorded::of(&record)?.looped())
    };
    let records = paths[..used].iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let plan = |number: u16| {
        let (turn, place) = (usize::from(number - 1) / used, usize::from(number - 1) % used);
        let signal = records[place].starting_at(turn * 1_000);
        BedPlan::new(bed(number), Box::new(signal))
    };
    Ok((1..=beds).map(plan).collect())
}
