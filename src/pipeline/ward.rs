//! All beds of one engine thread. Pure: every call is told the time.

use super::bed::Bed;
use super::decide::{Context, Fused, Left, Saved, node_alert};
use super::evidence::Evidence;
use super::{Analyser, Due, preprocess};
use crate::config::{Analysis, Settings};
use crate::model::{Bundle, RATE_HZ};
use crate::snapshot::{AlertView, BedView, ClusterName, TrendPoint};
use contract::limits::{BATCH_MAX, BEDS_MAX};
use contract::{
    Alert, BedId, Command, DecodeError, Finding, Heard, MonoMs, NotRead, Phase, Ruling, Status, UtcMs,
};
use std::collections::{BTreeMap, VecDeque};

/// All beds are judged by time alone at least this often; between, only those that something came from.
const LOOK_MS: u64 = 100;

/// The moment of one turn of the loop, read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and ages.
    pub mono: MonoMs,
    /// For labels.
    pub utc: UtcMs,
}

/// What a ward is told at its start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Setup {
    /// The site: first level of every bed.
    pub site: String,
    /// This node's name.
    pub node: String,
    /// The config's id, `c-` and six hex digits.
    pub config_id: String,
    /// The engine's stated delay from a sample to its step, in ms; a finding is late beyond it.
    pub engine_delay_ms: u32,
    /// Learning, limits and budgets of the site.
    pub analysis: Analysis,
    /// Those of units that have their own.
    pub unit_analysis: BTreeMap<String, Analysis>,
    /// Those of beds that have their own.
    pub bed_analysis: BTreeMap<BedId, Analysis>,
    /// What people call a bed; else the last level of its name.
    pub labels: BTreeMap<BedId, String>,
    /// Show class names and probabilities in the bed view (research).
    pub show_labels: bool,
}

impl Setup {
    /// What the settings and the model say.
    #[must_use]
    pub fn of(settings: &Settings, bundle: &Bundle) -> Self {
        Self {
            site: settings.site.clone(),
            node: settings.node.clone(),
            config_id: settings.id(),
            engine_delay_ms: bundle.manifest.look_ahead_samples as u32 * 1_000 / RATE_HZ,
            analysis: settings.analysis.clone(),
            unit_analysis: settings.unit_analysis(),
            bed_analysis: settings.bed_analysis(),
            labels: settings.beds.iter().map(|b| (b.id.clone(), b.label.clone())).collect(),
            show_labels: settings.display.show_labels,
        }
    }

    /// What counts at a bed: its own, else its unit's, else the site's.
    #[must_use]
    pub fn analysis_of(&self, bed: &BedId) -> &Analysis {
        let unit = || self.unit_analysis.get(bed.unit());
        self.bed_analysis.get(bed).or_else(unit).unwrap_or(&self.analysis)
    }
}

/// What a ward counted since its start; per bed it is in `BedView::health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages of beds beyond the limit.
    pub beds_refused: u64,
    /// Payloads that no bed could be named for.
    pub refused: u64,
    /// Advisories held back by the cap.
    pub silent: u64,
}

/// All beds of one engine thread.
pub struct Ward {
    setup: Setup,
    model_id: String,
    classes: Vec<String>,
    clusters: Vec<ClusterName>,
    fused: Option<Fused>,
    beds: BTreeMap<BedId, Bed>,
    counts: Counts,
    /// Beds that may have a complete hop, in the order in which they were heard: a full batch starves nobody.
    waiting: VecDeque<BedId>,
    /// Beds that something came from since the last `conclude`.
    touched: Vec<BedId>,
    /// When all beds were last judged by time, and no later than the first moment at which one of them must be.
    looked: Option<MonoMs>,
    deadline: Option<MonoMs>,
    /// The open alert about the engine.
    fault: Option<Alert>,
}

impl Ward {
    /// A ward without beds; they come with their first message.
    #[must_use]
    pub fn new(setup: Setup, bundle: &Bundle) -> Self {
        Self {
            setup,
            model_id: bundle.id.clone(),
            classes: bundle.manifest.classes.clone(),
            clusters: bundle.codebook.names.clone(),
            fused: Fused::of_bundle(bundle),
            beds: BTreeMap::new(),
            counts: Counts::default(),
            waiting: VecDeque::new(),
            touched: Vec::new(),
            looked: None,
            deadline: None,
            fault: None,
        }
    }

