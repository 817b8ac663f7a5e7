//! `buffer repair`: takes damaged ranges out of the buffer of an agent that does not run.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use vervet_journal::{JournalConfig, JournalError, OsFileSystem, repair};

use super::{FOLDER, Place, inspector, verify};
use crate::buffer::{Buffer, unbooked};
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
    repaired(data_dir, &mut say)?;
    Ok(true)
}

/// Repairs, tells all that was done, and then books it.
pub(super) fn repaired(
    data_dir: &Path,
    tell: &mut dyn FnMut(&str) -> io::Result<()>,
) -> anyhow::Result<()> {
    // Says so when there is none, before one is created.
    let inspector = inspector(data_dir)?;
    let known = unbooked::load(data_dir)
        .context("unbooked-damage.json in the data folder, what an earlier repair found lost")?;
    let survey = inspector.survey::<JournalError>(&mut |_item| Ok(()))?;
    let damaged = survey.lost.into_iter().chain(survey.lost_end);
    let lost: Vec<_> = known.iter().cloned().chain(damaged).collect();
    // Before anything is taken out: afterwards nothing tells any more what has taken it.
    unbooked::keep(data_dir, &lost)
        .context("nothing is repaired, there is no keeping of what is lost for the books")?;
    let report = match repair(
        JournalConfig::new(data_dir.join(FOLDER)),
        Arc::new(OsFileSystem),
    ) {
        Err(JournalError::Locked { .. }) => {
            unbooked::keep(data_dir, &known)?;
            anyhow::bail!("an agent has the buffer open; stop it first")
        }
        repaired => repaired?,
    };
    let mut told = String::new();
    for line in report.lines() {
        told += &format!("{line}\n");
    }
    let found = report.lost();
    let batches: u64 = found.iter().map(|lost| lost.end() - lost.start() + 1).sum();
    told += &format!(
        "{} damaged ranges mended in place, {} taken out, {batches} batches known to be lost\n",
        report.mended().len(),
        report.removed.len()
    );
    let was_told = tell(&told);
    let not_known = found.into_iter().filter(|range| !lost.contains(range));
    let all: Vec<_> = lost.iter().cloned().chain(not_known).collect();
    book(data_dir, &all).context(
        "the lost batches are not in the books yet; the agent's next start or another repair books them",
    )?;
    Ok(was_told?)
}

fn book(data_dir: &Path, lost: &[RangeInclusive<u64>]) -> anyhow::Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    unbooked::keep(data_dir, lost)?;
    let dir = data_dir.join(FOLDER);
    let disk_bytes_max = JournalConfig::new(&dir).disk_bytes_max;
    let (buffer, _report) = Buffer::open(&dir, disk_bytes_max, Arc::new(OsFileSystem))?;
    Ok(buffer.book_lost(data_dir)?)
}
