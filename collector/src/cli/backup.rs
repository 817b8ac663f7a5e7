//! `vervet-collector backup` and `restore`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use vervet_agent::printable::printable;
use vervet_store::backup::{Manifest, Repository};
use vervet_store::verify::{Defect, Progress};

use super::progress::Meter;
use super::{CliResult, Place, complain, human, say};
use crate::backup::{Checked, Choice, Copying, TakeOptions, Taken, check, choose, restore, take};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    #[command(flatten)]
    take: TakeArgs,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Show the backups in a place.
    List {
        /// Folder, or s3://bucket/prefix.
        #[arg(long, value_name = "PLACE")]
        from: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Restore a backup into a scratch folder, read all of it and compare.
    Verify {
        /// Folder, or s3://bucket/prefix.
        #[arg(long, value_name = "PLACE")]
        from: String,
        #[command(flatten)]
        choice: ChoiceArgs,
        #[command(flatten)]
        scratch: ScratchArgs,
    },
}

#[derive(Debug, Args)]
struct TakeArgs {
    /// Where to: a folder, or s3://bucket/prefix.
    #[arg(long, value_name = "PLACE", required = true)]
    to: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Delete all but the newest N backups afterwards, and the segments that only those need.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Give segments a second name instead of copying them, where the file system is the same.
    #[arg(long)]
    link: bool,
    /// Afterwards restore the backup into a scratch folder, read all of it and compare.
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    scratch: ScratchArgs,
}

#[derive(Debug, Args)]
struct ScratchArgs {
    /// Where scratch folders are made [default: the system's].
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ChoiceArgs {
    /// This backup [default: the newest].
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The newest backup that is not later than this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Folder, or s3://bucket/prefix.
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// The folder to restore into; it must be empty or absent.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    choice: ChoiceArgs,
}

impl ScratchArgs {
    fn dir(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(std::env::temp_dir)
    }
}

impl From<&ChoiceArgs> for Choice {
    fn from(args: &ChoiceArgs) -> Self {
        Self {
            id: args.id.clone(),
            at: args
                .at
                .map(|at| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)),
        }
    }
}

pub(super) fn run(args: &BackupArgs) -> CliResult {
    match &args.command {
        Some(BackupCommand::List { from, json }) => list(from, *json),
        Some(BackupCommand::Verify {
            from,
            choice,
            scratch,
        }) => {
            let repository = Repository::open(from)?;
            let manifest = choose(&repository, &choice.into())?;
            prove(&repository, &manifest, scratch)
        }
        None => take_one(&args.take),
    }
}

fn take_one(args: &TakeArgs) -> CliResult {
    let location = args.to.clone().context("--to is missing")?;
    let data_dir = args.place.data_dir()?;
    let repository = Repository::open(&location)?;
    let options = TakeOptions {
        location,
        link: args.link,
        keep: args
            .keep
            .map(|keep| usize::try_from(keep).unwrap_or(usize::MAX)),
    };
    let watch = Watch::new("backup");
    let taken = take(&data_dir, &repository, &options, &watch)?;
    watch.0.clear();
    say(&taken_text(&taken))?;
    for path in &taken.manifest.damaged {
        complain(&format!("{path} is damaged or lost and not in the backup"));
    }
    let is_whole = taken.manifest.damaged.is_empty();
    Ok(match args.verify {
        true => prove(&repository, &taken.manifest, &args.scratch)?,
        false => is_whole,
    })
}

fn taken_text(taken: &Taken) -> String {
    let manifest = &taken.manifest;
    let mut text = format!(
        "backup {}: {} files, {}, {} rows in segments and the journal up to record {}; {} copied, {} segments were there\n",
        manifest.id,
        human::count(manifest.files.len() as u64),
        human::bytes(manifest.bytes()),
        human::count(manifest.rows()),
        manifest.journal_last_sequence,
        human::bytes(manifest.copied_bytes),
        human::count(taken.reused_files),
    );
    if taken.swept_bytes > 0 {
        text.push_str(&format!(
            "old backups deleted: {}\n",
            human::bytes(taken.swept_bytes)
        ));
    }
    text
}

