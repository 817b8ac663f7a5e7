//! Takes a backup.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::ensure;
use parking_lot::Mutex;
use vervet_model::UnixNanos;
use vervet_store::backup::{BackupError, BackupFile, DayCount, Manifest, Repository};
use vervet_store::catalog::{CatalogCopy, CatalogInspector, DATA_FOLDER, RecordedFile};

use super::staging::{Lock, Stage, stage};
use super::{Copying, LastBackup, THREADS};
use crate::parallel::in_parallel;

/// How a backup is taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct TakeOptions {
    /// Where to, as the person said it; for the status.
    pub(crate) location: String,
    /// Give segments a second name instead of copying them, where the folder is on the same file system.
    pub(crate) link: bool,
    /// Delete all but this many backups afterwards.
    pub(crate) keep: Option<usize>,
}

/// What was done.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) manifest: Manifest,
    pub(crate) reused_files: u64,
    /// Bytes of backups that were deleted.
    pub(crate) swept_bytes: u64,
}

/// Takes a backup of `data_dir`.
///
/// # Errors
/// Something cannot be read or written. What was copied is not copied again by the next.
pub(crate) fn take(
    data_dir: &Path,
    repository: &Repository,
    options: &TakeOptions,
    copying: &dyn Copying,
) -> anyhow::Result<Taken> {
    let _lock = Lock::take(data_dir)?;
    let catalog = CatalogInspector::open(data_dir)?;
    repository.claim(&catalog.store_id()?)?;
    let stage = stage(data_dir)?;
    let id = backup_id(stage.taken);
    let present = repository.segments()?;
    let (reused, new): (Vec<&RecordedFile>, Vec<&RecordedFile>) =
        stage.catalog.files.iter().partition(|file| {
            let found = present.get(&Repository::segment_name(&file.relative_path));
            file.checksum.is_some() && found.copied() == u64::try_from(file.bytes).ok()
        });
    let mut job = Job {
        repository,
        catalog: &catalog,
        stage: &stage,
        copying,
        link: options.link,
        done: Mutex::default(),
    };
    job.announce(&new);
    in_parallel(THREADS, &new, |file| job.copy_segment(file))?;
    in_parallel(THREADS, &stage.others, |(path, from)| {
        let object = format!("{}/{path}", Manifest::folder(&id));
        job.copy(path, &object, from)
    })?;
    let done = std::mem::take(job.done.get_mut());
    let mut files = done.files;
    files.extend(reused.iter().filter_map(|file| reused_file(file)));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = Manifest {
        format: 1,
        id,
        store: stage.catalog.store.clone(),
        taken_unix_nano: stage.taken.0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        snapshot: stage.catalog.snapshot.0,
        journal_position: stage.catalog.journal_position,
        journal_last_sequence: stage.journal.last_sequence,
        counts: counts(&stage.catalog),
        files,
        damaged: done.damaged,
        copied_bytes: done.bytes,
    };
    repository.complete(&manifest)?;
    LastBackup::of(&manifest, &options.location).write(data_dir)?;
    let swept_bytes = match options.keep {
        Some(keep) => sweep(repository, keep)?,
        None => 0,
    };
    Ok(Taken {
        manifest,
        reused_files: reused.len() as u64,
        swept_bytes,
    })
}

/// Deletes all but the newest `keep`, the one just taken always being kept.
fn sweep(repository: &Repository, keep: usize) -> anyhow::Result<u64> {
    let (backups, damaged) = repository.backups()?;
    // One that a newer version wrote may need segments that nobody else does.
    let foreign = |error: &BackupError| matches!(error, BackupError::NewerFormat { .. });
    if damaged.iter().any(foreign) {
        return Ok(0);
    }
    let from = backups.len().saturating_sub(keep.max(1));
    Ok(repository.sweep(backups.get(from..).unwrap_or_default())?)
}

/// `20241004T101530.123Z`: sorts by time and is a file name everywhere.
fn backup_id(taken: UnixNanos) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(taken.0)).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%S.%3fZ").to_string()
}

