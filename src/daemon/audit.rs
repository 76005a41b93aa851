//! The audit log: who asked what, and what became of it; append-only, each line chained to the one before by its hash.
//!
//! One line of JSON an entry. `hash` is the SHA-256 of the line's bytes before `,"hash":`, which hold the hash of the
//! line before as `prev`. Beside the log stands `….head` with the last line's number and hash, so that a cut end is
//! seen as well as an edited line. Both are written under a lock: the daemon and the command line share them.

use crate::model::sha256_hex;
use contract::UtcMs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the first line is chained to.
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The longest line.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What is wrong with the log, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("audit log {path}: {why}")]
pub struct AuditFault {
    /// The file.
    pub path: String,
    /// What is wrong.
    pub why: String,
}

/// How a log stands that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Lines.
    pub lines: u64,
    /// The last line's hash; note it elsewhere to be able to prove more.
    pub hash: String,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at: UtcMs,
    what: &'a str,
    who: &'a str,
    detail: &'a Value,
    prev: &'a str,
}

#[derive(Deserialize)]
struct Chained {
    seq: u64,
    prev: String,
    hash: String,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
}

/// Reads one line and holds its hash against its bytes.
fn read_line(line: &str) -> Result<Chained, String> {
    let chained: Chained = serde_json::from_str(line).map_err(|e| format!("cannot be read ({e})"))?;
    let covered = line.rfind(",\"hash\":").map_or("", |end| &line[..end]);
    if sha256_hex(covered.as_bytes()) == chained.hash {
        Ok(chained)
    } else {
        Err("was edited: its hash does not hold".into())
    }
}

impl Audit {
    /// The log in that file; nothing happens before the first entry.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn fault(&self, why: impl std::fmt::Display) -> AuditFault {
        AuditFault { path: self.path.display().to_string(), why: why.to_string() }
    }

    fn head_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".head");
        name.into()
    }

    /// Writes an entry and waits until it is on disk. `what` is `start`, `command` or `key`; `who` a person, key or node.
    ///
    /// # Errors
    /// [`AuditFault`] if the disk does not take it.
    pub fn append(&self, what: &str, who: &str, detail: &Value, at: UtcMs) -> Result<(), AuditFault> {
        self.write(what, who, detail, at).map_err(|e| self.fault(e))
    }

    fn write(&self, what: &str, who: &str, detail: &Value, at: UtcMs) -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        file.lock()?;
        let (seq, prev) = last(&mut file)?;
        let line = serde_json::to_string(&Line { seq: seq + 1, at, what, who, detail, prev: &prev })?;
        let covered = &line[..line.len() - 1];
        let hash = sha256_hex(covered.as_bytes());
        file.write_all(format!("{covered},\"hash\":\"{hash}\"}}\n").as_bytes())?;
        file.sync_data()?;
        let beside = self.head_path().with_extension("head-new");
        fs::write(&beside, format!("{} {hash}\n", seq + 1))?;
        fs::rename(beside, self.head_path())
    }

    /// Goes through the whole log.
    ///
    /// # Errors
    /// [`AuditFault`] names the first line that was edited, taken out or put in, or says that the end was cut.
    pub fn verify(&self) -> Result<Standing, AuditFault> {
        let file = File::open(&self.path).map_err(|e| self.fault(e))?;
        let mut lines = BufReader::new(file);
        let (mut standing, mut at_head) = (Standing { lines: 0, hash: BEGINNING.into() }, None);
        let head = self.head()?;
        loop {
            let mut line = String::new();
            let n = lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line).map_err(|e| self.fault(e))?;
            if n == 0 {
                break;
            }
            let number = standing.lines + 1;
            let whole =
                line.strip_suffix('\n').ok_or_else(|| self.fault(format!("line {number} is cut off")))?;
            let read = read_line(whole).map_err(|why| self.fault(format!("line {number} {why}")))?;
            if read.seq != number || read.prev != standing.hash {
                return Err(self.fault(format!(
                    "line {number} does not follow the one before: lines were taken out or put in"
                )));
            }
            standing = Standing { lines: number, hash: read.hash };
            if head.as_ref().is_some_and(|h| h.lines == number) {
                at_head = Some(standing.hash.clone());
            }
        }
        match head {
            None if standing.lines > 0 => {
                Err(self.fault("its .head file is missing: its end cannot be proved"))
            }
            Some(head) if head.lines > standing.lines => {
                let why = format!(
                    "it ends at line {}, but line {} was written: its end was cut",
                    standing.lines, head.lines
                );
                Err(self.fault(why))
            }
            Some(head) if head.lines > 0 && at_head.as_ref() != Some(&head.hash) => Err(self.fault(format!(
                "line {} is not the one that was written: the log was written anew",
                head.lines
            ))),
            _ => Ok(standing),
        }
    }

    fn head(&self) -> Result<Option<Standing>, AuditFault> {
        let Ok(text) = fs::read_to_string(self.head_path()) else { return Ok(None) };
        let read = text.trim().split_once(' ').and_then(|(n, hash)| Some((n.parse().ok()?, hash.to_owned())));
        let (lines, hash) = read.ok_or_else(|| self.fault("its .head file cannot be read"))?;
        Ok(Some(Standing { lines, hash }))
    }
}

