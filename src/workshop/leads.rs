//! The lead sets that a bedside shows, and the masks of training.

use crate::model::{LEADS, LeadMask};
use rand::Rng;

/// Six limb leads.
const LIMB: LeadMask = 0b00_0011_1111;
const II: LeadMask = 1 << 1;
const V1: LeadMask = 1 << 6;
const V5: LeadMask = 1 << 10;

/// The lead sets that the card reports, by name.
pub const LEAD_SETS: [(&str, LeadMask); 7] = [
    ("12", 0xfff),
    ("limb", LIMB),
    ("limb+V1", LIMB | V1),
    ("limb+V5", LIMB | V5),
    ("II", II),
    ("II+V1", II | V1),
    ("II+V5", II | V5),
];

/// A mask for one training record: all twelve 40 %, each smaller set 9 %, random leads 6 % (docs/method.md).
pub fn draw_mask(rng: &mut impl Rng) -> LeadMask {
    let u: f64 = rng.random();
    if u < 0.40 {
        return LEAD_SETS[0].1;
    }
    let set = ((u - 0.40) / 0.09) as usize;
    if set < 6 {
        return LEAD_SETS[1 + set].1;
    }
    let keep = rng.random_range(0.15..0.9);
    let mask = (0..LEADS).filter(|_| rng.random_bool(keep)).fold(0, |m, lead| m | 1 << lead);
    if mask == 0 { 1 << rng.random_range(0..LEADS) } else { mask }
}

/// Whether lead `lead` is in the mask, as 1 or 0.
#[must_use]
pub fn flag(mask: LeadMask, lead: usize) -> f32 {
    f32::from(mask >> lead & 1)
}
