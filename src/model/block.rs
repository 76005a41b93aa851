//! One residual block as one differentiable operation.
//!
//! `h = relu(BN1(conv1 x))`, dropout, `out = relu(BN2(conv2 h) + skip(x))`. Keeping the block in one operation keeps its
//! intermediates in cache, one item at a time; only what the batch statistics force is written to memory: both
//! convolutions' outputs. Backward is by hand. Parameters are one flat tensor: kernel 1, scale 1, shift 1, kernel 2,
//! scale 2, shift 2, skip kernel.

use super::conv::{Adjoint, Conv, group_len, numbers, pad_into, sum_in_order, with_numbers};
use super::dropout::Dropout;
use super::kernel::{Finish, Panels};
use super::norm::{Moments, NormGrad, add_up, item_sums, norm_relu};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::{Arc, Mutex};

/// A block's shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockShape {
    /// First convolution (carries the stride).
    pub conv1: Conv,
    /// Second convolution.
    pub conv2: Conv,
    /// 1×1 convolution of the skip path; `None` = identity.
    pub skip: Option<Conv>,
}

impl BlockShape {
    /// Ranges of the flat parameters: kernel 1, scale 1, shift 1, kernel 2, scale 2, shift 2, skip.
    #[must_use]
    pub fn ranges(&self) -> [std::ops::Range<usize>; 7] {
        let c = self.conv1.outputs;
        let lengths =
            [self.conv1.weights(), c, c, self.conv2.weights(), c, c, self.skip.map_or(0, |s| s.weights())];
        let mut at = 0;
        lengths.map(|n| {
            at += n;
            at - n..at
        })
    }

    /// Numbers in the flat parameters.
    #[must_use]
    pub fn params(&self) -> usize {
        self.ranges()[6].end
    }
}

/// What backward needs of forward, and the buffers that steps reuse.
#[derive(Default)]
pub struct Kept {
    h1: Vec<f32>,
    h2: Vec<f32>,
    /// Statistics of the last batch.
    pub moments: [Moments; 2],
}

/// The operation for one forward pass in training mode: inputs are x `[n, time, in]` and the flat parameters.
#[derive(Clone)]
pub struct BlockOp {
    /// The shape.
    pub shape: BlockShape,
    /// Share of `h` dropped, 0 to 1.
    pub dropout: f32,
    /// Changes with every step.
    pub seed: u64,
    /// Reused between steps.
    pub kept: Arc<Mutex<Kept>>,
}

/// Sizes of one batch through one block.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    rows: usize,
    /// Numbers of one item of x and of the outputs.
    x: usize,
    h: usize,
    group: usize,
}

impl BlockOp {
    fn sizes(&self, n: usize, time: usize) -> Sizes {
        let rows = self.shape.conv1.out_len(time);
        let (x, h) = (time * self.shape.conv1.inputs, rows * self.shape.conv1.outputs);
        Sizes { n, rows, x, h, group: group_len(n) }
    }

    /// The block's hidden layer of one item, normalised, rectified and dropped, into the padded buffer.
    fn hidden_into(&self, padded: &mut Vec<f32>, h1: &[f32], norm: &(Vec<f32>, Vec<f32>), item: usize) {
        let c = self.shape.conv1.outputs;
        let pad = self.shape.conv2.pad() * c;
        padded.clear();
        padded.resize(h1.len() + 2 * pad, 0.0);
        let inside = &mut padded[pad..pad + h1.len()];
        norm_relu(inside, h1, &norm.0, &norm.1);
        Dropout::new(self.dropout, self.seed, item).apply(inside);
    }

