//! How far a device's arithmetic is from the definition: what `wardbeat prove` reports and the tests hold to limits.
//!
//! Every figure is a largest difference relative to the size of what is compared; 1e-4 is what a device may be off.

use super::composed::convolve;
use super::conv::Conv;
use super::engine::{Engine, Stream, Work};
use super::live::LiveEngine;
use super::{Architecture, BlockSpec, Bundle, LEADS, ModelError, Net, Steps};
use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn wide(v: &[f32]) -> Vec<f64> {
    v.iter().map(|&v| f64::from(v)).collect()
}

/// Largest difference over the largest value.
fn off(got: &[f32], want: &[f32]) -> f64 {
    let scale = want.iter().fold(1e-3_f32, |m, v| m.max(v.abs()));
    // A NaN on either side must not look like agreement.
    let worst = got
        .iter()
        .zip(want)
        .map(|(a, b)| f64::from((a - b).abs()))
        .fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
    if got.len() == want.len() { worst / f64::from(scale) } else { f64::INFINITY }
}

/// The convolution as its definition says, in f64.
fn definition(conv: &Conv, x: &[f64], w: &[f64], n: usize, time: usize) -> Vec<f64> {
    let rows = conv.out_len(time);
    let mut y = vec![0.0; n * rows * conv.outputs];
    for (b, t) in (0..n).flat_map(|b| (0..rows).map(move |t| (b, t))) {
        for tap in 0..conv.taps {
            let u = (t * conv.stride + tap * conv.dilation) as isize - conv.pad() as isize;
            if !(0..time as isize).contains(&u) {
                continue;
            }
            for i in 0..conv.inputs {
                let v = x[(b * time + u as usize) * conv.inputs + i];
                for o in 0..conv.outputs {
                    y[(b * rows + t) * conv.outputs + o] += v * w[(tap * conv.inputs + i) * conv.outputs + o];
                }
            }
        }
    }
    y
}

/// The composed convolution on a device, as `against_definition` judges it.
///
/// # Errors
/// If the device fails.
pub fn convolution(conv: &Conv, n: usize, time: usize, device: &Device) -> Result<[f64; 3]> {
    against_definition(conv, n, time, device, |x, w| convolve(x, w, conv))
}

