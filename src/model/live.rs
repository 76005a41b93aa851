//! The CPU engine: every layer keeps the few inputs it still needs, so each sample goes through the network once.
//!
//! Positions are absolute: output t of a layer is computed as soon as its last input row is there, whatever the cut of
//! the calls, so any chunking of a segment gives the bits of one pass over it. A segment starts with each layer's zero
//! padding and, when it is finished, ends with it: exactly the padded convolutions of training.

mod input;

use super::bundle::ModelError;
use super::conv::Conv;
use super::engine::{Engine, State, Steps, Stream, Work};
use super::kernel::{Finish, Panels, isa};
use super::{Architecture, Arrays, LEADS, LeadMask};
use input::Input;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Streams that go through a layer together.
const TOGETHER: usize = 8;

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

    fn open(&self) -> LiveState {
        let inputs = self.blocks.iter().map(|b| Input::new(&b.first.conv));
        let hidden = self.blocks.iter().map(|b| Input::new(&b.second.conv));
        LiveState {
            stem_bias: Vec::new(),
            stem: Input::new(&self.stem.conv),
            blocks: inputs.zip(hidden).map(|(x, h)| BlockState { x, h }).collect(),
            last: Vec::new(),
            steps: 0,
        }
    }
}

/// A block's input, read by its first convolution, its skip path and, where the block before is a tap, by the reader
/// of steps; and its hidden layer.
#[derive(Serialize, Deserialize)]
struct BlockState {
    x: Input,
    h: Input,
}

impl BlockState {
    fn begin(&mut self) {
        self.x.begin();
        self.h.begin();
    }

    /// Advances one block by the rows that came into its input; `out` makes room for its outputs, `next` are the
    /// weights of what follows.
    fn run<'a>(
        &mut self,
        block: &Block,
        next: Option<&Panels>,
        skipped: &mut Vec<f32>,
        finish: bool,
        out: impl FnOnce(usize) -> &'a mut [f32],
    ) {
        if finish {
            self.x.pad();
        }
        let n = self.x.ready();
        let after = next.map(|_| block.skip.as_ref().map_or(&block.second.kernel, |skip| &skip.kernel));
        let end = Finish { next: after, ..block.first.bias_relu() };
        self.x.run(&block.first, n, self.h.append(n), end);
        if finish {
            self.h.pad();
        }
        let (n, first) = (self.h.ready(), self.h.next);
        if n == 0 {
            return;
        }
        let (x, outputs) = (self.x.inside(first * block.first.conv.stride), block.second.conv.outputs);
        let residual = match &block.skip {
            Some(layer) => {
                skipped.resize(n * outputs, 0.0);
                let end = Finish { next: next.map(|_| &block.second.kernel), ..Finish::default() };
                layer.conv.forward(x, &layer.kernel, n, skipped, end);
                skipped.as_slice()
            }
            None => x,
        };
        let end = Finish { residual: Some((residual, outputs)), next, ..block.second.bias_relu() };
        self.h.run(&block.second, n, out(n), end);
    }

    /// Drops what nothing needs any more; `read` = rows of the input that the reader of steps has taken.
    fn trim(&mut self, read: Option<usize>) {
        let pad = self.x.conv.pad();
        let wanted = (self.h.next * self.x.conv.stride).min(read.unwrap_or(usize::MAX));
        self.x.drop_before(wanted.saturating_add(pad));
        self.h.drop_before(usize::MAX);
    }
}

/// One segment's place in every layer.
#[derive(Serialize, Deserialize)]
pub struct LiveState {
    stem_bias: Vec<f32>,
    stem: Input,
    blocks: Vec<BlockState>,
    /// The last block's newest outputs; empty between calls.
    #[serde(skip)]
    last: Vec<f32>,
    /// Steps given so far.
    steps: usize,
}

impl LiveState {
    /// Before the first sample of a segment with these leads; memory stays.
    fn begin(&mut self, network: &Network, mask: LeadMask) {
        for block in &mut self.blocks {
            block.begin();
        }
        self.begin_stem(network, mask);
    }

    fn begin_stem(&mut self, network: &Network, mask: LeadMask) {
        self.stem_bias.clone_from(&network.stem.bias);
        for (lead, term) in network.lead.chunks_exact(network.shape.stem_channels).enumerate() {
            if mask >> lead & 1 == 1 {
                for (b, t) in self.stem_bias.iter_mut().zip(term) {
                    *b += t;
                }
            }
        }
        self.stem.begin();
        self.steps = 0;
    }

    /// The same place as another's, in no more memory than its rows need: between calls a stream keeps only what its
    /// layers still want, while a chunk's rows lie in the memory of the thread.
    fn copy(&mut self, other: &Self) {
        self.stem_bias.clone_from(&other.stem_bias);
        self.stem.copy(&other.stem);
        for (block, other) in self.blocks.iter_mut().zip(&other.blocks) {
            block.x.copy(&other.x);
            block.h.copy(&other.h);
        }
        self.steps = other.steps;
    }

    /// Takes new samples through the stem.
    fn stem(&mut self, network: &Network, input: &[f32], finish: bool) {
        self.stem.rows.extend_from_slice(input);
        if finish {
            self.stem.pad();
        }
        let n = self.stem.ready();
        let bias = Finish { bias: Some(&self.stem_bias), relu: true, ..Finish::default() };
        let Some(first) = self.blocks.first_mut() else { return };
        self.stem.run(&network.stem, n, first.x.append(n), bias);
        self.stem.drop_before(usize::MAX);
        self.last.clear();
    }

