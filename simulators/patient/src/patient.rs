//! The person in the bed: beats and waves on a time axis, read through leads.

use crate::body::{Body, Profile};
use crate::lead::{Lead, Vector, needed, read};
use crate::random::{ease, smooth};
use crate::rhythm::{BeatKind, Sequence};
use crate::script::{Cue, Rhythm, Script};
use crate::shape::{Bell, REACH, Waves, waves};
use crate::trouble::{electrodes, off_mv};
use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::ops::Range;

/// One beat as it truly is. All times in seconds from sample 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// The fiducial point, near the R peak.
    pub at_s: f64,
    /// The interval since the beat before it.
    pub rr_s: f64,
    /// Where it comes from.
    pub kind: BeatKind,
    /// Onset and offset of P, where there is one.
    pub p: Option<(f64, f64)>,
    /// Onset and offset of QRS.
    pub qrs: (f64, f64),
    /// Onset and offset of T.
    pub t: (f64, f64),
}

/// Beats of so many seconds are kept; asking for an earlier time walks again from the start.
const KEPT_S: f64 = 30.0;
/// No beat reaches further back from its fiducial point than this.
const LEAD_IN_S: f64 = 0.6;
/// Nor further forward.
const LEAD_OUT_S: f64 = 1.2;
/// Length of a pacemaker's stimulus, in seconds.
const SPIKE_S: f64 = 0.002;
/// Time in which atrial fibrillation and ventricular fibrillation gather strength.
const ONSET_S: f64 = 0.8;

/// One generated person. Equal seed, profile and cues give equal samples, in whatever order and pieces they are
/// asked for.
///
/// Private fields: the beats kept are a cache of what the sequence made.
#[derive(Debug, Clone)]
pub struct Patient {
    body: Body,
    script: Script,
    sequence: Sequence,
    beats: VecDeque<(Beat, Waves)>,
    /// Beats before this time are no longer kept.
    kept_from_s: f64,
}

impl Patient {
    /// The person of `seed`.
    #[must_use]
    pub fn new(seed: u64, profile: Profile) -> Self {
        let body = Body::new(seed, &profile);
        let share = f64::from(profile.pvc_share);
        let script = Script::new(profile.rhythm, body.rate_per_min, share, profile.noise);
        let sequence = Sequence::new(&body);
        Self { body, script, sequence, beats: VecDeque::new(), kept_from_s: f64::NEG_INFINITY }
    }

    /// Replaces the script; cues may come in any order.
    #[must_use]
    pub fn with_timeline(mut self, cues: Vec<Cue>) -> Self {
        self.script.set_cues(cues);
        self.rewind();
        self
    }

    /// The rhythm at `t_s` seconds. Beats follow it from their next on.
    #[must_use]
    pub fn rhythm_at(&self, t_s: f64) -> Rhythm {
        self.script.rhythm_at(t_s)
    }

    /// The leads that are off at `t_s` seconds.
    #[must_use]
    pub fn leads_off(&self, t_s: f64) -> Vec<Lead> {
        Lead::ALL.into_iter().filter(|&lead| self.script.off_since(lead, t_s).is_some()).collect()
    }

    /// The beats whose fiducial points lie in `range_s`, in order.
    ///
    /// # Panics
    /// If the range has no finite end.
    pub fn beats(&mut self, range_s: Range<f64>) -> Vec<Beat> {
        assert!(range_s.end < f64::INFINITY, "beats are asked for without an end");
        self.reach(range_s.start, range_s.end);
        self.beats.iter().map(|(beat, _)| *beat).filter(|beat| range_s.contains(&beat.at_s)).collect()
    }

