//! The signed object: what is signed, and how it is verified.

use super::keys::Secret;
use crate::model::sha256_hex;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::limits::{COMMAND_BYTES_MAX, COMMAND_TTL_S_MAX};
use contract::{BedId, Command, UtcMs};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A command's clock may be ahead of ours by so much.
const AHEAD_S: i64 = 5;
/// Bytes of an id and of a name.
const NAME_BYTES_MAX: usize = 64;

/// A command as it travels. `by` is what the key's holder says; the key answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Version: 1.
    pub v: u8,
    /// Told apart by this; 1 to 64 of letters, digits and `-`.
    pub id: String,
    /// The bed, or `site/_node/NAME`.
    pub bed: BedId,
    /// The verb, as it stands in the topic.
    pub verb: String,
    /// Who, for people.
    pub by: String,
    /// The key's name.
    pub key: String,
    /// Counts up with each command of a key.
    pub ctr: u64,
    /// Seconds since 1970 UTC at which it was made.
    pub ts: i64,
    /// Seconds for which it is good.
    pub ttl_s: u32,
    /// The arguments as JSON in a text, so that their bytes are those that were signed.
    pub args: String,
    /// `v1,` and base64 of the HMAC.
    pub sig: String,
}

impl Signed {
    /// Reads the object; its signature is not verified yet.
    ///
    /// # Errors
    /// In words.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > COMMAND_BYTES_MAX {
            return Err(format!("{} bytes; a command has at most {COMMAND_BYTES_MAX}", bytes.len()));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let name =
            |text: &str| (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        let id_ok = name(&read.id) && read.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match &read {
            Self { v, .. } if *v != 1 => Err(format!("version {v}; this Wardbeat knows 1")),
            _ if !id_ok => Err("id must be 1 to 64 letters, digits and hyphens".into()),
            _ if !name(&read.by) || !name(&read.key) => Err("by and key must be 1 to 64 bytes".into()),
            _ => Ok(read),
        }
    }

    /// A command of `key`, signed.
    #[must_use]
    pub fn new(
        (key, secret): (&str, &Secret),
        by: &str,
        (bed, command): (&BedId, &Command),
        (id, ctr): (&str, u64),
        (now, ttl_s): (UtcMs, u32),
    ) -> Self {
        let mut signed = Self {
            v: 1,
            id: id.into(),
            bed: bed.clone(),
            verb: command.verb().as_str().into(),
            by: by.into(),
            key: key.into(),
            ctr,
            ts: now.0.div_euclid(1_000),
            ttl_s,
            args: command.args(bed),
            sig: String::new(),
        };
        signed.sig = format!("v1,{}", STANDARD.encode(signed.mac(secret).finalize().into_bytes()));
        signed
    }

    fn mac(&self, secret: &Secret) -> Hmac<Sha256> {
        let Self { bed, verb, id, ctr, ts, ttl_s, args, .. } = self;
        let args = sha256_hex(args.as_bytes());
        let lines = format!("wardbeat-cmd-v1\n{bed}\n{verb}\n{id}\n{ctr}\n{ts}\n{ttl_s}\n{args}");
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes a key of any length");
        mac.update(lines.as_bytes());
        mac
    }

    /// Whether the signature is that of `secret`, compared in constant time.
    #[must_use]
    pub fn holds(&self, secret: &Secret) -> bool {
        let given = self.sig.strip_prefix("v1,").and_then(|sig| STANDARD.decode(sig).ok());
        given.is_some_and(|given| self.mac(secret).verify_slice(&given).is_ok())
    }

