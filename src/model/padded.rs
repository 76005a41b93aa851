//! A batch's activations with the zero rows that the next convolution wants around every item.

use rayon::prelude::*;

/// `[item, pad + rows + pad, channel]`; the padding is zero. Kept between steps of training: only a change of shape
/// clears it.
#[derive(Default)]
pub(super) struct Padded {
    values: Vec<f32>,
    rows: usize,
    channels: usize,
    pad: usize,
}

impl Padded {
    /// Gives the buffer a shape; contents are kept where the shape already fits.
    pub fn fit(&mut self, items: usize, rows: usize, channels: usize, pad: usize) {
        let len = items * (rows + 2 * pad) * channels;
        if (self.rows, self.channels, self.pad, self.values.len()) != (rows, channels, pad, len) {
            self.values.clear();
            self.values.resize(len, 0.0);
            (self.rows, self.channels, self.pad) = (rows, channels, pad);
        }
    }

    /// Numbers of one item, padding included.
    fn item_len(&self) -> usize {
        (self.rows + 2 * self.pad) * self.channels
    }

    /// One item, padding included.
    pub fn item(&self, item: usize) -> &[f32] {
        &self.values[item * self.item_len()..(item + 1) * self.item_len()]
    }

    /// One item without its padding.
    pub fn inside(&self, item: usize) -> &[f32] {
        let pad = self.pad * self.channels;
        &self.item(item)[pad..pad + self.rows * self.channels]
    }

    /// The items in groups of `group`, for parallel writing.
    pub fn groups(&mut self, group: usize) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        let span = (group * self.item_len()).max(1);
        self.values.par_chunks_mut(span)
    }

    /// Where an item's rows lie in the slice of its group.
    pub fn place(&self) -> Place {
        Place { item: self.item_len(), from: self.pad * self.channels, len: self.rows * self.channels }
    }
}

/// Where items lie in a group's slice.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Numbers of an item.
    item: usize,
    from: usize,
    len: usize,
}

impl Place {
    /// Item `i` of a group, padding included.
    pub fn item<'a>(&self, group: &'a mut [f32], i: usize) -> &'a mut [f32] {
        &mut group[i * self.item..(i + 1) * self.item]
    }

    /// The rows of an item that [`Place::item`] gave.
    pub fn inside<'a>(&self, item: &'a mut [f32]) -> &'a mut [f32] {
        &mut item[self.from..self.from + self.len]
    }
}
