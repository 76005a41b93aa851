//! Whether a budget means the same on every bed: what each long recording raises under the population's limit alone, and
//! with the bed's own tail of scores. They are recordings of people whom the score never saw.

use super::holter::FROM_S;
use super::operate::SILENT_S;
use super::scene::Scene;
use super::{NONE, Set, Track};
use crate::pipeline::{BLOCK_S, QUANTILE, Tail, quantile};
use serde::Serialize;

/// How far the realised rates of beds lie apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Alerts.
    pub alerts: usize,
    /// Alerts per bed-hour, over all beds.
    pub per_hour: f64,
    /// Standard deviation over beds.
    pub sd: f64,
    /// The highest bed.
    pub highest: f64,
    /// Share of the beds that raise more than twice the budget.
    pub above_twice: f64,
}

/// One budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// Alerts per bed-hour that it means.
    pub per_hour: f64,
    /// Beds.
    pub beds: usize,
    /// Bed-hours.
    pub hours: f64,
    /// By the population's limit.
    pub population: Spread,
    /// With the bed's own tail, which only ever raises a limit: what is shipped.
    pub own: Spread,
    /// With the bed's own tail in both directions.
    pub both_ways: Spread,
}

/// How the limit of a bed follows from its tail.
type Rule = fn(&Tail, f32) -> f32;

/// The upper quartile of the highest score of each calm minute, over the seconds that count.
#[must_use]
pub fn calm(tracks: &[Track]) -> f32 {
    let mut highs = Vec::new();
    for track in tracks {
        let counted = track.counted.start..track.counted.end.min(track.scores.len());
        let read: Vec<f32> = track.scores[counted].iter().copied().filter(|s| *s > NONE).collect();
        highs.extend(read.chunks_exact(BLOCK_S).map(|block| block.iter().copied().fold(NONE, f32::max)));
    }
    quantile(&mut highs, QUANTILE).unwrap_or(0.0)
}

/// Alerts of one bed, second by second as it runs: what is over the limit is not calm.
fn raised(scores: &[f32], limit: f32, population: f32, rule: Rule) -> usize {
    let (mut tail, mut silent_until, mut found) = (Tail::default(), 0, 0);
    for (t, &score) in scores.iter().enumerate() {
        if score <= NONE {
            continue;
        }
        if score <= limit + rule(&tail, population) {
            tail.second(score);
        } else if t >= silent_until && t >= FROM_S {
            found += 1;
            silent_until = t + SILENT_S;
        }
    }
    found
}

fn spread(beds: &[(Vec<f32>, f64)], per_hour: f64, limit: f32, population: f32, rule: Rule) -> Spread {
    let counts: Vec<(usize, f64)> =
        beds.iter().map(|(scores, hours)| (raised(scores, limit, population, rule), *hours)).collect();
    let rates: Vec<f64> = counts.iter().map(|(alerts, hours)| *alerts as f64 / hours).collect();
    let n = rates.len().max(1) as f64;
    let mean = rates.iter().sum::<f64>() / n;
    let alerts = counts.iter().map(|c| c.0).sum();
    Spread {
        alerts,
        per_hour: alerts as f64 / counts.iter().map(|c| c.1).sum::<f64>().max(1e-9),
        sd: (rates.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n).sqrt(),
        highest: rates.iter().copied().fold(0.0, f64::max),
        above_twice: rates.iter().filter(|r| **r > 2.0 * per_hour).count() as f64 / n,
    }
}

/// Each budget with its limit on the long recordings; `population` is [`calm`] of the recordings that the limits come
/// from.
#[must_use]
pub fn budgets(
    scenes: &[Scene],
    score: &dyn Fn(&[f32]) -> f32,
    limits: &[(f64, f32)],
    population: f32,
) -> Vec<Budget> {
    // nstdb is one person's recording again and again.
    let long = scenes.iter().filter(|s| matches!(s.record.set, Set::Mitdb | Set::Qtdb));
    let bed = |s: &Scene| (s.scores(score), s.values.len().saturating_sub(FROM_S) as f64 / 3_600.0);
    let beds: Vec<(Vec<f32>, f64)> = long.map(bed).filter(|b| b.1 > 0.0).collect();
    let rules: [Rule; 3] = [|_, _| 0.0, Tail::offset, Tail::above];
    let one = |&(per_hour, limit): &(f64, f32)| {
        let [population, own, both_ways] = rules.map(|rule| spread(&beds, per_hour, limit, population, rule));
        let hours = beds.iter().map(|b| b.1).sum();
        Budget { per_hour, beds: beds.len(), hours, population, own, both_ways }
    };
    limits.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bed whose score wobbles around `middle` and stands high for a second now and then.
    fn scores(middle: f32, seconds: usize) -> Vec<f32> {
        let wobble = |t: usize| 0.3 * ((t * 7 % 13) as f32 / 13.0);
        (0..seconds).map(|t| middle + wobble(t) + if t % 500 == 499 { 2.0 } else { 0.0 }).collect()
    }

    #[test]
    fn a_restless_bed_comes_down_to_what_stands_out_and_a_quiet_one_stays() {
        let rule: [Rule; 2] = [|_, _| 0.0, Tail::offset];
        let raised = |middle| rule.map(|rule| raised(&scores(middle, 7_200), 0.0, -0.8, rule));
        let [without, with] = raised(-0.2);
        assert!(without > 60 && (8..30).contains(&with), "{without} {with}");
        let [without, with] = raised(-1.0);
        assert_eq!(without, with);
    }

    #[test]
    fn the_population_s_tail_is_of_its_calm_minutes() {
        let track = Track { patient: 1, scores: scores(-1.0, 400), counted: 45..360, event: None };
        let high = calm(&[track]);
        assert!((-0.75..-0.65).contains(&high), "{high}");
    }
}
