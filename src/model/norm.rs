//! Batch norm over batch and time: statistics, forward and backward by hand, one item at a time.
//!
//! Sums are f32 within an item and f64 across items, in a fixed order; loops run across channels.

use super::kernel::wide;

/// Batch norm's epsilon.
pub(super) const EPSILON: f64 = 1e-5;

/// Channels summed at a time: two vectors of the widest instruction set.
const LANES: usize = 32;

/// Mean and variance of one batch norm over a batch, per channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: Vec<f32>,
    /// Variance, biased.
    pub var: Vec<f32>,
}

/// Two sums a channel, in f64.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    pub a: Vec<f64>,
    pub b: Vec<f64>,
}

impl Sums {
    pub fn zero(channels: usize) -> Self {
        Self { a: vec![0.0; channels], b: vec![0.0; channels] }
    }

    /// The groups' sums, added first to last.
    pub fn total<'a>(parts: impl IntoIterator<Item = &'a Sums>, channels: usize) -> Self {
        let mut total = Self::zero(channels);
        for part in parts {
            for (to, from) in [(&mut total.a, &part.a), (&mut total.b, &part.b)] {
                for (t, f) in to.iter_mut().zip(from) {
                    *t += f;
                }
            }
        }
        total
    }

    /// Adds Σ v and Σ v² of one item.
    pub fn add_squares(&mut self, rows: &[f32]) {
        self.add(rows, rows, |_, v, _| (v, v * v));
    }

    /// Adds Σ d and Σ d·(h - mean) of one item.
    pub fn add_products(&mut self, d: &[f32], h: &[f32], mean: &[f32]) {
        self.add(d, h, |c, d, h| (d, d * (h - mean[c])));
    }

    #[inline]
    fn add(&mut self, x: &[f32], y: &[f32], f: impl Fn(usize, f32, f32) -> (f32, f32) + Copy) {
        let channels = self.a.len();
        wide(
            #[inline(always)]
            || {
                for first in (0..channels).step_by(LANES) {
                    let width = LANES.min(channels - first);
                    // The same loop twice, once with a width that the compiler knows.
                    let (a, b) = if width == LANES {
                        lanes(x, y, channels, first, LANES, f)
                    } else {
                        lanes(x, y, channels, first, width, f)
                    };
                    for i in 0..width {
                        self.a[first + i] += f64::from(a[i]);
                        self.b[first + i] += f64::from(b[i]);
                    }
                }
            },
        );
    }
}

/// Both sums of one item over the channels `first .. first + width`.
#[inline(always)]
#[allow(clippy::inline_always)] // It must be compiled inside `wide`.
fn lanes(
    x: &[f32],
    y: &[f32],
    channels: usize,
    first: usize,
    width: usize,
    f: impl Fn(usize, f32, f32) -> (f32, f32),
) -> ([f32; LANES], [f32; LANES]) {
    let (mut a, mut b) = ([0.0f32; LANES], [0.0f32; LANES]);
    for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact(channels)) {
        let (x, y) = (&x[first..first + width], &y[first..first + width]);
        for i in 0..width {
            let (p, q) = f(first + i, x[i], y[i]);
            a[i] += p;
            b[i] += q;
        }
    }
    (a, b)
}

impl Moments {
    /// From sums and sums of squares over `count` values a channel.
    pub(super) fn from_sums(sums: &Sums, count: usize) -> Self {
        let n = count as f64;
        let mean: Vec<f64> = sums.a.iter().map(|s| s / n).collect();
        let var = sums.b.iter().zip(&mean).map(|(q, m)| (q / n - m * m).max(0.0) as f32).collect();
        Self { mean: mean.iter().map(|m| *m as f32).collect(), var }
    }

    /// Scale and shift that apply the norm: `y = scale · x + shift`.
    #[must_use]
    pub(super) fn affine(&self, gamma: &[f32], beta: &[f32]) -> Affine {
        let scale: Vec<f32> = gamma.iter().zip(self.inverse_sd()).map(|(g, i)| g * i).collect();
        let shift = (0..scale.len()).map(|c| beta[c] - self.mean[c] * scale[c]).collect();
        Affine { scale, shift }
    }

