//! The node's watch over itself: health for the screen, status on the wire, and the alert WB-NODE.
//!
//! Once a second it asks every part how it fares. Trouble that lasts raises one alert about the node, worded by
//! what is wrong; it ends when all is well for a while. An alert left open by an earlier run goes on.

use super::clock::Clock;
use super::engine::EngineHealth;
use super::journal::{Journal, Order};
use super::outlet::Outlet;
use super::publish;
use super::recorder;
use super::sink::SinkHealth;
use super::tally::Tally;
use super::wire::LinkHealth;
use crate::config::Settings;
use crate::pipeline::{Setup, node_alert};
use crate::snapshot::{AlertView, NodeView};
use contract::limits::BEDS_MAX;
use contract::{Alert, AlertId, Code, Level, Phase, Ruling, Status, UtcMs};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const TICK: Duration = Duration::from_secs(1);
/// Trouble must last this many ticks before it is an alert, and be gone as long before the alert ends.
const HOLD_TICKS: u32 = 5;
/// Findings later than this are behind real time.
const BEHIND_US: u64 = 3_000_000;
/// Ticks between looks at retention.
const PRUNE_TICKS: u64 = 3_600;
const DAY_MS: i64 = 86_400_000;
/// Less than this on the journal's disk is trouble: alerts must find room.
const DISK_FREE_BYTES_MIN: u64 = 100 << 20;

/// What the node's watch asks, each second.
pub struct Parts {
    /// The settings.
    pub settings: Arc<Settings>,
    /// For the alert's constructor.
    pub setup: Setup,
    /// Time.
    pub clock: Clock,
    /// What is counted.
    pub tally: Arc<Tally>,
    /// The listening link.
    pub listening: Arc<LinkHealth>,
    /// The alerting link.
    pub alerting: Arc<LinkHealth>,
    /// Where the status goes.
    pub outlet: Outlet,
    /// The journal.
    pub journal: Journal,
    /// Each destination's health.
    pub sinks: Vec<(String, Arc<SinkHealth>)>,
    /// The recorder's health, where there is one.
    pub recorder: Option<Arc<recorder::Health>>,
    /// How each engine fares.
    pub engines: Vec<Arc<EngineHealth>>,
}

/// The newest view of the node, for the picture and the birth message.
#[derive(Default)]
pub struct NodeSlot(Mutex<(NodeView, Option<AlertView>)>);

impl NodeSlot {
    /// The view and the open alert about the node.
    #[must_use]
    pub fn newest(&self) -> (NodeView, Option<AlertView>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the view; who has seen an alert stays with it.
    pub fn show(&self, view: NodeView, mut alert: Option<AlertView>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(new), Some(old)) = (&mut alert, &shown.1)
            && new.id == old.id
            && new.rev == old.rev
        {
            new.seen.clone_from(&old.seen);
        }
        *shown = (view, alert);
    }

    /// Notes who has seen the open alert; other words ask again.
    pub fn acknowledge(&self, id: &AlertId, rev: Option<u32>, by: &str, at: UtcMs) -> Ruling {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(alert) = shown.1.as_mut().filter(|a| a.id == *id) else {
            return Ruling::refused(Status::Unknown, "no such alert is open about this node");
        };
        if rev.is_some_and(|rev| rev != alert.rev) {
            let why = format!("the alert is at revision {}: look again", alert.rev);
            return Ruling { rev: Some(alert.rev), ..Ruling::refused(Status::Stale, why) };
        }
        alert.seen.get_or_insert_with(|| (by.into(), at));
        Ruling::applied(Some(alert.rev))
    }
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// What was seen at the last look, to tell what is new.
#[derive(Default)]
struct Seen {
    evicted: u64,
    failed: u64,
    beds_refused: u64,
    unrecorded: u64,
    bytes: u64,
    told: Vec<String>,
}

/// The watch.
pub struct Watch {
    parts: Parts,
    slot: Arc<NodeSlot>,
    seen: Seen,
    open: Option<Alert>,
    /// Ticks that the present verdict (trouble or not) has lasted.
    lasted: u32,
    ill: bool,
}

impl Watch {
    /// A watch that takes up what an earlier run left open.
    #[must_use]
    pub fn new(parts: Parts, slot: Arc<NodeSlot>, open: Option<Alert>) -> Self {
        Self { parts, slot, seen: Seen::default(), open, lasted: 0, ill: false }
    }

