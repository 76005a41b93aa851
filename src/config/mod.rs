//! TOML in, validated settings out.
//!
//! What it does: reads a config file, checks every key against one table (which also serves the JSON schema and the
//! documented `config/wardbeat.toml`) and reports all faults at once with line and suggestion.
//! What it never does: sockets, threads, clocks, reading secrets; it knows plugins only by the table it is given.
//! Door: [`Settings`] and its parts, [`load`] and [`parse`], [`Plugins`], [`Faults`],
//! [`schema`] and [`documented`].
//! Who calls it: `cli` (load, check), `daemon` and `pipeline` (plain types).

mod analysis;
mod broker;
mod diagnose;
mod document;
mod http;
mod keys;
mod keys_services;
mod load;
mod recorder;
mod rules;
mod settings;
mod together;

pub use self::broker::{Broker, BrokerUrl};
pub use analysis::{Analysis, Decide};
pub use diagnose::Fault;
pub use document::{documented, schema};
pub use http::Http;
pub use load::{Faults, load, parse};
pub use recorder::Recorder;
pub use settings::{
    AfterOutage, Bed, Commands, Device, Display, Journal, Publish, Settings, Sink, Source, Unit,
};

use contract::{Decoder, Entry, Sink as SinkPlugin};

/// The plugins that this build knows, as `daemon/registry.rs` lists them.
#[derive(Clone, Copy, Default)]
pub struct Plugins {
    /// Decoders for `[[source]]`.
    pub decoders: &'static [&'static Entry<dyn Decoder>],
    /// What reads a `[dialect.NAME]` table; `None` = not in this build.
    pub dialect: Option<&'static Entry<dyn Decoder>>,
    /// Destinations for `[[sink]]`.
    pub sinks: &'static [&'static Entry<dyn SinkPlugin>],
}
