//! The CPU engine: every layer keeps the few inputs it still needs, so each sample goes through the network once.
//!
//! Positions are absolute: output t of a layer is computed as soon as its last input row is there, whatever the cut of
//! the calls, so any chunking of a segment gives the bits of one pass over it. A segment starts with each layer's zero
//! padding and, when it is finished, ends with it: exactly the padded convolutions of training.

use super::bundle::ModelError;
use super::conv::Conv;
use super::engine::{Engine, State, Steps, Stream, Work};
use super::kernel::{Finish, Panels, isa};
use super::{Architecture, Arrays, LEADS, LeadMask};
use std::sync::Arc;

/// A folded convolution.
struct Layer {
    conv: Conv,
    kernel: Panels,
    bias: Vec<f32>,
}

impl Layer {
    fn bias_relu(&self) -> Finish<'_> {
        Finish { bias: Some(&self.bias), relu: true, ..Finish::default() }
    }
}

struct Block {
    first: Layer,
    second: Layer,
    skip: Option<Layer>,
}

/// The folded network, packed for the product kernel. Shared by all streams of all threads.
pub struct Network {
    shape: Architecture,
    stem: Layer,
    /// Lead term of the stem `[lead, channel]`.
    lead: Vec<f32>,
    blocks: Vec<Block>,
    head: Panels,
    head_bias: Vec<f32>,
}

/// Takes an array of a given size out of the bundle.
pub(super) fn take<'a>(arrays: &'a Arrays, name: &str, n: usize) -> Result<&'a [f32], ModelError> {
    match arrays.get(name) {
        Some((_, values)) if values.len() == n => Ok(values),
        Some((dims, _)) => {
            Err(ModelError::Bundle(format!("array {name} has shape {dims:?}; {n} numbers are needed")))
        }
        None => Err(ModelError::Bundle(format!("array {name} is missing"))),
    }
}

impl Network {
    /// Packs the folded arrays of a bundle.
    ///
    /// # Errors
    /// [`ModelError::Bundle`] if an array is missing or has another size.
    pub fn new(shape: Architecture, arrays: &Arrays) -> Result<Self, ModelError> {
        shape.check().map_err(ModelError::Bundle)?;
        let layer = |name: &str, conv: Conv, bias: bool| -> Result<Layer, ModelError> {
            let kernel = conv.pack(take(arrays, &format!("{name}.kernel"), conv.weights())?);
            let bias =
                if bias { take(arrays, &format!("{name}.bias"), conv.outputs)?.to_vec() } else { Vec::new() };
            Ok(Layer { conv, kernel, bias })
        };
        let mut blocks = Vec::new();
        for (i, block) in shape.blocks().into_iter().enumerate() {
            let name = format!("block{}", i + 1);
            blocks.push(Block {
                first: layer(&format!("{name}.conv1"), block.conv1, true)?,
                second: layer(&format!("{name}.conv2"), block.conv2, true)?,
                skip: block.skip.map(|conv| layer(&format!("{name}.skip"), conv, false)).transpose()?,
            });
        }
        let (f, classes) = (shape.features(), shape.classes.len());
        Ok(Self {
            stem: layer("stem", shape.stem(), true)?,
            lead: take(arrays, "stem.lead", LEADS * shape.stem_channels)?.to_vec(),
            blocks,
            head: Panels::pack(take(arrays, "head.weight", f * classes)?, f, classes),
            head_bias: take(arrays, "head.bias", classes)?.to_vec(),
            shape,
        })
    }

    fn open(&self, mask: LeadMask) -> LiveState {
        let mut bias = self.stem.bias.clone();
        for (lead, term) in self.lead.chunks_exact(self.shape.stem_channels).enumerate() {
            if mask >> lead & 1 == 1 {
                for (b, t) in bias.iter_mut().zip(term) {
                    *b += t;
                }
            }
        }
        let blocks = self.blocks.iter().map(|b| BlockState {
            first: Tail::new(&b.first.conv),
            second: Tail::new(&b.second.conv),
            skip: Queue { width: b.first.conv.inputs, ..Queue::default() },
            tap: Queue { width: b.first.conv.outputs, ..Queue::default() },
        });
        LiveState { stem_bias: bias, stem: Tail::new(&self.stem.conv), blocks: blocks.collect(), steps: 0 }
    }
}

/// A layer's input that later outputs still need, in padded rows.
struct Tail {
    conv: Conv,
    rows: Vec<f32>,
    /// Padded rows already dropped.
    dropped: u64,
    /// Next output.
    next: u64,
}

impl Tail {
    fn new(conv: &Conv) -> Self {
        Self { conv: *conv, rows: vec![0.0; conv.pad() * conv.inputs], dropped: 0, next: 0 }
    }

    /// Takes new input rows; `finish` adds the padding behind the last one.
    fn push(&mut self, rows: &[f32], finish: bool) {
        self.rows.extend_from_slice(rows);
        if finish {
            self.rows.resize(self.rows.len() + self.conv.pad() * self.conv.inputs, 0.0);
        }
    }

    /// Outputs that can be computed now.
    fn ready(&self) -> usize {
        let Conv { inputs, taps, stride, dilation, .. } = self.conv;
        let have = self.dropped + (self.rows.len() / inputs) as u64;
        let span = ((taps - 1) * dilation + 1) as u64;
        if have < span {
            return 0;
        }
        ((have - span) / stride as u64 + 1).saturating_sub(self.next) as usize
    }

