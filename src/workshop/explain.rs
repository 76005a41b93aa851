//! One recording explained: which clusters, how sure, what the network and its surrogate say.

use super::WorkshopError;
use super::dataset::DatasetError;
use crate::model::{Bundle, STEP_SAMPLES, open_engine};
use crate::pipeline::{Analyser, Recording, analyse_recording};
use crate::strip::{self, ClassEvidence, LeadTrace, LegendEntry, StepMark, StripPicture};
use contract::{Alert, BedId, Finding, LeadId, Ratio, Reading};
use recordings::Record;
use std::path::Path;
use std::sync::Arc;

/// Length of a step in seconds.
const STEP_S: f32 = 0.04;

/// Reads a WFDB record; leads that are no ECG are left out.
///
/// # Errors
/// [`WorkshopError`] names the file and what is wrong with it.
pub fn read_recording(path: &Path) -> Result<Recording, WorkshopError> {
    let record = Record::read(path).map_err(DatasetError::from)?;
    let fault = |why: String| DatasetError::Record { path: path.into(), why };
    let rate = record.rate().map_err(|e| fault(e.to_string()))?;
    let (mut leads, mut samples_mv) = (Vec::new(), Vec::new());
    for (i, signal) in record.signals.iter().enumerate() {
        let Ok(lead) = LeadId::new(&signal.name) else { continue };
        if let (Some(_), Some(mv)) = (lead.standard(), record.signal_mv(i)) {
            leads.push(lead);
            samples_mv.push(mv);
        }
    }
    if leads.is_empty() {
        let names: Vec<&str> = record.signals.iter().map(|s| s.name.as_str()).collect();
        return Err(fault(format!("none of its signals {names:?} is an ECG lead")).into());
    }
    let bed = BedId::new("file/record/one").map_err(|e| fault(e.to_string()))?;
    Ok(Recording { bed, leads, rate, samples_mv })
}

/// A stretch of a recording, explained.
pub struct Explained {
    /// The drawing.
    pub picture: StripPicture,
    /// The reading of the window that ends the stretch, if any.
    pub reading: Option<Reading>,
}

/// The file that a drawing becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// To scale, in millimetres.
    Svg,
    /// Pixels.
    Png,
    /// The numbers behind it.
    Json,
}

