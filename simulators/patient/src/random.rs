//! Randomness as a function: the same seed and place give the same value, in any order of asking.

/// 64 well mixed bits for place `n` of stream `seed` (the finaliser of splitmix64).
pub(crate) fn hash(seed: u64, n: u64) -> u64 {
    let mut x = seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x6a09_e667_f3bc_c909);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in 0 to 1.
pub(crate) fn unit(seed: u64, n: u64) -> f64 {
    (hash(seed, n) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A draw of mean 0 and standard deviation 1, within ±3.5: four uniform ones added.
pub(crate) fn normal(seed: u64, n: u64) -> f64 {
    let bits = hash(seed, n);
    let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    (sum as f64 / 65_535.0 - 2.0) * 1.732_050_8
}

/// A smooth random curve over `x`: draws at whole numbers, eased in between. Mean 0, standard deviation near 0.85.
pub(crate) fn smooth(seed: u64, x: f64) -> f64 {
    let floor = libm::floor(x);
    let n = (floor as i64).cast_unsigned();
    let (a, b) = (normal(seed, n), normal(seed, n.wrapping_add(1)));
    a + (b - a) * ease(x - floor)
}

/// 0 below 0, 1 above 1, without a corner in between.
pub(crate) fn ease(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

/// Draws in a row, for the traits of a person.
pub(crate) struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        self.count += 1;
        low + (high - low) * unit(self.seed, self.count)
    }

    pub(crate) fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        self.count += 1;
        mean + deviation * normal(self.seed, self.count)
    }
}
