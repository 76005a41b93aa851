//! How a plugin says its name, its keys and how it is built.

use serde_json::{Map, Value};

/// The kind of value a key takes, for validation and the generated documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Free text.
    Text,
    /// A path to a file.
    Path,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A number, or a text.
    NumberOrText,
    /// A list of texts.
    Texts,
    /// A table of texts.
    Table,
}

/// One key of a plugin's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name in `[source.options]`, `[sink.options]` or `[dialect.NAME]`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Must be given.
    pub required: bool,
    /// The value used where it is absent, as TOML text; empty for none.
    pub default: &'static str,
    /// One line for people.
    pub doc: &'static str,
}

/// A plugin's options as the config gives them.
pub type Options = Map<String, Value>;

/// An option that the plugin cannot use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct OptionsError {
    /// The key.
    pub key: String,
    /// What is wrong and what to write instead.
    pub why: String,
}

/// A plugin: its kind in the config, its keys and its constructor.
pub struct Entry<T: ?Sized> {
    /// The word in the config (`decoder = "json"`).
    pub kind: &'static str,
    /// The options it knows; anything else is refused with a suggestion.
    pub keys: &'static [Key],
    /// Builds it.
    pub build: fn(&Options) -> Result<Box<T>, OptionsError>,
}