/// A convolution for `n` items of `time` rows: forward, input gradient and kernel gradient against the definition and its
/// central differences along one direction, in f64.
///
/// # Errors
/// If the device fails.
pub(super) fn against_definition(
    conv: &Conv,
    n: usize,
    time: usize,
    device: &Device,
    convolve: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<[f64; 3]> {
    let rows = conv.out_len(time);
    let (x, w) = (random(n * time * conv.inputs, 1), random(conv.weights(), 2));
    let (g, vx, vw) = (random(n * rows * conv.outputs, 3), random(x.len(), 4), random(w.len(), 5));
    let dot = |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
    let slope = |along_x: f64, along_w: f64| {
        let at = |h: f64| {
            let moved = |base: &[f32], v: &[f32], h: f64| -> Vec<f64> {
                base.iter().zip(v).map(|(b, v)| f64::from(*b) + h * f64::from(*v)).collect()
            };
            dot(&definition(conv, &moved(&x, &vx, h * along_x), &moved(&w, &vw, h * along_w), n, time), &g)
        };
        (at(1e-3) - at(-1e-3)) / 2e-3
    };
    let tx = Var::from_vec(x.clone(), (n, time, conv.inputs), device)?;
    let tw = Var::from_vec(w.clone(), (conv.taps, conv.inputs, conv.outputs), device)?;
    let y = convolve(&tx, &tw)?;
    let want: Vec<f32> = definition(conv, &wide(&x), &wide(&w), n, time).iter().map(|v| *v as f32).collect();
    let forward = off(&numbers(&y)?, &want);
    let tg = Tensor::from_vec(g.clone(), (n, rows, conv.outputs), device)?;
    let grads = (y * tg)?.sum_all()?.backward()?;
    let along = |var: &Var, v: &[f32], want: f64| -> Result<f64> {
        let Some(grad) = grads.get(var.as_tensor()) else { return Ok(f64::INFINITY) };
        let grad = grad.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        Ok((dot(&grad, v) - want).abs() / want.abs().max(1.0))
    };
    Ok([forward, along(&tx, &vx, slope(1.0, 0.0))?, along(&tw, &vw, slope(0.0, 1.0))?])
}

/// Every convolution shape of a network, its inputs and outputs cut to a few: the arithmetic is the same for each channel.
#[must_use]
pub fn convolution_shapes(shape: &Architecture) -> Vec<Conv> {
    let small = |conv: Conv| Conv { inputs: 3, outputs: 5, ..conv };
    let blocks = shape.blocks().into_iter().flat_map(|b| [Some(b.conv1), Some(b.conv2), b.skip]);
    let mut shapes: Vec<Conv> = std::iter::once(shape.stem()).chain(blocks.flatten()).map(small).collect();
    shapes.sort_by_key(|c| (c.taps, c.stride, c.dilation));
    shapes.dedup();
    shapes
}

/// What one training step on a device is off from the CPU's.
#[derive(Debug, Clone, Copy)]
pub struct StepErrors {
    /// Logits of classes and statements.
    pub logits: f64,
    /// Running statistics of the norms after the step.
    pub moments: f64,
    /// Gradients of all parameters.
    pub gradients: f64,
}

/// A batch of noise in the form of training's.
struct Noise {
    x: Tensor,
    mask: Tensor,
    head_mask: Tensor,
}

impl Noise {
    fn new(net: &Net, n: usize, time: usize, device: &Device) -> Result<Self> {
        let features = net.shape.features();
        let head: Vec<f32> =
            random(n * features, 9).iter().map(|v| if *v < -0.4 { 0.0 } else { 1.0 / 0.7 }).collect();
        let masks: Vec<f32> = random(n * LEADS, 8).iter().map(|v| f32::from(u8::from(*v > -0.5))).collect();
        Ok(Self {
            x: Tensor::from_vec(random(n * time * LEADS, 7), (n, time, LEADS), device)?,
            mask: Tensor::from_vec(masks, (n, LEADS), device)?,
            head_mask: Tensor::from_vec(head, (n, features), device)?,
        })
    }
}

/// A network with every kind of block, small enough for a check in seconds.
#[must_use]
pub fn small_network() -> Architecture {
    let block =
        |channels, taps, stride, dilation, dropout| BlockSpec { channels, taps, stride, dilation, dropout };
    Architecture {
        stem_channels: 8,
        blocks: vec![block(8, 5, 1, 1, 0.0), block(12, 5, 2, 1, 0.1), block(12, 3, 1, 4, 0.2)],
        taps: vec![1, 2],
        ..Architecture::default()
    }
}

/// One step of training on noise, dropout included: composed on `device` against the CPU's own operation.
///
/// # Errors
/// If the device fails.
pub fn training_step(shape: &Architecture, n: usize, time: usize, device: &Device) -> Result<StepErrors> {
    let (seed, statements) = (11, 7);
    let nets = [
        (Net::new(shape.clone(), statements, seed)?, &Device::Cpu),
        (Net::composed(shape.clone(), statements, seed, device.clone())?, device),
    ];
    let mut sides = Vec::new();
    for (mut net, device) in nets {
        let noise = Noise::new(&net, n, time, device)?;
        let (classes, auxiliary) = net.forward(&noise.x, &noise.mask, &noise.head_mask, seed)?;
        let mut value = Tensor::zeros((), DType::F32, device)?;
        for (i, logits) in [&classes, &auxiliary].into_iter().enumerate() {
            let weights = random(logits.elem_count(), i as u64 + 1);
            let weights = Tensor::from_vec(weights, logits.shape(), device)?;
            value = (value + (logits * weights)?.sum_all()?)?;
        }
        let grads = value.backward()?;
        net.update_running(n, time)?;
        let mut gradients = Vec::new();
        for p in &net.params {
            let Some(grad) = grads.get(p.var.as_tensor()) else {
                candle_core::bail!("{} has no gradient", p.name);
            };
            gradients.push(numbers(grad)?);
        }
        let moments = net.running.iter().flat_map(|m| [m.mean.clone(), m.var.clone()]).collect();
        sides.push([vec![numbers(&classes)?, numbers(&auxiliary)?], moments, gradients]);
    }
    let worst = |part: usize| {
        let pairs = sides[1][part].iter().zip(&sides[0][part]);
        pairs.map(|(got, want): (&Vec<f32>, &Vec<f32>)| off(got, want)).fold(0.0, f64::max)
    };
    Ok(StepErrors { logits: worst(0), moments: worst(1), gradients: worst(2) })
}

fn numbers(t: &Tensor) -> Result<Vec<f32>> {
    t.flatten_all()?.to_vec1()
}

/// What an engine is off from the CPU's on noise in a few lead sets, in pieces of a second: taps and logits.
///
/// # Errors
/// [`ModelError`] if an engine fails.
pub fn engine(
    bundle: &Bundle,
    engine: &mut dyn Engine,
    beds: usize,
    seconds: usize,
) -> std::result::Result<[f64; 2], ModelError> {
    let mut cpu = LiveEngine::new(bundle.network.clone());
    let masks: Vec<u16> = (0..beds).map(|bed| [0xfff, 0x3f, 0x42, 0x2][bed % 4]).collect();
    let signals: Vec<Vec<f32>> = (0..beds)
        .map(|bed| random(seconds * 100 * LEADS, bed as u64).iter().map(|v| v * 4.0).collect())
        .collect();
    let mut all = Vec::new();
    for engine in [engine, &mut cpu as &mut dyn Engine] {
        let mut streams: Vec<Stream> = masks.iter().map(|mask| engine.open(*mask)).collect();
        let (mut taps, mut logits) = (Vec::new(), Vec::new());
        for second in 0..seconds {
            let input = second * 100 * LEADS..(second + 1) * 100 * LEADS;
            let streams = streams.iter_mut().zip(&signals);
            let mut work: Vec<Work<'_>> = streams
                .map(|(stream, signal)| Work {
                    stream,
                    input: &signal[input.clone()],
                    finish: second + 1 == seconds,
                    steps: Steps::default(),
                })
                .collect();
            engine.advance(&mut work)?;
            for w in work {
                taps.extend(w.steps.taps);
                logits.extend(w.steps.logits);
            }
        }
        all.push([taps, logits]);
    }
    Ok([0, 1].map(|i| off(&all[0][i], &all[1][i])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_composed_convolution_has_the_right_gradients_for_more_than_one_item_a_batch() -> Result<()> {
        let mut shapes = convolution_shapes(&Architecture::default());
        shapes.push(Conv { inputs: 3, outputs: 5, taps: 3, stride: 2, dilation: 4 });
        assert!(shapes.len() >= 8, "{shapes:?}");
        for conv in &shapes {
            for (n, time) in [(1, 40), (4, 41), (4, 40), (9, 17)] {
                let errors = convolution(conv, n, time, &Device::Cpu)?;
                assert!(errors.iter().all(|e| *e < 1e-4), "{conv:?} n {n} time {time}: {errors:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_composed_training_step_equals_the_cpus_own() -> Result<()> {
        for (n, time) in [(4, 200), (9, 133)] {
            let e = training_step(&small_network(), n, time, &Device::Cpu)?;
            assert!(e.logits < 1e-4 && e.moments < 1e-4 && e.gradients < 1e-3, "{n} {time}: {e:?}");
        }
        Ok(())
    }

    #[test]
    fn nothing_is_called_equal_that_is_not() {
        assert!(off(&[f32::NAN], &[1.0]).is_infinite());
        assert!(off(&[1.0, 2.0], &[1.0]).is_infinite());
        assert!((off(&[1.0, 2.1], &[1.0, 2.0]) - 0.05).abs() < 1e-6);
    }
}
