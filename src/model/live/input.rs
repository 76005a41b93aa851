//! What a layer of the CPU engine keeps of its input.

use super::Layer;
use crate::model::conv::Conv;
use crate::model::kernel::Finish;
use serde::{Deserialize, Serialize};

/// A convolution's input, as far as something still needs it, and how far the convolution has come.
#[derive(Serialize, Deserialize)]
pub(super) struct Input {
    pub conv: Conv,
    /// Rows kept; row i of the input is row `pad + i` here, before it lie the zeros of the segment's start.
    pub rows: Vec<f32>,
    /// Padded rows already dropped.
    pub dropped: usize,
    /// Next output.
    pub next: usize,
}

impl Input {
    pub fn new(conv: &Conv) -> Self {
        let mut input = Self { conv: *conv, rows: Vec::new(), dropped: 0, next: 0 };
        input.begin();
        input
    }

    /// The same rows as another's of the same layer.
    pub fn copy(&mut self, other: &Self) {
        self.rows.clear();
        self.rows.reserve_exact(other.rows.len());
        self.rows.extend_from_slice(&other.rows);
        (self.dropped, self.next) = (other.dropped, other.next);
    }

    /// Before the first row of a segment.
    pub fn begin(&mut self) {
        self.rows.clear();
        (self.dropped, self.next) = (0, 0);
        self.pad();
    }

    /// The zeros before the first row or behind the last one.
    pub fn pad(&mut self) {
        self.append(self.conv.pad());
    }

    /// Room for `n` more rows.
    pub fn append(&mut self, n: usize) -> &mut [f32] {
        let at = self.rows.len();
        self.rows.resize(at + n * self.conv.inputs, 0.0);
        &mut self.rows[at..]
    }

    /// From padded row `row` on.
    pub fn from(&self, row: usize) -> &[f32] {
        &self.rows[(row - self.dropped) * self.conv.inputs..]
    }

    /// From row `row` of the input itself on.
    pub fn inside(&self, row: usize) -> &[f32] {
        self.from(row + self.conv.pad())
    }

    /// Outputs that can be computed now.
    pub fn ready(&self) -> usize {
        let Conv { inputs, taps, stride, dilation, .. } = self.conv;
        let (have, span) = (self.dropped + self.rows.len() / inputs, (taps - 1) * dilation + 1);
        if have < span { 0 } else { ((have - span) / stride + 1).saturating_sub(self.next) }
    }

    /// Computes the next `n` outputs.
    pub fn run(&mut self, layer: &Layer, n: usize, out: &mut [f32], finish: Finish<'_>) {
        if n > 0 {
            layer.conv.forward(self.from(self.next * self.conv.stride), &layer.kernel, n, out, finish);
        }
        self.next += n;
    }

    /// Drops what lies before padded row `row` and before the next output's reach.
    pub fn drop_before(&mut self, row: usize) {
        // A stride may point behind what has come yet.
        let have = self.dropped + self.rows.len() / self.conv.inputs;
        let row = row.min(self.next * self.conv.stride).min(have);
        self.rows.drain(..(row - self.dropped) * self.conv.inputs);
        self.dropped = row;
    }
}
