//! What is read: by each destination from its cursor on, at the start, over HTTP and by the command line.

use super::order::newest;
use super::{Asked, VERSION};
use crate::daemon::DaemonError;
use crate::snapshot::TrendPoint;
use contract::{Alert, UtcMs};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::Serialize;
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
    /// The alert's bytes, as every destination gets them.
    pub body: String,
}

impl Entry {
    fn of(seq: i64, at_ms: i64, body: String) -> rusqlite::Result<Self> {
        let alert = serde_json::from_str(&body).map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e))
        })?;
        Ok(Self { seq, at: UtcMs(at_ms), alert, body })
    }
}

/// What became of one message at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// The message's place in the journal.
    pub cursor: i64,
    /// The destination.
    pub sink: String,
    /// `delivered`, `refused`, `expired` or `skipped`.
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

    /// The newest message of each alert whose id begins so, newest first; at most ten.
    ///
    /// # Errors
    /// The disk's.
    pub fn beginning_with(&self, id: &str) -> rusqlite::Result<Vec<Entry>> {
        let sql = "SELECT seq, at_ms, body FROM alert WHERE seq IN (SELECT MAX(seq) FROM alert \
             WHERE substr(id, 1, length(?1)) = ?1 GROUP BY id) ORDER BY seq DESC LIMIT 10";
        self.entries(sql, params![id])
    }

    fn entries(&self, sql: &str, args: impl rusqlite::Params) -> rusqlite::Result<Vec<Entry>> {
        let mut rows = self.0.prepare_cached(sql)?;
        let entries = rows.query_map(args, |row| Entry::of(row.get(0)?, row.get(1)?, row.get(2)?))?;
        entries.collect()
    }

    /// The messages wanted, in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn wanted(&self, wanted: &Wanted) -> rusqlite::Result<Vec<Entry>> {
        let open = "AND seq IN (SELECT MAX(seq) FROM alert GROUP BY id) AND phase <> 'alert.end'";
        let sql = format!(
            "SELECT seq, at_ms, body FROM alert WHERE seq > ?1 AND (?2 IS NULL OR bed = ?2) {} ORDER BY seq LIMIT ?3",
            if wanted.open { open } else { "" }
        );
        self.entries(&sql, params![wanted.since, wanted.bed, i64::try_from(wanted.max).unwrap_or(i64::MAX)])
    }

    /// The newest place.
    ///
    /// # Errors
    /// The disk's.
    pub fn newest(&self) -> rusqlite::Result<i64> {
        newest(&self.0)
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

    /// The minutes of each bed's trend that this model saw from then on, in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn trend(&self, model: &str, since: UtcMs) -> rusqlite::Result<Vec<(String, TrendPoint)>> {
        let sql = "SELECT bed, at_ms, entropy, entropy_max, over_s, new_s, blind_s FROM trend \
             WHERE model = ?1 AND at_ms >= ?2 ORDER BY bed, at_ms";
        let mut rows = self.0.prepare_cached(sql)?;
        let found = rows.query_map(params![model, since.0], |row| {
            let point = TrendPoint {
                at: Some(UtcMs(row.get(1)?)),
                entropy: row.get(2)?,
                entropy_max: row.get(3)?,
                over_s: row.get(4)?,
                new_s: row.get(5)?,
                blind_s: row.get(6)?,
            };
            Ok((row.get(0)?, point))
        })?;
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

    /// The alerts written from then on, in order, at most `max`.
    ///
    /// # Errors
    /// The disk's.
    pub fn since(&self, at: UtcMs, max: i64) -> rusqlite::Result<Vec<Entry>> {
        let sql = "SELECT seq, at_ms, body FROM alert WHERE at_ms >= ?1 ORDER BY seq LIMIT ?2";
        self.entries(sql, params![at.0, max])
    }

    /// All that was said of the alert of that id, in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn all_of(&self, id: &str) -> rusqlite::Result<Vec<Entry>> {
        self.entries("SELECT seq, at_ms, body FROM alert WHERE id = ?1 ORDER BY seq", params![id])
    }

    /// Alerts that a person wants delivered to `sink` once more.
    ///
    /// # Errors
    /// The disk's.
    pub fn resends(&self, sink: &str) -> rusqlite::Result<Vec<Entry>> {
        let sql = "SELECT a.seq, a.at_ms, a.body FROM alert a JOIN resend r ON r.seq = a.seq WHERE r.sink = ?1 \
             ORDER BY a.seq LIMIT 32";
        self.entries(sql, params![sink])
    }

    /// Whether the alert of that id has ended.
    ///
    /// # Errors
    /// The disk's.
    pub fn has_ended(&self, id: &str) -> rusqlite::Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM alert WHERE id = ?1 AND phase = 'alert.end')";
        self.0.prepare_cached(sql)?.query_row(params![id], |row| row.get(0))
    }

    /// What became of each message about the alert of that id, at each destination.
    ///
    /// # Errors
    /// The disk's.
    pub fn outcomes(&self, id: &str) -> rusqlite::Result<Vec<Fate>> {
        let sql = "SELECT o.seq, o.sink, o.outcome, o.detail, o.at_ms FROM outcome o JOIN alert a ON a.seq = o.seq \
                   WHERE a.id = ?1 ORDER BY o.seq, o.sink";
        let mut rows = self.0.prepare_cached(sql)?;
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
    }

    /// Each destination and the last alert that it is done with.
    ///
    /// # Errors
    /// The disk's.
    pub fn cursors(&self) -> rusqlite::Result<Vec<(String, i64)>> {
        let mut rows = self.0.prepare_cached("SELECT sink, seq FROM cursor ORDER BY sink")?;
        let found = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.collect()
    }

    /// Commands that took effect from then on, in order.
    ///
    /// # Errors
    /// The disk's.
    pub fn asked(&self, since: UtcMs) -> rusqlite::Result<Vec<Asked>> {
        let sql = "SELECT at_ms, bed, verb, by, alert, args FROM asked WHERE at_ms >= ?1 ORDER BY seq";
        let mut rows = self.0.prepare_cached(sql)?;
        let found = rows.query_map(params![since.0], |row| {
            let verb: String = row.get(2)?;
            let verb = verb.parse().map_err(|e| {
                rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e))
            })?;
            let (bed, by, alert, args) = (row.get(1)?, row.get(3)?, row.get(4)?, row.get(5)?);
            Ok(Asked { at: UtcMs(row.get(0)?), bed, verb, by, alert, args })
        })?;
        found.collect()
    }

    /// Alerts that were held back from then on, and by what.
    ///
    /// # Errors
    /// The disk's.
    pub fn held(&self, since: UtcMs) -> rusqlite::Result<Vec<(Entry, String)>> {
        let sql = "SELECT at_ms, why, body FROM held WHERE at_ms >= ?1 ORDER BY at_ms, id";
        let mut rows = self.0.prepare_cached(sql)?;
        let found = rows
            .query_map(params![since.0], |row| Ok((Entry::of(0, row.get(0)?, row.get(2)?)?, row.get(1)?)))?;
        found.collect()
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
