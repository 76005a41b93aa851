//! Alerts, outcomes, cursors and baselines on disk (SQLite, write-ahead log, flushed at each commit).
//!
//! One thread writes; what it has committed it announces, and only then does a destination hear of an alert. Each
//! destination reads with a connection of its own from its cursor on, so none waits for another. A failing disk
//! stops nobody: orders wait and are tried again, and the node says so.

mod order;
mod reader;

pub use order::{Asked, Order, Outcome};
pub use reader::{Entry, Fate, Reader, Wanted};

use super::DaemonError;
use order::{SCHEMA, newest, write_one};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Layout of the tables; a file with a higher one is refused.
const VERSION: i64 = 1;
/// Orders that may wait for the disk.
const ORDERS_MAX: usize = 8_192;
/// Orders written in one commit.
const BATCH_MAX: usize = 256;
/// Wait after a failed write.
const RETRY: Duration = Duration::from_millis(500);

/// What the writer has committed, for the destinations to wait on.
#[derive(Debug, Default)]
pub struct Committed {
    state: Mutex<Standing>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Standing {
    seq: i64,
    trouble: String,
}

impl Committed {
    /// Waits until an alert beyond `seq` is on disk, at most `patience`.
    pub fn wait_beyond(&self, seq: i64, patience: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Woken too early only means one look too many.
        drop(self.grown.wait_timeout_while(state, patience, |s| s.seq <= seq));
    }

    /// Why the disk takes nothing, in words; empty = it does.
    #[must_use]
    pub fn trouble(&self) -> String {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }

    /// Wakes everybody that waits.
    pub fn wake(&self) {
        self.grown.notify_all();
    }

    fn set(&self, seq: Option<i64>, trouble: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seq = seq.unwrap_or(state.seq);
        trouble.clone_into(&mut state.trouble);
        drop(state);
        self.grown.notify_all();
    }
}

/// The writing end.
#[derive(Clone)]
pub struct Journal {
    path: PathBuf,
    orders: SyncSender<Order>,
    /// What is on disk.
    pub committed: Arc<Committed>,
}

fn fault(path: &Path, e: impl std::fmt::Display) -> DaemonError {
    DaemonError::Journal { path: path.display().to_string(), why: e.to_string() }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    Ok(db)
}

impl Journal {
    /// Opens or creates the journal, gives each new sink a cursor at its end (at its beginning where the journal is
    /// new) and starts the writer.
    ///
    /// # Errors
    /// [`DaemonError::Journal`] where the file cannot be used.
    pub fn open(path: &Path, sinks: &[String]) -> Result<(Self, JoinHandle<()>), DaemonError> {
        let told = |e: rusqlite::Error| fault(path, e);
        let db = connect(path).map_err(told)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(told)?;
        if version > VERSION {
            let why = format!("written by a newer Wardbeat (layout {version}, this one knows {VERSION})");
            return Err(fault(path, why));
        }
        db.execute_batch(SCHEMA).map_err(told)?;
        // Only where it changes: a full disk must not keep a node from starting.
        if version < VERSION {
            db.pragma_update(None, "user_version", VERSION).map_err(told)?;
        }
        let last = newest(&db).map_err(told)?;
        for sink in sinks {
            db.execute("INSERT OR IGNORE INTO cursor VALUES (?1, ?2)", params![sink, last]).map_err(told)?;
        }
        let committed = Arc::new(Committed::default());
        committed.set(Some(last), "");
        let (orders, taken) = sync_channel(ORDERS_MAX);
        let writer = Writer { db, taken, committed: committed.clone() };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || writer.run())?;
        Ok((Self { path: path.to_owned(), orders, committed }, thread))
    }

    /// Hands over an order without waiting.
    ///
    /// # Errors
    /// The order, to be kept and tried again, where the disk is far behind.
    pub fn put(&self, order: Order) -> Result<(), Box<Order>> {
        self.orders.try_send(order).map_err(|e| match e {
            TrySendError::Full(order) | TrySendError::Disconnected(order) => Box::new(order),
        })
    }

