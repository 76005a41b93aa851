//! preprocess → infer → explain as one call: the one door for live beds and for recordings.

use super::explain::Place;
use super::infer::{Job, infer};
use super::track::{Ready, Track};
use super::{Due, Part};
use crate::model::{Bundle, Engine};
use contract::{BedId, Finding, NotRead};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The analysis of the beds of one thread: each bed's place in the filters and in the network.
pub struct Analyser {
    bundle: Arc<Bundle>,
    engine: Box<dyn Engine>,
    tracks: BTreeMap<BedId, Track>,
}

impl Analyser {
    /// An analyser over a bundle and an engine opened for it.
    #[must_use]
    pub fn new(bundle: Arc<Bundle>, engine: Box<dyn Engine>) -> Self {
        Self { bundle, engine, tracks: BTreeMap::new() }
    }

    /// One finding for each due hop, in the same order; a hop that cannot be read says why. Hops of one bed must come
    /// in order; a hop left out ends the bed's segment. What is computed for a bed does not depend on the others.
    pub fn analyse(&mut self, due: &[Due]) -> Vec<Finding> {
        let mut findings = Vec::with_capacity(due.len());
        let mut rest = due;
        while !rest.is_empty() {
            let mut beds = BTreeSet::new();
            let round = rest.iter().take_while(|d| beds.insert(&d.bed)).count();
            findings.extend(self.round(&rest[..round]));
            rest = &rest[round..];
        }
        findings
    }

    /// The engine, to ask how it fares.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    /// A bed's place in the analysis, for a checkpoint.
    pub(super) fn track(&self, bed: &BedId) -> Option<&Track> {
        self.tracks.get(bed)
    }

    /// Takes up a bed's place; `None` = as if nothing had been heard of it.
    pub(super) fn set_track(&mut self, bed: &BedId, track: Option<Track>) {
        match track {
            Some(track) => self.tracks.insert(bed.clone(), track),
            None => self.tracks.remove(bed),
        };
    }

    /// Forgets a bed or recording.
    pub fn forget(&mut self, bed: &BedId) {
        self.tracks.remove(bed);
    }

    /// One batch with at most one hop a bed.
    fn round(&mut self, due: &[Due]) -> Vec<Finding> {
        let mut findings = Vec::with_capacity(due.len());
        let (mut jobs, mut places) = (Vec::new(), Vec::new());
        for (i, hop) in due.iter().enumerate() {
            let track = self.tracks.entry(hop.bed.clone()).or_default();
            let ready = track.prepare(hop, &self.bundle.manifest.lead_sets);
            let mut finding = blank(hop, &ready);
            match ready.input {
                Err(why) => finding.reading = Err(why),
                Ok(input) => {
                    let mask = track.mask();
                    let stream = track.take_stream().unwrap_or_else(|| self.engine.open(mask));
                    jobs.push(Job {
                        stream,
                        input,
                        finish: hop.part == Part::WholeEnd,
                        steps: crate::model::Steps::default(),
                    });
                    places.push((i, ready.rms_mv));
                }
            }
            findings.push(finding);
        }
        if jobs.is_empty() {
            return findings;
        }
        let ran = infer(self.engine.as_mut(), &mut jobs).is_ok();
        for (job, (i, rms_mv)) in jobs.into_iter().zip(places) {
            let Some(track) = self.tracks.get_mut(&due[i].bed) else { continue };
            findings[i].reading =
                if ran { read(&self.bundle, track, &due[i], job, rms_mv) } else { Err(NotRead::Fault) };
            if !ran {
                track.end_segment();
            }
        }
        findings
    }
}

fn read(
    bundle: &Bundle,
    track: &mut Track,
    due: &Due,
    job: Job,
    rms_mv: f32,
) -> Result<contract::Reading, NotRead> {
    let place = Place { first_n: track.first_n(), rate: due.rate, mask: track.mask(), rms_mv };
    let reading = track.window().and_then(|w| w.read(bundle, place, &job.steps, due.part == Part::Live));
    track.give_stream(job.stream);
    if track.covered() { reading.ok_or(NotRead::Warming) } else { Err(NotRead::Coverage) }
}

fn blank(due: &Due, ready: &Ready) -> Finding {
    let end_hop = due.window + 1;
    Finding {
        bed: due.bed.clone(),
        epoch: due.epoch,
        window: due.window,
        from_n: due.rate.samples_in(end_hop.saturating_sub(10)),
        to_n: due.to_n,
        rate: due.rate,
        end: due.end,
        mode: due.mode,
        paced: due.paced,
        coverage: ready.coverage,
        leads: ready.leads.clone(),
        quality: ready.quality,
        beats: ready.beats.clone(),
        reading: Err(NotRead::Warming),
    }
}
