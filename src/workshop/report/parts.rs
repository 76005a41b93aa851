//! The parts of a report: made once, then kept.

use crate::model::{Bundle, LiveEngine, ModelError, arrays};
use crate::pipeline::preprocess::prepare_whole;
use crate::workshop::WorkshopError;
use crate::workshop::dataset::{Annotated, PtbXl};
use crate::workshop::evaluate::{
    AgeFigures, Aged, Candidate, ClassEntropy, Dose, Errors, Flips, How, Judged, Landmarks, Method,
    age_figures, attribution, by_class, errors, evaluate, flips, known_of_folds, landmarks, letters,
    noise_response, tell_ages,
};
use crate::workshop::folds::Fold;
use crate::workshop::leads::LEAD_SETS;
use crate::workshop::partitions::ari;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The customary split, which the shipped bundle keeps to: its folds for training, choices and report.
const TRAIN: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const CHOOSE: u8 = 9;
const REPORT: u8 = 10;

/// What a report draws on beside the folds.
pub struct Sources<'a> {
    /// PTB-XL.
    pub set: &'a PtbXl,
    /// Annotated records; empty where the data set is absent.
    pub ludb: &'a [Annotated],
    /// The same of the QT database.
    pub qtdb: &'a [Annotated],
    /// Folder of noise records, if any.
    pub noise: Option<PathBuf>,
}

/// One fold, ready for the report.
pub struct Judging {
    /// Which.
    pub fold: Fold,
    /// Its bundle.
    pub bundle: Bundle,
    /// Its judgement.
    pub judged: Judged,
}

/// Everything that the report shows.
pub struct Parts {
    /// Id and name of the bundle that the report chose.
    pub model: String,
    /// Its one line on the training.
    pub training: String,
    /// Each fold of the cross-validation.
    pub folds: Vec<Judged>,
    /// The bundle on fold 10.
    pub shipped: Judged,
    /// Landmarks by data set and leads.
    pub landmarks: Vec<Landmarks>,
    /// Adjusted Rand index between letters of the folds' bundles on LUDB, twelve leads: other networks, other codebooks.
    pub ari_folds: Vec<f64>,
    /// The sweep that chose the clusters, if it was run.
    pub choice: Vec<Candidate>,
    /// Entropy by class.
    pub classes: BTreeMap<String, ClassEntropy>,
    /// Entropy and the network's errors.
    pub errors: Errors,
    /// Entropy under noise; empty without noise records.
    pub noise: Vec<Dose>,
    /// Label flips, where there are records enough.
    pub flips: Option<Flips>,
    /// Attribution by method.
    pub attribution: BTreeMap<String, Method>,
    /// Age.
    pub age: Option<AgeFigures>,
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    /// What it belongs to: the shipped bundle's `findings_id`, or the folds' ids.
    model: String,
    value: T,
}

/// The part from its file, or made and kept.
fn kept<T: Serialize + DeserializeOwned>(
    folder: &Path,
    name: &str,
    model: &str,
    make: impl FnOnce() -> Result<T, WorkshopError>,
) -> Result<T, WorkshopError> {
    let path = folder.join(format!("{name}.json"));
    let json = |e: serde_json::Error| WorkshopError::Json(format!("{}: {e}", path.display()));
    if path.exists() {
        let kept: Kept<T> = serde_json::from_slice(&arrays::read(&path)?).map_err(json)?;
        if kept.model == model {
            return Ok(kept.value);
        }
    }
    let kept = Kept { model: model.into(), value: make()? };
    let text = serde_json::to_string(&kept).map_err(json)?;
    arrays::write(&path, (text + "\n").as_bytes())?;
    Ok(kept.value)
}

fn all_landmarks(
    bundle: &Bundle,
    sources: &Sources<'_>,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Landmarks>, WorkshopError> {
    let (twelve, ii) = (LEAD_SETS[0].1, LEAD_SETS[4].1);
    let taught = (sources.set, TRAIN.as_slice());
    let mut of_ii = vec![("LUDB, lead II", sources.ludb), ("QT database, lead II", sources.qtdb)];
    let mut of_twelve = vec![("LUDB, twelve leads", sources.ludb)];
    for tests in [&mut of_ii, &mut of_twelve] {
        tests.retain(|(_, records)| !records.is_empty());
    }
    let mut all = landmarks(bundle, taught, ii, &of_ii, tell)?;
    all.extend(landmarks(bundle, taught, twelve, &of_twelve, tell)?);
    Ok(all)
}

