//! Drops what is older or larger than the configuration keeps.
//!
//! By age: a day of a signal is dropped whole when its last moment is older than the limit. By size, the bytes
//! of the live files on disk: days are dropped whole, the oldest first, up to the present one; of that and of
//! days to come, file by file in the order rows were applied. The newest file always stays.
//!
//! An environment that the configuration names has files of its own (see [`Classes`]), so a drop never rewrites
//! rows. Metrics have no environment. Nothing is dropped that the configuration does not limit.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use vervet_model::{Signal, UnixNanos};

use crate::catalog::{Commit, DataFile, FileId, Snapshot};
use crate::tables::Table;
use crate::{Store, StoreError};

/// How long and how much is kept. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    pub age: Option<Duration>,
    /// Bytes on disk.
    pub bytes: Option<u64>,
}

/// What is kept of each signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionConfig {
    pub logs: Keep,
    pub traces: Keep,
    /// Samples and series.
    pub metrics: Keep,
    /// For rows of an environment, in place of what is said above.
    pub environments: BTreeMap<String, EnvironmentKeep>,
}

/// What is kept of one environment. A limit that is absent is that of the signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnvironmentKeep {
    pub logs: Keep,
    pub traces: Keep,
}

/// What one run of retention dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retained {
    pub by_age: Dropped,
    pub by_size: Dropped,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

impl Dropped {
    fn add(&mut self, file: &DataFile) {
        self.files += 1;
        self.rows += file.rows;
        self.bytes += file.bytes;
    }
}

impl Store {
    /// Drops what the configuration does not keep any longer. The files are deleted by
    /// [`Store::reclaim`]. Blocks.
    ///
    /// # Errors
    /// The commit failed; nothing was dropped.
    pub fn retain(&self, now: UnixNanos) -> Result<Retained, StoreError> {
        let _one_at_a_time = self.0.upkeep.step.lock();
        let view = self.0.cut();
        let (drop, retained) = self.0.config.upkeep.retention.choose(&view.snapshot, now);
        if drop.is_empty() {
            return Ok(retained);
        }
        let commit = Commit {
            remove: drop,
            ..Commit::default()
        };
        self.0.commit(&commit)?;
        let files = view.snapshot.files.iter();
        self.0
            .note_gone(files.filter(|file| commit.remove.contains(&file.id)));
        Ok(retained)
    }
}

/// Files whose bytes count together: a signal, and the environment when it has a limit of its own.
type Scope<'a> = (Signal, Option<&'a str>);

impl RetentionConfig {
    /// The files to drop, with what they come to.
    fn choose(&self, snapshot: &Snapshot, now: UnixNanos) -> (Vec<FileId>, Retained) {
        let mut drop = Vec::new();
        let mut retained = Retained::default();
        let mut scopes: BTreeMap<Scope<'_>, Vec<&DataFile>> = BTreeMap::new();
        for file in &snapshot.files {
            let keep = self.keep(file);
            if keep.age.is_some_and(|age| is_over(file.day, age, now)) {
                drop.push(file.id);
                retained.by_age.add(file);
            } else if keep.bytes.is_some() {
                scopes.entry(self.scope(file)).or_default().push(file);
            }
        }
        for files in scopes.into_values() {
            let bytes_max = files.first().and_then(|file| self.keep(file).bytes);
            for file in beyond(files, bytes_max.unwrap_or(u64::MAX), now.day()) {
                drop.push(file.id);
                retained.by_size.add(file);
            }
        }
        (drop, retained)
    }

    /// The limits of a file's rows.
    fn keep(&self, file: &DataFile) -> Keep {
        let signal = signal(file.table);
        let general = match signal {
            Signal::Logs => self.logs,
            Signal::Traces => self.traces,
            Signal::Metrics => self.metrics,
        };
        let own = self.own(signal, &file.class).unwrap_or_default();
        Keep {
            age: own.age.or(general.age),
            bytes: own.bytes.or(general.bytes),
        }
    }

    fn own(&self, signal: Signal, class: &str) -> Option<Keep> {
        let environment = self.environments.get(class)?;
        match signal {
            Signal::Logs => Some(environment.logs),
            Signal::Traces => Some(environment.traces),
            Signal::Metrics => None,
        }
    }

    fn scope<'a>(&self, file: &'a DataFile) -> Scope<'a> {
        let signal = signal(file.table);
        let own = self.own(signal, &file.class).and_then(|keep| keep.bytes);
        (signal, own.map(|_bytes| &*file.class))
    }

    /// The environments whose rows have files of their own, per signal.
    pub(crate) fn classes(&self, table: Table) -> impl Iterator<Item = &str> {
        let signal = signal(table);
        let named = move |keep: &EnvironmentKeep| match signal {
            Signal::Logs => keep.logs != Keep::default(),
            Signal::Traces => keep.traces != Keep::default(),
            Signal::Metrics => false,
        };
        self.environments
            .iter()
            .filter(move |(_name, keep)| named(keep))
            .map(|(name, _keep)| name.as_str())
    }
}

fn signal(table: Table) -> Signal {
    match table {
        Table::Logs => Signal::Logs,
        Table::Spans => Signal::Traces,
        Table::Samples | Table::Series => Signal::Metrics,
    }
}

/// Whether the last moment of a day is `age` ago.
fn is_over(day: i32, age: Duration, now: UnixNanos) -> bool {
    day < now.saturating_sub(age).day()
}

/// What must go so that the rest of `files` is no larger than `bytes_max`.
fn beyond(mut files: Vec<&DataFile>, bytes_max: u64, today: i32) -> Vec<&DataFile> {
    let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
    files.sort_by_key(|file| (file.day.min(today), file.order));
    let mut dropped = Vec::new();
    let newest = files.iter().map(|file| file.order).max();
    for files in files.chunk_by(|a, b| a.day == b.day && a.day < today) {
        if bytes <= bytes_max {
            break;
        }
        // Series tell what the samples of a day are of, so they go with the whole day only.
        let goes = |file: &DataFile| {
            file.day < today || Some(file.order) != newest && file.table != Table::Series
        };
        for file in files.iter().filter(|file| goes(file)) {
            bytes -= file.bytes;
            dropped.push(*file);
        }
    }
    dropped
}
