//! The nearest matrix whose rows or columns are orthonormal, nearly: what Muon makes of a kernel's momentum.

use super::kernel::{Finish, Panels, View, product};

/// Steps of the iteration, and its quintic `a·x + b·x³ + c·x⁵`: singular values from 0.003 up come to between 0.7 and 1.2
/// (Jordan K et al., Muon: an optimizer for hidden layers in neural networks, 2024).
const STEPS: usize = 5;
const QUINTIC: [f32; 3] = [3.444_5, -4.775, 2.031_5];

fn transposed(x: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..cols).flat_map(|c| (0..rows).map(move |r| x[r * cols + c])).collect()
}

/// `x` `[rows, cols]` with its singular values brought near 1. Sums keep one order: equal bits on any number of threads.
///
/// # Panics
/// If `x` is not a whole number of rows.
#[must_use]
pub fn orthogonal(x: &[f32], cols: usize) -> Vec<f32> {
    assert!(cols > 0 && x.len().is_multiple_of(cols), "{} numbers in rows of {cols}", x.len());
    let rows = x.len() / cols;
    if rows < cols {
        return transposed(&orthogonal(&transposed(x, rows, cols), rows), cols, rows);
    }
    let norm = x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt() as f32 + 1e-12;
    let mut x: Vec<f32> = x.iter().map(|v| v / norm).collect();
    let [a, b, c] = QUINTIC;
    let (mut gram, mut turn, mut next) =
        (vec![0.0; cols * cols], vec![0.0; cols * cols], vec![0.0; rows * cols]);
    let mut panels = Panels::default();
    let finish = Finish::default();
    for _ in 0..STEPS {
        // gram = xᵀx
        panels.repack(&x, rows, cols);
        let turned = View { values: &x, row: 1, outer: 0, outer_len: 1, inner: cols, inner_len: rows };
        product(cols, turned, &panels, &mut gram, cols, finish);
        // turn = b·gram + c·gram²
        let flat =
            |values, inner_len| View { values, row: inner_len, outer: 0, outer_len: 1, inner: 1, inner_len };
        panels.repack(&gram, cols, cols);
        product(cols, flat(&gram, cols), &panels, &mut turn, cols, finish);
        for (t, g) in turn.iter_mut().zip(&gram) {
            *t = b * g + c * *t;
        }
        // x = a·x + x·turn
        panels.repack(&turn, cols, cols);
        product(rows, flat(&x, cols), &panels, &mut next, cols, finish);
        for (x, n) in x.iter_mut().zip(&next) {
            *x = a * *x + n;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn lengths_of_all_directions_come_near_one() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for (rows, cols) in [(48, 16), (16, 48), (20, 20)] {
            // Directions of lengths from 1 to 30, none of them along an axis.
            let mut x: Vec<f32> = (0..rows * cols).map(|_| rng.random_range(-1.0..1.0)).collect();
            for (i, v) in x.iter_mut().enumerate() {
                *v *= 1.0 + (i % cols) as f32 * 29.0 / cols as f32;
            }
            let done = orthogonal(&x, cols);
            let (tall, n) = if rows >= cols { (done, cols) } else { (transposed(&done, rows, cols), rows) };
            for _ in 0..20 {
                let v: Vec<f32> = (0..n).map(|_| rng.random_range(-1.0f32..1.0)).collect();
                let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
                let out: Vec<f32> =
                    tall.chunks_exact(n).map(|row| row.iter().zip(&v).map(|(a, b)| a * b).sum()).collect();
                let gain = length(&out) / length(&v);
                assert!((0.5..1.4).contains(&gain), "{rows} x {cols}: {gain}");
            }
        }
    }
}