    fn context(&self, bed: &BedId) -> Context<'_> {
        Context {
            analysis: self.setup.analysis_of(bed),
            model_id: &self.model_id,
            config_id: &self.setup.config_id,
            clusters: &self.clusters,
            fused: self.fused.as_ref(),
        }
    }

    fn bed(&mut self, id: &BedId, now: Now) -> Option<&mut Bed> {
        if !self.beds.contains_key(id) {
            if self.beds.len() >= BEDS_MAX {
                self.counts.beds_refused += 1;
                return None;
            }
            let label = self.setup.labels.get(id).cloned().unwrap_or_else(|| id.place().into());
            self.beds.insert(id.clone(), Bed::new(id.clone(), label, now));
        }
        self.beds.get_mut(id)
    }

    /// Takes what a decoder heard. Everything is accepted or counted; trouble shows in `conclude` and `snapshot`.
    pub fn hear(&mut self, heard: Heard, now: Now) {
        let id = match &heard {
            Heard::Frame(frame) => frame.bed(),
            Heard::Birth(birth) => &birth.bed,
            Heard::Link(link) => &link.bed,
            Heard::Numeric(numeric) => &numeric.bed,
        }
        .clone();
        let Some(bed) = self.bed(&id, now) else { return };
        match heard {
            Heard::Frame(frame) if preprocess::rate_supported(frame.parts().rate) => bed.frame(frame, now),
            Heard::Frame(_) => bed.health.refused += 1,
            Heard::Birth(birth) => bed.birth(&birth, now),
            Heard::Link(link) => bed.online = link.online,
            Heard::Numeric(numeric) => bed.numeric(&numeric, now),
        }
        if !std::mem::replace(&mut bed.waits, true) {
            self.waiting.push_back(id.clone());
        }
        self.touched.push(id);
    }

    /// Counts a payload that a decoder refused. A bed that is not known yet is not made known by it.
    pub fn refuse(&mut self, bed: Option<&BedId>, _why: &DecodeError, _now: Now) {
        match bed.and_then(|id| self.beds.get_mut(id)) {
            Some(bed) => bed.health.refused += 1,
            None => self.counts.refused += 1,
        }
    }

    /// Counts frames that a full queue evicted; the hole itself shows in the index.
    pub fn evicted(&mut self, bed: &BedId, frames: u64, _now: Now) {
        if let Some(bed) = self.beds.get_mut(bed) {
            bed.health.evicted += frames;
        }
    }

    /// The next complete hop of each bed, at most `limits::BATCH_MAX` of them. Call until empty.
    pub fn take_due(&mut self, _now: Now) -> Vec<Due> {
        let mut due = Vec::new();
        for _ in 0..self.waiting.len() {
            if due.len() == BATCH_MAX {
                break;
            }
            let Some(id) = self.waiting.pop_front() else { break };
            let Some(bed) = self.beds.get_mut(&id) else { continue };
            match bed.due() {
                Some(hop) => {
                    due.push(hop);
                    self.waiting.push_back(id);
                }
                None => bed.waits = false,
            }
        }
        due
    }

    /// Decides what holds of each bed after these findings (in the order of `take_due`) and at this moment; call it
    /// with none when a deadline has passed. What comes back goes to the journal, then to every destination.
    pub fn conclude(&mut self, findings: &[Finding], now: Now) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut beds = std::mem::take(&mut self.beds);
        let mut silent = 0;
        for finding in findings {
            if let Some(bed) = beds.get_mut(&finding.bed) {
                silent += bed.conclude(finding, &self.context(&finding.bed), now, &mut alerts);
            }
        }
        silent += self.judge_time(&mut beds, now, &mut alerts);
        self.beds = beds;
        self.counts.silent += silent;
        self.engine_fault(findings, now, &mut alerts);
        alerts
    }

    /// Judges what depends on time alone: of the beds that something came from, and of all once in a while, so that a
    /// frame of one bed does not cost a look at a thousand others. Returns how many advisories were held back.
    fn judge_time(&mut self, beds: &mut BTreeMap<BedId, Bed>, now: Now, alerts: &mut Vec<Alert>) -> u64 {
        let (touched, mut silent) = (std::mem::take(&mut self.touched), 0);
        let all = self.looked.is_none_or(|at| now.mono.since(at) >= LOOK_MS)
            || self.deadline.is_some_and(|at| at <= now.mono);
        if all {
            self.looked = Some(now.mono);
            for (id, bed) in beds.iter_mut() {
                silent += bed.time(&self.context(id), now, alerts);
            }
            self.deadline = beds.values().filter_map(Bed::deadline).min();
            return silent;
        }
        for id in touched {
            let Some(bed) = beds.get_mut(&id) else { continue };
            silent += bed.time(&self.context(&id), now, alerts);
            self.deadline = self.deadline.into_iter().chain(bed.deadline()).min();
        }
        silent
    }

    fn engine_fault(&mut self, findings: &[Finding], now: Now, alerts: &mut Vec<Alert>) {
        let faults = findings.iter().any(|f| f.reading == Err(NotRead::Fault));
        let reads = findings.iter().any(|f| f.reading.is_ok());
        let phase = match &self.fault {
            None if faults => Phase::Start,
            Some(_) if reads && !faults => Phase::End,
            _ => return,
        };
        let (onset, rev) = self.fault.as_ref().map_or((now.utc, 0), |a| (a.onset, a.rev + 1));
        let alert =
            node_alert(&self.setup, &self.model_id, phase, (onset, rev), now.utc, "the engine failed");
        self.fault = (phase == Phase::Start).then(|| alert.clone());
        alerts.push(alert);
    }

    /// When `conclude` must be called even if nothing arrives: not later than needed, now and then earlier.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoMs> {
        self.deadline
    }

    /// The beds, ordered by unit and label, and the alerts, oldest first.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> (Vec<BedView>, Vec<AlertView>) {
        let mut beds: Vec<BedView> =
            self.beds.values().map(|bed| bed.view(&self.setup, &self.classes, now)).collect();
        beds.sort_by(|a, b| (a.bed.unit(), &a.label, &a.bed).cmp(&(b.bed.unit(), &b.label, &b.bed)));
        let mut alerts: Vec<AlertView> = self.beds.values().flat_map(Bed::alerts).collect();
        alerts.extend(self.fault.as_ref().map(|alert| super::view::node_view(alert, &self.setup.node)));
        alerts.sort_by(|a, b| (a.onset, &a.id).cmp(&(b.onset, &b.id)));
        (beds, alerts)
    }

    /// Does what a person asked of a bed; its effects on alerts come with the next `conclude`.
    pub fn obey(&mut self, bed: &BedId, command: &Command, by: &str, now: Now) -> Ruling {
        self.touched.push(bed.clone());
        let known = self.beds.get_mut(bed).map(|bed| bed.obey(command, by, now));
        known.unwrap_or_else(|| Ruling::refused(Status::Unknown, "no such bed on this node"))
    }

    /// Alerts that were held back since the last call, and by what (`cap`, `pause`, `lesser`, `below`).
    pub fn take_held(&mut self) -> Vec<(Alert, &'static str)> {
        let held = self.beds.values_mut().flat_map(Bed::take_held);
        held.map(|(alert, why)| (alert, why.word())).collect()
    }

    /// What a bed has learnt, to be saved.
    #[must_use]
    pub fn baseline(&self, id: &BedId) -> Option<Saved> {
        self.beds.get(id)?.saved(&self.context(id))
    }

    /// All beds.
    pub fn beds(&self) -> impl Iterator<Item = &BedId> {
        self.beds.keys()
    }

    /// Minutes of a bed's trend that closed since the last call, to be saved.
    pub fn take_minutes(&mut self, id: &BedId) -> Vec<TrendPoint> {
        self.beds.get_mut(id).map_or_else(Vec::new, Bed::take_minutes)
    }

    /// Gives a bed back what it had learnt. Returns whether it fits: another model's baseline is not used.
    pub fn restore(&mut self, id: &BedId, saved: Saved, now: Now) -> bool {
        if saved.model != self.model_id {
            return false;
        }
        let analysis = self.setup.analysis_of(id).clone();
        self.bed(id, now).is_some_and(|bed| bed.restore(saved, &analysis))
    }

    /// Takes up what an earlier run left of a bed, after `restore`: its open alerts go on. Returns the ends of what this
    /// run cannot judge.
    pub fn reopen(&mut self, left: &Left, now: Now) -> Vec<Alert> {
        self.bed(&left.bed, now);
        let Some(mut bed) = self.beds.remove(&left.bed) else { return Vec::new() };
        let ends = bed.reopen(left, &self.context(&left.bed), now);
        self.beds.insert(left.bed.clone(), bed);
        ends
    }

    /// The evidence of alerts since the last call.
    pub fn take_evidence(&mut self) -> Vec<Evidence> {
        self.beds.values_mut().flat_map(Bed::take_evidence).collect()
    }

    /// Whether a person or a birth changed what is held of a bed since the last call: a checkpoint is due.
    pub fn take_changed(&mut self, bed: &BedId) -> bool {
        self.beds.get_mut(bed).is_some_and(Bed::take_changed)
    }

    /// The state of a bed between two hops, for [`super::Replay`]; call it between `conclude` and the next `analyse`.
    #[must_use]
    pub fn checkpoint(&self, bed: &BedId, analyser: &Analyser) -> Option<Vec<u8>> {
        self.beds.get(bed)?.checkpoint(analyser, &self.context(bed))
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Birth, Mode};

    #[test]
    fn beds_beyond_the_limit_are_counted_and_cost_nothing() {
        let mut ward = Ward::new(Setup::default(), &Bundle::tiny(1));
        let now = Now { mono: MonoMs(1), utc: UtcMs(1) };
        for i in 0..BEDS_MAX + 3 {
            let bed = BedId::new(&format!("site/unit/b{i}")).expect("valid");
            let birth = Birth {
                bed,
                epoch: None,
                leads: Vec::new(),
                rate: None,
                patient: None,
                monitor: None,
                clock: None,
                paced: false,
                mode: Mode::Test,
            };
            ward.hear(Heard::Birth(birth), now);
        }
        assert_eq!((ward.beds.len(), ward.counts().beds_refused), (BEDS_MAX, 3));
    }
}
