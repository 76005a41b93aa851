//! What goes and when: by age, then by size, the oldest first; and torn tails.

use super::file;
use super::{EVIDENCE_FOLDER, EXTENSION};
use contract::UtcMs;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What may be kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Age of the stream.
    pub stream_ms: i64,
    /// Age of evidence.
    pub evidence_ms: i64,
    /// Bytes of both together.
    pub bytes: u64,
}

/// One file on disk.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    bytes: u64,
    changed: UtcMs,
    evidence: bool,
}

/// The recordings below a folder, at most four levels down (site, unit, bed, file).
fn kept(folder: &Path, depth: usize, evidence: bool, found: &mut Vec<Kept>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, about) = (entry.path(), entry.metadata()?);
        if about.is_dir() && depth < 4 {
            kept(&path, depth + 1, depth == 0 && entry.file_name() == EVIDENCE_FOLDER, found)?;
        } else if about.is_file() && path.extension().is_some_and(|e| e == EXTENSION) {
            let since = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let changed = UtcMs(since.as_millis() as i64);
            found.push(Kept { path, bytes: about.len(), changed, evidence });
        }
    }
    Ok(())
}

/// Removes what is too old, then the oldest until all fits; the stream before evidence, never an `open` file. Returns
/// the bytes left.
pub fn prune(folder: &Path, limits: Limits, now: UtcMs, open: &[&Path]) -> io::Result<u64> {
    let mut found = Vec::new();
    kept(folder, 0, false, &mut found)?;
    found.retain(|k| !open.contains(&k.path.as_path()));
    found.sort_by_key(|k| (k.evidence, k.changed));
    let open_bytes: u64 = open.iter().filter_map(|path| fs::metadata(path).ok()).map(|m| m.len()).sum();
    let mut bytes = open_bytes + found.iter().map(|k| k.bytes).sum::<u64>();
    for kept in found {
        let age_ms = now.0 - kept.changed.0;
        let too_old = age_ms > if kept.evidence { limits.evidence_ms } else { limits.stream_ms };
        if too_old || bytes > limits.bytes {
            fs::remove_file(&kept.path)?;
            bytes -= kept.bytes;
        }
    }
    Ok(bytes)
}

/// Cuts the newest recording of each bed where a crash tore it; returns how many were.
pub fn cut_torn_tails(folder: &Path) -> io::Result<usize> {
    let mut found = Vec::new();
    kept(folder, 0, false, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let mut cut = 0;
    for (i, kept) in found.iter().enumerate() {
        let newest = found.get(i + 1).is_none_or(|next| next.path.parent() != kept.path.parent());
        if kept.evidence || !newest {
            continue;
        }
        let Ok(reading) = file::read(&kept.path) else { continue };
        if reading.torn_bytes > 0 {
            File::options().write(true).open(&kept.path)?.set_len(reading.whole_bytes)?;
            cut += 1;
        }
    }
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, bytes: usize) -> PathBuf {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, vec![0; bytes]).expect("written");
        path
    }

    #[test]
    fn the_oldest_stream_goes_first_and_the_open_file_never() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = write(folder.path(), "s/u/b/1.wbr", 100);
        let open = write(folder.path(), "s/u/b/2.wbr", 100);
        let evidence = write(folder.path(), "evidence/a-000.wbr", 100);
        let foreign = write(folder.path(), "s/u/b/notes.txt", 100);
        let now = UtcMs(
            fs::metadata(&old)
                .and_then(|m| m.modified())
                .map_or(0, |t| t.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)),
        );
        let limits = Limits { stream_ms: 1_000, evidence_ms: 10_000, bytes: 300 };
        let left = |limits, at: i64| {
            let bytes = prune(folder.path(), limits, now.after(at), &[&open]).expect("pruned");
            (bytes, [&old, &open, &evidence, &foreign].map(|p| p.exists()))
        };
        assert_eq!(left(limits, 0), (300, [true; 4]));
        assert_eq!(left(Limits { bytes: 299, ..limits }, 0), (200, [false, true, true, true]));
        assert_eq!(left(limits, 5_000), (200, [false, true, true, true]));
        assert_eq!(left(limits, 20_000), (100, [false, true, false, true]));
    }
}
