//! An engine on a device that may be lost in mid-run, with the CPU behind it: no step is lost with the device.
//!
//! A window engine keeps each stream's newest samples and the margin that their steps need, so the CPU's engine can
//! take a stream over from them: it reads the margin again, drops the steps that were given already, and goes on.

use super::bundle::{Bundle, ModelError};
use super::engine::{Engine, State, Steps, Stream, Work};
use super::live::LiveEngine;
use super::reference::WindowState;
use super::{LeadMask, STEP_SAMPLES};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A stream that the CPU took over.
#[derive(Serialize, Deserialize)]
pub(super) struct Taken {
    stream: Stream,
    /// Steps of the whole segment before the CPU's first.
    offset: u64,
    /// Steps that the device gave already and the CPU gives again.
    again: usize,
}

/// An engine on a device, and the CPU's in its place once it fails.
pub struct Fallback {
    device: Option<Box<dyn Engine>>,
    lost: Option<String>,
    cores: Vec<LiveEngine>,
}

impl Fallback {
    /// `device` runs the bundle's network and keeps its streams as [`CandleEngine`](super::CandleEngine) does. In its place
    /// all cores may be used: the ward was sized for a device.
    #[must_use]
    pub fn new(device: Box<dyn Engine>, bundle: &Bundle) -> Self {
        let core = |_| LiveEngine::new(bundle.network.clone());
        let cores = (0..rayon::current_num_threads()).map(core).collect();
        Self { device: Some(device), lost: None, cores }
    }

