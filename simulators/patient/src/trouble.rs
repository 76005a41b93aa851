//! What electrodes add to the ECG: wander, muscle, motion, mains; and leads that come off.

use crate::body::Body;
use crate::lead::{ELECTRODES, Lead};
use crate::random::{hash, normal, smooth};
use std::f64::consts::TAU;

/// Noise at each electrode, as standard deviations or amplitudes in mV. All 0 is the quiet of a resting person, not
/// silence.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Noise {
    /// Electrode motion: slow and fast swings that look like beats (0.5 to 2 mV on a restless patient).
    pub motion_mv: f32,
    /// Muscle activity: broad-band, in bursts (0.05 to 0.3 mV).
    pub muscle_mv: f32,
    /// Mains pick-up (0.02 to 0.5 mV).
    pub mains_mv: f32,
    /// Baseline wander (0.1 to 1 mV).
    pub wander_mv: f32,
}

impl Noise {
    pub(crate) fn towards(self, other: Self, share: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * share;
        Self {
            motion_mv: mix(self.motion_mv, other.motion_mv),
            muscle_mv: mix(self.muscle_mv, other.muscle_mv),
            mains_mv: mix(self.mains_mv, other.mains_mv),
            wander_mv: mix(self.wander_mv, other.wander_mv),
        }
    }
}

/// Muscle noise is drawn this often, per second; between draws it is a straight line.
const MUSCLE_HZ: f64 = 500.0;

/// What the electrodes of one person add at time `t_s`. `breath` is the breathing in -1 to 1.
pub(crate) fn electrodes(
    body: &Body,
    noise: &Noise,
    t_s: f64,
    breath: f64,
    needed: &[bool; ELECTRODES],
) -> [f32; ELECTRODES] {
    let seed = body.noise_seed;
    // Bursts come and go together: the person moves, not one electrode.
    let tension = 1.0 + 0.35 * smooth(seed ^ 1, t_s / 3.1);
    let burst = (0.75 + 0.6 * smooth(seed ^ 2, t_s / 1.7)).max(0.15);
    let wander = f64::from(body.quiet.wander_mv) + f64::from(noise.wander_mv);
    let muscle = f64::from(body.quiet.muscle_mv) * tension + f64::from(noise.muscle_mv) * burst;
    let mains = f64::from(body.quiet.mains_mv + noise.mains_mv);
    let hum = if mains > 0.0 { mains * libm::sin(TAU * body.mains_hz * t_s) } else { 0.0 };
    let mut out = [0.0; ELECTRODES];
    for (i, out) in out.iter_mut().enumerate().filter(|&(i, _)| needed[i]) {
        let own = hash(seed, 100 + i as u64);
        let mut mv = wander * (0.75 * smooth(own, t_s / 4.3) + 0.5 * smooth(own ^ 1, t_s / 13.7));
        mv += body.breath_mv[i] * breath;
        mv += muscle * straight(own ^ 2, t_s * MUSCLE_HZ);
        mv += hum * body.mains_gain[i];
        if noise.motion_mv > 0.0 {
            let swing = 0.8 * smooth(own ^ 3, t_s / 0.42) + 0.55 * smooth(own ^ 4, t_s / 0.13);
            mv += f64::from(noise.motion_mv) * burst * (swing + 0.3 * smooth(own ^ 5, t_s / 0.045));
        }
        *out = mv as f32;
    }
    out
}

/// Draws at whole numbers joined by straight lines; standard deviation near 0.82.
fn straight(seed: u64, x: f64) -> f64 {
    let floor = libm::floor(x);
    let n = (floor as i64).cast_unsigned();
    let (a, b) = (normal(seed, n), normal(seed, n.wrapping_add(1)));
    a + (b - a) * (x - floor)
}

/// What a lead reads that has been off for `since_s` seconds: the jump of the amplifier, then a flat line.
pub(crate) fn off_mv(seed: u64, lead: Lead, since_s: f64) -> f32 {
    let sign = if hash(seed, 900 + lead as u64) & 1 == 0 { 4.0 } else { -4.0 };
    if since_s > 2.0 { 0.0 } else { (sign * libm::exp(-since_s / 0.25)) as f32 }
}