    /// Samples `n0 .. n0 + count` at `rate_hz`, one row for each of `leads`, in mV.
    ///
    /// # Panics
    /// If `rate_hz` is not a positive number.
    pub fn samples(&mut self, rate_hz: f64, n0: u64, count: usize, leads: &[Lead]) -> Vec<Vec<f32>> {
        assert!(rate_hz.is_finite() && rate_hz > 0.0, "a sampling rate of {rate_hz} Hz");
        let times: Vec<f64> = (0..count as u64).map(|i| (n0 + i) as f64 / rate_hz).collect();
        let (Some(&from_s), Some(&to_s)) = (times.first(), times.last()) else {
            return vec![Vec::new(); leads.len()];
        };
        self.reach(from_s - LEAD_OUT_S, to_s + LEAD_IN_S);
        let heart = self.heart(&times, rate_hz);
        let needed = needed(leads);
        let mut rows = vec![Vec::with_capacity(count); leads.len()];
        for (&t_s, heart) in times.iter().zip(heart) {
            let noise = self.script.noise_at(t_s);
            let noise = electrodes(&self.body, &noise, t_s, self.body.breath(t_s), &needed);
            for (row, &lead) in rows.iter_mut().zip(leads) {
                row.push(read(lead, heart, &noise));
            }
        }
        if self.script.has_lead_cues() {
            self.take_off(&times, leads, &mut rows);
        }
        rows
    }

    fn take_off(&self, times: &[f64], leads: &[Lead], rows: &mut [Vec<f32>]) {
        for (row, &lead) in rows.iter_mut().zip(leads) {
            for (mv, &t_s) in row.iter_mut().zip(times) {
                let since_s = self.script.off_since(lead, t_s);
                *mv = since_s.map_or(*mv, |since_s| off_mv(self.body.noise_seed, lead, t_s - since_s));
            }
        }
    }

    fn rewind(&mut self) {
        self.sequence = Sequence::new(&self.body);
        self.beats.clear();
        self.kept_from_s = f64::NEG_INFINITY;
    }

    /// Makes `beats` hold all beats with fiducial points from `from_s` to `to_s`.
    fn reach(&mut self, from_s: f64, to_s: f64) {
        if from_s < self.kept_from_s {
            self.rewind();
        }
        let keep_s = from_s.min(to_s - KEPT_S);
        while self.sequence.next_s() <= to_s {
            let Some(fired) = self.sequence.fire(&self.body, &self.script) else { continue };
            if fired.at_s < keep_s {
                continue;
            }
            let waves = waves(&self.body, fired.kind, fired.count, fired.at_s, fired.rr_s);
            let beat = Beat {
                at_s: fired.at_s,
                rr_s: fired.rr_s,
                kind: fired.kind,
                p: waves.p,
                qrs: waves.qrs,
                t: waves.t,
            };
            self.beats.push_back((beat, waves));
        }
        while self.beats.front().is_some_and(|(beat, _)| beat.at_s < keep_s) {
            self.beats.pop_front();
        }
        self.kept_from_s = self.kept_from_s.max(keep_s);
    }

    /// The heart vector at `times`, which are `rate_hz` apart. Beats are added in order, so that every sample is the
    /// same sum however the call is cut.
    fn heart(&self, times: &[f64], rate_hz: f64) -> Vec<Vector> {
        let mut heart = vec![[0.0; 3]; times.len()];
        for (_, waves) in &self.beats {
            for bell in &waves.bells {
                add_bell(bell, times, rate_hz, &mut heart);
            }
            if let Some((at_s, peak_mv)) = waves.spike {
                add_spike(at_s, peak_mv, times, rate_hz, &mut heart);
            }
        }
        for rhythm in [Rhythm::AtrialFibrillation, Rhythm::VentricularFibrillation] {
            for stretch in self.script.stretches(rhythm) {
                self.add_fibrillation(rhythm, stretch, times, &mut heart);
            }
        }
        heart
    }

    fn add_fibrillation(
        &self,
        rhythm: Rhythm,
        (on_s, off_s): (f64, f64),
        times: &[f64],
        heart: &mut [Vector],
    ) {
        for (&t_s, heart) in times.iter().zip(heart) {
            if t_s < on_s || t_s > off_s + ONSET_S {
                continue;
            }
            let share = ease((t_s - on_s) / ONSET_S) - ease((t_s - off_s) / ONSET_S);
            let wave = match rhythm {
                Rhythm::AtrialFibrillation => self.flutter(t_s),
                _ => self.chaos(t_s, t_s - on_s.max(0.0)),
            };
            for (sum, part) in heart.iter_mut().zip(wave) {
                *sum += (share * part) as f32;
            }
        }
    }

