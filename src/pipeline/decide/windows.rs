//! The windows that a baseline keeps: numbers beside numbers, since a ward keeps hundreds of them for every bed.

use super::channels::Window;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Windows of one lead set, oldest first; all have the same classes and clusters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Windows {
    h: VecDeque<f32>,
    ln_m: VecDeque<f32>,
    ln_rms: VecDeque<f32>,
    /// `[window, class]`.
    logit: VecDeque<f32>,
    /// `[window, cluster]`.
    share: VecDeque<u8>,
}

impl Windows {
    pub fn len(&self) -> usize {
        self.h.len()
    }

    pub fn classes(&self) -> usize {
        self.logit.len() / self.len().max(1)
    }

    pub fn clusters(&self) -> usize {
        self.share.len() / self.len().max(1)
    }

    pub fn push(&mut self, window: &Window) {
        let same = (window.logit.len(), window.share.len()) == (self.classes(), self.clusters());
        if !same && self.len() > 0 {
            // Another bundle's window: nothing here can be compared with it.
            *self = Self::default();
        }
        self.h.push_back(window.h);
        self.ln_m.push_back(window.ln_m);
        self.ln_rms.push_back(window.ln_rms);
        self.logit.extend(&window.logit);
        self.share.extend(&window.share);
    }

    /// Drops the oldest so that at most `keep` are left.
    pub fn keep(&mut self, keep: usize) {
        let (drop, classes, clusters) = (self.len().saturating_sub(keep), self.classes(), self.clusters());
        self.h.drain(..drop);
        self.ln_m.drain(..drop);
        self.ln_rms.drain(..drop);
        self.logit.drain(..drop * classes);
        self.share.drain(..drop * clusters);
    }

    pub fn h(&self) -> impl Iterator<Item = f32> + '_ {
        self.h.iter().copied()
    }

    pub fn ln_m(&self) -> impl Iterator<Item = f32> + '_ {
        self.ln_m.iter().copied()
    }

    pub fn ln_rms(&self) -> impl Iterator<Item = f32> + '_ {
        self.ln_rms.iter().copied()
    }

    /// One class's logits.
    pub fn logit(&self, class: usize) -> impl Iterator<Item = f32> + '_ {
        self.logit.iter().skip(class).step_by(self.classes().max(1)).copied()
    }

    /// Each window's shares of the clusters, summing to 1.
    pub fn shares(&self) -> impl Iterator<Item = Vec<f32>> + '_ {
        let clusters = self.clusters();
        (0..self.len()).map(move |i| shares(self.share.range(i * clusters..(i + 1) * clusters)))
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> VecDeque<Window> {
        let (classes, clusters) = (self.classes(), self.clusters());
        let window = |i: usize| Window {
            h: self.h[i],
            ln_m: self.ln_m[i],
            ln_rms: self.ln_rms[i],
            logit: self.logit.range(i * classes..(i + 1) * classes).copied().collect(),
            share: self.share.range(i * clusters..(i + 1) * clusters).copied().collect(),
        };
        (0..self.len()).map(window).collect()
    }
}

impl FromIterator<Window> for Windows {
    fn from_iter<T: IntoIterator<Item = Window>>(windows: T) -> Self {
        let mut all = Self::default();
        windows.into_iter().for_each(|w| all.push(&w));
        all
    }
}

/// Counts of a window's steps as shares that sum to 1.
pub(super) fn shares<'a>(counts: impl Iterator<Item = &'a u8> + Clone) -> Vec<f32> {
    let total = counts.clone().map(|&s| f32::from(s)).sum::<f32>().max(1.0);
    counts.map(|&s| f32::from(s) / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_windows_come_back_as_they_were_put_in() {
        let window = |i: u8| Window {
            h: f32::from(i),
            ln_m: 1.0,
            ln_rms: -2.0,
            logit: vec![f32::from(i), 0.5],
            share: vec![i, 3, 0],
        };
        let mut windows: Windows = (0..10).map(window).collect();
        windows.keep(4);
        assert_eq!(windows.all(), (6..10).map(window).collect::<VecDeque<_>>());
        assert_eq!(windows.logit(0).collect::<Vec<_>>(), [6.0, 7.0, 8.0, 9.0]);
        assert_eq!(windows.shares().next().expect("four"), [6.0 / 9.0, 3.0 / 9.0, 0.0]);
    }
}
