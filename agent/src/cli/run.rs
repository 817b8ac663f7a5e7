//! `vervet-agent run`: until SIGTERM or SIGINT, which drains; a second one ends at once. SIGHUP reads the
//! configuration again.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::EXIT_LOST;
use crate::agent::{Agent, AgentOptions, RunningAgent};
use crate::config::AgentConfig;
use crate::telemetry::{self, TelemetryOptions};

/// Time to send what is held before the program ends; what is left is on disk.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(25);

/// Orders to end that are told apart; who has sent as many gets no further anyway.
const ENDS_MAX: usize = 4;

/// The signals, taken up by a task of their own: the system and the runtime make one of two that come before the first was
/// taken up, however long the work lasts that they interrupt.
struct Signals {
    ends: mpsc::Receiver<()>,
    hang_up: Signal,
}

/// What signals asked for meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Orders {
    None,
    End,
    EndNow,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (told, ends) = mpsc::channel(ENDS_MAX);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    () = told.closed() => return,
                }
                // Full: it has been told often enough.
                let _ = told.try_send(());
            }
        });
        Ok(Self {
            ends,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next order to end. Cancel safe.
    async fn end(&mut self) {
        // The task that sends them ends with the runtime only.
        let _told = self.ends.recv().await;
    }

    /// The next order: true to read the configuration again, false to end. Cancel safe.
    async fn next_is_reload(&mut self) -> bool {
        tokio::select! {
            _ = self.ends.recv() => false,
            _ = self.hang_up.recv() => true,
        }
    }

    /// Finishes `work`, unless it is told to end twice meanwhile.
    async fn during(&mut self, work: impl Future<Output = ()>) -> Orders {
        tokio::pin!(work);
        let mut orders = Orders::None;
        loop {
            tokio::select! {
                () = &mut work => return orders,
                () = self.end() => match orders {
                    Orders::None => orders = Orders::End,
                    Orders::End | Orders::EndNow => return Orders::EndNow,
                },
            }
        }
    }
}

/// The exit code tells whether anything is lost for good.
pub(super) async fn run(path: &Path, config: AgentConfig) -> anyhow::Result<ExitCode> {
    let telemetry = telemetry::init(&TelemetryOptions {
        service_name: "vervet-agent",
        service_version: env!("CARGO_PKG_VERSION"),
        traces_endpoint: config.traces_endpoint.clone(),
    })?;
    let result = run_until_signal(path, config).await;
    telemetry.flush().await;
    result
}

async fn run_until_signal(path: &Path, config: AgentConfig) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    warn(&config);
    let mut agent = tokio::select! {
        started = Agent::start(config, AgentOptions::default()) => started?,
        // Nothing has been taken yet that would have to be stored or sent.
        () = signals.end() => {
            tracing::info!("told to end before the start was over");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (failure, at_once) = loop {
        tokio::select! {
            failure = agent.failed() => break (Some(failure), false),
            is_reload = signals.next_is_reload() => if !is_reload {
                break (None, false);
            },
        }
        match signals.during(reload(&mut agent, path)).await {
            Orders::None => {}
            Orders::End => break (None, false),
            Orders::EndNow => break (None, true),
        }
    };
    tracing::info!(deadline = ?SHUTDOWN_DEADLINE, "shutting down");
    let stopped = agent
        .shutdown_unless(SHUTDOWN_DEADLINE, async {
            if !at_once {
                signals.end().await;
            }
            tracing::warn!("told to end a second time, nothing more is sent");
        })
        .await;
    let complete = stopped.all_sent;
    tracing::info!(complete, "agent stopped");
    match failure {
        Some(failure) => Err(anyhow::anyhow!(failure)),
        None if stopped.lost.is_empty() && stopped.removed_batches == 0 => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::from(EXIT_LOST)),
    }
}

fn warn(config: &AgentConfig) {
    for warning in &config.warnings {
        tracing::warn!(line = warning.line, %warning, "the configuration is odd");
    }
}

async fn reload(agent: &mut RunningAgent, path: &Path) {
    let config = match AgentConfig::load(path) {
        Ok(config) => config,
        Err(error) => {
            let problems = error.to_string();
            for problem in problems.lines() {
                tracing::error!(problem, "the new configuration is invalid");
            }
            agent.reload_refused(problems.lines().map(str::to_owned));
            tracing::error!("the configuration stays as it was");
            return;
        }
    };
    warn(&config);
    match agent.reload(config).await {
        Ok(changes) => tracing::info!(%changes, "configuration reloaded"),
        Err(error) => {
            let error = anyhow::Error::from(error);
            tracing::error!(
                error = format!("{error:#}"),
                "the configuration stays as it was"
            );
        }
    }
}
