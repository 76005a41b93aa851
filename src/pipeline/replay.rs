//! One bed once more: from a checkpoint and the hops that follow it, the same findings, alerts and evidence, byte for
//! byte; or from nothing with another model, to compare the two.

use super::decide::{Context, Decider, Fused};
use super::evidence::{Evidence, Keeper};
use super::track::Track;
use super::{Analyser, Due, Setup};
use crate::model::{Bundle, Engine};
use crate::snapshot::ClusterName;
use contract::{Alert, BedId, Finding};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The state of one bed between two hops, as [`super::Ward::checkpoint`] gives it.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    pub decider: Decider,
    pub keeper: Keeper,
}

/// A checkpoint: whose it is, and the states of analysis and decision.
#[derive(Serialize, Deserialize)]
struct Whole {
    model: String,
    config: String,
    /// Absent before a bed's first hop.
    track: Option<Track>,
    state: State,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Its bytes are not those of this version.
    #[error("the checkpoint is of another version of Wardbeat: {0}")]
    Form(String),
    /// Another model made it.
    #[error("the checkpoint is of model {0}")]
    Model(String),
}

/// What one hop gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// What it showed.
    pub finding: Finding,
    /// The messages that it raised.
    pub alerts: Vec<Alert>,
    /// Their evidence.
    pub evidence: Vec<Evidence>,
    /// What was held back, and by what (`cap`, `pause`, `lesser`, `below`).
    pub held: Vec<(Alert, &'static str)>,
}

/// The checkpoint of a bed before its next hop, as bytes; `None` for a bed that is not known.
pub(super) fn checkpoint(
    analyser: &Analyser,
    bed: &BedId,
    state: (&Decider, &Keeper),
    ids: (&str, &str),
) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    struct StateRef<'a> {
        decider: &'a Decider,
        keeper: &'a Keeper,
    }
    #[derive(Serialize)]
    struct WholeRef<'a> {
        model: &'a str,
        config: &'a str,
        track: Option<&'a Track>,
        state: StateRef<'a>,
    }
    let state = StateRef { decider: state.0, keeper: state.1 };
    let whole = WholeRef { model: ids.0, config: ids.1, track: analyser.track(bed), state };
    rmp_serde::to_vec_named(&whole).ok()
}

/// Replays one bed.
pub struct Replay {
    setup: Setup,
    model_id: String,
    clusters: Vec<ClusterName>,
    fused: Option<Fused>,
    analyser: Analyser,
    bed: BedId,
    state: State,
}

impl Replay {
    /// A bed of which nothing is known yet.
    #[must_use]
    pub fn new(setup: Setup, bundle: &Arc<Bundle>, engine: Box<dyn Engine>, bed: &BedId) -> Self {
        Self {
            setup,
            model_id: bundle.id.clone(),
            clusters: bundle.codebook.names.clone(),
            fused: Fused::of_bundle(bundle),
            analyser: Analyser::new(bundle.clone(), engine),
            bed: bed.clone(),
            state: State { decider: Decider::new(bed.clone()), keeper: Keeper::default() },
        }
    }

    /// Takes up the state of a checkpoint; returns the id of the config that it was made with.
    ///
    /// # Errors
    /// [`CheckpointError`] where it is of another version or model; nothing has changed then.
    pub fn load(&mut self, checkpoint: &[u8]) -> Result<String, CheckpointError> {
        let whole: Whole =
            rmp_serde::from_slice(checkpoint).map_err(|e| CheckpointError::Form(e.to_string()))?;
        if whole.model != self.model_id {
            return Err(CheckpointError::Model(whole.model));
        }
        self.analyser.set_track(&self.bed, whole.track);
        self.state = whole.state;
        Ok(whole.config)
    }

    /// The next hop. Hops must come in order.
    pub fn hop(&mut self, due: Due) -> Replayed {
        let due = [due];
        let finding = self.analyser.analyse(&due).remove(0);
        self.conclude(&due[0], finding)
    }

    /// The next hop, whose finding is there already: several settings can be tried on one analysis.
    pub fn conclude(&mut self, due: &Due, finding: Finding) -> Replayed {
        self.state.keeper.hop(due);
        let context = Context {
            analysis: self.setup.analysis_of(&self.bed),
            model_id: &self.model_id,
            config_id: &self.setup.config_id,
            clusters: &self.clusters,
            fused: self.fused.as_ref(),
        };
        let mut alerts = Vec::new();
        self.state.decider.finding(&finding, &context, &mut alerts);
        let evidence = seal(&self.state.keeper, &self.state.decider, &mut alerts, &finding, &context);
        let held = self.state.decider.take_held().into_iter().map(|(alert, why)| (alert, why.word()));
        Replayed { finding, alerts, evidence, held: held.collect() }
    }

    /// Whether enough is known of the bed, with the leads in use, for a verdict.
    #[must_use]
    pub fn learnt(&self) -> bool {
        self.state.decider.learnt()
    }
}

/// Seals what a finding raised, with the baseline as it stands.
pub(super) fn seal(
    keeper: &Keeper,
    decider: &Decider,
    alerts: &mut [Alert],
    finding: &Finding,
    context: &Context,
) -> Vec<Evidence> {
    if alerts.is_empty() {
        return Vec::new();
    }
    keeper.seal(alerts, finding, decider.saved(context).as_ref())
}
