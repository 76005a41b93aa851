//! What happens when: rhythms and conditions over time.

use crate::lead::Lead;
use crate::random::ease;
use crate::trouble::Noise;

/// What the heart does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Rhythm {
    /// The sinus node leads.
    #[default]
    Sinus,
    /// Irregular beats without P waves over fibrillatory waves.
    AtrialFibrillation,
    /// Wide fast beats.
    VentricularTachycardia,
    /// No beats, a chaotic wave.
    VentricularFibrillation,
    /// No beats.
    Asystole,
    /// A pacemaker leads: a spike before each wide beat.
    Paced,
}

/// A change of the patient or the electrodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// The rhythm, from the first beat after the cue on.
    Rhythm(Rhythm),
    /// The sinus rate drifts to so many beats per minute, within about 20 s; the other rhythms follow.
    HeartRatePerMin(f32),
    /// Share of beats that are premature and ventricular, 0 to 0.5.
    PvcShare(f32),
    /// Noise beyond the quiet one of a resting person, reached within 1 s.
    Noise(Noise),
    /// The lead's cable comes off: a jump, then flat.
    LeadOff(Lead),
    /// The lead is back.
    LeadOn(Lead),
}

/// A change and its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cue {
    /// Seconds from sample 0.
    pub at_s: f64,
    /// What changes.
    pub change: Change,
}

impl Cue {
    /// `change` at `at_s` seconds.
    #[must_use]
    pub fn at(at_s: f64, change: Change) -> Self {
        Self { at_s, change }
    }
}

/// Seconds a noise level takes to set in.
const NOISE_RAMP_S: f64 = 1.0;
/// Time constant of a change of rate, in seconds.
const RATE_TAU_S: f64 = 8.0;

/// The cues in order, with the state before the first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Script {
    cues: Vec<Cue>,
    rhythm: Rhythm,
    rate_per_min: f64,
    pvc_share: f64,
    noise: Noise,
}

impl Script {
    pub(crate) fn new(rhythm: Rhythm, rate_per_min: f64, pvc_share: f64, noise: Noise) -> Self {
        Self { cues: Vec::new(), rhythm, rate_per_min, pvc_share, noise }
    }

    /// Takes the cues in any order; those without a finite time never happen.
    pub(crate) fn set_cues(&mut self, mut cues: Vec<Cue>) {
        cues.retain(|cue| cue.at_s.is_finite());
        cues.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        self.cues = cues;
    }

    fn until(&self, t_s: f64) -> impl Iterator<Item = &Cue> {
        self.cues.iter().take_while(move |cue| cue.at_s <= t_s)
    }

    pub(crate) fn rhythm_at(&self, t_s: f64) -> Rhythm {
        let rhythms = self.until(t_s).filter_map(|cue| match cue.change {
            Change::Rhythm(rhythm) => Some(rhythm),
            _ => None,
        });
        rhythms.last().unwrap_or(self.rhythm)
    }

    /// Stretches of `rhythm`, the last one without end.
    pub(crate) fn stretches(&self, rhythm: Rhythm) -> Vec<(f64, f64)> {
        let changes = self.cues.iter().filter_map(|cue| match cue.change {
            Change::Rhythm(rhythm) => Some((cue.at_s, rhythm)),
            _ => None,
        });
        let mut found: Vec<(f64, f64)> = Vec::new();
        let mut inside = false;
        for (at_s, now) in std::iter::once((f64::NEG_INFINITY, self.rhythm)).chain(changes) {
            if now == rhythm && !inside {
                found.push((at_s, f64::INFINITY));
            } else if now != rhythm
                && inside
                && let Some(last) = found.last_mut()
            {
                last.1 = at_s;
            }
            inside = now == rhythm;
        }
        found
    }

    /// The end of the stretch of rhythm that holds `t_s`.
    pub(crate) fn rhythm_until(&self, t_s: f64) -> f64 {
        let next = self.cues.iter().find(|cue| cue.at_s > t_s && matches!(cue.change, Change::Rhythm(_)));
        next.map_or(f64::INFINITY, |cue| cue.at_s)
    }

    /// The beginning of the stretch of rhythm that holds `t_s`.
    pub(crate) fn rhythm_since(&self, t_s: f64) -> f64 {
        let changes = self.until(t_s).filter(|cue| matches!(cue.change, Change::Rhythm(_)));
        changes.last().map_or(f64::NEG_INFINITY, |cue| cue.at_s)
    }

    pub(crate) fn rate_per_min_at(&self, t_s: f64) -> f64 {
        let (mut from, mut target, mut since) = (self.rate_per_min, self.rate_per_min, 0.0);
        let value =
            |from: f64, target: f64, passed: f64| target + (from - target) * libm::exp(-passed / RATE_TAU_S);
        for cue in self.until(t_s) {
            if let Change::HeartRatePerMin(rate) = cue.change {
                from = value(from, target, cue.at_s - since);
                (target, since) = (f64::from(rate).clamp(20.0, 250.0), cue.at_s);
            }
        }
        value(from, target, t_s - since)
    }

    pub(crate) fn pvc_share_at(&self, t_s: f64) -> f64 {
        let shares = self.until(t_s).filter_map(|cue| match cue.change {
            Change::PvcShare(share) => Some(f64::from(share)),
            _ => None,
        });
        shares.last().unwrap_or(self.pvc_share).clamp(0.0, 0.5)
    }

    pub(crate) fn noise_at(&self, t_s: f64) -> Noise {
        let mut noise = self.noise;
        for cue in self.until(t_s) {
            if let Change::Noise(next) = cue.change {
                noise = noise.towards(next, ease((t_s - cue.at_s) / NOISE_RAMP_S) as f32);
            }
        }
        noise
    }

    /// Since when `lead` has been off; `None` where it is on.
    pub(crate) fn off_since(&self, lead: Lead, t_s: f64) -> Option<f64> {
        let mut since = None;
        for cue in self.until(t_s) {
            match cue.change {
                Change::LeadOff(off) if off == lead => since = since.or(Some(cue.at_s)),
                Change::LeadOn(on) if on == lead => since = None,
                _ => {}
            }
        }
        since
    }

    pub(crate) fn has_lead_cues(&self) -> bool {
        self.cues.iter().any(|cue| matches!(cue.change, Change::LeadOff(_)))
    }
}
