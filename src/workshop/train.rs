//! Training of the network on PTB-XL (docs/method.md, training). Deterministic by seed for any number of threads.

use super::WorkshopError;
use super::batch::draw;
use super::dataset::PtbXl;
use super::leads::LEAD_SETS;
use super::optimise::{Optimiser, average, one_cycle};
use super::validate::macro_auroc;
use crate::model::{Architecture, Arrays, Device, Net, Network, Parts, arrays, fold};
use candle_core::Tensor;
use indicatif::ProgressBar;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Records a step.
pub const BATCH: usize = 64;
/// Raised with every change of what a step does: a run of another recipe is never gone on with, nor taken for done.
pub const RECIPE: u32 = 3;
/// Weight of the auxiliary statements' loss.
const AUXILIARY_WEIGHT: f64 = 2.0;
/// What to train.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where checkpoints go.
    pub out: PathBuf,
    /// Passes over the training folds.
    pub epochs: u32,
    /// Seed of weights, order, masks and augmentation.
    pub seed: u64,
    /// Folds trained on.
    pub train_folds: Vec<u8>,
    /// Fold for choices: judged after every epoch, never trained on.
    pub choose_fold: u8,
    /// Go on from the last checkpoint.
    pub resume: bool,
    /// Trains in candle's operations on this device; `None`: the CPU's own, which are faster there.
    pub device: Option<Device>,
}

/// What one epoch showed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Epochs done.
    pub done: u32,
    /// Mean loss of the classes.
    pub loss: f64,
    /// Mean loss of the auxiliary statements.
    pub auxiliary_loss: f64,
    /// Macro AUROC of the averaged weights on the fold for choices: 12 leads, lead II.
    pub validation: [f64; 2],
}

/// What `train` leaves for `fit-clusters` beside the weights (`training.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The network's shape.
    pub network: Architecture,
    /// Which [`RECIPE`].
    #[serde(default)]
    pub recipe: u32,
    /// Seed of weights, order, masks and augmentation.
    pub seed: u64,
    /// Passes over the training folds.
    pub epochs: u32,
    /// Folds trained on.
    pub train_folds: Vec<u8>,
    /// Fold for choices.
    pub choose_fold: u8,
    /// Records trained on.
    pub records: usize,
    /// Each epoch, as far as this run saw it.
    pub history: Vec<Epoch>,
}

/// One run: the network, its optimiser, the averaged weights.
pub struct Run<'a> {
    plan: Plan,
    set: &'a PtbXl,
    records: Vec<usize>,
    net: Net,
    optimiser: Optimiser,
    mean: Vec<Vec<f32>>,
    history: Vec<Epoch>,
}

/// Binary cross-entropy per element, from logits.
fn cross_entropy(logits: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
    let soft = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    (logits.relu()? - (logits * target)?)? + soft
}

impl<'a> Run<'a> {
    /// Starts a run, or goes on from the plan's checkpoint.
    ///
    /// # Errors
    /// If the folds are empty or a checkpoint cannot be read or belongs to another run.
    pub fn new(plan: Plan, set: &'a PtbXl) -> Result<Self, WorkshopError> {
        let records = set.in_folds(&plan.train_folds);
        if records.len() < BATCH {
            return Err(WorkshopError::TooFew { need: BATCH, have: records.len() });
        }
        let (shape, statements) = (Architecture::default(), set.statements.len());
        let net = match &plan.device {
            Some(device) => Net::composed(shape, statements, plan.seed, device.clone())?,
            None => Net::new(shape, statements, plan.seed)?,
        };
        let mean = net.state()?;
        let mut run =
            Self { plan, set, records, net, optimiser: Optimiser::default(), mean, history: Vec::new() };
        if run.plan.resume {
            run.load()?;
        }
        Ok(run)
    }

