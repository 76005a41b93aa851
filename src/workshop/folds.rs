//! Cross-validation by PTB-XL's own folds: each fold's network is trained, its clusters are fitted, then it is judged.
//!
//! A stage that is done is never done again. Weights and bundle of fold k lie in `weights/foldNN` of the report's
//! folder, its judgement in `foldNN.json`; checkpoints of a training that goes on, with the optimiser's state, lie in the
//! working folder and are removed with its end. To have a stage done anew, remove its files.

use super::WorkshopError;
use super::dataset::{Annotated, PtbXl};
use super::evaluate::{How, Judged, evaluate};
use super::fit_clusters;
use super::train::{self, Epoch, Run, Training};
use crate::model::{Arrays, Bundle, Device, ModelError, arrays};
use indicatif::ProgressBar;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// One turn of the cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    /// Judged, and seen by nothing before.
    pub test: u8,
    /// For thresholds and choices.
    pub choose: u8,
}

impl Fold {
    /// Test fold k: the next one chooses (1 after 10), the other eight train.
    #[must_use]
    pub fn of(test: u8) -> Self {
        Self { test, choose: test % 10 + 1 }
    }

    /// The folds trained on.
    #[must_use]
    pub fn train(self) -> Vec<u8> {
        (1..=10).filter(|f| *f != self.test && *f != self.choose).collect()
    }

    /// Its name in files.
    #[must_use]
    pub fn name(self) -> String {
        format!("fold{:02}", self.test)
    }
}

/// How all folds are done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Folder of checkpoints.
    pub work: PathBuf,
    /// Folder of the report.
    pub out: PathBuf,
    /// Passes over the training folds.
    pub epochs: u32,
    /// Seed of training and clusters.
    pub seed: u64,
    /// Clusters K.
    pub clusters: usize,
    /// Starts of k-means.
    pub starts: u64,
    /// Weight of each tapped block in the clusters' distance.
    pub block_weights: Vec<f32>,
    /// Trees of each forest.
    pub trees: usize,
    /// What trains, as [`train::Plan`] has it.
    pub device: Option<Device>,
}

/// A JSON file, if it is there.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, WorkshopError> {
    if !path.exists() {
        return Ok(None);
    }
    let fault = |e: serde_json::Error| WorkshopError::Json(format!("{}: {e}", path.display()));
    serde_json::from_slice(&arrays::read(path)?).map(Some).map_err(fault)
}

fn make_folder(path: &Path) -> Result<(), WorkshopError> {
    std::fs::create_dir_all(path).map_err(|e| ModelError::Bundle(format!("{}: {e}", path.display())).into())
}

impl Plan {
    /// Where a fold's weights and bundle lie.
    #[must_use]
    pub fn bundle(&self, fold: Fold) -> PathBuf {
        self.out.join("weights").join(fold.name())
    }

    /// How each fold is judged.
    #[must_use]
    pub fn how(&self) -> How {
        How { bounds: true, trees: self.trees }
    }

    fn judgement(&self, fold: Fold) -> PathBuf {
        self.out.join(fold.name() + ".json")
    }

    fn training(&self, fold: Fold) -> train::Plan {
        train::Plan {
            out: self.work.join(fold.name()),
            epochs: self.epochs,
            seed: self.seed,
            train_folds: fold.train(),
            choose_fold: fold.choose,
            resume: true,
            device: self.device.clone(),
        }
    }

    /// The finished training of a fold, if it is there.
    ///
    /// # Errors
    /// [`WorkshopError::OtherRun`] if what is there was trained otherwise.
    pub fn trained(&self, fold: Fold, set: &PtbXl) -> Result<Option<Training>, WorkshopError> {
        let path = self.bundle(fold).join("training.json");
        let Some(found) = read_json::<Training>(&path)? else { return Ok(None) };
        let told = |recipe, epochs, seed, folds: &[u8], records| {
            format!("recipe {recipe}, {epochs} epochs, seed {seed}, folds {folds:?}, {records} records")
        };
        let has = told(found.recipe, found.epochs, found.seed, &found.train_folds, found.records);
        let records = set.in_folds(&fold.train()).len();
        let wanted = told(train::RECIPE, self.epochs, self.seed, &fold.train(), records);
        if has != wanted {
            return Err(WorkshopError::OtherRun { path, found: has, wanted });
        }
        Ok(Some(found))
    }

    /// Steps of training that the fold still needs.
    ///
    /// # Errors
    /// As [`Plan::trained`] and [`Run::new`].
    pub fn steps_left(&self, fold: Fold, set: &PtbXl) -> Result<u64, WorkshopError> {
        if self.trained(fold, set)?.is_some() {
            return Ok(0);
        }
        let run = Run::new(self.training(fold), set)?;
        Ok(u64::from(self.epochs - run.epochs_done().min(self.epochs)) * run.steps_per_epoch())
    }

