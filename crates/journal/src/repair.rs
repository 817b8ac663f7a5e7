//! Takes the corrupt ranges out of a journal nobody uses, after copying them aside.
//!
//! In: a folder. Out: the same records without what is corrupt between them, under the same sequences, and what was
//! taken out. A segment is written anew beside the old one and replaces it by rename, so a crash leaves one or the
//! other. Nothing is taken out of which no copy could be made, unless it cannot be read at all.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::JournalConfig;
use crate::error::JournalError;
use crate::format::{
    RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, SEGMENT_VERSION, encode_segment_header,
};
use crate::fs::exact::write_all_at;
use crate::fs::{FileSystem, JournalFile};
use crate::inspect::{Damage, Inspector, Item, SegmentView};
use crate::journal::Journal;
use crate::quarantine::{CorruptRange, copy_aside};
use crate::scan::{Found, Scanner};
use crate::stats::RecoveryReport;

/// What a repair has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// What opening the journal found and did first.
    pub recovery: RecoveryReport,
    /// The corrupt ranges that were taken out.
    pub removed: Vec<Removed>,
    /// Of segments of which no record is left: without a byte to take out, or gone when the journal was opened.
    pub emptied: Vec<Damage>,
}

/// A corrupt range that was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Where it was.
    pub damage: Damage,
    /// The copy; `None` when its bytes cannot be read.
    pub copy: Option<PathBuf>,
}

impl Removed {
    /// The sequences lost with it.
    #[must_use]
    pub fn lost(&self) -> Option<RangeInclusive<u64>> {
        self.damage.lost.clone()
    }
}

/// Repairs the journal in `config.dir`: opens it, which cuts a torn end, then takes out every corrupt range.
///
/// # Errors
/// `Locked` when a program has it open; `Io` and `NoSpace` from the disk, also when the quarantine has no room left: what
/// was not repaired by then is as it was.
pub fn repair(
    config: JournalConfig,
    fs: Arc<dyn FileSystem>,
) -> Result<RepairReport, JournalError> {
    let dir = config.dir.clone();
    let before = damage_before(&dir, &fs);
    let (journal, recovery) = Journal::open_with(config, Arc::clone(&fs))?;
    let inspector = Inspector::open_with(&dir, Arc::clone(&fs))?;
    let damaged = find_damage(&inspector)?;
    if damaged.iter().any(|(segment, _)| segment.is_last) {
        // The next append goes on in a segment of its own, whose name keeps the numbers that were given out.
        journal.close_segment()?;
    }
    let mut report = RepairReport {
        recovery,
        removed: Vec::new(),
        emptied: Vec::new(),
    };
    let there: Vec<u64> = inspector
        .segments()?
        .iter()
        .map(|segment| segment.first)
        .collect();
    let gone = before
        .into_iter()
        .filter(|(first, _)| !there.contains(first));
    report.emptied.extend(gone.map(|(_, damage)| damage));
    for (segment, damages) in damaged {
        let is_emptied = |damage: &&Damage| damage.bytes == 0 && damage.offset == 0;
        if !segment.is_last {
            let emptied = damages.iter().filter(is_emptied);
            report.emptied.extend(emptied.cloned());
        }
        let repair = SegmentRepair {
            fs: &*fs,
            dir: &dir,
            segment: &segment,
        };
        report.removed.extend(repair.run(damages)?);
    }
    // Held until here: nobody else may open the folder meanwhile.
    drop(journal);
    Ok(report)
}

/// The damage that somebody still needed what was lost with, by the segments it is in, the last one apart: opening a journal
/// lets a segment go of which nothing can be read. What cannot be looked at now, opening complains of.
fn damage_before(dir: &Path, fs: &Arc<dyn FileSystem>) -> Vec<(u64, Damage)> {
    let damage = || {
        let inspector = Inspector::open_with(dir, Arc::clone(fs))?;
        let cursors = inspector.cursors()?;
        let committed = cursors.iter().filter_map(|cursor| cursor.stored.as_ref());
        let settled = committed
            .map(|(committed, _)| *committed)
            .min()
            .unwrap_or(0);
        let found = find_damage(&inspector)?.into_iter();
        let found = found.filter(|(segment, _)| !segment.is_last);
        let found = found.flat_map(|(segment, damages)| {
            let damages = damages.into_iter();
            damages.map(move |damage| (segment.first, damage))
        });
        let is_needed = |(_, damage): &(u64, Damage)| {
            let mut lost = damage.lost.iter();
            lost.any(|lost| *lost.end() > settled)
        };
        Ok::<_, JournalError>(found.filter(is_needed).collect())
    };
    damage().unwrap_or_default()
}

