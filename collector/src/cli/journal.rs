//! `vervet-collector journal`: the journal from outside.
//!
//! `inspect` only reads and takes no lock, so it works beside a running collector. `repair` takes damaged ranges out and
//! refuses while a collector has the journal open.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vervet_agent::printable::{printable, printable_json};
use vervet_journal::{
    Inspector, Item, JournalConfig, JournalError, OsFileSystem, RepairReport, Survey, repair,
};
use vervet_store::catalog::CatalogInspector;

use super::{CliResult, Place, human, say};
use crate::start::JOURNAL_DIR;

#[derive(Debug, Args)]
pub struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Show segments, readers and damage; changes nothing, also beside a running collector.
    Inspect {
        #[command(flatten)]
        place: Place,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Take damaged ranges out, keeping a copy of each; no collector may run.
    Repair {
        #[command(flatten)]
        place: Place,
        /// Only tell what is damaged, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) fn run(args: &JournalArgs) -> CliResult {
    match &args.command {
        JournalCommand::Inspect { place, json } => {
            let seen = Seen::read(&place.data_dir()?)?;
            match json {
                true => say(&printable_json(&format!("{:#}\n", seen.json())))?,
                false => say(&(seen.tables() + &seen.damage()))?,
            }
            Ok(seen.survey.damaged() == 0)
        }
        JournalCommand::Repair {
            place,
            dry_run: true,
        } => {
            let seen = Seen::read(&place.data_dir()?)?;
            say(&(seen.damage() + "nothing was changed\n"))?;
            Ok(seen.survey.damaged() == 0)
        }
        JournalCommand::Repair { place, .. } => {
            say(&repaired(&place.data_dir()?)?)?;
            Ok(true)
        }
    }
}

/// A journal, looked through.
struct Seen {
    dir: PathBuf,
    survey: Survey,
    /// A line for each damaged range.
    damages: Vec<String>,
    quarantined: Vec<u64>,
    /// Requests up to here are in files; 0 when the catalog cannot be read.
    position: u64,
}

impl Seen {
    fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let inspector = inspector(data_dir)?;
        let mut damages = Vec::new();
        let survey = inspector.survey::<JournalError>(&mut |item| {
            if let Item::Damage(damage) = item {
                damages.push(damage.to_string());
            }
            Ok(())
        })?;
        let copies = inspector.quarantine()?;
        let bytes = copies.iter().map(std::fs::metadata);
        Ok(Self {
            dir: data_dir.join(JOURNAL_DIR),
            survey,
            damages,
            quarantined: bytes.flatten().map(|found| found.len()).collect(),
            position: position(data_dir),
        })
    }

    fn tables(&self) -> String {
        let head = ["segment", "bytes", "requests", "first", "last", "damaged"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.survey.segments.iter().map(|segment| {
            let sequences = segment.sequences.as_ref();
            let of = |sequence: Option<&u64>| sequence.map_or("-".to_owned(), u64::to_string);
            let name = segment.view.path.file_name().unwrap_or_default();
            vec![
                name.to_string_lossy().into_owned(),
                human::bytes(segment.view.bytes),
                human::count(segment.records),
                of(sequences.map(RangeInclusive::start)),
                of(sequences.map(RangeInclusive::end)),
                human::bytes(segment.damaged_bytes),
            ]
        }));
        let mut out = human::table(&rows);
        out.push('\n');
        let mut rows = vec![["reader", "position"].map(str::to_owned).to_vec()];
        rows.extend(self.survey.cursors.iter().map(|cursor| {
            let position = cursor.stored.as_ref();
            let position = position.map_or("damaged".to_owned(), |(at, _)| at.to_string());
            vec![cursor.name.clone(), position]
        }));
        rows.push(vec!["(files)".to_owned(), self.position.to_string()]);
        out.push_str(&human::table(&rows));
        out.push_str(&format!(
            "\nquarantine: {} files, {}\n\n",
            self.quarantined.len(),
            human::bytes(self.quarantined.iter().sum())
        ));
        out
    }

    fn damage(&self) -> String {
        let beside = self.survey.lines(&self.dir);
        let mut out = lines(self.damages.iter().chain(&beside));
        let lost = Lost::of(&self.survey.known_lost(), self.position);
        out.push_str(&format!(
            "{} requests in {} segments: {}\n",
            human::count(self.survey.records()),
            human::count(self.survey.segments.len() as u64),
            match self.survey.damaged() {
                0 => "no damage".to_owned(),
                count => format!("{count} damaged, {lost}"),
            }
        ));
        out
    }

    fn json(&self) -> Value {
        let survey = &self.survey;
        let ranges = |ranges: &[RangeInclusive<u64>]| -> Vec<[u64; 2]> {
            ranges
                .iter()
                .map(|all| [*all.start(), *all.end()])
                .collect()
        };
        let segments = survey.segments.iter().map(|segment| {
            let name = segment.view.path.file_name().unwrap_or_default();
            json!({
                "file": name.to_string_lossy(),
                "bytes": segment.view.bytes,
                "requests": segment.records,
                "first_sequence": segment.sequences.as_ref().map(|all| *all.start()),
                "last_sequence": segment.sequences.as_ref().map(|all| *all.end()),
                "damaged_bytes": segment.damaged_bytes,
                "unfinished_bytes": segment.unfinished_bytes,
            })
        });
        let cursors = survey.cursors.iter().map(|cursor| {
            let position = cursor.stored.as_ref().map(|(committed, _)| *committed);
            json!({"name": cursor.name, "position": position})
        });
        let beside = survey.lines(&self.dir);
        json!({
            "segments": segments.collect::<Vec<_>>(),
            "readers": cursors.collect::<Vec<_>>(),
            "files_position": self.position,
            "quarantine": {"files": self.quarantined.len(), "bytes": self.quarantined.iter().sum::<u64>()},
            "damaged": survey.damaged(),
            "lost": ranges(&survey.known_lost()),
            "missing": ranges(&survey.gaps),
            "lines": self.damages.iter().chain(&beside).collect::<Vec<_>>(),
        })
    }
}

