//! The network in candle's own operations: the oracle of the CPU engine and the path to a GPU.
//!
//! A window engine: it keeps each stream's newest samples, computes the steps that became complete together with the
//! margin that their receptive field needs, and drops the margin. All due beds of equal length share one call.

use super::bundle::ModelError;
use super::conv::Conv;
use super::engine::{Engine, State, Steps, Stream, Work};
use super::live::take;
use super::{Architecture, Arrays, LEADS, LeadMask, STEP_SAMPLES};
use candle_core::{Device, Result, Tensor};
use std::collections::BTreeMap;

/// A stream's newest samples.
#[derive(Default)]
pub struct WindowState {
    /// `[time, lead]`.
    samples: Vec<f32>,
    /// Index of the first sample kept, a multiple of a step.
    first: usize,
    /// Steps given so far.
    steps: usize,
}

struct Layer {
    conv: Conv,
    /// `[out, in, tap]`.
    kernel: Tensor,
    /// `[1, out, 1]`.
    bias: Option<Tensor>,
}

/// The engine on one device.
pub struct CandleEngine {
    shape: Architecture,
    device: Device,
    stem: Layer,
    lead: Tensor,
    blocks: Vec<(Layer, Layer, Option<Layer>)>,
    head: Tensor,
    head_bias: Tensor,
}

fn fault(e: &candle_core::Error) -> ModelError {
    // candle's own text may carry a stack trace; its first line says enough.
    ModelError::Device(e.to_string().lines().next().unwrap_or("failed").to_owned())
}

impl Layer {
    fn new(
        arrays: &Arrays,
        name: &str,
        conv: Conv,
        bias: bool,
        device: &Device,
    ) -> std::result::Result<Self, ModelError> {
        let kernel = take(arrays, &format!("{name}.kernel"), conv.weights())?;
        let bias = bias.then(|| take(arrays, &format!("{name}.bias"), conv.outputs)).transpose()?;
        let build = || -> Result<Self> {
            let kernel = Tensor::from_slice(kernel, (conv.taps, conv.inputs, conv.outputs), device)?;
            let bias = bias.map(|b| Tensor::from_slice(b, (1, conv.outputs, 1), device)).transpose()?;
            Ok(Self { conv, kernel: kernel.permute((2, 1, 0))?.contiguous()?, bias })
        };
        build().map_err(|e| fault(&e))
    }

