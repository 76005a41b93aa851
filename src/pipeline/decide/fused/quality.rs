//! Channels of the signal's quality over the newest seconds.

use super::Second;
use std::collections::VecDeque;

/// Seconds over which the signal's quality is told.
const QUALITY_S: usize = 5;
/// Seconds over which bad and unread ones are counted.
const BAD_S: usize = 10;

fn ln(v: f32) -> f32 {
    libm::logf(v.max(1e-3))
}

/// Their values, in the order of the channels.
pub(super) fn values(seconds: &VecDeque<Second>) -> Vec<f32> {
    let newest = |n: usize| seconds.iter().rev().take(n);
    let mean = |n: usize, of: &dyn Fn(&Second) -> f32| {
        newest(n).map(of).sum::<f32>() / newest(n).count().max(1) as f32
    };
    let mut values = Vec::new();
    let parts: [fn(&Second) -> f32; 4] = [
        |s| ln(s.facts.quality.noise_mv),
        |s| ln(s.facts.quality.step_mv),
        |s| ln(s.facts.quality.jump_mv),
        |s| ln(s.facts.quality.reach_mv),
    ];
    for part in parts {
        values.push(mean(QUALITY_S, &part));
        values.push(newest(QUALITY_S).map(part).fold(f32::MIN, f32::max));
    }
    let ratio = |s: &Second| {
        if s.facts.mask == 0 { 0.0 } else { ln(s.facts.quality.noise_mv) - ln(s.facts.rms_mv) }
    };
    values.push(mean(QUALITY_S, &ratio));
    values.push(mean(BAD_S, &|s| f32::from(u8::from(!s.facts.good))));
    values.push(mean(BAD_S, &|s| f32::from(u8::from(s.facts.mask == 0))));
    values
}
