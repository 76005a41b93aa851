//! The kit that judges plugins: a decoder survives any bytes and keeps units; a sink honours its budget.

use crate::limits::PAYLOAD_BYTES_MAX;
use crate::{DecodeError, Decoder, Frame, Heard, UtcMs};

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

/// The one frame that `payload` holds must carry `expected_mv`, lead after lead, within a millionth of a millivolt;
/// NaN stands for a missing sample. Returns the frame for what else the caller wants to check.
///
/// # Panics
/// If the decoder refuses the payload, hears anything but one frame, or a value differs.
pub fn decoder_keeps_units(
    decoder: &mut dyn Decoder,
    topic: &str,
    payload: &[u8],
    expected_mv: &[&[f32]],
) -> Frame {
    let heard = decoder.decode(topic, payload, UtcMs(0)).expect("the payload is well formed");
    let [Heard::Frame(frame)] = heard.as_slice() else { panic!("not one frame: {heard:?}") };
    assert_eq!(frame.parts().leads.len(), expected_mv.len(), "number of leads");
    for (i, expected) in expected_mv.iter().enumerate() {
        let found = frame.lead_mv(i);
        let same = |(a, b): (&f32, &f32)| (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6;
        assert!(
            found.len() == expected.len() && found.iter().zip(*expected).all(same),
            "lead {}: {found:?} mV instead of {expected:?} mV",
            frame.parts().leads[i]
        );
    }
    frame.clone()
}

/// A payload that names its bed must be refused on the topic of another.
///
/// # Panics
/// If it is accepted, or refused for another reason.
pub fn decoder_refuses_other_bed(decoder: &mut dyn Decoder, other_topic: &str, payload: &[u8]) {
    let heard = decoder.decode(other_topic, payload, UtcMs(0));
    assert!(matches!(heard, Err(DecodeError::OtherBed { .. })), "another bed's payload: {heard:?}");
}

/// A payload over [`PAYLOAD_BYTES_MAX`] must be refused by its size alone.
///
/// # Panics
/// If it is accepted, or refused for another reason.
pub fn decoder_refuses_huge(decoder: &mut dyn Decoder, topic: &str) {
    let huge = vec![b' '; PAYLOAD_BYTES_MAX + 1];
    let heard = decoder.decode(topic, &huge, UtcMs(0));
    assert_eq!(heard, Err(DecodeError::TooLarge(huge.len())), "a payload over the limit");
}
