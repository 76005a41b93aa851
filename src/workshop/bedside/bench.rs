//! The whole bench: rows and controls on the intensive-care recordings, then the long ones under the final score.

use super::challenge::{Challenge, challenge};
use super::fit::{Fit, cross_validated, fit};
use super::holter::{Holter, holter};
use super::operate::{RATES, hours, limit};
use super::rows::{Figures, gain_at, rows};
use super::scene::{CLUSTERS, Scene, of};
use super::{Set, Track};
use crate::model::{Bundle, FUSED_FORM, FusedFacts, FusedPart};
use crate::pipeline::{Channel, channels};
use crate::workshop::evaluate::Interval;

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
    pub gain_at_1: Option<Interval>,
    /// The final score on the long recordings.
    pub fused: Holter,
    /// The same fusion without clusters there.
    pub control: Holter,
    /// Are the monitor's alarms true?
    pub challenge: Challenge,
}

/// The score fitted on all, and every recording under one that did not see its patient: limits come from these.
fn final_fit(scenes: &[&Scene], columns: &[usize]) -> (Fit, Vec<Track>) {
    let unseen = cross_validated(scenes, columns);
    let tracks = scenes.iter().zip(&unseen).map(|(s, fit)| s.track(|v| fit.score(v))).collect();
    (fit(scenes, columns), tracks)
}

fn limit_at(tracks: &[Track], rate: f64) -> f32 {
    limit(&tracks.iter().collect::<Vec<_>>(), rate)
}

/// Columns of all channels, and of those that use no cluster.
fn columns(channels: &[Channel]) -> [Vec<usize>; 2] {
    let all: Vec<usize> = (0..channels.len()).collect();
    let without = all.iter().copied().filter(|c| !CLUSTERS.contains(&channels[*c].group)).collect();
    [all, without]
}

/// Runs the bench.
#[must_use]
pub fn bench(bundle: &Bundle, scenes: &[Scene], tell: &dyn Fn(&str)) -> Bench {
    let channels = channels(bundle.codebook.clusters);
    let alarms: Vec<&Scene> = of(scenes, Set::Cinc2015).collect();
    let made = rows(&alarms, &channels, tell);
    let [fused, control] = ["fused", "fused without clusters"].map(|n| made.iter().find(|r| r.name == n));
    let gain_at_1 = fused.zip(control).and_then(|(a, b)| gain_at(a, b, 1.0));
    tell("long recordings");
    let [all, without] = columns(&channels).map(|columns| {
        let (fit, tracks) = final_fit(&alarms, &columns);
        holter(scenes, &|v| fit.score(v), limit_at(&tracks, SHIPPED))
    });
    let mute = |s: &&&Scene| s.values.iter().all(Option::is_none);
    let tracks: Vec<Track> = alarms.iter().map(|s| s.track(|_| 0.0)).collect();
    tell("the monitor's alarms");
    Bench {
        model: bundle.id.clone(),
        recordings: alarms.len(),
        hours: hours(&tracks.iter().collect::<Vec<_>>()),
        silent: [
            alarms.iter().filter(mute).count(),
            alarms.iter().filter(mute).filter(|s| s.truth()).count(),
        ],
        rows: made.iter().map(super::rows::Row::figures).collect(),
        gain_at_1,
        fused: all,
        control: without,
        challenge: challenge(&alarms),
    }
}

/// The fused score of a bundle, fitted on all intensive-care recordings.
#[must_use]
pub fn fit_live(bundle: &Bundle, codebook: &str, scenes: &[Scene]) -> FusedFacts {
    let channels = channels(bundle.codebook.clusters);
    let alarms: Vec<&Scene> = of(scenes, Set::Cinc2015).collect();
    let [all, _] = columns(&channels);
    let (fit, tracks) = final_fit(&alarms, &all);
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
        limits: RATES.iter().map(|r| (*r as f32, limit_at(&tracks, *r))).collect(),
    }
}
