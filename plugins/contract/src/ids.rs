//! Names that cannot be mixed up.

use crate::limits::{LEAD_BYTES_MAX, LEVEL_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// A bed needs exactly three levels.
    #[error("bed {0:?} must have the form site/unit/bed")]
    Levels(String),
    /// A level holds a character outside `[A-Za-z0-9._-]`, is empty or too long.
    #[error(
        "{0:?} must be 1 to {max} characters of A-Z a-z 0-9 . _ -",
        max = LEVEL_BYTES_MAX
    )]
    Level(String),
    /// A lead's name is empty, too long or not printable ASCII.
    #[error("lead {0:?} must be 1 to {max} printable ASCII characters", max = LEAD_BYTES_MAX)]
    Lead(String),
}

fn level_ok(level: &str) -> bool {
    (1..=LEVEL_BYTES_MAX).contains(&level.len())
        && level.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// A place with one patient: `site/unit/bed`, each level of `[A-Za-z0-9._-]{1,64}`.
///
/// The field is private because the three levels are checked once, here. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BedId(Arc<str>);

impl BedId {
    /// Parses `site/unit/bed`.
    ///
    /// # Errors
    /// [`IdFault`] if there are not three levels or one holds a forbidden character.
    pub fn new(text: &str) -> Result<Self, IdFault> {
        if text.split('/').count() != 3 {
            return Err(IdFault::Levels(text.chars().take(200).collect()));
        }
        match text.split('/').find(|level| !level_ok(level)) {
            Some(level) => Err(IdFault::Level(level.chars().take(80).collect())),
            None => Ok(Self(text.into())),
        }
    }

    /// The whole name, `site/unit/bed`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The site: the first level.
    #[must_use]
    pub fn site(&self) -> &str {
        self.level(0)
    }

    /// The unit (ward): the second level.
    #[must_use]
    pub fn unit(&self) -> &str {
        self.level(1)
    }

    /// The bed within the unit: the third level.
    #[must_use]
    pub fn place(&self) -> &str {
        self.level(2)
    }

    fn level(&self, index: usize) -> &str {
        self.0.split('/').nth(index).unwrap_or_default()
    }
}

impl fmt::Display for BedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BedId({})", self.0)
    }
}

impl TryFrom<String> for BedId {
    type Error = IdFault;
    fn try_from(text: String) -> Result<Self, IdFault> {
        Self::new(&text)
    }
}

impl From<BedId> for String {
    fn from(bed: BedId) -> Self {
        bed.0.as_ref().into()
    }
}

/// A lead's name as the monitor wrote it (`II`, `V1`, `MLII`, …), at most 15 bytes, kept inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LeadId {
    bytes: [u8; LEAD_BYTES_MAX],
    len: u8,
}

impl LeadId {
    /// The twelve standard leads in the order of the binary frame's codes 1 to 12 and of the network's input.
    pub const STANDARD: [&'static str; 12] =
        ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

    /// Checks and stores a name.
    ///
    /// # Errors
    /// [`IdFault::Lead`] if it is empty, longer than 15 bytes or not printable ASCII.
    pub fn new(text: &str) -> Result<Self, IdFault> {
        let ok =
            (1..=LEAD_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        if !ok {
            return Err(IdFault::Lead(text.chars().take(40).collect()));
        }
        let mut bytes = [0; LEAD_BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: text.len() as u8 })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Index 0 to 11 of the standard lead that this name stands for: upper and lower case are the same,
    /// `MLII` is II, and a chest lead of unknown place (`V`, `MCL`, `MCL1`) counts as V1
    /// (docs/method.md, preprocessing). `None` for everything else.
    #[must_use]
    pub fn standard(&self) -> Option<usize> {
        let name = self.as_str();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match () {
            () if is("MLII") => Some(1),
            () if is("V") || is("MCL") || is("MCL1") => Some(6),
            () => Self::STANDARD.iter().position(|s| is(s)),
        }
    }
}

impl fmt::Display for LeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for LeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeadId({})", self.as_str())
    }
}

impl TryFrom<String> for LeadId {
    type Error = IdFault;
    fn try_from(text: String) -> Result<Self, IdFault> {
        Self::new(&text)
    }
}

impl From<LeadId> for String {
    fn from(lead: LeadId) -> Self {
        lead.as_str().into()
    }
}

/// The name of a configured destination for alerts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SinkName(pub String);

impl fmt::Display for SinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bed_has_three_clean_levels() {
        let bed = BedId::new("site1/icu/b07").expect("valid");
        assert_eq!((bed.site(), bed.unit(), bed.place()), ("site1", "icu", "b07"));
        for bad in ["", "a/b", "a/b/c/d", "a//c", "a/b/#", "a/+/c", "a/b/c d", "$x/b/\u{e9}"] {
            assert!(BedId::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(BedId::new(&format!("a/b/{}", "x".repeat(65))).is_err());
    }

    #[test]
    fn foreign_lead_names_find_their_standard_lead() {
        let standard = |name: &str| LeadId::new(name).expect("valid").standard();
        assert_eq!(standard("MLII"), Some(1));
        assert_eq!(standard("AVR"), Some(3));
        assert_eq!(standard("V"), Some(6));
        assert_eq!(standard("MCL"), Some(6));
        assert_eq!(standard("V6"), Some(11));
        assert_eq!(standard("PLETH"), None);
    }
}
