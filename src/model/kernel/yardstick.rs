//! The yardstick of the kernels: fused multiply-adds from registers only, as fast as this core can.

/// Chains in flight: enough to fill two units of latency 4, few enough for sixteen registers.
const CHAINS: usize = 12;
const SCALE: f32 = 0.999;
const SHIFT: f32 = 0.002;

/// Where the chains begin: each elsewhere and unknown to the compiler, so that it leaves none out.
fn starts() -> [f32; CHAINS] {
    std::hint::black_box(std::array::from_fn(|i| 1.0 + i as f32))
}

/// Does `rounds` times twelve fused multiply-adds on the widest registers of this machine. Gives the floating-point
/// operations done, two for each, and a number that rests on all of them.
#[must_use]
pub fn burst(rounds: u64) -> (f64, f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            // SAFETY: AVX-512 was detected; nothing but registers is touched.
            return (flops(rounds, 16), unsafe { avx512(rounds) });
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            // SAFETY: AVX2 and FMA were detected; nothing but registers is touched.
            return (flops(rounds, 8), unsafe { avx2(rounds) });
        }
    }
    (flops(rounds, 1), portable(rounds))
}

fn flops(rounds: u64, lanes: u32) -> f64 {
    rounds as f64 * CHAINS as f64 * f64::from(2 * lanes)
}

/// The twin: one lane of each chain.
fn portable(rounds: u64) -> f32 {
    let mut chains = starts();
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = chain.mul_add(SCALE, SHIFT);
        }
    }
    chains.into_iter().fold(0.0, |sum, chain| sum + chain)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(rounds: u64) -> f32 {
    use std::arch::x86_64::{_mm_cvtss_f32, _mm512_castps512_ps128, _mm512_fmadd_ps, _mm512_set1_ps};
    let (scale, shift) = (_mm512_set1_ps(SCALE), _mm512_set1_ps(SHIFT));
    let mut chains = starts().map(|v| _mm512_set1_ps(v));
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = _mm512_fmadd_ps(*chain, scale, shift);
        }
    }
    chains
        .iter()
        .map(|chain| _mm_cvtss_f32(_mm512_castps512_ps128(*chain)))
        .fold(0.0, |sum, chain| sum + chain)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(rounds: u64) -> f32 {
    use std::arch::x86_64::{_mm_cvtss_f32, _mm256_castps256_ps128, _mm256_fmadd_ps, _mm256_set1_ps};
    let (scale, shift) = (_mm256_set1_ps(SCALE), _mm256_set1_ps(SHIFT));
    let mut chains = starts().map(|v| _mm256_set1_ps(v));
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = _mm256_fmadd_ps(*chain, scale, shift);
        }
    }
    chains
        .iter()
        .map(|chain| _mm_cvtss_f32(_mm256_castps256_ps128(*chain)))
        .fold(0.0, |sum, chain| sum + chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_does_the_same_arithmetic() {
        let (flops, value) = burst(1_000);
        assert_eq!(value.to_bits(), portable(1_000).to_bits());
        assert!(flops >= 24_000.0);
    }
}
