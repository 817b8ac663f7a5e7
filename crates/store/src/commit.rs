//! Commits to the catalog, one at a time, and the views that show them.
//!
//! Flushes, compaction, retention and deletion all commit here. The view after a commit is made from the one
//! before it, so that a commit costs the same however many files there are; only when the two do not follow
//! each other is the catalog listed. Files that left the view are remembered weakly until no query holds
//! them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crate::StoreError;
use crate::catalog::{Commit, Committed, DataFile, FileId, Snapshot};
use crate::flush::FlushReport;
use crate::head::View;
use crate::store::Inner;
use crate::tables::Table;

/// Held from a commit until the view shows it.
#[derive(Debug, Default)]
pub(crate) struct Committer {
    /// Files that left the view, and that a query may still read.
    replaced: Vec<Weak<Path>>,
    /// A commit was made that the view does not show, because the catalog could not be listed.
    stale: bool,
    /// Files of commits that failed in a way that may show after a crash, until another commit is durable.
    undecided: Vec<PathBuf>,
    /// The rows of the oldest generation are in files that the view does not show yet.
    pub(crate) stored_generation: Option<FlushReport>,
}

impl Inner {
    /// Commits a change of files, and shows it. When it could not be shown, the view stays as it was, whole,
    /// until the next commit.
    ///
    /// # Errors
    /// The commit failed; see [`Catalog::commit`](crate::catalog::Catalog::commit) for what may be done with
    /// its files.
    pub(crate) fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let mut committer = self.committer.lock();
        let committed = self.catalog.commit(commit)?;
        self.settle(&mut committer);
        if let Err(error) = self.show(&mut committer, Some(&committed), &commit.remove) {
            tracing::warn!(%error, "a commit is not visible yet; the catalog could not be listed");
        }
        Ok(committed)
    }

    /// Keeps the files of a commit that failed and may yet show after a crash.
    pub(crate) fn leave_undecided(&self, commit: &Commit) {
        let paths = commit
            .add
            .iter()
            .map(|(table, file)| self.segment_path(*table, file));
        self.committer.lock().undecided.extend(paths);
    }

    /// Whether there are such files: until they are settled, nobody should write more of them.
    pub(crate) fn is_undecided(&self) -> bool {
        !self.committer.lock().undecided.is_empty()
    }

    /// Deletes the files of earlier commits that failed. Called after a commit: it took their place in the database's
    /// log, so that they cannot show any more.
    pub(crate) fn settle(&self, committer: &mut Committer) {
        if committer.undecided.is_empty() {
            return;
        }
        let Ok(known) = self.catalog.known_files() else {
            return;
        };
        for path in committer.undecided.drain(..) {
            let unknown = path.canonicalize().is_ok_and(|path| !known.contains(&path));
            if unknown {
                // What cannot be deleted is an orphan of the next start.
                let _ = self.fs.remove(&path);
            }
        }
    }

    /// Swaps the view for one with the files that the catalog has now, and without the generation that they
    /// hold. `removed` are the files that `committed` ended.
    ///
    /// # Errors
    /// The catalog could not be listed. The view stays as it was.
    pub(crate) fn show(
        &self,
        committer: &mut Committer,
        committed: Option<&Committed>,
        removed: &[FileId],
    ) -> Result<(), StoreError> {
        let before = self.cut();
        let next = committed
            .filter(|_committed| !committer.stale)
            .and_then(|committed| before.snapshot.after(committed, removed));
        // The usual commit of a flush: it follows the one before and removes nothing.
        let only_added = next.is_some() && removed.is_empty();
        let was_stale = std::mem::replace(&mut committer.stale, true);
        let snapshot = match next {
            Some(snapshot) => Arc::new(snapshot),
            None => Arc::new(self.catalog.snapshot()?),
        };
        committer.stale = false;
        let stored = usize::from(committer.stored_generation.take().is_some());
        if !only_added {
            let left = left_files(&before.snapshot, &snapshot);
            committer.replaced.extend(left);
        }
        self.swap(|view| View {
            snapshot,
            generations: view.generations.iter().skip(stored).cloned().collect(),
        });
        if was_stale {
            // What earlier commits took away is gone only now.
            self.sample_changes.lock().note(i64::MIN);
        }
        Ok(())
    }

    /// Notes that rows of files are gone from all answers.
    pub(crate) fn note_gone<'f>(&self, files: impl IntoIterator<Item = &'f DataFile>) {
        let samples = files
            .into_iter()
            .filter(|file| file.table == Table::Samples);
        let first = |file: &DataFile| {
            file.time_range
                .map_or(i64::MIN, |(first, _last)| first.to_millis().0)
        };
        if let Some(earliest) = samples.map(first).min() {
            self.sample_changes.lock().note(earliest);
        }
    }

    /// Shows what the last commit left to be shown.
    ///
    /// # Errors
    /// The catalog could not be listed.
    pub(crate) fn show_stale(&self, committer: &mut Committer) -> Result<(), StoreError> {
        if committer.stale {
            self.show(committer, None, &[])?;
        }
        Ok(())
    }

    /// Puts a view made of the present one in its place.
    pub(crate) fn swap(&self, next: impl FnOnce(&View) -> View) {
        let before = {
            let mut view = self.view.write();
            let next = Arc::new(next(&view));
            std::mem::replace(&mut *view, next)
        };
        // Perhaps the last holder of a large generation; nobody waits while it is freed.
        drop(before);
    }
}

impl Committer {
    /// The files that left the view and are held by somebody still.
    pub(crate) fn held(&mut self) -> HashSet<Arc<Path>> {
        self.replaced.retain(|path| path.strong_count() > 0);
        self.replaced.iter().filter_map(Weak::upgrade).collect()
    }
}

/// The files of `before` that `after` does not have.
fn left_files<'a>(before: &'a Snapshot, after: &Snapshot) -> impl Iterator<Item = Weak<Path>> + 'a {
    let kept: HashSet<FileId> = after.files.iter().map(|file| file.id).collect();
    before
        .files
        .iter()
        .filter(move |file| !kept.contains(&file.id))
        .map(|file| Arc::downgrade(&file.path))
}
