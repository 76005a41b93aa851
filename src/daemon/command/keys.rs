//! Command keys: a file of names, secrets and what each may do. Read anew at each command, so that a revoked key is
//! out at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::{BedId, UtcMs, Verb};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Bytes of a new secret.
const SECRET_BYTES: usize = 32;
/// Shortest and longest secret, as for webhooks.
const SECRET_BYTES_RANGE: std::ops::RangeInclusive<usize> = 24..=64;
/// Keys in one file.
const KEYS_MAX: usize = 1_000;

/// What is wrong with a key or its file, in words and without a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyFault(String);

fn fault(path: &Path, why: impl std::fmt::Display) -> KeyFault {
    KeyFault(format!("{}: {why}", path.display()))
}

/// A shared secret. It has no `Debug`, so that it cannot end in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads `whsec_` and base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`KeyFault`], without the secret.
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        let wrong = |why: &str| KeyFault(why.into());
        let encoded =
            text.trim().strip_prefix("whsec_").ok_or_else(|| wrong("a secret begins with whsec_"))?;
        let bytes = STANDARD.decode(encoded).map_err(|_| wrong("after whsec_ base64 is expected"))?;
        if !SECRET_BYTES_RANGE.contains(&bytes.len()) {
            return Err(wrong("a secret has 24 to 64 bytes"));
        }
        Ok(Self(bytes))
    }

    fn new() -> std::io::Result<Self> {
        let mut bytes = vec![0; SECRET_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }

    fn text(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name, in commands and in the audit log.
    pub name: String,
    secret: String,
    /// What it may ask.
    pub verbs: Vec<Verb>,
    /// The units it may ask it of; empty = all of the site, and the node.
    pub units: Vec<String>,
    /// When it was made.
    pub created: UtcMs,
    /// When it was revoked.
    #[serde(default)]
    pub revoked: Option<UtcMs>,
}

impl Key {
    /// Its secret.
    ///
    /// # Errors
    /// [`KeyFault`] if the file holds none.
    pub fn secret(&self) -> Result<Secret, KeyFault> {
        Secret::parse(&self.secret)
    }

    /// Whether it may ask this of that bed.
    #[must_use]
    pub fn may(&self, verb: Verb, bed: &BedId) -> bool {
        let unit = self.units.is_empty() || self.units.iter().any(|u| u == bed.unit());
        self.revoked.is_none() && unit && self.verbs.contains(&verb)
    }
}

/// The keys of a site.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// In the order in which they were made.
    pub keys: Vec<Key>,
}

