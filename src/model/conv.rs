//! The differentiable convolution that training and reference share.
//!
//! candle's own gradient of `conv1d` with respect to its kernel is wrong for more than one item a batch
//! (docs/decisions.md), so this one is ours: forward, input gradient and weight gradient are the same strided product.
//! Tensors are `[n, time, channel]`, kernels `[tap, in, out]`; symmetric zero padding of `dilation · (taps - 1) / 2`.

use super::kernel::{Finish, Panels, View, product};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Items of a batch are summed in this many groups, in order: gradients do not depend on the number of threads.
pub(super) const GROUPS: usize = 8;

/// One convolution's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Taps, odd.
    pub taps: usize,
    /// Stride.
    pub stride: usize,
    /// Dilation.
    pub dilation: usize,
}

impl Conv {
    /// Zero rows before and after the input.
    #[must_use]
    pub fn pad(&self) -> usize {
        self.dilation * (self.taps - 1) / 2
    }

    /// Output rows for `time` input rows.
    #[must_use]
    pub fn out_len(&self, time: usize) -> usize {
        (time - 1) / self.stride + 1
    }

    /// Numbers in the kernel.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.taps * self.inputs * self.outputs
    }

    /// The kernel packed for [`Conv::forward`].
    #[must_use]
    pub fn pack(&self, kernel: &[f32]) -> Panels {
        Panels::pack(kernel, self.taps * self.inputs, self.outputs)
    }

    /// The padded input as the product's view, starting at row `first` of the padded buffer.
    #[must_use]
    pub fn view<'a>(&self, padded: &'a [f32], first: usize) -> View<'a> {
        let values = &padded[first * self.inputs..];
        let row = self.stride * self.inputs;
        if self.dilation == 1 {
            View { values, row, outer: 0, outer_len: 1, inner: 1, inner_len: self.taps * self.inputs }
        } else {
            View {
                values,
                row,
                outer: self.dilation * self.inputs,
                outer_len: self.taps,
                inner: 1,
                inner_len: self.inputs,
            }
        }
    }

    /// `rows` outputs from a padded input.
    pub fn forward(&self, padded: &[f32], kernel: &Panels, rows: usize, out: &mut [f32], finish: Finish<'_>) {
        product(rows, self.view(padded, 0), kernel, out, self.outputs, finish);
    }

    /// Adds one item's part of the weight gradient: `dw += padded inputᵀ · dy`.
    pub(super) fn add_weight_grad(&self, padded: &[f32], dy: &Panels, dw: &mut [f32]) {
        let finish = Finish { accumulate: true, ..Finish::default() };
        // Neighbouring taps are neighbouring rows of one matrix when nothing is skipped between them.
        let (groups, m) =
            if self.dilation == 1 { (1, self.taps * self.inputs) } else { (self.taps, self.inputs) };
        for g in 0..groups {
            let view = View {
                values: &padded[g * self.dilation * self.inputs..],
                row: 1,
                outer: 0,
                outer_len: 1,
                inner: self.stride * self.inputs,
                inner_len: dy.rows(),
            };
            let part = &mut dw[g * self.inputs * self.outputs..];
            product(m, view, dy, part, self.outputs, finish);
        }
    }

    /// The kernel turned round for [`Adjoint::add_input_grad`].
    pub(super) fn adjoint(&self, kernel: &[f32]) -> Adjoint {
        let (taps, s, d) = (self.taps, self.stride as isize, self.dilation as isize);
        let pad = self.pad() as isize;
        let phases = (0..s).map(|r| {
            // Output row t touches input row u = s·t + tap·d - pad; so u = s·j + r takes t = j + (r + pad - tap·d)/s.
            let used: Vec<usize> =
                (0..taps).rev().filter(|&tap| (r + pad - tap as isize * d).rem_euclid(s) == 0).collect();
            let mut turned = Vec::with_capacity(used.len() * self.outputs * self.inputs);
            for &tap in &used {
                let from = &kernel[tap * self.inputs * self.outputs..][..self.inputs * self.outputs];
                for o in 0..self.outputs {
                    turned.extend((0..self.inputs).map(|i| from[i * self.outputs + o]));
                }
            }
            let offset = |tap: usize| (r + pad - tap as isize * d).div_euclid(s);
            Phase {
                first: used.first().map_or(0, |&tap| offset(tap)),
                step: match used[..] {
                    [a, b, ..] => (offset(b) - offset(a)) as usize,
                    _ => 0,
                },
                taps: used.len(),
                kernel: Panels::pack(&turned, used.len() * self.outputs, self.inputs),
            }
        });
        Adjoint { conv: *self, margin: self.dilation * self.taps, phases: phases.collect() }
    }
}

/// The taps that reach input rows of one phase of the stride.
struct Phase {
    first: isize,
    step: usize,
    taps: usize,
    kernel: Panels,
}

/// The transposed convolution.
pub(super) struct Adjoint {
    conv: Conv,
    /// Zero rows around dy.
    pub(super) margin: usize,
    phases: Vec<Phase>,
}

