//! The journal's checksums, and whether it goes on where the catalog's files end.

use std::ops::RangeInclusive;
use std::path::Path;

use serde::Serialize;
use vervet_journal::{Damage, Inspector, Item, JournalError};
use vervet_store::catalog::CatalogInspector;

use super::Finding;

const KIND: &str = "journal";

/// What the journal holds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct JournalFindings {
    pub(crate) segments: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Records that are in no file yet; a start reads them again.
    pub(crate) records_waiting: u64,
    pub(crate) last_sequence: u64,
}

/// Reads all of the journal in `dir`. `position` is what the catalog covered before; `None` when it is not known.
pub(super) fn check(
    dir: &Path,
    data_dir: &Path,
    position: Option<u64>,
    defects: &mut Vec<Finding>,
) -> JournalFindings {
    let mut walk = Walk {
        position: position.unwrap_or(0),
        ..Walk::default()
    };
    if let Err(error) = walk.run(dir, defects) {
        let message = format!("{:#}", anyhow::Error::from(error));
        defects.push(Finding::other(dir, KIND, message));
        return walk.found;
    }
    for range in &walk.gaps {
        // Beside a running collector the files may have come to cover them meanwhile.
        if !covered(data_dir, range) {
            let message = format!(
                "records {} to {} are neither in the journal nor in files",
                range.start(),
                range.end()
            );
            defects.push(Finding::other(dir, KIND, message));
        }
    }
    if walk.found.last_sequence < walk.position {
        let message = format!(
            "it ends at record {}, but the catalog covers records up to {}: new records would be taken for old ones",
            walk.found.last_sequence, walk.position
        );
        defects.push(Finding::other(dir, KIND, message));
    }
    walk.found
}

fn covered(data_dir: &Path, range: &RangeInclusive<u64>) -> bool {
    CatalogInspector::open(data_dir)
        .and_then(|catalog| catalog.journal_position())
        .is_ok_and(|position| position >= *range.end())
}

#[derive(Default)]
struct Walk {
    position: u64,
    found: JournalFindings,
    /// Everything up to here was seen, is covered by files, or was named as lost.
    accounted: u64,
    gaps: Vec<RangeInclusive<u64>>,
}

impl Walk {
    fn run(&mut self, dir: &Path, defects: &mut Vec<Finding>) -> Result<(), JournalError> {
        self.accounted = self.position;
        let inspector = Inspector::open(dir)?;
        for segment in inspector.segments()? {
            self.found.last_sequence = self
                .found
                .last_sequence
                .max(segment.first.saturating_sub(1));
            let read = inspector.read(&segment, &mut |item| -> Result<(), JournalError> {
                match item {
                    Item::Record(record) => self.record(record.sequence),
                    Item::Damage(damage) => defects.extend(self.damage(&damage)),
                }
                Ok(())
            })?;
            if read {
                self.found.segments += 1;
                self.found.bytes += segment.bytes;
            }
        }
        for cursor in inspector.cursors()? {
            if cursor.stored.is_none() {
                let message = format!("the position of {} is damaged; it starts over", cursor.name);
                defects.push(Finding::other(dir, KIND, message));
            }
        }
        Ok(())
    }

    fn record(&mut self, sequence: u64) {
        self.found.records += 1;
        self.found.last_sequence = self.found.last_sequence.max(sequence);
        if sequence > self.position {
            self.found.records_waiting += 1;
        }
        if sequence > self.accounted {
            if sequence > self.accounted + 1 {
                self.gaps.push(self.accounted + 1..=sequence - 1);
            }
            self.accounted = sequence;
        }
    }

    /// An append under way, or one that a crash interrupted, was never acknowledged.
    fn damage(&mut self, damage: &Damage) -> Option<Finding> {
        if let Some(lost) = &damage.lost {
            self.accounted = self.accounted.max(*lost.end());
        }
        if damage.is_unfinished {
            return None;
        }
        let mut message = format!(
            "{} bytes at offset {} are damaged",
            damage.bytes, damage.offset
        );
        if let Some(lost) = &damage.lost {
            message.push_str(&format!("; records {} to {}", lost.start(), lost.end()));
            if *lost.end() <= self.position {
                message.push_str(", which are in files");
            }
        }
        if let Some(error) = &damage.unreadable {
            message.push_str(&format!("; {error}"));
        }
        Some(Finding::other(&damage.segment, KIND, message))
    }
}
