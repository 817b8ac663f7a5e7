//! The journal's part of a backup: its segments by a second name.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use vervet_journal::{Inspector, Item, JournalError};

/// What the staged journal holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Staged {
    pub(super) last_sequence: u64,
    /// The highest sequence that is missing between two that are there.
    pub(super) gap_end: u64,
}

/// Links every segment of `from` that is not in `to` yet. One that is deleted meanwhile is passed over.
pub(super) fn link(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    for segment in Inspector::open(from)?.segments()? {
        let Some(name) = segment.path.file_name() else {
            continue;
        };
        let staged = to.join(name);
        if staged.exists() {
            continue;
        }
        match link_or_copy(&segment.path, &staged) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// A second name where the file system has such, else a copy.
pub(super) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => copy(from, to),
        linked => linked,
    }
}

/// A file of its own: what had the name `to` may be another name of `from`, and written into it would empty both.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let part = to.with_extension("part");
    std::fs::copy(from, &part)?;
    std::fs::rename(&part, to)
}

/// Copies again what cannot be a link and may have grown.
pub(super) fn refresh_copies(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !to.is_dir() || !from.is_dir() {
        return Ok(());
    }
    for segment in Inspector::open(to)?.segments()? {
        let Some(name) = segment.path.file_name() else {
            continue;
        };
        let original = from.join(name);
        let (Ok(found), Ok(staged)) = (
            std::fs::metadata(&original),
            std::fs::metadata(&segment.path),
        ) else {
            continue;
        };
        // A link grows by itself.
        let is_link = (found.dev(), found.ino()) == (staged.dev(), staged.ino());
        if !is_link && found.len() > segment.bytes {
            copy(&original, &segment.path)?;
        }
    }
    Ok(())
}

/// Reads all of a staged journal.
pub(super) fn survey(dir: &Path) -> anyhow::Result<Staged> {
    let mut staged = Staged::default();
    let inspector = Inspector::open(dir)?;
    let mut previous: Option<u64> = None;
    let mut lost = BTreeSet::new();
    for segment in inspector.segments()? {
        staged.last_sequence = staged.last_sequence.max(segment.first.saturating_sub(1));
        inspector.read(&segment, &mut |item| -> Result<(), JournalError> {
            match item {
                Item::Record(record) => {
                    let expected = previous.map(|previous| previous + 1);
                    if expected.is_some_and(|expected| expected < record.sequence)
                        && !lost.contains(&(record.sequence - 1))
                    {
                        staged.gap_end = record.sequence - 1;
                    }
                    previous = Some(record.sequence);
                    staged.last_sequence = staged.last_sequence.max(record.sequence);
                }
                Item::Damage(damage) => {
                    lost.extend(damage.lost.map(|range| *range.end()));
                }
            }
            Ok(())
        })?;
    }
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_copy_over_a_second_name_leaves_the_file_whole() {
        let dir = tempfile::tempdir().expect("folder");
        let [live, staged] = ["live.seg", "staged.seg"].map(|name| dir.path().join(name));
        fs::write(&live, b"records").expect("written");
        fs::hard_link(&live, &staged).expect("linked");
        copy(&live, &staged).expect("copied");
        assert_eq!(fs::read(&live).expect("read"), b"records");
        fs::write(&live, b"records and more").expect("written");
        assert_eq!(fs::read(&staged).expect("read"), b"records");
    }
}
