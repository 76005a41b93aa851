//! When the heart beats, and how each beat begins.

use crate::body::Body;
use crate::random::{normal, unit};
use crate::script::{Rhythm, Script};

/// Where a beat comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BeatKind {
    /// From the sinus node, with a P wave.
    Sinus,
    /// Conducted out of atrial fibrillation, without a P wave.
    Conducted,
    /// From the ventricles: wide. Focus 0 makes the premature beats, focus 1 the tachycardia.
    Ventricular {
        /// Which focus.
        focus: usize,
    },
    /// Stimulated by a pacemaker.
    Paced,
}

/// A beat before its waves are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fired {
    pub(crate) count: u64,
    pub(crate) at_s: f64,
    pub(crate) rr_s: f64,
    pub(crate) kind: BeatKind,
}

/// Walks from beat to beat. Holds all that the next beat depends on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sequence {
    count: u64,
    /// Time of the next beat.
    next_s: f64,
    /// The interval before it.
    rr_s: f64,
    /// The next beat is premature; the value is when the sinus beat after it is due.
    premature: Option<f64>,
    /// The last draw of the fibrillating atria: intervals lean towards their predecessor.
    lean: f64,
}

impl Sequence {
    pub(crate) fn new(body: &Body) -> Self {
        let rr_s = 60.0 / body.rate_per_min;
        let next_s = 0.15 + rr_s * unit(body.beat_seed, 0);
        Self { count: 0, next_s, rr_s, premature: None, lean: 0.0 }
    }

    /// No beat comes before this time.
    pub(crate) fn next_s(&self) -> f64 {
        self.next_s
    }

    /// The next beat, or `None` where the rhythm at that time has none (the time then moves to the rhythm's end).
    pub(crate) fn fire(&mut self, body: &Body, script: &Script) -> Option<Fired> {
        let at_s = self.next_s;
        let rhythm = script.rhythm_at(at_s);
        let kind = match (rhythm, self.premature) {
            (Rhythm::VentricularFibrillation | Rhythm::Asystole, _) => {
                self.premature = None;
                self.rr_s = 60.0 / script.rate_per_min_at(at_s);
                // The first beat afterwards comes when the heart has gathered itself.
                self.next_s = script.rhythm_until(at_s) + 0.4 + 0.5 * unit(body.beat_seed, self.count);
                return None;
            }
            (Rhythm::Sinus | Rhythm::AtrialFibrillation, Some(_)) => BeatKind::Ventricular { focus: 0 },
            (Rhythm::Sinus, None) => BeatKind::Sinus,
            (Rhythm::AtrialFibrillation, None) => BeatKind::Conducted,
            (Rhythm::VentricularTachycardia, _) => BeatKind::Ventricular { focus: 1 },
            (Rhythm::Paced, _) => BeatKind::Paced,
        };
        let fired = Fired { count: self.count, at_s, rr_s: self.rr_s, kind };
        self.count += 1;
        let next_s = self.due(body, script, rhythm, at_s);
        self.rr_s = next_s - at_s;
        self.next_s = next_s;
        Some(fired)
    }

    /// When the beat after the one at `at_s` comes.
    fn due(&mut self, body: &Body, script: &Script, rhythm: Rhythm, at_s: f64) -> f64 {
        let waiting = self.premature.take();
        let draw = normal(body.beat_seed ^ 3, self.count);
        match rhythm {
            Rhythm::VentricularTachycardia => {
                // A focus warms up: its first intervals are longer.
                let cold = 0.3 * libm::exp((script.rhythm_since(at_s) - at_s) / 1.5);
                return at_s + 60.0 / body.vt_rate_per_min * (1.0 + cold + body.vt_spread * draw);
            }
            Rhythm::Paced => {
                let varied = body.pace_follows * (body.rr_deviation(at_s) + body.rr_jitter * draw);
                return at_s + 60.0 / body.pace_rate_per_min * (1.0 + varied.clamp(-0.2, 0.2));
            }
            _ => {}
        }
        // After a premature beat the sinus node fires as if nothing had been: the compensatory pause.
        if let Some(due_s) = waiting {
            return due_s.max(at_s + 0.3);
        }
        let rr_s = if rhythm == Rhythm::AtrialFibrillation {
            self.fibrillating(body, script, at_s, draw)
        } else {
            let rr_s = 60.0 / script.rate_per_min_at(at_s);
            rr_s * (1.0 + (body.rr_deviation(at_s) + body.rr_jitter * draw).clamp(-0.35, 0.5))
        };
        // A premature beat also needs a beat to follow, so the share counts among two.
        let share = script.pvc_share_at(at_s);
        if share > 0.0 && unit(body.beat_seed ^ 4, self.count) < share / (1.0 - share) {
            let coupling = body.coupling + 0.035 * normal(body.beat_seed ^ 5, self.count);
            let compensation = if rhythm == Rhythm::Sinus { 2.0 } else { 1.6 };
            self.premature = Some(at_s + compensation * rr_s);
            return at_s + (coupling * rr_s).max(0.3);
        }
        at_s + rr_s
    }

    /// An interval in atrial fibrillation: skewed to the right, bounded by the AV node's recovery, leaning towards
    /// its predecessor a little, around a rate that drifts with the sinus rate.
    fn fibrillating(&mut self, body: &Body, script: &Script, at_s: f64, draw: f64) -> f64 {
        let mean_s = 60.0 / (script.rate_per_min_at(at_s) * body.af_rate).clamp(45.0, 185.0);
        let z = 0.98 * draw + 0.2 * self.lean;
        self.lean = draw;
        let spread = body.af_spread;
        let slow = 1.0 + body.rr_deviation(at_s);
        let rr_s = mean_s * slow * libm::exp(spread * z - spread * spread / 2.0);
        rr_s.max(0.27 + 0.03 * unit(body.beat_seed ^ 6, self.count))
    }
}
