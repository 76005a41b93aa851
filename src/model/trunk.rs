//! Stem, residual blocks and mean over steps as one differentiable operation of candle.
//!
//! candle differentiates heads and losses; everything below them runs here, in buffers that steps reuse, without a
//! tensor between the layers. Batch norm uses the batch's own statistics (docs/method.md, the network).

use super::architecture::Architecture;
use super::block::{Batch, BlockPass, BlockShape};
use super::conv::{Conv, numbers, sum_in_order, with_numbers};
use super::kernel::{Finish, Panels};
use super::norm::{Affine, Moments, NormGrad, Sums};
use super::padded::Padded;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::{Arc, Mutex};

/// Stem at work: `relu(BN(conv x + Σ lead terms))`.
#[derive(Default)]
struct StemPass {
    input: Padded,
    /// Before the norm.
    h: Vec<f32>,
    moments: Moments,
    norm: Affine,
}

/// Numbers of the stem's flat parameters: kernel, lead term, scale, shift.
fn stem_ranges(conv: &Conv) -> [std::ops::Range<usize>; 4] {
    let c = conv.outputs;
    let mut at = 0;
    [conv.weights(), conv.inputs * c, c, c].map(|n| {
        at += n;
        at - n..at
    })
}

impl StemPass {
    fn forward(&mut self, conv: &Conv, p: &[f32], x: &[f32], mask: &[f32], batch: Batch) {
        let [w, lead, gamma, beta] = stem_ranges(conv).map(|r| &p[r]);
        let (rows, group, kernel) = (conv.out_len(batch.time), batch.group(), conv.pack(w));
        let (len, x_len) = (rows * conv.outputs, batch.time * conv.inputs);
        self.input.fit(batch.n, batch.time, conv.inputs, conv.pad());
        self.h.resize(batch.n * len, 0.0);
        let place = self.input.place();
        let groups = self.h.par_chunks_mut(group * len).zip(self.input.groups(group)).enumerate();
        let parts: Vec<_> = groups
            .map(|(g, (h, input))| {
                let mut sums = Sums::zero(conv.outputs);
                for (i, h) in h.chunks_exact_mut(len).enumerate() {
                    let item = g * group + i;
                    let to = place.item(input, i);
                    place.inside(to).copy_from_slice(&x[item * x_len..(item + 1) * x_len]);
                    let mut term = vec![0.0; conv.outputs];
                    for (l, row) in lead.chunks_exact(conv.outputs).enumerate() {
                        for (t, w) in term.iter_mut().zip(row) {
                            *t += mask[item * conv.inputs + l] * w;
                        }
                    }
                    let finish = Finish { bias: Some(&term), ..Finish::default() };
                    conv.forward(to, &kernel, rows, h, finish);
                    sums.add_squares(h);
                }
                sums
            })
            .collect();
        self.moments = Moments::from_sums(&Sums::total(&parts, conv.outputs), batch.n * rows);
        self.norm = self.moments.affine(gamma, beta);
    }

    fn output(&self, item: usize, to: &mut [f32]) {
        self.norm.relu_into(to, &self.h[item * to.len()..(item + 1) * to.len()]);
    }

    fn enter(&self, item: usize, d: &mut [f32], out: &[f32], sums: &mut Sums) {
        super::norm::behind_relu(d, out);
        sums.add_products(d, &self.h[item * d.len()..(item + 1) * d.len()], &self.moments.mean);
    }

    /// The parameters' gradient.
    fn backward(
        &self,
        conv: &Conv,
        p: &[f32],
        mask: &[f32],
        batch: Batch,
        (d, sums): (&[f32], &Sums),
    ) -> Vec<f32> {
        let (len, group, c) = (d.len() / batch.n, batch.group(), conv.outputs);
        let grad = NormGrad::new(&self.moments, &p[stem_ranges(conv)[2].clone()], sums, d.len() / c);
        let groups = d.par_chunks(group * len).zip(self.h.par_chunks(group * len)).enumerate();
        let parts: Vec<_> = groups
            .map(|(g, (d, h))| {
                let (mut dh, mut panels) = (vec![0.0; len], Panels::default());
                let (mut dw, mut dlead) = (vec![0.0; conv.weights()], vec![0.0; conv.inputs * c]);
                for (i, (d, h)) in d.chunks_exact(len).zip(h.chunks_exact(len)).enumerate() {
                    let item = g * group + i;
                    grad.apply_into(&mut dh, d, h);
                    panels.repack(&dh, len / c, c);
                    conv.add_weight_grad(self.input.item(item), &panels, &mut dw);
                    let mut sums = Sums::zero(c);
                    sums.add_squares(&dh);
                    for (l, row) in dlead.chunks_exact_mut(c).enumerate() {
                        for (t, s) in row.iter_mut().zip(&sums.a) {
                            *t += mask[item * conv.inputs + l] * *s as f32;
                        }
                    }
                }
                (dw, dlead)
            })
            .collect();
        let (dw, dlead): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        [sum_in_order(dw), sum_in_order(dlead), grad.dgamma, grad.dbeta].concat()
    }
}

