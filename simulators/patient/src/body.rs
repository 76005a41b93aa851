//! A person: the traits that a seed draws once and that never change.

use crate::lead::{ELECTRODES, Vector};
use crate::random::{Draws, hash, smooth};
use crate::script::Rhythm;
use crate::trouble::Noise;
use std::f64::consts::TAU;

/// What is asked of a person; the rest is drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Mean sinus rate; drawn between 52 and 96 where `None`.
    pub heart_rate_per_min: Option<f32>,
    /// The rhythm before the first cue.
    pub rhythm: Rhythm,
    /// Share of premature ventricular beats before the first cue, 0 to 0.5.
    pub pvc_share: f32,
    /// Noise before the first cue, beyond the quiet one.
    pub noise: Noise,
    /// Frequency of the mains, in Hz.
    pub mains_hz: f32,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            heart_rate_per_min: None,
            rhythm: Rhythm::Sinus,
            pvc_share: 0.0,
            noise: Noise::default(),
            mains_hz: 50.0,
        }
    }
}

/// The drawn traits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Body {
    pub(crate) beat_seed: u64,
    pub(crate) noise_seed: u64,
    pub(crate) mains_hz: f64,
    /// Sinus rate at rest, per minute.
    pub(crate) rate_per_min: f64,
    /// Parts of the RR interval's variability, relative to RR: breathing, 0.1 Hz waves, slow drift, beat by beat.
    pub(crate) rr_breath: f64,
    pub(crate) rr_wave: f64,
    pub(crate) rr_drift: f64,
    pub(crate) rr_jitter: f64,
    pub(crate) breath_hz: f64,
    /// Rate in fibrillation relative to sinus, and the spread of its intervals.
    pub(crate) af_rate: f64,
    pub(crate) af_spread: f64,
    /// When a premature beat comes, relative to the sinus interval.
    pub(crate) coupling: f64,
    pub(crate) vt_rate_per_min: f64,
    /// Spread of the intervals of tachycardia, relative to them.
    pub(crate) vt_spread: f64,
    pub(crate) pace_rate_per_min: f64,
    /// How much of the sinus node's variability the pacemaker follows, 0 to 1.
    pub(crate) pace_follows: f64,
    pub(crate) pr_s: f64,
    /// QT at a rate of 60 per minute.
    pub(crate) qtc_s: f64,
    /// Widths of QRS waves relative to the template.
    pub(crate) qrs_width: f64,
    /// Size of QRS, P and T, relative to the template.
    pub(crate) qrs_size: f64,
    pub(crate) p_size: f64,
    pub(crate) t_size: f64,
    /// Turns of QRS and T, in radians: in the frontal plane and the horizontal one.
    pub(crate) qrs_turn: [f64; 2],
    pub(crate) t_turn: [f64; 2],
    /// Individual strength of the QRS template's four parts.
    pub(crate) qrs_parts: [f64; 4],
    /// How far breathing turns and scales the heart vector.
    pub(crate) breath_turn: f64,
    pub(crate) breath_scale: f64,
    /// Beat-to-beat spread of each wave's size.
    pub(crate) shape_jitter: f64,
    /// Directions of ventricular beats: of premature ones and of tachycardia.
    pub(crate) foci: [Vector; 2],
    pub(crate) focus_width: f64,
    pub(crate) spike_mv: f64,
    pub(crate) flutter_hz: f64,
    pub(crate) flutter_mv: f64,
    pub(crate) vf_hz: f64,
    pub(crate) vf_mv: f64,
    pub(crate) quiet: Noise,
    pub(crate) breath_mv: [f64; ELECTRODES],
    pub(crate) mains_gain: [f64; ELECTRODES],
}

/// A size around 1: its logarithm has this standard deviation.
fn size(draws: &mut Draws, spread: f64) -> f64 {
    libm::exp(draws.normal(0.0, spread))
}

/// A direction in which a ventricular focus depolarises the heart: right-sided foci point left and back, left-sided
/// ones right and forward; high ones down, low ones up.
fn focus(draws: &mut Draws) -> Vector {
    let side = if draws.between(0.0, 1.0) < 0.6 { 1.0 } else { -1.0 };
    let height = draws.between(0.7, 1.2) * if draws.between(0.0, 1.0) < 0.5 { 1.0 } else { -1.0 };
    let size = draws.between(1.8, 3.0);
    let (x, y, z) = (0.75 * side, 0.9 * height, 0.55 * side);
    let norm = libm::sqrt(x * x + y * y + z * z);
    [x, y, z].map(|v| (v / norm * size) as f32)
}

