//! The network in training mode, in candle: named parameters, forward with batch statistics, folding for inference.

use super::architecture::Architecture;
use super::composed::{self, BatchMoments};
use super::norm::{EPSILON, Moments};
use super::trunk::{Trunk, TrunkOp};
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{Linear, Module};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Named arrays with their shapes: weights on their way to and from disk.
pub type Arrays = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Weight of a new batch in batch norm's running statistics.
const MOMENTUM: f32 = 0.1;

/// One trainable parameter.
pub struct Param {
    /// Its name in checkpoints.
    pub name: String,
    /// Its value.
    pub var: Var,
    /// What the optimiser may do to it.
    pub parts: Parts,
}

/// Parts of a parameter by what the optimiser may do to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// Those that weight decay applies to: kernels and matrices, not scales and shifts.
    pub decayed: Vec<Range<usize>>,
    /// Convolution kernels as matrices `[tap · input, output]`, ascending: range and outputs.
    pub kernels: Vec<(Range<usize>, usize)>,
}

/// The network with trainable parameters and batch norm's running statistics.
pub struct Net {
    /// Its shape.
    pub shape: Architecture,
    /// The parameters, in a fixed order: stem kernel, stem lead term, stem scale, stem shift, blocks, head, auxiliary
    /// head.
    pub params: Vec<Param>,
    /// Running statistics: the stem's, then two for each block.
    pub running: Vec<Moments>,
    device: Device,
    trunk: Below,
}

/// What runs below the heads.
enum Below {
    /// The CPU's own operation.
    Fused(Arc<Mutex<Trunk>>),
    /// candle's operations on any device; the last batch's statistics.
    Composed(Mutex<BatchMoments>),
}

/// Parameters before the first block.
const STEM: usize = 4;

impl Net {
    /// A network with seeded random weights (uniform in ±1/√fan-in; the second norm of each block starts at 0.2).
    ///
    /// # Errors
    /// If candle cannot make the tensors.
    pub fn new(shape: Architecture, auxiliary: usize, seed: u64) -> Result<Self> {
        let trunk = Below::Fused(Arc::new(Mutex::new(Trunk::new(&shape))));
        Self::with(shape, auxiliary, seed, Device::Cpu, trunk)
    }

    /// The same network on any device, in candle's own operations: the same weights, and the same steps to 1e-4.
    ///
    /// # Errors
    /// If the device fails.
    pub fn composed(shape: Architecture, auxiliary: usize, seed: u64, device: Device) -> Result<Self> {
        Self::with(shape, auxiliary, seed, device, Below::Composed(Mutex::default()))
    }

