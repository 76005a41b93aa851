//! One drawing of an explained strip as plain shapes, written as SVG, PNG or JSON.
//!
//! What it does: lays a stretch of ECG on paper (25 mm/s, 10 mm/mV, calibration pulse), and under it the clusters as
//! a coloured ribbon with letters, entropy and novelty against their limits, a legend and, offline only, the evidence
//! for each class. Missing samples are blank, never bridged.
//! What it never does: read or write files, read a clock, know a screen, compute a finding.
//! Door: [`StripPicture`] with [`svg`], [`png`], [`json`].
//! Who calls it: `workshop` (`wardbeat explain`); the screen's export and HTTP share it.

mod page;
mod raster;
mod svg;

use contract::LeadId;
use serde::Serialize;

/// Longest strip, in seconds.
pub const SECONDS_MAX: f32 = 120.0;

/// Everything a strip shows. Plain data; times are seconds from the first sample.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct StripPicture {
    /// Title lines, the first one bold.
    pub title: Vec<String>,
    /// When the first sample was, in words.
    pub start: String,
    /// Samples a second of every lead, in Hz.
    pub rate_hz: f32,
    /// The leads, top to bottom.
    pub leads: Vec<LeadTrace>,
    /// What the network's steps showed, in order.
    pub steps: Vec<StepMark>,
    /// Length of a step in seconds: 0.04.
    pub step_s: f32,
    /// Begin of the first step, in seconds from the first sample.
    pub first_step_s: f32,
    /// The band of the usual entropy (`[lower, upper]`, 0 to 1), where one is known.
    pub entropy_band: Option<[f32; 2]>,
    /// Upper limit of the novelty.
    pub novelty_threshold: Option<f32>,
    /// The clusters that occur, for the legend.
    pub legend: Vec<LegendEntry>,
    /// Evidence by class; empty at the bedside.
    pub evidence: Vec<ClassEvidence>,
    /// What the strip is not ([`contract::Alert::LIMITS`]).
    pub note: String,
}

/// One lead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeadTrace {
    /// Its name.
    pub lead: LeadId,
    /// Samples in mV; NaN (null in JSON) = missing.
    pub samples_mv: Vec<f32>,
}

/// One step of the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepMark {
    /// The nearest cluster.
    pub cluster: u8,
    /// Its family's letter: Q S T P b ?.
    pub family: char,
    /// Entropy of the assignment, 0 to 1.
    pub entropy: f32,
    /// Distance to the nearest centroid; 1 = unusual for the lead set.
    pub novelty: f32,
}

/// One cluster in the legend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LegendEntry {
    /// The cluster.
    pub cluster: u8,
    /// Its family's letter: Q S T P b ?.
    pub family: char,
    /// Its name ("mostly QRS 82%").
    pub name: String,
    /// Its share of the steps, 0 to 1.
    pub share: f32,
}

/// One class, with its evidence along the strip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassEvidence {
    /// The class.
    pub name: String,
    /// The network's probability, 0 to 1.
    pub network: f32,
    /// The surrogate's probability, from the clusters alone; `None` = no surrogate.
    pub surrogate: Option<f32>,
    /// The network's evidence a step (logits); may be empty.
    pub per_step: Vec<f32>,
}

/// Why a strip was not drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StripError {
    /// No lead or no sample.
    #[error("a strip needs at least one lead with samples")]
    Empty,
    /// Not a sampling rate.
    #[error("a strip cannot be drawn at {0} samples a second")]
    Rate(f32),
    /// Too long for one picture.
    #[error("a strip is at most {SECONDS_MAX} s long, this one has {0:.1} s; choose a part of it")]
    Long(f32),
    /// The picture could not be encoded.
    #[error("the PNG encoder refused the picture: {0}")]
    Encode(String),
}

impl StripPicture {
    /// Length of the strip in seconds.
    ///
    /// # Errors
    /// [`StripError`] if it is empty, longer than [`SECONDS_MAX`] or has no valid rate.
    pub fn seconds(&self) -> Result<f32, StripError> {
        if !(self.rate_hz.is_finite() && self.rate_hz > 0.0) {
            return Err(StripError::Rate(self.rate_hz));
        }
        let samples = self.leads.iter().map(|l| l.samples_mv.len()).max().unwrap_or(0);
        match samples as f32 / self.rate_hz {
            0.0 => Err(StripError::Empty),
            s if s > SECONDS_MAX => Err(StripError::Long(s)),
            s => Ok(s),
        }
    }
}

/// The strip as an SVG document, to scale: its sizes are in millimetres.
///
/// # Errors
/// [`StripError`] if there is nothing to draw or too much.
pub fn svg(picture: &StripPicture) -> Result<String, StripError> {
    Ok(svg::write(&page::lay_out(picture)?))
}

/// The strip as a PNG image of 8 pixels a millimetre.
///
/// # Errors
/// [`StripError`] if there is nothing to draw or too much.
pub fn png(picture: &StripPicture) -> Result<Vec<u8>, StripError> {
    raster::write(&page::lay_out(picture)?)
}

/// The strip's numbers as JSON.
///
/// # Errors
/// [`StripError`] if there is nothing to draw or too much.
pub fn json(picture: &StripPicture) -> Result<String, StripError> {
    picture.seconds()?;
    serde_json::to_string_pretty(picture).map_err(|e| StripError::Encode(e.to_string()))
}
