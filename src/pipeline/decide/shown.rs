//! How evidence is written into alerts and onto the screen: rounded, ordered, with its limit beside it.

use super::channels::{Evidence, Usual};
use super::{Context, Decider};
use crate::config::Analysis;
use contract::{ClusterShift, Code, Finding, LeadId, Reading, Segment, Why};

pub(super) fn thousandths(v: f32) -> f32 {
    (v * 1_000.0).round() / 1_000.0
}

pub(super) fn largest(values: impl Iterator<Item = f32>) -> u8 {
    let best = values.enumerate().fold((0, f32::MIN), |b, v| if v.1 > b.1 { v } else { b });
    best.0 as u8
}

pub(super) fn used_leads(finding: &Finding, mask: u16) -> Vec<LeadId> {
    let used = |lead: LeadId| lead.standard().is_some_and(|i| mask >> i & 1 == 1);
    finding.leads.iter().map(|l| l.lead).filter(|&l| used(l)).collect()
}

pub(super) fn shifts(now: &[f32], usual: &[f32], context: &Context) -> Vec<ClusterShift> {
    let mut shifts: Vec<ClusterShift> = now
        .iter()
        .zip(usual)
        .enumerate()
        .map(|(k, (&now, &usual))| ClusterShift {
            cluster: k as u8,
            name: context.clusters.get(k).map_or_else(String::new, |c| c.name.clone()),
            now: thousandths(now),
            usual: thousandths(usual),
        })
        .collect();
    let size = |s: &ClusterShift| (s.now - s.usual).abs();
    shifts.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.cluster.cmp(&b.cluster)));
    shifts
}

/// Value and limit of the channel that raised an advisory, for the alert list.
pub(super) fn shown(
    code: Code,
    reading: &Reading,
    usual: &Usual,
    e: &Evidence,
    analysis: &Analysis,
) -> String {
    let on = analysis.score_on;
    let nearer = |value: f32, [low, high]: [f32; 2]| if value < low.midpoint(high) { low } else { high };
    match code {
        Code::Uncertain => {
            let limit = nearer(reading.window_entropy, usual.e.limits(on)).clamp(0.0, 1.0);
            format!("H {:.2}/{limit:.2}", reading.window_entropy)
        }
        Code::New => {
            let limit = nearer(reading.window_novelty, usual.n.limits(on).map(libm::expf));
            format!("N {:.2}/{limit:.2}", reading.window_novelty)
        }
        _ => format!("mix {:.2}/{:.2}", e.shift, usual.j.limits(on)[1].min(1.0)),
    }
}

impl Decider {
    /// The evidence as it travels with an alert.
    pub(super) fn why(
        &self,
        code: Code,
        k_of_n: Option<[u32; 2]>,
        finding: &Finding,
        reading: &Reading,
        usual: &Usual,
        context: &Context,
    ) -> Why {
        let on = context.analysis.score_on;
        let band = match code {
            Code::Uncertain => usual.e.limits(on).map(|v| v.clamp(0.0, 1.0)),
            Code::New => usual.n.limits(on).map(libm::expf),
            _ => [0.0, usual.j.limits(on)[1].min(1.0)],
        };
        let was = largest(usual.mix.iter().copied());
        let from = self.second.saturating_sub(u64::from(context.analysis.of_s));
        let recent = self.history.iter().filter(|p| p.second > from);
        let mut segments: Vec<Segment> = Vec::new();
        for p in recent {
            match segments.last_mut() {
                Some(s) if s.cluster == p.cluster && s.to_n == p.from_n => s.to_n = p.to_n,
                _ => segments.push(Segment {
                    from_n: p.from_n,
                    to_n: p.to_n,
                    entropy: thousandths(p.entropy),
                    cluster: p.cluster,
                    was,
                }),
            }
        }
        segments.truncate(4);
        Why {
            leads: used_leads(finding, reading.lead_mask),
            entropy: Some(thousandths(reading.window_entropy)),
            band: Some(band.map(thousandths)),
            novelty: Some(thousandths(reading.window_novelty)),
            shift: Some(thousandths(self.evidence.shift)),
            k_of_n,
            quality: 1.0,
            missing: thousandths(1.0 - finding.coverage),
            segments,
            clusters: shifts(&reading.proportion, &usual.mix, context).into_iter().take(3).collect(),
            parts: Vec::new(),
            detail: None,
        }
    }
}
