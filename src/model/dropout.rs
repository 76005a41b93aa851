//! Which hidden values a training step leaves out: a pure function of seed, item and place.

/// Which elements of an item are dropped: one hash decides four neighbours at a resolution of 1/256.
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
        for (i, four) in values.chunks_mut(4).enumerate() {
            let mut h = (i as u32).wrapping_mul(0x9e37_79b1) ^ self.seed;
            h = (h ^ (h >> 15)).wrapping_mul(0x85eb_ca77);
            h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae3d);
            h ^= h >> 16;
            for (k, v) in four.iter_mut().enumerate() {
                let dropped = (h >> (8 * k)) & 0xff < self.below;
                *v *= if dropped { 0.0 } else { self.keep_scale };
            }
        }
    }
}
