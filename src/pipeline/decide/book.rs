//! A bed's alerts: the open one of each code, and those that ended a while ago. The lower half of the drawing in
//! `condition`: what becomes of a condition once it holds.
//!
//! An alert is either said or held back: by a pause, by a greater alert of the same bed, by the cap, or because it is
//! below the site's budget. What is held back stays on the screen and is written down; it is said once the reason is gone,
//! but for the last two, which are final.

use super::alert::{self, Context, Draft};
use super::words;
use crate::snapshot::{AlertView, Column};
use contract::limits::NOTE_BYTES_MAX;
use contract::{Alert, AlertClass, AlertId, BedId, Code, Level, Phase, Ruling, Status, UtcMs, Why};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Ended alerts kept for the screen.
const ENDED_MAX: usize = 20;
const HOUR_S: u64 = 3_600;
pub(super) const DAY_S: u64 = 24 * HOUR_S;

/// Why an alert is not said outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pipeline) enum Held {
    /// Beyond the cap of the hour or the day.
    Cap,
    /// The bed's notices are paused.
    Pause,
    /// A greater alert of the same bed is open.
    Lesser,
    /// Below the line that the site's budget draws.
    Below,
}

impl Held {
    pub fn word(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Pause => "pause",
            Self::Lesser => "lesser",
            Self::Below => "below",
        }
    }
}

/// One alert as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    alert: Alert,
    held: Option<Held>,
    /// Its newest revision waits for the end of a pause.
    unsaid: bool,
    /// Its condition is over; it stays until somebody has seen it.
    latched: bool,
    seen: Option<(String, UtcMs)>,
    ended: Option<UtcMs>,
    evidence: String,
    strip: Vec<Column>,
}

impl Entry {
    fn new(alert: Alert, held: Option<Held>, evidence: String) -> Self {
        Self {
            alert,
            held,
            unsaid: false,
            latched: false,
            seen: None,
            ended: None,
            evidence,
            strip: Vec::new(),
        }
    }

    /// The alert as it goes out only now; whoever says it gives it its evidence.
    fn said(&mut self, decided: UtcMs) -> Alert {
        self.alert.decided = decided;
        self.alert.evidence.clear();
        self.alert.clone()
    }
}

/// A bed's alerts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Book {
    open: BTreeMap<Code, Entry>,
    ended: VecDeque<Entry>,
    /// The bed's seconds at which advisories were let out, within a day.
    let_out: VecDeque<u64>,
    /// Notices are paused up to this level; what is above breaks through.
    paused: Option<Level>,
    /// Held back since the last look, for the journal.
    held_back: Vec<(Alert, Held)>,
}

impl Book {
    /// Whether the condition of a code holds: open, and not only waiting to be seen.
    pub fn is_open(&self, code: Code) -> bool {
        self.open.get(&code).is_some_and(|e| !e.latched)
    }

    /// The open alert of a code as it was last said.
    pub fn last(&self, code: Code) -> Option<&Alert> {
        self.open.get(&code).filter(|e| !e.latched).map(|e| &e.alert)
    }

    /// Opens an alert, or takes up one that waits to be seen; returns 1 if the cap holds it back, else 0.
    pub fn start(
        &mut self,
        context: &Context,
        draft: Draft,
        second: u64,
        evidence: String,
        out: &mut Vec<Alert>,
    ) -> u64 {
        let code = draft.code;
        if let Some(entry) = self.open.get_mut(&code) {
            entry.latched = false;
            let level = draft.level.max(entry.alert.level);
            self.update(context, code, level, draft.decided, (draft.why, evidence), out);
            return 0;
        }
        let alert = alert::start(context, draft);
        let held = self.held(context, &alert, second);
        match held {
            None => out.push(alert.clone()),
            Some(why) => self.held_back.push((alert.clone(), why)),
        }
        self.open.insert(code, Entry::new(alert, held, evidence));
        u64::from(held == Some(Held::Cap))
    }

    /// Lists what is below the site's budget; nobody is called. Returns whether it is listed: an alert of the same code
    /// that waits to be seen goes first.
    pub fn review(&mut self, context: &Context, draft: Draft, evidence: String) -> bool {
        if self.open.contains_key(&draft.code) {
            return false;
        }
        let (code, alert) = (draft.code, alert::start(context, draft));
        self.held_back.push((alert.clone(), Held::Below));
        self.open.insert(code, Entry::new(alert, Some(Held::Below), evidence));
        true
    }

    /// Why this alert must not be said now. Letting an advisory out uses up one of the cap.
    fn held(&mut self, context: &Context, alert: &Alert, second: u64) -> Option<Held> {
        if self.paused.is_some_and(|up_to| alert.level <= up_to) {
            return Some(Held::Pause);
        }
        if alert.class != AlertClass::Analysis {
            return None;
        }
        let greater = |e: &Entry| {
            let said = e.held.is_none() && !e.latched && e.alert.class == AlertClass::Analysis;
            said && e.alert.code != alert.code && e.alert.level > alert.level
        };
        if self.open.values().any(greater) {
            return Some(Held::Lesser);
        }
        (!self.within_cap(context, second)).then_some(Held::Cap)
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

    /// Says an open alert anew; a rise of the level asks again. What is held back becomes another beginning.
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
        entry.evidence = evidence;
        if entry.held.is_some() {
            entry.alert = alert::again(context, &entry.alert, level, decided, why);
            return;
        }
        entry.alert = alert::follow(context, &entry.alert, Phase::Update, level, decided, why);
        entry.unsaid = self.paused.is_some_and(|up_to| level <= up_to);
        if !entry.unsaid {
            out.push(entry.alert.clone());
        }
    }

