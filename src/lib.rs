//! Wardbeat: streaming ECG analysis beside the bedside monitor.
//!
//! ```text
//! bedside monitor                                                                              nurse call
//!      │ MQTT                                                                                      ▲
//!      ▼                                                                                           │
//!    wire ─▶ decode ─▶ ring ─▶ window ─▶ preprocess ─▶ infer ─▶ explain ─▶ decide ────────▶ deliver ┘
//!      Payload   Frame     mV      Window      Prepared   Activations  Finding     Alert        Outcome
//!    daemon    plugin   └────────── pipeline: pure, a bed on one thread, time is an argument ┘  daemon + plugin
//!                                                       │ Snapshot (latest only, never waits)
//!                                                       ▼
//!                                                    display
//! ```
//!
//! Rooms, in the order of the picture: [`config`], [`model`], [`pipeline`], [`snapshot`], [`strip`], [`display`],
//! [`daemon`], [`workshop`], [`cli`]. Samples walk one way; each room has one door (its `mod.rs`); only `daemon` may
//! touch a clock, a socket or a thread. `ARCHITECTURE.md` has the code map and the invariants.
//!
//! Wardbeat is research software. It is not a medical device and not an alarm system.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod display;
pub mod model;
pub mod pipeline;
pub mod snapshot;
pub mod strip;
pub mod workshop;