    fn run(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.conv1d(&self.kernel, self.conv.pad(), self.conv.stride, self.conv.dilation, 1)?;
        self.bias.as_ref().map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
    }
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
        let layer = |name: &str, conv, bias| Layer::new(arrays, name, conv, bias, &device);
        let mut blocks = Vec::new();
        for (i, block) in shape.blocks().into_iter().enumerate() {
            let name = format!("block{}", i + 1);
            let skip = block.skip.map(|conv| layer(&format!("{name}.skip"), conv, false)).transpose()?;
            blocks.push((
                layer(&format!("{name}.conv1"), block.conv1, true)?,
                layer(&format!("{name}.conv2"), block.conv2, true)?,
                skip,
            ));
        }
        let (f, classes, c) = (shape.features(), shape.classes.len(), shape.stem_channels);
        let tensor = |name: &str, dims: &[usize]| {
            Tensor::from_slice(take(arrays, name, dims.iter().product())?, dims, &device)
                .map_err(|e| fault(&e))
        };
        Ok(Self {
            stem: layer("stem", shape.stem(), true)?,
            lead: tensor("stem.lead", &[LEADS, c])?,
            head: tensor("head.weight", &[f, classes])?,
            head_bias: tensor("head.bias", &[classes])?,
            blocks,
            shape,
            device,
        })
    }

    /// Taps `[n, step, channel]` and logits `[n, step, class]` of windows x `[n, time, 12]`, masks `[n, 12]`.
    fn forward(&self, x: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
        let lead = mask.matmul(&self.lead)?.unsqueeze(2)?;
        let mut y = self.stem.run(&x.transpose(1, 2)?.contiguous()?)?.broadcast_add(&lead)?.relu()?;
        let mut taps = Vec::new();
        for (i, (first, second, skip)) in self.blocks.iter().enumerate() {
            let h = second.run(&first.run(&y)?.relu()?)?;
            let skipped = match skip {
                Some(skip) => skip.run(&y)?,
                None => y,
            };
            y = (h + skipped)?.relu()?;
            if self.shape.taps.contains(&i) {
                taps.push(y.transpose(1, 2)?.contiguous()?);
            }
        }
        let last = y.transpose(1, 2)?.contiguous()?;
        Ok((Tensor::cat(&taps, 2)?, last.broadcast_matmul(&self.head)?.broadcast_add(&self.head_bias)?))
    }

    /// Runs streams whose windows have equal length.
    fn run_group(&self, work: &mut [Work<'_>], group: &[usize], time: usize) -> Result<()> {
        let (mut x, mut masks) = (Vec::new(), Vec::new());
        for &w in group {
            if let State::Window(state) = &work[w].stream.state {
                x.extend_from_slice(&state.samples);
                masks.extend((0..LEADS).map(|lead| f32::from(work[w].stream.mask >> lead & 1)));
            }
        }
        let x = Tensor::from_vec(x, (group.len(), time, LEADS), &self.device)?;
        let mask = Tensor::from_vec(masks, (group.len(), LEADS), &self.device)?;
        let (taps, logits) = self.forward(&x, &mask)?;
        let rows = |t: &Tensor, i: usize, from: usize, n: usize| {
            t.get(i)?.narrow(0, from, n)?.flatten_all()?.to_vec1::<f32>()
        };
        for (i, &w) in group.iter().enumerate() {
            let work = &mut work[w];
            let finish = work.finish;
            let State::Window(state) = &mut work.stream.state else { continue };
            let n = state.complete(finish, self.shape.reach_samples());
            let from = state.steps - state.first / STEP_SAMPLES;
            work.steps = Steps { first: state.steps as u64, count: n, ..Steps::default() };
            if n > 0 {
                work.steps.taps = rows(&taps, i, from, n)?;
                work.steps.logits = rows(&logits, i, from, n)?;
            }
            state.advance(n, self.shape.reach_samples());
        }
        Ok(())
    }
}

impl WindowState {
    /// Steps that are complete and not yet given.
    fn complete(&self, finish: bool, reach: usize) -> usize {
        let end = self.first + self.samples.len() / LEADS;
        let last = if finish { end } else { end.saturating_sub(reach) };
        last.div_ceil(STEP_SAMPLES).saturating_sub(self.steps)
    }

    /// Drops what no later step needs, on a step's border.
    fn advance(&mut self, steps: usize, reach: usize) {
        self.steps += steps;
        let keep = (self.steps * STEP_SAMPLES).saturating_sub(reach.next_multiple_of(STEP_SAMPLES));
        let gone = keep.saturating_sub(self.first).min(self.samples.len() / LEADS);
        self.samples.drain(..gone * LEADS);
        self.first += gone;
    }
}

impl Engine for CandleEngine {
    fn family(&self) -> &'static str {
        if self.device.is_cuda() { "cuda" } else { "candle" }
    }

    fn open(&self, mask: LeadMask) -> Stream {
        Stream { mask, state: State::Window(WindowState::default()) }
    }

    fn advance(&mut self, work: &mut [Work<'_>]) -> std::result::Result<(), ModelError> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, w) in work.iter_mut().enumerate() {
            let State::Window(state) = &mut w.stream.state else {
                return Err(ModelError::Device("the stream belongs to another engine".into()));
            };
            state.samples.extend_from_slice(w.input);
            w.steps = Steps { first: state.steps as u64, ..Steps::default() };
            if state.complete(w.finish, self.shape.reach_samples()) > 0 {
                groups.entry(state.samples.len() / LEADS).or_default().push(i);
            }
        }
        for (time, group) in groups {
            self.run_group(work, &group, time).map_err(|e| fault(&e))?;
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
