//! One residual block in training: `h = relu(BN1(conv1 x))`, dropout, `out = relu(BN2(conv2 h) + skip(x))`.
//!
//! Forward and backward are by hand, one item at a time, so that what belongs together stays in cache; only what batch
//! statistics force is written to memory: the block's input and both convolutions' outputs, in buffers that steps
//! reuse. Between the passes lie the batch statistics: two of them forward, two backward. Parameters are one flat
//! array: kernel 1, scale 1, shift 1, kernel 2, scale 2, shift 2, skip kernel.

use super::conv::{Conv, GROUPS, pad_into, sum_in_order};
use super::dropout::Dropout;
use super::kernel::{Finish, Panels};
use super::norm::{Affine, Moments, NormGrad, Sums, behind_relu};
use super::padded::Padded;
use rayon::prelude::*;

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

/// One batch on its way through one block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// Items.
    pub n: usize,
    /// Rows of the block's input.
    pub time: usize,
    /// Decides what dropout leaves out.
    pub seed: u64,
}

impl Batch {
    /// Items of a group: each group's sums are one chain, so gradients do not depend on the number of threads.
    pub fn group(&self) -> usize {
        self.n.div_ceil(GROUPS)
    }
}

/// A block at work: its shape and what backward needs of forward.
#[derive(Default)]
pub(super) struct BlockPass {
    dropout: f32,
    /// The block's input.
    input: Padded,
    h1: Vec<f32>,
    h2: Vec<f32>,
    /// Statistics of the last batch.
    pub moments: [Moments; 2],
    norm: [Affine; 2],
    skip_kernel: Panels,
    /// Gradient behind the first norm.
    dr1: Vec<f32>,
    /// The buffer that a skip convolution's input gradient and the output gradient take turns in.
    spare: Vec<f32>,
}

impl BlockPass {
    /// A block without memory yet; `dropout` is the share of its hidden layer dropped, 0 to 1.
    pub fn new(dropout: f32) -> Self {
        Self { dropout, ..Self::default() }
    }

    /// Takes the block's input item by item from `fill` and runs the first convolution.
    pub fn first(
        &mut self,
        shape: &BlockShape,
        p: &[f32],
        batch: Batch,
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let [w1, g1, b1, _, _, _, ws] = shape.ranges().map(|r| &p[r]);
        let (conv, rows, group) = (shape.conv1, shape.conv1.out_len(batch.time), batch.group());
        let (kernel, len) = (conv.pack(w1), rows * conv.outputs);
        if let Some(skip) = shape.skip {
            self.skip_kernel.repack(ws, skip.inputs, skip.outputs);
        }
        self.input.fit(batch.n, batch.time, conv.inputs, conv.pad());
        self.h1.resize(batch.n * len, 0.0);
        let place = self.input.place();
        let groups = self.h1.par_chunks_mut(group * len).zip(self.input.groups(group)).enumerate();
        let parts: Vec<_> = groups
            .map(|(g, (h1, input))| {
                let mut sums = Sums::zero(conv.outputs);
                for (i, h1) in h1.chunks_exact_mut(len).enumerate() {
                    let x = place.item(input, i);
                    fill(g * group + i, place.inside(x));
                    conv.forward(x, &kernel, rows, h1, Finish::default());
                    sums.add_squares(h1);
                }
                sums
            })
            .collect();
        self.moments[0] = Moments::from_sums(&Sums::total(&parts, conv.outputs), batch.n * rows);
        self.norm[0] = self.moments[0].affine(g1, b1);
    }

    /// The hidden layer of one item, normalised, rectified and dropped, into a padded buffer.
    fn hidden_into(&self, padded: &mut Vec<f32>, pad: usize, h1: &[f32], seed: u64, item: usize) {
        padded.resize(h1.len() + 2 * pad, 0.0);
        let inside = &mut padded[pad..pad + h1.len()];
        self.norm[0].relu_into(inside, h1);
        Dropout::new(self.dropout, seed, item).apply(inside);
    }

