//! What a cluster is called, and which of six families of waves it belongs to.

use serde::{Deserialize, Serialize};

/// Families of clusters: the six colours and letters of the ribbon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// Mostly QRS.
    Q,
    /// Mostly ST.
    S,
    /// Mostly T.
    T,
    /// Mostly P (with PR).
    P,
    /// Baseline between T and P.
    #[serde(rename = "b")]
    Baseline,
    /// No wave prevails, or artefact.
    #[serde(rename = "?")]
    Mixed,
}

impl Family {
    /// Its letter in ribbon, legend and strip; as in JSON.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Q => 'Q',
            Self::S => 'S',
            Self::T => 'T',
            Self::P => 'P',
            Self::Baseline => 'b',
            Self::Mixed => '?',
        }
    }
}

/// A cluster's name from the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterName {
    /// Its family.
    pub family: Family,
    /// Its name, e.g. "mostly QRS 82%".
    pub name: String,
}
