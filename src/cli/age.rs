//! `wardbeat evaluate --task age`: how much of a patient's age the activations, and the clusters alone, hold.

use super::Failure;
use super::progress::bar;
use crate::model::{Bundle, arrays};
use crate::workshop::dataset::{Code15, PtbXl};
use crate::workshop::evaluate::{
    Aged, Interval, Known, age_by_cluster, age_figures, known_of_code15, known_of_folds, tell_ages,
    tell_ages_by_patient,
};
use serde_json::json;
use std::path::Path;

/// Ages told and the records that they were told of. PTB-XL: the folds that taught the network teach, the test fold is
/// told. CODE-15 %, which no bundle of ours has seen: ten folds by patient.
fn told(
    bundle: &Bundle,
    data: &Path,
    fold: u8,
    records: Option<usize>,
) -> Result<(Vec<Aged>, Vec<Known>), Failure> {
    if Code15::is_at(data) {
        let set = Code15::open(data, records)?;
        if set.absent > 0 {
            eprintln!("{} exams of the table are in parts that are not in {}", set.absent, data.display());
        }
        let progress = bar(set.exams.len() as u64, "exams");
        let known = known_of_code15(bundle, &set, &|n| progress.inc(n as u64))?;
        progress.finish_and_clear();
        return Ok((tell_ages_by_patient(&known), known));
    }
    let set = PtbXl::read(data, records, &bar(0, "reading records"))?;
    let test = known_of_folds(bundle, &set, &[fold])?;
    let told = tell_ages(&known_of_folds(bundle, &set, &super::evaluate::taught_by(fold))?, &test);
    Ok((told, test))
}

pub(super) fn run(
    bundle: &Bundle,
    data: &Path,
    fold: u8,
    records: Option<usize>,
    json: Option<&Path>,
) -> Result<(), Failure> {
    let (aged, known) = told(bundle, data, fold, records)?;
    if aged.is_empty() {
        let why = "too few records have an age; PTB-XL's own table has the column `age`";
        return Err(Failure::Usage(format!("{}: {why}", data.display())));
    }
    let figures = age_figures(&aged);
    let line = |what: &str, mae: Interval, r: Option<Interval>| {
        let r = r.map_or(String::new(), |r| format!(", r {:.3} ({:.3} to {:.3})", r.value, r.low, r.high));
        println!("{what:<22} error {:.2} years ({:.2} to {:.2}){r}", mae.value, mae.low, mae.high);
    };
    println!("{} records with an age of 89 or below", figures.records);
    line("mean activations", figures.mae, Some(figures.r));
    line("cluster proportions", figures.mae_clusters, Some(figures.r_clusters));
    line("always the mean age", figures.mae_nothing, None);
    println!("\ncluster                        r of its share with the age");
    let by_cluster = age_by_cluster(&known);
    for (name, r) in bundle.codebook.names.iter().zip(&by_cluster) {
        println!("{:<30} {r:+.3}", name.name);
    }
    if let Some(path) = json {
        let names: Vec<&str> = bundle.codebook.names.iter().map(|n| n.name.as_str()).collect();
        let all =
            json!({ "model": bundle.id, "age": figures, "clusters": names, "r_by_cluster": by_cluster });
        arrays::write(path, serde_json::to_string_pretty(&all)?.as_bytes())?;
    }
    Ok(())
}
