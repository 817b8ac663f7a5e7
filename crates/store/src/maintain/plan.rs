//! Chooses what is merged next.
//!
//! Candidates are files of one table and day that stand next to each other in the order in which their rows
//! were applied, so that a merged file has one place in that order. Files that are large enough are never
//! touched again.
//!
//! A run is merged only when its largest file is small beside the others: each time a row is written again
//! it comes into a file at least [`GROWTH_OPEN`] (a day that rows still come for) or [`GROWTH_CLOSED`] times as
//! large as the largest before, which bounds how often that happens. On a closed day long runs are merged
//! at a lower gain, so that few files stay.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ops::Range;

use super::delete::Fence;
use crate::catalog::{DataFile, FileId, Snapshot};
use crate::tables::Table;

/// What a merged file is compared to the largest of its parts, at least.
const GROWTH_OPEN: u64 = 4;
const GROWTH_CLOSED: u64 = 2;
/// On a closed day, every so many files in a run allow the largest to be as large as the others once more.
const FILES_PER_GROWTH: u64 = 4;
/// A smaller file counts as this large: it costs more to keep than to write again.
const WEIGHT_MIN: u64 = 64 << 10;
/// The fewest files of a run on a closed day.
const FILES_MIN_CLOSED: usize = 2;
/// Files merged at once, at most.
const FILES_MAX: usize = 256;
/// Memory that reading a file takes, for each of its bytes on disk, and at most: the pages and batches in
/// hand.
const MEMORY_PER_BYTE: u64 = 12;
const MEMORY_PER_FILE_MAX: u64 = 12 << 20;

/// What a choice depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// A file of this size is large enough.
    pub(super) file_bytes_min: u64,
    /// The files of a run together.
    pub(super) file_bytes_max: u64,
    /// Files that make a run on a day that rows still come for.
    pub(super) files_min: usize,
    /// Memory of reading the files of a run.
    pub(super) memory_bytes: u64,
}

/// What is not merged although it is small.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// Files that cannot be read.
    pub(super) skip: HashSet<FileId>,
    /// Of deletions that are under way.
    pub(super) fences: Vec<Fence>,
}

impl Apart {
    fn joins(&self, a: &DataFile, b: &DataFile) -> bool {
        self.fences.iter().all(|fence| fence.joins(a, b))
    }
}

/// Files to be merged into one, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) files: Vec<DataFile>,
}

/// Files of which one is due to be merged: what can be merged now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Debt {
    pub files: u64,
    pub bytes: u64,
}

/// The files of one table, day and class, in order.
fn groups(snapshot: &Snapshot, table: Table) -> impl Iterator<Item = &[DataFile]> {
    let from = snapshot.files.partition_point(|file| file.table < table);
    let to = snapshot.files.partition_point(|file| file.table <= table);
    let files = snapshot.files.get(from..to).unwrap_or_default();
    files.chunk_by(|a, b| a.day == b.day && a.class == b.class)
}

/// The run to be merged next: of the oldest day that has one, the one that is cheapest for each file it
/// saves. Days before `open_day` are closed.
pub(super) fn next_run(
    snapshot: &Snapshot,
    open_day: i32,
    apart: &Apart,
    sizes: Sizes,
) -> Option<Run> {
    let mut days: Vec<&[DataFile]> = Table::ALL
        .into_iter()
        .flat_map(|table| groups(snapshot, table))
        .filter(|files| files.len() > 1)
        .collect();
    days.sort_by_key(|files| files.first().map(|file| file.day));
    days.into_iter().find_map(|files| {
        let run = choose(files, open_day, apart, sizes)?;
        Some(Run {
            files: files.get(run)?.to_vec(),
        })
    })
}

