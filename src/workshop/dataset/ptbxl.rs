//! PTB-XL at 100 Hz: signals prepared for the network, labels, folds.

use super::DatasetError;
use crate::model::LEADS;
use crate::pipeline::preprocess::condition_100hz;
use indicatif::ProgressBar;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Samples of a record per lead.
pub const LENGTH: usize = 1_000;
/// The five superclasses, in the order of the network's head.
pub const CLASSES: [&str; 5] = ["NORM", "MI", "STTC", "CD", "HYP"];

/// One record's labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// Number in the database; also its file's name.
    pub ecg_id: u32,
    /// The patient; none is in two folds.
    pub patient_id: u32,
    /// 1 to 10.
    pub fold: u8,
    /// One flag per superclass; all false where the record has none.
    pub classes: [bool; 5],
    /// Age in years; unknown where the table has none, and above 89, which is coded 300.
    pub age: Option<f32>,
    /// Auxiliary statements that hold, as indices into [`PtbXl::statements`].
    pub statements: Vec<usize>,
}

impl Labels {
    /// Whether any superclass is given; records without one count in no superclass figure.
    #[must_use]
    pub fn has_class(&self) -> bool {
        self.classes.contains(&true)
    }
}

/// The database: labels in the order of the table, and prepared signals.
pub struct PtbXl {
    /// Labels.
    pub labels: Vec<Labels>,
    /// Names of the auxiliary statements (`subclass:AMI`, `form:PVC`, `rhythm:AFIB`, …), sorted.
    pub statements: Vec<String>,
    /// The records' files, without extension.
    pub files: Vec<PathBuf>,
    /// `[record, time, lead]`, 1,000 × 12 a record, in units of 0.25 mV after the filters.
    pub signals: Vec<f32>,
}

/// The table before statements have indices.
struct Row {
    labels: Labels,
    codes: BTreeSet<String>,
    file: PathBuf,
}

fn read_table(folder: &Path) -> Result<Vec<Row>, DatasetError> {
    let path = folder.join("ptbxl_database.csv");
    let fault = |why: String| DatasetError::Table { path: path.clone(), why };
    let mut reader = csv::Reader::from_path(&path).map_err(|e| fault(e.to_string()))?;
    let header = reader.headers().map_err(|e| fault(e.to_string()))?.clone();
    let column = |name: &str| {
        header.iter().position(|h| h == name).ok_or_else(|| fault(format!("column {name:?} is missing")))
    };
    let (id, patient, fold) = (column("ecg_id")?, column("patient_id")?, column("strat_fold")?);
    let file = column("filename_lr")?;
    let classes = CLASSES.map(column);
    // An age is wanted by the age task only.
    let age = header.iter().position(|h| h == "age");
    let kinds = ["subclass", "form", "rhythm"].map(|kind| (kind, column(kind)));
    let mut rows = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|e| fault(e.to_string()))?;
        let number = |at: usize| -> Result<u32, DatasetError> {
            let text = record.get(at).unwrap_or_default();
            text.parse::<f64>()
                .ok()
                .filter(|v| (0.0..4e9).contains(v))
                .map(|v| v as u32)
                .ok_or_else(|| fault(format!("line {}: {text:?} is no number", line + 2)))
        };
        let mut flags = [false; 5];
        for (flag, at) in flags.iter_mut().zip(&classes) {
            *flag = record.get(*at.as_ref().map_err(Clone::clone)?) == Some("1");
        }
        let mut codes = BTreeSet::new();
        for (kind, at) in &kinds {
            let text = record.get(*at.as_ref().map_err(Clone::clone)?).unwrap_or_default();
            codes.extend(text.split_whitespace().map(|code| format!("{kind}:{code}")));
        }
        let labels = Labels {
            ecg_id: number(id)?,
            patient_id: number(patient)?,
            fold: number(fold)? as u8,
            age: age
                .and_then(|at| record.get(at)?.parse::<f32>().ok())
                .filter(|years| (0.0..=89.0).contains(years)),
            classes: flags,
            statements: Vec::new(),
        };
        rows.push(Row { labels, codes, file: folder.join(record.get(file).unwrap_or_default()) });
    }
    Ok(rows)
}

