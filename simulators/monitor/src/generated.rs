//! A generated patient as a signal.

use crate::{Error, Recorded, Signal};
use contract::{LeadId, Ratio};
use patient::{Lead, Patient};

/// Some leads of a generated patient, without end. Its script says itself when a lead falls off: the samples go
/// flat, as a monitor's do, and the frame's flag is set.
pub struct Generated {
    patient: Patient,
    leads: Vec<Lead>,
    names: Vec<LeadId>,
    rate: Ratio,
}

impl Generated {
    /// `leads` of `patient` at `rate`.
    ///
    /// # Errors
    /// [`Error::Options`] without a lead, or with one twice.
    pub fn new(patient: Patient, leads: &[Lead], rate: Ratio) -> Result<Self, Error> {
        let mut names = Vec::with_capacity(leads.len());
        for lead in leads {
            let name = LeadId::new(lead.name()).map_err(|e| Error::Options(e.to_string()))?;
            if names.contains(&name) {
                return Err(Error::Options(format!("lead {name} is asked for twice")));
            }
            names.push(name);
        }
        if names.is_empty() {
            return Err(Error::Options("a patient needs at least one lead".into()));
        }
        Ok(Self { patient, leads: leads.to_vec(), names, rate })
    }

    /// The first `seconds` as a recording: many beds can then share one patient at little cost.
    ///
    /// # Panics
    /// Never: there is at least one lead and one sample.
    #[must_use]
    pub fn recorded(mut self, seconds: u64) -> Recorded {
        let length = self.rate.samples_in(seconds.max(1)) as usize;
        let mut samples_mv = vec![0.0; self.leads.len() * length];
        self.read(0, length, &mut samples_mv);
        Recorded::new(self.names, self.rate, samples_mv).expect("at least one lead and one sample")
    }
}

impl Signal for Generated {
    fn leads(&self) -> &[LeadId] {
        &self.names
    }

    fn rate(&self) -> Ratio {
        self.rate
    }

    fn length(&self) -> Option<u64> {
        None
    }

    fn read(&mut self, n0: u64, length: usize, out: &mut [f32]) {
        let rows = self.patient.samples(self.rate.as_f64(), n0, length, &self.leads);
        for (out, row) in out.chunks_exact_mut(length).zip(rows) {
            out.copy_from_slice(&row);
        }
    }

    fn leads_off(&self, n0: u64) -> Vec<usize> {
        let off = self.patient.leads_off(n0 as f64 / self.rate.as_f64());
        (0..self.leads.len()).filter(|&i| off.contains(&self.leads[i])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patient::{Change, Cue, Profile};

    #[test]
    fn a_patient_is_the_same_in_any_pieces_and_says_which_lead_is_off() {
        let make = || {
            let cues = vec![Cue::at(2.0, Change::LeadOff(Lead::V1))];
            let patient = Patient::new(3, Profile::default()).with_timeline(cues);
            Generated::new(patient, &[Lead::II, Lead::V1], Ratio::hz(250).expect("valid")).expect("two leads")
        };
        let mut whole = vec![0.0; 2 * 1_000];
        make().recorded(4).read(0, 1_000, &mut whole);
        let mut pieces = make();
        for n0 in (0..1_000).step_by(125) {
            let mut out = vec![0.0; 2 * 125];
            pieces.read(n0, 125, &mut out);
            let at = n0 as usize;
            let bits = |s: &[f32]| s.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&out[..125]), bits(&whole[at..at + 125]), "lead II from sample {n0}");
            assert_eq!(bits(&out[125..]), bits(&whole[1_000 + at..1_125 + at]), "lead V1 from sample {n0}");
        }
        assert_eq!((pieces.leads_off(250), pieces.leads_off(750)), (vec![], vec![1]));
        assert!(
            Generated::new(Patient::new(1, Profile::default()), &[], Ratio::hz(250).expect("valid")).is_err()
        );
    }
}