    fn inverse_sd(&self) -> Vec<f32> {
        self.var.iter().map(|v| (1.0 / (f64::from(*v) + EPSILON).sqrt()) as f32).collect()
    }
}

/// A norm whose statistics are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Affine {
    /// `relu(scale · h + shift)` of one item into `to`.
    pub fn relu_into(&self, to: &mut [f32], h: &[f32]) {
        let c = self.scale.len();
        wide(
            #[inline(always)]
            || {
                for (to, h) in to.chunks_exact_mut(c).zip(h.chunks_exact(c)) {
                    for (((t, h), s), b) in to.iter_mut().zip(h).zip(&self.scale).zip(&self.shift) {
                        *t = (h * s + b).max(0.0);
                    }
                }
            },
        );
    }

    /// `to = relu(skip + scale · h + shift)` of one item; `None`: the skip is in `to` already.
    pub fn relu_add_into(&self, to: &mut [f32], h: &[f32], skip: Option<&[f32]>) {
        let c = self.scale.len();
        if let Some(skip) = skip {
            to.copy_from_slice(skip);
        }
        wide(
            #[inline(always)]
            || {
                for (to, h) in to.chunks_exact_mut(c).zip(h.chunks_exact(c)) {
                    for (((t, h), s), b) in to.iter_mut().zip(h).zip(&self.scale).zip(&self.shift) {
                        *t = (*t + (h * s + b)).max(0.0);
                    }
                }
            },
        );
    }
}

/// Batch norm backward: `dh = k · (d - a - (h - mean) · b)` with one k, a, b a channel.
pub(super) struct NormGrad {
    k: Vec<f32>,
    a: Vec<f32>,
    b: Vec<f32>,
    mean: Vec<f32>,
    /// Gradients of the norm's scale and shift.
    pub dgamma: Vec<f32>,
    pub dbeta: Vec<f32>,
}

impl NormGrad {
    /// From Σ d and Σ d·(h - mean) over `count` values a channel.
    pub fn new(moments: &Moments, gamma: &[f32], sums: &Sums, count: usize) -> Self {
        let inv = moments.inverse_sd();
        let n = count as f64;
        let dgamma: Vec<f64> = sums.b.iter().zip(&inv).map(|(s, i)| s * f64::from(*i)).collect();
        Self {
            k: gamma.iter().zip(&inv).map(|(g, i)| g * i).collect(),
            a: sums.a.iter().map(|s| (s / n) as f32).collect(),
            b: dgamma.iter().zip(&inv).map(|(g, i)| (g / n) as f32 * i).collect(),
            mean: moments.mean.clone(),
            dgamma: dgamma.iter().map(|g| *g as f32).collect(),
            dbeta: sums.a.iter().map(|s| *s as f32).collect(),
        }
    }

    /// The gradient at the norm's input from `d` at its output, one item, into `to`.
    pub fn apply_into(&self, to: &mut [f32], d: &[f32], h: &[f32]) {
        let c = self.k.len();
        wide(
            #[inline(always)]
            || {
                for ((to, d), h) in to.chunks_exact_mut(c).zip(d.chunks_exact(c)).zip(h.chunks_exact(c)) {
                    let rows = to.iter_mut().zip(d).zip(h);
                    let channels = self.k.iter().zip(&self.a).zip(&self.b).zip(&self.mean);
                    for (((t, d), h), (((k, a), b), mean)) in rows.zip(channels) {
                        *t = k * (d - a - (h - mean) * b);
                    }
                }
            },
        );
    }
}

/// Where the rectified output was 0, no gradient passes.
pub(super) fn behind_relu(d: &mut [f32], out: &[f32]) {
    wide(
        #[inline(always)]
        || {
            for (d, o) in d.iter_mut().zip(out) {
                *d = if *o > 0.0 { *d } else { 0.0 };
            }
        },
    );
}
