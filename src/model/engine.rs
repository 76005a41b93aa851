//! The one function that all engines compute: prepared signal in, steps out.

use super::live::{LiveEngine, LiveState};
use super::reference::{CandleEngine, WindowState};
use super::{Bundle, LeadMask, ModelError};
use candle_core::Device;

/// One bed's place in the network: what each layer still needs of its past. Bounded; opened at the start of a
/// segment and dropped at its end. A change of the lead set needs a new one.
pub struct Stream {
    pub(super) mask: LeadMask,
    pub(super) state: State,
}

impl Stream {
    /// The leads it was opened with.
    #[must_use]
    pub fn mask(&self) -> LeadMask {
        self.mask
    }
}

/// What the engine that opened a stream keeps of it.
pub(super) enum State {
    /// Each layer's inputs still needed.
    Live(LiveState),
    /// The newest samples.
    Window(WindowState),
}

/// Work for one stream: new prepared samples in, complete steps out.
pub struct Work<'a> {
    /// The stream that goes on.
    pub stream: &'a mut Stream,
    /// New samples `[time, lead]`, 12 leads at 100 Hz, prepared (filtered, ±20 units of 0.25 mV, masked leads 0).
    pub input: &'a [f32],
    /// The segment ends here: the last steps are completed with zero padding.
    pub finish: bool,
    /// Filled by the engine.
    pub steps: Steps,
}

/// Steps that became complete.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps {
    /// Index of the first one since the segment began; step t is centred on sample 4t at 100 Hz.
    pub first: u64,
    /// How many.
    pub count: usize,
    /// Activations of the three taps `[step, 384]`.
    pub taps: Vec<f32>,
    /// Class logits `[step, class]`; their mean over a window is the window's logit.
    pub logits: Vec<f32>,
}

/// An implementation of the network over continuous signals. All of them compute one function
/// (docs/decisions.md): CPU engines to the bit, candle and CUDA to 1e-4.
pub trait Engine: Send {
    /// What computes, as the node's status names it: `cpu-avx512`, `cpu-avx2`, `cpu-portable`, `candle`, `cuda`.
    fn family(&self) -> &'static str;
    /// Opens the state for one segment.
    fn open(&self, mask: LeadMask) -> Stream;
    /// Advances every stream by its new samples. Results do not depend on how samples are cut into calls nor on which
    /// streams share a call.
    ///
    /// # Errors
    /// [`ModelError`] if the device failed; the streams are then unusable and must be opened anew.
    fn advance(&mut self, work: &mut [Work<'_>]) -> Result<(), ModelError>;
}

/// Opens the engine for a device: `auto` (a GPU where the program was built for one and one answers, else the CPU),
/// `cpu`, `cuda` or `candle` (the CPU by way of candle: the oracle, slow).
///
/// # Errors
/// [`ModelError`] if the device was asked for by name and does not answer.
pub fn open_engine(bundle: &Bundle, device: &str) -> Result<Box<dyn Engine>, ModelError> {
    let candle = |device| {
        let engine = CandleEngine::new(bundle.manifest.network.clone(), &bundle.weights, device)?;
        Ok::<Box<dyn Engine>, ModelError>(Box::new(engine))
    };
    let cpu = || Box::new(LiveEngine::new(bundle.network.clone()));
    match device {
        "cpu" => Ok(cpu()),
        "candle" => candle(Device::Cpu),
        "cuda" => candle(cuda()?),
        "auto" => match cuda().and_then(candle) {
            Ok(engine) => Ok(engine),
            Err(_) => Ok(cpu()),
        },
        other => Err(ModelError::Device(format!("{other:?} is not one of auto, cpu, cuda, candle"))),
    }
}

/// The first GPU.
fn cuda() -> Result<Device, ModelError> {
    if !cfg!(feature = "cuda") {
        return Err(ModelError::Device(
            "this program was built without the feature cuda; see docs/gpu.md".into(),
        ));
    }
    Device::new_cuda(0)
        .map_err(|_| ModelError::Device("no CUDA device answers; --device cpu runs without one".into()))
}
