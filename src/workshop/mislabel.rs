//! Which entries of a label table are most likely wrong: the posterior over the whole set of a record's labels.
//!
//! For each record the network's scores give a likelihood of every set of superclasses (calibrated out of fold, by
//! patient, on the very labels under audit), the table itself a prior over sets once the share of wrong entries is taken
//! out of it, and the noted labels the rest. That share is found by expectation maximisation; nothing has to be known of
//! the errors (docs/method.md, label audit).

use super::dataset::CLASSES;
use super::logistic::Logistic;

/// Superclasses, and the sets of them.
const N: usize = CLASSES.len();
const SETS: usize = 1 << N;
/// Parts of the calibration, by patient.
const PARTS: u32 = 5;
/// Rounds for the share of wrong entries, and for the prior in each.
const ROUNDS: usize = 8;
const PRIOR_ROUNDS: usize = 200;
/// Share of wrong entries to begin with, and the bounds it stays in.
const RATE_FIRST: f64 = 0.05;
const RATE: (f64, f64) = (0.001, 0.3);
/// Bound of a calibrated probability: a score is never sure.
const UNSURE: f64 = 0.004;
/// Penalty of the calibration's standardised weights.
const RIDGE: f64 = 1.0;

/// One record of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    /// The patient.
    pub patient: u32,
    /// The network's mean logits, by class.
    pub logits: Vec<f32>,
    /// The labels as noted.
    pub classes: [bool; N],
}

/// What is thought of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// Probability that the entry is wrong `[record][class]`.
    pub wrong: Vec<[f64; N]>,
    /// Estimated share of wrong entries.
    pub rate: f64,
}

fn set_of(classes: [bool; N]) -> usize {
    classes.iter().enumerate().map(|(k, c)| usize::from(*c) << k).sum()
}

/// Chance that the true set `a` is noted as `b`, or the reverse.
fn noise(rate: f64, a: usize, b: usize) -> f64 {
    let differ = (a ^ b).count_ones() as i32;
    rate.powi(differ) * (1.0 - rate).powi(N as i32 - differ)
}

/// Probability of each noted label by the network's logits, out of fold by patient.
fn calibrated(table: &[Noted]) -> Vec<[f64; N]> {
    let mut out = vec![[0.5; N]; table.len()];
    // A multiplicative hash spreads neighbouring patients over the parts.
    let part = |n: &Noted| (n.patient.wrapping_mul(2_654_435_761) >> 16) % PARTS;
    for held in 0..PARTS {
        let others: Vec<&Noted> = table.iter().filter(|n| part(n) != held).collect();
        let rows: Vec<&[f32]> = others.iter().map(|n| n.logits.as_slice()).collect();
        for class in 0..N {
            let noted: Vec<bool> = others.iter().map(|n| n.classes[class]).collect();
            let fit = Logistic::fit(&rows, &noted, RIDGE);
            for (p, n) in out.iter_mut().zip(table).filter(|(_, n)| part(n) == held) {
                p[class] = fit.probability(&n.logits);
            }
        }
    }
    out
}

/// The share of each true set, where `noted[set]` is the share of each noted one.
fn prior(noted: &[f64; SETS], rate: f64) -> [f64; SETS] {
    let mut prior = [1.0 / SETS as f64; SETS];
    for _ in 0..PRIOR_ROUNDS {
        let mut next = [0.0; SETS];
        for (b, share) in noted.iter().enumerate().filter(|(_, s)| **s > 0.0) {
            let joint: [f64; SETS] = std::array::from_fn(|a| prior[a] * noise(rate, a, b));
            let total: f64 = joint.iter().sum();
            for (n, j) in next.iter_mut().zip(joint) {
                *n += share * j / total.max(1e-300);
            }
        }
        prior = next;
    }
    prior
}