    /// Steps of one epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        (self.records.len() / BATCH) as u64
    }

    /// Epochs done so far.
    #[must_use]
    pub fn epochs_done(&self) -> u32 {
        (self.optimiser.steps / self.steps_per_epoch()) as u32
    }

    fn device(&self) -> &Device {
        self.plan.device.as_ref().unwrap_or(&Device::Cpu)
    }

    /// One step at `u` of the run (0 to 1) on these records; returns both losses. [`Run::epoch`] makes a pass of them.
    ///
    /// # Errors
    /// If the loss is no longer finite.
    pub fn step(&mut self, records: &[usize], u: f64, seed: u64) -> Result<[f64; 2], WorkshopError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (set, features) = (self.set, self.net.shape.features());
        let b = draw(set, records, features, &mut rng)?.on(self.device())?;
        let (logits, said) = self.net.forward(&b.x, &b.mask, &b.head_mask, seed)?;
        let labelled = f64::from(b.weight.sum_all()?.to_scalar::<f32>()?).max(1.0) * 5.0;
        let loss = (cross_entropy(&logits, &b.classes)?.broadcast_mul(&b.weight)?.sum_all()? / labelled)?;
        let auxiliary = cross_entropy(&said, &b.statements)?.mean_all()?;
        let total = (&loss + (&auxiliary * AUXILIARY_WEIGHT)?)?;
        let grads = total.backward()?;
        let mut values = Vec::new();
        let mut slopes = Vec::new();
        for p in &self.net.params {
            let grad = grads.get(p.var.as_tensor()).ok_or(WorkshopError::NoGradient)?;
            slopes.push(grad.flatten_all()?.to_vec1::<f32>()?);
            values.push(p.var.flatten_all()?.to_vec1::<f32>()?);
        }
        let losses = [f64::from(loss.to_scalar::<f32>()?), f64::from(auxiliary.to_scalar::<f32>()?)];
        if !losses.iter().all(|l| l.is_finite()) {
            return Err(WorkshopError::Diverged(self.optimiser.steps));
        }
        let parts: Vec<&Parts> = self.net.params.iter().map(|p| &p.parts).collect();
        self.optimiser.step(&mut values, &slopes, &parts, one_cycle(u));
        for (p, values) in self.net.params.iter().zip(&values) {
            p.var.set(&Tensor::from_slice(values, p.var.shape(), self.device())?)?;
        }
        self.net.update_running(records.len(), b.time)?;
        average(&mut self.mean, &self.net.state()?, self.optimiser.steps);
        Ok(losses)
    }

    /// Trains one epoch and saves a checkpoint.
    ///
    /// # Errors
    /// If the loss is no longer finite or the checkpoint cannot be written.
    pub fn epoch(&mut self, bar: &ProgressBar) -> Result<Epoch, WorkshopError> {
        let (epoch, steps) = (u64::from(self.epochs_done()), self.steps_per_epoch());
        let seed = self.plan.seed.wrapping_mul(1_000_003).wrapping_add(epoch);
        let mut order = self.records.clone();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut sums = [0.0; 2];
        for (i, records) in order.chunks_exact(BATCH).enumerate() {
            let at = epoch * steps + i as u64;
            let u = at as f64 / (u64::from(self.plan.epochs) * steps) as f64;
            let losses = self.step(records, u, seed.wrapping_mul(1 << 20).wrapping_add(at))?;
            for (sum, loss) in sums.iter_mut().zip(losses) {
                *sum += loss;
            }
            bar.set_message(format!(
                "loss {:.4} + {:.4}",
                sums[0] / (i + 1) as f64,
                sums[1] / (i + 1) as f64
            ));
            bar.inc(1);
        }
        let network = Arc::new(Network::new(self.net.shape.clone(), &self.weights())?);
        let judge = |set: usize| macro_auroc(&network, self.set, self.plan.choose_fold, LEAD_SETS[set].1);
        let n = steps as f64;
        let shown = Epoch {
            done: self.epochs_done(),
            loss: sums[0] / n,
            auxiliary_loss: sums[1] / n,
            validation: [judge(0), judge(4)],
        };
        self.history.push(shown);
        self.save()?;
        Ok(shown)
    }

    /// The averaged weights, folded for inference.
    #[must_use]
    pub fn weights(&self) -> Arrays {
        fold(&self.net.shape, &self.mean)
    }

    /// Writes `weights.safetensors` and `training.json` beside the checkpoint.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn finish(&self) -> Result<Training, WorkshopError> {
        let training = Training {
            network: self.net.shape.clone(),
            recipe: RECIPE,
            seed: self.plan.seed,
            epochs: self.plan.epochs,
            train_folds: self.plan.train_folds.clone(),
            choose_fold: self.plan.choose_fold,
            records: self.records.len(),
            history: self.history.clone(),
        };
        let out = &self.plan.out;
        let bytes = arrays::to_bytes(&self.weights(), arrays::Notes::new())?;
        arrays::write(&out.join("weights.safetensors"), &bytes)?;
        let text = serde_json::to_string_pretty(&training).map_err(|e| WorkshopError::Json(e.to_string()))?;
        arrays::write(&out.join("training.json"), (text + "\n").as_bytes())?;
        Ok(training)
    }

    fn checkpoint(&self) -> PathBuf {
        self.plan.out.join("checkpoint.safetensors")
    }

    /// What must be equal for a checkpoint to be continued.
    fn notes(&self) -> arrays::Notes {
        let note = format!(
            "recipe {RECIPE} seed {} epochs {} folds {:?} records {} statements {}",
            self.plan.seed,
            self.plan.epochs,
            self.plan.train_folds,
            self.records.len(),
            self.set.statements.len()
        );
        let history = serde_json::to_string(&self.history).unwrap_or_default();
        arrays::Notes::from([
            ("run".into(), note),
            ("steps".into(), self.optimiser.steps.to_string()),
            ("history".into(), history),
        ])
    }

    fn save(&self) -> Result<(), WorkshopError> {
        let state = self.net.state()?;
        let groups = [
            ("net", &state),
            ("mean", &self.mean),
            ("first", &self.optimiser.first),
            ("second", &self.optimiser.second),
        ];
        let named: Arrays = groups
            .iter()
            .flat_map(|(group, arrays)| {
                arrays
                    .iter()
                    .enumerate()
                    .map(move |(i, a)| (format!("{group}.{i:03}"), (vec![a.len()], a.clone())))
            })
            .collect();
        arrays::write(&self.checkpoint(), &arrays::to_bytes(&named, self.notes())?)?;
        Ok(())
    }

    fn load(&mut self) -> Result<(), WorkshopError> {
        let path = self.checkpoint();
        if !path.exists() {
            return Ok(());
        }
        let (named, notes) = arrays::from_bytes(&arrays::read(&path)?)?;
        if notes.get("run") != self.notes().get("run") {
            return Err(WorkshopError::OtherRun {
                path,
                found: notes.get("run").cloned().unwrap_or_default(),
                wanted: self.notes().remove("run").unwrap_or_default(),
            });
        }
        let group = |name: &str| -> Vec<Vec<f32>> {
            named
                .iter()
                .filter(|(k, _)| k.starts_with(&format!("{name}.")))
                .map(|(_, (_, v))| v.clone())
                .collect()
        };
        self.history = notes.get("history").and_then(|h| serde_json::from_str(h).ok()).unwrap_or_default();
        self.net.set_state(&group("net"))?;
        self.mean = group("mean");
        self.optimiser = Optimiser {
            steps: notes.get("steps").and_then(|s| s.parse().ok()).unwrap_or(0),
            first: group("first"),
            second: group("second"),
        };
        Ok(())
    }
}
