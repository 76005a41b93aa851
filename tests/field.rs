//! `docs/field.md`: what users complain about stays bound to tests that exist.

use std::fs;
use std::path::Path;

/// The words in backticks of a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn found(root: &Path, named: &str) -> Result<(), String> {
    if let Some((file, test)) = named.split_once("::") {
        let text = fs::read_to_string(root.join(file)).map_err(|e| format!("{file}: {e}"))?;
        let marked = text.split("fn ").skip(1).any(|after| after.starts_with(&format!("{test}(")));
        return marked.then_some(()).ok_or_else(|| format!("{file} has no test {test}"));
    }
    let folders = ["tests/scenarios/stories", "tests/scenarios/patients", "tests/broken-configs"];
    let config = Path::new(named).extension().is_some_and(|e| e == "toml");
    let there = !config || folders.iter().any(|f| root.join(f).join(named).is_file());
    there.then_some(()).ok_or_else(|| format!("there is no {named}"))
}

#[test]
fn every_complaint_is_held_by_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/field.md")).expect("docs/field.md");
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| ") && !l.contains("held by")).collect();
    assert!(rows.len() >= 34, "{} rows", rows.len());
    let faults: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            let bound = row.contains(".rs::") || row.contains("](");
            let missing = quoted(row).filter_map(|named| found(root, named).err());
            missing.chain((!bound).then(|| format!("bound to nothing: {row}"))).collect::<Vec<_>>()
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
