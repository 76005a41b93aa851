//! Training, fitting, evaluation and explanation from recordings.
//!
//! What it does: reads labelled recordings, trains the network, fits clusters, names and judges them, and writes
//! bundles and reports. Signals go through the very pipeline that runs live.
//! What it never does: sockets, clocks, anything a running ward needs.
//! Door: [`bedside`], [`dataset`], [`train`], [`fit_clusters`], [`evaluate`](mod@evaluate), [`folds`], [`prove`], [`rehearse`];
//! called by `cli` only.

pub mod audit;
mod baselines;
mod batch;
pub mod bedside;
pub mod dataset;
pub mod evaluate;
pub mod explain;
pub mod fit_clusters;
pub mod folds;
mod kmeans;
mod leads;
mod logistic;
mod metrics;
mod mislabel;
mod naming;
mod optimise;
mod partitions;
pub mod prove;
mod reading;
pub mod rehearse;
pub mod report;
pub mod train;
mod validate;

pub use leads::LEAD_SETS;

use crate::model::ModelError;
use std::path::PathBuf;

/// Why work in the workshop stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkshopError {
    /// A data set.
    #[error(transparent)]
    Dataset(#[from] dataset::DatasetError),
    /// A bundle or checkpoint.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tensor library.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// Not enough records.
    #[error("{have} records in the chosen folds; at least {need} are needed")]
    TooFew {
        /// Needed.
        need: usize,
        /// Found.
        have: usize,
    },
    /// A parameter was left out of the loss.
    #[error("a parameter has no gradient: the network's shape leaves it unused")]
    NoGradient,
    /// The loss is no longer a number.
    #[error("the loss is not finite after {0} steps; start again with another seed")]
    Diverged(u64),
    /// Weights of blocks that the network does not have.
    #[error("{blocks} block weights are needed, positive numbers, one for each tapped block")]
    BlockWeights {
        /// Tapped blocks.
        blocks: usize,
    },
    /// A fold without weights.
    #[error("{}: no trained weights; train the fold first", .0.display())]
    Untrained(PathBuf),
    /// A drawing.
    #[error(transparent)]
    Strip(#[from] crate::strip::StripError),
    /// A stretch outside the recording.
    #[error("the stretch from {from_s} s on lies outside the recording of {length_s:.1} s")]
    Stretch {
        /// Wanted.
        from_s: f32,
        /// There.
        length_s: f32,
    },
    /// A recording that is not there or cannot be read.
    #[error("{0}")]
    Recording(String),
    /// A plot.
    #[error("plot: {0}")]
    Plot(String),
    /// A JSON file.
    #[error("JSON: {0}")]
    Json(String),
    /// The forest library.
    #[error("random forest: {0}")]
    Forest(String),
    /// A checkpoint of another run.
    #[error("{}: belongs to another run ({found}; wanted {wanted}); choose another folder or the same settings", path.display())]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
}
