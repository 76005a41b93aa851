//! The channels of the fused score: one second of a bed in named numbers, most of them against the bed's own past.
//!
//! What it does: keeps ten minutes of a bed in few numbers (`past`), compares the newest seconds on several time scales
//! with what is usual, and gives every channel its number; the bundle's weights make one score of them (`score`), whose
//! limit moves with the bed's own tail of scores (`tail`).
//! What it never does: decide, name a rhythm, learn weights (`workshop::bedside` does).
//! Door: [`Channels`], one a bed. Who calls it: `Decider`, and the bench of alerts through `pipeline`.

mod beats;
mod facts;
mod past;
mod quality;
mod score;
mod shape;
mod tail;
mod usual;
mod windows;

pub use facts::Facts;
pub use score::{Fused, Scored};
pub use tail::{BLOCK_S, QUANTILE, Tail, quantile};

use beats::{BEATS, Beating};
use contract::Code;
use past::Past;
use serde::{Deserialize, Serialize};
use shape::{SHAPE, Shapes};
use std::collections::VecDeque;
use usual::Usual;
use windows::{SCALES_S, Window, trailing};

/// Seconds of the past that are usual at most.
const PAST_S: u32 = 600;
/// The newest seconds are not part of it.
const LAG_S: usize = 15;
/// The filters' and the network's first seconds are not either.
const FIRST_S: u32 = 6;
/// What is usual is renewed this often, in seconds.
const RENEW_S: u32 = 5;
/// Seconds of the past without which nothing is compared.
const ROWS_MIN: usize = 8;
/// What an earlier run knew counts until so many seconds are known anew.
const HELD_S: usize = 120;
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
    /// The clusters of each beat against those of the bed's usual beat.
    Shape,
    /// Heart beats.
    Beats,
    /// Amplitude.
    Amplitude,
    /// Quality of the signal.
    Signal,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Entropy, Self::Novelty, Self::Mix, Self::Shape, Self::Beats, Self::Amplitude, Self::Signal];

    /// Its word in evidence and tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::Novelty => "novelty",
            Self::Mix => "mix",
            Self::Shape => "shape",
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
            Self::Mix | Self::Shape => Some(Code::Changed),
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

/// One of the newest seconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Second {
    facts: Facts,
    /// A window a time scale, where enough of it was read.
    windows: Vec<Option<Window>>,
    beats: Option<[f32; BEATS]>,
    /// Not to be learnt from: something was building up or open.
    frozen: bool,
}

/// What is saved of a bed: a few kilobytes that let it be judged at once after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Learnt {
    usual: Usual,
    tail: Tail,
}

/// A bed's channels.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Channels {
    /// Seconds since the bed began, gaps included.
    now: u32,
    last: Option<u64>,
    newest: VecDeque<Second>,
    past: Past,
    beating: Beating,
    shapes: Shapes,
    /// What the newest second's beats look like.
    shape: Option<[f32; SHAPE]>,
    usual: Option<Usual>,
    renewed: u32,
    /// What an earlier run knew, until this one knows as much.
    held: Option<Usual>,
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
    for name in shape::NAMES {
        add(Group::Shape, name.into());
    }
    all
}

impl Channels {
    /// Takes the next second and gives the value of every channel ([`channels`]); `None` where one of the last five seconds
    /// was not read or not good, or too little is known of the bed. `frozen`: the second is not to be learnt from.
    pub fn second(&mut self, facts: &Facts, frozen: bool) -> Option<Vec<f32>> {
        let passed = self.last.map_or(1, |last| facts.window.saturating_sub(last)).clamp(1, PAST_S.into());
        for _ in 1..passed {
            self.keep(Second::default());
        }
        self.last = Some(facts.window);
        let beats = self.beating.second(facts);
        self.shape = self.shapes.second(facts, frozen);
        self.keep(Second { facts: facts.clone(), windows: Vec::new(), beats, frozen });
        let windows = |w: &usize| trailing(self.newest.iter().map(|s| &s.facts), *w);
        let windows = SCALES_S.iter().map(windows).collect();
        self.newest.back_mut()?.windows = windows;
        let good = |s: &Second| s.facts.mask != 0 && s.facts.good;
        if self.newest.iter().rev().take_while(|s| good(s)).count() < GOOD_S { None } else { self.values() }
    }

    /// The values of the second that was taken last, though its signal may not be good: what the gate holds back. For the
    /// bench; nothing is changed by asking.
    #[must_use]
    pub fn behind_the_gate(&self) -> Option<Vec<f32>> {
        self.newest.back().filter(|s| s.facts.mask != 0)?;
        self.clone().values()
    }

    fn keep(&mut self, second: Second) {
        self.newest.push_back(second);
        self.now += 1;
        if self.newest.len() > LAG_S {
            let at = self.now - self.newest.len() as u32;
            let old = self.newest.pop_front().filter(|s| at >= FIRST_S && !s.frozen);
            self.past.forget((at + 1).saturating_sub(PAST_S));
            if let Some(old) = old {
                self.past.push(at, &old);
            }
        }
    }

    /// Good seconds that what is usual rests on, of the leads in use.
    #[must_use]
    pub fn learnt_s(&self) -> usize {
        self.usual.as_ref().map_or(0, |u| u.seconds)
    }

