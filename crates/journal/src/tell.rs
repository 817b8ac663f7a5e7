//! Damage and repairs in sentences, for the commands of both programs. One line each, without a line break at its end.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::inspect::Damage;
use crate::repair::{Removed, RepairReport};
use crate::stats::QuarantinedRange;
use crate::survey::{Survey, unexplained};

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (segment, bytes, offset) = (self.segment.display(), self.bytes, self.offset);
        let lost = told(self.lost.as_ref());
        match (&self.unreadable, self.is_unfinished) {
            (Some(error), _) => write!(
                f,
                "{segment}: {bytes} bytes at {offset} cannot be read: {error}{lost}"
            ),
            (None, true) => write!(
                f,
                "{segment}: {bytes} bytes at {offset} unfinished: being written, or left by a crash and never acknowledged{lost}"
            ),
            (None, false) if bytes == 0 => write!(
                f,
                "{segment}: ends at byte {offset}, before what was acknowledged{lost}"
            ),
            (None, false) => write!(f, "{segment}: {bytes} bytes at {offset} damaged{lost}"),
        }
    }
}

impl Survey {
    /// What was found beside the damaged ranges of segments; `dir` is the journal's folder.
    #[must_use]
    pub fn lines(&self, dir: &Path) -> Vec<String> {
        let deleted = self.segments.iter().filter(|segment| segment.is_deleted);
        let deleted = deleted.map(|segment| {
            format!(
                "{}: deleted meanwhile, nobody needs it any more",
                segment.view.path.display()
            )
        });
        let end = self.lost_end.iter().map(|end| {
            format!(
                "{}: ends before what was acknowledged{}",
                dir.display(),
                told(Some(end))
            )
        });
        let cursors = self.cursors.iter();
        let cursors = cursors.filter(|cursor| cursor.stored.is_none());
        let cursors = cursors.map(|cursor| {
            let name = &cursor.name;
            match cursor.before {
                Some(before) => format!(
                    "cursor {name}: damaged or gone, it would go on from the commit before, at {before}"
                ),
                None => {
                    format!("cursor {name}: damaged or gone, it would start again at the oldest record")
                }
            }
        });
        let gaps = self.gaps.iter().map(missing);
        deleted.chain(end).chain(cursors).chain(gaps).collect()
    }
}

impl RepairReport {
    /// What was done, and what is missing.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.recovered();
        lines.extend(self.mended().iter().map(|range| {
            format!(
                "{}: {} bytes at {} damaged; {}, {}",
                range.segment.display(),
                range.bytes,
                range.offset,
                match range.offset {
                    // The header tells nothing that the file's name does not.
                    0 => "the header is written anew",
                    _ => "cut off",
                },
                kept(range.copy.as_deref()),
            )
        }));
        lines.extend(self.removed.iter().map(|removed| {
            let copy = kept(removed.copy.as_deref());
            format!("{}; taken out, {copy}", removed.damage)
        }));
        lines.extend(self.emptied.iter().map(|damage| {
            let mut ranges = self.recovery.quarantined.iter();
            let copy = match ranges.find(|range| is_at(range, damage)) {
                Some(range) => kept(range.copy.as_deref()),
                None => "no byte of it is left".to_owned(),
            };
            format!("{damage}; {copy}")
        }));
        let gaps = self.recovery.gaps.iter();
        let gaps: Vec<_> = gaps.map(|gap| gap.after + 1..=gap.before - 1).collect();
        lines.extend(unexplained(&gaps, &self.lost()).iter().map(missing));
        lines
    }

    /// What opening the journal has told.
    fn recovered(&self) -> Vec<String> {
        let (recovery, mut lines) = (&self.recovery, Vec::new());
        if recovery.torn_bytes > 0 {
            lines.push(format!(
                "{} bytes at the end belonged to {} and are cut",
                recovery.torn_bytes,
                match recovery.lost_end {
                    None => "an unfinished append",
                    Some(_) => "records whose rest is missing",
                }
            ));
        }
        lines.extend(recovery.lost_end.iter().map(|end| {
            format!(
                "{}: ends at byte {}, before what was acknowledged{}",
                end.segment.display(),
                end.bytes,
                told(Some(&(end.after + 1..=end.through)))
            )
        }));
        let cursors = recovery.missing_cursors.iter();
        lines.extend(
            cursors.map(|cursor| format!("cursor {cursor}: gone, it goes on from what was left")),
        );
        let cursors = recovery.corrupt_cursors.iter();
        lines.extend(cursors.map(|cursor| {
            format!("cursor {cursor}: damaged, it starts again at the oldest record")
        }));
        let cursors = recovery.restored_cursors.iter();
        lines.extend(
            cursors.map(|cursor| {
                format!("cursor {cursor}: damaged, it goes on from the commit before")
            }),
        );
        lines
    }

    /// The sequences that are known to be lost, each once.
    #[must_use]
    pub fn lost(&self) -> Vec<RangeInclusive<u64>> {
        let removed = self.removed.iter().filter_map(Removed::lost);
        let emptied = self.emptied.iter();
        let emptied = emptied.filter_map(|damage| damage.lost.clone());
        let end = self.recovery.lost_end.as_ref();
        let end = end.map(|end| end.after + 1..=end.through);
        let mut all: Vec<RangeInclusive<u64>> = Vec::new();
        for range in removed.chain(emptied).chain(end) {
            let fresh = unexplained(&[range], &all);
            all.extend(fresh);
        }
        all
    }

    /// What opening the journal has mended already, so that nothing was left to take out.
    #[must_use]
    pub fn mended(&self) -> Vec<&QuarantinedRange> {
        let is_removed = |range: &&QuarantinedRange| {
            let removed = self.removed.iter().map(|removed| &removed.damage);
            let mut told = removed.chain(&self.emptied);
            told.any(|damage| is_at(range, damage))
        };
        let ranges = self.recovery.quarantined.iter();
        ranges.filter(|range| !is_removed(range)).collect()
    }
}

fn is_at(range: &QuarantinedRange, damage: &Damage) -> bool {
    damage.segment == range.segment && damage.offset == range.offset
}

fn kept(copy: Option<&Path>) -> String {
    match copy {
        Some(copy) => format!("kept as {}", copy.display()),
        None => "no copy could be made".to_owned(),
    }
}

/// Sequences that are missing without a trace.
fn missing(gap: &RangeInclusive<u64>) -> String {
    let what = match gap.start() == gap.end() {
        true => format!("sequence {} is", gap.start()),
        false => format!("sequences {} to {} are", gap.start(), gap.end()),
    };
    format!(
        "{what} not there: dropped for room, lost or taken out earlier, or in a segment that was removed"
    )
}

fn told(lost: Option<&RangeInclusive<u64>>) -> String {
    match lost {
        Some(lost) if lost.start() == lost.end() => format!(", sequence {} is lost", lost.start()),
        Some(lost) => format!(", sequences {} to {} are lost", lost.start(), lost.end()),
        None => String::new(),
    }
}
