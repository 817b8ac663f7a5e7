//! Proves a backup by restoring it into a scratch folder and reading all of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use vervet_store::backup::{DayCount, Manifest, Repository};
use vervet_store::catalog::CatalogInspector;
use vervet_store::verify::{Progress, VerifyOptions};

use super::{Copying, restore};
use crate::verify::{Finding, verify};

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    pub(crate) id: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Rows that were decoded.
    pub(crate) rows: u64,
    /// Days of tables whose counts were compared.
    pub(crate) days: u64,
    pub(crate) journal_records: u64,
    pub(crate) problems: Vec<String>,
}

/// Restores the backup below `scratch`, checks it as `verify` does, compares counts and deletes it again.
///
/// # Errors
/// It cannot be restored.
pub(crate) fn check(
    repository: &Repository,
    manifest: &Manifest,
    scratch: &Path,
    copying: &dyn Copying,
    progress: &dyn Progress,
) -> anyhow::Result<Checked> {
    let folder = Scratch(scratch.join(format!(
        "vervet-restore-{}-{}",
        manifest.id,
        std::process::id()
    )));
    let dir = &folder.0;
    restore(repository, manifest, dir, copying)?;
    let findings = verify(dir, VerifyOptions::default(), progress)?;
    let expected: BTreeMap<(&str, i32), &DayCount> = manifest
        .counts
        .iter()
        .map(|count| ((count.table.as_str(), count.day), count))
        .collect();
    let mut problems: Vec<String> = findings.defects.iter().map(line).collect();
    problems.extend(
        manifest
            .damaged
            .iter()
            .map(|path| format!("{path} was damaged or lost when the backup was taken")),
    );
    let found = CatalogInspector::open(dir)?;
    let mut counted: BTreeMap<(String, i32), (u64, u64)> = BTreeMap::new();
    for file in found.files()? {
        let rows = u64::try_from(file.rows).unwrap_or(0);
        let entry = counted
            .entry((file.table.clone(), file.day.unwrap_or(0)))
            .or_default();
        entry.0 += rows;
        entry.1 += 1;
    }
    for ((table, day), count) in &expected {
        let found = counted
            .remove(&((*table).to_owned(), *day))
            .unwrap_or_default();
        if found != (count.rows, count.files) {
            problems.push(format!(
                "{table} of day {day} has {} rows in {} files instead of {} in {}",
                found.0, found.1, count.rows, count.files
            ));
        }
    }
    problems.extend(
        counted
            .keys()
            .map(|(table, day)| format!("{table} of day {day} should not be there")),
    );
    if findings.journal.last_sequence < manifest.journal_last_sequence {
        problems.push(format!(
            "the journal ends at {} instead of {}",
            findings.journal.last_sequence, manifest.journal_last_sequence
        ));
    }
    Ok(Checked {
        id: manifest.id.clone(),
        files: manifest.files.len() as u64,
        bytes: manifest.bytes(),
        rows: findings.rows,
        days: expected.len() as u64,
        journal_records: findings.journal.records,
        problems,
    })
}

fn line(finding: &Finding) -> String {
    format!("{}: {}", finding.place, finding.message)
}

/// Deleted when it is done with, however that ends.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(&self.0);
    }
}