    fn forward(&self, x: &[f32], p: &[f32], s: Sizes) -> Vec<f32> {
        let BlockShape { conv1, conv2, skip } = self.shape;
        let [w1, g1, b1, w2, g2, b2, ws] = self.shape.ranges().map(|r| &p[r]);
        let c = conv1.outputs;
        let (k1, k2, ks) = (conv1.pack(w1), conv2.pack(w2), skip.map(|conv| conv.pack(ws)));
        let mut kept = self.kept.lock().expect("no panic while held");
        let Kept { h1, h2, moments } = &mut *kept;
        h1.resize(s.n * s.h, 0.0);
        h2.resize(s.n * s.h, 0.0);
        let zero = || [vec![0.0; c], vec![0.0; c]];
        let groups = h1.par_chunks_mut(s.group * s.h).zip(x.par_chunks(s.group * s.x));
        let parts: Vec<_> = groups
            .map(|(h, x)| {
                let (mut padded, mut sums) = (Vec::new(), zero());
                for (h, x) in h.chunks_exact_mut(s.h).zip(x.chunks_exact(s.x)) {
                    pad_into(&mut padded, x, conv1.inputs, conv1.pad(), conv1.pad());
                    conv1.forward(&padded, &k1, s.rows, h, Finish::default());
                    item_sums(h, c, &mut sums, |_, v| (v, v * v));
                }
                sums
            })
            .collect();
        moments[0] = Moments::from_sums(&add_up(parts.into_iter(), c), s.n * s.rows);
        let norm1 = moments[0].affine(g1, b1);
        let groups = h2.par_chunks_mut(s.group * s.h).zip(h1.par_chunks(s.group * s.h)).enumerate();
        let parts: Vec<_> = groups
            .map(|(g, (h2, h1))| {
                let (mut padded, mut sums) = (Vec::new(), zero());
                for (i, (h2, h1)) in h2.chunks_exact_mut(s.h).zip(h1.chunks_exact(s.h)).enumerate() {
                    self.hidden_into(&mut padded, h1, &norm1, g * s.group + i);
                    conv2.forward(&padded, &k2, s.rows, h2, Finish::default());
                    item_sums(h2, c, &mut sums, |_, v| (v, v * v));
                }
                sums
            })
            .collect();
        moments[1] = Moments::from_sums(&add_up(parts.into_iter(), c), s.n * s.rows);
        let (scale, shift) = moments[1].affine(g2, b2);
        let mut out = vec![0.0; s.n * s.h];
        out.par_chunks_mut(s.h).zip(h2.par_chunks(s.h)).zip(x.par_chunks(s.x)).for_each(|((out, h2), x)| {
            match (&skip, &ks) {
                (Some(conv), Some(kernel)) => conv.forward(x, kernel, s.rows, out, Finish::default()),
                _ => out.copy_from_slice(x),
            }
            for (out, h) in out.chunks_exact_mut(c).zip(h2.chunks_exact(c)) {
                for (((o, h), k), b) in out.iter_mut().zip(h).zip(&scale).zip(&shift) {
                    *o = (*o + (h * k + b)).max(0.0);
                }
            }
        });
        out
    }
}

/// What one group of items hands back.
struct Part {
    sums: [Vec<f64>; 2],
    dw: Vec<f32>,
    dw_skip: Vec<f32>,
}

impl BlockOp {
    /// The gradient behind the last `ReLU`, one item.
    fn behind_relu(d: &mut Vec<f32>, dout: &[f32], out: &[f32]) {
        d.clear();
        d.extend(dout.iter().zip(out).map(|(d, o)| if *o > 0.0 { *d } else { 0.0 }));
    }

    /// Sums that the second norm's gradient needs.
    fn sums2(&self, moments: &Moments, h2: &[f32], out: &[f32], dout: &[f32], s: Sizes) -> [Vec<f64>; 2] {
        let c = self.shape.conv1.outputs;
        let inv = moments.inverse_sd();
        let span = s.group * s.h;
        let parts: Vec<_> = h2
            .par_chunks(span)
            .zip(out.par_chunks(span))
            .zip(dout.par_chunks(span))
            .map(|((h2, out), dout)| {
                let mut sums = [vec![0.0; c], vec![0.0; c]];
                let items = h2.chunks_exact(s.h).zip(out.chunks_exact(s.h)).zip(dout.chunks_exact(s.h));
                for ((h2, out), dout) in items {
                    item_sums(h2, c, &mut sums, |i, h| {
                        let d = if out[i] > 0.0 { dout[i] } else { 0.0 };
                        (d, d * (h - moments.mean[i % c]) * inv[i % c])
                    });
                }
                sums
            })
            .collect();
        add_up(parts.into_iter(), c)
    }

