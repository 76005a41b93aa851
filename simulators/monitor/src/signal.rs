//! Where samples come from: a recording held in memory, or anything that can answer by sample index.

use contract::{LeadId, Ratio};
use std::sync::Arc;

/// A source of samples by index, the same for the same index.
pub trait Signal: Send {
    /// The leads, in the order of the samples.
    fn leads(&self) -> &[LeadId];
    /// Sampling rate of all leads.
    fn rate(&self) -> Ratio;
    /// Samples per lead until it ends; `None` = never.
    fn length(&self) -> Option<u64>;
    /// Writes samples `n0 .. n0 + length` in mV to `out`, lead after lead; NaN = missing. `out` has
    /// `leads × length` places; nothing beyond [`Signal::length`] is asked for.
    fn read(&mut self, n0: u64, length: usize, out: &mut [f32]);
    /// Places in [`Signal::leads`] of the leads that are off at sample `n0`, where the source knows it.
    fn leads_off(&self, n0: u64) -> Vec<usize> {
        let _ = n0;
        Vec::new()
    }
}

/// A recording in memory: once, or looped for ever. Clones share the samples.
#[derive(Debug, Clone)]
pub struct Recorded {
    leads: Vec<LeadId>,
    rate: Ratio,
    /// One lead after the other.
    samples_mv: Arc<[f32]>,
    start: usize,
    looped: bool,
}

impl Recorded {
    /// A recording whose leads lie one after the other in `samples_mv`; NaN = missing. `None` if there is no lead,
    /// no sample, or the leads' lengths differ.
    #[must_use]
    pub fn new(leads: Vec<LeadId>, rate: Ratio, samples_mv: Vec<f32>, looped: bool) -> Option<Self> {
        let even =
            !leads.is_empty() && !samples_mv.is_empty() && samples_mv.len().is_multiple_of(leads.len());
        even.then(|| Self { leads, rate, samples_mv: samples_mv.into(), start: 0, looped })
    }

    /// The same recording, beginning at sample `start` (counted round).
    #[must_use]
    pub fn starting_at(&self, start: usize) -> Self {
        Self { start: start % self.samples(), ..self.clone() }
    }

    /// Samples per lead.
    fn samples(&self) -> usize {
        self.samples_mv.len() / self.leads.len()
    }
}

impl Signal for Recorded {
    fn leads(&self) -> &[LeadId] {
        &self.leads
    }

    fn rate(&self) -> Ratio {
        self.rate
    }

    fn length(&self) -> Option<u64> {
        (!self.looped).then(|| (self.samples() - self.start) as u64)
    }

    fn read(&mut self, n0: u64, length: usize, out: &mut [f32]) {
        let samples = self.samples();
        let first = ((self.start as u64 + n0 % samples as u64) % samples as u64) as usize;
        for (lead, out) in self.samples_mv.chunks_exact(samples).zip(out.chunks_exact_mut(length)) {
            let mut at = first;
            let mut rest = out;
            while !rest.is_empty() {
                let now = rest.len().min(samples - at);
                let (head, tail) = rest.split_at_mut(now);
                head.copy_from_slice(&lead[at..at + now]);
                (rest, at) = (tail, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(looped: bool) -> Recorded {
        let leads = ["II", "V1"].map(|n| LeadId::new(n).expect("valid")).to_vec();
        let samples = (0..10).map(|i| i as f32).collect();
        Recorded::new(leads, Ratio::hz(100).expect("valid"), samples, looped).expect("even")
    }

    #[test]
    fn a_looped_recording_goes_on_where_it_began() {
        let mut out = [0.0; 14];
        recorded(true).starting_at(3).read(9, 7, &mut out);
        assert_eq!(out.map(|v| v as u8), [2, 3, 4, 0, 1, 2, 3, 7, 8, 9, 5, 6, 7, 8]);
        assert_eq!(recorded(true).length(), None);
        assert_eq!(recorded(false).starting_at(3).length(), Some(2));
    }
}