    fn with(shape: Architecture, auxiliary: usize, seed: u64, device: Device, trunk: Below) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |n: usize, fan_in: usize| -> Vec<f32> {
            let bound = 1.0 / (fan_in as f32).sqrt();
            (0..n).map(|_| rng.random_range(-bound..bound)).collect()
        };
        let mut params = Vec::new();
        let mut add = |name: &str, values: Vec<f32>, dims: &[usize], parts: Parts| -> Result<()> {
            let var = Var::from_vec(values, dims, &device)?;
            params.push(Param { name: name.into(), var, parts });
            Ok(())
        };
        let all = |n: usize| Parts { decayed: std::iter::once(0..n).collect(), kernels: Vec::new() };
        let kernels = |kernels: Vec<(Range<usize>, usize)>| Parts {
            decayed: kernels.iter().map(|k| k.0.clone()).collect(),
            kernels,
        };
        let (stem, c) = (shape.stem(), shape.stem_channels);
        let n = stem.weights();
        add(
            "stem.kernel",
            uniform(n, stem.taps * stem.inputs),
            &[stem.taps, stem.inputs, c],
            kernels(vec![(0..n, c)]),
        )?;
        add("stem.lead", uniform(stem.inputs * c, stem.inputs), &[stem.inputs, c], all(stem.inputs * c))?;
        add("stem.scale", vec![1.0; c], &[c], Parts::default())?;
        add("stem.shift", vec![0.0; c], &[c], Parts::default())?;
        for (i, block) in shape.blocks().iter().enumerate() {
            let ranges = block.ranges();
            let mut values = vec![0.0; block.params()];
            let fans = [
                block.conv1.inputs * block.conv1.taps,
                0,
                0,
                block.conv2.inputs * block.conv2.taps,
                0,
                0,
                block.conv1.inputs,
            ];
            for (range, fan) in ranges.iter().zip(fans).filter(|(r, fan)| *fan > 0 && !r.is_empty()) {
                values[range.clone()].copy_from_slice(&uniform(range.len(), fan));
            }
            values[ranges[1].clone()].fill(1.0);
            values[ranges[4].clone()].fill(0.2);
            let used = [0, 3, 6].map(|r| ranges[r].clone()).into_iter().filter(|r| !r.is_empty());
            let parts = kernels(used.map(|r| (r, block.conv1.outputs)).collect());
            add(&format!("block{}", i + 1), values, &[block.params()], parts)?;
        }
        let f = shape.features();
        for (name, outputs) in [("head", shape.classes.len()), ("auxiliary", auxiliary)] {
            add(&format!("{name}.weight"), uniform(f * outputs, f), &[f, outputs], all(f * outputs))?;
            add(&format!("{name}.bias"), uniform(outputs, f), &[outputs], Parts::default())?;
        }
        let fresh = |c: usize| Moments { mean: vec![0.0; c], var: vec![1.0; c] };
        let running = std::iter::once(fresh(c))
            .chain(shape.blocks.iter().flat_map(|b| [fresh(b.channels), fresh(b.channels)]))
            .collect();
        Ok(Self { shape, params, running, device, trunk })
    }

    /// Logits of classes and auxiliary statements in training mode; x `[n, time, 12]` with masked leads 0, mask
    /// `[n, 12]`, `head_mask` `[n, features]` the dropout of the pooled features (0 or 1/(1 - share)).
    ///
    /// # Errors
    /// If shapes do not fit or the device fails.
    ///
    /// # Panics
    /// If a step of training panicked before.
    pub fn forward(
        &self,
        x: &Tensor,
        mask: &Tensor,
        head_mask: &Tensor,
        seed: u64,
    ) -> Result<(Tensor, Tensor)> {
        let var = |i: usize| self.params[i].var.as_tensor();
        let heads = STEM + self.shape.blocks.len();
        let pooled = match &self.trunk {
            Below::Fused(trunk) => {
                let flat: Vec<Tensor> = (0..heads).map(|i| var(i).flatten_all()).collect::<Result<_>>()?;
                let op = TrunkOp { trunk: trunk.clone(), seed };
                x.apply_op3(mask, &Tensor::cat(&flat, 0)?, op)?
            }
            Below::Composed(batch) => {
                let blocks: Vec<&Tensor> = (STEM..heads).map(var).collect();
                let stem = [0, 1, 2, 3].map(var);
                let (pooled, moments) = composed::trunk(&self.shape, stem, &blocks, [x, mask], seed)?;
                *batch.lock().expect("no panic while held") = moments;
                pooled
            }
        };
        let pooled = (pooled * head_mask)?;
        let head = |i: usize| Linear::new(var(i).t()?, Some(var(i + 1).clone())).forward(&pooled);
        Ok((head(heads)?, head(heads + 2)?))
    }

    /// Takes the last batch's statistics, of `items` items of `time` samples, into the running ones.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If a step of training panicked before.
    pub fn update_running(&mut self, items: usize, time: usize) -> Result<()> {
        let batch = match &self.trunk {
            Below::Fused(trunk) => trunk.lock().expect("no panic while held").moments(time),
            Below::Composed(moments) => composed::on_host(&moments.lock().expect("no panic while held"))?,
        };
        for (running, (moments, rows)) in self.running.iter_mut().zip(batch) {
            let n = (items * rows) as f32;
            let mix = |to: &mut [f32], from: &[f32], scale: f32| {
                for (t, f) in to.iter_mut().zip(from) {
                    *t += MOMENTUM * (f * scale - *t);
                }
            };
            mix(&mut running.mean, &moments.mean, 1.0);
            mix(&mut running.var, &moments.var, n / (n - 1.0));
        }
        Ok(())
    }

    /// All numbers that make the model: parameters, then running means and variances, in a fixed order.
    ///
    /// # Errors
    /// If a parameter cannot be read.
    pub fn state(&self) -> Result<Vec<Vec<f32>>> {
        let mut state = Vec::new();
        for p in &self.params {
            state.push(p.var.flatten_all()?.to_vec1::<f32>()?);
        }
        for m in &self.running {
            state.extend([m.mean.clone(), m.var.clone()]);
        }
        Ok(state)
    }

    /// Sets what [`Net::state`] gave.
    ///
    /// # Errors
    /// If the state belongs to another shape.
    pub fn set_state(&mut self, state: &[Vec<f32>]) -> Result<()> {
        if state.len() != self.params.len() + 2 * self.running.len() {
            candle_core::bail!("state of {} arrays does not fit", state.len());
        }
        let (params, running) = state.split_at(self.params.len());
        for (p, values) in self.params.iter().zip(params) {
            p.var.set(&Tensor::from_slice(values, p.var.shape(), &self.device)?)?;
        }
        for (m, two) in self.running.iter_mut().zip(running.chunks_exact(2)) {
            *m = Moments { mean: two[0].clone(), var: two[1].clone() };
        }
        Ok(())
    }
}

