//! The command line. Exit codes: 0 done, 1 failed at run time, 2 wrong usage, 3 stopped with records lost, 78 invalid configuration; those of `status` are its
//! verdict.

mod admin;
mod buffer;
mod explain;
mod run;
mod status;
mod tap;
mod validate;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::AgentConfig;
use crate::printable::printable_lines;

const EXIT_RUNTIME: u8 = 1;
/// The agent has stopped as told, but not all that it had taken in is stored or sent, or can be read again.
const EXIT_LOST: u8 = 3;
const EXIT_CONFIG: u8 = 78;

#[derive(Debug, Parser)]
#[command(
    name = "vervet-agent",
    version,
    about = "Collects logs, metrics and traces of a node and ships them"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT; SIGHUP reads the configuration again
    Run(ConfigArgs),
    /// Check a configuration and say what is wrong with it
    Validate(ConfigArgs),
    /// Show what becomes of one log line, stage by stage
    Explain(explain::ExplainArgs),
    /// Run the tests in a configuration
    Test(explain::TestArgs),
    /// Show the books, the buffer and the files of a running agent
    #[command(after_help = status::EXIT_CODES)]
    Status(status::StatusArgs),
    /// Show what a running agent is about to store, live
    Tap(tap::TapArgs),
    /// Look into the disk buffer, check, repair or export it
    Buffer(buffer::BufferArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE", env = "VERVET_AGENT_CONFIG")]
    config: PathBuf,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => {
            // Without it the agent takes more memory, and does its work all the same.
            let _as_it_is = crate::allocator::limit_arenas();
            with_config(&args.config, |config| {
                in_runtime_or(EXIT_RUNTIME, run::run(&args.config, config))
            })
        }
        Command::Validate(args) => validate::validate(&args.config),
        Command::Explain(args) => explain::explain(args),
        Command::Test(args) => explain::test(&args),
        Command::Tap(args) => in_runtime(tap::tap(args)),
        Command::Status(args) => in_runtime_or(status::EXIT_NOT_ASKED, status::status(args)),
        Command::Buffer(args) => buffer::run(args),
    }
}

fn with_config(path: &Path, then: impl FnOnce(AgentConfig) -> ExitCode) -> ExitCode {
    match AgentConfig::load(path) {
        Ok(config) => then(config),
        Err(error) => {
            complain(&error);
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    in_runtime_or(EXIT_RUNTIME, async {
        work.await.map(|()| ExitCode::SUCCESS)
    })
}

/// The exit code of `work`, or `failed`.
fn in_runtime_or(failed: u8, work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(work);
            // Whatever a blocking thread still waits for, a disk for example, is not waited for.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(failed)
        }
    }
}

/// Writes to standard output. A reader that has gone away (`| head`) is no failure.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn complain(message: &dyn Display) {
    // Names of files, answers of servers: lines are kept, what a terminal would obey is not.
    let message = printable_lines(&message.to_string());
    say_error(&format!("vervet-agent: {message}\n"));
}

fn say_error(text: &str) {
    // Nobody is left to tell when stderr is gone.
    let _closed = io::stderr().lock().write_all(text.as_bytes());
}
