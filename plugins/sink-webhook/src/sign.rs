//! The signature of Standard Webhooks: HMAC-SHA256 over id, time and body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Shortest and longest key, in bytes, as the Standard Webhooks text asks.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A shared secret. It has no `Debug`, so that it cannot end in a log.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Reads `whsec_` and base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// In words, without the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let encoded = text.strip_prefix("whsec_").ok_or("a key begins with whsec_")?;
        let bytes = STANDARD.decode(encoded).map_err(|_| "after whsec_ base64 is expected")?;
        if !KEY_BYTES.contains(&bytes.len()) {
            let (min, max) = (KEY_BYTES.start(), KEY_BYTES.end());
            return Err(format!("the key has {} bytes; {min} to {max} are expected", bytes.len()));
        }
        Ok(Self(bytes))
    }
}

/// `v1,` and the base64 of HMAC-SHA256(key, id `.` timestamp `.` body): what `webhook-signature` must hold.
///
/// # Panics
/// Never: HMAC takes a key of any length.
#[must_use]
pub fn signature(key: &SigningKey, id: &str, timestamp_s: u64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{timestamp_s}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_is_reproduced() {
        let key = SigningKey::parse("whsec_d2FyZGJlYXQtZXhhbXBsZS1rZXktMDEyMzQ1Njc4OWFi\n").unwrap();
        let id = "wbe_2500be5134ba93ff8ae3d893580d3c33_0";
        let found = signature(&key, id, 1_795_386_208, br#"{"type":"alert.start","bed":"site1/icu/b07"}"#);
        assert_eq!(found, "v1,n7UCcz4prZMFeg8HJohIFNNUxH2BpCeNmPnRP5KA9eU=");
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_being_shown() {
        for text in ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all, but long enough"] {
            let why = SigningKey::parse(text).err().unwrap();
            assert!(!why.contains("secret") && !why.contains("c2hvcnQ"), "{why}");
        }
    }
}
