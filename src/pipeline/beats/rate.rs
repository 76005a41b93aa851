//! The heart rate of a bed for the screen: the monitor's own number where one comes, else that of our beats.

use crate::snapshot::{BedState, HeartRate};
use contract::{Finding, MonoMs, Numeric, Ratio};
use std::collections::VecDeque;

/// The monitor's own number is shown for so long.
const NUMERIC_MS: u64 = 10_000;
/// Our rate is that of the beats within so many seconds.
const SPAN_S: f64 = 10.0;
/// Fewer beats are no rate.
const BEATS_MIN: usize = 4;
/// The newest beat must be this young: what was before a silence is not now.
const AGE_MAX_S: f64 = 5.0;

/// Both rates of one bed.
#[derive(Debug, Clone, Default)]
pub(in crate::pipeline) struct Rates {
    theirs: Option<(f32, MonoMs)>,
    at_n: VecDeque<u64>,
    from_n: Option<u64>,
    ours: Option<f32>,
}

impl Rates {
    /// Takes the monitor's own numbers.
    pub fn numeric(&mut self, numeric: &Numeric, now: MonoMs) {
        self.theirs = numeric.heart_rate_per_min.filter(|r| r.is_finite()).map(|r| (r, now));
    }

    /// Takes the beats of one hop.
    pub fn finding(&mut self, finding: &Finding) {
        if finding.beats.from_n != self.from_n {
            self.at_n.clear();
            self.from_n = finding.beats.from_n;
        }
        self.at_n.extend(&finding.beats.at_n);
        self.ours = self.per_min(finding.to_n, finding.rate);
    }

    /// Beats a minute over the 10 s before sample `to_n`; `None` where there are too few, or none of late.
    fn per_min(&mut self, to_n: u64, rate: Ratio) -> Option<f32> {
        let ago_s = |n: u64| (to_n as f64 - n as f64) / rate.as_f64();
        self.at_n.retain(|n| ago_s(*n) <= SPAN_S);
        let (first, last) = (*self.at_n.front()?, *self.at_n.back()?);
        let intervals = (self.at_n.len() - 1) as f64;
        let fresh = self.at_n.len() >= BEATS_MIN && ago_s(last) <= AGE_MAX_S && last > first;
        fresh.then(|| (60.0 * intervals * rate.as_f64() / (last - first) as f64) as f32)
    }

    /// What the screen says: ours only while the signal is there and usable.
    pub fn shown(&self, state: BedState, now: MonoMs) -> Option<HeartRate> {
        let theirs = self.theirs.filter(|(_, at)| now.since(*at) < NUMERIC_MS);
        let usable = matches!(state, BedState::Live | BedState::Learning | BedState::Paused);
        let ours = || self.ours.filter(|_| usable).map(|per_min| HeartRate { per_min, theirs: false });
        theirs.map(|(per_min, _)| HeartRate { per_min, theirs: true }).or_else(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Beats, BedId, Mode, NotRead, UtcMs};

    fn heard(rates: &mut Rates, from_n: u64, at_n: &[u64], to_n: u64) -> Option<f32> {
        rates.finding(&Finding {
            bed: BedId::new("s/u/b").expect("valid"),
            epoch: 0,
            window: 0,
            from_n: 0,
            to_n,
            rate: Ratio::hz(250).expect("valid"),
            end: UtcMs(0),
            mode: Mode::Real,
            paced: false,
            coverage: 1.0,
            leads: Vec::new(),
            quality: contract::Quality::default(),
            beats: Beats { from_n: Some(from_n), at_n: at_n.to_vec() },
            reading: Err(NotRead::Warming),
        });
        rates.shown(BedState::Live, MonoMs(20_000)).map(|r| r.per_min)
    }

    #[test]
    fn our_rate_needs_fresh_beats_of_one_stretch() {
        let mut rates = Rates::default();
        assert_eq!(heard(&mut rates, 0, &[250, 500, 750], 1_000), None);
        assert_eq!(heard(&mut rates, 0, &[1_000, 1_250], 1_500), Some(60.0));
        assert_eq!(heard(&mut rates, 0, &[], 2_750), None, "the newest beat is 6 s old");
        assert_eq!(heard(&mut rates, 5_000, &[5_100, 5_200], 5_250), None, "another stretch");
    }

    #[test]
    fn the_monitors_number_goes_first_and_grows_old() {
        let mut rates = Rates::default();
        assert_eq!(heard(&mut rates, 0, &[250, 500, 750, 1_000], 1_100), Some(60.0));
        let numeric =
            Numeric { bed: BedId::new("s/u/b").expect("valid"), at: None, heart_rate_per_min: Some(72.0) };
        rates.numeric(&numeric, MonoMs(0));
        let shown = |state, ms| rates.shown(state, MonoMs(ms)).map(|r| (r.per_min, r.theirs));
        assert_eq!(shown(BedState::Live, 9_000), Some((72.0, true)));
        assert_eq!(shown(BedState::Live, 11_000), Some((60.0, false)));
        assert_eq!(shown(BedState::Noisy, 11_000), None);
    }
}
