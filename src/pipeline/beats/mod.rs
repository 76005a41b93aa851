//! Heart beats of one bed, found in its best lead.
//!
//! What it does: follows one lead (II where it has a signal, else the first that has) at 100 Hz, finds the beats in it
//! ([`Detector`], after Hamilton 2002), and says each by its sample index at the monitor's rate. A beat is told up to
//! two seconds after it occurred. `docs/method.md` says how well this does on annotated recordings.
//! What it never does: name a rhythm, look over a hole, use the network.
//! Door: [`Follower`], one a bed, called by `track`; what it finds travels as [`contract::Beats`] in each finding.
//! [`Rates`] holds the heart rate for the screen, [`Names`] which clusters' names hold there; [`beats_of`] finds the beats of a recording.

mod detector;
mod names;
mod rate;

pub(super) use names::Names;
pub(super) use rate::Rates;

use super::preprocess::Conditioner;
use super::preprocess::quality::Judged;
use super::preprocess::resample::{Filter, Resampler, shared};
use super::window::{Due, Part};
use super::{Recording, Track};
use contract::{Beats, LeadId, Ratio, Signal};
use detector::Detector;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The lead that is followed, since one sample without a hole.
#[derive(Serialize, Deserialize)]
struct Followed {
    lead: LeadId,
    rate: Ratio,
    first_n: u64,
    hops: u64,
    #[serde(with = "shared")]
    filter: Arc<Filter>,
    resampler: Resampler,
    conditioner: Conditioner,
    detector: Detector,
}

/// Finds the beats of one bed.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Follower {
    followed: Option<Followed>,
}

impl Follower {
    /// Takes one hop of all leads; `usable` are the leads that the network may use.
    pub fn hop(&mut self, due: &Due, judged: &[Judged], usable: &[LeadId], filter: &Arc<Filter>) -> Beats {
        let leads: Vec<(LeadId, &Judged)> = due.leads.iter().copied().zip(judged).collect();
        let chosen = self.choose(&leads, usable);
        let Some((lead, judged)) = chosen else {
            self.followed = None;
            return Beats::default();
        };
        let same = |f: &Followed| f.lead == lead && f.rate == due.rate;
        if !self.followed.as_ref().is_some_and(same) {
            self.followed = Some(Followed::begin(lead, due, Arc::clone(filter)));
        }
        self.followed
            .as_mut()
            .map_or_else(Beats::default, |f| f.feed(&judged.bridged_mv, due.part == Part::WholeEnd))
    }

    /// A stream that begins anew: nothing of what was followed holds.
    pub fn restart(&mut self) {
        self.followed = None;
    }

    /// II while it has a signal, noisy or not: another lead is worse, and a change costs the beats' past. Else the first
    /// lead that has one, until II is usable again.
    fn choose<'a>(&self, leads: &[(LeadId, &'a Judged)], usable: &[LeadId]) -> Option<(LeadId, &'a Judged)> {
        let second = |lead: LeadId| lead.standard() == Some(1);
        let before = self.followed.as_ref().map(|f| f.lead);
        let alive = |(lead, judged): &&(LeadId, &Judged)| {
            let there = matches!(judged.signal, Signal::Good | Signal::Noisy) || usable.contains(lead);
            !judged.broken && judged.signal != Signal::LeadOff && there && lead.standard().is_some()
        };
        let mut alive: Vec<&(LeadId, &Judged)> = leads.iter().filter(alive).collect();
        alive.sort_by_key(|(lead, _)| {
            let kept = before == Some(*lead);
            let back = second(*lead) && (kept || before.is_none() || usable.contains(lead));
            (!back, !kept, !usable.contains(lead))
        });
        alive.first().map(|l| **l)
    }
}

impl Followed {
    fn begin(lead: LeadId, due: &Due, filter: Arc<Filter>) -> Self {
        Self {
            lead,
            rate: due.rate,
            first_n: due.from_n,
            hops: 0,
            resampler: Resampler::new(Arc::clone(&filter)),
            filter,
            conditioner: Conditioner::default(),
            detector: Detector::default(),
        }
    }

    fn feed(&mut self, bridged_mv: &[f32], finish: bool) -> Beats {
        self.hops += 1;
        let target = (100 * self.hops).saturating_sub(self.filter.lag());
        let (mut at_100hz, mut conditioned, mut found) = (Vec::new(), Vec::new(), Vec::new());
        self.resampler.push(bridged_mv, target, finish, &mut at_100hz);
        self.conditioner.push(&at_100hz, finish, &mut conditioned);
        self.detector.push(&conditioned, &mut found);
        if finish {
            self.detector.finish(&mut found);
        }
        let at = |index: u64| self.first_n + (index as f64 * self.rate.as_f64() / 100.0).round() as u64;
        Beats { from_n: Some(self.first_n), at_n: found.into_iter().map(at).collect() }
    }
}

/// The beats of a recording, in samples from its start, ascending, found as in a live bed but for its end, which is
/// flushed.
#[must_use]
pub fn beats_of(recording: &Recording) -> Vec<u64> {
    let mut track = Track::default();
    recording.hops(true).iter().flat_map(|due| track.prepare(due, &[]).beats.at_n).collect()
}
