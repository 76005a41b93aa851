//! WFDB records as beds: exports of a node's recorder go together again under their bed's name and time, other records are
//! a bed each.

use super::{Hops, Source};
use crate::pipeline::Due;
use crate::workshop::WorkshopError;
use crate::workshop::dataset::DatasetError;
use crate::workshop::explain::read_recording;
use contract::{BedId, UtcMs};
use recordings::Header;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One record and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    /// Wall time of the end of its first second; 0 where nobody says it.
    began: UtcMs,
    path: PathBuf,
}

/// `bed site/unit/bed, epoch 5eed0001, sample 0 at 2026-11-25T22:15:05.250Z`, as `wardbeat recordings export` writes it.
fn exported(comment: &str) -> Option<(BedId, UtcMs)> {
    let (bed, rest) = comment.strip_prefix("bed ")?.split_once(", epoch ")?;
    let (_, at) = rest.split_once(" at ")?;
    Some((BedId::new(bed).ok()?, UtcMs::parse(at).ok()?))
}

/// A bed's name of a record without one: its path below the folder.
fn named(folder: &Path, path: &Path) -> Result<BedId, WorkshopError> {
    let below = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = below.chars().map(plain).take(60).collect();
    BedId::new(&format!("rehearsal/wfdb/{name}"))
        .map_err(|e| WorkshopError::Recording(format!("{}: {e}", path.display())))
}

fn place(folder: &Path, path: &Path) -> Result<(BedId, UtcMs), WorkshopError> {
    let header = path.with_extension("hea");
    let told = |e: std::io::Error| WorkshopError::Recording(format!("{}: {e}", header.display()));
    let text = std::fs::read_to_string(&header).map_err(told)?;
    let header = Header::parse(&text, &header).map_err(DatasetError::from)?;
    let exported = header.comments.iter().find_map(|c| exported(c));
    exported.map_or_else(|| Ok((named(folder, path)?, UtcMs(0))), Ok)
}

fn hops(bed: &BedId, pieces: &[Piece]) -> Hops<'static> {
    let (bed, pieces) = (bed.clone(), pieces.to_vec());
    let read = move |(epoch, piece): (usize, Piece)| -> Vec<Result<Due, WorkshopError>> {
        let recording = match read_recording(&piece.path) {
            Ok(recording) => recording,
            Err(e) => return vec![Err(e)],
        };
        let hops = recording.hops(false);
        let shift_ms =
            if piece.began.0 == 0 { 0 } else { hops.first().map_or(0, |h| piece.began.0 - h.end.0) };
        let placed = |hop: Due| Due {
            bed: bed.clone(),
            // Whatever lies between two records, the next one is a stream of its own.
            epoch: epoch as u32,
            end: hop.end.after(shift_ms),
            ..hop
        };
        hops.into_iter().map(|hop| Ok(placed(hop))).collect()
    };
    Box::new(pieces.into_iter().enumerate().flat_map(read))
}

/// The WFDB records below a folder, as beds.
///
/// # Errors
/// [`WorkshopError`] if the folder or a header cannot be read.
pub fn wfdb<'a>(folder: &Path) -> Result<Vec<Source<'a>>, WorkshopError> {
    let mut beds: BTreeMap<BedId, Vec<Piece>> = BTreeMap::new();
    for path in recordings::list(folder).map_err(DatasetError::from)? {
        let (bed, began) = place(folder, &path)?;
        beds.entry(bed).or_default().push(Piece { began, path });
    }
    let source = |(bed, mut pieces): (BedId, Vec<Piece>)| {
        pieces.sort();
        let of = bed.clone();
        Source { bed, open: Box::new(move || hops(&of, &pieces)) }
    };
    Ok(beds.into_iter().map(source).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use recordings::Draft;

    fn write(folder: &Path, name: &str, seconds: usize, comment: &str) {
        let mv: Vec<f32> = (0..seconds * 100).map(|i| (i % 90) as f32 / 100.0).collect();
        let draft = Draft {
            name,
            rate_hz: 100.0,
            gain_per_mv: 1_000.0,
            leads: &["II"],
            samples_mv: &[mv],
            comments: &[comment],
        };
        draft.write(folder).expect("writes");
    }

    #[test]
    fn exports_of_a_bed_go_together_and_foreign_records_are_a_bed_each() {
        let folder = tempfile::tempdir().expect("a folder");
        let comment = |at: &str| format!("bed s1/icu/b07, epoch 00000007, sample 0 at {at}");
        write(folder.path(), "b-000", 3, &comment("2026-11-25T10:00:01.000Z"));
        write(folder.path(), "a-001", 2, &comment("2026-11-26T10:00:01.000Z"));
        write(folder.path(), "100", 2, "69 M");
        let sources = wfdb(folder.path()).expect("reads");
        let beds: Vec<&str> = sources.iter().map(|s| s.bed.as_str()).collect();
        assert_eq!(beds, ["rehearsal/wfdb/100", "s1/icu/b07"]);
        let hops: Vec<Due> = (sources[1].open)().map(|hop| hop.expect("a hop")).collect();
        let ends: Vec<String> = hops.iter().map(|h| h.end.to_string()[..19].to_string()).collect();
        assert_eq!(hops.len(), 5);
        assert_eq!((ends[0].as_str(), ends[3].as_str()), ("2026-11-25T10:00:01", "2026-11-26T10:00:01"));
        assert_eq!((hops[2].epoch, hops[3].epoch, hops[3].window), (0, 1, 0));
    }
}
