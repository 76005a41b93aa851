//! What is written, and how: the tables and one statement an order.

use crate::snapshot::TrendPoint;
use contract::{Alert, UtcMs, Verb};
use rusqlite::{Connection, params};
use std::sync::mpsc::SyncSender;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS alert (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, rev INTEGER NOT NULL, phase TEXT NOT NULL,
        bed TEXT NOT NULL, code TEXT NOT NULL, at_ms INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (id, rev, phase));
    CREATE TABLE IF NOT EXISTS outcome (
        seq INTEGER NOT NULL, sink TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL, at_ms INTEGER NOT NULL,
        PRIMARY KEY (seq, sink)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS cursor (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS baseline (
        bed TEXT PRIMARY KEY, model TEXT NOT NULL, config TEXT NOT NULL, at_ms INTEGER NOT NULL, body TEXT NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS trend (
        bed TEXT NOT NULL, at_ms INTEGER NOT NULL, model TEXT NOT NULL, entropy REAL, entropy_max REAL,
        over_s INTEGER NOT NULL, new_s INTEGER NOT NULL, blind_s INTEGER NOT NULL, PRIMARY KEY (bed, at_ms)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS held (
        id TEXT PRIMARY KEY, bed TEXT NOT NULL, code TEXT NOT NULL, at_ms INTEGER NOT NULL, why TEXT NOT NULL,
        body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS mark (key TEXT PRIMARY KEY, ctr INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS command (
        id TEXT PRIMARY KEY, digest TEXT NOT NULL, at_ms INTEGER NOT NULL, answer TEXT) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS asked (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, bed TEXT NOT NULL, verb TEXT NOT NULL,
        by TEXT NOT NULL, alert TEXT NOT NULL, args TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS asked_alert ON asked (alert);
    CREATE TABLE IF NOT EXISTS resend (seq INTEGER NOT NULL, sink TEXT NOT NULL, PRIMARY KEY (seq, sink)) WITHOUT ROWID;";

/// How the delivery of one alert to one destination ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Delivered(String),
    /// The destination will never take it.
    Refused(String),
    /// It was too old to be worth delivering.
    Expired,
    /// It ended during an outage, and the site wants the end only.
    Skipped,
}

impl Outcome {
    fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Delivered(receipt) => ("delivered", receipt),
            Self::Refused(why) => ("refused", why),
            Self::Expired => ("expired", ""),
            Self::Skipped => ("skipped", "ended during the outage"),
        }
    }
}

/// A command that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: UtcMs,
    /// The bed, or the node.
    pub bed: String,
    /// Its verb.
    pub verb: Verb,
    /// By whom.
    pub by: String,
    /// The alert that it names; empty = none.
    pub alert: String,
    /// Its arguments as JSON.
    pub args: String,
}

/// Something to be written.
#[derive(Debug)]
pub enum Order {
    /// An alert, at the wall time of the decision.
    Alert(Box<Alert>, UtcMs),
    /// What became of an alert at a destination; moves its cursor.
    Outcome {
        /// The destination.
        sink: String,
        /// The alert's place in the journal.
        seq: i64,
        /// How it ended.
        outcome: Outcome,
        /// When.
        at: UtcMs,
    },
    /// A bed's baseline as JSON.
    Baseline {
        /// The bed.
        bed: String,
        /// The model's id.
        model: String,
        /// The config's id.
        config: String,
        /// When.
        at: UtcMs,
        /// The baseline.
        body: String,
    },
    /// A minute of a bed's trend, as this model saw it; kept for a day.
    Minute {
        /// The bed.
        bed: String,
        /// The model's id.
        model: String,
        /// The minute.
        point: TrendPoint,
    },
    /// An alert that was held back: by what (`cap`, `pause`, `lesser`, `below`) and when.
    Held(Box<Alert>, &'static str, UtcMs),
    /// A signed command is about to be obeyed: neither its id nor its counter will be taken again.
    Command {
        /// Its id.
        id: String,
        /// Its key.
        key: String,
        /// Its counter.
        ctr: u64,
        /// SHA-256 of its bytes, in hex.
        digest: String,
        /// When.
        at: UtcMs,
    },
    /// What was answered to the command of that id, as JSON.
    Answer {
        /// Its id.
        id: String,
        /// The answer.
        answer: String,
    },
    /// A command took effect.
    Asked(Asked),
    /// A person's wish to deliver an alert once more is done.
    Resent {
        /// The destination.
        sink: String,
        /// The alert's place in the journal.
        seq: i64,
    },
    /// Drop what is ended, delivered everywhere and older than this; beyond so many bytes the oldest, whatever its age.
    Prune(UtcMs, u64),
    /// Answer once all before is on disk.
    Flush(SyncSender<()>),
}

pub(super) fn newest(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT COALESCE(MAX(seq), 0) FROM alert", [], |row| row.get(0))
}

fn body_of(alert: &Alert) -> rusqlite::Result<String> {
    serde_json::to_string(alert).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn write_minute(db: &Connection, bed: &str, model: &str, point: &TrendPoint) -> rusqlite::Result<()> {
    let (at, [entropy, most]) = (point.at.map(|at| at.0), [point.entropy, point.entropy_max]);
    let values = params![bed, at, model, entropy, most, point.over_s, point.new_s, point.blind_s];
    db.prepare_cached("INSERT OR REPLACE INTO trend VALUES (?1,?2,?3,?4,?5,?6,?7,?8)")?.execute(values)?;
    Ok(())
}

pub(super) fn write_one(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    match order {
        Order::Alert(alert, at) => {
            let body = body_of(alert)?;
            db.prepare_cached(
                "INSERT OR IGNORE INTO alert (id, rev, phase, bed, code, at_ms, body) VALUES (?1,?2,?3,?4,?5,?6,?7)",
            )?
            .execute(params![alert.id.0, alert.rev, alert.kind, alert.bed, alert.code.as_str(), at.0, body])?;
        }
        Order::Outcome { sink, seq, outcome, at } => {
            let (word, detail) = outcome.words();
            db.prepare_cached("INSERT OR REPLACE INTO outcome VALUES (?1,?2,?3,?4,?5)")?
                .execute(params![seq, sink, word, detail, at.0])?;
            db.prepare_cached("UPDATE cursor SET seq = MAX(seq, ?2) WHERE sink = ?1")?
                .execute(params![sink, seq])?;
        }
        Order::Baseline { bed, model, config, at, body } => {
            db.prepare_cached("INSERT OR REPLACE INTO baseline VALUES (?1,?2,?3,?4,?5)")?
                .execute(params![bed, model, config, at.0, body])?;
        }
        Order::Minute { bed, model, point } => write_minute(db, bed, model, point)?,
        Order::Held(alert, why, at) => {
            let body = body_of(alert)?;
            db.prepare_cached("INSERT OR REPLACE INTO held VALUES (?1,?2,?3,?4,?5,?6)")?.execute(params![
                alert.id.0,
                alert.bed,
                alert.code.as_str(),
                at.0,
                why,
                body
            ])?;
        }
        Order::Command { id, key, ctr, digest, at } => {
            let ctr = i64::try_from(*ctr).unwrap_or(i64::MAX);
            db.prepare_cached(
                "INSERT INTO mark VALUES (?1,?2) ON CONFLICT DO UPDATE SET ctr = MAX(ctr, excluded.ctr)",
            )?
            .execute(params![key, ctr])?;
            db.prepare_cached("INSERT OR IGNORE INTO command VALUES (?1,?2,?3,NULL)")?
                .execute(params![id, digest, at.0])?;
        }
        Order::Answer { id, answer } => {
            db.prepare_cached("UPDATE command SET answer = ?2 WHERE id = ?1")?
                .execute(params![id, answer])?;
        }
        Order::Asked(Asked { at, bed, verb, by, alert, args }) => {
            db.prepare_cached(
                "INSERT INTO asked (at_ms, bed, verb, by, alert, args) VALUES (?1,?2,?3,?4,?5,?6)",
            )?
            .execute(params![at.0, bed, verb.as_str(), by, alert, args])?;
        }
        Order::Resent { sink, seq } => {
            db.execute("DELETE FROM resend WHERE sink = ?1 AND seq = ?2", params![sink, seq])?;
        }
        Order::Prune(before, bytes) => {
            prune(db, *before)?;
            shrink(db, *bytes)?;
        }
        Order::Flush(_) => {}
    }
    Ok(())
}

/// Drops what is older, ended and delivered everywhere.
fn prune(db: &Connection, before: UtcMs) -> rusqlite::Result<()> {
    for table in ["held", "command", "asked"] {
        db.execute(&format!("DELETE FROM {table} WHERE at_ms < ?1"), params![before.0])?;
    }
    let day_ms = 24 * 3_600_000;
    db.execute("DELETE FROM trend WHERE at_ms < (SELECT MAX(at_ms) FROM trend) - ?1", params![day_ms])?;
    let done = "SELECT a.seq FROM alert a WHERE a.at_ms < ?1 AND a.seq <= (SELECT MIN(seq) FROM cursor) \
         AND EXISTS (SELECT 1 FROM alert e WHERE e.id = a.id AND e.phase = 'alert.end' AND e.at_ms < ?1)";
    db.execute(&format!("DELETE FROM outcome WHERE seq IN ({done})"), params![before.0])?;
    // The newest row stays: it holds the place from which numbering goes on.
    let last = newest(db)?;
    db.execute(&format!("DELETE FROM alert WHERE seq IN ({done}) AND seq < ?2"), params![before.0, last])?;
    Ok(())
}

/// Rows that go at a time where the journal is too large.
const SHRINK_ROWS: i64 = 500;

/// Drops the oldest of what is ended and delivered everywhere until the journal holds at most so many bytes.
fn shrink(db: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let number = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let page = number("page_size")?;
    let used = || Ok::<i64, rusqlite::Error>((number("page_count")? - number("freelist_count")?) * page);
    let limit = i64::try_from(bytes).unwrap_or(i64::MAX);
    while used()? > limit {
        let done = "SELECT a.seq FROM alert a WHERE a.seq <= (SELECT MIN(seq) FROM cursor) \
             AND EXISTS (SELECT 1 FROM alert e WHERE e.id = a.id AND e.phase = 'alert.end') \
             AND a.seq < (SELECT MAX(seq) FROM alert) ORDER BY a.seq LIMIT ?1";
        let seqs: Vec<i64> =
            db.prepare(done)?.query_map(params![SHRINK_ROWS], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if seqs.is_empty() {
            return Ok(());
        }
        for seq in &seqs {
            db.prepare_cached("DELETE FROM outcome WHERE seq = ?1")?.execute(params![seq])?;
            db.prepare_cached("DELETE FROM alert WHERE seq = ?1")?.execute(params![seq])?;
        }
    }
    Ok(())
}
