//! How a receiver behaves, message by message.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

/// What a receiver does with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Takes it and says so (CA; 204).
    Well,
    /// As well, but late.
    Slow,
    /// Reports an error that may pass (AE; 503).
    Error,
    /// Refuses it for good (AR; 400).
    Reject,
    /// Will take nothing any more (CR; 410).
    Gone,
    /// Answers another message (a wrong MSA-2; a redirect).
    WrongId,
    /// Sends half an answer and then nothing.
    HalfFrame,
    /// Sends the answer to another message and the right one in one packet (webhook: the answer twice).
    TwoFrames,
    /// Sends the answer in pieces, with NULs before it and without its last CR.
    Pieces,
    /// Closes after the message and before the answer.
    Drop,
    /// Answers well, then closes.
    CloseAfter,
    /// Ends its side without an answer and goes on reading.
    HalfClose,
    /// Says nothing.
    Silent,
    /// Answers with bytes of another protocol.
    Garbage,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Well,
        Self::Slow,
        Self::Error,
        Self::Reject,
        Self::Gone,
        Self::WrongId,
        Self::HalfFrame,
        Self::TwoFrames,
        Self::Pieces,
        Self::Drop,
        Self::CloseAfter,
        Self::HalfClose,
        Self::Silent,
        Self::Garbage,
    ];

    /// Whether the sender, if it reads the answer rightly, may take the message as delivered.
    #[must_use]
    pub fn accepts(self) -> bool {
        matches!(self, Self::Well | Self::Slow | Self::TwoFrames | Self::Pieces | Self::CloseAfter)
    }

    /// Whether it refuses for good: a sender must not try again.
    #[must_use]
    pub fn refuses(self) -> bool {
        matches!(self, Self::Reject | Self::Gone)
    }
}

impl FromStr for Behaviour {
    type Err = String;

    /// The words of the ledger: `well`, `half-frame` …
    fn from_str(word: &str) -> Result<Self, String> {
        let name = |b: &Self| serde_json::to_value(b).ok().and_then(|v| v.as_str().map(String::from));
        let known = || Self::ALL.iter().filter_map(name).collect::<Vec<_>>().join(", ");
        let found = Self::ALL.into_iter().find(|b| name(b).as_deref() == Some(word.trim()));
        found.ok_or_else(|| format!("{word:?} is not a behaviour; one of {}", known()))
    }
}

/// Which message is met with which behaviour: first a given list, then draws by seed, else well.
#[derive(Debug, Clone)]
pub struct Schedule {
    first: VecDeque<Behaviour>,
    draws: ChaCha8Rng,
    bad_share: f64,
    among: Vec<Behaviour>,
    slow: Duration,
}

impl Schedule {
    /// Always well.
    #[must_use]
    pub fn well() -> Self {
        Self::scripted(&[])
    }

    /// The given behaviours for the first messages, then well.
    #[must_use]
    pub fn scripted(first: &[Behaviour]) -> Self {
        let slow = Duration::from_millis(150);
        let draws = ChaCha8Rng::seed_from_u64(0);
        Self { first: VecDeque::new(), draws, bad_share: 0.0, among: Vec::new(), slow }.beginning_with(first)
    }

    /// A `bad_share` (0 to 1) of the messages is met with one of `among`, drawn by `seed`.
    #[must_use]
    pub fn seeded(seed: u64, bad_share: f64, among: &[Behaviour]) -> Self {
        let draws = ChaCha8Rng::seed_from_u64(seed);
        Self { draws, bad_share, among: among.to_vec(), ..Self::well() }
    }

    /// The given behaviours for the first messages, then as before.
    #[must_use]
    pub fn beginning_with(self, first: &[Behaviour]) -> Self {
        Self { first: first.iter().copied().collect(), ..self }
    }

    /// How late a slow answer comes.
    #[must_use]
    pub fn slow_by(self, slow: Duration) -> Self {
        Self { slow, ..self }
    }

    /// The delay of [`Behaviour::Slow`].
    #[must_use]
    pub fn slow(&self) -> Duration {
        self.slow
    }

    /// The behaviour for the next message.
    pub fn draw(&mut self) -> Behaviour {
        if let Some(first) = self.first.pop_front() {
            return first;
        }
        let bad = !self.among.is_empty() && self.draws.random::<f64>() < self.bad_share;
        if bad { self.among[self.draws.random_range(0..self.among.len())] } else { Behaviour::Well }
    }
}
