//! The channels of the fused score: one second of a bed in named numbers, most of them against the bed's own past.
//!
//! What it does: keeps ten minutes of a bed ([`Facts`] a second), compares the newest seconds on several time scales with
//! what is usual, and gives every channel its number; the bundle's weights make one score of them (`score`).
//! What it never does: decide, name a rhythm, learn weights (`workshop::bedside` does).
//! Door: [`Channels`], one a bed. Who calls it: `Decider`, and the bench of alerts through `pipeline`.

mod beats;
mod facts;
mod score;
mod usual;
mod windows;

pub use facts::Facts;
pub use score::{Fused, Scored};

use beats::{BEATS, Beating};
use contract::Code;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use usual::Usual;
use windows::{SCALES_S, Window, trailing};

/// Seconds of the past that are usual at most.
const PAST_S: usize = 600;
/// The newest seconds are not part of it.
const LAG_S: usize = 15;
/// The filters' and the network's first seconds are not either.
const FIRST_S: u64 = 6;
/// What is usual is renewed this often, in seconds.
const RENEW_S: u64 = 5;
/// Seconds of the past without which nothing is compared.
const ROWS_MIN: usize = 8;
/// Seconds over which the signal's quality is told.
const QUALITY_S: usize = 5;
/// The newest seconds that must have been read, every lead in use good, for a verdict.
const GOOD_S: usize = 5;
/// Time scales on which shares of clusters are channels themselves.
const SHARE_SCALES: [usize; 2] = [0, 2];

/// What a channel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Entropy of the assignment.
    Entropy,
    /// Distance to the nearest cluster.
    Novelty,
    /// Shares of clusters and class evidence.
    Mix,
    /// Heart beats.
    Beats,
    /// Amplitude.
    Amplitude,
    /// Quality of the signal.
    Signal,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Entropy, Self::Novelty, Self::Mix, Self::Beats, Self::Amplitude, Self::Signal];

    /// Its word in evidence and tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::Novelty => "novelty",
            Self::Mix => "mix",
            Self::Beats => "beats",
            Self::Amplitude => "amplitude",
            Self::Signal => "signal",
        }
    }

    /// The code of an alert to which it contributed most; `None` for what uses no cluster.
    #[must_use]
    pub fn code(self) -> Option<Code> {
        match self {
            Self::Entropy => Some(Code::Uncertain),
            Self::Novelty => Some(Code::New),
            Self::Mix => Some(Code::Changed),
            Self::Beats | Self::Amplitude | Self::Signal => None,
        }
    }
}

/// One channel: its name in the bundle and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub group: Group,
}

/// One second of the past.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Second {
    facts: Facts,
    /// A window a time scale, where enough of it was read.
    windows: Vec<Option<Window>>,
    beats: Option<[f32; BEATS]>,
    /// Not to be learnt from: something was building up or open.
    frozen: bool,
}

/// A bed's channels.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Channels {
    /// Seconds since the bed began, gaps included.
    now: u64,
    last: Option<u64>,
    past: VecDeque<Second>,
    beating: Beating,
    usual: Option<Usual>,
    renewed: u64,
}

/// The channels that a codebook of so many clusters gives, in the order of the values.
#[must_use]
pub fn channels(clusters: usize) -> Vec<Channel> {
    let mut all = Vec::new();
    let mut add = |group, name: String| all.push(Channel { name, group });
    for w in SCALES_S {
        add(Group::Entropy, format!("entropy_{w}s"));
        add(Group::Novelty, format!("novelty_{w}s"));
        add(Group::Mix, format!("shift_{w}s"));
        add(Group::Mix, format!("evidence_{w}s"));
        add(Group::Amplitude, format!("amplitude_{w}s"));
    }
    for scale in SHARE_SCALES {
        for k in 0..clusters {
            add(Group::Mix, format!("share_{}s_{k}", SCALES_S[scale]));
        }
    }
    for name in beats::NAMES {
        for what in ["", "_up", "_down", "_above", "_below"] {
            add(Group::Beats, format!("{name}{what}"));
        }
    }
    for name in ["rate5_fast", "rate5_slow", "rate16_fast", "rate16_slow", "gap_long", "no_beats"] {
        add(Group::Beats, name.into());
    }
    for name in ["noise", "step", "jump", "reach"] {
        for what in ["", "_max"] {
            add(Group::Signal, format!("{name}{what}"));
        }
    }
    for name in ["noise_ratio", "bad", "unread"] {
        add(Group::Signal, name.into());
    }
    all
}

fn ln(v: f32) -> f32 {
    libm::logf(v.max(1e-3))
}

impl Channels {
    /// Takes the next second and gives the value of every channel ([`channels`]); `None` where one of the last five seconds
    /// was not read or not good, or too little is known of the bed. `frozen`: the second is not to be learnt from.
    pub fn second(&mut self, facts: &Facts, frozen: bool) -> Option<Vec<f32>> {
        let passed = self.last.map_or(1, |last| facts.window.saturating_sub(last)).clamp(1, PAST_S as u64);
        for _ in 1..passed {
            self.keep(Second::default());
        }
        self.last = Some(facts.window);
        let beats = self.beating.second(facts);
        let mut second = Second { facts: facts.clone(), windows: Vec::new(), beats, frozen };
        self.past.push_back(second.clone());
        second.windows = SCALES_S.iter().map(|w| trailing(self.past.iter().map(|s| &s.facts), *w)).collect();
        self.past.pop_back();
        self.keep(second);
        self.values()
    }

    fn keep(&mut self, second: Second) {
        self.now += 1;
        self.past.push_back(second);
        if self.past.len() > PAST_S + LAG_S {
            self.past.pop_front();
        }
    }

