//! Any bytes as two segments: looking and salvaging never fail, a repair keeps every record that could be read
//! and leaves no damage.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use vervet_journal::{Inspector, Item, JournalConfig, JournalError, OsFileSystem, repair};

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let (one, two) = rest.split_at(rest.len().min(usize::from(first) * 16));
    let dir = tempfile::tempdir().expect("temporary folder");
    for (name, bytes) in [
        ("00000000000000000001.seg", one),
        ("00000000000000000009.seg", two),
    ] {
        std::fs::write(dir.path().join(name), bytes).expect("file");
    }
    let inspector = Inspector::open(dir.path()).expect("a folder");
    // The fuzzer may have forged an intact header of a later version.
    let Ok((before, _)) = look(&inspector) else { return };
    let report = repair(JournalConfig::new(dir.path()), Arc::new(OsFileSystem)).expect("repaired");
    for copy in report.removed.iter().filter_map(|removed| removed.copy.as_ref()) {
        inspector.salvage(copy).expect("readable");
    }
    let (after, damaged) = look(&inspector).expect("known versions");
    assert_eq!(damaged, 0);
    // What an interrupted append left at the end may have been cut.
    assert!(before.starts_with(&after) || after.iter().all(|sequence| before.contains(sequence)));
});

/// Sequences, and the number of damaged ranges.
fn look(inspector: &Inspector) -> Result<(Vec<u64>, usize), JournalError> {
    let (mut sequences, mut damaged) = (Vec::new(), 0);
    for segment in inspector.segments()? {
        inspector.read::<JournalError>(&segment, &mut |item| {
            match item {
                Item::Record(record) => sequences.push(record.sequence),
                Item::Damage(_) => damaged += 1,
            }
            Ok(())
        })?;
    }
    Ok((sequences, damaged))
}
