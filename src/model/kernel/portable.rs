//! The twin that every vector path must equal bit for bit.

use super::{Finish, PANEL, Panels, View, end_row};

pub(super) fn product(m: usize, a: View<'_>, b: &Panels, c: &mut [f32], c_row: usize, finish: Finish<'_>) {
    for (p, panel) in b.packed.chunks_exact((b.rows * PANEL).max(1)).enumerate() {
        let col = p * PANEL;
        let width = PANEL.min(b.cols - col);
        for i in 0..m {
            let mut sums = [0.0f32; PANEL];
            for (at, weights) in panel.chunks_exact(PANEL).enumerate() {
                let (o, j) = (at / a.inner_len, at % a.inner_len);
                let x = a.values[i * a.row + o * a.outer + j * a.inner];
                for (s, w) in sums.iter_mut().zip(weights) {
                    *s = x.mul_add(*w, *s);
                }
            }
            end_row(&sums, width, i, col, c, c_row, &finish);
        }
    }
}
