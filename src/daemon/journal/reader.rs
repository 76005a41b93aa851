//! What is read: by each destination from its cursor on, at the start, and by the command line.

use super::VERSION;
use crate::daemon::DaemonError;
use contract::{Alert, UtcMs};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// An alert in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place.
    pub seq: i64,
    /// Wall time when it was written.
    pub at: UtcMs,
    /// The alert.
    pub alert: Alert,
}

/// A reading connection.
pub struct Reader(Connection);

impl Reader {
    pub(super) fn new(db: Connection) -> Self {
        Self(db)
    }

    /// Opens the journal of a config beside a running daemon; nothing is written.
    ///
    /// # Errors
    /// [`DaemonError::Journal`] where there is none, or it belongs to a newer version.
    pub fn open(path: &Path) -> Result<Self, DaemonError> {
        let told = |why: String| DaemonError::Journal { path: path.display().to_string(), why };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|e| told(e.to_string()))?;
        db.busy_timeout(Duration::from_secs(5)).map_err(|e| told(e.to_string()))?;
        let version: i64 =
            db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|e| told(e.to_string()))?;
        if version > VERSION {
            return Err(told("written by a newer Wardbeat".into()));
        }
        Ok(Self(db))
    }

    /// The newest message of each alert whose id begins so, newest first; at most two.
    ///
    /// # Errors
    /// The disk's.
    pub fn beginning_with(&self, id: &str) -> rusqlite::Result<Vec<Entry>> {
        let sql = "SELECT seq, at_ms, body FROM alert WHERE seq IN (SELECT MAX(seq) FROM alert \
             WHERE substr(id, 1, length(?1)) = ?1 GROUP BY id) ORDER BY seq DESC LIMIT 2";
        self.entries(sql, params![id])
    }

    fn entries(&self, sql: &str, args: impl rusqlite::Params) -> rusqlite::Result<Vec<Entry>> {
        let mut rows = self.0.prepare_cached(sql)?;
        let entries = rows.query_map(args, |row| {
            let body: String = row.get(2)?;
            let alert = serde_json::from_str(&body).map_err(|e| {
                rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e))
            })?;
            Ok(Entry { seq: row.get(0)?, at: UtcMs(row.get(1)?), alert })
        })?;
        entries.collect()
    }

    /// The alerts after `seq`, in order, at most `max`.
    ///
    /// # Errors
    /// The disk's.
    pub fn after(&self, seq: i64, max: usize) -> rusqlite::Result<Vec<Entry>> {
        let sql = "SELECT seq, at_ms, body FROM alert WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        self.entries(sql, params![seq, i64::try_from(max).unwrap_or(i64::MAX)])
    }

    /// The newest message of each alert that has not ended, up to `seq`, in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn open_alerts(&self, seq: i64) -> rusqlite::Result<Vec<Entry>> {
        let sql = "SELECT seq, at_ms, body FROM alert WHERE seq IN (SELECT MAX(seq) FROM alert WHERE seq <= ?1 \
             GROUP BY id) AND phase <> 'alert.end' ORDER BY seq";
        self.entries(sql, params![seq])
    }

    /// The last alert that `sink` is done with.
    ///
    /// # Errors
    /// The disk's.
    pub fn cursor(&self, sink: &str) -> rusqlite::Result<i64> {
        let sql = "SELECT seq FROM cursor WHERE sink = ?1";
        let seq: Option<i64> = self.0.query_row(sql, params![sink], |row| row.get(0)).optional()?;
        Ok(seq.unwrap_or(0))
    }

    /// Alerts that `sink` is not done with.
    ///
    /// # Errors
    /// The disk's.
    pub fn undelivered(&self, sink: &str) -> rusqlite::Result<u64> {
        let sql = "SELECT COUNT(*) FROM alert WHERE seq > (SELECT seq FROM cursor WHERE sink = ?1)";
        let count: i64 = self.0.query_row(sql, params![sink], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The baselines learnt by this model: bed and JSON. The config beside each says under which it was learnt.
    ///
    /// # Errors
    /// The disk's.
    pub fn baselines(&self, model: &str) -> rusqlite::Result<Vec<(String, String)>> {
        let sql = "SELECT bed, body FROM baseline WHERE model = ?1 ORDER BY bed";
        let mut rows = self.0.prepare_cached(sql)?;
        let found = rows.query_map(params![model], |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.collect()
    }

    /// The newest message of the alert of that id.
    ///
    /// # Errors
    /// The disk's.
    pub fn find(&self, id: &str) -> rusqlite::Result<Option<Entry>> {
        let sql = "SELECT seq, at_ms, body FROM alert WHERE id = ?1 ORDER BY seq DESC LIMIT 1";
        Ok(self.entries(sql, params![id])?.pop())
    }

    /// The highest counter taken of each key.
    ///
    /// # Errors
    /// The disk's.
    pub fn marks(&self) -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut rows = self.0.prepare_cached("SELECT key, ctr FROM mark")?;
        let found = rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        found.collect()
    }

    /// The digest of the command of that id, and what was answered (`None` = it was interrupted).
    ///
    /// # Errors
    /// The disk's.
    pub fn command(&self, id: &str) -> rusqlite::Result<Option<(String, Option<String>)>> {
        let sql = "SELECT digest, answer FROM command WHERE id = ?1";
        self.0.query_row(sql, params![id], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }
}