    /// Second half of the block: fills `dr1` (gradient at the first norm's output) and the skip path's part of `dx`.
    #[allow(clippy::too_many_arguments)] // One pass over everything the block kept.
    fn backward2(
        &self,
        x: &[f32],
        p: &[f32],
        kept: &Kept,
        out: &[f32],
        dout: &[f32],
        norm2: &NormGrad,
        dr1: &mut [f32],
        dx: &mut [f32],
        s: Sizes,
    ) -> Vec<Part> {
        let BlockShape { conv1, conv2, skip } = self.shape;
        let [_, g1, b1, w2, _, _, ws] = self.shape.ranges().map(|r| &p[r]);
        let c = conv1.outputs;
        let (back2, back_skip) = (conv2.adjoint(w2), skip.map(|conv| conv.adjoint(ws)));
        let norm1 = kept.moments[0].affine(g1, b1);
        let inv1 = kept.moments[0].inverse_sd();
        let mean1 = &kept.moments[0].mean;
        dr1.par_chunks_mut(s.group * s.h)
            .zip(dx.par_chunks_mut(s.group * s.x))
            .enumerate()
            .map(|(g, (dr1, dx))| {
                let mut part = Part {
                    sums: [vec![0.0; c], vec![0.0; c]],
                    dw: vec![0.0; conv2.weights()],
                    dw_skip: vec![0.0; skip.map_or(0, |conv| conv.weights())],
                };
                let (mut d, mut padded, mut hidden, mut panels) =
                    (Vec::new(), Vec::new(), Vec::new(), Panels::default());
                for (i, (dr1, dx)) in dr1.chunks_exact_mut(s.h).zip(dx.chunks_exact_mut(s.x)).enumerate() {
                    let item = g * s.group + i;
                    let of = |v: &'_ [f32]| -> std::ops::Range<usize> {
                        item * (v.len() / s.n)..(item + 1) * (v.len() / s.n)
                    };
                    let (x, h1, h2) = (
                        &x[of(x)],
                        &kept.h1[item * s.h..(item + 1) * s.h],
                        &kept.h2[item * s.h..(item + 1) * s.h],
                    );
                    Self::behind_relu(&mut d, &dout[of(dout)], &out[of(out)]);
                    match (&skip, &back_skip) {
                        (Some(conv), Some(back)) => {
                            panels.repack(&d, s.rows, c);
                            conv.add_weight_grad(x, &panels, &mut part.dw_skip);
                            pad_into(&mut padded, &d, c, back.margin, back.margin);
                            back.add_input_grad(&padded, dx);
                        }
                        _ => dx.copy_from_slice(&d),
                    }
                    norm2.apply(&mut d, h2);
                    self.hidden_into(&mut hidden, h1, &norm1, item);
                    panels.repack(&d, s.rows, c);
                    conv2.add_weight_grad(&hidden, &panels, &mut part.dw);
                    pad_into(&mut padded, &d, c, back2.margin, back2.margin);
                    dr1.fill(0.0);
                    back2.add_input_grad(&padded, dr1);
                    Dropout::new(self.dropout, self.seed, item).apply(dr1);
                    let inside = &hidden[conv2.pad() * c..][..s.h];
                    // A hidden value of 0 was rectified or dropped; dropped ones are 0 already.
                    for (d, a) in dr1.iter_mut().zip(inside) {
                        *d = if *a > 0.0 { *d } else { 0.0 };
                    }
                    item_sums(h1, c, &mut part.sums, |i, h| {
                        (dr1[i], dr1[i] * (h - mean1[i % c]) * inv1[i % c])
                    });
                }
                part
            })
            .collect()
    }

    #[allow(clippy::too_many_arguments)] // As above.
    /// First half: adds to `dx`, returns the first kernel's gradient.
    fn backward1(
        &self,
        x: &[f32],
        h1: &[f32],
        norm1: &NormGrad,
        back: &Adjoint,
        dr1: &mut [f32],
        dx: &mut [f32],
        s: Sizes,
    ) -> Vec<f32> {
        let conv1 = self.shape.conv1;
        let c = conv1.outputs;
        let parts: Vec<_> = dx
            .par_chunks_mut(s.group * s.x)
            .zip(dr1.par_chunks_mut(s.group * s.h))
            .zip(x.par_chunks(s.group * s.x))
            .zip(h1.par_chunks(s.group * s.h))
            .map(|(((dx, d), x), h1)| {
                let (mut padded, mut panels, mut dw) =
                    (Vec::new(), Panels::default(), vec![0.0; conv1.weights()]);
                let items = dx.chunks_exact_mut(s.x).zip(d.chunks_exact_mut(s.h));
                for (((dx, d), x), h1) in items.zip(x.chunks_exact(s.x)).zip(h1.chunks_exact(s.h)) {
                    norm1.apply(d, h1);
                    pad_into(&mut padded, x, conv1.inputs, conv1.pad(), conv1.pad());
                    panels.repack(d, s.rows, c);
                    conv1.add_weight_grad(&padded, &panels, &mut dw);
                    pad_into(&mut padded, d, c, back.margin, back.margin);
                    back.add_input_grad(&padded, dx);
                }
                dw
            })
            .collect();
        sum_in_order(parts)
    }

    fn backward(&self, x: &[f32], p: &[f32], out: &[f32], dout: &[f32], s: Sizes) -> (Vec<f32>, Vec<f32>) {
        let kept = self.kept.lock().expect("no panic while held");
        let [w1, g1, _, _, g2, _, _] = self.shape.ranges().map(|r| &p[r]);
        let (c, count) = (self.shape.conv1.outputs, s.n * s.rows);
        let sums2 = self.sums2(&kept.moments[1], &kept.h2, out, dout, s);
        let norm2 = NormGrad::new(&kept.moments[1], g2, &sums2, count);
        let (mut dr1, mut dx) = (vec![0.0; s.n * s.h], vec![0.0; s.n * s.x]);
        let parts = self.backward2(x, p, &kept, out, dout, &norm2, &mut dr1, &mut dx, s);
        let (mut dw2, mut dws, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            dw2.push(part.dw);
            dws.push(part.dw_skip);
            sums.push(part.sums);
        }
        let sums1 = add_up(sums.into_iter(), c);
        let norm1 = NormGrad::new(&kept.moments[0], g1, &sums1, count);
        let dw1 = self.backward1(x, &kept.h1, &norm1, &self.shape.conv1.adjoint(w1), &mut dr1, &mut dx, s);
        let narrow = |v: &[f64]| v.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let dp = [
            dw1,
            narrow(&sums1[1]),
            narrow(&sums1[0]),
            sum_in_order(dw2),
            narrow(&sums2[1]),
            narrow(&sums2[0]),
            sum_in_order(dws),
        ]
        .concat();
        (dx, dp)
    }
}

