//! Logistic regression by Newton's method, on standardised features, with a ridge.

use rayon::prelude::*;

/// Weights on the features as they come (the standardisation is folded in), and the intercept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Logistic {
    /// One weight a feature.
    pub weights: Vec<f64>,
    /// Intercept.
    pub intercept: f64,
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Solves `a x = b` for a symmetric positive definite `a` by Cholesky's decomposition.
pub(super) fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for j in 0..n {
        for k in 0..j {
            for i in j..n {
                a[i][j] -= a[i][k] * a[j][k];
            }
        }
        let d = a[j][j].max(1e-12).sqrt();
        for row in a.iter_mut().skip(j) {
            row[j] /= d;
        }
    }
    for i in 0..n {
        for k in 0..i {
            b[i] -= a[i][k] * b[k];
        }
        b[i] /= a[i][i];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            b[i] -= a[k][i] * b[k];
        }
        b[i] /= a[i][i];
    }
    b
}

/// Rows summed up in one piece, so that all cores have work and the sums keep their order.
const PIECE: usize = 512;

/// Slope and curvature of the log-likelihood.
struct Sums {
    slope: Vec<f64>,
    /// Lower triangle.
    curve: Vec<f64>,
}

/// Of some standardised rows with an intercept column at their end.
fn sums(rows: &[f64], targets: &[bool], w: &[f64]) -> Sums {
    let n = w.len();
    let mut s = Sums { slope: vec![0.0; n], curve: vec![0.0; n * n] };
    for (z, target) in rows.chunks_exact(n).zip(targets) {
        let p = sigmoid(z.iter().zip(w).map(|(a, b)| a * b).sum());
        let (miss, weight) = (f64::from(u8::from(*target)) - p, (p * (1.0 - p)).max(1e-9));
        for (i, zi) in z.iter().enumerate() {
            s.slope[i] += miss * zi;
            let scaled = weight * zi;
            for (c, zj) in s.curve[i * n..=i * n + i].iter_mut().zip(z) {
                *c += scaled * zj;
            }
        }
    }
    s
}

impl Logistic {
    /// Probability of a row.
    #[must_use]
    pub fn probability(&self, row: &[f32]) -> f64 {
        let sum: f64 = row.iter().zip(&self.weights).map(|(v, w)| f64::from(*v) * w).sum();
        sigmoid(self.intercept + sum)
    }

    /// Fits rows of features to targets; `ridge` is the penalty on the squared standardised weights (1/C).
    #[must_use]
    pub fn fit(rows: &[&[f32]], targets: &[bool], ridge: f64) -> Self {
        let (n, m) = (rows.len().max(1) as f64, rows.first().map_or(0, |r| r.len()));
        // The intercept has no penalty: where all say the same it would grow for ever.
        let yes = targets.iter().filter(|t| **t).count();
        if yes == 0 || yes == targets.len() {
            let sure = (2.0 * n + 1.0).ln();
            return Self { weights: vec![0.0; m], intercept: if yes == 0 { -sure } else { sure } };
        }
        let mut mean = vec![0.0; m];
        let mut sd = vec![0.0; m];
        for row in rows {
            for (s, v) in mean.iter_mut().zip(*row) {
                *s += f64::from(*v) / n;
            }
        }
        for row in rows {
            for ((s, v), c) in sd.iter_mut().zip(*row).zip(&mean) {
                *s += (f64::from(*v) - c).powi(2) / n;
            }
        }
        let sd: Vec<f64> = sd.iter().map(|v| v.sqrt().max(1e-9)).collect();
        // The intercept is the last coefficient and has no penalty.
        let standardised = |row: &&[f32]| -> Vec<f64> {
            let z = row.iter().zip(mean.iter().zip(&sd)).map(|(v, (c, s))| (f64::from(*v) - c) / s);
            z.chain([1.0]).collect()
        };
        let z: Vec<f64> = rows.par_iter().flat_map_iter(standardised).collect();
        let mut w = vec![0.0; m + 1];
        for _ in 0..30 {
            let mut slope: Vec<f64> = w.iter().map(|w| -ridge * w).collect();
            let mut curve = vec![vec![0.0; m + 1]; m + 1];
            for (i, row) in curve.iter_mut().enumerate() {
                row[i] = if i == m { 1e-9 } else { ridge };
            }
            slope[m] = 0.0;
            let pieces = z.par_chunks(PIECE * (m + 1)).zip(targets.par_chunks(PIECE));
            let pieces: Vec<Sums> = pieces.map(|(rows, targets)| sums(rows, targets, &w)).collect();
            for piece in pieces {
                for (a, b) in slope.iter_mut().zip(piece.slope) {
                    *a += b;
                }
                for (row, add) in curve.iter_mut().zip(piece.curve.chunks_exact(m + 1)) {
                    for (a, b) in row.iter_mut().zip(add) {
                        *a += b;
                    }
                }
            }
            let step = solve(curve, slope);
            let largest = step.iter().fold(0.0f64, |a, s| a.max(s.abs()));
            // A long step overshoots where the classes separate.
            let length = (4.0 / largest.max(4.0)).min(1.0);
            for (w, s) in w.iter_mut().zip(&step) {
                *w += s * length;
            }
            if largest < 1e-7 {
                break;
            }
        }
        let weights: Vec<f64> = w[..m].iter().zip(&sd).map(|(w, s)| w / s).collect();
        let intercept = w[m] - weights.iter().zip(&mean).map(|(w, c)| w * c).sum::<f64>();
        Self { weights, intercept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn known_coefficients_are_found_again() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let rows: Vec<[f32; 2]> =
            (0..40_000).map(|_| [rng.random_range(-3.0..3.0), rng.random_range(10.0..20.0)]).collect();
        let truth = |r: &[f32; 2]| sigmoid(1.5 * f64::from(r[0]) - 0.4 * f64::from(r[1]) + 6.0);
        let targets: Vec<bool> = rows.iter().map(|r| rng.random_bool(truth(r))).collect();
        let refs: Vec<&[f32]> = rows.iter().map(|r| &r[..]).collect();
        let fit = Logistic::fit(&refs, &targets, 1e-3);
        assert!((fit.weights[0] - 1.5).abs() < 0.1, "{fit:?}");
        assert!((fit.weights[1] + 0.4).abs() < 0.05, "{fit:?}");
        assert!((fit.probability(&rows[0]) - truth(&rows[0])).abs() < 0.05);
    }

    #[test]
    fn where_all_say_the_same_it_is_as_sure_as_there_are_rows() {
        let rows = [[0.0f32], [1.0], [2.0]];
        let refs: Vec<&[f32]> = rows.iter().map(|r| &r[..]).collect();
        let [yes, no] = [true, false].map(|t| Logistic::fit(&refs, &[t; 3], 0.1));
        assert!(
            (yes.probability(&[9.0]) - 0.875).abs() < 1e-12 && (no.probability(&[9.0]) - 0.125).abs() < 1e-12
        );
    }

    #[test]
    fn separable_classes_do_not_diverge() {
        let rows = [[0.0f32], [1.0], [2.0], [3.0]];
        let refs: Vec<&[f32]> = rows.iter().map(|r| &r[..]).collect();
        let fit = Logistic::fit(&refs, &[false, false, true, true], 0.1);
        assert!(fit.weights[0].is_finite() && fit.probability(&[3.0]) > 0.9 && fit.probability(&[0.0]) < 0.1);
    }
}
