//! What arrived, in order of arrival.

use crate::behaviour::Behaviour;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// One message as it came, whatever was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// `mllp` or `webhook`.
    pub channel: &'static str,
    /// Wall time, ms since 1970 UTC.
    pub at_ms: u64,
    /// The alert; empty if the message names none.
    pub id: String,
    /// Its revision.
    pub rev: u32,
    /// `start`, `update`, `end` or `continue`.
    pub phase: String,
    /// MSH-10 or `webhook-id`: what a receiver drops repeats by.
    pub key: String,
    /// Where it is to be shown: PV1-3, or the bed.
    pub place: String,
    /// MSH-11, or the mode.
    pub mode: String,
    /// What it says: the first facet's OBX-5 as it stands, or the alert's text.
    pub text: String,
    /// SHA-256 of the message, in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: usize,
    /// A message of this key came before.
    pub duplicate: bool,
    /// How the receiver met it.
    pub behaviour: Behaviour,
    /// What is wrong with it (signature, form); empty if nothing.
    pub fault: String,
}

impl Arrival {
    /// An arrival with its bytes' hash and the present time; the caller fills in what it read.
    #[must_use]
    pub fn of(channel: &'static str, message: &[u8], behaviour: Behaviour) -> Self {
        let mut sha256 = String::with_capacity(64);
        for byte in Sha256::digest(message) {
            let _ = write!(sha256, "{byte:02x}");
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            channel,
            at_ms: now.as_millis() as u64,
            id: String::new(),
            rev: 0,
            phase: String::new(),
            key: String::new(),
            place: String::new(),
            mode: String::new(),
            text: String::new(),
            sha256,
            bytes: message.len(),
            duplicate: false,
            behaviour,
            fault: String::new(),
        }
    }
}

#[derive(Default)]
struct Book {
    arrivals: Vec<Arrival>,
    file: Option<File>,
}

/// The ledger; cloning gives another view of the same.
#[derive(Clone, Default)]
pub struct Ledger(Arc<(Mutex<Book>, Condvar)>);

impl Ledger {
    /// A ledger that also writes each arrival to `path` as one line of JSON, at once.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let ledger = Self::default();
        ledger.book().file = Some(File::create(path)?);
        Ok(ledger)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an arrival down.
    pub fn put(&self, mut arrival: Arrival) {
        let mut book = self.book();
        let same = |a: &Arrival| a.channel == arrival.channel && a.key == arrival.key;
        arrival.duplicate = book.arrivals.iter().any(same);
        if let (Some(file), Ok(line)) = (&mut book.file, serde_json::to_string(&arrival)) {
            let _ = writeln!(file, "{line}");
        }
        book.arrivals.push(arrival);
        self.0.1.notify_all();
    }

    /// All arrivals so far.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.book().arrivals.clone()
    }

    /// The whole ledger as a JSON array.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.book().arrivals).unwrap_or_else(|_| "[]".into())
    }

    /// Waits until `enough` holds for the arrivals; false if `patience` ran out first.
    #[must_use]
    pub fn wait_for(&self, patience: Duration, enough: impl Fn(&[Arrival]) -> bool) -> bool {
        let until = Instant::now() + patience;
        let mut book = self.book();
        while !enough(&book.arrivals) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            book = self.0.1.wait_timeout(book, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// `N arrived, N alerts, N duplicates, N faulty`.
    #[must_use]
    pub fn summary(&self) -> String {
        let arrivals = self.arrivals();
        let ids: std::collections::BTreeSet<_> = arrivals.iter().map(|a| &a.id).collect();
        let repeats = arrivals.iter().filter(|a| a.duplicate).count();
        let faulty = arrivals.iter().filter(|a| !a.fault.is_empty()).count();
        format!("{} arrived, {} alerts, {repeats} duplicates, {faulty} faulty", arrivals.len(), ids.len())
    }
}
