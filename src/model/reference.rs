//! The network in candle's own operations: the oracle of the CPU engine and the path to a GPU.
//!
//! A window engine: it keeps each stream's newest samples, computes the steps that became complete together with the
//! margin that their receptive field needs, and drops the margin. All due beds share one call to the device.

use super::bundle::ModelError;
use super::conv::Conv;
use super::engine::{Engine, State, Steps, Stream, Work};
use super::fallback::Taken;
use super::live::take;
use super::{Architecture, Arrays, LEADS, LeadMask, STEP_SAMPLES};
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{Conv1d, Conv1dConfig, Linear, Module};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Windows are filled up with zeros to a multiple of so many samples, so that beds of different rates, whose windows
/// differ by a few samples, share one call. No complete step sees them.
const ROUND_SAMPLES: usize = 64;

/// A stream's newest samples.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct WindowState {
    /// `[time, lead]`.
    samples: Vec<f32>,
    /// Index of the first sample kept, a multiple of a step.
    pub first: usize,
    /// Steps given so far.
    pub steps: usize,
    /// The CPU has taken the stream over.
    pub taken: Option<Box<Taken>>,
}

struct Block {
    first: Conv1d,
    second: Conv1d,
    skip: Option<Conv1d>,
}

/// The engine on one device.
pub struct CandleEngine {
    shape: Architecture,
    device: Device,
    stem: Conv1d,
    /// `[lead, channel]`.
    lead: Tensor,
    blocks: Vec<Block>,
    head: Linear,
}

fn fault(e: &candle_core::Error) -> ModelError {
    // candle's own text may carry a stack trace; its first line says enough.
    ModelError::Device(e.to_string().lines().next().unwrap_or("failed").to_owned())
}

/// A folded convolution; bundles hold kernels as `[tap, in, out]`, candle wants `[out, in, tap]`.
fn layer(
    arrays: &Arrays,
    name: &str,
    conv: Conv,
    bias: bool,
    device: &Device,
) -> std::result::Result<Conv1d, ModelError> {
    let kernel = take(arrays, &format!("{name}.kernel"), conv.weights())?;
    let bias = bias.then(|| take(arrays, &format!("{name}.bias"), conv.outputs)).transpose()?;
    let config = Conv1dConfig {
        padding: conv.pad(),
        stride: conv.stride,
        dilation: conv.dilation,
        ..Conv1dConfig::default()
    };
    let build = || -> Result<Conv1d> {
        let kernel = Tensor::from_slice(kernel, (conv.taps, conv.inputs, conv.outputs), device)?;
        let bias = bias.map(|b| Tensor::from_slice(b, conv.outputs, device)).transpose()?;
        Ok(Conv1d::new(kernel.permute((2, 1, 0))?.contiguous()?, bias, config))
    };
    build().map_err(|e| fault(&e))
}

impl CandleEngine {
    /// The network on a device.
    ///
    /// # Errors
    /// [`ModelError`] if the arrays do not fit or the device fails.
    pub fn new(
        shape: Architecture,
        arrays: &Arrays,
        device: Device,
    ) -> std::result::Result<Self, ModelError> {
        let layer = |name: &str, conv, bias| layer(arrays, name, conv, bias, &device);
        let mut blocks = Vec::new();
        for (i, block) in shape.blocks().into_iter().enumerate() {
            let name = format!("block{}", i + 1);
            blocks.push(Block {
                first: layer(&format!("{name}.conv1"), block.conv1, true)?,
                second: layer(&format!("{name}.conv2"), block.conv2, true)?,
                skip: block.skip.map(|conv| layer(&format!("{name}.skip"), conv, false)).transpose()?,
            });
        }
        let (f, classes, c) = (shape.features(), shape.classes.len(), shape.stem_channels);
        let tensor = |name: &str, dims: &[usize]| {
            Tensor::from_slice(take(arrays, name, dims.iter().product())?, dims, &device)
                .map_err(|e| fault(&e))
        };
        let weight = tensor("head.weight", &[f, classes])?.t().map_err(|e| fault(&e))?;
        Ok(Self {
            stem: layer("stem", shape.stem(), true)?,
            lead: tensor("stem.lead", &[LEADS, c])?,
            head: Linear::new(weight, Some(tensor("head.bias", &[classes])?)),
            blocks,
            shape,
            device,
        })
    }

