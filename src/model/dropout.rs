//! Which hidden values a training step leaves out: a pure function of seed, item and place.

use super::kernel::wide;

/// Hashes drawn together; each decides four values at a resolution of 1/256.
const LANES: usize = 16;

/// Which elements of an item are dropped.
pub(super) struct Dropout {
    below: u32,
    keep_scale: f32,
    seed: u32,
}

impl Dropout {
    pub(super) fn new(share: f32, seed: u64, item: usize) -> Self {
        let mut s = seed ^ (item as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        s = (s ^ (s >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let below = (share * 256.0).round() as u32;
        Self { below, keep_scale: 256.0 / (256 - below) as f32, seed: (s ^ (s >> 32)) as u32 }
    }

    /// Multiplies each element by 0 or by 1 / (1 - share).
    pub(super) fn apply(&self, values: &mut [f32]) {
        if self.below == 0 {
            return;
        }
        wide(
            #[inline(always)]
            || {
                for (i, block) in values.chunks_mut(4 * LANES).enumerate() {
                    let mut hashes = [0u32; LANES];
                    for (lane, h) in hashes.iter_mut().enumerate() {
                        *h = self.hash((i * LANES + lane) as u32);
                    }
                    for (k, part) in block.chunks_mut(LANES).enumerate() {
                        for (v, h) in part.iter_mut().zip(&hashes) {
                            *v *= self.factor(h >> (8 * k));
                        }
                    }
                }
            },
        );
    }

    #[inline]
    fn factor(&self, hash: u32) -> f32 {
        if hash & 0xff < self.below { 0.0 } else { self.keep_scale }
    }

    #[inline]
    fn hash(&self, i: u32) -> u32 {
        let mut h = i.wrapping_mul(0x9e37_79b1) ^ self.seed;
        h = (h ^ (h >> 15)).wrapping_mul(0x85eb_ca77);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae3d);
        h ^ (h >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_keeps_the_mean_and_drops_its_share() {
        let mut values = vec![1.0; 40_010];
        Dropout::new(0.1, 7, 3).apply(&mut values);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let dropped = values.iter().filter(|v| **v == 0.0).count() as f32 / values.len() as f32;
        assert!((dropped - 0.1).abs() < 0.01, "{dropped}");
    }
}
