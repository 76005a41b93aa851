//! Signal files: bytes to counts.

/// How a signal file stores its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// 16: two bytes, little endian.
    Signed16,
    /// 80: one byte, 128 means 0.
    Offset8,
    /// 212: two samples of 12 bits in three bytes.
    Packed12,
}

impl Format {
    /// The count that means "no sample".
    pub(crate) fn missing(self) -> i16 {
        match self {
            Self::Signed16 => i16::MIN,
            Self::Offset8 => -128,
            Self::Packed12 => -2048,
        }
    }

    /// Bytes that hold `count` samples; `None` on overflow.
    pub(crate) fn bytes(self, count: u64) -> Option<u64> {
        match self {
            Self::Signed16 => count.checked_mul(2),
            Self::Offset8 => Some(count),
            Self::Packed12 => Some(count.checked_mul(3)?.div_ceil(2)),
        }
    }

    /// Whole samples in `bytes`.
    pub(crate) fn samples(self, bytes: u64) -> u64 {
        match self {
            Self::Signed16 => bytes / 2,
            Self::Offset8 => bytes,
            Self::Packed12 => bytes / 3 * 2 + u64::from(bytes % 3 == 2),
        }
    }

    /// Spreads interleaved samples over `planes`, which hold one signal after the other, `length` samples each.
    /// `bytes` must hold them all.
    pub(crate) fn decode(self, bytes: &[u8], signals: usize, planes: &mut [i16]) {
        match self {
            Self::Signed16 => {
                spread(signals, planes, |k| i16::from_le_bytes([bytes[2 * k], bytes[2 * k + 1]]));
            }
            Self::Offset8 => spread(signals, planes, |k| i16::from(bytes[k]) - 128),
            Self::Packed12 => spread(signals, planes, |k| packed12(bytes, k)),
        }
    }
}

/// Puts sample `k` of the interleaved stream where it belongs.
fn spread(signals: usize, planes: &mut [i16], sample: impl Fn(usize) -> i16) {
    let length = planes.len() / signals;
    for (i, plane) in planes.chunks_exact_mut(length).enumerate() {
        for (t, out) in plane.iter_mut().enumerate() {
            *out = sample(t * signals + i);
        }
    }
}

/// Sample `at` of a stream of 12-bit pairs: low byte, shared byte (low nibble: first's top), low byte.
fn packed12(bytes: &[u8], at: usize) -> i16 {
    let pair = at / 2 * 3;
    let (low, top) = if at.is_multiple_of(2) {
        (bytes[pair], bytes[pair + 1] & 0x0f)
    } else {
        (bytes[pair + 2], bytes[pair + 1] >> 4)
    };
    // The 12-bit value goes to the top of the word and comes back with its sign.
    ((u16::from(top) << 12) | (u16::from(low) << 4)).cast_signed() >> 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_spreads_interleaved_samples() {
        let check = |format: Format, bytes: &[u8], signals, expected: &[i16]| {
            let mut planes = vec![0; expected.len()];
            format.decode(bytes, signals, &mut planes);
            assert_eq!(planes, expected, "{format:?}");
        };
        check(Format::Signed16, &[1, 0, 0, 0x80, 0xff, 0xff, 2, 1], 2, &[1, -1, i16::MIN, 258]);
        check(Format::Offset8, &[0, 128, 255], 1, &[-128, 0, 127]);
        // Pairs: (1, -1), (-2048, 2047), a lone 291 in two bytes.
        check(
            Format::Packed12,
            &[0x01, 0xf0, 0xff, 0x00, 0x78, 0xff, 0x23, 0x01],
            1,
            &[1, -1, -2048, 2047, 291],
        );
    }

    #[test]
    fn sizes_and_counts_of_samples_agree() {
        for format in [Format::Signed16, Format::Offset8, Format::Packed12] {
            for count in 0..20 {
                assert_eq!(format.samples(format.bytes(count).expect("small")), count, "{format:?}");
            }
        }
        assert_eq!(Format::Packed12.bytes(u64::MAX), None);
    }
}
