//! Reads recordings: which beds and files there are, and the records of a bed in order.

use super::file::{self, Kind, Reading, Seen};
use super::{EVIDENCE_FOLDER, EXTENSION};
use crate::pipeline::Due;
use contract::{AlertId, BedId};
use std::fs;
use std::path::{Path, PathBuf};

/// The recordings below one folder.
#[derive(Debug, Clone)]
pub struct Tapes {
    folder: PathBuf,
}

/// An excerpt of one bed's recording: hops, and what was seen in them.
#[derive(Debug, Clone, Default)]
pub struct Excerpt {
    /// The hops, in order.
    pub hops: Vec<Due>,
    /// What the analysis saw, in order.
    pub seen: Vec<Seen>,
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

impl Tapes {
    /// The recordings below `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The beds that have recordings, in order.
    #[must_use]
    pub fn beds(&self) -> Vec<BedId> {
        let mut beds = Vec::new();
        for site in names(&self.folder).iter().filter(|name| *name != EVIDENCE_FOLDER) {
            for unit in &names(&self.folder.join(site)) {
                for bed in &names(&self.folder.join(site).join(unit)) {
                    beds.extend(BedId::new(&format!("{site}/{unit}/{bed}")));
                }
            }
        }
        beds.retain(|bed| !self.files(bed).is_empty());
        beds
    }

    /// A bed's files, the oldest first.
    #[must_use]
    pub fn files(&self, bed: &BedId) -> Vec<PathBuf> {
        let folder = self.folder.join(bed.as_str());
        let ours = |name: &String| Path::new(name).extension().is_some_and(|e| e == EXTENSION);
        names(&folder).iter().filter(|name| ours(name)).map(|name| folder.join(name)).collect()
    }

    /// The evidence file of one message about an alert.
    #[must_use]
    pub fn evidence(&self, id: &AlertId, rev: u32) -> PathBuf {
        self.folder.join(EVIDENCE_FOLDER).join(evidence_name(id, rev))
    }

    /// The hops of a bed that hold samples from `from_n` until before `to_n` of an epoch (the newest, without one),
    /// and what was seen in them.
    ///
    /// # Errors
    /// In words, where a file cannot be read.
    pub fn stretch(
        &self,
        bed: &BedId,
        epoch: Option<u32>,
        from_n: u64,
        to_n: u64,
    ) -> Result<Excerpt, String> {
        let (mut epoch, mut found) = (epoch, Excerpt::default());
        for path in self.files(bed).iter().rev() {
            let part = part(&file::read(path)?, &mut epoch, from_n, to_n);
            let begins = part.hops.first().is_some_and(|hop| hop.from_n <= from_n);
            found.hops.splice(0..0, part.hops);
            found.seen.splice(0..0, part.seen);
            if begins {
                break;
            }
        }
        Ok(found)
    }
}

/// The file's name of one message about an alert.
pub fn evidence_name(id: &AlertId, rev: u32) -> String {
    format!("{id}-{rev:03}.{EXTENSION}")
}

/// What of one file lies in the stretch. Where no epoch is asked for, the file's last one is.
fn part(reading: &Reading, epoch: &mut Option<u32>, from_n: u64, to_n: u64) -> Excerpt {
    let hops: Vec<Due> = reading
        .records
        .iter()
        .filter(|r| r.kind == Kind::Hop)
        .filter_map(|r| Due::from_bytes(&reading.bed, &r.body))
        .collect();
    let Some(wanted) = epoch.or(hops.last().map(|hop| hop.epoch)) else { return Excerpt::default() };
    *epoch = Some(wanted);
    let inside = |hop: &Due| hop.epoch == wanted && hop.from_n < to_n && from_n < hop.to_n;
    let hops: Vec<Due> = hops.into_iter().filter(inside).collect();
    let windows: std::collections::BTreeSet<u64> = hops.iter().map(|hop| hop.window).collect();
    let seen =
        reading.records.iter().filter(|r| r.kind == Kind::Seen).filter_map(|r| Seen::from_bytes(&r.body));
    let seen = seen.filter(|s| s.epoch == wanted && windows.contains(&s.window)).collect();
    Excerpt { hops, seen }
}
