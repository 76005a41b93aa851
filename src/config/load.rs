//! From a file to settings, or to all of its faults.

use super::diagnose::{Fault, diagnose};
use super::{Plugins, Settings};
use std::fmt;
use std::path::Path;

/// Everything that is wrong with a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The file as it was named.
    pub file: String,
    /// The faults, in the order of their lines.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    /// A line each: `config/ward.toml:41 sink[1].options.prot: unknown key; did you mean "port"?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Fault { line, place, what }) in self.faults.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", self.file)?;
            if *line > 0 {
                write!(f, ":{line}")?;
            }
            let colon = if place.is_empty() { "" } else { ": " };
            write!(f, " {place}{colon}{what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Reads and checks a config file.
///
/// # Errors
/// [`Faults`] lists everything that is wrong, also that the file cannot be read.
pub fn load(path: &Path, plugins: &Plugins) -> Result<Settings, Faults> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&file, &text, plugins),
        Err(error) => {
            let what = format!("cannot be read: {error}");
            Err(Faults { file, faults: vec![Fault { line: 0, place: String::new(), what }] })
        }
    }
}

/// Checks a config's text; `file` is the name that its faults carry.
///
/// # Errors
/// [`Faults`] lists everything that is wrong.
pub fn parse(file: &str, text: &str, plugins: &Plugins) -> Result<Settings, Faults> {
    let mut faults = diagnose(text, plugins);
    if faults.is_empty() {
        match toml::from_str(text) {
            Ok(settings) => return Ok(settings),
            // The table of keys and the types disagree only in what a type alone knows.
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start.min(text.len()));
                let line = 1 + super::rules::line_breaks(text, start);
                faults.push(Fault { line, place: String::new(), what: error.message().into() });
            }
        }
    }
    Err(Faults { file: file.into(), faults })
}