    /// Whether it is good now.
    #[must_use]
    pub fn in_time(&self, now: UtcMs) -> bool {
        let age_s = now.0.div_euclid(1_000).saturating_sub(self.ts);
        self.ttl_s <= COMMAND_TTL_S_MAX && (-AHEAD_S..=i64::from(self.ttl_s)).contains(&age_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command of `docs/wire.md`, as published.
    const GOLDEN: &str = r#"{"v":1,"id":"01JD9ZK3V9Q8W6N5T4R3P2M1H0","bed":"site1/icu/b07","verb":"ack","by":"nurse-12","key":"ward-console","ctr":42,"ts":1795386220,"ttl_s":30,"args":"{\"alert\":\"2500be5134ba93ff8ae3d893580d3c33\"}","sig":"v1,hGjfQdZkRFKaPpugnMEx/5B1NqMwO6txYsRhQgaqofQ="}"#;
    const KEY: &str = "whsec_d2FyZGJlYXQtZXhhbXBsZS1rZXktMDEyMzQ1Njc4OWFi";

    fn secret() -> Secret {
        Secret::parse(KEY).expect("a key")
    }

    #[test]
    fn the_published_command_holds_and_is_made_again_byte_for_byte() {
        let read = Signed::read(GOLDEN.as_bytes()).expect("an object");
        assert!(read.holds(&secret()));
        let alert = contract::AlertId("2500be5134ba93ff8ae3d893580d3c33".into());
        let command = Command::Acknowledge { alert, rev: None };
        let made = Signed::new(
            ("ward-console", &secret()),
            "nurse-12",
            (&read.bed, &command),
            (&read.id, 42),
            (UtcMs(1_795_386_220_000), 30),
        );
        assert_eq!(serde_json::to_string(&made).expect("plain"), GOLDEN);
        assert_eq!(Command::read(command.verb(), &read.bed, &read.args), Ok(command));
    }

    #[test]
    fn whatever_is_signed_cannot_be_altered() {
        for (from, to) in [
            ("b07\"", "b08\""),
            ("\"ack\"", "\"resume\""),
            ("2M1H0", "2M1H1"),
            ("\"ctr\":42", "\"ctr\":43"),
            ("1795386220", "1795386221"),
            ("\"ttl_s\":30", "\"ttl_s\":31"),
            ("3c33", "3c34"),
            ("v1,hG", "v1,hH"),
            ("v1,", "v2,"),
            ("ofQ=", ""),
        ] {
            let altered = Signed::read(GOLDEN.replacen(from, to, 1).as_bytes()).expect("an object");
            assert!(!altered.holds(&secret()), "{from} -> {to}");
        }
        let other = Secret::parse("whsec_b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXk=").expect("a key");
        assert!(!Signed::read(GOLDEN.as_bytes()).expect("an object").holds(&other));
    }

    #[test]
    fn it_is_good_from_five_seconds_early_until_its_time_is_over() {
        let read = Signed::read(GOLDEN.as_bytes()).expect("an object");
        let at = |s: i64| UtcMs((1_795_386_220 + s) * 1_000);
        for (s, good) in [(-6, false), (-5, true), (0, true), (30, true), (31, false), (100_000, false)] {
            assert_eq!(read.in_time(at(s)), good, "{s} s");
        }
        assert!(!Signed { ttl_s: 61, ..read }.in_time(at(0)), "nothing is good for more than a minute");
    }

    #[test]
    fn broken_objects_are_refused_in_words() {
        for (bytes, why) in [
            ("", "EOF"),
            ("[]", "expected"),
            (r#"{"v":1}"#, "missing field"),
            (&GOLDEN.replacen("\"v\":1", "\"v\":2", 1), "version 2"),
            (&GOLDEN.replacen("01JD", "../J", 1), "id must be"),
            (&GOLDEN.replacen("nurse-12", "", 1), "by and key"),
            (&GOLDEN.replacen("\"v\":1", "\"v\":1,\"sudo\":true", 1), "unknown field"),
            (&" ".repeat(5_000), "at most"),
        ] {
            let told = Signed::read(bytes.as_bytes()).expect_err("refused");
            assert!(told.contains(why), "{told}");
        }
    }
}
