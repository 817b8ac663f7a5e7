//! Backups of a whole data folder, beside a running collector or not, and their way back.
//!
//! In a backup: the catalog, the segments it shows, the journal from where they end, the error groups with their
//! position in the journal, and the alert state. Agents' sequences are in the catalog. So every request that was
//! acknowledged before the backup's moment is in it, those whose rows were only in memory included: a restored
//! collector reads them from the journal.
//!
//! Nothing is asked of the running collector. What is to be copied gets a second name in `backup.staging` first
//! (hard links), so that compaction, retention and the journal may delete their names for it at any time; where the
//! file system has no links, a file that goes away meanwhile makes the staging start over. The order is what makes it
//! consistent: journal, catalog, error groups, journal again. A journal only grows at its end, so it holds all that
//! the two databases do not cover, and its sequences go on behind what they cover.
//!
//! One backup of a folder at a time. Not in a backup: the agent's buffer of a standalone collector.

mod check;
mod journal;
mod restore;
mod staging;
mod status;
mod take;
#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use vervet_store::backup::{BackupError, Manifest, Repository};

pub(crate) use check::{Checked, check};
pub(crate) use restore::{INCOMPLETE, restore};
pub(crate) use staging::remove_stale;
pub(crate) use status::LastBackup;
pub(crate) use take::{TakeOptions, Taken, take};

/// Files copied at once.
const THREADS: usize = 4;

/// Follows a copy. Called from several threads.
pub(crate) trait Copying: Sync {
    fn begin(&self, bytes: u64, files: usize);
    fn advance(&self, bytes: u64, files: usize);
}

/// Which of several backups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub(crate) id: Option<String>,
    /// Nanoseconds since the epoch: the newest backup that is not later.
    pub(crate) at: Option<i64>,
}

/// The backup that is meant; the newest when nothing is said.
///
/// # Errors
/// There is none such.
pub(crate) fn choose(repository: &Repository, choice: &Choice) -> anyhow::Result<Manifest> {
    let (backups, damaged) = repository.backups()?;
    let fits = |manifest: &&Manifest| {
        choice.id.as_ref().is_none_or(|id| *id == manifest.id)
            && choice.at.is_none_or(|at| manifest.taken_unix_nano <= at)
    };
    let none = match damaged.as_slice() {
        [] => "there is no such backup".to_owned(),
        [first, ..] => format!("there is no such backup that can be read ({first})"),
    };
    backups.iter().rev().find(fits).cloned().context(none)
}

/// A path of a manifest below `dir`. Manifests come from elsewhere: one that leads out of it is refused.
fn below(dir: &Path, path: &str) -> Result<PathBuf, BackupError> {
    let relative = Path::new(path);
    let stays = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match stays && !path.is_empty() {
        true => Ok(dir.join(relative)),
        false => Err(BackupError::Damaged {
            name: "manifest".to_owned(),
            reason: format!("the path {path:?} leads out of the folder"),
        }),
    }
}