fn inspector(data_dir: &Path) -> anyhow::Result<Inspector> {
    let dir = data_dir.join(JOURNAL_DIR);
    anyhow::ensure!(
        dir.is_dir(),
        "there is no journal in {}",
        data_dir.display()
    );
    Ok(Inspector::open(dir)?)
}

/// Up to where requests are in files.
fn position(data_dir: &Path) -> u64 {
    CatalogInspector::open(data_dir)
        .and_then(|catalog| catalog.journal_position())
        .unwrap_or(0)
}

fn repaired(data_dir: &Path) -> anyhow::Result<String> {
    // Says so when there is none, before one is created.
    inspector(data_dir)?;
    let config = JournalConfig::new(data_dir.join(JOURNAL_DIR));
    match repair(config, Arc::new(OsFileSystem)) {
        Err(JournalError::Locked { .. }) => {
            anyhow::bail!("a collector has the journal open; stop it first")
        }
        report => Ok(told(&report?, position(data_dir))),
    }
}

fn told(report: &RepairReport, position: u64) -> String {
    let lost = Lost::of(&report.lost(), position);
    lines(&report.lines())
        + &format!(
            "{} damaged ranges mended in place, {} taken out, {lost}\n",
            report.mended().len(),
            report.removed.len()
        )
}

fn lines<'l>(lines: impl IntoIterator<Item = &'l String>) -> String {
    let lines = lines.into_iter();
    lines.map(|line| printable(line) + "\n").collect()
}

/// Requests that the journal has lost, and how many of them are in files all the same.
struct Lost {
    requests: u64,
    in_files: u64,
}

impl Lost {
    fn of(ranges: &[RangeInclusive<u64>], position: u64) -> Self {
        let count = |range: &RangeInclusive<u64>, last: u64| {
            (last.min(*range.end()) + 1).saturating_sub(*range.start())
        };
        Self {
            requests: ranges.iter().map(|range| count(range, u64::MAX)).sum(),
            in_files: ranges.iter().map(|range| count(range, position)).sum(),
        }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (requests, in_files) = (human::count(self.requests), human::count(self.in_files));
        write!(f, "{requests} requests known to be lost")?;
        match self.requests {
            0 => Ok(()),
            _ => write!(f, ", {in_files} of them are in files"),
        }
    }
}

#[cfg(test)]
mod tests;