    /// Taps `[n, step, channel]` and logits `[n, step, class]` of the steps `from` to `to` of windows x
    /// `[n, time, 12]`, masks `[n, 12]`.
    fn forward(&self, x: &Tensor, mask: &Tensor, [from, to]: [usize; 2]) -> Result<[Tensor; 2]> {
        let lead = mask.matmul(&self.lead)?.unsqueeze(2)?;
        let x = x.transpose(1, 2)?.contiguous()?;
        let mut y = self.stem.forward(&x)?.broadcast_add(&lead)?.relu()?;
        let wanted = |y: &Tensor| y.narrow(2, from, to - from)?.transpose(1, 2)?.contiguous();
        let mut taps = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            let h = block.second.forward(&block.first.forward(&y)?.relu()?)?;
            let skipped = match &block.skip {
                Some(skip) => skip.forward(&y)?,
                None => y,
            };
            y = (h + skipped)?.relu()?;
            if self.shape.taps.contains(&i) {
                taps.push(wanted(&y)?);
            }
        }
        Ok([Tensor::cat(&taps, 2)?, self.head.forward(&wanted(&y)?)?])
    }

    /// Gradient of a window's class logit with respect to its input, both `[time, lead]`: what saliency and integrated
    /// gradients are made of.
    ///
    /// # Errors
    /// [`ModelError`] if the device fails.
    pub fn input_gradient(
        &self,
        input: &[f32],
        mask: LeadMask,
        class: usize,
    ) -> std::result::Result<Vec<f32>, ModelError> {
        let leads: Vec<f32> = (0..LEADS).map(|lead| f32::from(mask >> lead & 1)).collect();
        let run = || -> Result<Vec<f32>> {
            let x = Var::from_slice(input, (1, input.len() / LEADS, LEADS), &self.device)?;
            let mask = Tensor::from_vec(leads, (1, LEADS), &self.device)?;
            let steps = (input.len() / LEADS).div_ceil(STEP_SAMPLES);
            let [_, logits] = self.forward(x.as_tensor(), &mask, [0, steps])?;
            let slopes = logits.mean(1)?.narrow(1, class, 1)?.sum_all()?.backward()?;
            let slope =
                slopes.get(x.as_tensor()).ok_or_else(|| candle_core::Error::Msg("no gradient".into()))?;
            slope.flatten_all()?.to_vec1()
        };
        run().map_err(|e| fault(&e))
    }

    /// Runs streams whose windows, filled up, are `time` samples long, in one call.
    fn run_group(&self, work: &mut [Work<'_>], group: &[Due], time: usize) -> Result<()> {
        let (mut x, mut masks) = (Vec::with_capacity(group.len() * time * LEADS), Vec::new());
        for (i, due) in group.iter().enumerate() {
            let w = &work[due.place];
            if let State::Window(state) = &w.stream.state {
                x.extend_from_slice(&state.samples);
                x.extend_from_slice(w.input);
            }
            x.resize((i + 1) * time * LEADS, 0.0);
            masks.extend((0..LEADS).map(|lead| f32::from(w.stream.mask >> lead & 1)));
        }
        let x = Tensor::from_vec(x, (group.len(), time, LEADS), &self.device)?;
        let mask = Tensor::from_vec(masks, (group.len(), LEADS), &self.device)?;
        let from = group.iter().map(|due| due.from).min().unwrap_or(0);
        let to = group.iter().map(|due| due.from + due.count).max().unwrap_or(0);
        // One copy back for all beds.
        let told = self.forward(&x, &mask, [from, to])?;
        let widths = [self.shape.tap_channels(), self.shape.classes.len()];
        let [taps, logits] = told.map(|t| t.flatten_all()?.to_vec1::<f32>());
        let (taps, logits) = (taps?, logits?);
        for (i, due) in group.iter().enumerate() {
            let rows = |all: &[f32], width: usize| {
                let first = (i * (to - from) + due.from - from) * width;
                all[first..first + due.count * width].to_vec()
            };
            let work = &mut work[due.place];
            work.steps.count = due.count;
            work.steps.taps = rows(&taps, widths[0]);
            work.steps.logits = rows(&logits, widths[1]);
        }
        Ok(())
    }
}

/// One stream with complete steps.
struct Due {
    /// Its place in the call.
    place: usize,
    /// First step to give, counted from the window's beginning.
    from: usize,
    count: usize,
}

