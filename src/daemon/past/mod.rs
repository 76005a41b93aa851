//! A node's past, from its journal and recordings: alerts derived anew, models compared, signal for export.
//!
//! It only reads, and needs no running daemon.

mod again;
mod compare;
pub(super) mod stretches;

pub use again::{Outcome, Verdict};
pub use compare::Comparison;

use super::DaemonError;
use super::journal::{Entry, Reader};
use super::recorder::{self, Kind, Tapes};
use crate::config::Settings;
use crate::model::Bundle;
use crate::pipeline::{Due, Setup};
use contract::BedId;
use std::path::Path;

/// The recordings and the journal of a node, for those who look back.
pub struct Past {
    settings: Settings,
    tapes: Tapes,
}

/// What the recorder holds of one bed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The bed.
    pub bed: BedId,
    /// Files.
    pub files: usize,
    /// Bytes in them.
    pub bytes: u64,
}

impl Past {
    /// The past of the node with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let tapes = Tapes::new(recorder::folder(&settings));
        Self { settings, tapes }
    }

    /// The same with recordings that lie elsewhere, such as a copy of a node's archive.
    #[must_use]
    pub fn at(settings: Settings, folder: &Path) -> Self {
        Self { settings, tapes: Tapes::new(folder.into()) }
    }

    /// Every hop of a bed's recording, oldest first, a file at a time.
    pub fn hops<'a>(&'a self, bed: &BedId) -> impl Iterator<Item = Result<Due, DaemonError>> + use<'a> {
        let file = |path: std::path::PathBuf| match hops_of(&path) {
            Ok(hops) => hops.into_iter().map(Ok).collect(),
            Err(e) => vec![Err(e)],
        };
        self.tapes.files(bed).into_iter().flat_map(file)
    }

    /// What the recorder holds, by bed.
    #[must_use]
    pub fn beds(&self) -> Vec<Held> {
        let size = |path: &std::path::PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
        let held = |bed: BedId| {
            let files = self.tapes.files(&bed);
            Held { bytes: files.iter().map(size).sum(), files: files.len(), bed }
        };
        self.tapes.beds().into_iter().map(held).collect()
    }

    fn setup(&self, bundle: &Bundle) -> Setup {
        Setup::of(&self.settings, bundle)
    }

    /// Every message about the one alert whose id begins so.
    fn messages(&self, id: &str) -> Result<Vec<Entry>, DaemonError> {
        let reader = Reader::open(&self.settings.journal.path)?;
        let told = |e: rusqlite::Error| DaemonError::Journal {
            path: self.settings.journal.path.display().to_string(),
            why: e.to_string(),
        };
        let found = reader.beginning_with(id).map_err(told)?;
        match found.as_slice() {
            [] => Err(DaemonError::Asked(format!("no alert {id} in the journal"))),
            [one] => reader.all_of(&one.alert.id.0).map_err(told),
            more => {
                let ids: Vec<&str> = more.iter().map(|e| e.alert.id.0.as_str()).collect();
                let what = format!("{} alerts begin with {id}: {}", ids.len(), ids.join(", "));
                Err(DaemonError::Asked(what))
            }
        }
    }

    /// The newest hops of a bed, oldest first.
    fn newest_hops(&self, bed: &BedId, hops: usize) -> Result<Vec<Due>, DaemonError> {
        let files = self.tapes.files(bed);
        if files.is_empty() {
            let known: Vec<String> = self.tapes.beds().iter().map(ToString::to_string).collect();
            let what = format!("no recording of {bed}; there are recordings of: {}", known.join(", "));
            return Err(DaemonError::Asked(what));
        }
        let mut all: Vec<Due> = Vec::new();
        for path in files.iter().rev() {
            all.splice(0..0, hops_of(path)?);
            if all.len() >= hops {
                break;
            }
        }
        all.drain(..all.len().saturating_sub(hops));
        Ok(all)
    }
}

fn hops_of(path: &Path) -> Result<Vec<Due>, DaemonError> {
    let told = |why| DaemonError::File { path: path.display().to_string(), why };
    let reading = recorder::read(path).map_err(told)?;
    let hops = reading.records.iter().filter(|r| r.kind == Kind::Hop);
    Ok(hops.filter_map(|r| Due::from_bytes(&reading.bed, &r.body)).collect())
}