/// Adjusted Rand indices of all pairs of folds on LUDB.
fn between_folds(folds: &[Judging], ludb: &[Annotated]) -> Result<Vec<f64>, WorkshopError> {
    let mask = LEAD_SETS[0].1;
    let inputs: Vec<Vec<f32>> = ludb.iter().filter_map(|r| prepare_whole(&r.recording, mask)).collect();
    let mut said: Vec<Vec<u8>> = Vec::new();
    for Judging { bundle, .. } in folds {
        let mut engine = LiveEngine::new(bundle.network().clone());
        let mut all = Vec::new();
        for input in &inputs {
            all.extend(letters(&mut engine, &bundle.codebook, input, mask)?);
        }
        said.push(all);
    }
    Ok((0..said.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|(i, j)| ari(&said[i], &said[j]))
        .collect())
}

impl Parts {
    /// Makes what is not there yet; the bundle is judged as the folds were. `micros` reads a clock for the methods' cost.
    ///
    /// # Errors
    /// [`WorkshopError`] if a part fails.
    pub fn make(
        folder: &Path,
        bundle: &Bundle,
        folds: Vec<Judging>,
        sources: &Sources<'_>,
        how: How,
        micros: &dyn Fn() -> u64,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, WorkshopError> {
        std::fs::create_dir_all(folder)
            .map_err(|e| ModelError::Bundle(format!("{}: {e}", folder.display())))?;
        // What the live score learnt changes nothing here.
        let (id, set) = (bundle.findings_id.as_str(), sources.set);
        let ids: Vec<&str> = folds.iter().map(|f| f.bundle.id.as_str()).collect();
        let ids = ids.join(" ");
        tell("the shipped bundle on fold 10");
        let judged_as = format!("{id}, {} trees", how.trees);
        let shipped =
            kept(folder, "shipped", &judged_as, || evaluate(bundle, set, &TRAIN, REPORT, how, tell))?;
        let landmarks = kept(folder, "landmarks", id, || all_landmarks(bundle, sources, tell))?;
        tell("letters of all folds");
        let ari_folds = kept(folder, "stability", &ids, || between_folds(&folds, sources.ludb))?;
        let noise = match &sources.noise {
            Some(noise) => kept(folder, "noise", id, || noise_response(bundle, set, REPORT, noise, tell))?,
            None => Vec::new(),
        };
        let flips = kept(folder, "flips", id, || match flips(bundle, set, &[CHOOSE, REPORT], tell) {
            Ok(flips) => Ok(Some(flips)),
            Err(WorkshopError::TooFew { .. }) => Ok(None),
            Err(other) => Err(other),
        })?;
        let attribution = kept(folder, "attribution", id, || {
            let retrained = folds.first().map(|f| &f.bundle);
            attribution(bundle, retrained, set, (&TRAIN, REPORT), micros, tell)
        })?;
        tell("age");
        let aged: Vec<Aged> = kept(folder, "age", &ids, || {
            let of = |f: &Judging| -> Result<Vec<Aged>, WorkshopError> {
                let known = |folds: &[u8]| known_of_folds(&f.bundle, set, folds);
                Ok(tell_ages(&known(&f.fold.train())?, &known(&[f.fold.test])?))
            };
            Ok(folds.iter().map(of).collect::<Result<Vec<_>, _>>()?.concat())
        })?;
        let choice: Option<Kept<Vec<Candidate>>> =
            arrays::read(&folder.join("choice.json")).ok().and_then(|b| serde_json::from_slice(&b).ok());
        let folds: Vec<Judged> = folds.into_iter().map(|f| f.judged).collect();
        tell("entropy and errors");
        Ok(Self {
            model: bundle.id.clone(),
            training: bundle.manifest.training.clone(),
            classes: by_class(&folds),
            errors: errors(&folds),
            shipped,
            landmarks,
            ari_folds,
            choice: choice.map(|c| c.value).unwrap_or_default(),
            noise,
            flips,
            attribution,
            age: (!aged.is_empty()).then(|| age_figures(&aged)),
            folds,
        })
    }

    /// Runs the sweep that chooses the clusters and keeps it for the report.
    ///
    /// # Errors
    /// [`WorkshopError`] if it fails.
    pub fn keep_choice(
        folder: &Path,
        bundle: &Bundle,
        make: impl FnOnce() -> Result<Vec<Candidate>, WorkshopError>,
    ) -> Result<Vec<Candidate>, WorkshopError> {
        std::fs::create_dir_all(folder)
            .map_err(|e| ModelError::Bundle(format!("{}: {e}", folder.display())))?;
        kept(folder, "choice", &bundle.findings_id, make)
    }
}
