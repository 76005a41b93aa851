//! The twelve leads: projections of the heart vector and differences of electrodes.

/// A standard lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lead {
    /// I.
    I,
    /// II.
    II,
    /// III.
    III,
    /// aVR.
    Avr,
    /// aVL.
    Avl,
    /// aVF.
    Avf,
    /// V1.
    V1,
    /// V2.
    V2,
    /// V3.
    V3,
    /// V4.
    V4,
    /// V5.
    V5,
    /// V6.
    V6,
}

/// A vector in Frank's axes: x to the left, y to the feet, z to the back.
pub(crate) type Vector = [f32; 3];

/// Dower's matrix (J Electrocardiol 1980): what leads I, II and V1 to V6 see of the heart vector.
const I: Vector = [0.632, -0.235, 0.059];
const II: Vector = [0.235, 1.066, -0.132];
const CHEST: [Vector; 6] = [
    [-0.515, 0.157, -0.917],
    [0.044, 0.164, -1.387],
    [0.882, 0.098, -1.277],
    [1.213, 0.127, -0.601],
    [1.125, 0.127, -0.086],
    [0.831, 0.076, 0.230],
];

impl Lead {
    /// All twelve in the customary order.
    pub const ALL: [Self; 12] = [
        Self::I,
        Self::II,
        Self::III,
        Self::Avr,
        Self::Avl,
        Self::Avf,
        Self::V1,
        Self::V2,
        Self::V3,
        Self::V4,
        Self::V5,
        Self::V6,
    ];

    /// The lead's name as it is written on a strip.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"][self as usize]
    }

    /// The lead of a name, upper and lower case alike.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lead| lead.name().eq_ignore_ascii_case(name))
    }

    fn chest(self) -> Option<usize> {
        (self as usize).checked_sub(6)
    }
}

/// Number of electrodes: RA, LA, LL, then C1 to C6.
pub(crate) const ELECTRODES: usize = 9;

/// Which electrodes the leads need. Every lead needs the three of the limbs (a chest lead as its reference).
pub(crate) fn needed(leads: &[Lead]) -> [bool; ELECTRODES] {
    let mut needed = [false; ELECTRODES];
    needed[..3].fill(true);
    for chest in leads.iter().filter_map(|lead| lead.chest()) {
        needed[3 + chest] = true;
    }
    needed
}

fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// What `lead` reads, in mV. III and the augmented leads are computed from I and II as a monitor does, so that
/// Einthoven's relations hold to the last bit.
pub(crate) fn read(lead: Lead, heart: Vector, noise: &[f32; ELECTRODES]) -> f32 {
    let [ra, la, ll, ..] = *noise;
    if let Some(chest) = lead.chest() {
        return dot(CHEST[chest], heart) + noise[3 + chest] - (ra + la + ll) / 3.0;
    }
    let one = dot(I, heart) + la - ra;
    let two = dot(II, heart) + ll - ra;
    match lead {
        Lead::I => one,
        Lead::II => two,
        Lead::III => two - one,
        Lead::Avr => -(one + two) / 2.0,
        Lead::Avl => one - two / 2.0,
        _ => two - one / 2.0,
    }
}