    /// Advances streams on the CPU; those that came from the device are taken over first.
    fn on_cpu(&mut self, work: &mut [Work<'_>]) -> Result<(), ModelError> {
        let mut inputs = Vec::with_capacity(work.len());
        for w in &mut *work {
            let mask = w.stream.mask;
            let State::Window(state) = &mut w.stream.state else {
                return Err(ModelError::Device("the stream belongs to another engine".into()));
            };
            let mut input = state.take_samples();
            if state.taken.is_none() {
                let first = state.first / STEP_SAMPLES;
                let stream = self.cores[0].open(mask);
                let taken = Taken { stream, offset: first as u64, again: state.steps - first };
                state.taken = Some(Box::new(taken));
            }
            input.extend_from_slice(w.input);
            inputs.push(input);
        }
        let share = work.len().div_ceil(self.cores.len()).max(1);
        let parts = work.par_chunks_mut(share).zip(inputs.par_chunks(share)).zip(&mut self.cores);
        parts.try_for_each(|((work, inputs), core)| part(core, work, inputs))
    }
}

/// One core's share.
fn part(core: &mut LiveEngine, work: &mut [Work<'_>], inputs: &[Vec<f32>]) -> Result<(), ModelError> {
    let (mut inner, mut outer) = (Vec::new(), Vec::new());
    for (w, input) in work.iter_mut().zip(inputs) {
        let State::Window(WindowState { taken: Some(taken), .. }) = &mut w.stream.state else { continue };
        let Taken { stream, offset, again } = &mut **taken;
        inner.push(Work { stream, input, finish: w.finish, steps: Steps::default() });
        outer.push((&mut w.steps, *offset, again));
    }
    core.advance(&mut inner)?;
    for (Work { mut steps, .. }, (to, offset, again)) in inner.into_iter().zip(outer) {
        let drop = (*again).min(steps.count);
        if drop > 0 {
            let (taps, logits) = (steps.taps.len() / steps.count, steps.logits.len() / steps.count);
            steps.taps.drain(..drop * taps);
            steps.logits.drain(..drop * logits);
        }
        *again -= drop;
        *to = Steps { first: steps.first + offset + drop as u64, count: steps.count - drop, ..steps };
    }
    Ok(())
}

impl Engine for Fallback {
    fn family(&self) -> &'static str {
        self.device.as_ref().map_or_else(|| self.cores[0].family(), |device| device.family())
    }

    fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    fn open(&self, mask: LeadMask) -> Stream {
        Stream { mask, state: State::Window(WindowState::default()) }
    }

    fn advance(&mut self, work: &mut [Work<'_>]) -> Result<(), ModelError> {
        if let Some(device) = &mut self.device {
            match device.advance(work) {
                Ok(()) => return Ok(()),
                Err(why) => self.lost = Some(why.to_string()),
            }
            self.device = None;
        }
        // A call that failed took no input.
        self.on_cpu(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CandleEngine, LEADS};
    use candle_core::Device;
    use rand::{Rng, SeedableRng};

    /// A device that answers so many calls and is then gone.
    struct Loses {
        inner: CandleEngine,
        calls: usize,
    }

    impl Engine for Loses {
        fn family(&self) -> &'static str {
            "cuda"
        }
        fn open(&self, mask: LeadMask) -> Stream {
            self.inner.open(mask)
        }
        fn advance(&mut self, work: &mut [Work<'_>]) -> Result<(), ModelError> {
            if self.calls == 0 {
                return Err(ModelError::Device("gone".into()));
            }
            self.calls -= 1;
            self.inner.advance(work)
        }
    }

    fn signal(samples: usize, seed: u64) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..samples * LEADS).map(|_| rng.random_range(-4.0..4.0)).collect()
    }

    /// Plays `beds` side by side, a second a call; bed i begins i calls later. Gives all steps of each.
    fn play(engine: &mut dyn Engine, beds: &[Vec<f32>]) -> Vec<Steps> {
        let mut streams: Vec<Stream> = beds.iter().map(|_| engine.open(0xfff)).collect();
        let mut all = vec![Steps::default(); beds.len()];
        let seconds = |bed: &[f32]| bed.len() / (100 * LEADS);
        for call in 0..beds.iter().enumerate().map(|(i, bed)| i + seconds(bed)).max().unwrap_or(0) {
            let due = |i: usize| call >= i && call - i < seconds(&beds[i]);
            let mut work: Vec<Work<'_>> = streams
                .iter_mut()
                .enumerate()
                .filter(|(i, _)| due(*i))
                .map(|(i, stream)| {
                    let second = call - i;
                    let input = &beds[i][second * 100 * LEADS..(second + 1) * 100 * LEADS];
                    Work { stream, input, finish: second + 1 == seconds(&beds[i]), steps: Steps::default() }
                })
                .collect();
            engine.advance(&mut work).expect("one of both always answers");
            let given: Vec<Steps> = work.into_iter().map(|w| w.steps).collect();
            for (i, steps) in (0..beds.len()).filter(|i| due(*i)).zip(given) {
                assert_eq!(
                    steps.first, all[i].count as u64,
                    "bed {i} call {call}: a step is lost or given twice"
                );
                all[i].count += steps.count;
                all[i].taps.extend(steps.taps);
                all[i].logits.extend(steps.logits);
            }
        }
        all
    }

    #[test]
    fn a_device_lost_in_mid_run_costs_no_step_and_no_digit() {
        let bundle = Bundle::tiny(6);
        let beds: Vec<Vec<f32>> = (0..3).map(|i| signal(100 * (4 + i as usize), i)).collect();
        let want = play(&mut LiveEngine::new(bundle.network.clone()), &beds);
        for calls in 0..8 {
            let inner = CandleEngine::new(bundle.manifest.network.clone(), &bundle.weights, Device::Cpu);
            let device = Box::new(Loses { inner: inner.expect("arrays fit"), calls });
            let mut engine = Fallback::new(device, &bundle);
            assert_eq!((engine.family(), engine.lost()), ("cuda", None));
            let got = play(&mut engine, &beds);
            if calls < 6 {
                assert!(engine.family().starts_with("cpu"), "after {calls} calls");
                assert!(engine.lost().is_some_and(|why| why.contains("gone")));
            }
            for (bed, (a, b)) in got.iter().zip(&want).enumerate() {
                assert_eq!((a.count, a.taps.len()), (b.count, b.taps.len()), "bed {bed} after {calls} calls");
                let scale = b.taps.iter().fold(1e-3_f32, |m, v| m.max(v.abs()));
                let off = a.taps.iter().zip(&b.taps).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / scale;
                assert!(off < 1e-4, "bed {bed} after {calls} calls: off by {off}");
            }
        }
    }
}
