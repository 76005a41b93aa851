//! Seeded draws: `SplitMix64`, so that a fault depends on seed, bed and frame alone and not on what was drawn before.

/// A stream of draws.
pub(crate) struct Random(u64);

impl Random {
    /// Draws for one frame of one bed.
    pub fn of(seed: u64, bed: usize, frame: u64) -> Self {
        let mut random = Self(seed ^ (bed as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
        random.0 = random.bits() ^ frame.wrapping_mul(0x2545_f491_4f6c_dd1d);
        random
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 up to, but not, 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