/// One record, prepared: `[time, lead]`.
fn read_signal(path: &Path, to: &mut [f32]) -> Result<(), DatasetError> {
    let record = recordings::Record::read(path)?;
    let fault = |why: &str| DatasetError::Record { path: path.into(), why: why.into() };
    if record.length != LENGTH || record.signals.len() != LEADS {
        return Err(fault("a PTB-XL record has 12 leads of 1,000 samples at 100 Hz"));
    }
    for (lead, name) in contract::LeadId::STANDARD.iter().enumerate() {
        let at = record.signals.iter().position(|s| s.name.eq_ignore_ascii_case(name));
        let at = at.ok_or_else(|| fault(&format!("lead {name} is missing")))?;
        let mut mv = record.signal_mv(at).ok_or_else(|| fault("a lead is no voltage"))?;
        condition_100hz(&mut mv);
        for (row, v) in to.chunks_exact_mut(LEADS).zip(&mv) {
            row[lead] = *v;
        }
    }
    Ok(())
}

impl PtbXl {
    /// Reads table and signals from a PTB-XL folder; at most `limit` records of each fold, in the table's order.
    ///
    /// # Errors
    /// [`DatasetError`] names the file and what is wrong with it.
    pub fn read(folder: &Path, limit: Option<usize>, bar: &ProgressBar) -> Result<Self, DatasetError> {
        let mut rows = read_table(folder)?;
        // From the whole table, so that a small run has the same auxiliary head.
        let statements: Vec<String> =
            rows.iter().flat_map(|r| &r.codes).collect::<BTreeSet<_>>().into_iter().cloned().collect();
        if let Some(limit) = limit {
            let mut taken = [0usize; 256];
            rows.retain(|row| {
                let count = &mut taken[usize::from(row.labels.fold)];
                *count += 1;
                *count <= limit
            });
        }
        for row in &mut rows {
            row.labels.statements =
                row.codes.iter().filter_map(|c| statements.binary_search(c).ok()).collect();
        }
        bar.set_length(rows.len() as u64);
        let mut signals = vec![0.0; rows.len() * LENGTH * LEADS];
        signals.par_chunks_mut(LENGTH * LEADS).zip(&rows).try_for_each(|(to, row)| {
            bar.inc(1);
            read_signal(&row.file, to)
        })?;
        bar.finish_and_clear();
        let (labels, files) = rows.into_iter().map(|r| (r.labels, r.file)).unzip();
        Ok(Self { labels, statements, files, signals })
    }

    /// A record's file, without extension.
    #[must_use]
    pub fn file(&self, record: usize) -> &Path {
        &self.files[record]
    }

    /// Records in PTB-XL's form with noise in place of signals and labels by seed, dealt over the ten folds: enough to
    /// time a training, nothing to learn from.
    #[must_use]
    pub fn made_up(records: usize, seed: u64) -> Self {
        const STATEMENTS: usize = 60;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut label = |i: usize| Labels {
            ecg_id: i as u32 + 1,
            patient_id: i as u32 + 1,
            fold: (i % 10) as u8 + 1,
            classes: std::array::from_fn(|class| class == i % CLASSES.len() || rng.random_bool(0.1)),
            age: None,
            statements: vec![rng.random_range(0..STATEMENTS)],
        };
        Self {
            labels: (0..records).map(&mut label).collect(),
            statements: (0..STATEMENTS).map(|i| format!("form:S{i:02}")).collect(),
            files: vec![PathBuf::new(); records],
            signals: (0..records * LENGTH * LEADS).map(|_| rng.random_range(-1.0..1.0)).collect(),
        }
    }

    /// A record's prepared signal `[time, lead]`.
    #[must_use]
    pub fn signal(&self, record: usize) -> &[f32] {
        &self.signals[record * LENGTH * LEADS..(record + 1) * LENGTH * LEADS]
    }

    /// Records of the folds, in the table's order.
    #[must_use]
    pub fn in_folds(&self, folds: &[u8]) -> Vec<usize> {
        (0..self.labels.len()).filter(|&i| folds.contains(&self.labels[i].fold)).collect()
    }
}