    /// Runs the second convolution.
    pub fn second(&mut self, shape: &BlockShape, p: &[f32], batch: Batch) {
        let [_, _, _, w2, g2, b2, _] = shape.ranges().map(|r| &p[r]);
        let (conv, rows, group) = (shape.conv2, shape.conv1.out_len(batch.time), batch.group());
        let (kernel, len) = (conv.pack(w2), rows * conv.outputs);
        let mut h2 = std::mem::take(&mut self.h2);
        h2.resize(batch.n * len, 0.0);
        let groups = h2.par_chunks_mut(group * len).zip(self.h1.par_chunks(group * len)).enumerate();
        let parts: Vec<_> = groups
            .map(|(g, (h2, h1))| {
                let (mut padded, mut sums) = (Vec::new(), Sums::zero(conv.outputs));
                for (i, (h2, h1)) in h2.chunks_exact_mut(len).zip(h1.chunks_exact(len)).enumerate() {
                    let pad = conv.pad() * conv.inputs;
                    self.hidden_into(&mut padded, pad, h1, batch.seed, g * group + i);
                    conv.forward(&padded, &kernel, rows, h2, Finish::default());
                    sums.add_squares(h2);
                }
                sums
            })
            .collect();
        self.h2 = h2;
        self.moments[1] = Moments::from_sums(&Sums::total(&parts, conv.outputs), batch.n * rows);
        self.norm[1] = self.moments[1].affine(g2, b2);
    }

    /// The block's output for one item.
    pub fn output(&self, shape: &BlockShape, item: usize, to: &mut [f32]) {
        let (x, h2) = (self.input.inside(item), &self.h2[item * to.len()..(item + 1) * to.len()]);
        match shape.skip {
            Some(conv) => {
                let rows = to.len() / conv.outputs;
                conv.forward(x, &self.skip_kernel, rows, to, Finish::default());
                self.norm[1].relu_add_into(to, h2, None);
            }
            None => self.norm[1].relu_add_into(to, h2, Some(x)),
        }
    }

    /// Turns the gradient at one item's output `out` into the one before its `ReLU`, and adds what the second norm's
    /// gradient wants to know.
    pub fn enter(&self, item: usize, d: &mut [f32], out: &[f32], sums: &mut Sums) {
        behind_relu(d, out);
        sums.add_products(d, &self.h2[item * d.len()..(item + 1) * d.len()], &self.moments[1].mean);
    }

    /// The whole block backward: `d` the gradient that [`BlockPass::enter`] left with its sums. Gives the gradient at
    /// the input, which `enter` (of the block before; item, gradient, this block's input) has taken on, its sums,
    /// and the parameters' gradient.
    pub fn backward(
        &mut self,
        shape: &BlockShape,
        p: &[f32],
        batch: Batch,
        (mut d, sums): (Vec<f32>, &Sums),
        enter: impl Fn(usize, &mut [f32], &[f32], &mut Sums) + Sync,
    ) -> (Vec<f32>, Sums, Vec<f32>) {
        let [_, g1, _, _, g2, _, _] = shape.ranges().map(|r| &p[r]);
        let count = batch.n * shape.conv1.out_len(batch.time);
        let norm2 = NormGrad::new(&self.moments[1], g2, sums, count);
        let mut dr1 = std::mem::take(&mut self.dr1);
        dr1.resize(d.len(), 0.0);
        let mut dskip = std::mem::take(&mut self.spare);
        let x_len = if shape.skip.is_some() { batch.time * shape.conv1.inputs } else { 0 };
        dskip.resize(batch.n * x_len, 0.0);
        let parts = self.backward2(shape, p, batch, &norm2, &d, &mut dr1, &mut dskip);
        let (mut dw2, mut dws, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            dw2.push(part.dw);
            dws.push(part.dw_skip);
            sums.push(part.sums);
        }
        let sums = Sums::total(&sums, shape.conv1.outputs);
        let norm1 = NormGrad::new(&self.moments[0], g1, &sums, count);
        if shape.skip.is_some() {
            std::mem::swap(&mut d, &mut dskip);
        }
        let (dw1, sums) = self.backward1(shape, p, batch, &norm1, &dr1, &mut d, enter);
        (self.dr1, self.spare) = (dr1, dskip);
        let dp = [
            sum_in_order(dw1),
            norm1.dgamma,
            norm1.dbeta,
            sum_in_order(dw2),
            norm2.dgamma,
            norm2.dbeta,
            sum_in_order(dws),
        ];
        (d, sums, dp.concat())
    }
}

/// What one group of items hands back.
struct Part {
    sums: Sums,
    dw: Vec<f32>,
    dw_skip: Vec<f32>,
}

/// What the items of a group share on their way back.
#[derive(Default)]
struct Scratch {
    /// Gradient at a convolution's output, with the zero rows of the transposed convolution.
    d: Vec<f32>,
    hidden: Vec<f32>,
    panels: Panels,
}

