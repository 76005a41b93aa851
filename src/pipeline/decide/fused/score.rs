//! One score of all channels, by the bundle's weights, and what each group contributed.

use super::{Group, channels};
use crate::model::{Bundle, FusedFacts};
use contract::Code;

/// A bundle's weights, checked against the channels of this program.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    facts: FusedFacts,
    groups: Vec<Group>,
}

/// One second's score.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    /// The score; log odds on the recordings that it was learnt on.
    pub score: f32,
    /// What each group adds to it, against a usual second.
    pub parts: Vec<(Group, f32)>,
    /// The channel of the beats that adds most, where one adds anything.
    pub beats: Option<String>,
}

impl Fused {
    /// `None` where the weights are not those of a codebook of so many clusters: then nothing is fused.
    #[must_use]
    pub fn of(facts: &FusedFacts, clusters: usize) -> Option<Self> {
        let known = channels(clusters);
        let same = facts.channels.iter().map(|c| &c.name).eq(known.iter().map(|c| &c.name));
        same.then(|| Self { facts: facts.clone(), groups: known.into_iter().map(|c| c.group).collect() })
    }

    /// That of a bundle, where it has one.
    #[must_use]
    pub fn of_bundle(bundle: &Bundle) -> Option<Self> {
        Self::of(bundle.fused.as_ref()?, bundle.codebook.clusters)
    }

    /// The score from which on a bed is told, for so many alerts per bed-hour.
    #[must_use]
    pub fn limit(&self, per_hour: f32) -> f32 {
        self.facts.limit(per_hour)
    }

    /// How high the score of those recordings stands in calm time ([`Tail`](super::Tail)), where it was measured.
    #[must_use]
    pub fn calm(&self) -> Option<f32> {
        self.facts.calm
    }

    /// Scores one second's values.
    #[must_use]
    pub fn score(&self, values: &[f32]) -> Scored {
        let mut sums = vec![0.0_f64; Group::ALL.len()];
        let (mut beats, mut most) = (None, 0.0);
        for ((part, group), value) in self.facts.channels.iter().zip(&self.groups).zip(values) {
            let adds = f64::from(part.weight) * f64::from(value - part.usual);
            sums[*group as usize] += adds;
            if *group == Group::Beats && adds > most {
                (beats, most) = (Some(&part.name), adds);
            }
        }
        let score = (f64::from(self.facts.offset) + sums.iter().sum::<f64>()) as f32;
        let parts = Group::ALL.into_iter().zip(sums.into_iter().map(|s| s as f32)).collect();
        Scored { score, parts, beats: beats.cloned() }
    }
}

impl Scored {
    /// The code of the cluster channel that contributed most.
    #[must_use]
    pub fn code(&self) -> Code {
        let coded = self.parts.iter().filter_map(|(group, part)| Some((group.code()?, *part)));
        coded.fold((Code::Changed, 0.0), |best, c| if c.1 > best.1 { c } else { best }).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FUSED_FORM, FusedPart};
    use crate::pipeline::decide::fused::Channel;

    fn facts(heavy: &str) -> FusedFacts {
        let part = |c: Channel| FusedPart {
            weight: if c.name == heavy { 2.0 } else { 0.0 },
            name: c.name,
            usual: 0.5,
        };
        let channels = channels(2).into_iter().map(part).collect();
        FusedFacts {
            form: FUSED_FORM,
            codebook: String::new(),
            training: String::new(),
            offset: -1.0,
            channels,
            limits: vec![(1.0, 0.0)],
            calm: None,
        }
    }

    #[test]
    fn the_group_that_adds_most_names_the_alert() {
        for (heavy, code) in
            [("entropy_5s", Code::Uncertain), ("novelty_3s", Code::New), ("share_10s_1", Code::Changed)]
        {
            let fused = Fused::of(&facts(heavy), 2).expect("these channels");
            let scored = fused.score(&vec![1.0; channels(2).len()]);
            assert!((scored.score - 0.0).abs() < 1e-6 && scored.code() == code, "{scored:?}");
        }
        // What beats alone say is told as a change of the pattern.
        let fused = Fused::of(&facts("gap_up"), 2).expect("these channels");
        assert_eq!(fused.score(&vec![1.0; channels(2).len()]).code(), Code::Changed);
    }

    #[test]
    fn the_shipped_weights_are_those_of_the_shipped_clusters() {
        let bundle = Bundle::embedded().expect("whole");
        assert!(Fused::of_bundle(&bundle).is_some(), "run `wardbeat fit-live --model models/ptbxl`");
    }

    #[test]
    fn weights_of_other_channels_are_refused() {
        assert!(Fused::of(&facts(""), 3).is_none());
    }
}
