//! The command line. Exit codes: 0 done, 1 failed at run time, 2 wrong usage, 78 invalid configuration.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::{Agent, AgentOptions};
use crate::config::{ADMIN_ADDRESS_DEFAULT, AgentConfig};
use crate::telemetry::{self, TelemetryOptions};

const EXIT_RUNTIME: u8 = 1;
const EXIT_CONFIG: u8 = 78;
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(25);
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);
const STATUS_BYTES_MAX: usize = 4 << 20;

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
    /// Run until SIGTERM or SIGINT
    Run(ConfigArgs),
    /// Check a configuration and say what is wrong with it
    Validate(ConfigArgs),
    /// Print the books and the buffer of a running agent as JSON
    Status(StatusArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE", env = "VERVET_AGENT_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// Admin address of the agent
    #[arg(long, value_name = "ADDR", default_value = ADMIN_ADDRESS_DEFAULT)]
    admin: String,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => with_config(&args.config, run),
        Command::Validate(args) => with_config(&args.config, |_config| ExitCode::SUCCESS),
        Command::Status(args) => in_runtime(status(args.admin)),
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

fn run(config: AgentConfig) -> ExitCode {
    in_runtime(async move {
        let telemetry = telemetry::init(&TelemetryOptions {
            service_name: "vervet-agent",
            service_version: env!("CARGO_PKG_VERSION"),
            traces_endpoint: config.traces_endpoint.clone(),
        })?;
        let result = run_until_signal(config).await;
        telemetry.flush().await;
        result
    })
}

async fn run_until_signal(config: AgentConfig) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut agent = Agent::start(config, AgentOptions::default()).await?;
    let failure = loop {
        tokio::select! {
            failure = agent.failed() => break Some(failure),
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            _ = hang_up.recv() => tracing::warn!("reload is not supported yet, restart instead"),
        }
    };
    tracing::info!(deadline = ?SHUTDOWN_DEADLINE, "shutting down");
    let complete = tokio::select! {
        complete = agent.shutdown(SHUTDOWN_DEADLINE) => complete,
        _ = interrupt.recv() => false,
    };
    tracing::info!(complete, "agent stopped");
    match failure {
        Some(failure) => Err(anyhow::anyhow!(failure)),
        None => Ok(()),
    }
}

async fn status(admin: String) -> anyhow::Result<()> {
    let url = format!("http://{admin}/api/vervet/v1/status");
    let client = crate::http::client(|builder| builder.timeout(STATUS_TIMEOUT))?;
    let mut answer = client.get(&url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        anyhow::ensure!(
            body.len() + chunk.len() <= STATUS_BYTES_MAX,
            "the answer is too large"
        );
        body.extend_from_slice(&chunk);
    }
    let status: serde_json::Value = serde_json::from_slice(&body)?;
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &status)?;
    out.write_all(b"\n")?;
    Ok(())
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(EXIT_RUNTIME)
        }
    }
}

fn complain(message: &dyn std::fmt::Display) {
    // Nobody is left to tell when stderr is gone.
    let _closed = writeln!(io::stderr().lock(), "vervet-agent: {message}");
}
