//! LUDB and QT database: recordings with the wave of each 40 ms step.

use super::DatasetError;
use super::waves::{Wave, spans, waves};
use crate::model::STEP_SAMPLES;
use crate::pipeline::Recording;
use contract::{BedId, LeadId};
use recordings::Record;
use std::path::Path;

/// One record with its truth.
pub struct Annotated {
    /// The record's name.
    pub name: String,
    /// Its leads.
    pub recording: Recording,
    /// Per 40 ms step: its wave, `None` where none is annotated.
    pub waves: Vec<Option<Wave>>,
}

/// Seconds of a long record that are read before and after its annotated stretch.
const AROUND_S: f64 = 10.0;

/// Reads a record's standard leads from sample `from` to `to`.
fn read(path: &Path, from: usize, to: usize) -> Result<Recording, DatasetError> {
    let record = Record::read(path)?;
    let fault = |why: String| DatasetError::Record { path: path.into(), why };
    let rate = record.rate().map_err(|e| fault(e.to_string()))?;
    let (mut leads, mut samples_mv) = (Vec::new(), Vec::new());
    for (i, signal) in record.signals.iter().enumerate() {
        let Ok(lead) = LeadId::new(&signal.name) else { continue };
        if lead.standard().is_some() {
            let mv = record.signal_mv(i).ok_or_else(|| fault("a lead is no voltage".into()))?;
            leads.push(lead);
            samples_mv.push(mv[from.min(mv.len())..to.min(mv.len())].to_vec());
        }
    }
    let bed = BedId::new("file/record/one").map_err(|e| fault(e.to_string()))?;
    Ok(Recording { bed, leads, rate, samples_mv })
}

fn steps(recording: &Recording) -> usize {
    let length = recording.samples_mv.first().map_or(0, Vec::len);
    (length as f64 / recording.rate.as_f64() * 100.0) as usize / STEP_SAMPLES
}

/// Reads every record of LUDB's folder that has annotations of lead II.
///
/// # Errors
/// [`DatasetError`] names the file and what is wrong with it.
pub fn read_ludb(folder: &Path) -> Result<Vec<Annotated>, DatasetError> {
    let mut all = Vec::new();
    for path in recordings::list(folder)? {
        if !path.with_extension("ii").exists() {
            continue;
        }
        let recording = read(&path, 0, usize::MAX)?;
        let per_step = recording.rate.as_f64() * 0.04;
        let waves = waves(&spans(&path, "ii")?, steps(&recording), per_step, 0);
        let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        all.push(Annotated { name, recording, waves });
    }
    Ok(all)
}

/// Reads the stretch annotated by hand (`.q1c`) of every record of the QT database's folder that has lead II; its
/// borders were set on both leads together.
///
/// # Errors
/// [`DatasetError`] names the file and what is wrong with it.
pub fn read_qtdb(folder: &Path) -> Result<Vec<Annotated>, DatasetError> {
    let mut all = Vec::new();
    for path in recordings::list(folder)? {
        if !path.with_extension("q1c").exists() {
            continue;
        }
        let marked = spans(&path, "q1c")?;
        let (Some(first), Some(last)) = (marked.first(), marked.last()) else { continue };
        let rate_hz = Record::read(&path)?.rate_hz;
        let around = (AROUND_S * rate_hz) as u64;
        let from = first.from.saturating_sub(around);
        let recording = read(&path, from as usize, (last.to + around) as usize)?;
        if !recording.leads.iter().any(|lead| lead.standard() == Some(1)) {
            continue;
        }
        let waves = waves(&marked, steps(&recording), rate_hz * 0.04, from);
        let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        all.push(Annotated { name, recording, waves });
    }
    Ok(all)
}
