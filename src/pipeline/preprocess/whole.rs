//! A whole recording prepared at once, by the same steps as a live segment.

use super::condition_100hz;
use super::leads::Plan;
use super::rate_supported;
use super::resample::{Filter, Resampler};
use crate::model::{LEADS, LeadMask};
use crate::pipeline::Recording;
use contract::Ratio;
use std::sync::Arc;

/// One signal brought to 100 Hz, not filtered; `None` if its rate cannot be.
#[must_use]
pub fn resample_100hz(signal: &[f32], rate: Ratio) -> Option<Vec<f32>> {
    let mut out = Vec::new();
    rate_supported(rate)
        .then(|| Resampler::new(Arc::new(Filter::new(rate))).push(signal, 0, true, &mut out))
        .map(|()| out)
}

/// Prepares a recording as one segment that is flushed at its end: `[time, lead]` at 100 Hz with the leads of `mask`,
/// zeros elsewhere; missing samples become 0 mV. `None` if it lacks a lead or its rate cannot be brought to 100 Hz.
#[must_use]
pub fn prepare_whole(recording: &Recording, mask: LeadMask) -> Option<Vec<f32>> {
    let plan = Plan::of(recording.leads.iter().copied(), &[mask])?;
    if !rate_supported(recording.rate) {
        return None;
    }
    let filter = Arc::new(Filter::new(recording.rate));
    let length = recording.samples_mv.iter().map(Vec::len).min()?;
    let mut measured: [Vec<f32>; LEADS] = Default::default();
    for (i, lead) in plan.measured.iter().enumerate() {
        let Some(lead) = lead else { continue };
        let at = recording.leads.iter().position(|l| l == lead)?;
        let finite = |v: &f32| if v.is_finite() { *v } else { 0.0 };
        let mv: Vec<f32> = recording.samples_mv[at][..length].iter().map(finite).collect();
        Resampler::new(Arc::clone(&filter)).push(&mv, 0, true, &mut measured[i]);
    }
    let mut prepared = Vec::new();
    for index in 0..LEADS {
        let Some(mut lead) = plan.lead(index, &measured) else { continue };
        condition_100hz(&mut lead);
        prepared.resize(lead.len() * LEADS, 0.0);
        for (row, v) in prepared.chunks_exact_mut(LEADS).zip(&lead) {
            row[index] = *v;
        }
    }
    Some(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bundle, Steps, Work, open_engine};
    use crate::pipeline::{Analyser, analyse_recording};
    use contract::{BedId, LeadId};

    #[test]
    fn a_recording_prepared_at_once_gives_the_steps_of_the_pipeline() {
        let wave = |lead: usize, i: usize| {
            let t = i as f32 / 500.0;
            (t * 7.0).sin() + 0.3 * (t * 50.0 + lead as f32).cos() + 0.000_3 * (i * 7_919 % 101) as f32
        };
        let recording = Recording {
            bed: BedId::new("a/b/c").expect("valid"),
            leads: ["I", "II", "V1"].iter().flat_map(|n| LeadId::new(n)).collect(),
            rate: Ratio::new(500, 1).expect("valid"),
            samples_mv: (0..3).map(|lead| (0..5_000).map(|i| wave(lead, i)).collect()).collect(),
        };
        let bundle = Arc::new(Bundle::tiny(2));
        let mut engine = open_engine(&bundle, "cpu").expect("the CPU");
        let mask = 0x7f;
        let input = prepare_whole(&recording, mask).expect("limb leads and V1");
        let mut stream = engine.open(mask);
        let mut work = [Work { stream: &mut stream, input: &input, finish: true, steps: Steps::default() }];
        engine.advance(&mut work).expect("the CPU");
        let at_once = bundle.codebook.assign(&work[0].steps.taps, mask).cluster;
        let mut analyser = Analyser::new(bundle.clone(), open_engine(&bundle, "cpu").expect("the CPU"));
        let findings = analyse_recording(&mut analyser, &recording, true);
        let live: Vec<u8> =
            findings.iter().filter_map(|f| f.reading.as_ref().ok()).flat_map(|r| r.cluster.clone()).collect();
        assert_eq!(at_once, live);
    }
}
