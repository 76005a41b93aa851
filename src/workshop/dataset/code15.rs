//! CODE-15 %: 12 leads at 400 Hz in HDF5 files, ages and patients in `exams.csv` (Ribeiro et al., Zenodo 4916206).
//!
//! Each `exams_part{i}.hdf5` holds `exam_id [exam]` and `tracings [exam, 4096, 12]` in mV; exams of 7 s or 10 s stand in
//! the middle of zeros. The whole set has 345,779 exams, so signals are read when they are asked for.

use super::DatasetError;
use crate::model::LEADS;
use crate::pipeline::preprocess::{condition_100hz, resample_100hz};
use contract::Ratio;
use rust_hdf5::H5File;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Samples of a row per lead, zeros around the exam included.
const ROW: usize = 4_096;
const RATE_HZ: u32 = 400;

/// One exam with an age.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exam {
    /// Number in the database.
    pub exam_id: u64,
    /// The patient.
    pub patient_id: u32,
    /// Age in years.
    pub age: f32,
    part: usize,
    row: usize,
}

/// The exams whose tracings are in the folder.
pub struct Code15 {
    /// In the order of the table.
    pub exams: Vec<Exam>,
    /// Exams of the table whose part is not there.
    pub absent: usize,
    parts: Vec<(PathBuf, H5File)>,
}

/// A part's place among those opened, and the row of each exam in it.
type Part = (usize, BTreeMap<u64, usize>);

/// A line of the table before its place is known.
struct Line {
    exam_id: u64,
    patient_id: u32,
    age: f32,
    file: String,
}

fn read_table(folder: &Path) -> Result<Vec<Line>, DatasetError> {
    let path = folder.join("exams.csv");
    let fault = |why: String| DatasetError::Table { path: path.clone(), why };
    let mut reader = csv::Reader::from_path(&path).map_err(|e| fault(e.to_string()))?;
    let header = reader.headers().map_err(|e| fault(e.to_string()))?.clone();
    let column = |name: &str| {
        header.iter().position(|h| h == name).ok_or_else(|| fault(format!("column {name:?} is missing")))
    };
    let (id, patient, age, file) =
        (column("exam_id")?, column("patient_id")?, column("age")?, column("trace_file")?);
    let mut lines = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|e| fault(e.to_string()))?;
        let text = |at: usize| record.get(at).unwrap_or_default();
        let number = |at: usize| {
            text(at).parse().map_err(|_| fault(format!("line {}: {:?} is no number", line + 2, text(at))))
        };
        let years: f32 =
            text(age).parse().map_err(|_| fault(format!("line {}: {:?} is no age", line + 2, text(age))))?;
        lines.push(Line {
            exam_id: number(id)?,
            patient_id: u32::try_from(number(patient)?)
                .map_err(|_| fault(format!("line {}: patient {:?}", line + 2, text(patient))))?,
            age: years,
            file: text(file).into(),
        });
    }
    Ok(lines)
}

impl Code15 {
    /// Whether a folder has the form of this set.
    #[must_use]
    pub fn is_at(folder: &Path) -> bool {
        folder.join("exams.csv").exists()
    }

    /// Reads the table and the numbers of the exams in each part that is there; at most `limit` exams of each part.
    ///
    /// # Errors
    /// [`DatasetError`] names the file and what is wrong with it.
    pub fn open(folder: &Path, limit: Option<usize>) -> Result<Self, DatasetError> {
        let mut set = Self { exams: Vec::new(), absent: 0, parts: Vec::new() };
        let mut of_file: BTreeMap<String, Option<Part>> = BTreeMap::new();
        let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
        for Line { exam_id, patient_id, age, file } in read_table(folder)? {
            if !of_file.contains_key(&file) {
                let part = set.part(folder.join(&file))?;
                of_file.insert(file.clone(), part);
            }
            let Some((part, rows)) = of_file.get(&file).and_then(Option::as_ref) else {
                set.absent += 1;
                continue;
            };
            let Some(&row) = rows.get(&exam_id) else {
                set.absent += 1;
                continue;
            };
            let count = taken.entry(*part).or_default();
            *count += 1;
            if limit.is_none_or(|limit| *count <= limit) {
                set.exams.push(Exam { exam_id, patient_id, age, part: *part, row });
            }
        }
        Ok(set)
    }

