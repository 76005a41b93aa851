//! What a claim about the trained network is compared with: the same network with random weights, and the raw signal.

use super::WorkshopError;
use super::dataset::{LENGTH, PtbXl};
use super::leads::flag;
use crate::model::{Architecture, Arrays, LEADS, LeadMask, Net, STEP_SAMPLES, fold};
use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

/// Batches and records of each that set batch norm's statistics of a network with random weights.
const BATCHES: u64 = 30;
const BATCH: usize = 32;
/// Samples to each side of a step's centre that stand for it: 0.2 s.
const REACH: usize = 20;

/// The weights of a network that never learnt: seeded, batch norm's statistics from a few batches with these leads.
///
/// # Errors
/// [`WorkshopError`] if there are too few records.
pub fn random_network(
    shape: &Architecture,
    set: &PtbXl,
    train_folds: &[u8],
    mask: LeadMask,
    seed: u64,
) -> Result<Arrays, WorkshopError> {
    let records = set.in_folds(train_folds);
    if records.len() < BATCH {
        return Err(WorkshopError::TooFew { need: BATCH, have: records.len() });
    }
    let mut still = shape.clone();
    for block in &mut still.blocks {
        block.dropout = 0.0;
    }
    let mut net = Net::new(still, 1, seed)?;
    let device = &Device::Cpu;
    let leads: Vec<f32> = (0..LEADS).map(|lead| flag(mask, lead)).collect();
    let masks = Tensor::from_vec(leads.repeat(BATCH), (BATCH, LEADS), device)?;
    let head = Tensor::ones((BATCH, net.shape.features()), candle_core::DType::F32, device)?;
    for batch in 0..BATCHES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000) + batch);
        let chosen = sample(&mut rng, records.len(), BATCH);
        let x: Vec<f32> = chosen.iter().flat_map(|i| masked(set.signal(records[i]), &leads)).collect();
        let x = Tensor::from_vec(x, (BATCH, LENGTH, LEADS), device)?;
        net.forward(&x, &masks, &head, batch)?;
        net.update_running(BATCH, LENGTH)?;
    }
    Ok(fold(&net.shape, &net.state()?))
}

fn masked<'a>(signal: &'a [f32], leads: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    signal.iter().zip(leads.iter().cycle()).map(|(v, l)| v * l)
}

/// Numbers of a step of [`raw_steps`].
#[must_use]
pub fn raw_channels(mask: LeadMask) -> usize {
    mask.count_ones() as usize * (2 * REACH + 1)
}

/// The prepared signal (`[time, lead]`) around each step, 0.2 s to both sides, zeros outside `[step, channel]`.
#[must_use]
pub fn raw_steps(signal: &[f32], mask: LeadMask) -> Vec<f32> {
    let length = signal.len() / LEADS;
    let leads: Vec<usize> = (0..LEADS).filter(|&lead| mask >> lead & 1 == 1).collect();
    let mut rows = Vec::with_capacity(length.div_ceil(STEP_SAMPLES) * raw_channels(mask));
    for centre in (0..length).step_by(STEP_SAMPLES) {
        for &lead in &leads {
            for n in 0..=2 * REACH {
                let at = (centre + n).checked_sub(REACH).filter(|at| *at < length);
                rows.push(at.map_or(0.0, |at| signal[at * LEADS + lead]));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_step_is_the_signal_around_its_centre() {
        let signal: Vec<f32> = (0..100).flat_map(|t| (0..LEADS).map(move |l| (t * 100 + l) as f32)).collect();
        let rows = raw_steps(&signal, 0b10);
        assert_eq!((rows.len(), raw_channels(0b10)), (25 * 41, 41));
        let step = &rows[10 * 41..11 * 41];
        assert_eq!((step[0], step[20], step[40]), (2_001.0, 4_001.0, 6_001.0));
        assert_eq!(rows[..20], [0.0; 20]);
    }
}