/// What would be merged if nothing more came, about.
pub(super) fn debt(snapshot: &Snapshot, open_day: i32, apart: &Apart, sizes: Sizes) -> Debt {
    let mut debt = Debt::default();
    for files in Table::ALL
        .into_iter()
        .flat_map(|table| groups(snapshot, table))
    {
        let mut from = 0;
        while from < files.len() {
            let mut longest = None;
            for (end, run) in runs(files, from, open_day, apart, sizes) {
                longest = Some((end, run.files, run.bytes));
            }
            from = match longest {
                Some((end, files, bytes)) => {
                    debt.files += files;
                    debt.bytes += bytes;
                    end
                }
                None => from + 1,
            };
        }
    }
    debt
}

/// The cheapest run among the files of one day.
fn choose(files: &[DataFile], open_day: i32, apart: &Apart, sizes: Sizes) -> Option<Range<usize>> {
    let mut best: Option<(Growing, Range<usize>)> = None;
    for from in 0..files.len() {
        for (end, run) in runs(files, from, open_day, apart, sizes) {
            if best.as_ref().is_none_or(|(best, _)| run.cheaper_than(best)) {
                best = Some((run, from..end));
            }
        }
    }
    best.map(|(_run, range)| range)
}

/// The runs that begin at `from` and are due, each with its end.
fn runs<'a>(
    files: &'a [DataFile],
    from: usize,
    open_day: i32,
    apart: &'a Apart,
    sizes: Sizes,
) -> impl Iterator<Item = (usize, Growing)> + 'a {
    let mut run = Growing::default();
    let rest = files.get(from..).unwrap_or_default();
    rest.iter()
        .take(FILES_MAX)
        .zip(from + 1..)
        .map_while(move |(file, end)| {
            let small = file.bytes < sizes.file_bytes_min && !apart.skip.contains(&file.id);
            let joins = rest.first().is_none_or(|first| apart.joins(first, file));
            (small && joins && run.fits(file, sizes)).then(|| {
                run.add(file);
                let due = run.is_due(file.day < open_day, sizes);
                due.then_some((end, run))
            })
        })
        .flatten()
}

/// A run while files are added to it.
#[derive(Debug, Clone, Copy, Default)]
struct Growing {
    files: u64,
    bytes: u64,
    /// As `bytes`, with [`WEIGHT_MIN`] for each file at least.
    weight: u64,
    largest: u64,
    memory: u64,
}

impl Growing {
    fn fits(&self, file: &DataFile, sizes: Sizes) -> bool {
        let bytes = self.bytes.saturating_add(file.bytes);
        let memory = self.memory.saturating_add(memory(file));
        // Two files are merged whatever they take: they would stay two for ever.
        bytes <= sizes.file_bytes_max && (self.files < 2 || memory <= sizes.memory_bytes)
    }

    fn add(&mut self, file: &DataFile) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(file.bytes);
        let weight = file.bytes.max(WEIGHT_MIN);
        self.weight = self.weight.saturating_add(weight);
        self.largest = self.largest.max(weight);
        self.memory = self.memory.saturating_add(memory(file));
    }

    fn is_due(&self, closed: bool, sizes: Sizes) -> bool {
        let others = self.weight - self.largest;
        let final_size = self.bytes >= sizes.file_bytes_min;
        let files_min = match closed || final_size {
            true => FILES_MIN_CLOSED,
            false => sizes.files_min,
        };
        let gained = if closed {
            self.largest <= others.saturating_mul((self.files / FILES_PER_GROWTH).max(1))
        } else if final_size {
            self.weight >= self.largest.saturating_mul(GROWTH_CLOSED)
        } else {
            self.weight >= self.largest.saturating_mul(GROWTH_OPEN)
        };
        self.files >= files_min as u64 && gained
    }

    /// Whether it writes fewer bytes for each file it saves.
    fn cheaper_than(&self, other: &Self) -> bool {
        let saved = |run: &Self| u128::from(run.files.saturating_sub(1).max(1));
        u128::from(self.bytes) * saved(other) < u128::from(other.bytes) * saved(self)
    }
}

fn memory(file: &DataFile) -> u64 {
    file.bytes
        .saturating_mul(MEMORY_PER_BYTE)
        .min(MEMORY_PER_FILE_MAX)
}
