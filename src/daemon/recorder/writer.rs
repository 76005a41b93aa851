//! The recorder's thread: gathers records a bed, appends them every two seconds, begins a file an hour.
//!
//! A run never appends to a file of an earlier one: what a crash tore off stays at the end of its own file, where it is
//! cut at the next start. After a failed write the file is left alone too, and a hole is marked in the next one.

use super::file::{self, Kind};
use super::retention::{self, Limits};
use super::{EVIDENCE_FOLDER, EXTENSION, Health, Order};
use crate::daemon::clock::Clock;
use contract::BedId;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// What a crash of the process may lose.
const FLUSH_MS: u64 = 2_000;
/// Wait after a failed write.
const PAUSE_MS: u64 = 10_000;
/// How often old files are looked for.
const PRUNE_MS: u64 = 60_000;
/// A file holds so much time, and so many bytes, at most.
const FILE_MS: u64 = 3_600_000;
const FILE_BYTES: u64 = 16 << 20;
/// Seconds of signal that an evidence file holds before its alert, where there are as many.
const EVIDENCE_HOPS: u64 = 64;
/// Checkpoints and files remembered a bed.
const MARKS_MAX: usize = 4;

/// A checkpoint's place.
struct Mark {
    path: PathBuf,
    offset: u64,
    /// Hops before it.
    hops: u64,
}

/// One bed's recording under way.
#[derive(Default)]
struct Tape {
    /// The file under way is the last.
    files: VecDeque<PathBuf>,
    open: bool,
    began_ms: u64,
    /// Bytes in the file, and what is to be appended.
    length: u64,
    pending: Vec<u8>,
    marks: VecDeque<Mark>,
    hops: u64,
    hole: bool,
}

impl Tape {
    fn begin(&mut self, folder: &Path, bed: &BedId, clock: Clock) {
        let (mut name, place) = (clock.utc().0.max(0), folder.join(bed.as_str()));
        let path = |name: i64| place.join(format!("{name:015}.{EXTENSION}"));
        while path(name).exists() {
            name += 1;
        }
        self.files.push_back(path(name));
        if self.files.len() > MARKS_MAX {
            self.files.pop_front();
        }
        (self.open, self.began_ms, self.length) = (true, clock.mono().0, 0);
        self.pending = file::head(bed);
        if std::mem::take(&mut self.hole) {
            file::push(&mut self.pending, Kind::Hole, &[]);
        }
    }

    fn push(&mut self, kind: Kind, body: &[u8]) {
        match kind {
            Kind::Hop => self.hops += 1,
            Kind::Checkpoint => {
                let path = self.files.back().cloned().unwrap_or_default();
                let offset = self.length + self.pending.len() as u64;
                self.marks.push_back(Mark { path, offset, hops: self.hops });
                if self.marks.len() > MARKS_MAX {
                    self.marks.pop_front();
                }
            }
            _ => {}
        }
        file::push(&mut self.pending, kind, body);
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(path) = self.files.back().filter(|_| !self.pending.is_empty()) else { return Ok(()) };
        if self.length == 0
            && let Some(folder) = path.parent()
        {
            fs::create_dir_all(folder)?;
        }
        File::options().create(true).append(true).open(path)?.write_all(&self.pending)?;
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Leaves the file as it is; what was to be appended is a hole in the next one.
    fn spoil(&mut self) {
        self.hole = true;
        self.open = false;
        self.pending.clear();
        self.marks.clear();
    }

    /// The records since a checkpoint that lies far enough back, as they stand in the files.
    fn since_checkpoint(&self) -> io::Result<Vec<u8>> {
        let far = |m: &&Mark| m.hops + EVIDENCE_HOPS <= self.hops;
        let Some(mark) = self.marks.iter().rev().find(far).or(self.marks.front()) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (i, path) in self.files.iter().skip_while(|path| **path != mark.path).enumerate() {
            let mut file = File::open(path)?;
            let mut bytes = Vec::new();
            if i == 0 {
                file.seek(SeekFrom::Start(mark.offset))?;
                file.read_to_end(&mut found)?;
                continue;
            }
            file.read_to_end(&mut bytes)?;
            let head = file::parse(&bytes).map_or(bytes.len(), |r| file::head(&r.bed).len());
            found.extend_from_slice(&bytes[head..]);
        }
        Ok(found)
    }
}

/// The thread's own.
pub struct Writer {
    folder: PathBuf,
    limits: Limits,
    clock: Clock,
    health: Arc<Health>,
    tapes: BTreeMap<BedId, Tape>,
    /// Nothing is written before this moment: the disk just failed.
    paused_until_ms: u64,
}

impl Writer {
    /// A writer into `folder`.
    pub fn new(folder: PathBuf, limits: Limits, clock: Clock, health: Arc<Health>) -> Self {
        Self { folder, limits, clock, health, tapes: BTreeMap::new(), paused_until_ms: 0 }
    }

