//! `buffer repair`: takes damaged ranges out of the buffer of an agent that does not run.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use vervet_journal::{JournalConfig, JournalError, OsFileSystem, repair};

use super::{FOLDER, Place, inspector, verify};
use crate::buffer::Buffer;
use crate::cli::say;

#[derive(Debug, Args)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// Only tell what is damaged, as `verify` does, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

pub(super) fn run(data_dir: &Path, dry_run: bool) -> anyhow::Result<bool> {
    if dry_run {
        return verify::run(data_dir);
    }
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
    let mut out = String::new();
    for line in report.lines() {
        out += &format!("{line}\n");
    }
    let lost = report.lost();
    if !lost.is_empty() {
        Buffer::book_lost(&data_dir.join(FOLDER), Arc::new(OsFileSystem), &lost)?;
    }
    let lost: u64 = lost.iter().map(|lost| lost.end() - lost.start() + 1).sum();
    out += &format!(
        "{} damaged ranges mended in place, {} taken out, {lost} batches known to be lost\n",
        report.mended().len(),
        report.removed.len()
    );
    Ok(out)
}
