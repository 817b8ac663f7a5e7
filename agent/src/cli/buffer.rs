//! `vervet-agent buffer`: the disk buffer from outside.
//!
//! `ls`, `verify` and `export` only read and take no lock, so they work beside a running agent; what it writes or
//! deletes meanwhile is told from damage. `repair` changes the buffer and refuses while an agent has it open.
//! Exit codes: 0 done, 1 damaged or failed, 2 wrong usage, 78 invalid configuration.

mod export;
mod ls;
mod repair;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use vervet_journal::{Inspector, Record};
use vervet_model::{Signal, UnixNanos};

use super::{EXIT_CONFIG, EXIT_RUNTIME, complain};
use crate::books::Account;
use crate::buffer::decode;
use crate::config::AgentConfig;

const EXIT_USAGE: u8 = 2;
/// The journal's folder in the data folder.
const FOLDER: &str = "buffer";
/// What the journal cursors of exporters begin with.
const CURSOR_PREFIX: &str = crate::exporters::CURSOR_PREFIX;

#[derive(Debug, Args)]
pub(super) struct BufferArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show segments, exporters, quarantine and dead letters
    Ls(ls::LsArgs),
    /// Read everything and say what is damaged
    Verify(verify::VerifyArgs),
    /// Take damaged ranges out, keeping a copy of each; no agent may run
    Repair(repair::RepairArgs),
    /// Write what the buffer holds as OTLP JSON lines, protobuf files or plain text
    Export(export::ExportArgs),
}

/// Where the buffer is.
#[derive(Debug, Args)]
struct Place {
    /// Data folder of the agent
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file that names the data folder
    #[arg(long, value_name = "FILE", env = "VERVET_AGENT_CONFIG")]
    config: Option<PathBuf>,
}

/// Runs one of the commands.
pub(super) fn run(args: BufferArgs) -> ExitCode {
    match args.command {
        Command::Ls(args) => at(&args.place, |dir| ls::run(dir, args.json)),
        Command::Verify(args) => at(&args.place, verify::run),
        Command::Repair(args) => at(&args.place, |dir| repair::run(dir, args.dry_run)),
        Command::Export(args) => at(&args.place, |dir| export::run(dir, &args.selection)),
    }
}

fn at(place: &Place, work: impl FnOnce(&Path) -> anyhow::Result<bool>) -> ExitCode {
    let data_dir = match (&place.data_dir, &place.config) {
        (Some(dir), _) => dir.clone(),
        (None, Some(file)) => match AgentConfig::load(file) {
            Ok(config) => config.data_dir,
            Err(error) => {
                complain(&error);
                return ExitCode::from(EXIT_CONFIG);
            }
        },
        (None, None) => {
            complain(&"say where the buffer is: --data-dir DIR or --config FILE");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match work(&data_dir) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_RUNTIME),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(EXIT_RUNTIME)
        }
    }
}

fn inspector(data_dir: &Path) -> anyhow::Result<Inspector> {
    let dir = data_dir.join(FOLDER);
    anyhow::ensure!(dir.is_dir(), "there is no buffer in {}", data_dir.display());
    Ok(Inspector::open(dir)?)
}

/// What is left for a cursor, as far as what is stored with it tells.
#[derive(Debug, Default)]
struct Pending {
    committed: u64,
    account: Option<Account>,
}

impl Pending {
    fn of((committed, state): &(u64, Vec<u8>)) -> Self {
        Self {
            committed: *committed,
            account: serde_json::from_slice(state).ok(),
        }
    }

    fn has(&self, sequence: u64) -> bool {
        let wants = |account: &Account| account.wants(sequence);
        self.committed < sequence && self.account.as_ref().is_none_or(wants)
    }
}

/// A journal record as the agent wrote it.
struct Batch {
    sequence: u64,
    signal: Signal,
    /// Log records, data points or spans that it says it has.
    records: u64,
    appended: Option<UnixNanos>,
    request: bytes::Bytes,
}

impl Batch {
    /// `None` when the record is none of the agent's.
    fn read(record: Record) -> Option<Self> {
        let signal = Signal::from_u8(record.kind)?;
        let (header, request) = decode(record.payload).ok()?;
        Some(Self {
            sequence: record.sequence,
            signal,
            records: header.records,
            appended: header.appended,
            request,
        })
    }

    /// What is wrong with the request itself.
    fn complaint(&self) -> Option<String> {
        match vervet_wire::otlp::count_records(self.signal, &self.request) {
            Err(error) => Some(format!("its request is malformed: {error}")),
            Ok(records) if records != self.records => Some(format!(
                "it says {} records and holds {records}",
                self.records
            )),
            Ok(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
