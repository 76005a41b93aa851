//! The whole bench: rows and controls on the intensive-care recordings, then the long ones under the final score.

use super::budget::{Budget, budgets, calm};
use super::challenge::{Challenge, challenge};
use super::fit::{Fit, cross_validated, fit};
use super::gate::{Gate, Pair, gate};
use super::holter::{Holter, holter};
use super::operate::{RATES, Sensitivity, hours, limit, raised};
use super::rows::{BARE, BARE_TREES, FUSED, Figures, TREES, gain_at, rows};
use super::scene::{CLUSTERS, Scene, of};
use super::{Set, Track};
use crate::model::{Bundle, FUSED_FORM, FusedFacts, FusedPart};
use crate::pipeline::{Channel, channels};
use crate::workshop::WorkshopError;

/// Alerts per bed-hour at which the long recordings are judged.
pub const SHIPPED: f64 = 1.0;

/// What the report shows.
pub struct Bench {
    /// The bundle.
    pub model: String,
    /// Intensive-care recordings.
    pub recordings: usize,
    /// Their bed-hours that count.
    pub hours: f64,
    /// Of them, those that never reach a verdict (leads that are not read, signal that is not good), and the true alarms
    /// among these: they count as missed.
    pub silent: [usize; 2],
    /// All rows.
    pub rows: Vec<Figures>,
    /// What the clusters add to the fusion at one alert per bed-hour.
    pub gain_at_1: Option<Sensitivity>,
    /// The same with boosted trees on both sides.
    pub gain_of_trees_at_1: Option<Sensitivity>,
    /// The final score on the long recordings.
    pub fused: Holter,
    /// The same fusion without clusters there.
    pub control: Holter,
    /// What the signal gate removes and hides.
    pub gate: Gate,
    /// What each budget raises on the long recordings, with the beds' own tails and without.
    pub budgets: Vec<Budget>,
    /// Are the monitor's alarms true?
    pub challenge: Challenge,
    /// The score fitted on all, for the strips.
    pub last: Final,
}

/// The score fitted on all.
#[derive(Default)]
pub struct Final {
    /// The score.
    pub fit: Fit,
    /// For every recording the score that did not see its patient: limits come from these.
    pub unseen: Vec<Fit>,
    /// Every recording under that score.
    pub tracks: Vec<Track>,
}

impl Final {
    /// Of the intensive-care recordings, over some of the channels.
    #[must_use]
    pub fn new(scenes: &[&Scene], columns: &[usize]) -> Self {
        let unseen = cross_validated(scenes, columns);
        let tracks = scenes.iter().zip(&unseen).map(|(s, fit)| s.track(|v| fit.score(v))).collect();
        Self { fit: fit(scenes, columns), unseen, tracks }
    }

    /// The limit at so many alerts per bed-hour.
    #[must_use]
    pub fn limit(&self, rate: f64) -> f32 {
        limit(&self.tracks.iter().collect::<Vec<_>>(), rate)
    }

    /// Each recording with the gate and without, by limits of patients other than its own.
    fn pairs(&self, scenes: &[&Scene]) -> Vec<Pair> {
        let limits = raised(&self.tracks, SHIPPED).into_iter().map(|r| r.1);
        let all = scenes.iter().zip(&self.unseen).zip(self.tracks.iter().zip(limits));
        all.map(|((scene, fit), (track, limit))| Pair {
            ungated: scene.ungated(&|v| fit.score(v)),
            track: track.clone(),
            limit,
        })
        .collect()
    }
}

/// Columns of all channels, and of those that use no cluster.
pub fn columns(channels: &[Channel]) -> [Vec<usize>; 2] {
    let all: Vec<usize> = (0..channels.len()).collect();
    let without = all.iter().copied().filter(|c| !CLUSTERS.contains(&channels[*c].group)).collect();
    [all, without]
}

/// Runs the bench.
///
/// # Errors
/// [`WorkshopError`] if there is nothing to learn from.
pub fn bench(bundle: &Bundle, scenes: &[Scene], tell: &dyn Fn(&str)) -> Result<Bench, WorkshopError> {
    let channels = channels(bundle.codebook.clusters);
    let alarms: Vec<&Scene> = of(scenes, Set::Cinc2015).collect();
    let made = rows(&alarms, &channels, tell)?;
    let gain = |name: &str, control: &str| {
        let [row, control] = [name, control].map(|n| made.iter().find(|r| r.name == n));
        row.zip(control).and_then(|(a, b)| gain_at(a, b, SHIPPED))
    };
    let (gain_at_1, gain_of_trees_at_1) = (gain(FUSED, BARE), gain(TREES, BARE_TREES));
    tell("long recordings");
    let [all, without] = columns(&channels).map(|columns| Final::new(&alarms, &columns));
    let long = |of: &Final| holter(scenes, &|v| of.fit.score(v), of.limit(SHIPPED));
    let score = |v: &[f32]| all.fit.score(v);
    let limits: Vec<(f64, f32)> = RATES.iter().map(|r| (*r, all.limit(*r))).collect();
    let mute = |s: &&&Scene| s.values.iter().all(Option::is_none);
    let tracks: Vec<Track> = alarms.iter().map(|s| s.track(|_| 0.0)).collect();
    tell("the signal gate, budgets, and the monitor's alarms");
    Ok(Bench {
        model: bundle.id.clone(),
        recordings: alarms.len(),
        hours: hours(&tracks.iter().collect::<Vec<_>>()),
        silent: [
            alarms.iter().filter(mute).count(),
            alarms.iter().filter(mute).filter(|s| s.truth()).count(),
        ],
        rows: made.iter().map(super::rows::Row::figures).collect(),
        gain_at_1,
        gain_of_trees_at_1,
        fused: long(&all),
        control: long(&without),
        gate: gate(scenes, &all.pairs(&alarms), SHIPPED, &score, all.limit(SHIPPED)),
        budgets: budgets(scenes, &score, &limits, calm(&all.tracks)),
        challenge: challenge(&alarms),
        last: all,
    })
}

/// The fused score of a bundle, fitted on all intensive-care recordings.
#[must_use]
pub fn fit_live(bundle: &Bundle, codebook: &str, scenes: &[Scene]) -> FusedFacts {
    let channels = channels(bundle.codebook.clusters);
    let alarms: Vec<&Scene> = of(scenes, Set::Cinc2015).collect();
    let [all, _] = columns(&channels);
    let last = Final::new(&alarms, &all);
    let fit = &last.fit;
    let parts = channels.iter().zip(fit.weights.iter().zip(&fit.usual));
    let offset = fit.intercept + fit.weights.iter().zip(&fit.usual).map(|(w, u)| w * u).sum::<f64>();
    let part = |(c, (w, u)): (&Channel, (&f64, &f64))| FusedPart {
        name: c.name.clone(),
        weight: *w as f32,
        usual: *u as f32,
    };
    let truths = alarms.iter().filter(|s| s.truth()).count();
    FusedFacts {
        form: FUSED_FORM,
        codebook: codebook.into(),
        training: format!("PhysioNet/CinC Challenge 2015, {} recordings, {truths} true alarms", alarms.len()),
        offset: offset as f32,
        channels: parts.map(part).collect(),
        limits: RATES.iter().map(|r| (*r as f32, last.limit(*r))).collect(),
        calm: Some(calm(&last.tracks)),
    }
}