    /// Opens one part, if it is there.
    fn part(&mut self, path: PathBuf) -> Result<Option<Part>, DatasetError> {
        if !path.exists() {
            return Ok(None);
        }
        let fault = |why: String| DatasetError::Record { path: path.clone(), why };
        let file = H5File::open(&path).map_err(|e| fault(e.to_string()))?;
        let shape = file.dataset("tracings").map_err(|e| fault(e.to_string()))?.shape();
        let ids = file.dataset("exam_id").and_then(|set| set.read_numeric_as::<i64>());
        let ids = ids.map_err(|e| fault(e.to_string()))?;
        if shape.len() != 3 || shape[0] != ids.len() || shape[1..] != [ROW, LEADS] {
            return Err(fault(format!(
                "tracings {shape:?} for {} exams; [{}, {ROW}, {LEADS}] is needed",
                ids.len(),
                ids.len()
            )));
        }
        let rows = ids.iter().enumerate().map(|(row, id)| (*id as u64, row)).collect();
        self.parts.push((path, file));
        Ok(Some((self.parts.len() - 1, rows)))
    }

    /// One exam without the zeros around it, prepared for the network: `[time, lead]` at 100 Hz in units of 0.25 mV;
    /// `None` where the tracing is empty.
    ///
    /// # Errors
    /// [`DatasetError::Record`] if the file cannot be read.
    pub fn signal(&self, exam: &Exam) -> Result<Option<Vec<f32>>, DatasetError> {
        let (path, file) = &self.parts[exam.part];
        let fault = |e: rust_hdf5::Hdf5Error| DatasetError::Record {
            path: path.clone(),
            why: format!("exam {}: {e}", exam.exam_id),
        };
        let tracings = file.dataset("tracings").map_err(fault)?;
        let rows: Vec<f32> = tracings.read_slice(&[exam.row, 0, 0], &[1, ROW, LEADS]).map_err(fault)?;
        let silent = |row: &[f32]| row.iter().all(|v| *v == 0.0 || !v.is_finite());
        let mut there = rows.chunks_exact(LEADS).enumerate().filter(|(_, row)| !silent(row)).map(|(i, _)| i);
        let Some(first) = there.next() else { return Ok(None) };
        let last = there.next_back().unwrap_or(first);
        let rate = Ratio::hz(RATE_HZ)
            .map_err(|e| DatasetError::Record { path: path.clone(), why: e.to_string() })?;
        let mut prepared = Vec::new();
        for lead in 0..LEADS {
            let finite = |v: f32| if v.is_finite() { v } else { 0.0 };
            let mv: Vec<f32> = rows[first * LEADS..(last + 1) * LEADS]
                .chunks_exact(LEADS)
                .map(|r| finite(r[lead]))
                .collect();
            let Some(mut mv) = resample_100hz(&mv, rate) else { return Ok(None) };
            condition_100hz(&mut mv);
            prepared.resize(mv.len() * LEADS, 0.0);
            for (row, v) in prepared.chunks_exact_mut(LEADS).zip(&mv) {
                row[lead] = *v;
            }
        }
        Ok(Some(prepared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by h5py in the published layout (tests/code15/make.py): three exams of a generated signal, one of them
    /// of 7 s in the middle of zeros, and the empty row that ends a published part.
    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/code15")
    }

    #[test]
    fn a_part_in_the_published_layout_is_read_without_its_zeros() {
        let set = Code15::open(&folder(), None).expect("the fixture");
        let ids: Vec<u64> = set.exams.iter().map(|e| e.exam_id).collect();
        // The table names them in another order than the part, and one exam of a part that is not there.
        assert_eq!((ids, set.absent), (vec![1_169_160, 590_673, 2_873_686], 1));
        assert_eq!((set.exams[0].patient_id, set.exams[0].age), (856, 38.0));
        let lengths: Vec<usize> = set
            .exams
            .iter()
            .map(|e| set.signal(e).expect("read").expect("a tracing").len() / LEADS)
            .collect();
        assert_eq!(lengths, [1_000, 700, 1_000]);
        // 1 mV at 5 Hz in lead II of every exam is far inside the filters: 4 units of 0.25 mV.
        let signal = set.signal(&set.exams[0]).expect("read").expect("a tracing");
        let top = signal.chunks_exact(LEADS).skip(300).map(|row| row[1]).fold(0.0, f32::max);
        assert!((top - 4.0).abs() < 0.15, "{top}");
        assert!(signal.chunks_exact(LEADS).skip(300).all(|row| row[6].abs() < 0.05), "V1 is flat");
    }

    #[test]
    fn a_part_with_another_shape_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("exams.csv"), "exam_id,age,patient_id,trace_file\n1,40,1,a.hdf5\n")
            .expect("written");
        let file = H5File::create(folder.path().join("a.hdf5")).expect("a file");
        let ids = file.new_dataset::<i64>().shape([1]).create("exam_id").expect("a set");
        ids.write_raw(&[1_i64]).expect("written");
        let rows = file.new_dataset::<f32>().shape([1, 5_000, 12]).create("tracings").expect("a set");
        rows.write_raw(&vec![0.1_f32; 60_000]).expect("written");
        file.close().expect("closed");
        let why = Code15::open(folder.path(), None).err().expect("refused").to_string();
        assert!(why.contains("a.hdf5") && why.contains("5000") && why.contains("4096"), "{why}");
    }
}
