//! Every recording through the pipeline once, what each second showed on disk: a bench that is run again, or was broken
//! off, computes only what is missing.

use super::{Record, Set};
use crate::model::{Bundle, LiveEngine, ModelError, arrays};
use crate::pipeline::{Analyser, Facts, analyse_recording};
use crate::workshop::WorkshopError;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Form of the files, raised when [`Facts`] means something else than before.
const FORM: u32 = 4;

/// What one recording showed, second by second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cached {
    form: u32,
    /// What the findings depend on.
    model: String,
    /// One entry a second.
    pub facts: Vec<Facts>,
}

fn file(work: &Path, record: &Record) -> PathBuf {
    work.join(record.set.name()).join(format!("{}.json", record.name))
}

fn kept(path: &Path, model: &str) -> Option<Cached> {
    let cached: Cached = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (cached.form == FORM && cached.model == model).then_some(cached)
}

fn run(bundle: &Arc<Bundle>, record: &Record) -> Result<Cached, WorkshopError> {
    let recording = record.read()?;
    let engine = Box::new(LiveEngine::new(bundle.network().clone()));
    let mut analyser = Analyser::new(bundle.clone(), engine);
    let findings = analyse_recording(&mut analyser, &recording, false);
    Ok(Cached {
        form: FORM,
        model: bundle.findings_id.clone(),
        facts: findings.iter().map(Facts::of).collect(),
    })
}

fn compute(bundle: &Arc<Bundle>, record: &Record, path: &Path) -> Result<Cached, WorkshopError> {
    let cached = run(bundle, record)?;
    let json =
        serde_json::to_vec(&cached).map_err(|e| WorkshopError::Json(format!("{}: {e}", path.display())))?;
    arrays::write(path, &json)?;
    Ok(cached)
}

/// What every recording shows, in order: from `work` where it is there, else computed and put there.
///
/// # Errors
/// [`WorkshopError`] for a recording that cannot be read or a folder that cannot be written.
pub fn fill(
    bundle: &Arc<Bundle>,
    records: &[Record],
    work: &Path,
    bar: &ProgressBar,
) -> Result<Vec<Cached>, WorkshopError> {
    for set in Set::ALL {
        let folder = work.join(set.name());
        std::fs::create_dir_all(&folder)
            .map_err(|e| ModelError::Bundle(format!("{}: {e}", folder.display())))?;
    }
    bar.set_length(records.len() as u64);
    let one = |record: &Record| {
        let path = file(work, record);
        let kept = kept(&path, &bundle.findings_id);
        let cached = kept.map_or_else(|| compute(bundle, record, &path), Ok)?;
        bar.inc(1);
        Ok(cached)
    };
    records.par_iter().map(one).collect()
}
