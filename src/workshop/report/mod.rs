//! The report on a cross-validation: everything judged, its summary as JSON and its page as HTML.
//!
//! What it does: makes each part that is not there yet, keeps it as JSON in the report's folder with the id of the bundle
//! it belongs to, and writes `summary.json` and `report.html` from the parts.
//! What it never does: leave out a figure because it is bad.

pub(super) mod html;
mod page;
mod parts;
mod plots;
mod promises;
mod shortfalls;
mod summary;

pub use parts::{Judging, Parts, Sources};
pub use promises::promised;

use super::WorkshopError;
use crate::model::{ModelError, arrays};
use std::path::Path;

/// Writes `summary.json` and `report.html` into a folder.
///
/// # Errors
/// [`WorkshopError`] if a plot cannot be drawn or a file cannot be written.
pub fn write(folder: &Path, parts: &Parts) -> Result<(), WorkshopError> {
    std::fs::create_dir_all(folder).map_err(|e| ModelError::Bundle(format!("{}: {e}", folder.display())))?;
    let text = serde_json::to_string_pretty(&summary::summary(parts))
        .map_err(|e| WorkshopError::Json(e.to_string()))?;
    arrays::write(&folder.join("summary.json"), (text + "\n").as_bytes())?;
    arrays::write(&folder.join("report.html"), page::page(parts)?.as_bytes())?;
    Ok(())
}
