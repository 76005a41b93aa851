//! Batch norm over batch and time, with `ReLU`: statistics, forward, backward by hand.

use super::conv::{group_len, numbers, with_numbers};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::{Arc, Mutex};

/// Batch norm's epsilon.
pub(super) const EPSILON: f64 = 1e-5;

/// Mean and variance of one batch norm over a batch, per channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: Vec<f32>,
    /// Variance, biased.
    pub var: Vec<f32>,
}

/// Per-channel sums over groups of items, added in order, in f64.
pub(super) fn add_up(parts: impl Iterator<Item = [Vec<f64>; 2]>, channels: usize) -> [Vec<f64>; 2] {
    let mut sums = [vec![0.0; channels], vec![0.0; channels]];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(&part) {
            for (s, p) in sum.iter_mut().zip(part) {
                *s += p;
            }
        }
    }
    sums
}

/// Adds one item's per-channel sums of `f(row value) -> (a, b)` to f64 totals; f32 within one item.
pub(super) fn item_sums(
    rows: &[f32],
    channels: usize,
    totals: &mut [Vec<f64>; 2],
    mut f: impl FnMut(usize, f32) -> (f32, f32),
) {
    let (mut a, mut b) = (vec![0.0f32; channels], vec![0.0f32; channels]);
    for (r, row) in rows.chunks_exact(channels).enumerate() {
        for (c, ((a, b), v)) in a.iter_mut().zip(&mut b).zip(row).enumerate() {
            let (x, y) = f(r * channels + c, *v);
            *a += x;
            *b += y;
        }
    }
    for (total, part) in totals.iter_mut().zip([a, b]) {
        for (t, p) in total.iter_mut().zip(part) {
            *t += f64::from(p);
        }
    }
}

impl Moments {
    /// From sums and sums of squares over `count` values a channel.
    pub(super) fn from_sums(sums: &[Vec<f64>; 2], count: usize) -> Self {
        let n = count as f64;
        let mean: Vec<f64> = sums[0].iter().map(|s| s / n).collect();
        let var = sums[1].iter().zip(&mean).map(|(q, m)| (q / n - m * m).max(0.0) as f32).collect();
        Self { mean: mean.iter().map(|m| *m as f32).collect(), var }
    }

    /// Scale and shift that apply the norm: `y = scale · x + shift`.
    #[must_use]
    pub fn affine(&self, gamma: &[f32], beta: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let scale: Vec<f32> = gamma.iter().zip(self.inverse_sd()).map(|(g, i)| g * i).collect();
        let shift = (0..scale.len()).map(|c| beta[c] - self.mean[c] * scale[c]).collect();
        (scale, shift)
    }

    pub(super) fn inverse_sd(&self) -> Vec<f32> {
        self.var.iter().map(|v| (1.0 / (f64::from(*v) + EPSILON).sqrt()) as f32).collect()
    }
}

/// `relu(scale · h + shift)` of one item into `to`.
pub(super) fn norm_relu(to: &mut [f32], h: &[f32], scale: &[f32], shift: &[f32]) {
    let c = scale.len();
    for (to, h) in to.chunks_exact_mut(c).zip(h.chunks_exact(c)) {
        for (((t, h), s), b) in to.iter_mut().zip(h).zip(scale).zip(shift) {
            *t = (h * s + b).max(0.0);
        }
    }
}

/// Batch norm backward: `dh = k · (d - a - x̂·b)` with per-channel k, a, b and `x̂ = (h - mean) · inv`.
pub(super) struct NormGrad {
    k: Vec<f32>,
    a: Vec<f32>,
    /// `b · inv`, so that no x̂ is stored.
    b_inv: Vec<f32>,
    mean: Vec<f32>,
}

impl NormGrad {
    pub(super) fn new(moments: &Moments, gamma: &[f32], sums: &[Vec<f64>; 2], count: usize) -> Self {
        let inv = moments.inverse_sd();
        let n = count as f64;
        Self {
            k: gamma.iter().zip(&inv).map(|(g, i)| g * i).collect(),
            a: sums[0].iter().map(|s| (s / n) as f32).collect(),
            b_inv: sums[1].iter().zip(&inv).map(|(s, i)| (s / n) as f32 * i).collect(),
            mean: moments.mean.clone(),
        }
    }

    /// Turns `d` (gradient at the norm's output) into the gradient at its input, one item.
    pub(super) fn apply(&self, d: &mut [f32], h: &[f32]) {
        let c = self.k.len();
        for (d, h) in d.chunks_exact_mut(c).zip(h.chunks_exact(c)) {
            for i in 0..c {
                d[i] = self.k[i] * (d[i] - self.a[i] - (h[i] - self.mean[i]) * self.b_inv[i]);
            }
        }
    }
}

/// `relu(BN(x))` in training mode as one operation; inputs are x `[n, time, channel]`, scale, shift.
#[derive(Clone, Default)]
pub struct NormRelu {
    /// Statistics of the last batch.
    pub moments: Arc<Mutex<Moments>>,
}

impl CustomOp3 for NormRelu {
    fn name(&self) -> &'static str {
        "norm-relu"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, time, c) = x_layout.shape().dims3()?;
        let x = numbers(x, x_layout)?;
        let parts: Vec<_> = x
            .par_chunks(group_len(n) * time * c)
            .map(|items| {
                let mut sums = [vec![0.0; c], vec![0.0; c]];
                for item in items.chunks_exact(time * c) {
                    item_sums(item, c, &mut sums, |_, v| (v, v * v));
                }
                sums
            })
            .collect();
        let moments = Moments::from_sums(&add_up(parts.into_iter(), c), n * time);
        let (scale, shift) = moments.affine(numbers(gamma, gamma_layout)?, numbers(beta, beta_layout)?);
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(time * c)
            .zip(x.par_chunks(time * c))
            .for_each(|(y, x)| norm_relu(y, x, &scale, &shift));
        *self.moments.lock().expect("no panic while held") = moments;
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        _beta: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (n, time, c) = x.dims3()?;
        let moments = self.moments.lock().expect("no panic while held").clone();
        let (inv, dy) = (moments.inverse_sd(), dy.contiguous()?);
        let (dx, sums) = with_numbers([x, gamma, y, &dy], |[x, gamma, y, dy]| {
            let span = group_len(n) * time * c;
            let mut dx: Vec<f32> = dy.iter().zip(y).map(|(d, y)| if *y > 0.0 { *d } else { 0.0 }).collect();
            let parts: Vec<_> = dx
                .par_chunks(span)
                .zip(x.par_chunks(span))
                .map(|(d, x)| {
                    let mut sums = [vec![0.0; c], vec![0.0; c]];
                    for (d, x) in d.chunks_exact(time * c).zip(x.chunks_exact(time * c)) {
                        item_sums(x, c, &mut sums, |i, x| {
                            (d[i], d[i] * (x - moments.mean[i % c]) * inv[i % c])
                        });
                    }
                    sums
                })
                .collect();
            let sums = add_up(parts.into_iter(), c);
            let grad = NormGrad::new(&moments, gamma, &sums, n * time);
            dx.par_chunks_mut(time * c).zip(x.par_chunks(time * c)).for_each(|(d, x)| grad.apply(d, x));
            Ok((dx, sums))
        })?;
        let narrow = |v: &[f64]| Tensor::from_iter(v.iter().map(|v| *v as f32), x.device());
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(narrow(&sums[1])?), Some(narrow(&sums[0])?)))
    }
}
