//! The network, its clusters and the engines that run them.
//!
//! What it does: loads a bundle (manifest, folded weights, codebook, card), runs the 1D-ResNet over continuous
//! signals, assigns steps to clusters, and holds the differentiable network that training uses.
//! What it never does: clocks, sockets, threads of its own (rayon inside one call only), anything about beds or alerts.
//! Door: [`Bundle`], [`Engine`] with [`Stream`] and [`Work`], [`Codebook`]; for the workshop [`Net`], [`fold`] and [`orthogonal`].
//! Who calls it: `pipeline` (infer, explain) and `workshop`.

mod architecture;
pub mod arrays;
mod block;
mod bundle;
mod codebook;
mod composed;
mod conv;
mod dropout;
mod engine;
mod fallback;
mod fused;
mod kernel;
mod live;
mod norm;
mod onnx;
mod orthogonal;
mod padded;
pub mod proof;
mod reference;
mod resnet;
mod trunk;

pub use architecture::{Architecture, BlockSpec};
pub use bundle::{Bundle, Files, LIVE, Manifest, ModelError, hex, sha256, sha256_hex};
pub use codebook::{Assigned, Codebook, CodebookFacts, Surrogate};
pub use engine::{DeviceFacts, Engine, Steps, Stream, Work, cuda, device_facts, open_engine};
pub use fallback::Fallback;
pub use fused::{FUSED_FORM, FusedFacts, FusedPart};
pub use kernel::burst;
pub use live::{LiveEngine, Network};
pub use onnx::to_onnx;
pub use orthogonal::orthogonal;
pub use reference::CandleEngine;
pub use resnet::{Arrays, Net, Parts, fold};

/// What runs tensors: the CPU or a GPU.
pub use candle_core::Device;

/// Standard leads that the network sees: bit i is lead i of I II III aVR aVL aVF V1 to V6.
pub type LeadMask = u16;

/// Leads of the network's input.
pub const LEADS: usize = 12;
/// Model rate in Hz.
pub const RATE_HZ: u32 = 100;
/// Input samples of one step (40 ms).
pub const STEP_SAMPLES: usize = 4;
