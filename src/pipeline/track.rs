//! One bed's way through the filters: judges leads, chooses the lead set, begins and ends segments.
//!
//! A segment begins at a hop's first sample, so that every hop yields 25 steps, and ends at a hole longer than the
//! bridging limit or when the lead set changes.

use super::beats::Follower;
use super::explain::Window;
use super::preprocess::Conditioner;
use super::preprocess::leads::Plan;
use super::preprocess::quality::{Judged, LeadGate};
use super::preprocess::resample::{Filter, Resampler, shared};
use super::window::{Due, Part};
use crate::model::{LEADS, LeadMask, RATE_HZ, Stream};
use contract::{Beats, LeadId, LeadSignal, NotRead, Quality, Ratio};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Hops of a window.
const WINDOW_HOPS: usize = 10;
/// Share of the window's samples that must be there.
const COVERAGE_MIN: f32 = 0.9;
/// One unit of the network's input.
const UNIT_MV: f64 = 0.25;

/// A hop on its way into the network.
pub(super) struct Ready {
    pub leads: Vec<LeadSignal>,
    pub quality: Quality,
    pub beats: Beats,
    pub coverage: f32,
    pub rms_mv: f32,
    /// Prepared samples `[time, lead]`, possibly none yet.
    pub input: Result<Vec<f32>, NotRead>,
}

#[derive(Serialize, Deserialize)]
struct Segment {
    plan: Plan,
    first_n: u64,
    hops: u64,
    #[serde(with = "shared")]
    filter: Arc<Filter>,
    resamplers: Vec<(usize, Resampler)>,
    conditioners: Vec<(usize, Conditioner)>,
    stream: Option<Stream>,
    window: Window,
    /// Missing share of each hop in the used leads.
    missing: VecDeque<f32>,
}

/// One bed's place in the analysis.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Track {
    next: Option<(u32, Ratio, u64)>,
    gates: BTreeMap<LeadId, LeadGate>,
    /// Made when it is first needed.
    #[serde(skip)]
    filter: Option<(Ratio, Arc<Filter>)>,
    segment: Option<Segment>,
    follower: Follower,
}

impl Track {
    /// Judges the leads of a hop and prepares what the network may see of it.
    pub fn prepare(&mut self, due: &Due, sets: &[LeadMask]) -> Ready {
        if self.next != Some((due.epoch, due.rate, due.window)) {
            self.segment = None;
            self.follower.restart();
        }
        self.next = Some((due.epoch, due.rate, due.window + 1));
        let judged = self.judge(due);
        let usable = self.usable(due, &judged);
        let filter = self.filter(due.rate);
        let beats = self.follower.hop(due, &judged, &usable, &filter);
        let leads = due
            .leads
            .iter()
            .zip(&judged)
            .map(|(&lead, j)| LeadSignal { lead, signal: j.signal, missing: j.missing })
            .collect();
        let plan = self.plan(due, &judged, &usable, sets);
        let used = |lead: &LeadId| plan.as_ref().is_ok_and(|p| p.measured.contains(&Some(*lead)));
        let quality = due.leads.iter().zip(&judged).filter(|(lead, _)| used(lead));
        let quality = quality.fold(Quality::default(), |worst, (_, j)| worst.worse(j.quality));
        let input = plan.map(|plan| self.feed(due, plan, &judged, filter));
        let rms_mv = input.as_ref().map_or(0.0, |input| rms_mv(input, self.mask()));
        Ready { leads, quality, beats, coverage: self.coverage(), rms_mv, input }
    }

    fn judge(&mut self, due: &Due) -> Vec<Judged> {
        self.gates.retain(|lead, _| due.leads.contains(lead));
        let rows = due.leads.iter().zip(due.samples_mv.rows());
        rows.map(|(lead, row)| {
            let gate = self.gates.entry(*lead).or_default();
            gate.judge(&row.to_vec(), due.rate, due.paced, due.lead_off)
        })
        .collect()
    }

    /// Every standard lead has a hole that cannot be bridged: lost frames, not bad leads.
    fn hole(due: &Due, judged: &[Judged]) -> bool {
        let mut standard = due.leads.iter().zip(judged).filter(|l| l.0.standard().is_some()).peekable();
        standard.peek().is_some() && standard.all(|(_, j)| j.broken)
    }

    /// The leads that are good enough in this hop.
    fn usable(&mut self, due: &Due, judged: &[Judged]) -> Vec<LeadId> {
        let mut usable = Vec::new();
        if Self::hole(due, judged) {
            return usable;
        }
        for (lead, j) in due.leads.iter().zip(judged).filter(|l| l.0.standard().is_some()) {
            let admitted = self.gates.get_mut(lead).is_some_and(|gate| gate.admit(j));
            if admitted && !j.broken {
                usable.push(*lead);
            }
        }
        usable
    }

