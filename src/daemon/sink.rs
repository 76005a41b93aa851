//! One thread a destination: reads the journal from its cursor on, delivers in order, tries again with back-off.
//!
//! A destination that refuses an alert does not hold back the next; one that is away holds back its own alerts only.
//! The cursor moves when the outcome is known, so that a crash between the two delivers twice under one key, never
//! not at all.

use super::backoff::Backoff;
use super::clock::Clock;
use super::command::Commands;
use super::histogram::Histogram;
use super::journal::{Entry, Journal, Order, Outcome, Reader};
use crate::config::AfterOutage;
use contract::{Back, Phase, Sink, SinkError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Alerts read from the journal at a time.
const BATCH_MAX: usize = 32;
/// A destination must answer within this.
const BUDGET: Duration = Duration::from_secs(5);
/// Keep-alive of a destination, and the longest look away from `stop`.
const TICK: Duration = Duration::from_millis(500);

/// How a destination fares, for the node's view.
#[derive(Default)]
pub struct SinkHealth {
    trouble: Mutex<String>,
    /// Monotonic ms since which a call has been running; 0 = none.
    busy_since_ms: AtomicU64,
    /// Alerts that it refused or that expired.
    pub failed: AtomicU64,
    /// Alerts that it has not taken yet.
    pub waiting: AtomicU64,
    /// From the decision to the destination's answer.
    pub latency: Histogram,
}

impl SinkHealth {
    /// What is wrong, in words; empty = well.
    #[must_use]
    pub fn trouble(&self, now_ms: u64) -> String {
        let busy = self.busy_since_ms.load(Ordering::Relaxed);
        if busy > 0 && now_ms.saturating_sub(busy) > 2 * BUDGET.as_millis() as u64 {
            return "stuck: a call does not return".into();
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, trouble: &str) {
        trouble.clone_into(&mut self.trouble.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Everything one delivering thread needs.
pub struct Delivery {
    /// The destination's name: its cursor's key.
    pub name: String,
    /// The journal.
    pub journal: Journal,
    /// Its health.
    pub health: Arc<SinkHealth>,
    /// For ages.
    pub clock: Clock,
    /// The longest wait between attempts.
    pub longest_wait: Duration,
    /// Deliver what is there, once, then end.
    pub stop: Arc<AtomicBool>,
    /// Where acknowledgements that come back go.
    pub commands: Option<Commands>,
    /// An alert older than this is no longer worth delivering.
    pub expire_ms: i64,
    /// What goes out after an outage.
    pub after_outage: AfterOutage,
}

/// How one look at the journal went.
enum Pass {
    /// Everything in it is delivered.
    Done,
    /// There is more.
    More,
    /// The destination is away.
    Away,
}

impl Delivery {
    /// Delivers until `stop`. A destination that panics is reported; its thread goes on with the next attempt.
    pub fn run(self, mut sink: Box<dyn Sink>) {
        let reader = match self.journal.reader() {
            Ok(reader) => reader,
            Err(e) => return tracing::error!(sink = self.name, fault = %e, "no deliveries"),
        };
        let mut cursor = reader.cursor(&self.name).unwrap_or_default();
        let mut backoff = Backoff::new(Duration::from_millis(200), self.longest_wait, &self.name);
        let mut outage = false;
        loop {
            let stopping = self.stop.load(Ordering::Acquire);
            match self.pass(sink.as_mut(), &reader, &mut cursor, outage) {
                Pass::Done | Pass::Away if stopping => return,
                Pass::Done => {
                    backoff.success();
                    outage = false;
                    self.journal.committed.wait_beyond(cursor, TICK);
                }
                Pass::More => backoff.success(),
                Pass::Away => {
                    outage = true;
                    self.pause(backoff.after_failure());
                }
            }
        }
    }

    /// Waits, but not beyond `stop`.
    fn pause(&self, wait: Duration) {
        let until = self.clock.mono().after(wait.as_millis() as u64);
        while self.clock.mono() < until && !self.stop.load(Ordering::Acquire) {
            let left = until.since(self.clock.mono()).min(50);
            std::thread::sleep(Duration::from_millis(left.max(1)));
        }
    }

    fn pass(&self, sink: &mut dyn Sink, reader: &Reader, cursor: &mut i64, outage: bool) -> Pass {
        match self.guarded(|| sink.tick(BUDGET)) {
            Ok(back) => self.back(back),
            Err(e) => self.health.set(&e.to_string()),
        }
        let entries = match reader.after(*cursor, BATCH_MAX) {
            Ok(entries) => entries,
            Err(e) => {
                self.health.set(&format!("journal: {e}"));
                return Pass::Away;
            }
        };
        let waiting = if entries.len() < BATCH_MAX {
            entries.len() as u64
        } else {
            reader.undelivered(&self.name).unwrap_or(BATCH_MAX as u64)
        };
        self.health.waiting.store(waiting, Ordering::Relaxed);
        let more = entries.len() == BATCH_MAX;
        for entry in entries {
            let skipped = outage && self.after_outage == AfterOutage::EndOnly && over(reader, &entry);
            let attempted = if skipped { Some(Outcome::Skipped) } else { self.attempt(sink, &entry) };
            let Some(outcome) = attempted else { return Pass::Away };
            self.health.waiting.fetch_sub(1, Ordering::Relaxed);
            if matches!(outcome, Outcome::Refused(_) | Outcome::Expired) {
                self.health.failed.fetch_add(1, Ordering::Relaxed);
            }
            let at = self.clock.utc();
            self.journal.put_waiting(Order::Outcome { sink: self.name.clone(), seq: entry.seq, outcome, at });
            *cursor = entry.seq;
        }
        if more {
            return Pass::More;
        }
        self.resend(sink, reader)
    }

    /// What a person wants delivered once more, whatever its age; the key tells the receiver that it is a repeat.
    fn resend(&self, sink: &mut dyn Sink, reader: &Reader) -> Pass {
        for entry in reader.resends(&self.name).unwrap_or_default() {
            let Some(outcome) = self.deliver(sink, &entry) else { return Pass::Away };
            let (name, seq, at) = (&self.name, entry.seq, self.clock.utc());
            self.journal.put_waiting(Order::Outcome { sink: name.clone(), seq, outcome, at });
            self.journal.put_waiting(Order::Resent { sink: name.clone(), seq });
            // Read again only once it is on disk that this one is done.
            if !self.journal.flush(BUDGET) {
                return Pass::Away;
            }
        }
        Pass::Done
    }

    /// What the destination reports goes the way of every command.
    fn back(&self, back: Vec<Back>) {
        for Back::Acknowledged { alert, by } in back {
            let Some(commands) = &self.commands else { continue };
            if let Err(why) = commands.back(&self.name, alert, &by) {
                tracing::warn!(sink = self.name, by, why, "an acknowledgement is lost");
            }
        }
    }

    fn attempt(&self, sink: &mut dyn Sink, entry: &Entry) -> Option<Outcome> {
        if self.clock.utc().0 - entry.at.0 > self.expire_ms {
            tracing::warn!(sink = self.name, alert = entry.alert.key(), "alert expired undelivered");
            return Some(Outcome::Expired);
        }
        self.deliver(sink, entry)
    }

    /// One attempt; `None` = the destination is away.
    fn deliver(&self, sink: &mut dyn Sink, entry: &Entry) -> Option<Outcome> {
        match self.guarded(|| sink.deliver(&entry.alert, BUDGET)) {
            Ok(receipt) => {
                self.health.set("");
                let took_ms = (self.clock.utc().0 - entry.at.0).max(0).unsigned_abs();
                self.health.latency.record(took_ms * 1_000);
                Some(Outcome::Delivered(receipt.0))
            }
            Err(SinkError::Refused(why)) => {
                tracing::error!(sink = self.name, alert = entry.alert.key(), why, "alert refused");
                Some(Outcome::Refused(why))
            }
            Err(SinkError::Retry(why)) => {
                if self.health.trouble(0) != why {
                    tracing::warn!(sink = self.name, alert = entry.alert.key(), why, "alert waits");
                }
                self.health.set(&why);
                None
            }
        }
    }

    /// A call to the destination, timed, its panic caught.
    fn guarded<T>(&self, call: impl FnOnce() -> Result<T, SinkError>) -> Result<T, SinkError> {
        self.health.busy_since_ms.store(self.clock.mono().0.max(1), Ordering::Relaxed);
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
        self.health.busy_since_ms.store(0, Ordering::Relaxed);
        answer.unwrap_or_else(|_| Err(SinkError::Retry("the sink panicked".into())))
    }
}

/// Whether this is not the end of an alert that has ended.
fn over(reader: &Reader, entry: &Entry) -> bool {
    entry.alert.phase != Phase::End && reader.has_ended(&entry.alert.id.0).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::testing::alert;
    use contract::{Alert, Receipt, UtcMs};
    use std::path::Path;
    use std::thread::JoinHandle;

    const PATIENCE: Duration = Duration::from_secs(20);
    const EXPIRE_MS: i64 = 24 * 3_600_000;

    /// A destination that answers as its alert's id asks, and remembers what came.
    #[derive(Clone, Default)]
    struct Asked {
        came: Arc<Mutex<Vec<String>>>,
        away: Arc<AtomicBool>,
    }

    impl Sink for Asked {
        fn probe(&mut self, _: Duration) -> Result<(), SinkError> {
            Ok(())
        }
        fn deliver(&mut self, alert: &Alert, _: Duration) -> Result<Receipt, SinkError> {
            if self.away.load(Ordering::Acquire) {
                return Err(SinkError::Retry("away".into()));
            }
            self.came.lock().expect("whole").push(alert.key());
            match alert.id.0.as_str() {
                "refuse" => Err(SinkError::Refused("unknown bed".into())),
                "panic"
                    if self.came.lock().expect("whole").iter().filter(|k| *k == "panic:0").count() == 1 =>
                {
                    panic!("asked to")
                }
                _ => Ok(Receipt("ok".into())),
            }
        }
        fn tick(&mut self, _: Duration) -> Result<Vec<Back>, SinkError> {
            Ok(Vec::new())
        }
    }

    struct Run {
        journal: Journal,
        health: Arc<SinkHealth>,
        stop: Arc<AtomicBool>,
        thread: JoinHandle<()>,
    }

    fn run(path: &Path, sink: &Asked) -> Run {
        run_with(path, sink, AfterOutage::All)
    }

    fn run_with(path: &Path, sink: &Asked, after_outage: AfterOutage) -> Run {
        let (journal, _) = Journal::open(path, &["s".into(), "stuck".into()]).expect("opens");
        let (health, stop) = (Arc::<SinkHealth>::default(), Arc::<AtomicBool>::default());
        let body = Delivery {
            name: "s".into(),
            journal: journal.clone(),
            health: health.clone(),
            clock: Clock::start(),
            longest_wait: Duration::from_millis(200),
            stop: stop.clone(),
            commands: None,
            expire_ms: EXPIRE_MS,
            after_outage,
        };
        let sink = Box::new(sink.clone());
        Run { journal, health, stop, thread: std::thread::spawn(move || body.run(sink)) }
    }

    impl Run {
        fn put(&self, ids: &[&str]) {
            for id in ids {
                let alert = alert(id, 0, Phase::Start);
                self.journal.put_waiting(Order::Alert(Box::new(alert), Clock::start().utc()));
            }
        }
        fn end(self) {
            self.stop.store(true, Ordering::Release);
            self.thread.join().expect("ends");
            assert!(self.journal.flush(PATIENCE));
        }
    }

    fn came(sink: &Asked, wanted: &[&str]) {
        let found = || sink.came.lock().expect("whole").clone();
        Clock::start().wait(PATIENCE, || found().len() >= wanted.len());
        assert_eq!(found(), wanted);
    }

    #[test]
    fn a_refused_alert_holds_back_nothing_and_a_panic_is_tried_again() {
        let folder = tempfile::tempdir().expect("folder");
        let sink = Asked::default();
        let run = run(&folder.path().join("j.sqlite"), &sink);
        run.put(&["a", "refuse", "panic", "z"]);
        came(&sink, &["a:0", "refuse:0", "panic:0", "panic:0", "z:0"]);
        Clock::start().wait(PATIENCE, || run.health.waiting.load(Ordering::Relaxed) == 0);
        assert_eq!(run.health.failed.load(Ordering::Relaxed), 1);
        run.end();
    }

    #[test]
    fn what_a_destination_missed_comes_in_order_after_a_restart() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("j.sqlite");
        let sink = Asked::default();
        let first = run(&path, &sink);
        first.put(&["a"]);
        came(&sink, &["a:0"]);
        sink.away.store(true, Ordering::Release);
        first.put(&["b", "c"]);
        assert!(Clock::start().wait(PATIENCE, || first.health.trouble(0) == "away"));
        first.end();
        sink.away.store(false, Ordering::Release);
        let second = run(&path, &sink);
        came(&sink, &["a:0", "b:0", "c:0"]);
        second.end();
    }

    #[test]
    fn an_alert_of_yesterday_expires() {
        let folder = tempfile::tempdir().expect("folder");
        let sink = Asked::default();
        let run = run(&folder.path().join("j.sqlite"), &sink);
        let old = UtcMs(Clock::start().utc().0 - EXPIRE_MS - 1);
        run.journal.put_waiting(Order::Alert(Box::new(alert("old", 0, Phase::Start)), old));
        run.put(&["new"]);
        came(&sink, &["new:0"]);
        assert_eq!(run.health.failed.load(Ordering::Relaxed), 1);
        run.end();
    }

    #[test]
    fn after_an_outage_a_site_may_want_the_ends_only() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("j.sqlite");
        let sink = Asked::default();
        sink.away.store(true, Ordering::Release);
        let run = run_with(&path, &sink, AfterOutage::EndOnly);
        run.put(&["ended", "open"]);
        assert!(Clock::start().wait(PATIENCE, || run.health.trouble(0) == "away"));
        let end = alert("ended", 1, Phase::End);
        run.journal.put_waiting(Order::Alert(Box::new(end), Clock::start().utc()));
        assert!(run.journal.flush(PATIENCE));
        sink.away.store(false, Ordering::Release);
        came(&sink, &["open:0", "ended:1"]);
        assert_eq!(run.health.failed.load(Ordering::Relaxed), 0, "skipped is not failed");
        run.end();
    }

    #[test]
    fn a_person_may_have_an_alert_delivered_once_more() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("j.sqlite");
        let sink = Asked::default();
        let run = run(&path, &sink);
        run.put(&["a", "b"]);
        came(&sink, &["a:0", "b:0"]);
        Clock::start().wait(PATIENCE, || {
            run.journal.flush(PATIENCE)
                && crate::daemon::journal::ask_resend(&path, "a", Some("s")).expect("asks") == 1
        });
        came(&sink, &["a:0", "b:0", "a:0"]);
        run.end();
    }

    #[test]
    fn a_stuck_destination_slows_no_other() {
        struct Stuck(Arc<AtomicBool>);
        impl Sink for Stuck {
            fn probe(&mut self, _: Duration) -> Result<(), SinkError> {
                Ok(())
            }
            fn deliver(&mut self, _: &Alert, _: Duration) -> Result<Receipt, SinkError> {
                while !self.0.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(SinkError::Retry("was stuck".into()))
            }
            fn tick(&mut self, _: Duration) -> Result<Vec<Back>, SinkError> {
                Ok(Vec::new())
            }
        }
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("j.sqlite");
        let sink = Asked::default();
        let run = run(&path, &sink);
        let (health, let_go) = (Arc::<SinkHealth>::default(), Arc::<AtomicBool>::default());
        let stuck = Delivery {
            name: "stuck".into(),
            journal: run.journal.clone(),
            health: health.clone(),
            clock: Clock::start(),
            longest_wait: Duration::from_millis(200),
            stop: run.stop.clone(),
            commands: None,
            expire_ms: EXPIRE_MS,
            after_outage: AfterOutage::All,
        };
        let held = Box::new(Stuck(let_go.clone()));
        let thread = std::thread::spawn(move || stuck.run(held));
        let ids: Vec<String> = (0..200).map(|i| format!("{i:03}")).collect();
        run.put(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let keys: Vec<String> = ids.iter().map(|id| format!("{id}:0")).collect();
        came(&sink, &keys.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(health.waiting.load(Ordering::Relaxed) > 0, "its alerts wait in the journal");
        let_go.store(true, Ordering::Release);
        run.end();
        thread.join().expect("ends");
    }
}
