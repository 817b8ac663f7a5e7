//! `buffer repair`: takes damaged ranges out of the buffer of an agent that does not run.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use vervet_journal::{JournalConfig, JournalError, OsFileSystem, repair};

use super::verify::describe;
use super::{FOLDER, Place, inspector};
use crate::cli::say;

#[derive(Debug, Args)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    pub(super) place: Place,
}

pub(super) fn run(data_dir: &Path) -> anyhow::Result<bool> {
    // Says so when there is none, before one is created.
    inspector(data_dir)?;
    let config = JournalConfig::new(data_dir.join(FOLDER));
    let report = match repair(config, Arc::new(OsFileSystem)) {
        Err(JournalError::Locked { .. }) => {
            anyhow::bail!("an agent has the buffer open; stop it first")
        }
        repaired => repaired?,
    };
    let recovery = &report.recovery;
    if recovery.torn_bytes > 0 {
        say(&format!(
            "{} bytes at the end belonged to an unfinished append and are cut\n",
            recovery.torn_bytes
        ))?;
    }
    for cursor in &recovery.corrupt_cursors {
        say(&format!(
            "cursor {cursor}: damaged, it starts again at the oldest record\n"
        ))?;
    }
    for removed in &report.removed {
        let copy = match &removed.copy {
            Some(copy) => format!("taken out, kept as {}", copy.display()),
            None => "taken out, no copy could be made".to_owned(),
        };
        say(&format!("{}; {copy}\n", describe(&removed.damage)))?;
    }
    let lost: u64 = report
        .removed
        .iter()
        .filter_map(|removed| removed.lost())
        .map(|lost| lost.end() - lost.start() + 1)
        .sum();
    say(&format!(
        "{} damaged ranges taken out, {lost} batches known to be lost\n",
        report.removed.len()
    ))?;
    Ok(true)
}
