//! Plain loops compiled for the machine's widest vectors.

use super::Isa;

/// Runs `f` compiled for the best instruction set of this machine. Loops over slices inside `f` become wide vector
/// loops; their results keep every bit, since the compiler never reorders a float sum nor fuses a product by itself.
#[inline]
pub fn wide<R>(f: impl FnOnce() -> R) -> R {
    match super::isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa` detected these features on this machine.
        Isa::Avx512 => unsafe { with_avx512(f) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { with_avx2(f) },
        _ => f(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn with_avx512<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}