/// Number and hash of the last whole line. What a crash left behind it was never confirmed and is cut off.
fn last(file: &mut File) -> std::io::Result<(u64, String)> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(LINE_BYTES_MAX).read_to_end(&mut tail)?;
    let end = tail.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    if (end as u64) < tail.len() as u64 {
        file.set_len(from + end as u64)?;
    }
    let text = String::from_utf8_lossy(&tail[..end.saturating_sub(1)]);
    let line = text.rsplit('\n').next().unwrap_or_default();
    if line.is_empty() {
        return Ok((0, BEGINNING.into()));
    }
    let read: Chained = serde_json::from_str(line)?;
    Ok((read.seq, read.hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn log(folder: &Path, lines: u64) -> Audit {
        let audit = Audit::new(&folder.join("audit.jsonl"));
        for i in 0..lines {
            audit
                .append("command", &format!("nurse-{i}"), &json!({"verb": "ack", "n": i}), UtcMs(i as i64))
                .expect("written");
        }
        audit
    }

    /// Verifies after a change of the file's text; gives what is said.
    fn after(change: impl Fn(&str) -> String) -> String {
        let folder = tempfile::tempdir().expect("folder");
        let audit = log(folder.path(), 6);
        let text = fs::read_to_string(&audit.path).expect("reads");
        fs::write(&audit.path, change(&text)).expect("writes");
        audit.verify().expect_err("seen").why
    }

    #[test]
    fn a_log_that_was_left_alone_holds_and_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let audit = log(folder.path(), 5);
        assert_eq!(audit.verify().expect("holds").lines, 5);
        log(folder.path(), 2);
        assert_eq!(audit.verify().expect("holds").lines, 7);
    }

    #[test]
    fn an_edited_a_missing_and_a_cut_line_are_seen() {
        let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
        let without = |text: &str, i: usize| {
            let mut all = lines(text);
            all.remove(i);
            all.join("\n") + "\n"
        };
        assert!(after(|t| t.replacen("nurse-3", "nurse-9", 1)).contains("line 4 was edited"));
        assert!(after(|t| without(t, 2)).contains("line 3 does not follow"));
        assert!(after(|t| without(t, 0)).contains("line 1 does not follow"));
        assert!(after(|t| without(t, 5)).contains("its end was cut"));
        assert!(after(|_| String::new()).contains("its end was cut"));
        assert!(after(|t| t[..t.len() - 9].into()).contains("line 6 is cut off"));
        assert!(after(|t| format!("{t}{{\"x\":1}}\n")).contains("line 7 cannot be read"));
        assert!(after(|t| t.replacen('{', "\u{0}", 1)).contains("line 1"));
    }

    #[test]
    fn a_log_that_was_written_anew_is_seen() {
        let folder = tempfile::tempdir().expect("folder");
        let audit = log(folder.path(), 4);
        let head = fs::read(audit.head_path()).expect("a head");
        fs::remove_file(&audit.path).expect("gone");
        log(folder.path(), 3);
        audit.append("command", "else", &json!({}), UtcMs(0)).expect("written");
        fs::write(audit.head_path(), head).expect("writes");
        assert!(audit.verify().expect_err("seen").why.contains("written anew"));
        fs::remove_file(audit.head_path()).expect("gone");
        assert!(audit.verify().expect_err("seen").why.contains("missing"));
    }

    #[test]
    fn half_a_line_of_a_crash_is_cut_off_and_the_log_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let audit = log(folder.path(), 3);
        let mut file = OpenOptions::new().append(true).open(&audit.path).expect("opens");
        file.write_all(b"{\"seq\":4,\"at\":").expect("writes");
        audit.append("start", "node-a", &json!({}), UtcMs(9)).expect("written");
        assert_eq!(audit.verify().expect("holds").lines, 4);
    }
}
