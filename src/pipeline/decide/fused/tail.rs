//! The bed's own tail of scores: how high its score stands in calm time, against the population that the limits come
//! from. It is meant to make a budget the same on a restless bed as on a quiet one; whether it does, longer recordings must
//! show (`docs/method.md`).

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Calm seconds of which the highest score is kept.
pub const BLOCK_S: usize = 60;
/// Of these, so many: four hours.
const BLOCKS_MAX: usize = 240;
/// The quantile of these that is compared: high enough to be of the tail, low enough that a few bad minutes do not move
/// it.
pub const QUANTILE: f64 = 0.75;
/// So many blocks of the population count beside the bed's own.
const PRIOR: f32 = 15.0;
/// The limit moves so far at most.
const OFFSET_MAX: f32 = 2.0;
/// A score is kept in this unit.
const UNIT: f32 = 0.01;

/// The highest scores of a bed's calm minutes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Seconds of the block that is under way, and their highest score.
    seconds: usize,
    high: f32,
    /// In hundredths, oldest first.
    highs: VecDeque<i16>,
}

/// The quantile of some values; `None` without any.
#[must_use]
pub fn quantile(values: &mut [f32], q: f64) -> Option<f32> {
    values.sort_unstable_by(f32::total_cmp);
    values.get(((values.len() as f64 - 1.0).max(0.0) * q).round() as usize).copied()
}

impl Tail {
    /// Takes the score of a calm second.
    pub fn second(&mut self, score: f32) {
        self.high = if self.seconds == 0 { score } else { self.high.max(score) };
        self.seconds += 1;
        if self.seconds == BLOCK_S {
            self.seconds = 0;
            self.highs.push_back((self.high / UNIT).round() as i16);
            if self.highs.len() > BLOCKS_MAX {
                self.highs.pop_front();
            }
        }
    }

    /// How far the bed's tail lies above the population's, whose own quantile is `population`; the less is known of the
    /// bed, the nearer to 0.
    #[must_use]
    pub fn above(&self, population: f32) -> f32 {
        let mut highs: Vec<f32> = self.highs.iter().map(|h| f32::from(*h) * UNIT).collect();
        let known = highs.len() as f32;
        let own = quantile(&mut highs, QUANTILE).unwrap_or(population);
        (own - population) * known / (known + PRIOR)
    }

    /// What is added to the bed's limits. Never less than nothing: a quiet bed needs no lower limit to fill up its budget.
    #[must_use]
    pub fn offset(&self, population: f32) -> f32 {
        self.above(population).clamp(0.0, OFFSET_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(minutes: usize, high: f32) -> Tail {
        let mut tail = Tail::default();
        for t in 0..minutes * BLOCK_S {
            tail.second(if t % BLOCK_S == 7 { high } else { -3.0 });
        }
        tail
    }

    #[test]
    fn a_restless_bed_gets_a_higher_limit_the_more_is_known_of_it() {
        let near = |minutes, high, offset: f32| {
            let found = tail(minutes, high).offset(-1.0);
            assert!((found - offset).abs() < 1e-5, "{minutes} min of {high}: {found}");
        };
        near(0, 0.0, 0.0);
        near(15, 0.0, 0.5);
        near(135, 0.0, 0.9);
        near(500, 9.0, OFFSET_MAX);
    }

    #[test]
    fn a_quiet_bed_keeps_the_population_s_and_a_few_bad_minutes_move_nothing() {
        assert!(tail(200, -3.0).offset(-1.0).abs() < 1e-6);
        let mut tail = tail(80, -2.0);
        for _ in 0..15 * BLOCK_S {
            tail.second(5.0);
        }
        assert!(tail.offset(-1.0).abs() < 1e-6);
    }
}
