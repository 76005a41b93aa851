//! What a device is asked to do when it is proved: the windows, beds and training steps that Wardbeat runs, on made-up
//! signals. The checks are `model::proof`'s; who calls measures the time.

use crate::model::{Bundle, Engine, LEADS, ModelError, Steps, Stream, Work};
use crate::pipeline::{Analyser, Due, Part};
use contract::limits::BATCH_MAX;
use contract::{BedId, LeadId, Mode, Ratio, UtcMs};
use ndarray::Array2;
use std::sync::Arc;

/// Rate of the made-up monitors.
const RATE_HZ: u32 = 250;
/// Their leads.
const BED_LEADS: [&str; 2] = ["II", "V1"];

/// A beat a second in mV, with a little of a slow wave; the same in every second.
fn beat(i: usize, gain: f32) -> f32 {
    let t = i as f32 / RATE_HZ as f32;
    let bump = |at: f32, wide: f32, high: f32| high * (-((t - at) / wide).powi(2)).exp();
    gain * (bump(0.2, 0.03, 0.12) + bump(0.35, 0.015, 1.1) - bump(0.38, 0.012, 0.3) + bump(0.6, 0.06, 0.25))
        + 0.01 * (t * std::f32::consts::TAU * 3.0).sin()
}

/// Streams of one engine that go on a second at a time.
pub struct Windows<'a> {
    engine: &'a mut dyn Engine,
    streams: Vec<Stream>,
    second: Vec<f32>,
}

impl<'a> Windows<'a> {
    /// So many streams with all leads.
    #[must_use]
    pub fn new(engine: &'a mut dyn Engine, streams: usize) -> Self {
        let streams = (0..streams).map(|_| engine.open(0xfff)).collect();
        let second = (0..100 * LEADS).map(|i| 4.0 * beat(i / LEADS * RATE_HZ as usize / 100, 1.0)).collect();
        Self { engine, streams, second }
    }

    /// One call for all streams; gives the steps that came.
    ///
    /// # Errors
    /// [`ModelError`] if the engine fails.
    pub fn hop(&mut self) -> Result<usize, ModelError> {
        let work = |stream| Work { stream, input: &self.second, finish: false, steps: Steps::default() };
        let mut work: Vec<Work<'_>> = self.streams.iter_mut().map(work).collect();
        self.engine.advance(&mut work)?;
        Ok(work.iter().map(|w| w.steps.count).sum())
    }
}

/// Beds on one analysis thread: filters, network, clusters, readings.
pub struct Beds {
    analyser: Analyser,
    hops: Vec<Due>,
}

impl Beds {
    /// So many beds with two leads at 250 Hz.
    ///
    /// # Panics
    /// Never: names and rate are valid.
    #[must_use]
    pub fn new(bundle: Arc<Bundle>, engine: Box<dyn Engine>, beds: usize) -> Self {
        let leads = BED_LEADS.map(|lead| LeadId::new(lead).expect("a valid name")).to_vec();
        let samples = |(lead, i): (usize, usize)| beat(i, [1.0, -0.7][lead]);
        let samples_mv = Array2::from_shape_fn((leads.len(), RATE_HZ as usize), samples);
        let due = |bed: usize| Due {
            bed: BedId::new(&format!("proof/ward/b{bed:05}")).expect("a valid name"),
            epoch: 0,
            window: 0,
            from_n: 0,
            to_n: u64::from(RATE_HZ),
            rate: Ratio::hz(RATE_HZ).expect("a valid rate"),
            end: UtcMs(0),
            mode: Mode::Test,
            paced: false,
            lead_off: false,
            leads: leads.clone(),
            samples_mv: samples_mv.clone(),
            part: Part::Live,
        };
        Self { analyser: Analyser::new(bundle, engine), hops: (0..beds).map(due).collect() }
    }

    /// A second of every bed, in calls as the daemon makes them; gives how many beds were read.
    pub fn hop(&mut self) -> usize {
        let mut read = 0;
        for part in self.hops.chunks(BATCH_MAX) {
            read += self.analyser.analyse(part).iter().filter(|f| f.reading.is_ok()).count();
        }
        for due in &mut self.hops {
            due.window += 1;
            (due.from_n, due.to_n) = (due.to_n, due.to_n + u64::from(RATE_HZ));
            due.end = UtcMs(due.end.0 + 1_000);
        }
        read
    }

    /// The engine that computes now.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.analyser.engine().family()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::open_engine;

    #[test]
    fn made_up_beds_are_read_once_their_window_is_warm() -> Result<(), ModelError> {
        let bundle = Arc::new(Bundle::tiny(2));
        let mut beds = Beds::new(bundle.clone(), open_engine(&bundle, "cpu")?, 3);
        let read: Vec<usize> = (0..8).map(|_| beds.hop()).collect();
        assert_eq!((read[0], read[7]), (0, 3), "{read:?}");
        Ok(())
    }

    #[test]
    fn streams_give_25_steps_a_second_once_they_run() -> Result<(), ModelError> {
        let bundle = Bundle::tiny(2);
        let mut engine = open_engine(&bundle, "candle")?;
        let mut windows = Windows::new(engine.as_mut(), 5);
        let steps = (0..4).map(|_| windows.hop()).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(steps[3], 5 * 25, "{steps:?}");
        Ok(())
    }
}
