//! One bed: its signal, its patient, and what happens to it when.

use crate::{Error, Signal};
use contract::{BedId, LeadId, Mode};

/// What a script does to a bed. Times are seconds of the bed's own signal, from sample 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// No frames; the samples of that time are never sent.
    Silent,
    /// This lead is off: its samples are missing and the frame says so.
    LeadOff(LeadId),
}

/// A trouble between two times.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// First second.
    pub from_s: f64,
    /// Second after the last; `None` = until the end.
    pub to_s: Option<f64>,
    /// What happens.
    pub trouble: Trouble,
}

impl Act {
    /// The bed is silent from `from_s` to `to_s`.
    #[must_use]
    pub fn silent(from_s: f64, to_s: f64) -> Self {
        Self { from_s, to_s: Some(to_s), trouble: Trouble::Silent }
    }

    /// `lead` is off from `from_s` on.
    #[must_use]
    pub fn lead_off(lead: LeadId, from_s: f64, to_s: Option<f64>) -> Self {
        Self { from_s, to_s, trouble: Trouble::LeadOff(lead) }
    }

    pub(crate) fn covers(&self, at_s: f64) -> bool {
        at_s >= self.from_s && self.to_s.is_none_or(|to| at_s < to)
    }
}

impl std::str::FromStr for Act {
    type Err = Error;

    /// `silent 20 32`, `off V1 10` or `off V1 10 25`, in seconds of signal.
    fn from_str(text: &str) -> Result<Self, Error> {
        let fault =
            || Error::Options(format!("{text:?} is not \"silent FROM TO\" or \"off LEAD FROM [TO]\""));
        let second = |word: &str| word.parse::<f64>().ok().filter(|s| s.is_finite()).ok_or_else(fault);
        let lead = |name: &str| LeadId::new(name).map_err(|_| fault());
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["silent", from, to] => Ok(Self::silent(second(from)?, second(to)?)),
            ["off", name, from] => Ok(Self::lead_off(lead(name)?, second(from)?, None)),
            ["off", name, from, to] => Ok(Self::lead_off(lead(name)?, second(from)?, Some(second(to)?))),
            _ => Err(fault()),
        }
    }
}

/// One bed of the simulated ward.
pub struct BedPlan {
    /// The bed.
    pub bed: BedId,
    /// What its leads show.
    pub signal: Box<dyn Signal>,
    /// Opaque token of the patient in the birth message.
    pub patient: Option<String>,
    /// The patient is paced: in the birth message and in every frame.
    pub paced: bool,
    /// Demo for replayed and generated signals; test or real only where a test wants it.
    pub mode: Mode,
    /// What happens when.
    pub script: Vec<Act>,
}

impl BedPlan {
    /// A bed in mode demo, without pacing, patient token or script.
    #[must_use]
    pub fn new(bed: BedId, signal: Box<dyn Signal>) -> Self {
        Self { bed, signal, patient: None, paced: false, mode: Mode::Demo, script: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_from_words() {
        let act = |text: &str| text.parse::<Act>().ok();
        let v1 = LeadId::new("V1").expect("valid");
        assert_eq!(act("silent 20 32"), Some(Act::silent(20.0, 32.0)));
        assert_eq!(act("off V1 10"), Some(Act::lead_off(v1, 10.0, None)));
        assert_eq!(act("off V1 10 12.5"), Some(Act::lead_off(v1, 10.0, Some(12.5))));
        for bad in ["", "silent", "silent x 3", "off", "fall 1 2", "silent 1 NaN"] {
            assert_eq!(act(bad), None, "{bad:?} was accepted");
        }
    }
}
