//! AdamW with a one-cycle rate, and the running mean of the weights that becomes the model.

use std::ops::Range;

/// Peak learning rate.
const PEAK: f64 = 4e-3;
const DECAY: f32 = 0.02;
const BETAS: [f32; 2] = [0.9, 0.99];
const CLIP: f64 = 1.0;
const EMA: f32 = 0.999;

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
pub struct AdamW {
    /// Steps taken.
    pub steps: u64,
    /// First moments, one array a parameter.
    pub first: Vec<Vec<f32>>,
    /// Second moments.
    pub second: Vec<Vec<f32>>,
}

impl AdamW {
    /// Moves `params` along `grads` (clipped to norm 1 over all of them); weight decay in the given ranges only.
    /// Returns the gradient's norm before clipping.
    pub fn step(
        &mut self,
        params: &mut [Vec<f32>],
        grads: &[Vec<f32>],
        decayed: &[&[Range<usize>]],
        rate: f64,
    ) -> f64 {
        if self.first.is_empty() {
            self.first = params.iter().map(|p| vec![0.0; p.len()]).collect();
            self.second.clone_from(&self.first);
        }
        self.steps += 1;
        let norm = grads.iter().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
        let clip = (CLIP / (norm + 1e-6)).min(1.0) as f32;
        let correct = BETAS.map(|b| 1.0 - f64::from(b).powf(self.steps as f64));
        let (rate32, root) = ((rate / correct[0]) as f32, (1.0 / correct[1]) as f32);
        for (i, p) in params.iter_mut().enumerate() {
            for range in decayed[i] {
                for w in &mut p[range.clone()] {
                    *w *= 1.0 - rate as f32 * DECAY;
                }
            }
            let moments = self.first[i].iter_mut().zip(&mut self.second[i]);
            for ((w, g), (m, v)) in p.iter_mut().zip(&grads[i]).zip(moments) {
                let g = g * clip;
                *m += (1.0 - BETAS[0]) * (g - *m);
                *v += (1.0 - BETAS[1]) * (g * g - *v);
                *w -= rate32 * *m / ((*v * root).sqrt() + 1e-8);
            }
        }
        norm
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
        let mut adam = AdamW::default();
        let mut p = vec![vec![3.0, -2.0]];
        for i in 0..2_000 {
            let grads = vec![vec![2.0 * (p[0][0] - 1.0), 20.0 * (p[0][1] - 0.5)]];
            adam.step(&mut p, &grads, &[&[]], one_cycle(f64::from(i) / 2_000.0) * 5.0);
        }
        assert!((p[0][0] - 1.0).abs() < 1e-2 && (p[0][1] - 0.5).abs() < 1e-2, "{p:?}");
    }

    #[test]
    fn the_rate_rises_a_quarter_and_ends_low() {
        assert!((one_cycle(0.0) - 2e-4).abs() < 1e-9);
        assert!((one_cycle(0.25) - 4e-3).abs() < 1e-9);
        assert!(one_cycle(1.0) < 1e-6);
    }
}
