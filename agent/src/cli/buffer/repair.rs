//! `buffer repair`: takes damaged ranges out of the buffer of an agent that does not run.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use vervet_journal::{
    Damage, JournalConfig, JournalError, OsFileSystem, QuarantinedRange, Removed, RepairReport,
    repair,
};

use super::verify::{describe, describe_gap, told, unexplained};
use super::{FOLDER, Place, inspector};
use crate::cli::say;

#[derive(Debug, Args)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    pub(super) place: Place,
}

pub(super) fn run(data_dir: &Path) -> anyhow::Result<bool> {
    say(&repaired(data_dir)?)?;
    Ok(true)
}

/// Repairs, and tells all that was done.
pub(super) fn repaired(data_dir: &Path) -> anyhow::Result<String> {
    // Says so when there is none, before one is created.
    inspector(data_dir)?;
    let config = JournalConfig::new(data_dir.join(FOLDER));
    let report = match repair(config, Arc::new(OsFileSystem)) {
        Err(JournalError::Locked { .. }) => {
            anyhow::bail!("an agent has the buffer open; stop it first")
        }
        repaired => repaired?,
    };
    let (recovery, mut out) = (&report.recovery, String::new());
    if recovery.torn_bytes > 0 {
        out += &format!(
            "{} bytes at the end belonged to {} and are cut\n",
            recovery.torn_bytes,
            match recovery.lost_end {
                None => "an unfinished append",
                Some(_) => "records whose rest is missing",
            }
        );
    }
    if let Some(end) = &recovery.lost_end {
        out += &format!(
            "{}: ends at byte {}, before what was acknowledged{}\n",
            end.segment.display(),
            end.bytes,
            told(Some(&(end.after + 1..=end.through)))
        );
    }
    for cursor in &recovery.corrupt_cursors {
        out += &format!("cursor {cursor}: damaged, it starts again at the oldest record\n");
    }
    let mended = mended(&report);
    for range in &mended {
        out += &format!(
            "{}: {} bytes at {} damaged; {}, {}\n",
            range.segment.display(),
            range.bytes,
            range.offset,
            match range.offset {
                // The header tells nothing that the file's name does not.
                0 => "the header is written anew",
                _ => "cut off",
            },
            kept(range.copy.as_deref()),
        );
    }
    for removed in &report.removed {
        let (damage, copy) = (describe(&removed.damage), kept(removed.copy.as_deref()));
        out += &format!("{damage}; taken out, {copy}\n");
    }
    for damage in &report.emptied {
        let mut ranges = recovery.quarantined.iter();
        let copied = ranges.find(|range| is_at(range, damage));
        let copy = match copied {
            Some(range) => kept(range.copy.as_deref()),
            None => "no byte of it is left".to_owned(),
        };
        out += &format!("{}; {copy}\n", describe(damage));
    }
    let lost = lost(&report);
    let gaps = recovery.gaps.iter();
    let gaps: Vec<_> = gaps.map(|gap| gap.after + 1..=gap.before - 1).collect();
    for gap in unexplained(&gaps, &lost) {
        out += &format!("{}\n", describe_gap(&gap));
    }
    let lost: u64 = lost.iter().map(|lost| lost.end() - lost.start() + 1).sum();
    out += &format!(
        "{} damaged ranges mended in place, {} taken out, {lost} batches known to be lost\n",
        mended.len(),
        report.removed.len()
    );
    Ok(out)
}

/// The sequences that are known to be lost, each once.
fn lost(report: &RepairReport) -> Vec<RangeInclusive<u64>> {
    let removed = report.removed.iter().filter_map(Removed::lost);
    let emptied = report.emptied.iter();
    let emptied = emptied.filter_map(|damage| damage.lost.clone());
    let end = report.recovery.lost_end.as_ref();
    let end = end.map(|end| end.after + 1..=end.through);
    let mut all: Vec<RangeInclusive<u64>> = Vec::new();
    for range in removed.chain(emptied).chain(end) {
        let fresh = unexplained(&[range], &all);
        all.extend(fresh);
    }
    all
}

/// What opening the buffer has mended already, so that nothing was left to take out.
fn mended(report: &RepairReport) -> Vec<&QuarantinedRange> {
    let is_removed = |range: &&QuarantinedRange| {
        let removed = report.removed.iter().map(|removed| &removed.damage);
        let mut told = removed.chain(&report.emptied);
        told.any(|damage| is_at(range, damage))
    };
    let ranges = report.recovery.quarantined.iter();
    ranges.filter(|range| !is_removed(range)).collect()
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