    /// The condition of a code is over: its alert ends, or waits to be seen where the site latches.
    pub fn end(&mut self, context: &Context, code: Code, decided: UtcMs, out: &mut Vec<Alert>) {
        let Some(entry) = self.open.get_mut(&code) else { return };
        let latches = context.analysis.latching && entry.alert.class == AlertClass::Analysis;
        if !latches || entry.held.is_some() || entry.seen.is_some() {
            return self.close(context, code, decided, out);
        }
        if !std::mem::replace(&mut entry.latched, true) {
            entry.alert = alert::latched(&entry.alert, decided);
            out.push(entry.alert.clone());
        }
    }

    /// Ends an open alert, seen or not.
    pub fn close(&mut self, context: &Context, code: Code, decided: UtcMs, out: &mut Vec<Alert>) {
        let Some(mut entry) = self.open.remove(&code) else { return };
        let last = &entry.alert;
        entry.ended = Some(decided);
        if entry.held.is_none() {
            out.push(alert::follow(context, last, Phase::End, last.level, decided, last.why.clone()));
        }
        self.ended.retain(|e| e.ended.is_none_or(|at| at.after(DAY_S as i64 * 1_000) > decided));
        self.ended.push_back(entry);
        if self.ended.len() > ENDED_MAX {
            // What nobody was called for goes first.
            let listed = self.ended.iter().position(|e| e.held == Some(Held::Below));
            self.ended.remove(listed.unwrap_or(0));
        }
    }

    /// Takes up an alert that an earlier run left open, and who had seen it.
    pub fn reopen(&mut self, alert: Alert, seen: Option<(String, UtcMs)>) {
        let latched = alert.text == words::latched(alert.code);
        let entry = Entry { latched, seen, ..Entry::new(alert, None, String::new()) };
        self.open.insert(entry.alert.code, entry);
    }

    /// Counts advisories that an earlier run let out at these seconds.
    pub fn let_out(&mut self, seconds: impl Iterator<Item = u64>) {
        self.let_out.extend(seconds);
        self.let_out.make_contiguous().sort_unstable();
    }

    /// Says what is held back no longer, and ends what was seen after its condition; of the codes `of`, decided by what
    /// was heard until `decided`. Returns how many the cap now holds back.
    pub fn release(
        &mut self,
        context: &Context,
        (second, decided): (u64, UtcMs),
        of: impl Fn(Code) -> bool,
        out: &mut Vec<Alert>,
    ) -> u64 {
        let mut silent = 0;
        let codes: Vec<Code> = self.open.keys().copied().filter(|&code| of(code)).collect();
        for code in codes {
            let Some(entry) = self.open.get_mut(&code) else { continue };
            if entry.latched && entry.seen.is_some() {
                self.close(context, code, decided, out);
                continue;
            }
            if entry.unsaid && self.paused.is_none() {
                entry.unsaid = false;
                out.push(entry.said(decided));
            }
            if !matches!(entry.held, Some(Held::Pause | Held::Lesser)) {
                continue;
            }
            let (alert, before) = (entry.alert.clone(), entry.held);
            let held = self.held(context, &alert, second);
            let Some(entry) = self.open.get_mut(&code) else { continue };
            entry.held = held;
            match held {
                None => out.push(entry.said(decided)),
                Some(why) if held != before => {
                    silent += u64::from(why == Held::Cap);
                    self.held_back.push((alert, why));
                }
                Some(_) => {}
            }
        }
        silent
    }

    /// Holds notices back until [`Book::resume`]. Where an alert at the highest level is open already, nothing is
    /// above it; else that level breaks through.
    pub fn pause(&mut self) {
        let strong = self.open.values().any(|e| e.held.is_none() && e.alert.level == Level::Alert);
        self.paused = Some(if strong { Level::Alert } else { Level::Advisory });
    }

    /// Ends a pause; [`Book::release`] says what it held back.
    pub fn resume(&mut self) {
        self.paused = None;
    }

    /// What was held back since the last call.
    pub fn take_held(&mut self) -> Vec<(Alert, Held)> {
        std::mem::take(&mut self.held_back)
    }

    /// Freezes the trace for the alerts that have none yet.
    pub fn freeze(&mut self, columns: impl Fn() -> Vec<Column>) {
        for entry in self.open.values_mut().filter(|e| e.strip.is_empty()) {
            entry.strip = columns();
        }
    }

    /// Notes who has seen an alert; the first one stays. `None` if it is not known here.
    pub fn acknowledge(&mut self, id: &AlertId, rev: Option<u32>, by: &str, at: UtcMs) -> Option<Ruling> {
        let mut entries = self.open.values_mut().chain(self.ended.iter_mut().rev());
        let entry = entries.find(|e| e.alert.id == *id)?;
        let present = entry.alert.rev;
        if rev.is_some_and(|rev| rev != present) {
            let why = format!("the alert is at revision {present}: look again");
            return Some(Ruling { rev: Some(present), ..Ruling::refused(Status::Stale, why) });
        }
        if entry.seen.is_none() {
            entry.seen = Some((by.chars().take(NOTE_BYTES_MAX).collect(), at));
        }
        Some(Ruling::applied(Some(present)))
    }

    /// Open alerts, and ended ones of the last day.
    pub fn views<'a>(&'a self, bed: &'a BedId, label: &'a str) -> impl Iterator<Item = AlertView> + 'a {
        self.open.values().chain(&self.ended).map(|e| AlertView {
            id: e.alert.id.clone(),
            rev: e.alert.rev,
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
            silent: e.held.is_some(),
            latched: e.latched,
        })
    }
}