impl Adjoint {
    /// `dx += ` the input gradient of one item; `dy` is padded with `margin` zero rows on both sides.
    pub(super) fn add_input_grad(&self, dy_padded: &[f32], dx: &mut [f32]) {
        let Conv { inputs, outputs, stride, .. } = self.conv;
        let time = dx.len() / inputs;
        for (r, phase) in self.phases.iter().enumerate().filter(|(_, p)| p.taps > 0) {
            let rows = (time + stride - 1 - r) / stride;
            let first = (self.margin as isize + phase.first) as usize;
            let view = View {
                values: &dy_padded[first * outputs..],
                row: outputs,
                outer: phase.step * outputs,
                outer_len: phase.taps,
                inner: 1,
                inner_len: outputs,
            };
            let finish = Finish { accumulate: true, ..Finish::default() };
            product(rows, view, &phase.kernel, &mut dx[r * inputs..], stride * inputs, finish);
        }
    }
}

/// Copies one item between `before` and `after` zero rows of `channels`.
pub(super) fn pad_into(to: &mut Vec<f32>, from: &[f32], channels: usize, before: usize, after: usize) {
    to.clear();
    to.resize(before * channels, 0.0);
    to.extend_from_slice(from);
    to.resize(to.len() + after * channels, 0.0);
}

/// A contiguous CPU tensor's numbers.
pub(super) fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => candle_core::bail!("tensor must be contiguous"),
    }
}

/// Runs `f` on the numbers of contiguous CPU tensors.
pub(super) fn with_numbers<const N: usize, T>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> Result<T>,
) -> Result<T> {
    let held = tensors.map(|t| t.storage_and_layout());
    let mut slices = [&[][..]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&held) {
        match &**storage {
            Storage::Cpu(cpu) => *slice = numbers(cpu, layout)?,
            _ => candle_core::bail!("tensor must be on the CPU"),
        }
    }
    f(slices)
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, time, inputs) = x_layout.shape().dims3()?;
        if inputs != self.inputs || w_layout.shape().elem_count() != self.weights() {
            candle_core::bail!("{self:?} got {:?} and {:?}", x_layout.shape(), w_layout.shape());
        }
        let (x, kernel) = (numbers(x, x_layout)?, self.pack(numbers(w, w_layout)?));
        let (rows, pad) = (self.out_len(time), self.pad());
        let mut y = vec![0.0; n * rows * self.outputs];
        y.par_chunks_mut(rows * self.outputs).zip(x.par_chunks(time * inputs)).for_each_init(
            Vec::new,
            |padded, (y, x)| {
                pad_into(padded, x, inputs, pad, pad);
                self.forward(padded, &kernel, rows, y, Finish::default());
            },
        );
        Ok((CpuStorage::F32(y), Shape::from((n, rows, self.outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (n, time, inputs) = x.dims3()?;
        let rows = self.out_len(time);
        let dy = dy.contiguous()?;
        let (dx, dw) = with_numbers([x, w, &dy], |[x, w, dy]| {
            let adjoint = self.adjoint(w);
            let mut dx = vec![0.0; x.len()];
            let group = n.div_ceil(GROUPS);
            let parts: Vec<Vec<f32>> = dx
                .par_chunks_mut(group * time * inputs)
                .zip(x.par_chunks(group * time * inputs))
                .zip(dy.par_chunks(group * rows * self.outputs))
                .map(|((dx, x), dy)| {
                    let (mut dw, mut padded, mut panels) =
                        (vec![0.0; self.weights()], Vec::new(), Panels::default());
                    let items = dx.chunks_exact_mut(time * inputs).zip(x.chunks_exact(time * inputs));
                    for ((dx, x), dy) in items.zip(dy.chunks_exact(rows * self.outputs)) {
                        pad_into(&mut padded, x, inputs, self.pad(), self.pad());
                        panels.repack(dy, rows, self.outputs);
                        self.add_weight_grad(&padded, &panels, &mut dw);
                        pad_into(&mut padded, dy, self.outputs, adjoint.margin, adjoint.margin);
                        adjoint.add_input_grad(&padded, dx);
                    }
                    dw
                })
                .collect();
            Ok((dx, sum_in_order(parts)))
        })?;
        let device = x.device();
        Ok((Some(Tensor::from_vec(dx, x.shape(), device)?), Some(Tensor::from_vec(dw, w.shape(), device)?)))
    }
}

/// Adds the groups' parts, first to last.
pub(super) fn sum_in_order(parts: Vec<Vec<f32>>) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        for (s, p) in sum.iter_mut().zip(part) {
            *s += p;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::proof::against_definition;
    use candle_core::Device;

    #[test]
    fn gradients_equal_finite_differences_for_every_shape_in_use() -> Result<()> {
        for (taps, stride, dilation) in
            [(11, 2, 1), (5, 1, 1), (5, 2, 1), (3, 1, 1), (3, 1, 2), (3, 1, 4), (1, 2, 1), (3, 2, 4)]
        {
            let conv = Conv { inputs: 3, outputs: 5, taps, stride, dilation };
            for (n, time) in [(1, 40), (4, 41), (4, 40), (9, 17)] {
                let off = against_definition(&conv, n, time, &Device::Cpu, |x, w| x.apply_op2(w, conv))?;
                assert!(off.iter().all(|e| *e < 2e-4), "{conv:?} n {n} time {time}: off by {off:?}");
            }
        }
        Ok(())
    }
}
