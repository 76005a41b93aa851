//! Every plugin of this build, in one visible table.

use super::DaemonError;
use crate::config::{Plugins, Settings, Source};
use contract::{Decoder, Entry, Options, Sink};

/// The decoders of this build, by the word in the config.
pub const DECODERS: &[&Entry<dyn Decoder>] = &[
    #[cfg(feature = "decoder-json")]
    &decoder_json::ENTRY,
    #[cfg(feature = "decoder-packed")]
    &decoder_packed::ENTRY,
    #[cfg(feature = "exec")]
    &exec::DECODER,
];

/// What reads a `[dialect.NAME]` table.
pub const DIALECT: Option<&Entry<dyn Decoder>> = {
    #[cfg(feature = "decoder-mapped")]
    let dialect = Some(&decoder_mapped::ENTRY);
    #[cfg(not(feature = "decoder-mapped"))]
    let dialect = None;
    dialect
};

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
    Plugins { decoders: DECODERS, dialect: DIALECT, sinks: SINKS }
}

/// The plugin of that kind.
///
/// # Errors
/// [`DaemonError::Config`] where this build has none.
pub fn find<T: ?Sized>(
    table: &'static [&'static Entry<T>],
    kind: &str,
) -> Result<&'static Entry<T>, DaemonError> {
    table.iter().copied().find(|entry| entry.kind == kind).ok_or_else(|| {
        let known: Vec<_> = table.iter().map(|entry| entry.kind).collect();
        DaemonError::Config(format!("{kind:?} is not in this build; it has: {}", known.join(", ")))
    })
}

/// What decodes a source, and its keys: a dialect of the config, or a decoder of this build.
///
/// # Errors
/// [`DaemonError::Config`] where there is neither.
pub fn decoder<'a>(
    settings: &'a Settings,
    source: &'a Source,
) -> Result<(&'static Entry<dyn Decoder>, &'a Options), DaemonError> {
    match (settings.dialects.get(&source.decoder), DIALECT) {
        (Some(table), Some(entry)) => Ok((entry, table)),
        _ => Ok((find(DECODERS, &source.decoder)?, &source.options)),
    }
}

/// What child processes of plugins say on their standard error becomes our log.
pub fn hear_children() {
    #[cfg(feature = "exec")]
    exec::log_stderr_to(|program, line| tracing::info!(program, line, "plugin says"));
}