    /// Writes until nobody hands over any more.
    pub fn run(mut self, orders: &Receiver<Order>) {
        match retention::cut_torn_tails(&self.folder) {
            Ok(0) => {}
            Ok(files) => tracing::warn!(files, "recordings had a torn tail, it was cut"),
            Err(fault) => tracing::warn!(%fault, "recordings of earlier runs cannot be looked at"),
        }
        let (mut flushed_ms, mut pruned_ms) = (0, None);
        loop {
            match orders.recv_timeout(Duration::from_millis(500)) {
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.flush_all(),
            }
            let now_ms = self.clock.mono().0;
            if now_ms >= flushed_ms + FLUSH_MS {
                self.flush_all();
                flushed_ms = now_ms;
            }
            if pruned_ms.is_none_or(|at| now_ms >= at + PRUNE_MS) {
                self.prune();
                pruned_ms = Some(now_ms);
            }
        }
    }

    fn prune(&self) {
        let open: Vec<&Path> =
            self.tapes.values().filter_map(|t| t.files.back()).map(PathBuf::as_path).collect();
        match retention::prune(&self.folder, self.limits, self.clock.utc(), &open) {
            Ok(bytes) => self.health.bytes.store(bytes, Ordering::Relaxed),
            Err(fault) => tracing::warn!(%fault, "old recordings cannot be removed"),
        }
    }

    fn take(&mut self, order: Order) {
        let bed = order.bed().clone();
        let now_ms = self.clock.mono().0;
        let tape = self.tapes.entry(bed.clone()).or_default();
        if tape.open && (now_ms >= tape.began_ms + FILE_MS || tape.length >= FILE_BYTES) {
            self.flush(&bed);
        }
        let Some(tape) = self.tapes.get_mut(&bed) else { return };
        if !tape.open || now_ms >= tape.began_ms + FILE_MS || tape.length >= FILE_BYTES {
            tape.begin(&self.folder, &bed, self.clock);
        }
        match order {
            Order::Record { kind, body, .. } => tape.push(kind, &body),
            Order::Evidence { name, document, .. } => {
                self.flush(&bed);
                let saved = self.evidence(&bed, &name, &document);
                self.told(saved, "evidence");
            }
        }
    }

    fn flush_all(&mut self) {
        let beds: Vec<BedId> = self.tapes.keys().cloned().collect();
        for bed in &beds {
            self.flush(bed);
        }
    }

    fn flush(&mut self, bed: &BedId) {
        let paused = self.clock.mono().0 < self.paused_until_ms;
        let Some(tape) = self.tapes.get_mut(bed).filter(|t| !t.pending.is_empty()) else { return };
        if paused {
            return tape.spoil();
        }
        let flushed = tape.flush();
        if flushed.is_err() {
            tape.spoil();
        }
        self.told(flushed, "signal");
    }

    fn told(&mut self, written: io::Result<()>, what: &str) {
        match written {
            Ok(()) => self.health.set(""),
            Err(fault) => {
                tracing::error!(what, %fault, "not recorded, trying again in a while");
                self.health.set(&format!("{what} is not recorded: {}", fault.kind()));
                self.paused_until_ms = self.clock.mono().0 + PAUSE_MS;
            }
        }
    }