    /// What is known of the bed, for saving; with the tail of its scores.
    pub(super) fn saved(&self, tail: &Tail) -> Option<Learnt> {
        let usual = self.held.clone().or_else(|| self.usual.clone())?;
        Some(Learnt { usual, tail: tail.clone() })
    }

    /// Begins with what an earlier run knew.
    pub(super) fn restored(learnt: Learnt) -> (Self, Tail) {
        (Self { held: Some(learnt.usual), ..Self::default() }, learnt.tail)
    }

    fn renew(&mut self, mask: u16) {
        let same = self.usual.as_ref().is_some_and(|u| u.mask == mask);
        if same && self.now < self.renewed + RENEW_S {
            return;
        }
        self.renewed = self.now;
        let fresh = Usual::learn(&self.past, mask);
        let known = fresh.as_ref().map_or(0, |u| u.seconds);
        match self.held.take_if(|held| held.mask == mask) {
            Some(held) if known < held.seconds.min(HELD_S) => {
                self.usual = Some(held.clone());
                self.held = Some(held);
            }
            _ => self.usual = fresh,
        }
    }

    fn values(&mut self) -> Option<Vec<f32>> {
        let newest = self.newest.back()?;
        let (mask, windows, beats) = (newest.facts.mask, newest.windows.clone(), newest.beats);
        let clusters = newest.facts.soft.len();
        self.renew(mask);
        let usual = self.usual.as_ref().filter(|u| u.seconds >= ROWS_MIN)?;
        let mut values = Vec::new();
        for (scale, window) in windows.iter().enumerate() {
            values.extend(usual.compare(scale, window.as_ref()));
        }
        for scale in SHARE_SCALES {
            let share = windows[scale].as_ref().map(|w| &w.share);
            values.extend((0..clusters).map(|k| share.map_or(0.0, |s| s[k].max(0.0).sqrt())));
        }
        values.extend(usual.beats(beats.as_ref()));
        values.extend(quality::values(&self.newest));
        values.extend(self.shape.unwrap_or_default());
        Some(values)
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
    fn what_an_earlier_run_knew_counts_until_as_much_is_known_anew() {
        let mut before = Channels::default();
        bed(1_000).for_each(|f| drop(before.second(&f, false)));
        let mut tail = Tail::default();
        (0..100_000).for_each(|t| tail.second(-0.01 * (t % 777) as f32));
        let json = serde_json::to_string(&before.saved(&tail)).expect("plain");
        assert!(json.len() < 6_000, "{} bytes", json.len());
        let learnt: Option<Learnt> = serde_json::from_str(&json).expect("the same");
        let (again, same) = Channels::restored(learnt.expect("something"));
        assert_eq!(same, tail);
        let shift = |channels: &mut Channels, from: u64| {
            let all: Vec<Option<f32>> = bed(from).map(|f| channels.second(&f, false).map(|v| v[2])).collect();
            (all.iter().position(Option::is_some), all[60].unwrap_or(0.0))
        };
        // Another mix from the start on: a bed without a past takes it for its own.
        let (mut fresh, mut again) = (Channels::default(), again);
        let ((late, unknown), (early, known)) = (shift(&mut fresh, 0), shift(&mut again, 0));
        assert!(unknown < 1.0 && known > 1.0, "{unknown} {known}");
        assert!(early < late && early == Some(GOOD_S - 1), "{early:?} {late:?}");
        assert!(again.held.is_none() && again.learnt_s() > HELD_S);
    }

    #[test]
    fn a_bed_takes_less_than_ninety_kilobytes() {
        let facts = |t: u64| Facts {
            window: t,
            mask: 2,
            good: true,
            soft: vec![1.0 / 24.0; 24],
            logits: vec![0.1; 5],
            stretch_n: Some(0),
            beats_s: vec![t as f64, t as f64 + 0.5],
            letters: (0..25).map(|i| (i + t as usize) as u8 % 24).collect(),
            letters_from_s: t as f64,
            ..Facts::default()
        };
        let mut channels = Channels::default();
        (0..5_000).for_each(|t| drop(channels.second(&facts(t), false)));
        let window = |w: &Window| (w.logit.capacity() + w.share.capacity()) * 4;
        let second = |s: &Second| {
            let windows: usize = s.windows.iter().flatten().map(window).sum();
            let facts = (s.facts.soft.capacity() + s.facts.logits.capacity()) * 4
                + s.facts.beats_s.capacity() * 8
                + s.facts.letters.capacity();
            windows + facts + s.windows.capacity() * size_of::<Option<Window>>()
        };
        let newest: usize = channels.newest.iter().map(second).sum();
        let bytes = size_of::<Channels>()
            + channels.past.bytes()
            + channels.shapes.bytes()
            + channels.newest.capacity() * size_of::<Second>()
            + newest
            // The statistics of what is usual, twice while an earlier run's count: bands of 16 bytes.
            + 2 * (3 * 9 + 5 + 4) * 16
            + 40 * 8;
        assert!(bytes < 90_000, "{bytes} bytes");
        let saved = rmp_serde::to_vec_named(&channels).expect("plain").len();
        assert!(saved < 110_000, "a checkpoint of {saved} bytes");
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
