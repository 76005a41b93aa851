//! What is kept of a bed's past: plain numbers one after another, since a ward keeps this for a thousand beds. Windows
//! of neighbouring seconds overlap, so that of a long past every second, fourth or eighth is enough.

use super::Second;
use super::beats::BEATS;
use super::windows::{SCALES_S, Window};
use serde::{Deserialize, Serialize};

/// Rows kept at most; when they are full, every second one is dropped.
pub(super) const ROWS_MAX: usize = 120;
/// Numbers of a window before its classes and clusters: entropy, ln novelty, ln amplitude.
const HEAD: usize = 3;

/// Rows of equal width with their second and a tag, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Rows {
    width: usize,
    /// Seconds from one row to the next, at least.
    step: u32,
    at: Vec<u32>,
    tag: Vec<u16>,
    flat: Vec<f32>,
}

impl Rows {
    fn push(&mut self, at: u32, tag: u16, row: &[f32]) {
        if row.len() != self.width || self.at.is_empty() {
            // Nothing, or another bundle's row, with which nothing here can be compared.
            *self = Self { width: row.len(), step: 1, ..Self::default() };
            self.at.reserve_exact(ROWS_MAX);
            self.tag.reserve_exact(ROWS_MAX);
            self.flat.reserve_exact(ROWS_MAX * self.width);
        }
        if self.at.last().is_some_and(|last| at < last + self.step) {
            return;
        }
        if self.at.len() == ROWS_MAX {
            self.thin();
        }
        self.at.push(at);
        self.tag.push(tag);
        self.flat.extend_from_slice(row);
    }

    fn thin(&mut self) {
        let (rows, width) = (self.at.len(), self.width);
        for (to, from) in (0..rows).step_by(2).enumerate() {
            self.at[to] = self.at[from];
            self.tag[to] = self.tag[from];
            self.flat.copy_within(from * width..(from + 1) * width, to * width);
        }
        let left = rows.div_ceil(2);
        self.at.truncate(left);
        self.tag.truncate(left);
        self.flat.truncate(left * width);
        self.step *= 2;
    }

    /// Drops what is older than `from`.
    fn forget(&mut self, from: u32) {
        let old = self.at.iter().take_while(|at| **at < from).count();
        self.at.drain(..old);
        self.tag.drain(..old);
        self.flat.drain(..old * self.width);
    }

    fn tagged(&self, tag: u16) -> impl Iterator<Item = &[f32]> {
        let rows = self.flat.chunks_exact(self.width.max(1));
        self.tag.iter().zip(rows).filter(move |(t, _)| **t == tag).map(|(_, row)| row)
    }
}

/// A window as it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'a> {
    numbers: &'a [f32],
    classes: usize,
}

impl<'a> Kept<'a> {
    /// Entropy.
    pub fn h(self) -> f32 {
        self.numbers[0]
    }

    /// ln of the novelty.
    pub fn ln_m(self) -> f32 {
        self.numbers[1]
    }

    /// ln of the amplitude.
    pub fn ln_rms(self) -> f32 {
        self.numbers[2]
    }

    /// Class evidence.
    pub fn logit(self) -> &'a [f32] {
        &self.numbers[HEAD..HEAD + self.classes]
    }

    /// Share of each cluster.
    pub fn share(self) -> &'a [f32] {
        &self.numbers[HEAD + self.classes..]
    }
}

/// A bed's past.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    classes: usize,
    /// `[row, scale, number]`, tagged by lead set; NaN = that scale was not read.
    windows: Rows,
    /// `[row, BEATS]`.
    beats: Rows,
}

impl Past {
    /// Takes a second that is old enough to be usual.
    pub fn push(&mut self, at: u32, second: &Second) {
        let facts = &second.facts;
        if facts.mask != 0 && facts.good {
            self.classes = facts.logits.len();
            let width = HEAD + facts.logits.len() + facts.soft.len();
            let mut row = Vec::with_capacity(SCALES_S.len() * width);
            for scale in 0..SCALES_S.len() {
                match second.windows.get(scale).and_then(Option::as_ref) {
                    Some(Window { h, ln_m, ln_rms, logit, share }) => {
                        row.extend([h, ln_m, ln_rms].into_iter().chain(logit).chain(share));
                    }
                    None => row.extend(std::iter::repeat_n(f32::NAN, width)),
                }
            }
            self.windows.push(at, facts.mask, &row);
        }
        if let Some(beats) = &second.beats {
            self.beats.push(at, 0, beats);
        }
    }

    /// Drops what is older than `from`.
    pub fn forget(&mut self, from: u32) {
        self.windows.forget(from);
        self.beats.forget(from);
    }

    /// Good seconds that the rows of a lead set stand for.
    pub fn seconds(&self, mask: u16) -> usize {
        self.windows.tag.iter().filter(|tag| **tag == mask).count() * self.windows.step as usize
    }

    /// The windows of a lead set on one scale, oldest first.
    pub fn windows(&self, mask: u16, scale: usize) -> impl Iterator<Item = Kept<'_>> {
        let width = self.windows.width / SCALES_S.len();
        let own = scale * width..(scale + 1) * width;
        let classes = self.classes;
        let rows = self.windows.tagged(mask).map(move |row| Kept { numbers: &row[own.clone()], classes });
        rows.filter(|w| !w.h().is_nan())
    }

    /// Seconds that the beats stand for.
    pub fn beat_seconds(&self) -> usize {
        self.beats.at.len() * self.beats.step as usize
    }

    /// What the beats said, oldest first.
    pub fn beats(&self) -> impl Iterator<Item = &[f32]> {
        debug_assert!(self.beats.width == BEATS || self.beats.at.is_empty());
        self.beats.tagged(0)
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        let rows = |r: &Rows| r.at.capacity() * 4 + r.tag.capacity() * 2 + r.flat.capacity() * 4;
        rows(&self.windows) + rows(&self.beats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_past_is_thinned_evenly_and_a_gap_empties_it() {
        let mut rows = Rows::default();
        for at in 0..600 {
            rows.push(at, 2, &[at as f32]);
            rows.forget((at + 1).saturating_sub(500));
        }
        assert!(rows.at.len() > ROWS_MAX / 2 - 2 && rows.at.len() <= ROWS_MAX, "{}", rows.at.len());
        assert!(rows.at.windows(2).all(|w| w[1] - w[0] == rows.step), "{:?}", rows.at);
        assert!(rows.at[0] >= 100 && rows.at.last() >= Some(&590));
        assert!(rows.tagged(2).zip(&rows.at).all(|(row, at)| row == [*at as f32]));
        rows.forget(10_000);
        rows.push(10_000, 2, &[1.0]);
        rows.push(10_001, 2, &[1.0]);
        assert_eq!(rows.at, [10_000, 10_001], "every second counts again");
    }
}