    /// Computes all ready outputs into `out`.
    fn run(&mut self, layer: &Layer, out: &mut Vec<f32>, finish: Finish<'_>) {
        let (n, stride) = (self.ready(), self.conv.stride as u64);
        out.clear();
        out.resize(n * self.conv.outputs, 0.0);
        let first = (self.next * stride - self.dropped) as usize * self.conv.inputs;
        if n > 0 {
            layer.conv.forward(&self.rows[first..], &layer.kernel, n, out, finish);
        }
        self.next += n as u64;
        // A stride may want rows that have not come yet; what is there and no longer needed goes.
        let gone = ((self.next * stride - self.dropped) as usize).min(self.rows.len() / self.conv.inputs);
        self.rows.drain(..gone * self.conv.inputs);
        self.dropped += gone as u64;
    }
}

/// Rows that wait for a deeper layer to reach them.
#[derive(Default)]
struct Queue {
    width: usize,
    rows: Vec<f32>,
    /// Index of the first row kept.
    first: u64,
}

impl Queue {
    /// Drops rows before `index`.
    fn drop_before(&mut self, index: u64) {
        let gone = ((index - self.first) as usize).min(self.rows.len() / self.width);
        self.rows.drain(..gone * self.width);
        self.first += gone as u64;
    }
}

struct BlockState {
    first: Tail,
    second: Tail,
    skip: Queue,
    tap: Queue,
}

/// One segment's place in every layer.
pub struct LiveState {
    stem_bias: Vec<f32>,
    stem: Tail,
    blocks: Vec<BlockState>,
    /// Steps given so far.
    steps: u64,
}

impl BlockState {
    /// Advances one block: `x` in, complete outputs out (in `x` again).
    fn run(&mut self, block: &Block, x: &mut Vec<f32>, scratch: &mut [Vec<f32>; 2], finish: bool) {
        let [h, skipped] = scratch;
        self.first.push(x, finish);
        self.skip.rows.extend_from_slice(x);
        self.first.run(&block.first, h, block.first.bias_relu());
        self.second.push(h, finish);
        let (n, stride) = (self.second.ready(), block.first.conv.stride);
        let start = self.second.next;
        self.skip.drop_before(start * stride as u64);
        let outputs = block.second.conv.outputs;
        let residual = match &block.skip {
            Some(layer) => {
                skipped.clear();
                skipped.resize(n * outputs, 0.0);
                if n > 0 {
                    layer.conv.forward(&self.skip.rows, &layer.kernel, n, skipped, Finish::default());
                }
                skipped.as_slice()
            }
            None => &self.skip.rows,
        };
        let finish = Finish { residual: Some((residual, outputs)), ..block.second.bias_relu() };
        self.second.run(&block.second, x, finish);
        self.skip.drop_before(self.second.next * stride as u64);
    }
}

/// The engine of one thread.
pub struct LiveEngine {
    network: Arc<Network>,
    scratch: [Vec<f32>; 2],
}

impl LiveEngine {
    /// An engine over a shared network.
    #[must_use]
    pub fn new(network: Arc<Network>) -> Self {
        Self { network, scratch: Default::default() }
    }

    /// The stem for one stream.
    fn stem(&self, state: &mut LiveState, input: &[f32], finish: bool, x: &mut Vec<f32>) {
        state.stem.push(input, finish);
        let bias = Finish { bias: Some(&state.stem_bias), relu: true, ..Finish::default() };
        state.stem.run(&self.network.stem, x, bias);
    }

    /// Collects the taps of the steps that the last block completed, and their logits.
    fn collect(&self, state: &mut LiveState, last: &[f32]) -> Steps {
        let shape = &self.network.shape;
        let (features, classes) = (shape.features(), shape.classes.len());
        let count = last.len() / features;
        let mut taps = Vec::with_capacity(count * shape.tap_channels());
        for step in 0..count {
            for &t in &shape.taps {
                let tap = &state.blocks[t].tap;
                taps.extend_from_slice(&tap.rows[step * tap.width..(step + 1) * tap.width]);
            }
        }
        let mut logits = vec![0.0; count * classes];
        if count > 0 {
            let head = Conv { inputs: features, outputs: classes, taps: 1, stride: 1, dilation: 1 };
            let finish = Finish { bias: Some(&self.network.head_bias), ..Finish::default() };
            head.forward(last, &self.network.head, count, &mut logits, finish);
        }
        let first = state.steps;
        state.steps += count as u64;
        for &t in &shape.taps {
            state.blocks[t].tap.drop_before(state.steps);
        }
        Steps { first, count, taps, logits }
    }
}

impl Engine for LiveEngine {
    fn family(&self) -> &'static str {
        isa().family()
    }

    fn open(&self, mask: LeadMask) -> Stream {
        Stream { mask, state: State::Live(self.network.open(mask)) }
    }

    /// Layer by layer over all streams, so that a layer's weights stay in cache.
    fn advance(&mut self, work: &mut [Work<'_>]) -> Result<(), ModelError> {
        let network = self.network.clone();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut flowing = vec![Vec::new(); work.len()];
        for (w, x) in work.iter_mut().zip(&mut flowing) {
            let State::Live(state) = &mut w.stream.state else {
                return Err(ModelError::Device("the stream belongs to another engine".into()));
            };
            self.stem(state, w.input, w.finish, x);
        }
        for (i, block) in network.blocks.iter().enumerate() {
            let tapped = network.shape.taps.contains(&i);
            for (w, x) in work.iter_mut().zip(&mut flowing) {
                if let State::Live(state) = &mut w.stream.state {
                    state.blocks[i].run(block, x, &mut scratch, w.finish);
                    if tapped {
                        state.blocks[i].tap.rows.extend_from_slice(x);
                    }
                }
            }
        }
        for (w, x) in work.iter_mut().zip(&flowing) {
            if let State::Live(state) = &mut w.stream.state {
                w.steps = self.collect(state, x);
            }
        }
        self.scratch = scratch;
        Ok(())
    }
}