    /// Trains the fold's network, from its checkpoint on where there is one. `tell` hears of each epoch.
    ///
    /// # Errors
    /// [`WorkshopError`] if training fails or a file cannot be written.
    pub fn train(
        &self,
        fold: Fold,
        set: &PtbXl,
        bar: &ProgressBar,
        tell: &dyn Fn(&Epoch),
    ) -> Result<(), WorkshopError> {
        if self.trained(fold, set)?.is_some() {
            return Ok(());
        }
        let plan = self.training(fold);
        make_folder(&plan.out)?;
        let mut run = Run::new(plan.clone(), set)?;
        while run.epochs_done() < self.epochs {
            tell(&run.epoch(bar)?);
        }
        let training = run.finish()?;
        let folder = self.bundle(fold);
        make_folder(&folder)?;
        let halved = arrays::to_bytes_f16(&run.weights(), arrays::Notes::new())?;
        arrays::write(&folder.join("weights.safetensors"), &halved)?;
        // The mark that the training is done comes last.
        let text = serde_json::to_string(&training).map_err(|e| WorkshopError::Json(e.to_string()))?;
        arrays::write(&folder.join("training.json"), (text + "\n").as_bytes())?;
        std::fs::remove_dir_all(&plan.out)
            .map_err(|e| ModelError::Bundle(format!("{}: {e}", plan.out.display())).into())
    }

    /// The fold's bundle; fits its clusters where they are not there yet.
    ///
    /// # Errors
    /// [`WorkshopError`] if the fold is not trained or fitting fails.
    pub fn fit(
        &self,
        fold: Fold,
        set: &PtbXl,
        ludb: &[Annotated],
        tell: &dyn Fn(&str),
    ) -> Result<Bundle, WorkshopError> {
        let folder = self.bundle(fold);
        if folder.join("CARD.md").exists() {
            return Ok(Bundle::read(&folder)?);
        }
        let training = self.trained(fold, set)?.ok_or_else(|| WorkshopError::Untrained(folder.clone()))?;
        let (weights, _): (Arrays, _) =
            arrays::from_bytes(&arrays::read(&folder.join("weights.safetensors"))?)?;
        let plan = fit_clusters::Plan {
            clusters: self.clusters,
            starts: self.starts,
            block_weights: self.block_weights.clone(),
            seed: self.seed,
            train_folds: fold.train(),
            choose_fold: fold.choose,
            name: fold.name(),
            training: format!(
                "PTB-XL 1.0.3 folds {:?}, {} records, {} epochs, seed {}",
                training.train_folds, training.records, training.epochs, training.seed
            ),
        };
        let fitted = fit_clusters::fit(&training.network, &weights, set, ludb, &plan, tell)?;
        let card = format!("Fold {} of a cross-validation; its figures are in the report.\n", fold.test);
        Bundle::write_beside_weights(&folder, &fitted.manifest, &fitted.codebook, &card)?;
        Ok(Bundle::read(&folder)?)
    }

    /// The fold's judgement; made where it is not there yet or is of another bundle or other forests.
    ///
    /// # Errors
    /// [`WorkshopError`] if the fold has too few records or a file cannot be read or written.
    pub fn judge(
        &self,
        fold: Fold,
        bundle: &Bundle,
        set: &PtbXl,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Judged, WorkshopError> {
        let path = self.judgement(fold);
        if let Some(judged) = read_json::<Judged>(&path)?
            && judged.figures.model == bundle.id
            && judged.figures.trees == self.trees
        {
            return Ok(judged);
        }
        let judged = evaluate(bundle, set, &fold.train(), fold.test, self.how(), tell)?;
        let text = serde_json::to_string(&judged).map_err(|e| WorkshopError::Json(e.to_string()))?;
        arrays::write(&path, (text + "\n").as_bytes())?;
        Ok(judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fold_is_judged_once_and_never_by_what_it_taught() {
        let folds: Vec<Fold> = (1..=10).map(Fold::of).collect();
        for fold in &folds {
            let train = fold.train();
            assert_eq!(train.len(), 8);
            assert!(!train.contains(&fold.test) && !train.contains(&fold.choose) && fold.test != fold.choose);
        }
        let mut choosers: Vec<u8> = folds.iter().map(|f| f.choose).collect();
        choosers.sort_unstable();
        assert_eq!(choosers, (1..=10).collect::<Vec<u8>>());
        assert_eq!(Fold::of(10).choose, 1);
    }
}