/// The layers below the heads, with the buffers that forward fills, backward reads and the next step reuses.
pub struct Trunk {
    stem: Conv,
    shapes: Vec<BlockShape>,
    stem_pass: StemPass,
    passes: Vec<BlockPass>,
    /// The last block's output.
    last: Padded,
    gradient: Vec<f32>,
}

impl Trunk {
    /// A trunk without memory yet.
    #[must_use]
    pub fn new(shape: &Architecture) -> Self {
        Self {
            stem: shape.stem(),
            shapes: shape.blocks(),
            stem_pass: StemPass::default(),
            passes: shape.blocks.iter().map(|b| BlockPass::new(b.dropout)).collect(),
            last: Padded::default(),
            gradient: Vec::new(),
        }
    }

    /// Batch norm's statistics of the last batch: the stem's, then two for each block, with the rows each saw of an
    /// item of `time` samples.
    #[must_use]
    pub fn moments(&self, time: usize) -> Vec<(Moments, usize)> {
        let mut rows = self.stem.out_len(time);
        let mut all = vec![(self.stem_pass.moments.clone(), rows)];
        for (pass, shape) in self.passes.iter().zip(&self.shapes) {
            rows = shape.conv1.out_len(rows);
            all.extend(pass.moments.iter().map(|m| (m.clone(), rows)));
        }
        all
    }

    /// Each layer's share of the flat parameters: stem, then the blocks.
    fn ranges(&self) -> Vec<std::ops::Range<usize>> {
        let mut at = 0;
        let stem = stem_ranges(&self.stem)[3].end;
        let lengths = std::iter::once(stem).chain(self.shapes.iter().map(BlockShape::params));
        let range = |n: usize| {
            at += n;
            at - n..at
        };
        lengths.map(range).collect()
    }

    /// The batch as each block sees it.
    fn batches(&self, batch: Batch) -> Vec<Batch> {
        let mut time = self.stem.out_len(batch.time);
        let mut batches = Vec::new();
        for (i, shape) in self.shapes.iter().enumerate() {
            let seed = batch.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i as u64);
            batches.push(Batch { time, seed, ..batch });
            time = shape.conv1.out_len(time);
        }
        batches.push(Batch { time, ..batch });
        batches
    }

    /// Pooled features `[item, channel]`.
    fn forward(&mut self, x: &[f32], mask: &[f32], p: &[f32], batch: Batch) -> Vec<f32> {
        let (ranges, batches) = (self.ranges(), self.batches(batch));
        self.stem_pass.forward(&self.stem, &p[ranges[0].clone()], x, mask, batch);
        for i in 0..self.passes.len() {
            let (before, now) = self.passes.split_at_mut(i);
            let (shape, p) = (&self.shapes[i], &p[ranges[i + 1].clone()]);
            match before.last() {
                Some(pass) => now[0].first(shape, p, batches[i], |item, to| {
                    pass.output(&self.shapes[i - 1], item, to);
                }),
                None => now[0].first(shape, p, batches[i], |item, to| self.stem_pass.output(item, to)),
            }
            now[0].second(shape, p, batches[i]);
        }
        let (Some(pass), Some(shape)) = (self.passes.last(), self.shapes.last()) else { return Vec::new() };
        let (c, rows) = (shape.conv1.outputs, batches[self.passes.len()].time);
        self.last.fit(batch.n, rows, c, 0);
        let mut pooled = vec![0.0; batch.n * c];
        pooled.par_chunks_mut(c).zip(self.last.groups(1)).enumerate().for_each(|(item, (pooled, out))| {
            pass.output(shape, item, out);
            let mut sums = Sums::zero(c);
            sums.add_squares(out);
            for (p, s) in pooled.iter_mut().zip(&sums.a) {
                *p = (s / rows as f64) as f32;
            }
        });
        pooled
    }

    /// The flat parameters' gradient from the pooled features' gradient.
    fn backward(&mut self, mask: &[f32], p: &[f32], dpooled: &[f32], batch: Batch) -> Vec<f32> {
        let (ranges, batches) = (self.ranges(), self.batches(batch));
        let Some(pass) = self.passes.last() else { return vec![0.0; p.len()] };
        let (c, rows, group) = (dpooled.len() / batch.n, batches[self.passes.len()].time, batch.group());
        let mut d = std::mem::take(&mut self.gradient);
        d.resize(batch.n * rows * c, 0.0);
        let parts: Vec<Sums> = d
            .par_chunks_mut(group * rows * c)
            .enumerate()
            .map(|(g, d)| {
                let mut sums = Sums::zero(c);
                for (i, d) in d.chunks_exact_mut(rows * c).enumerate() {
                    let item = g * group + i;
                    let each: Vec<f32> =
                        dpooled[item * c..(item + 1) * c].iter().map(|v| v / rows as f32).collect();
                    d.chunks_exact_mut(c).for_each(|row| row.copy_from_slice(&each));
                    pass.enter(item, d, self.last.inside(item), &mut sums);
                }
                sums
            })
            .collect();
        let mut sums = Sums::total(&parts, c);
        let mut grads = Vec::new();
        for i in (0..self.passes.len()).rev() {
            let (before, now) = self.passes.split_at_mut(i);
            let stem = &self.stem_pass;
            let enter = |item: usize, d: &mut [f32], out: &[f32], sums: &mut Sums| match before.last() {
                Some(pass) => pass.enter(item, d, out, sums),
                None => stem.enter(item, d, out, sums),
            };
            let p = &p[ranges[i + 1].clone()];
            let (dx, next, dp) = now[0].backward(&self.shapes[i], p, batches[i], (d, &sums), enter);
            (d, sums) = (dx, next);
            grads.push(dp);
        }
        grads.push(self.stem_pass.backward(&self.stem, &p[ranges[0].clone()], mask, batch, (&d, &sums)));
        self.gradient = d;
        grads.reverse();
        grads.concat()
    }
}

