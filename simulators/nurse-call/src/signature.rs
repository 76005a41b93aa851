//! Standard Webhooks signatures, checked from the receiver's side.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Further from the receiver's clock than this is refused, in seconds.
pub const AGE_S_MAX: u64 = 300;
const BLOCK: usize = 64;

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
}

/// The signature of a message, as it stands in the header.
///
/// # Errors
/// If `key` is not `whsec_` and base64.
pub fn sign(key: &str, id: &str, timestamp: u64, body: &[u8]) -> Result<String, String> {
    let secret = key.strip_prefix("whsec_").ok_or("the key must begin with whsec_")?;
    let secret = STANDARD.decode(secret).map_err(|e| format!("the key is no base64: {e}"))?;
    let message = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    Ok(format!("v1,{}", STANDARD.encode(hmac(&secret, &message))))
}

/// Whether one of the signatures in the header is right; compared without stopping at the first difference.
///
/// # Errors
/// Why the message must not be believed.
pub fn verify(
    key: &str,
    id: &str,
    timestamp: &str,
    body: &[u8],
    header: &str,
    now_s: u64,
) -> Result<(), String> {
    let timestamp: u64 = timestamp.parse().map_err(|_| "no webhook-timestamp")?;
    if timestamp.abs_diff(now_s) > AGE_S_MAX {
        return Err(format!("timestamp {} s away", timestamp.abs_diff(now_s)));
    }
    let right = sign(key, id, timestamp, body)?;
    let same = |given: &str| {
        let differ = given.bytes().zip(right.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        given.len() == right.len() && differ == 0
    };
    header.split(' ').any(same).then_some(()).ok_or_else(|| "wrong signature".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_holds() {
        let key = "whsec_d2FyZGJlYXQtZXhhbXBsZS1rZXktMDEyMzQ1Njc4OWFi";
        let id = "wbe_2500be5134ba93ff8ae3d893580d3c33_0";
        let body = br#"{"type":"alert.start","bed":"site1/icu/b07"}"#;
        let signature = "v1,n7UCcz4prZMFeg8HJohIFNNUxH2BpCeNmPnRP5KA9eU=";
        assert_eq!(sign(key, id, 1_795_386_208, body).as_deref(), Ok(signature));
        let two = format!("v1,AAAA {signature}");
        assert_eq!(verify(key, id, "1795386208", body, &two, 1_795_386_300), Ok(()));
        assert!(verify(key, id, "1795386208", body, "v1,AAAA", 1_795_386_300).is_err());
        assert!(verify(key, id, "1795386208", body, signature, 1_795_386_509).is_err());
        assert!(verify(key, id, "1795386208", b"{}", signature, 1_795_386_300).is_err());
    }
}
