//! Alerts to a nurse-call system: IHE ACM Report Alert (PCD-04), HL7 v2.6 over MLLP (`docs/wire.md`, nurse call).
//!
//! What it does: writes each alert as `ORU^R40^ORU_R40`, sends it on one connection with one message in flight, reads
//! the answer, says open alerts again after a reconnect where the site wants it, gives a sign of life, and takes
//! acknowledgements (PCD-05) on a second socket.
//! What it never does: type SP, priority PH, a patient's name; spawn, queue, retry, log; plain TCP to another machine
//! unless told to.
//! Door: [`ENTRY`], kind `mllp`. Who calls it: `daemon/registry.rs`, tests.

mod answer;
mod escape;
mod frame;
mod inbound;
mod link;
mod message;
mod options;
mod sink;
mod terms;
mod wire;

use contract::{Entry, Sink};

/// The plugin: `kind = "mllp"`.
pub const ENTRY: Entry<dyn Sink> = Entry {
    kind: "mllp",
    keys: options::KEYS,
    build: |given| Ok(Box::new(sink::MllpSink::new(options::Settings::read(given)?)?)),
};
