//! From the monitor's leads to the network's twelve: alias names, derived limb leads, the largest lead set that the
//! model's card has figures for (`docs/method.md`, preprocessing 6).

use crate::model::{LEADS, LeadMask};
use contract::LeadId;
use serde::{Deserialize, Serialize};

const I: usize = 0;
const II: usize = 1;
/// III, aVR, aVL, aVF.
const DERIVED: std::ops::Range<usize> = 2..6;

/// Where the network's leads come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::pipeline) struct Plan {
    /// The leads the network sees.
    pub mask: LeadMask,
    /// The monitor's lead for each standard lead that is measured.
    pub measured: [Option<LeadId>; LEADS],
}

impl Plan {
    /// The largest lead set of `sets` that the usable leads can give; `None` if there is none.
    pub fn of(usable: impl Iterator<Item = LeadId>, sets: &[LeadMask]) -> Option<Self> {
        let mut measured = [None; LEADS];
        for lead in usable {
            if let Some(i) = lead.standard() {
                measured[i].get_or_insert(lead);
            }
        }
        let has = |i: usize| measured[i].is_some() || (DERIVED.contains(&i) && derivable(&measured));
        let given: LeadMask = (0..LEADS).filter(|&i| has(i)).fold(0, |mask, i| mask | 1 << i);
        let fits = sets.iter().filter(|&&set| set != 0 && set & !given == 0);
        let mask = *fits.max_by_key(|&&set| (set.count_ones(), std::cmp::Reverse(set)))?;
        let derives = DERIVED.clone().any(|i| mask >> i & 1 == 1 && measured[i].is_none());
        for (i, lead) in measured.iter_mut().enumerate() {
            let needed = mask >> i & 1 == 1 || (derives && i <= II);
            *lead = lead.filter(|_| needed);
        }
        Some(Self { mask, measured })
    }

    /// One standard lead at 100 Hz in mV from the measured ones; `None` if the network does not see it.
    pub fn lead(&self, index: usize, measured_mv: &[Vec<f32>; LEADS]) -> Option<Vec<f32>> {
        if self.mask >> index & 1 == 0 {
            return None;
        }
        if self.measured[index].is_some() {
            return Some(measured_mv[index].clone());
        }
        let pairs = measured_mv[I].iter().zip(&measured_mv[II]);
        Some(match index {
            2 => pairs.map(|(i, ii)| ii - i).collect(),
            3 => pairs.map(|(i, ii)| -(i + ii) / 2.0).collect(),
            4 => pairs.map(|(i, ii)| i - ii / 2.0).collect(),
            _ => pairs.map(|(i, ii)| ii - i / 2.0).collect(),
        })
    }
}

fn derivable(measured: &[Option<LeadId>; LEADS]) -> bool {
    measured[I].is_some() && measured[II].is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMB: LeadMask = 0b11_1111;
    const SETS: [LeadMask; 5] = [0xfff, LIMB, LIMB | 1 << 6, 1 << 1, 1 << 1 | 1 << 6];

    fn check(leads: &[&str], expected: Option<LeadMask>) {
        let leads = leads.iter().map(|l| LeadId::new(l).expect("valid"));
        assert_eq!(Plan::of(leads, &SETS).map(|p| p.mask), expected);
    }

    #[test]
    fn the_largest_known_lead_set_is_used() {
        check(&["II"], Some(2));
        check(&["I", "II"], Some(LIMB));
        check(&["I", "II", "V"], Some(LIMB | 1 << 6));
        check(&["MLII", "V1"], Some(2 | 1 << 6));
        check(&["II", "V3"], Some(2));
        check(&["III", "aVF"], None);
        check(&["PLETH"], None);
        check(&LeadId::STANDARD, Some(0xfff));
    }

    #[test]
    fn limb_leads_follow_from_i_and_ii() {
        let leads = ["I", "II"].map(|l| LeadId::new(l).expect("valid"));
        let plan = Plan::of(leads.into_iter(), &SETS).expect("limb");
        let mut mv: [Vec<f32>; LEADS] = Default::default();
        (mv[0], mv[1]) = (vec![0.4], vec![1.0]);
        let lead = |i| plan.lead(i, &mv).expect("in the mask")[0];
        for (i, value) in [(0, 0.4), (1, 1.0), (2, 0.6), (3, -0.7), (4, -0.1), (5, 0.8)] {
            assert!((lead(i) - value).abs() < 1e-6, "lead {i}");
        }
        assert_eq!(plan.lead(6, &mv), None);
    }
}
