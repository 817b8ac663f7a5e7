//! Segments that could not be read, for whoever looks after the collector.
//!
//! In: the failures of queries and merges, by path. Out: the segments of the catalog among them. Kept in memory, at most
//! [`SEGMENTS_MAX`]: a restart forgets them until they are read again. A segment that retention or a restore has taken away
//! is not told of any more.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::tables::Table;
use crate::{Store, StoreError};

/// Damaged segments that are remembered.
const SEGMENTS_MAX: usize = 1_000;
/// What the operating system says for want of descriptors or memory.
const WANT: [Errno; 3] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];

/// A segment that could not be read. Answers leave its rows out and say so, or fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSegment {
    pub path: PathBuf,
    pub reason: String,
}

/// The failures so far.
#[derive(Debug, Default)]
pub(crate) struct Damage(Mutex<BTreeMap<PathBuf, String>>);

impl Damage {
    /// Remembers a segment whose reading failed, unless the failure is not the segment's.
    pub(crate) fn note(&self, path: &Path, error: &StoreError) {
        if !is_of_the_file(error) {
            return;
        }
        let mut segments = self.0.lock();
        if segments.contains_key(path) || segments.len() >= SEGMENTS_MAX {
            return;
        }
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        let reason = format!("{error}{}", cause.unwrap_or_default());
        tracing::error!(path = %path.display(), %reason, "a segment is damaged");
        segments.insert(path.to_owned(), reason);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

/// Whether the file is at fault, and not a limit of the process or of the request.
fn is_of_the_file(error: &StoreError) -> bool {
    match error {
        StoreError::Read { .. } | StoreError::Columns { .. } => true,
        StoreError::Io { source, .. } => !is_for_want(source),
        _ => false,
    }
}

/// Whether an error has its cause in the process, which has no descriptor or memory to open a file.
#[cfg(feature = "sql")]
pub(super) fn is_caused_by_want(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|error| match error.downcast_ref::<std::io::Error>() {
        Some(error) => is_for_want(error),
        // Errors of footers come as text only.
        None => {
            let text = error.to_string();
            let is_named =
                |errno: &Errno| text.contains(&format!("(os error {})", errno.raw_os_error()));
            WANT.iter().any(is_named)
        }
    })
}

/// Whether the process has no descriptor or memory to open a file.
fn is_for_want(error: &std::io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| WANT.contains(&errno))
}

impl Store {
    /// The segments of the catalog that queries, SQL among them, or merges could not read since the start, by path.
    pub fn damaged_segments(&self) -> Vec<DamagedSegment> {
        let mut found = self.0.searcher.damage().0.lock().clone();
        for file in self.upkeep_status().set_aside {
            found.entry(file.path.to_path_buf()).or_insert(file.reason);
        }
        if found.is_empty() {
            return Vec::new();
        }
        let view = self.0.cut();
        let tables = [Table::Logs, Table::Spans, Table::Samples, Table::Series];
        let known: HashSet<&Path> = tables
            .iter()
            .flat_map(|table| view.snapshot.table(*table))
            .map(|file| &*file.path)
            .collect();
        let of_catalog = |(path, _): &(PathBuf, String)| known.contains(path.as_path());
        let found = found.into_iter().filter(of_catalog);
        found
            .map(|(path, reason)| DamagedSegment { path, reason })
            .collect()
    }
}
