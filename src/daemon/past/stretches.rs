//! A bed's recording as stretches of one epoch, rate and set of leads, for export.

use super::Past;
use crate::daemon::DaemonError;
use crate::pipeline::Due;
use contract::{BedId, LeadId, Ratio, UtcMs};

/// A stretch longer than this is cut, so that no hole asks for much memory.
const HOLE_S_MAX: u64 = 60;

/// Signal of one bed with the same leads, rate and epoch; what is missing is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// The epoch of the indices.
    pub epoch: u32,
    /// Index of the first sample.
    pub from_n: u64,
    /// Wall time of the end of the first second.
    pub began: UtcMs,
    /// The rate.
    pub rate: Ratio,
    /// The leads.
    pub leads: Vec<LeadId>,
    /// Millivolts, a row a lead.
    pub samples_mv: Vec<Vec<f32>>,
}

impl Stretch {
    fn begin(hop: &Due) -> Self {
        let samples_mv = vec![Vec::new(); hop.leads.len()];
        let Due { epoch, from_n, end, rate, .. } = *hop;
        Self { epoch, from_n, began: end, rate, leads: hop.leads.clone(), samples_mv }
    }

    fn to_n(&self) -> u64 {
        self.from_n + self.samples_mv.first().map_or(0, Vec::len) as u64
    }

    fn goes_on(&self, hop: &Due) -> bool {
        let hole = hop.from_n.checked_sub(self.to_n());
        (self.epoch, self.rate, &self.leads) == (hop.epoch, hop.rate, &hop.leads)
            && hole.is_some_and(|hole| hole <= self.rate.samples_in(HOLE_S_MAX))
    }

    fn take(&mut self, hop: &Due) {
        let hole = hop.from_n.saturating_sub(self.to_n()) as usize;
        for (row, new) in self.samples_mv.iter_mut().zip(hop.samples_mv.rows()) {
            row.extend(std::iter::repeat_n(f32::NAN, hole));
            row.extend(new.iter());
        }
    }

    /// Its length.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.to_n() - self.from_n) as f64 / self.rate.as_f64()
    }
}

/// Hops, in order, as stretches.
pub fn of(hops: &[Due]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for hop in hops {
        if let Some(stretch) = stretches.last_mut().filter(|s| s.goes_on(hop)) {
            stretch.take(hop);
        } else {
            let mut stretch = Stretch::begin(hop);
            stretch.take(hop);
            stretches.push(stretch);
        }
    }
    stretches
}

impl Past {
    /// The newest `hops` seconds of a bed's recording, oldest first.
    ///
    /// # Errors
    /// [`DaemonError`] where there is no recording or a file cannot be read.
    pub fn stretches(&self, bed: &BedId, hops: usize) -> Result<Vec<Stretch>, DaemonError> {
        Ok(of(&self.newest_hops(bed, hops)?))
    }
}
