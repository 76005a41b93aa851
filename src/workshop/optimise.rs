//! Muon for the convolution kernels, AdamW for all else, a one-cycle rate, and the running mean of the weights that becomes
//! the model.
//!
//! Muon (Jordan K et al., 2024) moves a kernel along its momentum with all directions made equally long, so that no few of
//! them lead; scaled as in Liu J et al., Muon is scalable for LLM training (2025), one rate serves both. What it brings stands
//! in docs/method.md, training.

use crate::model::{Parts, orthogonal};
use rayon::prelude::*;
use std::ops::Range;

/// Peak learning rate.
const PEAK: f64 = 4e-3;
const DECAY: f32 = 0.2;
const BETAS: [f32; 2] = [0.9, 0.99];
const CLIP: f64 = 1.0;
const EMA: f32 = 0.999;
/// Momentum of the kernels.
const MOMENTUM: f32 = 0.95;
/// A kernel's move per rate and root of its longer side: about as large as AdamW's.
const MOVE: f32 = 0.2;

/// Learning rate at `u` of the run (0 to 1): cosine from 1/20 of the peak up over the first quarter, then down to
/// 1/10,000.
#[must_use]
pub fn one_cycle(u: f64) -> f64 {
    let cosine =
        |from: f64, to: f64, v: f64| to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * v).cos());
    if u < 0.25 { cosine(PEAK / 20.0, PEAK, u / 0.25) } else { cosine(PEAK, PEAK / 1e4, (u - 0.25) / 0.75) }
}

/// First and second moments of every parameter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Optimiser {
    /// Steps taken.
    pub steps: u64,
    /// First moments, one array a parameter.
    pub first: Vec<Vec<f32>>,
    /// Second moments; those of kernels stay 0.
    pub second: Vec<Vec<f32>>,
}

/// What lies between the kernels of a parameter of `len` numbers.
fn others(kernels: &[(Range<usize>, usize)], len: usize) -> Vec<Range<usize>> {
    let starts = std::iter::once(0).chain(kernels.iter().map(|k| k.0.end));
    let ends = kernels.iter().map(|k| k.0.start).chain(std::iter::once(len));
    starts.zip(ends).map(|(from, to)| from..to).collect()
}

impl Optimiser {
    /// Moves `params` along `grads`, clipped to norm 1 over all of them (a kernel's move does not depend on the norm).
    /// Returns the gradient's norm before clipping.
    pub fn step(&mut self, params: &mut [Vec<f32>], grads: &[Vec<f32>], parts: &[&Parts], rate: f64) -> f64 {
        if self.first.is_empty() {
            self.first = params.iter().map(|p| vec![0.0; p.len()]).collect();
            self.second.clone_from(&self.first);
        }
        self.steps += 1;
        let norm = grads.iter().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
        let clip = (CLIP / (norm + 1e-6)).min(1.0) as f32;
        for (p, parts) in params.iter_mut().zip(parts) {
            for range in &parts.decayed {
                for w in &mut p[range.clone()] {
                    *w *= 1.0 - rate as f32 * DECAY;
                }
            }
        }
        let correct = BETAS.map(|b| 1.0 - f64::from(b).powf(self.steps as f64));
        let (rate32, root) = ((rate / correct[0]) as f32, (1.0 / correct[1]) as f32);
        for (i, p) in params.iter_mut().enumerate() {
            for range in others(&parts[i].kernels, p.len()) {
                let moments = self.first[i][range.clone()].iter_mut().zip(&mut self.second[i][range.clone()]);
                for ((w, g), (m, v)) in p[range.clone()].iter_mut().zip(&grads[i][range]).zip(moments) {
                    let g = g * clip;
                    *m += (1.0 - BETAS[0]) * (g - *m);
                    *v += (1.0 - BETAS[1]) * (g * g - *v);
                    *w -= rate32 * *m / ((*v * root).sqrt() + 1e-8);
                }
            }
        }
        self.move_kernels(params, grads, parts, rate as f32);
        norm
    }

