//! Products on strided views with one fixed order of sums: the arithmetic under every engine and training step.
//!
//! What it does: `C[i, col] = Σ A[i·row + o·outer + j·inner] · B[(o, j), col]`, then bias, residual, ReLU. Each output is
//! one accumulator, fused multiply-add over (outer, inner) in ascending order (docs/decisions.md), so that the portable
//! and the vector paths give equal bits; vectors run across outputs, never along a sum.
//! What it never does: allocate, spawn, or choose another order for speed. The only room with `unsafe`.
//! Door: [`product`], [`Panels`], [`isa`]. Called by `model`'s engine, convolution and codebook.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod wide;
mod yardstick;

pub use yardstick::burst;

use std::sync::OnceLock;

pub use wide::wide;

/// Columns of one packed panel of B.
pub const PANEL: usize = 16;

/// Instruction set in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust; correct everywhere, slow without hardware FMA.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 (F, BW, DQ, VL).
    Avx512,
}

impl Isa {
    /// The engine's name in a node's status.
    #[must_use]
    pub fn family(self) -> &'static str {
        match self {
            Self::Portable => "cpu-portable",
            Self::Avx2 => "cpu-avx2",
            Self::Avx512 => "cpu-avx512",
        }
    }
}

/// The best instruction set of this machine, detected once.
#[must_use]
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return if wide { Isa::Avx512 } else { Isa::Avx2 };
            }
        }
        Isa::Portable
    })
}

/// B packed into panels of [`PANEL`] columns, `[panel, row, column]`, the last one padded with zeros.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panels {
    rows: usize,
    cols: usize,
    packed: Vec<f32>,
}

impl Panels {
    /// Packs a row-major `[rows, cols]` matrix.
    ///
    /// # Panics
    /// If `b` is shorter than `rows · cols`.
    #[must_use]
    pub fn pack(b: &[f32], rows: usize, cols: usize) -> Self {
        let mut panels = Self::default();
        panels.repack(b, rows, cols);
        panels
    }

    /// Packs into the same buffer.
    ///
    /// # Panics
    /// If `b` is shorter than `rows · cols`.
    pub fn repack(&mut self, b: &[f32], rows: usize, cols: usize) {
        assert!(b.len() >= rows * cols, "matrix of {} for {rows} x {cols}", b.len());
        (self.rows, self.cols) = (rows, cols);
        let panels = cols.div_ceil(PANEL);
        self.packed.resize(panels * rows * PANEL, 0.0);
        for p in 0..panels {
            let width = PANEL.min(cols - p * PANEL);
            let panel = &mut self.packed[p * rows * PANEL..(p + 1) * rows * PANEL];
            for (to, from) in panel.chunks_exact_mut(PANEL).zip(b.chunks_exact(cols)) {
                to[..width].copy_from_slice(&from[p * PANEL..p * PANEL + width]);
                to[width..].fill(0.0);
            }
        }
    }

    /// Columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Rows: the length of each sum.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// A as a view: element (i, o, j) is `values[i·row + o·outer + j·inner]`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The buffer.
    pub values: &'a [f32],
    /// Step between rows of C.
    pub row: usize,
    /// Step of the outer index of the sum (taps).
    pub outer: usize,
    /// Length of the outer index.
    pub outer_len: usize,
    /// Step of the inner index of the sum (channels or time).
    pub inner: usize,
    /// Length of the inner index.
    pub inner_len: usize,
}

/// What happens to each sum, in this order: bias, residual, `ReLU`; or the sum is added to C.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finish<'a> {
    /// C += sum; excludes the rest.
    pub accumulate: bool,
    /// Added to every row.
    pub bias: Option<&'a [f32]>,
    /// Added element by element, with its own step between rows.
    pub residual: Option<(&'a [f32], usize)>,
    /// Negative results become 0.
    pub relu: bool,
    /// Weights of the product that follows: they come nearer while the last columns of this one are at work. Changes
    /// no result.
    pub next: Option<&'a Panels>,
}

/// Computes `m` rows of C (step `c_row`) with the machine's best instruction set.
///
/// # Panics
/// If a view does not fit its buffer: an error of the caller, checked once per call.
pub fn product(m: usize, a: View<'_>, b: &Panels, c: &mut [f32], c_row: usize, finish: Finish<'_>) {
    if m == 0 || b.cols == 0 {
        return;
    }
    check(m, a, b, c, c_row, finish);
    match isa() {
        // SAFETY: `isa` detected the features on this machine, and `check` proved that every index of the views is
        // inside its buffer.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::product(m, a, b, c, c_row, finish) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::product(m, a, b, c, c_row, finish) },
        _ => portable::product(m, a, b, c, c_row, finish),
    }
}