impl Format {
    /// By a file's extension.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "svg" => Some(Self::Svg),
            "png" => Some(Self::Png),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A picture with fewer samples a second: small enough to keep hundreds of strips. Of each piece the sample farthest from
/// its first is kept, so that no narrow wave is lost.
#[must_use]
pub fn thinned(mut picture: StripPicture, rate_hz: f32) -> StripPicture {
    let step = (picture.rate_hz / rate_hz).max(1.0);
    for lead in &mut picture.leads {
        let mv = &lead.samples_mv;
        let at = |i: usize| (i as f32 * step) as usize;
        let piece = |i: usize| {
            let piece = mv.get(at(i)..at(i + 1).min(mv.len())).filter(|p| !p.is_empty())?;
            let far = |far: f32, v: f32| if (v - piece[0]).abs() > (far - piece[0]).abs() { v } else { far };
            Some(piece.iter().copied().fold(piece[0], far))
        };
        lead.samples_mv = (0..).map_while(piece).collect();
    }
    picture.rate_hz /= step;
    picture
}

impl Explained {
    /// The drawing as a file's bytes.
    ///
    /// # Errors
    /// [`WorkshopError`] if the stretch is too long for one picture.
    pub fn draw(&self, format: Format) -> Result<Vec<u8>, WorkshopError> {
        Ok(match format {
            Format::Svg => strip::svg(&self.picture)?.into_bytes(),
            Format::Png => strip::png(&self.picture)?,
            Format::Json => strip::json(&self.picture)?.into_bytes(),
        })
    }
}

fn marks(bundle: &Bundle, readings: &[&Reading]) -> Vec<StepMark> {
    let mark = |r: &Reading, i: usize| StepMark {
        cluster: r.cluster[i],
        family: bundle.codebook.names[usize::from(r.cluster[i])].family.letter(),
        entropy: r.entropy[i],
        novelty: r.novelty[i],
    };
    readings.iter().flat_map(|r| (0..r.steps).map(move |i| mark(r, i))).collect()
}

fn legend(bundle: &Bundle, steps: &[StepMark]) -> Vec<LegendEntry> {
    let share = |k: usize| {
        steps.iter().filter(|s| usize::from(s.cluster) == k).count() as f32 / steps.len().max(1) as f32
    };
    let entry = |(k, name): (usize, &crate::snapshot::ClusterName)| LegendEntry {
        cluster: k as u8,
        family: name.family.letter(),
        name: name.name.clone(),
        share: share(k),
    };
    let mut entries: Vec<LegendEntry> =
        bundle.codebook.names.iter().enumerate().map(entry).filter(|e| e.share > 0.0).collect();
    entries.sort_by(|a, b| b.share.total_cmp(&a.share));
    entries
}

fn evidence(bundle: &Bundle, readings: &[&Reading]) -> Vec<ClassEvidence> {
    let Some(last) = readings.last() else { return Vec::new() };
    let classes = bundle.manifest.classes.len();
    let class = |(k, name): (usize, &String)| ClassEvidence {
        name: name.clone(),
        network: last.class_prob[k],
        surrogate: last.surrogate_prob.get(k).copied(),
        per_step: readings.iter().flat_map(|r| r.evidence.iter().skip(k).step_by(classes).copied()).collect(),
    };
    bundle.manifest.classes.iter().enumerate().map(class).collect()
}

/// Signal to be drawn with what was read of it.
pub struct Stretch {
    /// Leads.
    pub leads: Vec<LeadId>,
    /// Rate of the samples.
    pub rate: Ratio,
    /// Index of the first sample, as the findings count.
    pub from_n: u64,
    /// Millivolts, a row a lead.
    pub samples_mv: Vec<Vec<f32>>,
}

/// A stretch with the readings that cover it, in order: clusters, entropy, novelty and classes along the trace. Whoever
/// draws for a bedside takes the classes out (`evidence`).
#[must_use]
pub fn picture(bundle: &Bundle, stretch: &Stretch, findings: &[Finding]) -> StripPicture {
    let rate = stretch.rate.as_f64();
    let from = stretch.from_n as f64;
    let to = from + stretch.samples_mv.iter().map(Vec::len).min().unwrap_or(0) as f64;
    let per_step = STEP_SAMPLES as f64 * rate / 100.0;
    let inside = |r: &&Reading| {
        let centre = r.first_step_n + r.steps as f64 * per_step;
        centre > from && r.first_step_n < to
    };
    let readings = findings.iter().filter_map(|f| f.reading.as_ref().ok()).filter(inside);
    let readings: Vec<&Reading> = readings.collect();
    let all = marks(bundle, &readings);
    let first_n = readings.first().map_or(from, |r| r.first_step_n);
    let skip = (((from - first_n) / per_step).ceil().max(0.0)) as usize;
    let keep = ((to - first_n) / per_step).ceil().max(0.0) as usize;
    let steps: Vec<StepMark> = all.into_iter().take(keep).skip(skip).collect();
    let mut classes = evidence(bundle, &readings);
    for class in &mut classes {
        class.per_step = class.per_step.drain(..).take(keep).skip(skip).collect();
    }
    let lead = |(lead, mv): (&LeadId, &Vec<f32>)| LeadTrace { lead: *lead, samples_mv: mv.clone() };
    let first_step_n = first_n + skip as f64 * per_step;
    StripPicture {
        rate_hz: rate as f32,
        leads: stretch.leads.iter().zip(&stretch.samples_mv).map(lead).collect(),
        legend: legend(bundle, &steps),
        steps,
        step_s: STEP_S,
        // A step reaches half its length to both sides of its centre.
        first_step_s: ((first_step_n - from) / rate) as f32 - STEP_S / 2.0,
        novelty_threshold: Some(1.0),
        evidence: classes,
        note: Alert::LIMITS.into(),
        ..StripPicture::default()
    }
}

/// Explains `seconds` of a recording from `from_s` on. The whole recording goes through the pipeline, so a stretch is
/// read as it was live.
///
/// # Errors
/// [`WorkshopError`] if the stretch lies outside the recording or the engine cannot be opened.
pub fn explain(
    bundle: &Arc<Bundle>,
    recording: &Recording,
    title: Vec<String>,
    from_s: f32,
    seconds: f32,
) -> Result<Explained, WorkshopError> {
    let rate = recording.rate.as_f64();
    let length = recording.samples_mv.iter().map(Vec::len).min().unwrap_or(0);
    let from = (f64::from(from_s) * rate) as usize;
    let to = ((f64::from(from_s + seconds) * rate) as usize).min(length);
    if from_s < 0.0 || from >= to {
        return Err(WorkshopError::Stretch { from_s, length_s: (length as f64 / rate) as f32 });
    }
    let mut analyser = Analyser::new(bundle.clone(), open_engine(bundle, "cpu")?);
    let findings = analyse_recording(&mut analyser, recording, true);
    let stretch = Stretch {
        leads: recording.leads.clone(),
        rate: recording.rate,
        from_n: from as u64,
        samples_mv: recording.samples_mv.iter().map(|mv| mv[from..to].to_vec()).collect(),
    };
    let picture =
        StripPicture { title, start: format!("{from_s:.1} s"), ..picture(bundle, &stretch, &findings) };
    let reaches = |r: &Reading| r.first_step_n + r.steps as f64 * STEP_SAMPLES as f64 * rate / 100.0;
    let covers = |r: &&Reading| reaches(r) > from as f64 && r.first_step_n < to as f64;
    let reading = findings.iter().rev().filter_map(|f| f.reading.as_ref().ok()).find(covers).cloned();
    Ok(Explained { picture, reading })
}
