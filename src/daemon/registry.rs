//! Every plugin of this build, in one visible table.

use crate::config::Plugins;
use contract::{Decoder, Entry, Sink};

/// The decoders of this build, by the word in the config.
pub const DECODERS: &[&Entry<dyn Decoder>] = &[
    #[cfg(feature = "decoder-json")]
    &decoder_json::ENTRY,
    #[cfg(feature = "decoder-packed")]
    &decoder_packed::ENTRY,
    #[cfg(feature = "decoder-mapped")]
    &decoder_mapped::ENTRY,
    #[cfg(feature = "exec")]
    &exec::DECODER,
];

/// The destinations of this build beside MQTT, which every build has (`publish.rs`).
pub const SINKS: &[&Entry<dyn Sink>] = &[
    #[cfg(feature = "sink-mllp")]
    &sink_mllp::ENTRY,
    #[cfg(feature = "exec")]
    &exec::SINK,
    #[cfg(feature = "sink-webhook")]
    &sink_webhook::ENTRY,
];

/// The plugins that `config` validates against.
#[must_use]
pub fn plugins() -> Plugins {
    Plugins { decoders: DECODERS, sinks: SINKS }
}

/// What child processes of plugins say on their standard error becomes our log.
pub fn hear_children() {
    #[cfg(feature = "exec")]
    exec::log_stderr_to(|program, line| tracing::info!(program, line, "plugin says"));
}