/// Every index that a path will touch lies inside its buffer.
fn check(m: usize, a: View<'_>, b: &Panels, c: &[f32], c_row: usize, finish: Finish<'_>) {
    assert_eq!(a.outer_len * a.inner_len, b.rows, "length of the sums");
    assert!(b.packed.len() == b.cols.div_ceil(PANEL) * b.rows * PANEL, "packed panels");
    if b.rows > 0 {
        let last = (m - 1) * a.row + (a.outer_len - 1) * a.outer + (a.inner_len - 1) * a.inner;
        assert!(last < a.values.len(), "view of A needs {} values, has {}", last + 1, a.values.len());
    }
    assert!(c_row >= b.cols || m == 1, "rows of C overlap");
    assert!((m - 1) * c_row + b.cols <= c.len(), "C is too short");
    assert!(finish.bias.is_none_or(|bias| bias.len() >= b.cols), "bias is too short");
    if let Some((residual, row)) = finish.residual {
        assert!((m - 1) * row + b.cols <= residual.len(), "residual is too short");
    }
}

/// Ends one row of one panel: `sums` into `c[at..]`, `width` columns. Shared by all paths, so that they cannot differ.
#[inline]
fn end_row(
    sums: &[f32; PANEL],
    width: usize,
    row: usize,
    col: usize,
    c: &mut [f32],
    c_row: usize,
    finish: &Finish<'_>,
) {
    let out = &mut c[row * c_row + col..row * c_row + col + width];
    if finish.accumulate {
        for (o, s) in out.iter_mut().zip(sums) {
            *o += s;
        }
        return;
    }
    let mut values = *sums;
    if let Some(bias) = finish.bias {
        for (v, b) in values.iter_mut().zip(&bias[col..col + width]) {
            *v += b;
        }
    }
    if let Some((residual, step)) = finish.residual {
        for (v, r) in values.iter_mut().zip(&residual[row * step + col..row * step + col + width]) {
            *v += r;
        }
    }
    if finish.relu {
        for v in &mut values {
            *v = if *v > 0.0 { *v } else { 0.0 };
        }
    }
    out.copy_from_slice(&values[..width]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    fn random(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_portable_bits(
            m in 1usize..40, outer in 1usize..4, inner in 1usize..40, cols in 1usize..70, step in 1usize..3,
            bias: bool, residual: bool, relu: bool, accumulate: bool, seed: u64,
        ) {
            let a = random((m * step + outer * 3) * inner + inner, seed);
            let view = View { values: &a, row: step * inner, outer: 2 * inner, outer_len: outer, inner: 1, inner_len: inner };
            prop_assume!((m - 1) * view.row + (outer - 1) * view.outer + inner <= a.len());
            let b = Panels::pack(&random(outer * inner * cols, seed ^ 1), outer * inner, cols);
            let (bs, rs) = (random(cols, seed ^ 2), random(m * cols, seed ^ 3));
            let finish = Finish {
                accumulate,
                bias: bias.then_some(&bs),
                residual: residual.then_some((&rs, cols)),
                relu,
                next: Some(&b),
            };
            let before = random(m * cols, seed ^ 4);
            check(m, view, &b, &before, cols, finish);
            let bits = |path: &dyn Fn(&mut [f32])| {
                let mut c = before.clone();
                path(&mut c);
                c.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let want = bits(&|c| portable::product(m, view, &b, c, cols, finish));
            prop_assert_eq!(&want, &bits(&|c| product(m, view, &b, c, cols, finish)));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: detected, and `check` passed.
                prop_assert_eq!(&want, &bits(&|c| unsafe { avx2::product(m, view, &b, c, cols, finish) }));
            }
        }
    }

    #[test]
    fn a_sum_is_one_fused_chain_in_ascending_order() {
        let (a, b) = (random(300, 1), random(300, 2));
        let view = View { values: &a, row: 0, outer: 0, outer_len: 1, inner: 1, inner_len: 300 };
        let mut c = [0.0];
        product(1, view, &Panels::pack(&b, 300, 1), &mut c, 1, Finish::default());
        let want = a.iter().zip(&b).fold(0.0f32, |sum, (x, y)| x.mul_add(*y, sum));
        assert_eq!(c[0].to_bits(), want.to_bits());
    }
}
