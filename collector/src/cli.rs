//! The commands that look after a store: `verify`, `journal`, `backup`, `restore`, `status`, `query`, and those for rule files: `rules`.
//! Each exits 0 when all is well, 1 when it is not or the command failed, 78 when the configuration is invalid.

mod backup;
mod human;
mod journal;
mod place;
mod progress;
mod remote;
mod rules;
mod verify;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Subcommand;
use vervet_agent::printable::printable_lines;

pub(crate) use place::Place;

const EXIT_FAILURE: u8 = 1;
const EXIT_CONFIG: u8 = 78;

/// Commands beside those that run the collector.
#[derive(Debug, Subcommand)]
pub enum Operate {
    /// Check every byte of the data, also beside a running collector.
    Verify(verify::VerifyArgs),
    /// Look into the journal, or repair it.
    Journal(journal::JournalArgs),
    /// Copy everything to a folder or an object store, also beside a running collector.
    Backup(backup::BackupArgs),
    /// Bring a backup back into an empty folder.
    Restore(backup::RestoreArgs),
    /// Show what a running collector holds.
    Status(remote::StatusArgs),
    /// Ask a running collector.
    Query(remote::QueryArgs),
    /// Check rule files, or run their tests.
    Rules(rules::RulesArgs),
}

impl Operate {
    /// Does what was asked.
    pub fn run(self) -> ExitCode {
        let result = match self {
            Self::Verify(args) => verify::run(&args),
            Self::Journal(args) => journal::run(&args),
            Self::Backup(args) => backup::run(&args),
            Self::Restore(args) => backup::run_restore(&args),
            Self::Status(args) => remote::status(&args),
            Self::Query(args) => remote::query(&args),
            Self::Rules(args) => return finish(rules::run(&args)),
        };
        finish(result.map(|is_well| match is_well {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(EXIT_FAILURE),
        }))
    }
}

fn finish(result: Result<ExitCode, CliError>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(CliError::Config(message)) => {
            complain(&message);
            ExitCode::from(EXIT_CONFIG)
        }
        Err(CliError::Run(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// Why a command could not do its work.
enum CliError {
    Config(String),
    Run(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}

/// Whether all is well.
type CliResult = Result<bool, CliError>;

/// Writes to standard output. A reader that has gone away (`| head`) is no failure.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn complain(message: &dyn Display) {
    // Nobody is left to tell when stderr is gone.
    let message = printable_lines(&message.to_string());
    let _closed = writeln!(io::stderr(), "vervet-collector: {message}");
}
