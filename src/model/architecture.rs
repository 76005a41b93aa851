//! The shape of the 1D-ResNet (docs/method.md, the network), as the manifest describes it.

use super::LEADS;
use super::block::BlockShape;
use super::conv::Conv;
use serde::{Deserialize, Serialize};

/// One residual block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockSpec {
    /// Output channels.
    pub channels: usize,
    /// Taps of both convolutions, odd.
    pub taps: usize,
    /// Stride of the first convolution.
    pub stride: usize,
    /// Dilation of both.
    pub dilation: usize,
    /// Dropout inside the block while training.
    pub dropout: f32,
}

/// The whole network: a stem, residual blocks, a mean over steps, a linear head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Channels of the stem.
    pub stem_channels: usize,
    /// Taps of the stem, odd.
    pub stem_taps: usize,
    /// Stride of the stem.
    pub stem_stride: usize,
    /// The blocks, first to last.
    pub blocks: Vec<BlockSpec>,
    /// Indices of the blocks whose outputs are read as taps, ascending; the last block must be among them.
    pub taps: Vec<usize>,
    /// Names of the classes.
    pub classes: Vec<String>,
}

impl Default for Architecture {
    /// The network of docs/method.md: 625,221 parameters, one step per 4 samples.
    fn default() -> Self {
        let block = |channels, taps, stride, dilation, dropout| BlockSpec {
            channels,
            taps,
            stride,
            dilation,
            dropout,
        };
        Self {
            stem_channels: 32,
            stem_taps: 11,
            stem_stride: 2,
            blocks: vec![
                block(32, 5, 1, 1, 0.0),
                block(64, 5, 2, 1, 0.0),
                block(128, 3, 1, 1, 0.1),
                block(128, 3, 1, 1, 0.1),
                block(128, 3, 1, 2, 0.1),
                block(128, 3, 1, 2, 0.1),
                block(128, 3, 1, 4, 0.1),
                block(128, 3, 1, 4, 0.1),
            ],
            taps: vec![5, 6, 7],
            classes: ["NORM", "MI", "STTC", "CD", "HYP"].map(String::from).to_vec(),
        }
    }
}

impl Architecture {
    /// The stem's convolution.
    #[must_use]
    pub fn stem(&self) -> Conv {
        Conv {
            inputs: LEADS,
            outputs: self.stem_channels,
            taps: self.stem_taps,
            stride: self.stem_stride,
            dilation: 1,
        }
    }

    /// The blocks' convolutions.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockShape> {
        let mut inputs = self.stem_channels;
        let shape = |spec: &BlockSpec| {
            let BlockSpec { channels: outputs, taps, stride, dilation, .. } = *spec;
            let conv1 = Conv { inputs, outputs, taps, stride, dilation };
            let skip = (inputs != outputs || stride > 1).then_some(Conv { taps: 1, dilation: 1, ..conv1 });
            inputs = outputs;
            BlockShape { conv1, conv2: Conv { inputs: outputs, stride: 1, ..conv1 }, skip }
        };
        self.blocks.iter().map(shape).collect()
    }

    /// Channels of the last block: the head's input.
    #[must_use]
    pub fn features(&self) -> usize {
        self.blocks.last().map_or(self.stem_channels, |b| b.channels)
    }

    /// Channels of all taps together.
    #[must_use]
    pub fn tap_channels(&self) -> usize {
        self.taps.iter().map(|&t| self.blocks[t].channels).sum()
    }

    /// Input samples of one step.
    #[must_use]
    pub fn step_samples(&self) -> usize {
        self.stem_stride * self.blocks.iter().map(|b| b.stride).product::<usize>()
    }

    /// Input samples that a step needs after (and before) its centre.
    #[must_use]
    pub fn reach_samples(&self) -> usize {
        let (mut reach, mut scale) = (self.stem().pad(), self.stem_stride);
        for block in self.blocks() {
            reach += block.conv1.pad() * scale;
            scale *= block.conv1.stride;
            reach += block.conv2.pad() * scale;
        }
        reach
    }

    /// Why the shape cannot be run, if it cannot.
    ///
    /// # Errors
    /// A sentence that names the fault.
    pub fn check(&self) -> Result<(), String> {
        let odd = |taps: usize| taps % 2 == 1 && taps <= 31;
        let channels = |c: usize| (1..=1024).contains(&c);
        if !odd(self.stem_taps) || !channels(self.stem_channels) || !(1..=8).contains(&self.stem_stride) {
            return Err("the stem needs odd taps up to 31, 1 to 1024 channels and a stride of 1 to 8".into());
        }
        let ok = |b: &BlockSpec| {
            odd(b.taps)
                && channels(b.channels)
                && (1..=4).contains(&b.stride)
                && (1..=16).contains(&b.dilation)
        };
        if self.blocks.is_empty() || self.blocks.len() > 64 || !self.blocks.iter().all(ok) {
            return Err(
                "1 to 64 blocks of odd taps, 1 to 1024 channels, stride 1 to 4, dilation 1 to 16".into()
            );
        }
        let after = self.taps.first().map_or(0, |&t| t + 1);
        if self.taps.last() != Some(&(self.blocks.len() - 1)) || !self.taps.is_sorted() {
            return Err("taps must ascend and end with the last block".into());
        }
        if self.blocks.iter().skip(after).any(|b| b.stride > 1) {
            return Err("no stride may follow the first tap: all taps share one step".into());
        }
        if self.classes.is_empty() || self.classes.len() > 64 {
            return Err("1 to 64 classes".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_shape_has_the_documented_reach() {
        let shape = Architecture::default();
        assert_eq!(shape.check(), Ok(()));
        assert_eq!(shape.step_samples(), 4);
        assert_eq!(shape.reach_samples(), 137);
        assert_eq!(shape.tap_channels(), 384);
    }
}
