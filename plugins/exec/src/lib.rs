//! A program of the site's own as a sink or a decoder: one long-lived child, one JSON object a line (`docs/plugins.md`).
//!
//! What it does: starts the program (absolute path, no shell, cleared environment), asks and reads answers within the
//! budget of each call, ends it when it breaks the protocol or overstays, starts it again with back-off.
//! What it never does: trust the child. A child that prints garbage, floods, hangs or dies costs its own alerts a
//! retry and nothing else. There is no thread here: pipes never block, and a child that nobody reads simply waits.
//! Door: [`SINK`], [`DECODER`], [`log_stderr_to`]. Who calls it: `daemon/registry.rs`, tests.

mod child;
mod decoder;
mod launch;
mod link;
mod sink;
mod stderr;

use contract::{Decoder, Entry, Sink};

pub use stderr::log_stderr_to;

/// The plugin: `sink = "exec"`.
pub const SINK: Entry<dyn Sink> = Entry {
    kind: "exec",
    keys: launch::SINK_KEYS,
    build: |options| Ok(Box::new(sink::ExecSink::new(options)?)),
};

/// The plugin: `decoder = "exec"`.
pub const DECODER: Entry<dyn Decoder> = Entry {
    kind: "exec",
    keys: launch::DECODER_KEYS,
    build: |options| Ok(Box::new(decoder::ExecDecoder::new(options)?)),
};