    /// The leads to use in this hop, or why it cannot be read; then the segment is over.
    fn plan(
        &mut self,
        due: &Due,
        judged: &[Judged],
        usable: &[LeadId],
        sets: &[LeadMask],
    ) -> Result<Plan, NotRead> {
        if Self::hole(due, judged) {
            self.segment = None;
            return Err(NotRead::Coverage);
        }
        let plan = Plan::of(usable.iter().copied(), sets);
        // A bed of whose leads none is a standard one has nothing wrong with its signal.
        let known = due.leads.iter().any(|lead| lead.standard().is_some());
        let bad = usable.is_empty() && known;
        let why = if bad { NotRead::Signal } else { NotRead::LeadSet };
        if plan.is_none() {
            self.segment = None;
        }
        plan.ok_or(why)
    }

    fn feed(&mut self, due: &Due, plan: Plan, judged: &[Judged], filter: Arc<Filter>) -> Vec<f32> {
        if self.segment.as_ref().is_none_or(|s| s.plan != plan) {
            self.segment = Some(Segment::begin(plan, due.from_n, filter));
        }
        let rows: BTreeMap<LeadId, &Judged> = due.leads.iter().copied().zip(judged).collect();
        self.segment.as_mut().map_or_else(Vec::new, |segment| segment.feed(&rows, due.part == Part::WholeEnd))
    }

    fn filter(&mut self, rate: Ratio) -> Arc<Filter> {
        match &self.filter {
            Some((known, filter)) if *known == rate => Arc::clone(filter),
            _ => {
                let filter = Arc::new(Filter::new(rate));
                self.filter = Some((rate, Arc::clone(&filter)));
                filter
            }
        }
    }

    fn coverage(&self) -> f32 {
        let Some(segment) = &self.segment else { return 0.0 };
        1.0 - segment.missing.iter().sum::<f32>() / segment.missing.len().max(1) as f32
    }

    /// Whether enough of the window is there to be read.
    pub fn covered(&self) -> bool {
        self.coverage() >= COVERAGE_MIN
    }

    /// The leads of the present segment.
    pub fn mask(&self) -> LeadMask {
        self.segment.as_ref().map_or(0, |s| s.plan.mask)
    }

    /// First sample of the present segment.
    pub fn first_n(&self) -> u64 {
        self.segment.as_ref().map_or(0, |s| s.first_n)
    }

    pub fn window(&mut self) -> Option<&mut Window> {
        self.segment.as_mut().map(|s| &mut s.window)
    }

    pub fn take_stream(&mut self) -> Option<Stream> {
        self.segment.as_mut()?.stream.take()
    }

    pub fn give_stream(&mut self, stream: Stream) {
        if let Some(segment) = &mut self.segment {
            segment.stream = Some(stream);
        }
    }

    pub fn end_segment(&mut self) {
        self.segment = None;
    }
}

impl Segment {
    fn begin(plan: Plan, first_n: u64, filter: Arc<Filter>) -> Self {
        let measured = (0..LEADS).filter(|&i| plan.measured[i].is_some());
        let seen = (0..LEADS).filter(|&i| plan.mask >> i & 1 == 1);
        Self {
            first_n,
            hops: 0,
            resamplers: measured.map(|i| (i, Resampler::new(Arc::clone(&filter)))).collect(),
            conditioners: seen.map(|i| (i, Conditioner::default())).collect(),
            filter,
            plan,
            stream: None,
            window: Window::default(),
            missing: VecDeque::new(),
        }
    }

    /// One hop through resampler, derivation and filters; gives `[time, lead]`.
    fn feed(&mut self, rows: &BTreeMap<LeadId, &Judged>, finish: bool) -> Vec<f32> {
        self.hops += 1;
        let target = (u64::from(RATE_HZ) * self.hops).saturating_sub(self.filter.lag());
        let mut measured: [Vec<f32>; LEADS] = Default::default();
        let mut missing = 0.0_f32;
        for (i, resampler) in &mut self.resamplers {
            let Some(judged) = self.plan.measured[*i].and_then(|lead| rows.get(&lead)) else { continue };
            missing = missing.max(judged.missing);
            resampler.push(&judged.bridged_mv, target, finish, &mut measured[*i]);
        }
        self.missing.push_back(missing);
        if self.missing.len() > WINDOW_HOPS {
            self.missing.pop_front();
        }
        let mut prepared: Vec<(usize, Vec<f32>)> = Vec::with_capacity(self.conditioners.len());
        for (i, conditioner) in &mut self.conditioners {
            let mut out = Vec::new();
            conditioner.push(&self.plan.lead(*i, &measured).unwrap_or_default(), finish, &mut out);
            prepared.push((*i, out));
        }
        let length = prepared.first().map_or(0, |p| p.1.len());
        let mut input = vec![0.0; length * LEADS];
        for (i, lead) in prepared {
            for (row, v) in input.chunks_exact_mut(LEADS).zip(lead) {
                row[i] = v;
            }
        }
        input
    }
}

/// Root mean square of the used leads, in mV; 0 while nothing came out of the filters.
fn rms_mv(input: &[f32], mask: LeadMask) -> f32 {
    let values = (input.len() / LEADS) as f64 * f64::from(mask.count_ones());
    let sum: f64 = input.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    if values > 0.0 { (UNIT_MV * (sum / values).sqrt()) as f32 } else { 0.0 }
}