impl Keys {
    /// Reads the file; one that does not exist holds no keys.
    ///
    /// # Errors
    /// [`KeyFault`] if it cannot be read, or may be read by others.
    pub fn read(path: &Path) -> Result<Self, KeyFault> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(fault(path, e)),
        };
        let mode = file.metadata().map_err(|e| fault(path, e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(fault(path, "others may read this file of secrets; chmod 600"));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|e| fault(path, e))?;
        serde_json::from_str(&text).map_err(|e| fault(path, e))
    }

    /// The key of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|k| k.name == name)
    }

    /// Adds a key with a fresh secret and writes its own file to `own` (`NAME whsec_…`), for whoever will hold it.
    ///
    /// # Errors
    /// [`KeyFault`]: the name is taken or unfit, or a file cannot be written.
    pub fn add(
        path: &Path,
        own: &Path,
        (name, verbs, units): (&str, &[Verb], &[String]),
        now: UtcMs,
    ) -> Result<(), KeyFault> {
        let mut keys = Self::read(path)?;
        let fit = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !fit {
            return Err(KeyFault(format!("{name:?} must be 1 to 64 of A-Z a-z 0-9 . _ -")));
        }
        if keys.find(name).is_some() {
            return Err(KeyFault(format!("{name} is taken; a revoked name is not used again")));
        }
        if keys.keys.len() >= KEYS_MAX {
            return Err(fault(path, format!("{KEYS_MAX} keys are enough for one file")));
        }
        let secret = Secret::new().map_err(|e| KeyFault(format!("no randomness: {e}")))?.text();
        write_new(own, &format!("{name} {secret}\n"))?;
        let (verbs, units) = (verbs.to_vec(), units.to_vec());
        keys.keys.push(Key { name: name.into(), secret, verbs, units, created: now, revoked: None });
        keys.write(path).inspect_err(|_| drop(fs::remove_file(own)))
    }

    /// Revokes a key for good.
    ///
    /// # Errors
    /// [`KeyFault`]: there is no such key, or the file cannot be written.
    pub fn revoke(path: &Path, name: &str, now: UtcMs) -> Result<(), KeyFault> {
        let mut keys = Self::read(path)?;
        let Some(key) = keys.keys.iter_mut().find(|k| k.name == name) else {
            return Err(fault(path, format!("there is no key {name:?}")));
        };
        key.revoked = key.revoked.or(Some(now));
        keys.write(path)
    }

    /// Beside the old file first, then in its place: a crash leaves one of the two.
    fn write(&self, path: &Path) -> Result<(), KeyFault> {
        let text = serde_json::to_string_pretty(self).map_err(|e| fault(path, e))?;
        let beside = path.with_extension("new");
        let told = |e: std::io::Error| fault(path, e);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(told)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(told)?;
        fs::rename(&beside, path).map_err(told)
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), KeyFault> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|e| fault(path, e))
}

/// The name and secret of a key's own file, as [`Keys::add`] writes it.
///
/// # Errors
/// [`KeyFault`] if it is not such a file.
pub fn read_own(path: &Path) -> Result<(String, Secret), KeyFault> {
    let text = fs::read_to_string(path).map_err(|e| fault(path, e))?;
    let (name, secret) =
        text.trim().split_once(' ').ok_or_else(|| fault(path, "NAME whsec_… is expected"))?;
    Ok((name.into(), Secret::parse(secret).map_err(|e| fault(path, e))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_used_and_revoked() {
        let folder = tempfile::tempdir().expect("folder");
        let (path, own) = (folder.path().join("keys.json"), folder.path().join("console.key"));
        assert!(Keys::read(&path).expect("none yet").keys.is_empty());
        let add = |name, own: &Path| Keys::add(&path, own, (name, &[Verb::Ack], &["icu".into()]), UtcMs(1));
        add("console", &own).expect("made");
        let (name, secret) = read_own(&own).expect("its own file");
        let keys = Keys::read(&path).expect("reads");
        let key = keys.find(&name).expect("there");
        assert!(key.secret().expect("a secret") == secret && secret.bytes().len() == SECRET_BYTES);
        let bed = |text| BedId::new(text).expect("valid");
        assert!(key.may(Verb::Ack, &bed("s/icu/b1")));
        assert!(!key.may(Verb::Pause, &bed("s/icu/b1")) && !key.may(Verb::Ack, &bed("s/ccu/b1")));
        assert!(add("console", &folder.path().join("x")).expect_err("taken").0.contains("taken"));
        assert!(add("a b", &folder.path().join("x")).is_err() && !folder.path().join("x").exists());
        Keys::revoke(&path, "console", UtcMs(2)).expect("revoked");
        assert!(!Keys::read(&path).expect("reads").keys[0].may(Verb::Ack, &bed("s/icu/b1")));
        assert!(Keys::revoke(&path, "nobody", UtcMs(2)).is_err());
    }

    #[test]
    fn two_keys_have_two_secrets_and_a_readable_file_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("keys.json");
        for name in ["a", "b"] {
            Keys::add(&path, &folder.path().join(name), (name, &Verb::ALL, &[]), UtcMs(0)).expect("made");
        }
        let keys = Keys::read(&path).expect("reads");
        assert!(keys.keys[0].secret != keys.keys[1].secret);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        assert!(Keys::read(&path).err().expect("refused").0.contains("chmod 600"));
    }
}
