//! The journal for those who only read: a connection that cannot write, and alerts in their very bytes.

use contract::UtcMs;
use rusqlite::{Connection, OpenFlags, params};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Messages in one answer.
pub const ALERTS_MAX: usize = 1_000;

/// One message about an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the journal.
    pub seq: i64,
    /// Wall time when it was decided.
    pub at: UtcMs,
    /// `alert.start`, `alert.update` or `alert.end`.
    pub kind: String,
    /// The alert's bytes.
    pub body: String,
}

/// What became of one message at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// The message's place in the journal.
    pub cursor: i64,
    /// The destination.
    pub sink: String,
    /// `delivered`, `refused` or `expired`.
    pub outcome: String,
    /// Its receipt, or why not.
    pub detail: String,
    /// When.
    pub at: UtcMs,
}

/// Which messages are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// After this place.
    pub since: i64,
    /// At most so many.
    pub max: usize,
    /// Of this bed only.
    pub bed: Option<String>,
    /// Only the newest message of each alert that has not ended.
    pub open: bool,
}

/// The journal, read only.
pub struct Archive {
    path: PathBuf,
    db: Mutex<Option<Connection>>,
}

impl Archive {
    /// The journal of that path; it is opened when it is first asked.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), db: Mutex::new(None) }
    }

    fn with<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let mut held = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(&self.path, flags)?;
            db.busy_timeout(Duration::from_secs(2))?;
            *held = Some(db);
        }
        let answer = held.as_ref().map_or(Err(rusqlite::Error::InvalidQuery), ask);
        if answer.is_err() {
            // A file that was put in its place is seen at the next question.
            *held = None;
        }
        answer
    }

    fn kept(&self, sql: &str, args: impl rusqlite::Params) -> rusqlite::Result<Vec<Kept>> {
        self.with(|db| {
            let mut rows = db.prepare_cached(sql)?;
            let kept = rows.query_map(args, |row| {
                Ok(Kept { seq: row.get(0)?, at: UtcMs(row.get(1)?), kind: row.get(2)?, body: row.get(3)? })
            })?;
            kept.collect()
        })
    }

    /// The messages wanted, in the order of the journal.
    ///
    /// # Errors
    /// The disk's.
    pub fn alerts(&self, wanted: &Wanted) -> rusqlite::Result<Vec<Kept>> {
        let open = "AND seq IN (SELECT MAX(seq) FROM alert GROUP BY id) AND phase <> 'alert.end'";
        let sql = format!(
            "SELECT seq, at_ms, phase, body FROM alert WHERE seq > ?1 AND (?2 IS NULL OR bed = ?2) {} \
             ORDER BY seq LIMIT ?3",
            if wanted.open { open } else { "" }
        );
        self.kept(&sql, params![wanted.since, wanted.bed, i64::try_from(wanted.max).unwrap_or(i64::MAX)])
    }

    /// Every message about one alert.
    ///
    /// # Errors
    /// The disk's.
    pub fn alert(&self, id: &str) -> rusqlite::Result<Vec<Kept>> {
        self.kept("SELECT seq, at_ms, phase, body FROM alert WHERE id = ?1 ORDER BY seq", params![id])
    }

    /// The ids that begin so, at most ten.
    ///
    /// # Errors
    /// The disk's.
    pub fn beginning(&self, id: &str) -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT DISTINCT id FROM alert WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 10";
        self.with(|db| db.prepare_cached(sql)?.query_map(params![id], |row| row.get(0))?.collect())
    }

    /// What became of each message about one alert.
    ///
    /// # Errors
    /// The disk's.
    pub fn outcomes(&self, id: &str) -> rusqlite::Result<Vec<Fate>> {
        let sql = "SELECT o.seq, o.sink, o.outcome, o.detail, o.at_ms FROM outcome o JOIN alert a ON a.seq = o.seq \
                   WHERE a.id = ?1 ORDER BY o.seq, o.sink";
        self.with(|db| {
            let mut rows = db.prepare_cached(sql)?;
            let fates = rows.query_map(params![id], |row| {
                Ok(Fate {
                    cursor: row.get(0)?,
                    sink: row.get(1)?,
                    outcome: row.get(2)?,
                    detail: row.get(3)?,
                    at: UtcMs(row.get(4)?),
                })
            })?;
            fates.collect()
        })
    }

    /// The newest place in the journal.
    ///
    /// # Errors
    /// The disk's.
    pub fn newest(&self) -> rusqlite::Result<i64> {
        self.with(|db| db.query_row("SELECT COALESCE(MAX(seq), 0) FROM alert", [], |row| row.get(0)))
    }
}
