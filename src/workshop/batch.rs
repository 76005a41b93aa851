//! One training batch: crops, lead masks, augmentation, targets (docs/method.md, training).

use super::WorkshopError;
use super::dataset::{CLASSES, LENGTH, PtbXl};
use super::leads::{draw_mask, flag};
use crate::model::LEADS;
use candle_core::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Lengths of crops, one a batch.
const CROPS: [usize; 4] = [880, 920, 960, 1_000];
/// Dropout of the pooled features.
const HEAD_DROPOUT: f32 = 0.3;

/// One batch, ready for the network.
pub(super) struct Batch {
    /// `[item, time, lead]`, masked leads 0.
    pub x: Tensor,
    /// `[item, lead]`.
    pub mask: Tensor,
    /// Dropout of the pooled features `[item, feature]`.
    pub head_mask: Tensor,
    /// `[item, class]`, 0 to 1.
    pub classes: Tensor,
    /// 1 where the record has a superclass `[item, 1]`.
    pub weight: Tensor,
    /// `[item, statement]`, 0 to 1.
    pub statements: Tensor,
    /// Samples of each item.
    pub time: usize,
}

impl Batch {
    /// The batch on the device that trains.
    pub fn on(self, device: &Device) -> candle_core::Result<Self> {
        Ok(Self {
            x: self.x.to_device(device)?,
            mask: self.mask.to_device(device)?,
            head_mask: self.head_mask.to_device(device)?,
            classes: self.classes.to_device(device)?,
            weight: self.weight.to_device(device)?,
            statements: self.statements.to_device(device)?,
            time: self.time,
        })
    }
}

/// A standard normal number (Box-Muller).
fn normal(rng: &mut impl Rng) -> f32 {
    let (u, v): (f32, f32) = (rng.random_range(f32::EPSILON..1.0), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

/// Masks leads and adds noise. The gain stays: voltage tells hypertrophy, and a monitor declares its own.
fn augment(x: &mut [f32], mask: u16, rng: &mut ChaCha8Rng) {
    // 0.03 mV in units of 0.25 mV.
    let noise = if rng.random_bool(0.3) { rng.random_range(0.0..0.12f32) } else { 0.0 };
    let held: [f32; LEADS] = std::array::from_fn(|lead| flag(mask, lead));
    for row in x.chunks_exact_mut(LEADS) {
        for (v, held) in row.iter_mut().zip(&held) {
            *v *= held;
            if noise > 0.0 && *held > 0.0 {
                *v += noise * normal(rng);
            }
        }
    }
}

/// Draws the batch of `records`; `features` is the width of the pooled features.
pub(super) fn draw(
    set: &PtbXl,
    records: &[usize],
    features: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Batch, WorkshopError> {
    let n = records.len();
    let time = CROPS[rng.random_range(0..CROPS.len())];
    let statements = set.statements.len();
    let (mut x, mut masks) = (Vec::with_capacity(n * time * LEADS), Vec::with_capacity(n * LEADS));
    let (mut classes, mut weight) = (Vec::new(), Vec::new());
    let mut said = vec![0.0f32; n * statements];
    for (i, &record) in records.iter().enumerate() {
        let (from, mask) = (rng.random_range(0..=LENGTH - time), draw_mask(rng));
        let mut signal = set.signal(record)[from * LEADS..(from + time) * LEADS].to_vec();
        augment(&mut signal, mask, rng);
        x.extend(signal);
        masks.extend((0..LEADS).map(|lead| flag(mask, lead)));
        let labels = &set.labels[record];
        classes.extend(labels.classes.map(|held| f32::from(u8::from(held))));
        weight.push(f32::from(u8::from(labels.has_class())));
        for &s in &labels.statements {
            said[i * statements + s] = 1.0;
        }
    }
    let keep = 1.0 / (1.0 - HEAD_DROPOUT);
    let head: Vec<f32> =
        (0..n * features).map(|_| if rng.random::<f32>() < HEAD_DROPOUT { 0.0 } else { keep }).collect();
    let device = &Device::Cpu;
    Ok(Batch {
        x: Tensor::from_vec(x, (n, time, LEADS), device)?,
        mask: Tensor::from_vec(masks, (n, LEADS), device)?,
        head_mask: Tensor::from_vec(head, (n, features), device)?,
        classes: Tensor::from_vec(classes, (n, CLASSES.len()), device)?,
        weight: Tensor::from_vec(weight, (n, 1), device)?,
        statements: Tensor::from_vec(said, (n, statements), device)?,
        time,
    })
}
