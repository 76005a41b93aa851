//! The weights of the fused score (`live.json`): what `wardbeat fit-live` learnt from recordings with true alarms.

use super::ModelError;
use serde::{Deserialize, Serialize};

/// The form that this program reads: the meaning of the channels (`pipeline::decide::fused`).
pub const FUSED_FORM: u32 = 1;

/// One channel's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusedPart {
    /// The channel.
    pub name: String,
    /// Its weight.
    pub weight: f32,
    /// Its mean over the seconds it was learnt on: what it contributes is measured from here.
    pub usual: f32,
}

/// A score that is `offset + Σ weight · (value − usual)`, and its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusedFacts {
    /// [`FUSED_FORM`].
    pub form: u32,
    /// SHA-256 of the `codebook.safetensors` whose clusters it reads.
    pub codebook: String,
    /// What it was learnt on, in one line.
    pub training: String,
    /// The score of a bed whose channels are all usual.
    pub offset: f32,
    /// The channels in their order.
    pub channels: Vec<FusedPart>,
    /// Alerts per bed-hour on those recordings, and the score from which on they are raised; the rates fall.
    pub limits: Vec<(f32, f32)>,
    /// The upper quartile of the highest score of each calm minute there: what a bed's own is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calm: Option<f32>,
}

impl FusedFacts {
    /// From the file's bytes.
    ///
    /// # Errors
    /// [`ModelError::Bundle`] says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let fault = |why: String| ModelError::Bundle(format!("live.json: {why}; run `wardbeat fit-live`"));
        let facts: Self = serde_json::from_slice(bytes).map_err(|e| fault(e.to_string()))?;
        if facts.form != FUSED_FORM {
            return Err(fault(format!("form {} is not form {FUSED_FORM}", facts.form)));
        }
        let numbers = facts.channels.iter().flat_map(|c| [c.weight, c.usual]);
        let limits = facts.limits.iter().flat_map(|l| [l.0, l.1]);
        if !numbers.chain(limits).chain([facts.offset]).chain(facts.calm).all(f32::is_finite) {
            return Err(fault("a number is not finite".into()));
        }
        if facts.limits.is_empty() || !facts.limits.windows(2).all(|l| l[0].0 > l[1].0 && l[0].1 <= l[1].1) {
            return Err(fault("the limits must have falling rates and rising scores".into()));
        }
        Ok(facts)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`ModelError::Bundle`] where a number cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let text =
            serde_json::to_string_pretty(self).map_err(|e| ModelError::Bundle(format!("live.json: {e}")))?;
        Ok((text + "\n").into_bytes())
    }

    /// The score from which on a bed is told, for so many alerts per bed-hour; between the rates that were measured by
    /// the logarithm of the rate, beyond them as at the nearest one.
    #[must_use]
    pub fn limit(&self, per_hour: f32) -> f32 {
        let at = self.limits.iter().position(|l| l.0 <= per_hour);
        match at {
            None => self.limits.last().map_or(f32::INFINITY, |l| l.1),
            Some(0) => self.limits[0].1,
            Some(i) => {
                let ((high, from), (low, to)) = (self.limits[i - 1], self.limits[i]);
                let share = libm::logf(high / per_hour) / libm::logf(high / low);
                from + share * (to - from)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> FusedFacts {
        let channels = vec![FusedPart { name: "entropy_3s".into(), weight: 0.5, usual: 0.25 }];
        let limits = vec![(8.0, 0.0), (2.0, 1.0), (0.5, 3.0)];
        FusedFacts {
            form: FUSED_FORM,
            codebook: String::new(),
            training: "test".into(),
            offset: -2.0,
            channels,
            limits,
            calm: Some(-1.5),
        }
    }

    #[test]
    fn it_survives_the_way_to_disk_and_damage_is_told() {
        let bytes = facts().to_bytes().expect("plain");
        assert_eq!(FusedFacts::from_bytes(&bytes).expect("the same"), facts());
        let changes: [fn(&mut FusedFacts); 3] =
            [|f| f.form = 9, |f| f.limits.clear(), |f| f.limits[1].1 = -1.0];
        for change in changes {
            let mut facts = facts();
            change(&mut facts);
            let told = FusedFacts::from_bytes(&facts.to_bytes().expect("plain")).expect_err("refused");
            assert!(told.to_string().contains("fit-live"), "{told}");
        }
    }

    #[test]
    fn a_limit_lies_between_the_measured_ones() {
        let near =
            |per_hour, score: f32| assert!((facts().limit(per_hour) - score).abs() < 1e-6, "{per_hour}");
        near(20.0, 0.0);
        near(4.0, 0.5);
        near(2.0, 1.0);
        near(1.0, 2.0);
        near(0.1, 3.0);
    }
}
