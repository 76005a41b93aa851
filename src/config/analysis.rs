//! Settings of the analysis that a site may choose; everything else comes from the model's card.

use serde::{Deserialize, Serialize};

/// Learning, limits and budgets of the analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Analysis {
    /// Good signal needed before the first verdict, in seconds.
    pub learn_s: u32,
}

impl Default for Analysis {
    fn default() -> Self {
        Self { learn_s: 15 * 60 }
    }
}
