//! Keeps what is stored in shape while data comes in and queries run: few large files, nothing kept longer or
//! larger than wanted, and disk space that comes back.
//!
//! All of it blocks and is meant for one thread that calls the steps in turn: [`Store::compact`] merges one
//! run of files, [`Store::retain`] drops what is too old or too much, [`Store::delete_step`] takes a deletion of rows
//! one file further, and [`Store::reclaim`] deletes files that nobody reads any more. A step that is called off or
//! killed leaves nothing behind but, at worst, a file that the next start removes.

mod compact;
mod delete;
mod merge;
mod pace;
mod plan;
mod reclaim;
mod retain;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use vervet_model::UnixNanos;

use crate::catalog::{FileId, Reclaimed};

pub use compact::Compacted;
pub(crate) use delete::Jobs;
pub use delete::{DeleteJob, DeleteReport, DeleteStep, DeleteWhere, JobState};
pub use pace::Cancel;
pub use plan::Debt;
pub use retain::{Dropped, EnvironmentKeep, Keep, Retained, RetentionConfig};
pub use status::{SetAside, UpkeepStatus};

/// A file that could not be read is tried again after this long.
const SET_ASIDE_FOR: Duration = Duration::from_secs(3_600);

/// How the store is kept in shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpkeepConfig {
    pub compaction: CompactionConfig,
    pub retention: RetentionConfig,
    /// How long a file that was replaced or dropped stays on disk for readers of the catalog that this
    /// process does not know of, DuckDB above all.
    pub reader_grace: Duration,
    /// Segments that no catalog named take at most this much after a start, in
    /// [`UNCLAIMED_FOLDER`](crate::segment::UNCLAIMED_FOLDER) (bytes).
    pub unclaimed_bytes_max: u64,
}

impl Default for UpkeepConfig {
    fn default() -> Self {
        Self {
            compaction: CompactionConfig::default(),
            retention: RetentionConfig::default(),
            reader_grace: Duration::from_secs(600),
            unclaimed_bytes_max: 16 << 30,
        }
    }
}

/// Limits of compaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionConfig {
    /// A file of this size is not merged any more (bytes).
    pub file_bytes_min: u64,
    /// Files that are merged have this size together, at most (bytes).
    pub file_bytes_max: u64,
    /// Files of one day that are merged at once, at least, while rows still come for it.
    pub files_min: usize,
    /// Memory of reading the files of a merge (bytes). Writing takes a row group more.
    pub memory_bytes: u64,
    /// Bytes of files read per second.
    pub bytes_per_second: u64,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            file_bytes_min: 128 << 20,
            file_bytes_max: 256 << 20,
            files_min: 8,
            memory_bytes: 128 << 20,
            bytes_per_second: 32 << 20,
        }
    }
}

/// What the steps remember of each other.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Held through a step: one runs at a time.
    step: Mutex<()>,
    memory: Mutex<Memory>,
    jobs: Mutex<Jobs>,
}

impl Upkeep {
    pub(crate) fn new(jobs: Vec<DeleteJob>) -> Self {
        Self {
            jobs: Jobs::new(jobs).into(),
            ..Self::default()
        }
    }
}

#[derive(Debug, Default)]
struct Memory {
    set_aside: BTreeMap<FileId, SetAside>,
    debt: Debt,
    waiting: Reclaimed,
    last_run: Option<UnixNanos>,
    last_error: Option<String>,
}

impl Memory {
    /// Files that no step reads for now.
    fn skipped(&mut self, now: UnixNanos) -> HashSet<FileId> {
        self.set_aside
            .retain(|_id, file| now.since(file.since) < SET_ASIDE_FOR);
        self.set_aside.keys().copied().collect()
    }

    /// Leaves a file alone for a while. Says so when it is news.
    fn set_aside(&mut self, id: FileId, path: &Arc<Path>, reason: String, now: UnixNanos) {
        tracing::error!(
            path = %path.display(),
            reason,
            "a segment cannot be read; it is left as it is and the others go on"
        );
        let file = SetAside {
            path: Arc::clone(path),
            reason,
            since: now,
        };
        self.set_aside.insert(id, file);
    }
}