    /// Hands over an order, waiting for room: for threads that may wait.
    pub fn put_waiting(&self, order: Order) {
        // The writer ends after all senders; a failed send can only mean that it panicked, which ends the run.
        let _ = self.orders.send(order);
    }

    /// Waits until everything handed over is on disk, at most `patience`; whether it is.
    #[must_use]
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, told) = sync_channel(1);
        self.put(Order::Flush(done)).is_ok() && told.recv_timeout(patience).is_ok()
    }

    /// The door's error for a fault of this file.
    #[must_use]
    pub fn fault(&self, e: &rusqlite::Error) -> DaemonError {
        fault(&self.path, e)
    }

    /// A reading connection.
    ///
    /// # Errors
    /// [`DaemonError::Journal`] where the file cannot be used.
    pub fn reader(&self) -> Result<Reader, DaemonError> {
        connect(&self.path).map(Reader::new).map_err(|e| fault(&self.path, e))
    }
}

/// Asks the daemon that owns this journal, running or not, to deliver an alert once more to one destination, or to all.
/// Returns how many deliveries that are.
///
/// # Errors
/// [`DaemonError::Journal`] where the file cannot be used.
pub fn ask_resend(path: &Path, id: &str, sink: Option<&str>) -> Result<usize, DaemonError> {
    let told = |e: rusqlite::Error| fault(path, e);
    // Only a file that is there: a slip of the path must not make an empty journal.
    Reader::open(path)?;
    let db = connect(path).map_err(told)?;
    let sql = "INSERT OR IGNORE INTO resend SELECT a.seq, c.sink FROM alert a, cursor c \
         WHERE a.id = ?1 AND (?2 IS NULL OR c.sink = ?2) AND a.seq <= c.seq";
    db.execute(sql, params![id, sink]).map_err(told)
}