    /// Fibrillatory waves of the atria: strongest in V1, their pace and size never settled.
    fn flutter(&self, t_s: f64) -> [f64; 3] {
        let (body, seed) = (&self.body, self.body.beat_seed ^ 0xf1);
        let phase = TAU * body.flutter_hz * t_s + 1.6 * smooth(seed, t_s * 1.3);
        let saw = libm::sin(phase) + 0.35 * libm::sin(2.0 * phase) + 0.12 * libm::sin(3.0 * phase);
        let size = body.flutter_mv * (0.75 + 0.35 * smooth(seed ^ 1, t_s / 1.7));
        let other = libm::sin(phase * 0.83 + 2.0 * smooth(seed ^ 2, t_s * 0.9));
        [0.12 * size * other, size * (0.4 * saw + 0.2 * other), -0.85 * size * saw]
    }

    /// Ventricular fibrillation: waves of neighbouring frequencies on each axis, coarse at first, finer with time.
    fn chaos(&self, t_s: f64, since_s: f64) -> [f64; 3] {
        let (body, seed) = (&self.body, self.body.beat_seed ^ 0xcf);
        let size = body.vf_mv * (0.35 + 0.65 * libm::exp(-since_s / 400.0));
        std::array::from_fn(|axis| {
            let seed = seed.wrapping_add(axis as u64 * 17);
            let swell = (0.8 + 0.45 * smooth(seed, t_s / 1.1)).max(0.1);
            let waves = [(1.0, 0.8), (0.72, 0.5), (1.37, 0.35)].into_iter().zip(1..).map(|((hz, mv), n)| {
                let phase = TAU * body.vf_hz * hz * t_s + 2.4 * smooth(seed ^ (n << 8), t_s * 1.1);
                mv * libm::sin(phase)
            });
            size * swell * waves.sum::<f64>() * [0.8, 1.0, 0.7][axis]
        })
    }
}

/// The part of `times` from `from_s` to `to_s`, one sample wider on both sides.
fn span(times: &[f64], rate_hz: f64, from_s: f64, to_s: f64) -> Range<usize> {
    let place = |t_s: f64| ((t_s - times[0]) * rate_hz).clamp(-2.0, times.len() as f64 + 2.0);
    let first = (place(from_s) - 1.0).max(0.0) as usize;
    let last = ((place(to_s) + 2.0).max(0.0) as usize).min(times.len());
    first.min(last)..last
}

fn add_bell(bell: &Bell, times: &[f64], rate_hz: f64, heart: &mut [Vector]) {
    let range = span(times, rate_hz, bell.at_s - REACH * bell.rise_s, bell.at_s + REACH * bell.fall_s);
    for (&t_s, heart) in times[range.clone()].iter().zip(&mut heart[range]) {
        let d_s = t_s - bell.at_s;
        let z = d_s / if d_s < 0.0 { bell.rise_s } else { bell.fall_s };
        if z.abs() <= REACH {
            let height = libm::expf((-0.5 * z * z) as f32);
            for (sum, peak) in heart.iter_mut().zip(bell.peak_mv) {
                *sum += height * peak;
            }
        }
    }
}

/// A stimulus is shorter than a sample: each sample holds its share of the pulse, as behind a monitor's filter.
fn add_spike(at_s: f64, peak_mv: Vector, times: &[f64], rate_hz: f64, heart: &mut [Vector]) {
    let sample_s = 1.0 / rate_hz;
    let range = span(times, rate_hz, at_s - sample_s - SPIKE_S, at_s + sample_s + SPIKE_S);
    for (&t_s, heart) in times[range.clone()].iter().zip(&mut heart[range]) {
        let from_s = (t_s - sample_s / 2.0).max(at_s - SPIKE_S / 2.0);
        let to_s = (t_s + sample_s / 2.0).min(at_s + SPIKE_S / 2.0);
        let share = ((to_s - from_s) / sample_s).max(0.0) as f32;
        for (sum, peak) in heart.iter_mut().zip(peak_mv) {
            *sum += share * peak;
        }
    }
}