/// Probability that each entry is wrong, given a share of wrong entries.
fn posterior(table: &[Noted], calibrated: &[[f64; N]], rate: f64) -> Vec<[f64; N]> {
    let n = table.len().max(1) as f64;
    let mut shares = [0.0; SETS];
    for noted in table {
        shares[set_of(noted.classes)] += 1.0 / n;
    }
    let prior = prior(&shares, rate);
    let clean = |p: f64, low: f64| ((p - rate) / (1.0 - 2.0 * rate)).clamp(low, 1.0 - low);
    let log_odds = |p: f64| (p / (1.0 - p)).ln();
    let base: [f64; N] = std::array::from_fn(|k| {
        let noted = table.iter().filter(|t| t.classes[k]).count() as f64 / n;
        log_odds(clean(noted, 0.01))
    });
    let of = |(noted, p): (&Noted, &[f64; N])| {
        let evidence: [f64; N] = std::array::from_fn(|k| log_odds(clean(p[k], UNSURE)) - base[k]);
        let b = set_of(noted.classes);
        let log: [f64; SETS] = std::array::from_fn(|a| {
            let likelihood: f64 =
                evidence.iter().enumerate().filter(|(k, _)| a >> k & 1 == 1).map(|e| e.1).sum();
            (prior[a] + 1e-12).ln() + likelihood + noise(rate, a, b).ln()
        });
        let most = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = log.map(|l| (l - most).exp());
        let total: f64 = weight.iter().sum();
        std::array::from_fn(|k| {
            let wrong = |a: &usize| (a >> k & 1 == 1) != noted.classes[k];
            (0..SETS).filter(wrong).map(|a| weight[a]).sum::<f64>() / total
        })
    };
    table.iter().zip(calibrated).map(of).collect()
}

/// Judges every entry of a table. The records must be new to the network.
#[must_use]
pub fn suspicion(table: &[Noted]) -> Suspicion {
    let calibrated = calibrated(table);
    let mut rate = RATE_FIRST;
    let mut wrong = Vec::new();
    for _ in 0..ROUNDS {
        wrong = posterior(table, &calibrated, rate);
        let sum: f64 = wrong.iter().flatten().sum();
        rate = (sum / (wrong.len() * N).max(1) as f64).clamp(RATE.0, RATE.1);
    }
    Suspicion { wrong, rate }
}

/// Share of truly wrong entries among the `count` with the highest suspicion.
#[must_use]
pub fn precision_at(count: usize, wrong: &[[f64; N]], truly: &[[bool; N]]) -> f64 {
    let mut entries: Vec<(f64, bool)> =
        wrong.iter().zip(truly).flat_map(|(w, t)| w.iter().copied().zip(t.iter().copied())).collect();
    entries.sort_by(|a, b| b.0.total_cmp(&a.0));
    let top = &entries[..count.min(entries.len())];
    top.iter().filter(|e| e.1).count() as f64 / top.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn flipped_entries_come_first_and_their_share_is_found() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        let (mut table, mut truly) = (Vec::new(), Vec::new());
        for patient in 0..2_000 {
            let ill = rng.random_bool(0.5);
            let true_classes = [!ill, ill && rng.random_bool(0.5), ill && rng.random_bool(0.5), false, false];
            let logits = true_classes.map(|c| if c { 2.0 } else { -2.0 } + rng.random_range(-2.5..2.5f32));
            let flips = [(); N].map(|()| rng.random_bool(0.1));
            let classes = std::array::from_fn(|k| true_classes[k] != flips[k]);
            table.push(Noted { patient, logits: logits.to_vec(), classes });
            truly.push(flips);
        }
        let found = suspicion(&table);
        assert!((found.rate - 0.1).abs() < 0.03, "share {}", found.rate);
        let precision = precision_at(200, &found.wrong, &truly);
        assert!(precision > 0.95, "precision {precision}");
        let blind: Vec<[f64; N]> = (0..2_000).map(|i| [f64::from(i % 7); N]).collect();
        assert!(precision_at(200, &blind, &truly) < 0.2, "entries picked blindly are wrong as often as all");
    }
}