    /// The signal that led to an alert and the document of its evidence, in a file of their own.
    fn evidence(&self, bed: &BedId, name: &str, document: &[u8]) -> io::Result<()> {
        let folder = self.folder.join(EVIDENCE_FOLDER);
        fs::create_dir_all(&folder)?;
        let mut bytes = file::head(bed);
        if let Some(tape) = self.tapes.get(bed) {
            bytes.extend(tape.since_checkpoint()?);
        }
        file::push(&mut bytes, Kind::Evidence, document);
        let (path, draft) = (folder.join(name), folder.join(format!("{name}.new")));
        let mut file = File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(draft, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::recorder::file::Record;

    fn bed() -> BedId {
        BedId::new("s/u/b").expect("valid")
    }

    fn writer(folder: &Path) -> Writer {
        let limits = Limits { stream_ms: 3_600_000, evidence_ms: 3_600_000, bytes: 1 << 30 };
        Writer::new(folder.to_owned(), limits, Clock::start(), Arc::default())
    }

    fn record(kind: Kind, text: &str) -> Order {
        Order::Record { bed: bed(), kind, body: text.into() }
    }

    /// The kinds and bodies of all files of the bed, in order.
    fn written(folder: &Path) -> Vec<String> {
        let tapes = crate::daemon::recorder::Tapes::new(folder.to_owned());
        let read = |path: &PathBuf| file::read(path).expect("a recording").records;
        let told = |r: Record| format!("{:?} {}", r.kind, String::from_utf8_lossy(&r.body));
        tapes.files(&bed()).iter().flat_map(read).map(told).collect()
    }

    #[test]
    fn what_a_crash_tore_off_is_cut_and_the_next_run_begins_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut first = writer(folder.path());
        for text in ["a", "b"] {
            first.take(record(Kind::Hop, text));
        }
        first.flush_all();
        let path = first.tapes[&bed()].files[0].clone();
        let whole = fs::metadata(&path).expect("there").len();
        first.take(record(Kind::Hop, "c"));
        first.flush_all();
        File::options().write(true).open(&path).and_then(|f| f.set_len(whole + 5)).expect("torn");
        assert_eq!(written(folder.path()), ["Hop a", "Hop b"], "a reader stops before the tear");
        assert_eq!(retention::cut_torn_tails(folder.path()).expect("looked"), 1);
        assert_eq!(fs::metadata(&path).expect("there").len(), whole);
        let mut second = writer(folder.path());
        second.take(record(Kind::Hop, "d"));
        second.flush_all();
        assert_eq!(written(folder.path()), ["Hop a", "Hop b", "Hop d"]);
        assert_eq!(crate::daemon::recorder::Tapes::new(folder.path().into()).files(&bed()).len(), 2);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_and_leaves_a_hole() {
        let folder = tempfile::tempdir().expect("a folder");
        // A file where a folder is needed: every write fails, as on a full disk.
        let block = folder.path().join("s");
        fs::write(&block, "").expect("written");
        let mut writer = writer(folder.path());
        writer.take(record(Kind::Hop, "lost"));
        writer.flush_all();
        assert!(writer.health.trouble().contains("signal is not recorded"), "{}", writer.health.trouble());
        fs::remove_file(&block).expect("removed");
        writer.take(record(Kind::Hop, "lost too: the writer pauses"));
        writer.flush_all();
        assert!(!writer.health.trouble().is_empty());
        writer.paused_until_ms = 0;
        writer.take(record(Kind::Hop, "kept"));
        writer.flush_all();
        assert_eq!(writer.health.trouble(), "");
        assert_eq!(written(folder.path()), ["Hole ", "Hop kept"]);
    }

    #[test]
    fn an_evidence_file_holds_a_minute_before_its_alert_from_a_checkpoint_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = writer(folder.path());
        let mut hop = 0;
        let mut hops = |writer: &mut Writer, count: u32| {
            for _ in 0..count {
                writer.take(record(Kind::Hop, &format!("{hop}")));
                hop += 1;
            }
        };
        for checkpoint in ["first", "second", "third"] {
            writer.take(record(Kind::Checkpoint, checkpoint));
            hops(&mut writer, 50);
        }
        let evidence =
            Order::Evidence { bed: bed(), name: "x-000.wbr".into(), document: b"document".to_vec() };
        writer.take(evidence);
        let path = folder.path().join(EVIDENCE_FOLDER).join("x-000.wbr");
        let records = file::read(&path).expect("there").records;
        let told = |r: &Record| format!("{:?} {}", r.kind, String::from_utf8_lossy(&r.body));
        assert_eq!(told(&records[0]), "Checkpoint second", "the third is too near, the first too far");
        assert_eq!(told(&records[1]), "Hop 50");
        assert_eq!(records.len(), 1 + 50 + 1 + 50 + 1);
        assert_eq!(records.last().map(told), Some("Evidence document".into()));
    }
}
