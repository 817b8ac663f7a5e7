//! Checks a store's folder: every byte of every segment, and every claim of the catalog about it.
//!
//! In: the folder, also beside a running collector; nothing is changed and nothing locked. Out: one [`Defect`] per
//! damaged file or false claim, and the files that the catalog does not name.
//!
//! A file is read once for its length and checksum, which finds every flipped bit, and once more for its rows: their
//! number, day and order, and the minima and maxima by which queries skip. What is replaced and deleted
//! meanwhile is no defect.
//!
//! Memory: the list of files (about 300 bytes each), and per thread one chunk of 1 MiB, then one batch of 8,192 rows
//! with the pages they lie in.

mod disk;
mod problem;
mod rows;
mod segment;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use vervet_model::UnixNanos;

use crate::catalog::{CatalogError, CatalogInspector, RecordedFile};

pub use problem::{Cost, Defect, Problem};

/// What is checked, and how.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions {
    /// Files that are read at once.
    pub threads: usize,
    /// Decode the rows too. Without it files are checked against their length and checksum only, and those without a
    /// checksum hardly at all.
    pub rows: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            threads: 2,
            rows: true,
        }
    }
}

/// Follows a check. Called from several threads.
pub trait Progress: Sync {
    /// The work to do: bytes to read, and the number of files.
    fn begin(&self, bytes: u64, files: usize);
    /// Bytes that were read since the last call.
    fn advance(&self, bytes: u64);
    /// A file was finished.
    fn file_done(&self);
    /// Something is wrong.
    fn defect(&self, defect: &Defect);
    /// Whether to stop early.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A file that the catalog does not name: what a crash left between writing and committing it, or, when it is young,
/// what waits for its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    pub path: PathBuf,
    pub bytes: u64,
    pub modified: UnixNanos,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Files that were checked, damaged ones included.
    pub files: u64,
    pub bytes: u64,
    /// Rows that were decoded.
    pub rows: u64,
    /// Files whose checksum was compared.
    pub checksums: u64,
    pub defects: Vec<Defect>,
    pub orphans: Vec<Orphan>,
    /// The journal position of the catalog, read before anything else.
    pub journal_position: u64,
    pub cancelled: bool,
}

/// Checks the store in `dir`.
///
/// # Errors
/// The catalog cannot be read, so that nothing else can be checked.
pub fn verify(
    dir: &Path,
    options: VerifyOptions,
    progress: &dyn Progress,
) -> Result<VerifyReport, CatalogError> {
    let catalog = CatalogInspector::open(dir)?;
    let mut report = VerifyReport {
        journal_position: catalog.journal_position()?,
        ..VerifyReport::default()
    };
    for complaint in catalog.complaints()? {
        report.add(Defect::catalog(complaint), progress);
    }
    let files = catalog.files()?;
    let bytes: u64 = files
        .iter()
        .map(|file| file.bytes.max(0).unsigned_abs())
        .sum();
    progress.begin(bytes * if options.rows { 2 } else { 1 }, files.len());
    let job = Job {
        catalog: &catalog,
        data_dir: catalog.data_dir(),
        options,
        progress,
        report: Mutex::new(report),
    };
    job.check_all(&files);
    let mut report = job.report.into_inner();
    report.orphans = disk::orphans(&catalog, &mut report.defects)?;
    report.defects.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(report)
}

impl VerifyReport {
    fn add(&mut self, defect: Defect, progress: &dyn Progress) {
        progress.defect(&defect);
        self.defects.push(defect);
    }
}

struct Job<'a> {
    catalog: &'a CatalogInspector,
    data_dir: PathBuf,
    options: VerifyOptions,
    progress: &'a dyn Progress,
    report: Mutex<VerifyReport>,
}

impl Job<'_> {
    fn check_all(&self, files: &[RecordedFile]) {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.progress.is_cancelled() {
                    self.report.lock().cancelled = true;
                    return;
                }
                if let Err(error) = self.check(file) {
                    // Once is enough: the catalog itself cannot be read any more.
                    if !failed.swap(true, Ordering::Relaxed) {
                        let defect = Defect::catalog(problem::with_causes(&error));
                        self.report.lock().add(defect, self.progress);
                    }
                }
                self.progress.file_done();
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.threads.clamp(1, files.len().max(1)) {
                scope.spawn(work);
            }
            work();
        });
    }

    fn check(&self, file: &RecordedFile) -> Result<(), CatalogError> {
        let path = self.data_dir.join(&file.relative_path);
        let stats = self.catalog.stats(file.id)?;
        let outcome = segment::check(&path, file, &stats, self.options.rows, self.progress);
        let mut report = self.report.lock();
        report.files += 1;
        report.bytes += outcome.bytes;
        report.rows += outcome.rows;
        report.checksums += u64::from(outcome.checksum_compared);
        let Some(problem) = outcome.problem else {
            return Ok(());
        };
        drop(report);
        if problem.means_missing() && !self.catalog.is_live(file.id)? {
            // Replaced and deleted since the list was read, or only waiting to be forgotten.
            return Ok(());
        }
        let defect = Defect {
            place: path.display().to_string(),
            problem,
            cost: Cost::of(file, &stats),
        };
        self.report.lock().add(defect, self.progress);
        Ok(())
    }
}
