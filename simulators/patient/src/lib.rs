//! A seeded 12-lead ECG generator with exact beat and wave truth.
//!
//! What it does: turns (seed, profile, script) into the ECG of one person: a heart vector built from waves, projected
//! to twelve leads through electrodes that carry wander, muscle noise, motion and mains, with rhythms that change by
//! script. A sample depends on its index and the sampling rate alone, whatever was asked before and in whatever
//! pieces. Beats, wave borders, rhythm and leads off are known exactly.
//! What it never does: clocks, input or output, threads, unseeded draws; no person's data are in it.
//! Door: [`Patient`], scripted by [`Cue`]s, asked for [`Lead`]s.
//! Who calls it: the monitor simulator, `demo` and tests.

mod body;
mod lead;
mod patient;
mod random;
mod rhythm;
mod script;
mod shape;
mod trouble;

pub use body::Profile;
pub use lead::Lead;
pub use patient::{Beat, Patient};
pub use rhythm::BeatKind;
pub use script::{Change, Cue, Rhythm};
pub use trouble::Noise;