    /// Looks once a second until `stop`.
    pub fn run(mut self, stop: &AtomicBool) {
        let mut ticks = 0_u64;
        while !stop.load(Ordering::Acquire) {
            self.look();
            if ticks.is_multiple_of(PRUNE_TICKS) {
                let days = i64::from(self.parts.settings.journal.retention_days);
                let bytes = u64::from(self.parts.settings.journal.retention_mb) << 20;
                let before = self.parts.clock.utc().after(-days.saturating_mul(DAY_MS));
                // Where the disk is behind there will be another hour.
                let _ = self.parts.journal.put(Order::Prune(before, bytes));
            }
            ticks += 1;
            std::thread::park_timeout(TICK);
        }
    }

    fn look(&mut self) {
        let now = self.parts.clock.utc();
        let troubles = self.troubles();
        self.judge(&troubles, now);
        let (mut view, _) = self.slot.newest();
        self.refresh(&mut view, troubles);
        if view.troubles != self.seen.told {
            let message = publish::status(&self.parts.settings, "online", &view, now);
            if self.parts.outlet.send(message).is_ok() {
                self.seen.told.clone_from(&view.troubles);
            }
        }
        let alert = self.open.as_ref().map(|alert| listed(alert, &self.parts.settings.node));
        self.slot.show(view, alert);
    }

    fn refresh(&mut self, view: &mut NodeView, troubles: Vec<String>) {
        let parts = &self.parts;
        let now_ms = parts.clock.mono().0;
        view.broker_since = parts.listening.since().filter(|_| parts.alerting.since().is_some());
        view.reconnects = get(&parts.listening.joins).saturating_sub(1);
        let bytes = get(&parts.listening.bytes);
        view.in_bytes_per_s = bytes - self.seen.bytes;
        self.seen.bytes = bytes;
        view.frames = get(&parts.tally.frames_in);
        view.refused =
            get(&parts.tally.refused) + get(&parts.tally.beds_refused) + get(&parts.listening.refused);
        view.evicted = get(&parts.tally.evicted);
        view.findings = get(&parts.tally.findings);
        view.latency_ms = [parts.tally.latency.quantile_ms(0.5), parts.tally.latency.quantile_ms(0.99)];
        view.undelivered = parts.sinks.iter().map(|(_, s)| get(&s.waiting)).max().unwrap_or(0);
        view.sinks = parts.sinks.iter().map(|(name, s)| (name.clone(), s.trouble(now_ms))).collect();
        if let Some(family) = parts.engines.iter().find_map(|engine| engine.instead.get()) {
            view.engine = (*family).into();
        }
        view.disk_free_bytes = disk_free_bytes(&parts.settings.journal.path);
        view.troubles = troubles;
    }