/// Folds each batch norm into its convolution: the arrays of an inference bundle (`stem.kernel`, `stem.lead`,
/// `stem.bias`, `block1.conv1.kernel`, `block1.conv1.bias`, …, `head.weight`, `head.bias`). `state` as [`Net::state`].
#[must_use]
pub fn fold(shape: &Architecture, state: &[Vec<f32>]) -> Arrays {
    let params = STEM + shape.blocks.len() + 4;
    let moments = |i: usize| (&state[params + 2 * i], &state[params + 2 * i + 1]);
    let affine = |i: usize, gamma: &[f32], beta: &[f32]| -> (Vec<f32>, Vec<f32>) {
        let (mean, var) = moments(i);
        let scale: Vec<f64> =
            gamma.iter().zip(var).map(|(g, v)| f64::from(*g) / (f64::from(*v) + EPSILON).sqrt()).collect();
        let shift =
            (0..scale.len()).map(|c| (f64::from(beta[c]) - f64::from(mean[c]) * scale[c]) as f32).collect();
        (scale.iter().map(|s| *s as f32).collect(), shift)
    };
    let scaled = |kernel: &[f32], scale: &[f32]| -> Vec<f32> {
        kernel.chunks_exact(scale.len()).flat_map(|row| row.iter().zip(scale).map(|(w, s)| w * s)).collect()
    };
    let mut arrays = Arrays::new();
    let mut put = |name: String, dims: Vec<usize>, values: Vec<f32>| {
        arrays.insert(name, (dims, values));
    };
    let stem = shape.stem();
    let (scale, shift) = affine(0, &state[2], &state[3]);
    put("stem.kernel".into(), vec![stem.taps, stem.inputs, stem.outputs], scaled(&state[0], &scale));
    put("stem.lead".into(), vec![stem.inputs, stem.outputs], scaled(&state[1], &scale));
    put("stem.bias".into(), vec![stem.outputs], shift);
    for (i, block) in shape.blocks().iter().enumerate() {
        let p = &state[STEM + i];
        let [w1, g1, b1, w2, g2, b2, ws] = block.ranges().map(|r| &p[r]);
        for (k, conv, w, g, b) in [(1, block.conv1, w1, g1, b1), (2, block.conv2, w2, g2, b2)] {
            let (scale, shift) = affine(2 * i + k, g, b);
            let name = format!("block{}.conv{k}", i + 1);
            put(format!("{name}.kernel"), vec![conv.taps, conv.inputs, conv.outputs], scaled(w, &scale));
            put(format!("{name}.bias"), vec![conv.outputs], shift);
        }
        if let Some(skip) = block.skip {
            put(format!("block{}.skip.kernel", i + 1), vec![1, skip.inputs, skip.outputs], ws.to_vec());
        }
    }
    let head = STEM + shape.blocks.len();
    put("head.weight".into(), vec![shape.features(), shape.classes.len()], state[head].clone());
    put("head.bias".into(), vec![shape.classes.len()], state[head + 1].clone());
    arrays
}
