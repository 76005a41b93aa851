//! AVX-512: up to 12 rows of C by two panels of 16 columns in 24 accumulators, one broadcast of A a fused multiply-add.

use super::{Finish, PANEL, Panels, View};
use std::arch::x86_64::{
    __m512, __mmask16, _MM_HINT_T1, _mm_prefetch, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_set1_ps, _mm512_setzero_ps,
};
use std::hint::black_box;

/// Most rows of C in one tile.
const ROWS: usize = 12;

/// Rows of A that share a pointer. One pointer for all rows would be moved on row by row, and that chain of additions
/// takes longer than the sums.
const SPAN: usize = 4;

/// Where a tile lies and how its sums end.
struct Place<'a, 'b> {
    a: View<'a>,
    rows: usize,
    cols: usize,
    c_row: usize,
    finish: &'a Finish<'b>,
}

/// # Safety
/// Needs AVX-512F, and views that `super::check` accepted.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn product(
    m: usize,
    a: View<'_>,
    b: &Panels,
    c: &mut [f32],
    c_row: usize,
    finish: Finish<'_>,
) {
    let place = Place { a, rows: b.rows, cols: b.cols, c_row, finish: &finish };
    // Tiles of nearly equal height: a last tile of one row would wait for its own sums.
    let (tiles, panels) = (m.div_ceil(ROWS), b.cols.div_ceil(PANEL));
    for p in (0..panels).step_by(2) {
        let (mut i, weights) = (0, &b.packed[p * b.rows * PANEL..]);
        let next = coming(b, p + 2, finish.next);
        for t in 0..tiles {
            let n = m / tiles + usize::from(t < m % tiles);
            // The next panels' weights come nearer while these are at work, an equal part with each tile.
            let part = next.len().div_ceil(tiles).next_multiple_of(PANEL);
            for line in next.iter().skip(t * part).take(part).step_by(PANEL) {
                _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).cast());
            }
            // SAFETY: rows i .. i+n are inside the checked view, panels p (and p+1) inside the packed weights, and
            // C was checked to hold every row and column.
            unsafe {
                if p + 1 < panels {
                    rows::<2>(n, i, p * PANEL, &place, weights, c);
                } else {
                    rows::<1>(n, i, p * PANEL, &place, weights, c);
                }
            }
            i += n;
        }
    }
}

/// The weights of the two panels from `p` on, or the first two of the next product.
fn coming<'a>(b: &'a Panels, p: usize, next: Option<&'a Panels>) -> &'a [f32] {
    let (b, p) = next.filter(|_| p * PANEL >= b.cols).map_or((b, p), |next| (next, 0));
    let (size, end) = (b.rows * PANEL, b.packed.len());
    &b.packed[(p * size).min(end)..((p + 2) * size).min(end)]
}

/// # Safety
/// As [`tile`].
#[target_feature(enable = "avx512f")]
unsafe fn rows<const P: usize>(n: usize, i: usize, col: usize, at: &Place<'_, '_>, b: &[f32], c: &mut [f32]) {
    // SAFETY: as the caller's.
    unsafe {
        match n {
            1 => tile::<1, P>(i, col, at, b, c),
            2 => tile::<2, P>(i, col, at, b, c),
            3 => tile::<3, P>(i, col, at, b, c),
            4 => tile::<4, P>(i, col, at, b, c),
            5 => tile::<5, P>(i, col, at, b, c),
            6 => tile::<6, P>(i, col, at, b, c),
            7 => tile::<7, P>(i, col, at, b, c),
            8 => tile::<8, P>(i, col, at, b, c),
            9 => tile::<9, P>(i, col, at, b, c),
            10 => tile::<10, P>(i, col, at, b, c),
            11 => tile::<11, P>(i, col, at, b, c),
            _ => tile::<ROWS, P>(i, col, at, b, c),
        }
    }
}

/// A function of its own: inlined into [`product`] its pointers find too few registers.
///
/// # Safety
/// As [`product`], with rows `i .. i + N` inside the view and `P` panels of `b` from column `col` on.
#[inline(never)]
#[target_feature(enable = "avx512f")]
unsafe fn tile<const N: usize, const P: usize>(
    i: usize,
    col: usize,
    at: &Place<'_, '_>,
    b: &[f32],
    c: &mut [f32],
) {
    let a = at.a;
    let mut sums = [[_mm512_setzero_ps(); P]; N];
    // SAFETY: `super::check` proved the last index of A; each panel has outer_len · inner_len rows of 16.
    unsafe {
        let mut weights = b.as_ptr();
        let start = a.values.as_ptr().add(i * a.row);
        for o in 0..a.outer_len {
            let mut x = [start.wrapping_add(o * a.outer); ROWS.div_ceil(SPAN)];
            for (g, x) in x.iter_mut().enumerate() {
                // Behind a black box, or the compiler would make one chain of them again.
                *x = black_box(x.wrapping_add(g * SPAN * a.row));
            }
            for _ in 0..a.inner_len {
                let mut w = [_mm512_setzero_ps(); P];
                for (p, w) in w.iter_mut().enumerate() {
                    *w = _mm512_loadu_ps(weights.wrapping_add(p * at.rows * PANEL));
                }
                for (r, sum) in sums.iter_mut().enumerate() {
                    let v = _mm512_set1_ps(*x[r / SPAN].wrapping_add(r % SPAN * a.row));
                    for (sum, w) in sum.iter_mut().zip(w) {
                        *sum = _mm512_fmadd_ps(v, w, *sum);
                    }
                }
                weights = weights.wrapping_add(PANEL);
                x = x.map(|x| x.wrapping_add(a.inner));
            }
        }
    }
    // Row by row by a constant: were the sums indexed by what is none, all would be kept in memory, and a store would
    // follow every multiply-add.
    macro_rules! end_rows {
        ($($r:literal)*) => {$(
            if let Some(sums) = sums.get($r) {
                for (p, sum) in sums.iter().enumerate() {
                    let col = col + p * PANEL;
                    let mask = 0xffff_u16 >> (PANEL - PANEL.min(at.cols - col));
                    // SAFETY: `super::check` proved that row i + r of C, bias and residual hold `cols` columns.
                    unsafe { end(*sum, mask, i + $r, col, at, c) }
                }
            }
        )*};
    }
    end_rows!(0 1 2 3 4 5 6 7 8 9 10 11);
}

/// Ends one row of one panel, as `super::end_row` does.
///
/// # Safety
/// Row `row` of C, bias and residual hold the columns of `mask` from `col` on.
#[inline(never)]
#[target_feature(enable = "avx512f")]
unsafe fn end(sum: __m512, mask: __mmask16, row: usize, col: usize, at: &Place<'_, '_>, c: &mut [f32]) {
    let finish = at.finish;
    let mut v = sum;
    // SAFETY: the caller's promise.
    unsafe {
        let out = c.as_mut_ptr().add(row * at.c_row + col);
        if finish.accumulate {
            v = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), v);
        } else {
            if let Some(bias) = finish.bias {
                v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, bias.as_ptr().add(col)));
            }
            if let Some((residual, step)) = finish.residual {
                v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, residual.as_ptr().add(row * step + col)));
            }
            if finish.relu {
                // The second operand wins against NaN and against -0, as `end_row` has it.
                v = _mm512_max_ps(v, _mm512_setzero_ps());
            }
        }
        _mm512_mask_storeu_ps(out, mask, v);
    }
}