/// The trunk as an operation: inputs are x `[n, time, 12]` (masked leads 0), mask `[n, 12]` and the flat parameters
/// (stem kernel, lead term, scale, shift, then each block); the output is the pooled features `[n, channel]`. Only the
/// parameters get a gradient.
#[derive(Clone)]
pub struct TrunkOp {
    /// Reused between steps; one forward, then its backward.
    pub trunk: Arc<Mutex<Trunk>>,
    /// Changes with every step.
    pub seed: u64,
}

impl CustomOp3 for TrunkOp {
    fn name(&self) -> &'static str {
        "resnet-trunk"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        mask: &CpuStorage,
        mask_layout: &Layout,
        p: &CpuStorage,
        p_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, time, inputs) = x_layout.shape().dims3()?;
        let mut trunk = self.trunk.lock().expect("no panic while held");
        let params = trunk.ranges().last().map_or(0, |r| r.end);
        if inputs != trunk.stem.inputs || p_layout.shape().elem_count() != params {
            candle_core::bail!("the trunk got {:?} and {:?}", x_layout.shape(), p_layout.shape());
        }
        let batch = Batch { n, time, seed: self.seed };
        let (x, mask) = (numbers(x, x_layout)?, numbers(mask, mask_layout)?);
        let pooled = trunk.forward(x, mask, numbers(p, p_layout)?, batch);
        let shape = Shape::from((n, pooled.len() / n));
        Ok((CpuStorage::F32(pooled), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        mask: &Tensor,
        p: &Tensor,
        _pooled: &Tensor,
        dpooled: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (n, time, _) = x.dims3()?;
        let dpooled = dpooled.contiguous()?;
        let mut trunk = self.trunk.lock().expect("no panic while held");
        let batch = Batch { n, time, seed: self.seed };
        let dp = with_numbers([mask, p, &dpooled], |[mask, p, d]| Ok(trunk.backward(mask, p, d, batch)))?;
        Ok((None, None, Some(Tensor::from_vec(dp, p.shape(), p.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::architecture::BlockSpec;
    use super::super::norm::EPSILON;
    use super::*;
    use candle_core::{Device, Var};
    use rand::{Rng, SeedableRng};

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// Identity and convolved skips, strides, dilations, channels that fill no vector.
    fn shape(dropout: f32) -> Architecture {
        let block =
            |channels, taps, stride, dilation| BlockSpec { channels, taps, stride, dilation, dropout };
        Architecture {
            stem_channels: 6,
            stem_taps: 5,
            stem_stride: 2,
            blocks: vec![block(6, 5, 1, 1), block(40, 3, 2, 1), block(40, 3, 1, 4)],
            taps: vec![2],
            ..Architecture::default()
        }
    }

    /// Batch norm in candle's own operations, differentiated by candle.
    fn norm(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
        let mean = x.mean_keepdim(0)?.mean_keepdim(1)?;
        let centred = x.broadcast_sub(&mean)?;
        let var = centred.sqr()?.mean_keepdim(0)?.mean_keepdim(1)?;
        let unit = centred.broadcast_div(&(var + EPSILON)?.sqrt()?)?;
        unit.broadcast_mul(gamma)?.broadcast_add(beta)
    }

    /// The trunk in plain operations and the convolution of its own.
    fn plain(shape: &Architecture, x: &Tensor, mask: &Tensor, p: &Tensor) -> Result<Tensor> {
        let at = |start: usize, range: &std::ops::Range<usize>| p.narrow(0, start + range.start, range.len());
        let kernel = |v: Tensor, c: &Conv| v.reshape((c.taps, c.inputs, c.outputs));
        let (stem, r) = (shape.stem(), stem_ranges(&shape.stem()));
        let lead = mask.matmul(&at(0, &r[1])?.reshape((stem.inputs, stem.outputs))?)?.unsqueeze(1)?;
        let h = x.apply_op2(&kernel(at(0, &r[0])?, &stem)?, stem)?.broadcast_add(&lead)?;
        let mut y = norm(&h, &at(0, &r[2])?, &at(0, &r[3])?)?.relu()?;
        let mut start = r[3].end;
        for block in shape.blocks() {
            let r = block.ranges();
            let part = |i: usize| at(start, &r[i]);
            let h = y.apply_op2(&kernel(part(0)?, &block.conv1)?, block.conv1)?;
            let h = norm(&h, &part(1)?, &part(2)?)?.relu()?;
            let h = norm(&h.apply_op2(&kernel(part(3)?, &block.conv2)?, block.conv2)?, &part(4)?, &part(5)?)?;
            let skip = match block.skip {
                Some(conv) => y.apply_op2(&kernel(part(6)?, &conv)?, conv)?,
                None => y,
            };
            y = (h + skip)?.relu()?;
            start += block.params();
        }
        y.mean(1)
    }

    fn op(shape: &Architecture) -> TrunkOp {
        TrunkOp { trunk: Arc::new(Mutex::new(Trunk::new(shape))), seed: 5 }
    }

    fn params(shape: &Architecture) -> usize {
        Trunk::new(shape).ranges().last().expect("blocks").end
    }

    #[test]
    fn the_trunk_and_its_gradient_equal_the_composition_of_plain_operations() -> Result<()> {
        let (shape, device) = (shape(0.0), Device::Cpu);
        let op = op(&shape);
        let n_params = params(&shape);
        // Twice through the same buffers, with other lengths: nothing of the first batch may stay.
        for (n, time, seed) in [(9, 33, 1), (4, 41, 2), (9, 33, 3)] {
            let x = Tensor::from_vec(random(n * time * 12, seed), (n, time, 12), &device)?;
            let mask = Tensor::from_vec(random(n * 12, seed + 10), (n, 12), &device)?;
            let p = Var::from_vec(random(n_params, seed + 20), n_params, &device)?;
            let (got, want) = (x.apply_op3(&mask, &p, op.clone())?, plain(&shape, &x, &mask, &p)?);
            let g = Tensor::from_vec(random(want.elem_count(), 3), want.shape(), &device)?;
            let slope = |y: &Tensor| -> Result<Tensor> {
                let grads = (y * &g)?.sum_all()?.backward()?;
                Ok(grads.get(&p).expect("a gradient").clone())
            };
            for (name, a, b) in [("forward", &got, &want), ("gradient", &slope(&got)?, &slope(&want)?)] {
                let scale = b.abs()?.max_all()?.to_scalar::<f32>()?.max(1e-3);
                let off = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()? / scale;
                assert!(off < 3e-4, "{name} of {n} items of {time}: off by {off}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_step_along_the_gradient_with_dropout_raises_the_value_by_its_square() -> Result<()> {
        let (shape, device) = (shape(0.3), Device::Cpu);
        let op = op(&shape);
        let n_params = params(&shape);
        let x = Tensor::from_vec(random(8 * 30 * 12, 1), (8, 30, 12), &device)?;
        let mask = Tensor::from_vec(random(8 * 12, 4), (8, 12), &device)?;
        let start = random(n_params, 2);
        let p = Var::from_vec(start.clone(), n_params, &device)?;
        let g = Tensor::from_vec(random(8 * 40, 3), (8, 40), &device)?;
        let value = |p: &Tensor| (x.apply_op3(&mask, p, op.clone())? * &g)?.sum_all();
        let grads = value(&p)?.backward()?;
        let grad = grads.get(&p).expect("a gradient").to_vec1::<f32>()?;
        let square: f32 = grad.iter().map(|g| g * g).sum();
        let h = 1e-3 / square.sqrt();
        let at = |k: f32| -> Result<f32> {
            let moved: Vec<f32> = start.iter().zip(&grad).map(|(p, g)| p + k * h * g).collect();
            value(&Tensor::from_vec(moved, n_params, &device)?)?.to_scalar::<f32>()
        };
        let slope = (at(1.0)? - at(-1.0)?) / (2.0 * h);
        assert!((slope / square - 1.0).abs() < 0.03, "{slope} against {square}");
        Ok(())
    }
}