/// Rows of segments by table and day.
pub(super) fn counts(catalog: &CatalogCopy) -> Vec<DayCount> {
    let mut counts: BTreeMap<(&str, i32), DayCount> = BTreeMap::new();
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    for file in &catalog.files {
        let day = file.day.unwrap_or(0);
        let count = counts
            .entry((&file.table, day))
            .or_insert_with(|| DayCount {
                table: file.table.clone(),
                day,
                rows: 0,
                files: 0,
                bytes: 0,
            });
        count.rows += number(file.rows);
        count.files += 1;
        count.bytes += number(file.bytes);
    }
    counts.into_values().collect()
}

/// Segments never change, so one of the same name and length that was copied whole is the same.
fn reused_file(file: &RecordedFile) -> Option<BackupFile> {
    Some(BackupFile {
        path: format!("{DATA_FOLDER}/{}", file.relative_path),
        object: Repository::segment_name(&file.relative_path),
        bytes: u64::try_from(file.bytes).ok()?,
        xxh3_128: file.checksum?.to_string(),
    })
}

struct Job<'a> {
    repository: &'a Repository,
    catalog: &'a CatalogInspector,
    stage: &'a Stage,
    copying: &'a dyn Copying,
    link: bool,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    files: Vec<BackupFile>,
    damaged: Vec<String>,
    bytes: u64,
}

impl Job<'_> {
    fn announce(&self, new: &[&RecordedFile]) {
        let segments: u64 = new
            .iter()
            .map(|file| file.bytes.max(0).unsigned_abs())
            .sum();
        let others: u64 = self
            .stage
            .others
            .iter()
            .filter_map(|(_path, from)| Some(std::fs::metadata(from).ok()?.len()))
            .sum();
        self.copying
            .begin(segments + others, new.len() + self.stage.others.len());
    }

    /// A segment that is damaged or lost is left out and named: the rest is worth having all the same.
    fn copy_segment(&self, file: &RecordedFile) -> anyhow::Result<()> {
        let path = format!("{DATA_FOLDER}/{}", file.relative_path);
        let object = Repository::segment_name(&file.relative_path);
        let from = self.stage.segments.join(&file.relative_path);
        if self.link && file.checksum.is_some() && self.repository.link(&object, &from)? {
            self.done.lock().files.extend(reused_file(file));
            self.copying.advance(file.bytes.max(0).unsigned_abs(), 1);
            return Ok(());
        }
        let copied = self.repository.upload(&object, &from, &mut |bytes| {
            self.copying.advance(bytes, 0);
        });
        self.copying.advance(0, 1);
        let is_whole = match copied {
            Ok(copied) => {
                let same = file
                    .checksum
                    .is_none_or(|expected| expected == copied.checksum)
                    && i64::try_from(copied.bytes) == Ok(file.bytes);
                let mut done = self.done.lock();
                done.bytes += copied.bytes;
                if same {
                    done.files.push(BackupFile {
                        path,
                        object: object.clone(),
                        bytes: copied.bytes,
                        xxh3_128: copied.checksum.to_string(),
                    });
                }
                same
            }
            Err(error) if error.is_missing_file() => {
                ensure!(
                    !self.stage.is_unlinked || self.catalog.is_live(file.id)?,
                    "{} was replaced while it was to be copied; run the backup again, it goes on from here",
                    file.relative_path
                );
                false
            }
            Err(error) => return Err(error.into()),
        };
        if !is_whole {
            self.repository.remove_segment(&object)?;
            self.done.lock().damaged.push(file.relative_path.clone());
        }
        Ok(())
    }

    fn copy(&self, path: &str, object: &str, from: &Path) -> anyhow::Result<()> {
        let copied = self.repository.upload(object, from, &mut |bytes| {
            self.copying.advance(bytes, 0);
        })?;
        self.copying.advance(0, 1);
        let mut done = self.done.lock();
        done.bytes += copied.bytes;
        done.files.push(BackupFile {
            path: path.to_owned(),
            object: object.to_owned(),
            bytes: copied.bytes,
            xxh3_128: copied.checksum.to_string(),
        });
        Ok(())
    }
}