fn find_damage(inspector: &Inspector) -> Result<Vec<(SegmentView, Vec<Damage>)>, JournalError> {
    let mut damaged = Vec::new();
    for segment in inspector.segments()? {
        let mut damages = Vec::new();
        inspector.read::<JournalError>(&segment, &mut |item| {
            if let Item::Damage(damage) = item {
                damages.push(damage);
            }
            Ok(())
        })?;
        if !damages.is_empty() {
            damaged.push((segment, damages));
        }
    }
    Ok(damaged)
}

struct SegmentRepair<'r> {
    fs: &'r dyn FileSystem,
    dir: &'r Path,
    segment: &'r SegmentView,
}

impl SegmentRepair<'_> {
    fn run(&self, damages: Vec<Damage>) -> Result<Vec<Removed>, JournalError> {
        let failed = |error| JournalError::io("repair", &self.segment.path, error);
        let source = match self.fs.open_read(&self.segment.path) {
            Ok(source) => source,
            // Nobody needed it, and closing the segment behind it has let it go.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        // A file without a byte has nothing to take out, but lacks its header.
        let lacks_header = damages.iter().any(|damage| damage.offset == 0);
        let mut removed = Vec::new();
        // An end that is missing leaves nothing to take out.
        for damage in damages.into_iter().filter(|damage| damage.bytes > 0) {
            let copy = self.keep(&*source, &damage).map_err(failed)?;
            removed.push(Removed { damage, copy });
        }
        if lacks_header || !removed.is_empty() {
            self.rewrite(&*source).map_err(failed)?;
        }
        Ok(removed)
    }

    fn keep(&self, source: &dyn JournalFile, damage: &Damage) -> io::Result<Option<PathBuf>> {
        if damage.unreadable.is_some() {
            return Ok(None);
        }
        let (offset, end) = (damage.offset, damage.offset + damage.bytes);
        let range = CorruptRange {
            first: self.segment.first,
            offset,
            end,
        };
        match copy_aside(self.fs, self.dir, source, range)? {
            Some(copy) => Ok(Some(copy)),
            None => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the quarantine is full, move its files away",
            )),
        }
    }

    /// Writes the intact records anew.
    fn rewrite(&self, source: &dyn JournalFile) -> io::Result<()> {
        let temporary = self.segment.path.with_extension("seg.tmp");
        if let Err(error) = self.fs.remove(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let written = self.write(source, &temporary);
        if written.is_err() {
            // Best effort: recovery ignores it.
            self.fs.remove(&temporary).ok();
            return written;
        }
        self.fs.rename(&temporary, &self.segment.path)?;
        self.fs.sync_dir(self.dir)
    }

    fn write(&self, source: &dyn JournalFile, path: &Path) -> io::Result<()> {
        let first = self.segment.first;
        let target = self.fs.create_new(path)?;
        write_all_at(&*target, &encode_segment_header(first, SEGMENT_VERSION), 0)?;
        let len = source.len()?;
        let mut scanner = Scanner::new(first, SEGMENT_HEADER_BYTES.min(len), len);
        let mut at = SEGMENT_HEADER_BYTES;
        // What cannot be read ends it, as it ends reading.
        while let Ok(Some(found)) = scanner.next(source) {
            if let Found::Record { offset, header } = found {
                write_all_at(&*target, &header.encode(first), at)?;
                write_all_at(
                    &*target,
                    scanner.payload(offset, &header),
                    at + RECORD_HEADER_BYTES,
                )?;
                at += header.record_bytes();
            }
        }
        target.sync()
    }
}