impl WindowState {
    /// Steps that are complete with `new` more samples and not yet given.
    fn complete(&self, new: usize, finish: bool, reach: usize) -> usize {
        let end = self.first + self.samples.len() / LEADS + new;
        let last = if finish { end } else { end.saturating_sub(reach) };
        last.div_ceil(STEP_SAMPLES).saturating_sub(self.steps)
    }

    /// Takes the samples and drops what no step after these will need, on a step's border.
    fn advance(&mut self, input: &[f32], steps: usize, reach: usize) {
        self.samples.extend_from_slice(input);
        self.steps += steps;
        let keep = (self.steps * STEP_SAMPLES).saturating_sub(reach.next_multiple_of(STEP_SAMPLES));
        let gone = keep.saturating_sub(self.first).min(self.samples.len() / LEADS);
        self.samples.drain(..gone * LEADS);
        self.first += gone;
    }

    /// The samples kept, given away.
    pub fn take_samples(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.samples)
    }
}

impl Engine for CandleEngine {
    fn family(&self) -> &'static str {
        if self.device.is_cuda() { "cuda" } else { "candle" }
    }

    fn open(&self, mask: LeadMask) -> Stream {
        Stream { mask, state: State::Window(WindowState::default()) }
    }

    /// After an error no stream of the call has taken its input.
    fn advance(&mut self, work: &mut [Work<'_>]) -> std::result::Result<(), ModelError> {
        let reach = self.shape.reach_samples();
        // What ends is padded layer by layer where it ends, so only windows of its very length share its call.
        let mut groups: BTreeMap<(bool, usize), Vec<Due>> = BTreeMap::new();
        for (place, w) in work.iter_mut().enumerate() {
            let State::Window(state) = &w.stream.state else {
                return Err(ModelError::Device("the stream belongs to another engine".into()));
            };
            w.steps = Steps { first: state.steps as u64, ..Steps::default() };
            let new = w.input.len() / LEADS;
            let count = state.complete(new, w.finish, reach);
            if count > 0 {
                let time = state.samples.len() / LEADS + new;
                let time = if w.finish { time } else { time.next_multiple_of(ROUND_SAMPLES) };
                let from = state.steps - state.first / STEP_SAMPLES;
                groups.entry((w.finish, time)).or_default().push(Due { place, from, count });
            }
        }
        for ((_, time), group) in groups {
            if let Err(e) = self.run_group(work, &group, time) {
                for w in work.iter_mut() {
                    w.steps = Steps::default();
                }
                return Err(fault(&e));
            }
        }
        for w in work {
            if let State::Window(state) = &mut w.stream.state {
                state.advance(w.input, w.steps.count, reach);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bundle, LiveEngine};
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    fn signal(samples: usize, seed: u64) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..samples * LEADS).map(|_| rng.random_range(-4.0..4.0)).collect()
    }

    /// All steps of a signal, cut at the given places.
    fn run(engine: &mut dyn Engine, x: &[f32], mask: LeadMask, cuts: &[usize]) -> Steps {
        let mut stream = engine.open(mask);
        let mut all = Steps::default();
        let mut from = 0;
        for &to in cuts.iter().chain([&(x.len() / LEADS)]) {
            let finish = to == x.len() / LEADS;
            let input = &x[from * LEADS..to * LEADS];
            let mut work = [Work { stream: &mut stream, input, finish, steps: Steps::default() }];
            engine.advance(&mut work).expect("a working device");
            let [Work { steps, .. }] = work;
            assert_eq!(steps.first, all.count as u64);
            all.count += steps.count;
            all.taps.extend(steps.taps);
            all.logits.extend(steps.logits);
            from = to;
        }
        all
    }

    fn candle(bundle: &Bundle) -> CandleEngine {
        CandleEngine::new(bundle.manifest.network.clone(), &bundle.weights, Device::Cpu).expect("arrays fit")
    }

    fn assert_close(a: &Steps, b: &Steps) {
        assert_eq!((a.count, a.taps.len()), (b.count, b.taps.len()));
        for (name, a, b) in [("tap", &a.taps, &b.taps), ("logit", &a.logits, &b.logits)] {
            let scale = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            let off = a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / scale;
            assert!(off < 1e-4, "{name} off by {off}");
        }
    }

    #[test]
    fn the_cpu_engine_equals_plain_candle_on_a_whole_record() {
        let bundle = Bundle::tiny(3);
        for (samples, mask) in [(1000, 0xfff), (999, 0x2), (1001, 0x42), (7, 0xfff), (1, 0xfff)] {
            let x = signal(samples, samples as u64);
            let mine = run(&mut LiveEngine::new(bundle.network.clone()), &x, mask, &[]);
            assert_eq!(mine.count, samples.div_ceil(4));
            assert_close(&mine, &run(&mut candle(&bundle), &x, mask, &[]));
        }
    }

    #[test]
    fn beds_of_other_lengths_share_a_call_and_do_not_touch_each_other() {
        let bundle = Bundle::tiny(8);
        let mut engine = candle(&bundle);
        let beds: Vec<Vec<f32>> = (0..4).map(|i| signal(320 + 7 * i as usize, i)).collect();
        let mut streams: Vec<Stream> = beds.iter().map(|_| engine.open(0xfff)).collect();
        let mut work: Vec<Work<'_>> = streams
            .iter_mut()
            .zip(&beds)
            .map(|(stream, input)| Work { stream, input, finish: false, steps: Steps::default() })
            .collect();
        engine.advance(&mut work).expect("a working device");
        let together: Vec<Steps> = work.into_iter().map(|w| w.steps).collect();
        for (bed, together) in beds.iter().zip(&together) {
            let mut live = LiveEngine::new(bundle.network.clone());
            let mut stream = live.open(0xfff);
            let mut work = [Work { stream: &mut stream, input: bed, finish: false, steps: Steps::default() }];
            live.advance(&mut work).expect("the CPU");
            assert_close(together, &work[0].steps);
        }
    }

    #[test]
    fn the_input_gradient_equals_differences_of_the_logit() {
        let bundle = Bundle::tiny(6);
        let (mask, class) = (0xfff, 2);
        let x = signal(120, 4);
        let slope = candle(&bundle).input_gradient(&x, mask, class).expect("the CPU");
        let logit = |x: &[f32]| -> f64 {
            let steps = run(&mut LiveEngine::new(bundle.network.clone()), x, mask, &[]);
            steps.logits.iter().skip(class).step_by(5).map(|v| f64::from(*v)).sum::<f64>()
                / steps.count as f64
        };
        // Along a random direction, so that one comparison sees every sample.
        let direction = signal(120, 5);
        let moved = |by: f32| x.iter().zip(&direction).map(|(v, d)| v + by * d).collect::<Vec<f32>>();
        let measured = (logit(&moved(2e-3)) - logit(&moved(-2e-3))) / 4e-3;
        let told: f64 = slope.iter().zip(&direction).map(|(s, d)| f64::from(*s) * f64::from(*d)).sum();
        // The logit is an f32 sum behind many rectifiers: some of them turn within the step.
        assert!((measured - told).abs() < 0.12 * told.abs().max(1e-3), "{measured} measured, {told} told");
    }

    #[test]
    fn candle_in_chunks_equals_candle_on_the_whole() {
        let bundle = Bundle::tiny(4);
        let x = signal(1250, 9);
        let cuts: Vec<usize> = (1..12).map(|i| i * 100).collect();
        let whole = run(&mut candle(&bundle), &x, 0xfff, &[]);
        assert_close(&run(&mut candle(&bundle), &x, 0xfff, &cuts), &whole);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_chunking_gives_the_bits_of_one_pass(
            samples in 1usize..900, cuts in proptest::collection::vec(0usize..900, 0..12), seed in 0u64..3,
        ) {
            let bundle = Bundle::tiny(seed);
            let x = signal(samples, seed);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|c| *c < samples).collect();
            cuts.sort_unstable();
            let mut engine = LiveEngine::new(bundle.network.clone());
            let whole = run(&mut engine, &x, 0xfff, &[]);
            let parts = run(&mut engine, &x, 0xfff, &cuts);
            let bits = |s: &Steps| s.taps.iter().chain(&s.logits).map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&whole), bits(&parts));
        }
    }

    #[test]
    fn streams_that_share_a_call_do_not_touch_each_other() {
        let bundle = Bundle::tiny(5);
        let mut engine = LiveEngine::new(bundle.network.clone());
        let (a, b) = (signal(400, 1), signal(400, 2));
        let alone = run(&mut engine, &a, 0xfff, &[]);
        let (mut sa, mut sb) = (engine.open(0xfff), engine.open(0x2));
        let mut work = [
            Work { stream: &mut sb, input: &b, finish: true, steps: Steps::default() },
            Work { stream: &mut sa, input: &a, finish: true, steps: Steps::default() },
        ];
        engine.advance(&mut work).expect("the CPU");
        assert_eq!(work[1].steps, alone);
    }
}