    /// Good seconds that what is usual rests on, of the leads in use.
    #[must_use]
    pub fn learnt_s(&self) -> usize {
        self.usual.as_ref().map_or(0, |u| u.seconds)
    }

    fn renew(&mut self, mask: u16) {
        let same = self.usual.as_ref().is_some_and(|u| u.mask == mask);
        if same && self.now < self.renewed + RENEW_S {
            return;
        }
        self.renewed = self.now;
        let begun = self.now - self.past.len() as u64;
        let first = FIRST_S.saturating_sub(begun) as usize;
        let until = self.past.len().saturating_sub(LAG_S);
        let past: Vec<&Second> = self.past.range(first.min(until)..until).filter(|s| !s.frozen).collect();
        self.usual = Usual::learn(&past, mask);
    }

    fn values(&mut self) -> Option<Vec<f32>> {
        let newest = self.past.back()?.clone();
        if self.past.iter().rev().take(GOOD_S).any(|s| s.facts.mask == 0 || !s.facts.good) {
            return None;
        }
        self.renew(newest.facts.mask);
        let usual = self.usual.as_ref().filter(|u| u.seconds >= ROWS_MIN)?;
        let mut values = Vec::new();
        for (scale, window) in newest.windows.iter().enumerate() {
            values.extend(usual.compare(scale, window.as_ref()));
        }
        for scale in SHARE_SCALES {
            let clusters = newest.facts.soft.len();
            let share = newest.windows[scale].as_ref().map(|w| &w.share);
            values.extend((0..clusters).map(|k| share.map_or(0.0, |s| s[k].max(0.0).sqrt())));
        }
        values.extend(usual.beats(newest.beats.as_ref()));
        values.extend(self.quality());
        Some(values)
    }

    fn quality(&self) -> Vec<f32> {
        let newest = |n: usize| self.past.iter().rev().take(n);
        let mean = |n: usize, of: &dyn Fn(&Second) -> f32| {
            newest(n).map(of).sum::<f32>() / newest(n).count().max(1) as f32
        };
        let mut values = Vec::new();
        let parts: [fn(&Second) -> f32; 4] = [
            |s| ln(s.facts.quality.noise_mv),
            |s| ln(s.facts.quality.step_mv),
            |s| ln(s.facts.quality.jump_mv),
            |s| ln(s.facts.quality.reach_mv),
        ];
        for part in parts {
            values.push(mean(QUALITY_S, &part));
            values.push(newest(QUALITY_S).map(part).fold(f32::MIN, f32::max));
        }
        let ratio = |s: &Second| {
            if s.facts.mask == 0 { 0.0 } else { ln(s.facts.quality.noise_mv) - ln(s.facts.rms_mv) }
        };
        values.push(mean(QUALITY_S, &ratio));
        values.push(mean(10, &|s| f32::from(u8::from(!s.facts.good))));
        values.push(mean(10, &|s| f32::from(u8::from(s.facts.mask == 0))));
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quiet bed at 75 a minute whose clusters alternate; from `from` on the mix is another one.
    fn bed(from: u64) -> impl Iterator<Item = Facts> {
        (0..200).map(move |t| {
            let other = t >= from;
            let wobble = 0.01 * (t % 7) as f32;
            Facts {
                window: t,
                mask: 2,
                good: true,
                soft: if other { vec![0.2, 0.8] } else { vec![0.7 + wobble, 0.3 - wobble] },
                entropy: 0.4 + wobble,
                novelty: 0.5 + wobble,
                logits: vec![wobble; 5],
                rms_mv: 0.2 + 0.1 * wobble,
                stretch_n: Some(0),
                beats_s: vec![t as f64 + 0.1 * (t % 3) as f64],
                ..Facts::default()
            }
        })
    }

    fn run(from: u64) -> Vec<Option<Vec<f32>>> {
        let mut channels = Channels::default();
        bed(from).map(|f| channels.second(&f, false)).collect()
    }

    #[test]
    fn every_value_has_a_name() {
        let (values, names) = (run(1_000), channels(2));
        assert!(values[..20].iter().all(Option::is_none));
        assert_eq!(values[199].as_ref().map(Vec::len), Some(names.len()));
        let distinct: std::collections::BTreeSet<&String> = names.iter().map(|c| &c.name).collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn a_change_of_the_mix_shows_in_its_own_channel() {
        let (quiet, changed, names) = (run(1_000), run(150), channels(2));
        let at = |name: &str| names.iter().position(|c| c.name == name).expect("known");
        let value = |all: &[Option<Vec<f32>>], name| all[158].as_ref().expect("read")[at(name)];
        assert!(value(&changed, "shift_5s") > value(&quiet, "shift_5s") + 1.0);
        assert!((value(&changed, "entropy_5s") - value(&quiet, "entropy_5s")).abs() < 1e-6);
        assert!((value(&changed, "rate5") - value(&quiet, "rate5")).abs() < 1e-6);
    }

    #[test]
    fn what_is_frozen_is_not_learnt() {
        let mut channels = Channels::default();
        let all: Vec<f32> =
            bed(100).filter_map(|f| channels.second(&f, f.window >= 100)).map(|v| v[2]).collect();
        assert!(all.last().expect("read") > &1.0, "{all:?}");
    }

    #[test]
    fn a_saved_state_goes_on_to_the_bit() {
        let mut whole = Channels::default();
        for facts in bed(120).take(140) {
            whole.second(&facts, false);
        }
        let bytes = rmp_serde::to_vec_named(&whole).expect("plain");
        let mut again: Channels = rmp_serde::from_slice(&bytes).expect("the same");
        for facts in bed(120).skip(140) {
            assert_eq!(whole.second(&facts, false), again.second(&facts, false));
        }
    }
}