    /// Takes what the layer before gave through block `i`; `next` are the weights of what follows, where it follows at
    /// once.
    fn block(
        &mut self,
        i: usize,
        block: &Block,
        next: Option<&Panels>,
        skipped: &mut Vec<f32>,
        finish: bool,
    ) {
        let (now, later) = self.blocks.split_at_mut(i + 1);
        let last = &mut self.last;
        now[i].run(block, next, skipped, finish, |n| {
            if let Some(later) = later.first_mut() {
                return later.x.append(n);
            }
            last.resize(n * block.second.conv.outputs, 0.0);
            last
        });
    }

    /// A whole segment, block after block in the memory of the blocks before: what a layer writes is still in cache
    /// when the next one reads it.
    fn whole(&mut self, network: &Network, input: &[f32], mask: LeadMask, skipped: &mut Vec<f32>) {
        self.begin_stem(network, mask);
        if let Some(first) = self.blocks.first_mut() {
            first.begin();
        }
        self.stem(network, input, true);
        for (i, block) in network.blocks.iter().enumerate() {
            let (before, rest) = self.blocks.split_at_mut(i);
            if let Some(before) = before.last_mut() {
                std::mem::swap(&mut before.h.rows, &mut rest[0].h.rows);
            }
            rest[0].h.begin();
            if let Some(next) = rest.get_mut(1) {
                // The input of the block before is free unless it is to be read as a tap.
                if let Some(before) =
                    before.last_mut().filter(|_| i < 2 || !network.shape.taps.contains(&(i - 2)))
                {
                    std::mem::swap(&mut before.x.rows, &mut next.x.rows);
                }
                next.x.begin();
            }
            let weights = network.blocks.get(i + 1).map_or(&network.head, |next| &next.first.kernel);
            self.block(i, block, Some(weights), skipped, true);
        }
    }

    /// Reads the steps that the last block completed: taps and logits.
    fn read(&mut self, network: &Network, steps: &mut Steps) {
        let (shape, last) = (&network.shape, &self.last);
        let (features, classes) = (shape.features(), shape.classes.len());
        (steps.first, steps.count) = (self.steps as u64, last.len() / features);
        steps.taps.clear();
        for step in 0..steps.count {
            for &t in &shape.taps {
                let (rows, at) = match self.blocks.get(t + 1) {
                    Some(next) => (next.x.inside(self.steps + step), 0),
                    None => (last.as_slice(), step),
                };
                let width = shape.blocks[t].channels;
                steps.taps.extend_from_slice(&rows[at * width..(at + 1) * width]);
            }
        }
        steps.logits.clear();
        steps.logits.resize(steps.count * classes, 0.0);
        if steps.count > 0 {
            let head = Conv { inputs: features, outputs: classes, taps: 1, stride: 1, dilation: 1 };
            let finish = Finish { bias: Some(&network.head_bias), ..Finish::default() };
            head.forward(last, &network.head, steps.count, &mut steps.logits, finish);
        }
        self.steps += steps.count;
        for (i, block) in self.blocks.iter_mut().enumerate() {
            let tapped = i > 0 && shape.taps.contains(&(i - 1));
            block.trim(tapped.then_some(self.steps));
        }
    }
}

/// The engine of one thread.
pub struct LiveEngine {
    network: Arc<Network>,
    /// A skip convolution's outputs.
    skipped: Vec<f32>,
    /// Where streams and whole records are worked on, in memory that the next ones use again.
    places: Vec<LiveState>,
}

impl LiveEngine {
    /// An engine over a shared network.
    #[must_use]
    pub fn new(network: Arc<Network>) -> Self {
        let places = (0..TOGETHER).map(|_| network.open()).collect();
        Self { network, skipped: Vec::new(), places }
    }

    /// One whole segment `[time, lead]` from its start to its end, in memory that the next one uses again: the same
    /// bits as [`Engine::advance`] gives for any cut of it.
    pub fn record(&mut self, input: &[f32], mask: LeadMask, steps: &mut Steps) {
        let (network, place) = (&self.network, &mut self.places[0]);
        place.whole(network, input, mask, &mut self.skipped);
        place.read(network, steps);
    }
}

impl Engine for LiveEngine {
    fn family(&self) -> &'static str {
        isa().family()
    }

    fn open(&self, mask: LeadMask) -> Stream {
        let mut state = self.network.open();
        state.begin(&self.network, mask);
        Stream { mask, state: State::Live(state) }
    }

    /// Layer by layer over a few streams at a time: a layer's weights serve them all while what they hand from layer to
    /// layer is still in cache.
    fn advance(&mut self, work: &mut [Work<'_>]) -> Result<(), ModelError> {
        let network = &self.network;
        for work in work.chunks_mut(TOGETHER) {
            for (w, place) in work.iter_mut().zip(&mut self.places) {
                place.copy(live(w.stream)?);
                place.stem(network, w.input, w.finish);
            }
            for (i, block) in network.blocks.iter().enumerate() {
                for (w, place) in work.iter().zip(&mut self.places) {
                    place.block(i, block, None, &mut self.skipped, w.finish);
                }
            }
            for (w, place) in work.iter_mut().zip(&mut self.places) {
                place.read(network, &mut w.steps);
                live(w.stream)?.copy(place);
            }
        }
        Ok(())
    }
}

fn live(stream: &mut Stream) -> Result<&mut LiveState, ModelError> {
    match &mut stream.state {
        State::Live(state) => Ok(state),
        State::Window(_) => Err(ModelError::Device("the stream belongs to another engine".into())),
    }
}