    /// What is wrong, in words without numbers that change: they make the alert's text.
    fn troubles(&mut self) -> Vec<String> {
        let parts = &self.parts;
        let mut found = Vec::new();
        if parts.tally.worst_us.swap(0, Ordering::Relaxed) > BEHIND_US {
            found.push("analysis is behind the signal".into());
        }
        let evicted = parts.tally.evicted.load(Ordering::Relaxed);
        if evicted > self.seen.evicted {
            found.push("waveform queue full, oldest frames lost".into());
        }
        let beds_refused = parts.tally.beds_refused.load(Ordering::Relaxed);
        if beds_refused > self.seen.beds_refused {
            found.push(format!("more than {BEDS_MAX} beds, the others are not followed"));
        }
        let disk = parts.journal.committed.trouble();
        if !disk.is_empty() {
            found.push(format!("journal cannot be written: {disk}"));
        }
        if disk_free_bytes(&parts.settings.journal.path).is_some_and(|free| free < DISK_FREE_BYTES_MIN) {
            found.push("the journal's disk is almost full".into());
        }
        if parts.engines.iter().any(|engine| engine.fails.load(Ordering::Relaxed)) {
            found.push("the engine failed".into());
        }
        if parts.engines.iter().any(|engine| engine.instead.get().is_some()) {
            found.push("the GPU is lost and the CPU runs the network; restart once it is back".into());
        }
        if let Some(recorder) = &parts.recorder {
            let told = recorder.trouble();
            if !told.is_empty() {
                found.push(told);
            }
            let lost = get(&recorder.lost);
            if lost > self.seen.unrecorded {
                found.push("the disk is too slow for the recorder".into());
            }
            self.seen.unrecorded = lost;
        }
        let now_ms = parts.clock.mono().0;
        for (name, sink) in &parts.sinks {
            if sink.waiting.load(Ordering::Relaxed) > 0 && !sink.trouble(now_ms).is_empty() {
                found.push(format!("alerts undelivered at {name}"));
            }
        }
        let failed: u64 = parts.sinks.iter().map(|(_, s)| s.failed.load(Ordering::Relaxed)).sum();
        if failed > self.seen.failed {
            found.push("an alert was refused or expired undelivered".into());
        }
        (self.seen.evicted, self.seen.failed, self.seen.beds_refused) = (evicted, failed, beds_refused);
        found
    }

    /// Start after trouble has lasted, update when its words change, end after quiet has lasted.
    fn judge(&mut self, troubles: &[String], now: UtcMs) {
        let ill = !troubles.is_empty();
        self.lasted = if ill == self.ill { self.lasted + 1 } else { 1 };
        self.ill = ill;
        let detail = troubles.join("; ");
        let model = self.slot.newest().0.model;
        let next = match &self.open {
            // An alert lost for good is told at once; all else must last.
            None if ill && (self.lasted >= HOLD_TICKS || detail.contains("refused or expired")) => {
                Some(node_alert(&self.parts.setup, &model, Phase::Start, (now, 0), now, &detail))
            }
            Some(open) if ill && open.why.detail.as_deref() != Some(&detail) && self.lasted >= HOLD_TICKS => {
                self.lasted = 0;
                Some(self.follow(open, Phase::Update, now, &detail))
            }
            Some(open) if !ill && self.lasted >= HOLD_TICKS => {
                let detail = open.why.detail.clone().unwrap_or_default();
                Some(self.follow(open, Phase::End, now, &detail))
            }
            _ => None,
        };
        if let Some(alert) = next {
            if alert.phase == Phase::Start {
                self.parts.tally.technical.fetch_add(1, Ordering::Relaxed);
            }
            tracing::warn!(phase = ?alert.phase, text = alert.text, "node");
            self.open = (alert.phase != Phase::End).then(|| alert.clone());
            self.parts.journal.put_waiting(Order::Alert(Box::new(alert), now));
        }
    }

    /// The open alert's next message; its id stays even where an earlier run with another model began it.
    fn follow(&self, open: &Alert, phase: Phase, now: UtcMs, detail: &str) -> Alert {
        node_alert(&self.parts.setup, &open.model, phase, (open.onset, open.rev + 1), now, detail)
    }
}

/// What an ordinary user may still write on the disk of `file`; `None` where the system does not say.
fn disk_free_bytes(file: &Path) -> Option<u64> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn listed(alert: &Alert, node: &str) -> AlertView {
    AlertView {
        id: alert.id.clone(),
        rev: alert.rev,
        bed: None,
        label: node.into(),
        code: Code::Node,
        class: alert.class,
        level: Level::Alert,
        onset: alert.onset,
        ended: None,
        seen: None,
        text: alert.text.clone(),
        k_of_n: None,
        evidence: String::new(),
        shifts: Vec::new(),
        strip: Vec::new(),
        silent: false,
        latched: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journals_disk_tells_how_much_is_free() {
        let folder = tempfile::tempdir().expect("a folder");
        let free = disk_free_bytes(&folder.path().join("journal.sqlite")).expect("a disk");
        assert!(free > 0);
        assert!(disk_free_bytes(Path::new("journal.sqlite")).is_some(), "a file in the working folder");
        assert_eq!(disk_free_bytes(Path::new("/no/such/folder/journal.sqlite")), None);
    }
}
