//! Checks everything in a data folder: the store, the journal, the error groups and the alert state.
//!
//! Works beside a running collector, changes nothing and takes no lock.

mod journal;

use std::path::Path;

use serde::Serialize;
use vervet_model::{Clock as _, SystemClock, UnixNanos};
use vervet_store::catalog::check_database;
use vervet_store::verify::{Defect, Progress, VerifyOptions, VerifyReport};

use crate::start::{ALERTS_FILE, ERRORS_FILE, JOURNAL_DIR};
use crate::time;

pub(crate) use journal::JournalFindings;

/// A file that is not in the catalog and younger than this may be waiting for its commit (s).
const RECENT_SECONDS: u64 = 600;

/// What is wrong with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) place: String,
    /// A word for programs.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    /// The table whose rows are lost.
    pub(crate) table: Option<String>,
    pub(crate) rows: u64,
    pub(crate) time_range: Option<(String, String)>,
    pub(crate) is_live: bool,
}

/// A file that the catalog does not name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OrphanFinding {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) is_recent: bool,
}

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) checksums: u64,
    pub(crate) journal: JournalFindings,
    pub(crate) defects: Vec<Finding>,
    pub(crate) orphans: Vec<OrphanFinding>,
    pub(crate) unclaimed: Unclaimed,
}

/// Segments that a start moved aside because the catalog did not name them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Unclaimed {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Finding {
    /// About something that is no segment.
    pub(crate) fn other(place: &Path, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            place: place.display().to_string(),
            kind,
            message: message.into(),
            table: None,
            rows: 0,
            time_range: None,
            is_live: true,
        }
    }
}

impl From<&Defect> for Finding {
    fn from(defect: &Defect) -> Self {
        let cost = &defect.cost;
        Self {
            place: defect.place.clone(),
            kind: defect.problem.kind(),
            message: defect.problem.to_string(),
            table: Some(cost.table.clone()).filter(|table| !table.is_empty()),
            rows: cost.rows,
            time_range: cost
                .time_range
                .map(|(from, to)| (time::text(from), time::text(to))),
            is_live: cost.is_live,
        }
    }
}

/// Checks the data folder. Blocks for as long as reading all of it takes.
///
/// # Errors
/// There is no such folder.
pub(crate) fn verify(
    data_dir: &Path,
    options: VerifyOptions,
    progress: &dyn Progress,
) -> anyhow::Result<Findings> {
    anyhow::ensure!(
        data_dir.is_dir(),
        "there is no data folder {}",
        data_dir.display()
    );
    let mut findings = Findings::default();
    let position = match vervet_store::verify::verify(data_dir, options, progress) {
        Ok(report) => {
            let position = report.journal_position;
            findings.take(report);
            Some(position)
        }
        Err(error) => {
            let message = format!("{:#}", anyhow::Error::from(error));
            let catalog = data_dir.join(vervet_store::catalog::CATALOG_FILE);
            findings
                .defects
                .push(Finding::other(&catalog, "catalog", message));
            None
        }
    };
    let journal = data_dir.join(JOURNAL_DIR);
    findings.journal = journal::check(&journal, data_dir, position, &mut findings.defects);
    findings
        .defects
        .extend(findings.lost_catalog(data_dir, position));
    findings.defects.extend(check_errors(data_dir));
    findings.defects.extend(check_alerts(data_dir));
    let (files, bytes) = vervet_store::segment::unclaimed(data_dir);
    findings.unclaimed = Unclaimed { files, bytes };
    Ok(findings)
}

impl Findings {
    /// A catalog that was made anew beside the segments of another, as a start sees it.
    fn lost_catalog(&self, data_dir: &Path, position: Option<u64>) -> Option<Finding> {
        let journal = &self.journal;
        let is_whole = journal.records > 0 && journal.records == journal.last_sequence;
        if position != Some(0) || self.files > 0 || self.orphans.is_empty() || is_whole {
            return None;
        }
        let path = data_dir.join(vervet_store::catalog::CATALOG_FILE);
        let lost = vervet_store::catalog::CatalogError::Lost {
            path: path.clone(),
            found: "names no file and has seen no request",
            segments: self.orphans.len() as u64,
        };
        Some(Finding::other(&path, "catalog", lost.to_string()))
    }

    fn take(&mut self, report: VerifyReport) {
        let now = SystemClock.now();
        (self.files, self.bytes) = (report.files, report.bytes);
        (self.rows, self.checksums) = (report.rows, report.checksums);
        self.defects = report.defects.iter().map(Finding::from).collect();
        let is_recent = |modified: UnixNanos| now.since(modified).as_secs() < RECENT_SECONDS;
        self.orphans = report
            .orphans
            .iter()
            .map(|orphan| OrphanFinding {
                path: orphan.path.display().to_string(),
                bytes: orphan.bytes,
                is_recent: is_recent(orphan.modified),
            })
            .collect();
    }
}

fn check_errors(data_dir: &Path) -> Vec<Finding> {
    let path = data_dir.join(ERRORS_FILE);
    if !path.exists() {
        return Vec::new();
    }
    let complaints = check_database(&path)
        .unwrap_or_else(|error| vec![format!("{:#}", anyhow::Error::from(error))]);
    complaints
        .into_iter()
        .map(|complaint| Finding::other(&path, "errors", complaint))
        .collect()
}

fn check_alerts(data_dir: &Path) -> Option<Finding> {
    let path = data_dir.join(ALERTS_FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Finding::other(&path, "alerts", error.to_string())),
    };
    let error = serde_json::from_slice::<serde::de::IgnoredAny>(&text).err()?;
    Some(Finding::other(
        &path,
        "alerts",
        format!("the state of alerts is no JSON: {error}"),
    ))
}

#[cfg(test)]
mod tests;
