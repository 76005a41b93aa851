//! The one function that all engines compute: prepared signal in, steps out.

use super::fallback::Fallback;
use super::live::{LiveEngine, LiveState};
use super::reference::{CandleEngine, WindowState};
use super::{Bundle, LeadMask, ModelError};
use candle_core::Device;
use serde::{Deserialize, Serialize};

/// One bed's place in the network: what each layer still needs of its past. Bounded; opened at the start of a
/// segment and dropped at its end. A change of the lead set needs a new one. It can be saved, and taken up by an engine
/// of the same family over the same bundle.
#[derive(Serialize, Deserialize)]
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
#[derive(Serialize, Deserialize)]
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
    /// Why the device that it began on is lost, where another goes on in its place.
    fn lost(&self) -> Option<&str> {
        None
    }
    /// Opens the state for one segment.
    fn open(&self, mask: LeadMask) -> Stream;
    /// Advances every stream by its new samples. Results do not depend on how samples are cut into calls nor on which
    /// streams share a call.
    ///
    /// # Errors
    /// [`ModelError`] if the device failed; the streams are then unusable and must be opened anew.
    fn advance(&mut self, work: &mut [Work<'_>]) -> Result<(), ModelError>;
}

/// Opens the engine for a device: `cpu`, `cuda` (with the CPU behind it, should the GPU be lost) or `candle` (the CPU by
/// way of candle: the oracle, slow).
///
/// # Errors
/// [`ModelError`] if the device does not answer.
pub fn open_engine(bundle: &Bundle, device: &str) -> Result<Box<dyn Engine>, ModelError> {
    let candle = |device| CandleEngine::new(bundle.manifest.network.clone(), &bundle.weights, device);
    match device {
        "cpu" => Ok(Box::new(LiveEngine::new(bundle.network.clone()))),
        "candle" => Ok(Box::new(candle(Device::Cpu)?)),
        "cuda" => Ok(Box::new(Fallback::new(Box::new(candle(cuda()?)?), bundle))),
        other => Err(ModelError::Device(format!("{other:?} is not one of cpu, cuda, candle"))),
    }
}

/// The first GPU.
///
/// # Errors
/// [`ModelError::Device`] says why there is none.
pub fn cuda() -> Result<Device, ModelError> {
    if !cfg!(feature = "cuda") {
        let why = "this program was built without the feature cuda (docs/gpu.md)";
        return Err(ModelError::Device(why.into()));
    }
    // candle's own text carries a stack trace.
    Device::new_cuda(0).map_err(|_| ModelError::Device("no CUDA device answers".into()))
}

/// What a GPU says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceFacts {
    /// Its name.
    pub name: String,
    /// Memory in use, by this program and others, in bytes.
    pub used_bytes: u64,
    /// Memory in all, in bytes.
    pub total_bytes: u64,
}

/// Asks a GPU; `None` for a CPU or where the driver does not say.
#[must_use]
pub fn device_facts(device: &Device) -> Option<DeviceFacts> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(gpu) = device {
        let stream = gpu.cuda_stream();
        let context = stream.context();
        let (free, total) = context.mem_get_info().ok()?;
        let used_bytes = total.saturating_sub(free) as u64;
        return Some(DeviceFacts { name: context.name().ok()?, used_bytes, total_bytes: total as u64 });
    }
    let _ = device;
    None
}
