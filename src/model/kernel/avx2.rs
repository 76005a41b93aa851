//! AVX2 with FMA: 6 rows of C by one panel of 16 columns in twelve accumulators.

use super::{Finish, PANEL, Panels, View, end_row};
use std::arch::x86_64::{
    _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

/// Rows of C in one tile.
const ROWS: usize = 6;

/// # Safety
/// Needs AVX2 and FMA, and views that `super::check` accepted.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn product(
    m: usize,
    a: View<'_>,
    b: &Panels,
    c: &mut [f32],
    c_row: usize,
    finish: Finish<'_>,
) {
    for (p, panel) in b.packed.chunks_exact((b.rows * PANEL).max(1)).enumerate() {
        let col = p * PANEL;
        let width = PANEL.min(b.cols - col);
        let mut i = 0;
        while i < m {
            let n = ROWS.min(m - i);
            // SAFETY: rows i .. i+n are inside the checked view; `panel` holds `b.rows` rows of 16.
            unsafe {
                match n {
                    1 => tile::<1>(i, a, panel, width, col, c, c_row, &finish),
                    2 => tile::<2>(i, a, panel, width, col, c, c_row, &finish),
                    3 => tile::<3>(i, a, panel, width, col, c, c_row, &finish),
                    4 => tile::<4>(i, a, panel, width, col, c, c_row, &finish),
                    5 => tile::<5>(i, a, panel, width, col, c, c_row, &finish),
                    _ => tile::<ROWS>(i, a, panel, width, col, c, c_row, &finish),
                }
            }
            i += n;
        }
    }
}

/// # Safety
/// As [`product`], with rows `i .. i + N` inside the view.
#[target_feature(enable = "avx2,fma")]
#[allow(clippy::too_many_arguments)] // The inner loop's registers, by name.
unsafe fn tile<const N: usize>(
    i: usize,
    a: View<'_>,
    panel: &[f32],
    width: usize,
    col: usize,
    c: &mut [f32],
    c_row: usize,
    finish: &Finish<'_>,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; N];
    // SAFETY: `super::check` proved the last index of A; the panel has outer_len · inner_len rows of 16.
    unsafe {
        let mut weights = panel.as_ptr();
        let start = a.values.as_ptr().add(i * a.row);
        for o in 0..a.outer_len {
            let mut x = start.add(o * a.outer);
            for _ in 0..a.inner_len {
                let (low, high) = (_mm256_loadu_ps(weights), _mm256_loadu_ps(weights.add(8)));
                for (r, sum) in sums.iter_mut().enumerate() {
                    let v = _mm256_broadcast_ss(&*x.wrapping_add(r * a.row));
                    sum[0] = _mm256_fmadd_ps(v, low, sum[0]);
                    sum[1] = _mm256_fmadd_ps(v, high, sum[1]);
                }
                weights = weights.wrapping_add(PANEL);
                x = x.wrapping_add(a.inner);
            }
        }
    }
    for (r, sum) in sums.iter().enumerate() {
        let mut row = [0.0f32; PANEL];
        // SAFETY: `row` holds 16 floats.
        unsafe {
            _mm256_storeu_ps(row.as_mut_ptr(), sum[0]);
            _mm256_storeu_ps(row.as_mut_ptr().add(8), sum[1]);
        }
        end_row(&row, width, i + r, col, c, c_row, finish);
    }
}
