//! The native topics, `wardbeat/v1/{site}/{unit}/{bed}/…` (`docs/wire.md`).

use crate::{BedId, DecodeError};

/// What every native topic begins with.
pub const ROOT: &str = "wardbeat/v1";
/// After the bed: one frame as JSON.
pub const WAVE_JSON: &str = "wave/json";
/// After the bed: one frame in the packed binary form.
pub const WAVE_BIN: &str = "wave/bin";
/// After the bed: the gateway's birth message, retained.
pub const META: &str = "meta";
/// After the bed: `online` or `offline`, retained.
pub const LINK: &str = "link";
/// After the bed: the monitor's own numbers.
pub const NUMERIC: &str = "numeric";
/// In place of the unit: a gateway that serves many beds (`…/{site}/_gw/{gateway}/link`).
pub const GATEWAY_UNIT: &str = "_gw";

/// The bed of a native topic and what follows it. A unit that begins with `_` is no bed (`_gw`, `_node`); ask
/// [`split_any`] for those.
///
/// # Errors
/// [`DecodeError::Topic`] if it is not a native topic, [`DecodeError::Id`] if a level holds a forbidden character.
pub fn split(topic: &str) -> Result<(BedId, &str), DecodeError> {
    match split_any(topic)? {
        (place, _) if place.unit().starts_with('_') => Err(foreign(topic)),
        found => Ok(found),
    }
}

/// As [`split`], and also the places that are no bed.
///
/// # Errors
/// As [`split`].
pub fn split_any(topic: &str) -> Result<(BedId, &str), DecodeError> {
    let rest = topic.strip_prefix(ROOT).and_then(|t| t.strip_prefix('/')).ok_or_else(|| foreign(topic))?;
    let (end, _) = rest.match_indices('/').nth(2).ok_or_else(|| foreign(topic))?;
    Ok((BedId::new(&rest[..end])?, &rest[end + 1..]))
}

/// The topic of `bed` with `leaf` after it.
#[must_use]
pub fn of(bed: &BedId, leaf: &str) -> String {
    format!("{ROOT}/{bed}/{leaf}")
}

fn foreign(topic: &str) -> DecodeError {
    DecodeError::Topic(topic.chars().take(120).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_topic_names_its_bed() {
        let bed = BedId::new("site1/icu/b07").expect("valid");
        for leaf in [WAVE_JSON, META, "alert/WB-UNC"] {
            assert_eq!(split(&of(&bed, leaf)), Ok((bed.clone(), leaf)));
        }
        for bad in
            ["", "wardbeat/v1", "wardbeat/v1/a/b/c", "wardbeat/v2/a/b/c/meta", "wardbeat/v1/a/ /c/meta"]
        {
            assert!(split(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(split("wardbeat/v1/site1/_gw/g1/link").is_err());
        assert_eq!(split_any("wardbeat/v1/site1/_gw/g1/link").expect("a place").0.unit(), GATEWAY_UNIT);
    }
}