    fn move_kernels(&mut self, params: &mut [Vec<f32>], grads: &[Vec<f32>], parts: &[&Parts], rate: f32) {
        let mut looks = Vec::new();
        for (i, parts) in parts.iter().enumerate() {
            for (range, outputs) in &parts.kernels {
                // A look ahead along the momentum (Nesterov).
                let momentum = self.first[i][range.clone()].iter_mut().zip(&grads[i][range.clone()]);
                let look: Vec<f32> = momentum
                    .map(|(m, g)| {
                        *m += (1.0 - MOMENTUM) * (g - *m);
                        g + MOMENTUM * (*m - g)
                    })
                    .collect();
                looks.push((i, range, *outputs, look));
            }
        }
        let moves: Vec<Vec<f32>> =
            looks.par_iter().map(|(_, _, cols, look)| orthogonal(look, *cols)).collect();
        for ((i, range, outputs, look), along) in looks.into_iter().zip(moves) {
            let longer = outputs.max(look.len() / outputs);
            let scale = rate * MOVE * (longer as f32).sqrt();
            for (w, v) in params[i][range.clone()].iter_mut().zip(along) {
                *w -= scale * v;
            }
        }
    }
}

/// Takes the newest weights into the running mean after `steps` steps.
pub fn average(mean: &mut [Vec<f32>], newest: &[Vec<f32>], steps: u64) {
    let keep = EMA.min((1 + steps) as f32 / (10 + steps) as f32);
    for (m, n) in mean.iter_mut().zip(newest) {
        for (m, n) in m.iter_mut().zip(n) {
            *m += (1.0 - keep) * (n - *m);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_minimum_of_a_bowl() {
        let mut optimiser = Optimiser::default();
        let mut p = vec![vec![3.0, -2.0]];
        for i in 0..2_000 {
            let grads = vec![vec![2.0 * (p[0][0] - 1.0), 20.0 * (p[0][1] - 0.5)]];
            optimiser.step(&mut p, &grads, &[&Parts::default()], one_cycle(f64::from(i) / 2_000.0) * 5.0);
        }
        assert!((p[0][0] - 1.0).abs() < 1e-2 && (p[0][1] - 0.5).abs() < 1e-2, "{p:?}");
    }

    /// A kernel `[3, 2]` between two plain numbers: it finds the matrix that a steep and a flat direction hide.
    #[test]
    fn a_kernel_comes_to_its_minimum_along_steep_and_flat_directions_alike() {
        let want = [1.0f32, -0.5, 0.25, 0.75, -1.0, 0.5];
        let parts = Parts { decayed: Vec::new(), kernels: vec![(1..7, 2)] };
        let mut optimiser = Optimiser::default();
        let mut p = vec![vec![0.0f32; 8]];
        for i in 0..2_000 {
            let mut grads = vec![vec![0.0f32; 8]];
            for (j, w) in want.iter().enumerate() {
                let steep = if j % 2 == 0 { 100.0 } else { 1.0 };
                grads[0][1 + j] = steep * (p[0][1 + j] - w);
            }
            (grads[0][0], grads[0][7]) = (p[0][0] - 2.0, p[0][7] + 2.0);
            optimiser.step(&mut p, &grads, &[&parts], one_cycle(f64::from(i) / 2_000.0) * 5.0);
        }
        let near = |a: f32, b: f32| (a - b).abs() < 2e-2;
        assert!(near(p[0][0], 2.0) && near(p[0][7], -2.0), "{p:?}");
        assert!(p[0][1..7].iter().zip(want).all(|(a, b)| near(*a, b)), "{p:?}");
    }

    #[test]
    fn the_rate_rises_a_quarter_and_ends_low() {
        assert!((one_cycle(0.0) - 2e-4).abs() < 1e-9);
        assert!((one_cycle(0.25) - 4e-3).abs() < 1e-9);
        assert!(one_cycle(1.0) < 1e-6);
    }
}