struct Writer {
    db: Connection,
    taken: Receiver<Order>,
    committed: Arc<Committed>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(first) = self.taken.recv() {
            let mut batch = vec![first];
            batch.extend(self.taken.try_iter().take(BATCH_MAX - 1));
            self.write_until_it_is_there(&batch);
            let done = |order| if let Order::Flush(done) = order { Some(done) } else { None };
            for done in batch.into_iter().filter_map(done) {
                // Nobody may wait any more.
                let _ = done.try_send(());
            }
        }
    }

    fn write_until_it_is_there(&mut self, batch: &[Order]) {
        let mut failures = 0_u32;
        loop {
            let e = match self.write(batch) {
                Ok(seq) => return self.committed.set(Some(seq), ""),
                Err(e) => e,
            };
            failures += 1;
            if failures.is_power_of_two() {
                tracing::error!(fault = %e, failures, "the journal cannot be written, trying again");
            }
            self.committed.set(None, &e.to_string());
            std::thread::sleep(RETRY);
        }
    }

    fn write(&mut self, batch: &[Order]) -> rusqlite::Result<i64> {
        let change = self.db.transaction()?;
        for order in batch {
            write_one(&change, order)?;
        }
        let seq = newest(&change)?;
        change.commit()?;
        Ok(seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::testing::alert;
    use crate::snapshot::TrendPoint;
    use contract::{Alert, Phase, UtcMs};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn opened(path: &Path) -> (Journal, JoinHandle<()>, Reader) {
        let (journal, thread) = Journal::open(path, &["a".into(), "b".into()]).expect("opens");
        let reader = journal.reader().expect("opens");
        (journal, thread, reader)
    }

    fn put(journal: &Journal, alerts: &[Alert]) {
        for alert in alerts {
            journal.put_waiting(Order::Alert(Box::new(alert.clone()), UtcMs(1_000)));
        }
        assert!(journal.flush(PATIENCE));
    }

    #[test]
    fn alerts_are_read_back_in_order_and_each_once() {
        let folder = tempfile::tempdir().expect("folder");
        let (journal, _thread, reader) = opened(&folder.path().join("j.sqlite"));
        let told = [alert("x", 0, Phase::Start), alert("y", 0, Phase::Start), alert("x", 1, Phase::End)];
        put(&journal, &told);
        put(&journal, &told[..1]);
        let found: Vec<_> = reader.after(0, 10).expect("reads").into_iter().map(|e| e.alert).collect();
        assert_eq!(found, told);
        let open = reader.open_alerts(i64::MAX).expect("reads");
        assert_eq!(open.iter().map(|e| e.alert.id.0.as_str()).collect::<Vec<_>>(), ["y"]);
        assert_eq!(reader.open_alerts(1).expect("reads").len(), 1, "up to the first only x is open");
    }

    #[test]
    fn each_sink_has_its_own_cursor_that_outlives_the_run() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("j.sqlite");
        let (journal, thread, reader) = opened(&path);
        put(&journal, &[alert("x", 0, Phase::Start), alert("x", 1, Phase::End)]);
        let outcome = Outcome::Delivered("ok".into());
        journal.put_waiting(Order::Outcome { sink: "a".into(), seq: 1, outcome, at: UtcMs(0) });
        assert!(journal.flush(PATIENCE));
        drop((journal, reader));
        thread.join().expect("ends");
        let (journal, _thread, reader) = opened(&path);
        let waiting = |sink| (reader.cursor(sink).expect("reads"), reader.undelivered(sink).expect("reads"));
        assert_eq!((waiting("a"), waiting("b")), ((1, 1), (0, 2)));
        let late = Journal::open(&path, &["late".into()]).expect("opens");
        assert_eq!(reader.cursor("late").expect("reads"), 2, "a new sink does not get the past");
        drop((journal, late));
    }

    #[test]
    fn baselines_belong_to_a_model() {
        let folder = tempfile::tempdir().expect("folder");
        let (journal, _thread, reader) = opened(&folder.path().join("j.sqlite"));
        for (bed, model) in [("s/u/b1", "m-1"), ("s/u/b2", "m-2")] {
            let (config, body) = ("c-1".into(), "{}".into());
            journal.put_waiting(Order::Baseline {
                bed: bed.into(),
                model: model.into(),
                config,
                at: UtcMs(0),
                body,
            });
        }
        assert!(journal.flush(PATIENCE));
        assert_eq!(reader.baselines("m-1").expect("reads"), [("s/u/b1".to_owned(), "{}".to_owned())]);
    }

    #[test]
    fn a_day_of_each_beds_trend_is_kept() {
        let folder = tempfile::tempdir().expect("folder");
        let (journal, _thread, reader) = opened(&folder.path().join("j.sqlite"));
        let minute = |bed: &str, model: &str, minute: i64| {
            let point = TrendPoint {
                at: Some(UtcMs(minute * 60_000)),
                entropy: (minute % 2 == 0).then_some(0.5),
                over_s: 7,
                ..TrendPoint::default()
            };
            journal.put_waiting(Order::Minute { bed: bed.into(), model: model.into(), point });
            point
        };
        let first = minute("s/u/b1", "m-1", 0);
        let rest = [minute("s/u/b1", "m-1", 59), minute("s/u/b1", "m-1", 1_440)];
        minute("s/u/b2", "m-2", 1_441);
        assert!(journal.flush(PATIENCE));
        let read = |since| -> Vec<TrendPoint> {
            reader.trend("m-1", UtcMs(since)).expect("reads").into_iter().map(|(_, point)| point).collect()
        };
        assert_eq!(read(0), [first, rest[0], rest[1]]);
        assert_eq!(read(60_000), rest);
        journal.put_waiting(Order::Prune(UtcMs(0), u64::MAX));
        assert!(journal.flush(PATIENCE));
        assert_eq!(read(0), rest, "the minute a day before the newest is gone");
    }

    #[test]
    fn only_what_ended_and_was_delivered_everywhere_is_dropped() {
        let folder = tempfile::tempdir().expect("folder");
        let (journal, _thread, reader) = opened(&folder.path().join("j.sqlite"));
        let told = [
            alert("ended", 0, Phase::Start),
            alert("ended", 1, Phase::End),
            alert("open", 0, Phase::Start),
            alert("last", 0, Phase::Start),
        ];
        put(&journal, &told);
        let outcome = || Outcome::Delivered("ok".into());
        journal.put_waiting(Order::Outcome { sink: "a".into(), seq: 4, outcome: outcome(), at: UtcMs(0) });
        journal.put_waiting(Order::Prune(UtcMs(5_000), u64::MAX));
        assert!(journal.flush(PATIENCE));
        assert_eq!(reader.after(0, 10).expect("reads").len(), 4, "b has none of them yet");
        journal.put_waiting(Order::Outcome { sink: "b".into(), seq: 4, outcome: outcome(), at: UtcMs(0) });
        journal.put_waiting(Order::Prune(UtcMs(5_000), u64::MAX));
        assert!(journal.flush(PATIENCE));
        let left: Vec<_> = reader.after(0, 10).expect("reads").into_iter().map(|e| e.alert.id.0).collect();
        assert_eq!(left, ["open", "last"]);
    }

    #[test]
    fn a_journal_that_is_too_large_loses_its_oldest_ended_alerts_only() {
        let folder = tempfile::tempdir().expect("folder");
        let (journal, _thread, reader) = opened(&folder.path().join("j.sqlite"));
        put(&journal, &[alert("open", 0, Phase::Start)]);
        let told: Vec<Alert> = (0..600)
            .flat_map(|i| {
                [(0, Phase::Start), (1, Phase::End)].map(|(rev, phase)| alert(&format!("e{i}"), rev, phase))
            })
            .collect();
        put(&journal, &told);
        put(&journal, &[alert("last", 0, Phase::Start)]);
        let last = 1 + 1_200 + 1;
        for sink in ["a", "b"] {
            let outcome = Outcome::Delivered("ok".into());
            journal.put_waiting(Order::Outcome { sink: sink.into(), seq: last, outcome, at: UtcMs(0) });
        }
        let before = reader.after(0, 9_999).expect("reads").len();
        journal.put_waiting(Order::Prune(UtcMs(0), 300_000));
        assert!(journal.flush(PATIENCE));
        let left: Vec<_> = reader.after(0, 9_999).expect("reads").into_iter().map(|e| e.alert.id.0).collect();
        assert!(left.len() < before && left.len() > 2, "{} of {before}", left.len());
        assert_eq!((left[0].as_str(), left[left.len() - 1].as_str()), ("open", "last"));
        assert!(left.contains(&"e599".into()) && !left.contains(&"e0".into()));
    }

    #[test]
    fn a_full_disk_damages_nothing_and_what_waits_is_written_when_there_is_room() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("j.sqlite");
        let (journal, _thread, reader) = opened(&path);
        put(&journal, &[alert("before", 0, Phase::Start)]);
        let other = connect(&path).expect("opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("locked");
        journal.put_waiting(Order::Alert(Box::new(alert("waits", 0, Phase::Start)), UtcMs(1)));
        assert!(!journal.flush(Duration::from_millis(100)));
        let clock = crate::daemon::Clock::start();
        assert!(clock.wait(PATIENCE, || !journal.committed.trouble().is_empty()), "the node is not told");
        assert_eq!(reader.after(0, 9).expect("reads").len(), 1);
        other.execute_batch("ROLLBACK").expect("unlocked");
        assert!(journal.flush(PATIENCE));
        assert_eq!(journal.committed.trouble(), "");
        assert_eq!(reader.after(0, 9).expect("reads").len(), 2);
    }

    #[test]
    fn a_newer_layout_is_refused_in_words() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("j.sqlite");
        let db = Connection::open(&path).expect("opens");
        db.pragma_update(None, "user_version", VERSION + 1).expect("writes");
        let told = Journal::open(&path, &[]).err().expect("refused").to_string();
        assert!(told.contains("newer"), "{told}");
    }
}
