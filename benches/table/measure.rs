//! Turns, medians, and the yardstick of a core.

use cpu_time::ProcessTime;
use std::hint::black_box;
use std::time::Instant;
use wardbeat::model::burst;

/// What one call cost.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    pub wall_ms: f64,
    /// Of all threads of the process.
    pub cpu_ms: f64,
}

/// Calls `body` `n` times.
pub fn timed(n: usize, mut body: impl FnMut()) -> Vec<Spent> {
    let one = |()| {
        let (cpu, wall) = (ProcessTime::now(), Instant::now());
        body();
        Spent { wall_ms: wall.elapsed().as_secs_f64() * 1e3, cpu_ms: cpu.elapsed().as_secs_f64() * 1e3 }
    };
    std::iter::repeat_n((), n).map(one).collect()
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// All calls of one contestant.
#[derive(Debug, Clone, Default)]
pub struct Calls(pub Vec<Spent>);

impl Calls {
    pub fn wall_ms(&self) -> f64 {
        median(self.0.iter().map(|s| s.wall_ms))
    }

    pub fn cpu_ms(&self) -> f64 {
        median(self.0.iter().map(|s| s.cpu_ms))
    }

    /// How many times faster than `other`, by CPU time: on a busy machine it is what remains comparable, on a quiet one
    /// it equals wall time where one thread works.
    pub fn faster_than(&self, other: &Self) -> f64 {
        other.cpu_ms() / self.cpu_ms()
    }

    /// The same by wall time, for work on several threads.
    pub fn sooner_than(&self, other: &Self) -> f64 {
        other.wall_ms() / self.wall_ms()
    }
}

/// One that takes part: a name, and what runs it for one turn.
pub type Contestant<'a> = (String, Box<dyn FnMut() -> anyhow::Result<Vec<Spent>> + 'a>);

/// Each contestant in turn, `rounds` times; the first round is thrown away.
pub fn take_turns(rounds: usize, contestants: &mut [Contestant<'_>]) -> anyhow::Result<Vec<(String, Calls)>> {
    let mut all: Vec<_> = contestants.iter().map(|(name, _)| (name.clone(), Calls::default())).collect();
    for round in 0..=rounds {
        for ((_, turn), (_, calls)) in contestants.iter_mut().zip(&mut all) {
            let spent = turn()?;
            if round > 0 {
                calls.0.extend(spent);
            }
        }
    }
    Ok(all)
}

/// Runs `body` on the last core only, with all processes that it starts.
pub fn on_one_core<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let pinned = || {
        // Where the system refuses, the figures are noisier and no less true.
        core_affinity::get_core_ids().and_then(|ids| ids.last().copied()).map(core_affinity::set_for_current);
        body()
    };
    std::thread::scope(|scope| scope.spawn(pinned).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Fused multiply-adds from registers only, in GFLOP/s of CPU time: what one core can do at most.
pub fn peak_gflops() -> f64 {
    let rounds = 2_000_000;
    let calls = Calls(timed(7, || {
        black_box(burst(black_box(rounds)));
    }));
    burst(rounds).0 / calls.cpu_ms() / 1e6
}
