//! The moment of a backup: everything that belongs to it, under a second name.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use vervet_error_groups::ErrorStore;
use vervet_model::{Clock as _, SystemClock, UnixNanos};
use vervet_store::catalog::{
    CATALOG_FILE, CatalogCopy, CatalogInspector, DATA_FOLDER, copy_database,
};

use super::journal::{self, Staged};
use crate::start::{ALERTS_FILE, ERRORS_FILE, JOURNAL_DIR};

/// Second names, and copies of databases, while a backup is taken.
pub(super) const STAGING: &str = "backup.staging";
const LOCK: &str = "backup.lock";
/// A file that went away starts the staging over this often.
const ATTEMPTS_MAX: u32 = 5;

/// Holds the folder for one backup at a time. The staging goes with it.
pub(super) struct Lock {
    dir: PathBuf,
    _file: File,
}

impl Lock {
    /// # Errors
    /// Another backup of the folder is being taken.
    pub(super) fn take(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(LOCK);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                dir: data_dir.to_owned(),
                _file: file,
            }),
            Err(TryLockError::WouldBlock) => bail!("another backup of this folder is being taken"),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the folder"),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _kept = fs::remove_dir_all(self.dir.join(STAGING));
    }
}

/// Removes what a killed backup left, so that its second names hold no disk space.
pub(crate) fn remove_stale(data_dir: &Path) {
    if !data_dir.join(STAGING).exists() {
        return;
    }
    // One that is being taken holds the lock, and its staging.
    if let Ok(lock) = Lock::take(data_dir) {
        drop(lock);
        tracing::info!("removed what an interrupted backup left");
    }
}

/// What a backup consists of.
pub(super) struct Stage {
    pub(super) catalog: CatalogCopy,
    pub(super) journal: Staged,
    pub(super) taken: UnixNanos,
    /// Where the segments can be read.
    pub(super) segments: PathBuf,
    /// Whether that is the store itself, because the file system has no links.
    pub(super) is_unlinked: bool,
    /// Everything else: path in the data folder, and where it is.
    pub(super) others: Vec<(String, PathBuf)>,
}

/// Stages a backup of `data_dir`, whose lock is held.
///
/// # Errors
/// A file cannot be read, or the catalog changes faster than it can be staged.
pub(super) fn stage(data_dir: &Path) -> anyhow::Result<Stage> {
    let (mut last, mut known_gap) = (String::new(), 0);
    for _attempt in 0..ATTEMPTS_MAX {
        match attempt(data_dir, known_gap)? {
            Attempt::Done(stage) => return Ok(*stage),
            Attempt::Gone(path) => last = format!("{path} went away"),
            Attempt::Gap(end) => {
                known_gap = end;
                last = format!("the journal lacks record {end}");
            }
        }
    }
    bail!("the store changed while it was staged, {ATTEMPTS_MAX} times in a row: {last}")
}

enum Attempt {
    Done(Box<Stage>),
    Gone(String),
    Gap(u64),
}

/// A gap that is found twice in the same place was there before.
fn attempt(data_dir: &Path, known_gap: u64) -> anyhow::Result<Attempt> {
    let dir = data_dir.join(STAGING);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let journal_dir = dir.join(JOURNAL_DIR);
    fs::create_dir_all(&journal_dir)
        .with_context(|| format!("cannot make {}", journal_dir.display()))?;
    let from = data_dir.join(JOURNAL_DIR);
    journal::link(&from, &journal_dir)?;
    let catalog = CatalogInspector::open(data_dir)?.copy_to(&dir.join(CATALOG_FILE))?;
    let (segments, is_unlinked) = match link_segments(data_dir, &dir, &catalog)? {
        Linked::All => (dir.join(DATA_FOLDER), false),
        Linked::NotHere => (data_dir.join(DATA_FOLDER), true),
        Linked::Gone(path) => return Ok(Attempt::Gone(path)),
    };
    let errors = copy_errors(data_dir, &dir)?;
    journal::refresh_copies(&from, &journal_dir)?;
    journal::link(&from, &journal_dir)?;
    let taken = SystemClock.now();
    let staged = journal::survey(&journal_dir)?;
    let covered = errors.map_or(catalog.journal_position, |errors| {
        errors.min(catalog.journal_position)
    });
    if staged.gap_end > covered && staged.gap_end != known_gap {
        return Ok(Attempt::Gap(staged.gap_end));
    }
    anyhow::ensure!(
        staged.last_sequence >= catalog.journal_position.max(errors.unwrap_or(0)),
        "the journal ends before what the store covers; run `vervet-collector verify`"
    );
    let mut others = vec![(CATALOG_FILE.to_owned(), dir.join(CATALOG_FILE))];
    if errors.is_some() {
        others.push((ERRORS_FILE.to_owned(), dir.join(ERRORS_FILE)));
    }
    others.extend(alerts(data_dir, &dir)?);
    others.extend(journal_files(&journal_dir)?);
    Ok(Attempt::Done(Box::new(Stage {
        catalog,
        journal: staged,
        taken,
        segments,
        is_unlinked,
        others,
    })))
}

enum Linked {
    All,
    /// The file system has no links.
    NotHere,
    Gone(String),
}

fn link_segments(data_dir: &Path, dir: &Path, catalog: &CatalogCopy) -> anyhow::Result<Linked> {
    for file in &catalog.files {
        let to = super::below(&dir.join(DATA_FOLDER), &file.relative_path)?;
        let from = super::below(&data_dir.join(DATA_FOLDER), &file.relative_path)?;
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::hard_link(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Replaced and deleted, or lost: a store that has lost a file is backed up without it.
                let live = CatalogInspector::open(data_dir)?.is_live(file.id)?;
                if !live {
                    return Ok(Linked::Gone(file.relative_path.clone()));
                }
            }
            Err(_no_links) => return Ok(Linked::NotHere),
        }
    }
    Ok(Linked::All)
}

/// Copies the error groups and returns their position in the journal, `None` when there are none.
fn copy_errors(data_dir: &Path, dir: &Path) -> anyhow::Result<Option<u64>> {
    let from = data_dir.join(ERRORS_FILE);
    if !from.exists() {
        return Ok(None);
    }
    let copy = dir.join(ERRORS_FILE);
    copy_database(&from, &copy)?;
    let position = ErrorStore::open(&copy)?.applied_sequence()?;
    Ok(Some(position))
}

fn alerts(data_dir: &Path, dir: &Path) -> anyhow::Result<Option<(String, PathBuf)>> {
    let staged = dir.join(ALERTS_FILE);
    match journal::link_or_copy(&data_dir.join(ALERTS_FILE), &staged) {
        Ok(()) => Ok(Some((ALERTS_FILE.to_owned(), staged))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("cannot stage the alert state"),
    }
}

fn journal_files(dir: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let segments = vervet_journal::Inspector::open(dir)?.segments()?;
    Ok(segments
        .into_iter()
        .filter_map(|segment| {
            let name = segment.path.file_name()?.to_str()?.to_owned();
            Some((format!("{JOURNAL_DIR}/{name}"), segment.path))
        })
        .collect())
}
