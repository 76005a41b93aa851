//! MLLP: one message between 0x0B and 0x1C 0x0D.

/// Longest message accepted, in bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
const START: u8 = 0x0B;
const END: u8 = 0x1C;

/// Puts a message between its marks.
#[must_use]
pub fn framed(message: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 3);
    bytes.push(START);
    bytes.extend_from_slice(message.as_bytes());
    bytes.extend_from_slice(&[END, b'\r']);
    bytes
}

/// Bytes that are no MLLP: the socket must be closed, for nothing after them can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFault {
    /// A byte outside a frame.
    Garbage(u8),
    /// A message over [`FRAME_BYTES_MAX`].
    TooLong,
}

impl std::fmt::Display for FrameFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Garbage(byte) => write!(f, "byte 0x{byte:02X} outside an MLLP frame"),
            Self::TooLong => write!(f, "a frame over {FRAME_BYTES_MAX} bytes"),
        }
    }
}

/// Reads frames from a stream in pieces of any size. Tolerates NUL, CR and LF between frames, a missing CR at the
/// end, NULs inside; a start mark inside a frame begins anew, for the one before was cut.
#[derive(Debug, Default)]
pub struct Frames {
    message: Vec<u8>,
    inside: bool,
}

impl Frames {
    /// Takes what was read; gives the messages that are complete with it, in order.
    ///
    /// # Errors
    /// [`FrameFault`]; the stream is useless from there on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameFault> {
        let mut complete = Vec::new();
        for &byte in bytes {
            match (self.inside, byte) {
                (_, START) => {
                    self.inside = true;
                    self.message.clear();
                }
                (true, END) => {
                    self.inside = false;
                    complete.push(std::mem::take(&mut self.message));
                }
                (_, 0) | (false, b'\r' | b'\n') => {}
                (true, _) if self.message.len() == FRAME_BYTES_MAX => return Err(FrameFault::TooLong),
                (true, byte) => self.message.push(byte),
                (false, byte) => return Err(FrameFault::Garbage(byte)),
            }
        }
        Ok(complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untidy_streams_are_read() {
        let check = |bytes: &[u8], expected: &[&str]| {
            for step in 1..=bytes.len() {
                let mut frames = Frames::default();
                let pieces = bytes.chunks(step).map(|piece| frames.push(piece).expect("well framed"));
                let texts: Vec<_> = pieces.flatten().map(|m| String::from_utf8(m).expect("text")).collect();
                assert_eq!(texts, expected, "{bytes:?} in pieces of {step}");
            }
        };
        check(&framed("MSH|a\rMSA|b\r"), &["MSH|a\rMSA|b\r"]);
        check(b"\x0Ba\x1C\x0D\x0Bb\x1C\x0D", &["a", "b"]);
        check(b"\0\0\n\x0Ba\x1C\0\x0Bb\x1C\n\x0Bc\x1C", &["a", "b", "c"]);
        check(b"\x0Bhalf a\x0Bwhole\x1C\x0D", &["whole"]);
    }

    #[test]
    fn noise_and_endless_frames_are_refused() {
        assert_eq!(Frames::default().push(b"HTTP/1.1 400"), Err(FrameFault::Garbage(b'H')));
        assert_eq!(Frames::default().push(b"\x0Ba\x1C\rMSH"), Err(FrameFault::Garbage(b'M')));
        let mut frames = Frames::default();
        assert_eq!(frames.push(&framed(&"x".repeat(FRAME_BYTES_MAX))).expect("just fits").len(), 1);
        let long = framed(&"x".repeat(FRAME_BYTES_MAX + 1));
        assert_eq!(Frames::default().push(&long), Err(FrameFault::TooLong));
    }
}
