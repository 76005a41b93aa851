//! Runs the network over the streams of a batch: the one file here that knows an engine.

use crate::model::{Engine, ModelError, Steps, Stream, Work};

/// One stream's work in a batch.
pub(super) struct Job {
    pub stream: Stream,
    /// Prepared samples `[time, lead]`.
    pub input: Vec<f32>,
    pub finish: bool,
    /// Steps that became complete.
    pub steps: Steps,
}

/// Advances all streams in one call. After an error no stream of the batch can go on.
pub(super) fn infer(engine: &mut dyn Engine, jobs: &mut [Job]) -> Result<(), ModelError> {
    let mut work: Vec<Work<'_>> = jobs
        .iter_mut()
        .map(|job| Work {
            stream: &mut job.stream,
            input: &job.input,
            finish: job.finish,
            steps: Steps::default(),
        })
        .collect();
    engine.advance(&mut work)?;
    let steps: Vec<Steps> = work.into_iter().map(|w| w.steps).collect();
    for (job, steps) in jobs.iter_mut().zip(steps) {
        job.steps = steps;
    }
    Ok(())
}
