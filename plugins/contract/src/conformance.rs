//! The kit that judges plugins: a decoder survives any bytes and keeps units; a sink honours its budget.

use crate::{Decoder, UtcMs};

/// Seeded bytes for [`decoder_survives`]: xorshift, so that a failure names its seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        })
        .collect()
}

/// Feeds a decoder with noise, with `good` cut at every length and with `good` with each byte changed. The decoder
/// may refuse; it must not panic, and it must still decode `good` afterwards.
///
/// # Panics
/// If the decoder refuses `good` or panics itself.
pub fn decoder_survives(decoder: &mut dyn Decoder, topic: &str, good: &[u8]) {
    let at = UtcMs(0);
    for seed in 0..200 {
        let _ = decoder.decode(topic, &noise(seed, seed as usize * 3), at);
    }
    for cut in 0..good.len() {
        let _ = decoder.decode(topic, &good[..cut], at);
    }
    for (i, flip) in (0..good.len()).flat_map(|i| [0x01, 0x80, 0xff].map(|f| (i, f))) {
        let mut bytes = good.to_vec();
        bytes[i] ^= flip;
        let _ = decoder.decode(topic, &bytes, at);
    }
    let heard = decoder.decode(topic, good, at);
    assert!(heard.is_ok_and(|h| !h.is_empty()), "the good payload is refused after bad ones");
}
