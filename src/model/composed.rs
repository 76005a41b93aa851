//! The training network in candle's own operations, differentiated by candle: what trains on a GPU, and the same on any
//! device that candle knows.
//!
//! Its convolution is one matrix product over the taps laid side by side, because candle's own gradient of `conv1d` is
//! wrong for more than one item a batch (docs/decisions.md). Statistics, dropout and the order of parameters are those of
//! [`Net`](super::Net): a step gives the same losses, gradients and moments to 1e-4.

use super::Architecture;
use super::block::BlockShape;
use super::conv::Conv;
use super::dropout::Dropout;
use super::norm::{EPSILON, Moments};
use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;

/// Mean and variance `[1, channel]` of every norm of a batch and the rows of an item they are over: the stem's, then
/// two for each block.
pub(super) type BatchMoments = Vec<([Tensor; 2], usize)>;

/// A batch's statistics, on the host.
///
/// # Errors
/// If the device fails.
pub(super) fn on_host(moments: &BatchMoments) -> Result<Vec<(Moments, usize)>> {
    let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
    let host = |([mean, var], rows): &([Tensor; 2], usize)| {
        Ok((Moments { mean: numbers(mean)?, var: numbers(var)? }, *rows))
    };
    moments.iter().map(host).collect()
}

/// The convolution of x `[n, time, in]` with a kernel of `[tap, in, out]` numbers in any shape.
pub(super) fn convolve(x: &Tensor, kernel: &Tensor, conv: &Conv) -> Result<Tensor> {
    let (n, time, inputs) = x.dims3()?;
    let (rows, stride) = (conv.out_len(time), conv.stride);
    // Behind the input so many zero rows that each tap finds whole strides.
    let padded = x.pad_with_zeros(1, conv.pad(), conv.pad() + rows * stride - time)?;
    let tap = |tap: usize| {
        let seen = padded.narrow(1, tap * conv.dilation, rows * stride)?;
        if stride == 1 {
            Ok(seen)
        } else {
            seen.reshape((n, rows, stride, inputs))?.narrow(2, 0, 1)?.squeeze(2)
        }
    };
    let taps = (0..conv.taps).map(tap).collect::<Result<Vec<_>>>()?;
    let all = Tensor::cat(&taps, 2)?.reshape((n * rows, conv.taps * inputs))?;
    all.matmul(&kernel.reshape((conv.taps * inputs, conv.outputs))?)?.reshape((n, rows, conv.outputs))
}

/// Batch norm over items and time with the batch's own statistics.
fn norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, moments: &mut BatchMoments) -> Result<Tensor> {
    let (n, rows, channels) = x.dims3()?;
    let flat = x.reshape((n * rows, channels))?;
    let mean = flat.mean_keepdim(0)?;
    let centred = flat.broadcast_sub(&mean)?;
    let var = centred.sqr()?.mean_keepdim(0)?;
    let unit = centred.broadcast_div(&(&var + EPSILON)?.sqrt()?)?;
    moments.push(([mean.detach(), var.detach()], rows));
    unit.broadcast_mul(gamma)?.broadcast_add(beta)?.reshape((n, rows, channels))
}

/// What dropout multiplies the hidden layer `[n, rows, channel]` with: the masks of the CPU's training.
fn dropout(
    share: f32,
    seed: u64,
    (n, rows, channels): (usize, usize, usize),
    device: &Device,
) -> Result<Tensor> {
    let mut kept = vec![0_u8; n * rows * channels];
    let scale = kept
        .par_chunks_mut(rows * channels)
        .enumerate()
        .map(|(item, kept)| {
            let mut values = vec![1.0_f32; kept.len()];
            Dropout::new(share, seed, item).apply(&mut values);
            kept.iter_mut().zip(&values).for_each(|(k, v)| *k = u8::from(*v > 0.0));
            values.into_iter().fold(0.0, f32::max)
        })
        .reduce(|| 0.0, f32::max);
    // One byte a value travels to the device.
    let kept = Tensor::from_vec(kept, (n, rows, channels), device)?;
    kept.to_dtype(DType::F32)?.affine(f64::from(scale), 0.0)
}

/// One residual block; `p` as [`BlockShape::ranges`] lays it out.
fn block(
    x: &Tensor,
    p: &Tensor,
    shape: &BlockShape,
    (share, seed): (f32, u64),
    moments: &mut BatchMoments,
) -> Result<Tensor> {
    let ranges = shape.ranges();
    let part = |i: usize| p.narrow(0, ranges[i].start, ranges[i].len());
    let h = convolve(x, &part(0)?, &shape.conv1)?;
    let mut h = norm(&h, &part(1)?, &part(2)?, moments)?.relu()?;
    if share > 0.0 {
        h = (&h * dropout(share, seed, h.dims3()?, x.device())?)?;
    }
    let h = convolve(&h, &part(3)?, &shape.conv2)?;
    let h = norm(&h, &part(4)?, &part(5)?, moments)?;
    let skipped = match &shape.skip {
        Some(conv) => convolve(x, &part(6)?, conv)?,
        None => x.clone(),
    };
    (h + skipped)?.relu()
}

/// The mean over steps `[n, features]` of x `[n, time, 12]` with the leads in mask `[n, 12]`, in training mode, and the
/// batch's statistics. `stem` holds kernel, lead term, scale and shift, `blocks` one flat tensor each; all on one device.
///
/// # Errors
/// If shapes do not fit or the device fails.
pub(super) fn trunk(
    shape: &Architecture,
    stem: [&Tensor; 4],
    blocks: &[&Tensor],
    [x, mask]: [&Tensor; 2],
    seed: u64,
) -> Result<(Tensor, BatchMoments)> {
    let mut moments = BatchMoments::new();
    let [kernel, lead, gamma, beta] = stem;
    let lead = mask.matmul(lead)?.unsqueeze(1)?;
    let h = convolve(x, kernel, &shape.stem())?.broadcast_add(&lead)?;
    let mut y = norm(&h, gamma, beta, &mut moments)?.relu()?;
    for (i, ((block_shape, spec), p)) in shape.blocks().iter().zip(&shape.blocks).zip(blocks).enumerate() {
        // As the trunk on the CPU draws it.
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i as u64);
        y = block(&y, p, block_shape, (spec.dropout, seed), &mut moments)?;
    }
    Ok((y.mean(1)?, moments))
}
