//! A bed's alerts: the open one of each code, and those that ended a while ago.

use super::alert::{self, Context, Draft};
use crate::snapshot::{AlertView, Column};
use contract::{Alert, AlertClass, AlertId, BedId, Code, Level, Phase, UtcMs, Why};
use std::collections::{BTreeMap, VecDeque};

/// Ended alerts kept for the screen.
const ENDED_MAX: usize = 20;
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

/// One alert as it stands.
#[derive(Debug, Clone)]
struct Entry {
    alert: Alert,
    /// Beyond the cap: on the screen, nowhere else.
    silent: bool,
    seen: Option<(String, UtcMs)>,
    ended: Option<UtcMs>,
    evidence: String,
    strip: Vec<Column>,
}

/// A bed's alerts.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    open: BTreeMap<Code, Entry>,
    ended: VecDeque<Entry>,
    /// The bed's seconds at which advisories were let out, within a day.
    let_out: VecDeque<u64>,
}

impl Book {
    pub fn is_open(&self, code: Code) -> bool {
        self.open.contains_key(&code)
    }

    /// The open alert of a code as it was last said.
    pub fn last(&self, code: Code) -> Option<&Alert> {
        self.open.get(&code).map(|e| &e.alert)
    }

    /// Opens an alert; returns 1 if the cap holds it back, else 0.
    pub fn start(
        &mut self,
        context: &Context,
        draft: Draft,
        second: u64,
        evidence: String,
        out: &mut Vec<Alert>,
    ) -> u64 {
        let silent = draft.code.class() == AlertClass::Analysis && !self.within_cap(context, second);
        let alert = alert::start(context, draft);
        if !silent {
            out.push(alert.clone());
        }
        let code = alert.code;
        self.open.insert(code, Entry { alert, silent, seen: None, ended: None, evidence, strip: Vec::new() });
        u64::from(silent)
    }

    fn within_cap(&mut self, context: &Context, second: u64) -> bool {
        self.let_out.retain(|&s| s + DAY_S > second);
        let hour = self.let_out.iter().filter(|&&s| s + HOUR_S > second).count();
        let within = hour < context.analysis.per_hour as usize
            && self.let_out.len() < context.analysis.per_day as usize;
        if within {
            self.let_out.push_back(second);
        }
        within
    }

    /// Says an open alert anew; a rise of the level asks again.
    pub fn update(
        &mut self,
        context: &Context,
        code: Code,
        level: Level,
        decided: UtcMs,
        (why, evidence): (Why, String),
        out: &mut Vec<Alert>,
    ) {
        let Some(entry) = self.open.get_mut(&code) else { return };
        if level > entry.alert.level {
            entry.seen = None;
        }
        entry.alert = alert::follow(context, &entry.alert, Phase::Update, level, decided, why);
        entry.evidence = evidence;
        if !entry.silent {
            out.push(entry.alert.clone());
        }
    }

    /// Ends an open alert.
    pub fn end(&mut self, context: &Context, code: Code, decided: UtcMs, out: &mut Vec<Alert>) {
        let Some(mut entry) = self.open.remove(&code) else { return };
        let last = &entry.alert;
        entry.ended = Some(decided);
        let closing = alert::follow(context, last, Phase::End, last.level, decided, last.why.clone());
        if !entry.silent {
            out.push(closing);
        }
        self.ended.push_back(entry);
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// Freezes the trace for the alerts that have none yet.
    pub fn freeze(&mut self, columns: impl Fn() -> Vec<Column>) {
        for entry in self.open.values_mut().filter(|e| e.strip.is_empty()) {
            entry.strip = columns();
        }
    }

    pub fn acknowledge(&mut self, id: &AlertId, by: &str, at: UtcMs) -> bool {
        let mut entries = self.open.values_mut().chain(&mut self.ended);
        let Some(entry) = entries.find(|e| e.alert.id == *id) else { return false };
        entry.seen = Some((by.chars().take(contract::limits::NOTE_BYTES_MAX).collect(), at));
        true
    }

    /// Open alerts, and ended ones that nobody has seen.
    pub fn views<'a>(&'a self, bed: &'a BedId, label: &'a str) -> impl Iterator<Item = AlertView> + 'a {
        let unseen = self.ended.iter().filter(|e| e.seen.is_none());
        self.open.values().chain(unseen).map(|e| AlertView {
            id: e.alert.id.clone(),
            bed: Some(bed.clone()),
            label: label.into(),
            code: e.alert.code,
            class: e.alert.class,
            level: e.alert.level,
            onset: e.alert.onset,
            ended: e.ended,
            seen: e.seen.clone(),
            text: e.alert.text.clone(),
            k_of_n: e.alert.why.k_of_n,
            evidence: e.evidence.clone(),
            shifts: e.alert.why.clusters.clone(),
            strip: e.strip.clone(),
            silent: e.silent,
        })
    }
}