impl BlockPass {
    /// Second half of the block: fills `dr1` (gradient behind the first norm) and a skip convolution's `dx`.
    #[allow(clippy::too_many_arguments)] // One pass over everything the block kept.
    fn backward2(
        &self,
        shape: &BlockShape,
        p: &[f32],
        batch: Batch,
        norm2: &NormGrad,
        d: &[f32],
        dr1: &mut [f32],
        dx: &mut [f32],
    ) -> Vec<Part> {
        let [_, _, _, w2, _, _, ws] = shape.ranges().map(|r| &p[r]);
        let conv = shape.conv2;
        let (back, skip) = (conv.adjoint(w2), shape.skip.map(|conv| (conv, conv.adjoint(ws))));
        let (c, len, group) = (conv.outputs, d.len() / batch.n, batch.group());
        let x_len = dx.len() / batch.n;
        let work = |(g, (dr1, mut dx)): (usize, (&mut [f32], &mut [f32]))| {
            let mut part = Part {
                sums: Sums::zero(c),
                dw: vec![0.0; conv.weights()],
                dw_skip: vec![0.0; skip.as_ref().map_or(0, |(conv, _)| conv.weights())],
            };
            let (mut s, pad) = (Scratch::default(), conv.pad() * c);
            for (i, dr1) in dr1.chunks_exact_mut(len).enumerate() {
                let item = g * group + i;
                let of = item * len..(item + 1) * len;
                let (d, h1, h2) = (&d[of.clone()], &self.h1[of.clone()], &self.h2[of]);
                if let Some((conv, back)) = &skip {
                    let (now, rest) = dx.split_at_mut(x_len);
                    dx = rest;
                    s.panels.repack(d, len / c, c);
                    conv.add_weight_grad(self.input.inside(item), &s.panels, &mut part.dw_skip);
                    pad_into(&mut s.d, d, c, back.margin, back.margin);
                    now.fill(0.0);
                    back.add_input_grad(&s.d, now);
                }
                let inside = back.margin * c..back.margin * c + len;
                s.d.clear();
                s.d.resize(len + 2 * back.margin * c, 0.0);
                norm2.apply_into(&mut s.d[inside.clone()], d, h2);
                self.hidden_into(&mut s.hidden, pad, h1, batch.seed, item);
                s.panels.repack(&s.d[inside], len / c, c);
                conv.add_weight_grad(&s.hidden, &s.panels, &mut part.dw);
                dr1.fill(0.0);
                back.add_input_grad(&s.d, dr1);
                Dropout::new(self.dropout, batch.seed, item).apply(dr1);
                // A hidden value of 0 was rectified or dropped; dropped ones are 0 already.
                behind_relu(dr1, &s.hidden[pad..pad + len]);
                part.sums.add_products(dr1, h1, &self.moments[0].mean);
            }
            part
        };
        let groups = dr1.par_chunks_mut(group * len);
        if x_len == 0 {
            return groups.map(|dr1| (dr1, &mut [][..])).enumerate().map(work).collect();
        }
        groups.zip(dx.par_chunks_mut(group * x_len)).enumerate().map(work).collect()
    }

    /// First half: completes `dx`, which holds the skip path's part; gives the first kernel's gradient by group and
    /// the sums of the block before.
    #[allow(clippy::too_many_arguments)] // As above.
    fn backward1(
        &self,
        shape: &BlockShape,
        p: &[f32],
        batch: Batch,
        norm1: &NormGrad,
        dr1: &[f32],
        dx: &mut [f32],
        enter: impl Fn(usize, &mut [f32], &[f32], &mut Sums) + Sync,
    ) -> (Vec<Vec<f32>>, Sums) {
        let conv = shape.conv1;
        let back = conv.adjoint(&p[shape.ranges()[0].clone()]);
        let (c, len, x_len, group) = (conv.outputs, dr1.len() / batch.n, dx.len() / batch.n, batch.group());
        let parts: Vec<_> = dx
            .par_chunks_mut(group * x_len)
            .enumerate()
            .map(|(g, dx)| {
                let mut s = Scratch::default();
                let (mut dw, mut sums) = (vec![0.0; conv.weights()], Sums::zero(conv.inputs));
                let inside = back.margin * c..back.margin * c + len;
                s.d.resize(len + 2 * back.margin * c, 0.0);
                for (i, dx) in dx.chunks_exact_mut(x_len).enumerate() {
                    let item = g * group + i;
                    let of = item * len..(item + 1) * len;
                    norm1.apply_into(&mut s.d[inside.clone()], &dr1[of.clone()], &self.h1[of]);
                    s.panels.repack(&s.d[inside.clone()], len / c, c);
                    conv.add_weight_grad(self.input.item(item), &s.panels, &mut dw);
                    back.add_input_grad(&s.d, dx);
                    enter(item, dx, self.input.inside(item), &mut sums);
                }
                (dw, sums)
            })
            .collect();
        let (dw, sums): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        (dw, Sums::total(&sums, conv.inputs))
    }
}