fn prove(repository: &Repository, manifest: &Manifest, scratch: &ScratchArgs) -> CliResult {
    let watch = Watch::new("verify");
    let checked = check(repository, manifest, &scratch.dir(), &watch, &watch)?;
    watch.0.clear();
    say(&checked_text(&checked))?;
    Ok(checked.problems.is_empty())
}

fn checked_text(checked: &Checked) -> String {
    let mut text = String::new();
    for problem in &checked.problems {
        text.push_str(&format!("DAMAGED  {}\n", printable(problem)));
    }
    text.push_str(&format!(
        "backup {} restored and read: {} files, {}, {} rows, {} days of tables compared, {} journal records\n",
        checked.id,
        human::count(checked.files),
        human::bytes(checked.bytes),
        human::count(checked.rows),
        human::count(checked.days),
        human::count(checked.journal_records),
    ));
    text.push_str(match checked.problems.is_empty() {
        true => "all is well\n",
        false => "the backup is not whole\n",
    });
    text
}

pub(super) fn run_restore(args: &RestoreArgs) -> CliResult {
    let repository = Repository::open(&args.from)?;
    let manifest = choose(&repository, &Choice::from(&args.choice))?;
    let watch = Watch::new("restore");
    restore(&repository, &manifest, &args.to, &watch)?;
    watch.0.clear();
    say(&format!(
        "backup {} of {} restored to {}: {} files, {}\n",
        manifest.id,
        human::time(manifest.taken()),
        args.to.display(),
        human::count(manifest.files.len() as u64),
        human::bytes(manifest.bytes()),
    ))?;
    for path in &manifest.damaged {
        complain(&format!(
            "{path} was damaged when the backup was taken; its rows are missing"
        ));
    }
    Ok(true)
}

fn list(from: &str, json: bool) -> CliResult {
    let (backups, damaged) = Repository::open(from)?.backups()?;
    if json {
        let backups: Vec<_> = backups.iter().map(summary).collect();
        let damaged: Vec<String> = damaged.iter().map(ToString::to_string).collect();
        say(&format!(
            "{:#}\n",
            json!({"backups": backups, "damaged": damaged})
        ))?;
    } else {
        let head = ["id", "taken", "files", "bytes", "copied", "rows"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(backups.iter().map(|manifest| {
            vec![
                manifest.id.clone(),
                human::time(manifest.taken()),
                human::count(manifest.files.len() as u64),
                human::bytes(manifest.bytes()),
                human::bytes(manifest.copied_bytes),
                human::count(manifest.rows()),
            ]
        }));
        say(&human::table(&rows))?;
        for error in &damaged {
            complain(error);
        }
    }
    Ok(damaged.is_empty())
}

fn summary(manifest: &Manifest) -> serde_json::Value {
    json!({
        "id": manifest.id,
        "taken": human::time(manifest.taken()),
        "taken_unix_nano": manifest.taken_unix_nano,
        "store": manifest.store,
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
        "copied_bytes": manifest.copied_bytes,
        "rows": manifest.rows(),
        "damaged": manifest.damaged,
    })
}

struct Watch(Meter);

impl Watch {
    fn new(what: &'static str) -> Self {
        Self(Meter::new(what, false))
    }
}

impl Copying for Watch {
    fn begin(&self, bytes: u64, files: usize) {
        self.0.begin(bytes, files);
    }

    fn advance(&self, bytes: u64, files: usize) {
        self.0.advance(bytes, files);
    }
}

impl Progress for Watch {
    fn begin(&self, bytes: u64, files: usize) {
        self.0.begin(bytes, files);
    }

    fn advance(&self, bytes: u64) {
        self.0.advance(bytes, 0);
    }

    fn file_done(&self) {
        self.0.advance(0, 1);
    }

    fn defect(&self, _defect: &Defect) {}
}
