//! Where samples come from: a recording held in memory, or anything that can answer by sample index.

use crate::Error;
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
    pub fn new(leads: Vec<LeadId>, rate: Ratio, samples_mv: Vec<f32>) -> Option<Self> {
        let even =
            !leads.is_empty() && !samples_mv.is_empty() && samples_mv.len().is_multiple_of(leads.len());
        even.then(|| Self { leads, rate, samples_mv: samples_mv.into(), start: 0, looped: false })
    }

    /// The voltages of a WFDB record; other signals (pressures, plethysmograms) are left out.
    ///
    /// # Errors
    /// [`Error::Record`] if it holds no voltage, two signals of one name, or a rate that a frame cannot carry.
    pub fn of(record: &recordings::Record) -> Result<Self, Error> {
        let refuse = |why: String| Error::Record(record.name.clone(), why);
        let rate = record.rate().map_err(|e| refuse(e.to_string()))?;
        let (mut leads, mut samples_mv) = (Vec::new(), Vec::new());
        for (i, signal) in record.signals.iter().enumerate() {
            if !record.extend_mv(i, 0..record.length, &mut samples_mv) {
                continue;
            }
            let lead = LeadId::new(&signal.name).map_err(|e| refuse(e.to_string()))?;
            if leads.contains(&lead) {
                return Err(refuse(format!("two signals are named {lead}")));
            }
            leads.push(lead);
        }
        Self::new(leads, rate, samples_mv).ok_or_else(|| refuse("no signal is a voltage".into()))
    }

    /// The same recording, again and again without end.
    #[must_use]
    pub fn looped(self) -> Self {
        Self { looped: true, ..self }
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

    fn recorded() -> Recorded {
        let leads = ["II", "V1"].map(|n| LeadId::new(n).expect("valid")).to_vec();
        let samples = (0..10).map(|i| i as f32).collect();
        Recorded::new(leads, Ratio::hz(100).expect("valid"), samples).expect("even")
    }

    #[test]
    fn a_looped_recording_goes_on_where_it_began() {
        let mut out = [0.0; 14];
        recorded().looped().starting_at(3).read(9, 7, &mut out);
        assert_eq!(out.map(|v| v as u8), [2, 3, 4, 0, 1, 2, 3, 7, 8, 9, 5, 6, 7, 8]);
        assert_eq!(recorded().looped().length(), None);
        assert_eq!(recorded().starting_at(3).length(), Some(2));
    }
}
