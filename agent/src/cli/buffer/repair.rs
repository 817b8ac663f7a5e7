//! `buffer repair`: takes damaged ranges out of the buffer of an agent that does not run.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use vervet_journal::{
    JournalConfig, JournalError, OsFileSystem, QuarantinedRange, RepairReport, repair,
};

use super::verify::{describe, told};
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
    let end = recovery.lost_end.as_ref();
    let at_end = end.map_or(0, |end| end.through - end.after);
    let lost: u64 = report
        .removed
        .iter()
        .filter_map(|removed| removed.lost())
        .map(|lost| lost.end() - lost.start() + 1)
        .sum::<u64>()
        + at_end;
    out += &format!(
        "{} damaged ranges mended in place, {} taken out, {lost} batches known to be lost\n",
        mended.len(),
        report.removed.len()
    );
    Ok(out)
}

/// What opening the buffer has mended already, so that nothing was left to take out.
fn mended(report: &RepairReport) -> Vec<&QuarantinedRange> {
    let is_removed = |range: &&QuarantinedRange| {
        let mut removed = report.removed.iter().map(|removed| &removed.damage);
        removed.any(|damage| damage.segment == range.segment && damage.offset == range.offset)
    };
    let ranges = report.recovery.quarantined.iter();
    ranges.filter(|range| !is_removed(range)).collect()
}

fn kept(copy: Option<&Path>) -> String {
    match copy {
        Some(copy) => format!("kept as {}", copy.display()),
        None => "no copy could be made".to_owned(),
    }
}