impl Body {
    pub(crate) fn new(seed: u64, profile: &Profile) -> Self {
        let d = &mut Draws::new(hash(seed, 0));
        let drawn_rate = d.between(52.0, 96.0);
        let rate_per_min = profile.heart_rate_per_min.map_or(drawn_rate, |r| f64::from(r).clamp(20.0, 250.0));
        // Variability as a share of RR: 2 to 8 %, less at high rates.
        let vary = d.between(0.032, 0.085) * (75.0 / rate_per_min).clamp(0.4, 1.3);
        let breathing = d.between(0.35, 0.8);
        Self {
            beat_seed: hash(seed, 1),
            noise_seed: hash(seed, 2),
            mains_hz: f64::from(profile.mains_hz),
            rate_per_min,
            rr_breath: vary * breathing,
            rr_wave: vary * d.between(0.3, 0.6),
            rr_drift: vary * d.between(0.3, 0.5),
            rr_jitter: d.between(0.006, 0.018),
            breath_hz: d.between(0.19, 0.34),
            af_rate: d.between(0.95, 1.4),
            af_spread: d.between(0.21, 0.31),
            coupling: d.between(0.56, 0.9),
            vt_rate_per_min: d.between(125.0, 195.0),
            vt_spread: d.between(0.045, 0.1),
            pace_rate_per_min: d.between(62.0, 78.0),
            pace_follows: d.between(0.5, 1.1),
            pr_s: d.between(0.14, 0.19),
            qtc_s: d.between(0.375, 0.435),
            qrs_width: d.between(0.85, 1.2),
            qrs_size: 1.05 * size(d, 0.22),
            p_size: 1.2 * size(d, 0.25),
            t_size: size(d, 0.28),
            qrs_turn: [d.normal(0.0, 0.26), d.normal(0.0, 0.22)],
            t_turn: [d.normal(0.0, 0.2), d.normal(0.0, 0.2)],
            qrs_parts: [size(d, 0.3), size(d, 0.15), size(d, 0.25), size(d, 0.35)],
            breath_turn: d.between(0.04, 0.12),
            breath_scale: d.between(0.02, 0.07),
            shape_jitter: d.between(0.055, 0.085),
            foci: [focus(d), focus(d)],
            focus_width: d.between(0.95, 1.25),
            spike_mv: d.between(0.4, 1.6),
            flutter_hz: d.between(5.0, 7.6),
            flutter_mv: d.between(0.06, 0.16),
            vf_hz: d.between(3.4, 5.4),
            vf_mv: d.between(0.3, 0.55),
            quiet: Noise {
                motion_mv: 0.0,
                muscle_mv: d.between(0.010, 0.020) as f32,
                mains_mv: d.between(0.0, 0.004) as f32,
                wander_mv: d.between(0.02, 0.06) as f32,
            },
            breath_mv: std::array::from_fn(|_| d.normal(0.0, 0.03)),
            mains_gain: std::array::from_fn(|_| d.between(0.5, 1.5)),
        }
    }

    /// Breathing at `t_s`, -1 to 1; its pace wanders a little.
    pub(crate) fn breath(&self, t_s: f64) -> f64 {
        libm::sin(TAU * (self.breath_hz * t_s + 0.25 * smooth(self.beat_seed ^ 7, t_s / 9.0)))
    }

    /// Relative deviation of the sinus interval at `t_s`: breathing, 0.1 Hz waves and a drift with equal power in
    /// each octave (1/f), whose slowest part swings within minutes: natural, but the same all night.
    pub(crate) fn rr_deviation(&self, t_s: f64) -> f64 {
        let seed = self.beat_seed;
        let drift: f64 = [17.0, 34.0, 68.0, 136.0, 272.0]
            .iter()
            .zip(20..)
            .map(|(period_s, n)| smooth(seed ^ n, t_s / period_s))
            .sum();
        self.rr_breath * self.breath(t_s) * (1.0 + 0.3 * smooth(seed ^ 0x0b, t_s / 21.0))
            + self.rr_wave * smooth(seed ^ 0x0c, t_s / 4.6)
            + self.rr_drift * 0.55 * drift
    }
}
