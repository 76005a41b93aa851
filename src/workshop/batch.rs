//! One training batch: crops, lead masks, augmentation, joined records, targets (docs/method.md, training).

use super::WorkshopError;
use super::dataset::{CLASSES, LENGTH, PtbXl};
use super::leads::{draw_mask, flag};
use super::reading::{mean_logits, steps_of};
use crate::model::{LEADS, LiveEngine, Network};
use candle_core::{Device, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::sync::Arc;

/// Share of the run that sees short crops: they cost half and teach the same shapes.
const SHORT_UNTIL: f64 = 0.5;
/// Share of records that are joined with another one in mid-crop, so that evidence stays with the seconds it comes
/// from.
const JOINED: f64 = 0.3;
/// Weight of the teacher's opinion beside the labels.
const TEACHER_WEIGHT: f32 = 0.5;
/// Dropout of the pooled features.
const HEAD_DROPOUT: f32 = 0.3;
const ALL_LEADS: u16 = 0xfff;

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

/// What one item is made of: a crop of one record, or of two, the second from row `cut` on.
struct Item {
    records: [usize; 2],
    from: [usize; 2],
    cut: usize,
    mask: u16,
}

impl Item {
    /// The first record's share of the crop.
    fn share(&self, time: usize) -> f32 {
        self.cut as f32 / time as f32
    }

    /// The crop with all leads.
    fn signal(&self, set: &PtbXl, time: usize) -> Vec<f32> {
        let mut x = Vec::with_capacity(time * LEADS);
        for (i, rows) in [0..self.cut, self.cut..time].into_iter().enumerate() {
            let at = |row: usize| (self.from[i] + row) * LEADS;
            x.extend_from_slice(&set.signal(self.records[i])[at(rows.start)..at(rows.end)]);
        }
        x
    }
}

/// Masks leads, changes the gain, adds noise.
fn augment(x: &mut [f32], mask: u16, rng: &mut ChaCha8Rng) {
    let gain = if rng.random_bool(0.5) { rng.random_range(0.7f32.ln()..1.4f32.ln()).exp() } else { 1.0 };
    // 0.03 mV in units of 0.25 mV.
    let noise = if rng.random_bool(0.3) { rng.random_range(0.0..0.12f32) } else { 0.0 };
    let gains: [f32; LEADS] = std::array::from_fn(|lead| gain * flag(mask, lead));
    for row in x.chunks_exact_mut(LEADS) {
        for (v, g) in row.iter_mut().zip(&gains) {
            *v *= g;
            if noise > 0.0 && *g > 0.0 {
                *v += noise * normal(rng);
            }
        }
    }
}

/// What the averaged weights say of the items with all leads and without augmentation `[item, class]`.
fn opinions(teacher: &Arc<Network>, set: &PtbXl, items: &[Item], time: usize) -> Vec<Vec<f32>> {
    let ask = |engine: &mut LiveEngine, item: &Item| {
        let steps = steps_of(engine, &item.signal(set, time), ALL_LEADS);
        let sigmoid = |z: f32| 1.0 / (1.0 + (-z).exp());
        mean_logits(&steps, CLASSES.len()).into_iter().map(sigmoid).collect()
    };
    items.par_iter().map_init(|| LiveEngine::new(teacher.clone()), ask).collect()
}

/// Draws the batch of `records` at `u` of the run (0 to 1); `features` is the width of the pooled features.
pub(super) fn draw(
    set: &PtbXl,
    records: &[usize],
    features: usize,
    u: f64,
    teacher: Option<&Arc<Network>>,
    rng: &mut ChaCha8Rng,
) -> Result<Batch, WorkshopError> {
    let n = records.len();
    let length = rng.random_range(0..4);
    let time = if u < SHORT_UNTIL { [480, 520, 560, 600][length] } else { [880, 920, 960, 1000][length] };
    let items: Vec<Item> = (0..n)
        .map(|i| {
            let from = [0, 1].map(|_| rng.random_range(0..=LENGTH - time));
            let joined = rng.random_bool(JOINED);
            let cut = if joined { rng.random_range(time / 4..=3 * time / 4) } else { time };
            Item { records: [records[i], records[(i + 1) % n]], from, cut, mask: draw_mask(rng) }
        })
        .collect();
    let statements = set.statements.len();
    let (mut x, mut masks) = (Vec::with_capacity(n * time * LEADS), Vec::with_capacity(n * LEADS));
    let (mut classes, mut weight) = (vec![0.0f32; n * CLASSES.len()], Vec::new());
    let mut said = vec![0.0f32; n * statements];
    for (i, item) in items.iter().enumerate() {
        let mut signal = item.signal(set, time);
        augment(&mut signal, item.mask, rng);
        x.extend(signal);
        masks.extend((0..LEADS).map(|lead| flag(item.mask, lead)));
        let share = item.share(time);
        let mut labelled = true;
        for (record, share) in item.records.into_iter().zip([share, 1.0 - share]).filter(|(_, s)| *s > 0.0) {
            let labels = &set.labels[record];
            labelled &= labels.has_class();
            for (c, _) in labels.classes.iter().enumerate().filter(|(_, held)| **held) {
                classes[i * CLASSES.len() + c] += share;
            }
            for &s in &labels.statements {
                said[i * statements + s] += share;
            }
        }
        weight.push(f32::from(u8::from(labelled)));
    }
    if let Some(teacher) = teacher {
        let opinions = opinions(teacher, set, &items, time);
        for (c, o) in classes.iter_mut().zip(opinions.iter().flatten()) {
            *c += TEACHER_WEIGHT * (o - *c);
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