impl CustomOp2 for BlockOp {
    fn name(&self) -> &'static str {
        "residual-block"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        p: &CpuStorage,
        p_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, time, inputs) = x_layout.shape().dims3()?;
        if inputs != self.shape.conv1.inputs || p_layout.shape().elem_count() != self.shape.params() {
            candle_core::bail!("{:?} got {:?} and {:?}", self.shape, x_layout.shape(), p_layout.shape());
        }
        let s = self.sizes(n, time);
        let out = self.forward(numbers(x, x_layout)?, numbers(p, p_layout)?, s);
        Ok((CpuStorage::F32(out), Shape::from((n, s.rows, self.shape.conv1.outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        p: &Tensor,
        out: &Tensor,
        dout: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (n, time, _) = x.dims3()?;
        let dout = dout.contiguous()?;
        let (dx, dp) = with_numbers([x, p, out, &dout], |[x, p, out, dout]| {
            Ok(self.backward(x, p, out, dout, self.sizes(n, time)))
        })?;
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), x.device())?),
            Some(Tensor::from_vec(dp, p.shape(), p.device())?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::norm::{EPSILON, NormRelu};
    use candle_core::{Device, Var};
    use rand::{Rng, SeedableRng};

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// Batch norm in candle's own operations, differentiated by candle.
    fn norm(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
        let mean = x.mean_keepdim(0)?.mean_keepdim(1)?;
        let centred = x.broadcast_sub(&mean)?;
        let var = centred.sqr()?.mean_keepdim(0)?.mean_keepdim(1)?;
        let unit = centred.broadcast_div(&(var + EPSILON)?.sqrt()?)?;
        unit.broadcast_mul(gamma)?.broadcast_add(beta)
    }

    fn close(name: &str, a: &Tensor, b: &Tensor) -> Result<()> {
        let scale = b.abs()?.max_all()?.to_scalar::<f32>()?.max(1e-3);
        let off = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()? / scale;
        assert!(off < 2e-4, "{name}: off by {off}");
        Ok(())
    }

    #[test]
    fn a_block_and_its_gradients_equal_the_composition_of_plain_operations() -> Result<()> {
        let conv = |inputs, taps, stride, dilation| Conv { inputs, outputs: 6, taps, stride, dilation };
        let shapes = [
            BlockShape { conv1: conv(6, 3, 1, 4), conv2: conv(6, 3, 1, 4), skip: None },
            BlockShape { conv1: conv(4, 5, 2, 1), conv2: conv(6, 5, 1, 1), skip: Some(conv(4, 1, 2, 1)) },
        ];
        for shape in shapes {
            let (n, time, device) = (9, 33, Device::Cpu);
            let x = Var::from_vec(
                random(n * time * shape.conv1.inputs, 1),
                (n, time, shape.conv1.inputs),
                &device,
            )?;
            let p = Var::from_vec(random(shape.params(), 2), shape.params(), &device)?;
            let op = BlockOp { shape, dropout: 0.0, seed: 0, kept: Arc::default() };
            let got = x.apply_op2(&p, op)?;
            let ranges = shape.ranges();
            let part = |i: usize| p.narrow(0, ranges[i].start, ranges[i].len());
            let kernel = |i, c: Conv| part(i)?.reshape((c.taps, c.inputs, c.outputs));
            let h =
                norm(&x.apply_op2(&kernel(0, shape.conv1)?, shape.conv1)?, &part(1)?, &part(2)?)?.relu()?;
            let h = norm(&h.apply_op2(&kernel(3, shape.conv2)?, shape.conv2)?, &part(4)?, &part(5)?)?;
            let skip = match shape.skip {
                Some(conv) => x.apply_op2(&kernel(6, conv)?, conv)?,
                None => x.as_tensor().clone(),
            };
            let want = (h + skip)?.relu()?;
            close("forward", &got, &want)?;
            let g = Tensor::from_vec(random(want.elem_count(), 3), want.shape(), &device)?;
            let (a, b) = ((got * &g)?.sum_all()?.backward()?, (want * &g)?.sum_all()?.backward()?);
            for (name, var) in [("dx", &x), ("dp", &p)] {
                close(name, a.get(var).expect("a gradient"), b.get(var).expect("a gradient"))?;
            }
        }
        Ok(())
    }

    #[test]
    fn norm_with_relu_equals_plain_operations() -> Result<()> {
        let device = Device::Cpu;
        let x = Var::from_vec(random(9 * 20 * 5, 1), (9, 20, 5), &device)?;
        let (gamma, beta) =
            (Var::from_vec(random(5, 2), 5, &device)?, Var::from_vec(random(5, 3), 5, &device)?);
        let got = x.apply_op3(&gamma, &beta, NormRelu::default())?;
        let want = norm(&x, &gamma, &beta)?.relu()?;
        close("forward", &got, &want)?;
        let g = Tensor::from_vec(random(want.elem_count(), 4), want.shape(), &device)?;
        let (a, b) = ((got * &g)?.sum_all()?.backward()?, (want * &g)?.sum_all()?.backward()?);
        for (name, var) in [("dx", &x), ("dgamma", &gamma), ("dbeta", &beta)] {
            close(name, a.get(var).expect("a gradient"), b.get(var).expect("a gradient"))?;
        }
        Ok(())
    }

    #[test]
    fn dropout_keeps_the_mean_and_its_gradient_is_the_same_mask() -> Result<()> {
        let mut values = vec![1.0; 40_000];
        Dropout::new(0.1, 7, 3).apply(&mut values);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let dropped = values.iter().filter(|v| **v == 0.0).count() as f32 / values.len() as f32;
        assert!((dropped - 0.1).abs() < 0.01, "{dropped}");
        // The whole block with dropout: a step along the gradient must raise Σ out·g by |gradient|².
        let conv = Conv { inputs: 4, outputs: 4, taps: 3, stride: 1, dilation: 1 };
        let shape = BlockShape { conv1: conv, conv2: conv, skip: None };
        let op = BlockOp { shape, dropout: 0.3, seed: 5, kept: Arc::default() };
        let x = Var::from_vec(random(8 * 30 * 4, 1), (8, 30, 4), &Device::Cpu)?;
        let start = random(shape.params(), 2);
        let p = Var::from_vec(start.clone(), shape.params(), &Device::Cpu)?;
        let g = Tensor::from_vec(random(8 * 30 * 4, 3), (8, 30, 4), &Device::Cpu)?;
        let value = |p: &Tensor| (x.apply_op2(p, op.clone())? * &g)?.sum_all();
        let grads = value(&p)?.backward()?;
        let grad = grads.get(&p).expect("a gradient").to_vec1::<f32>()?;
        let square: f32 = grad.iter().map(|g| g * g).sum();
        let h = 1e-3 / square.sqrt();
        let at = |k: f32| -> Result<f32> {
            let moved: Vec<f32> = start.iter().zip(&grad).map(|(p, g)| p + k * h * g).collect();
            value(&Tensor::from_vec(moved, shape.params(), &Device::Cpu)?)?.to_scalar::<f32>()
        };
        let slope = (at(1.0)? - at(-1.0)?) / (2.0 * h);
        assert!((slope / square - 1.0).abs() < 0.03, "{slope} against {square}");
        Ok(())
    }
}
