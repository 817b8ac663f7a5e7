//! `vervet-agent run`: until SIGTERM or SIGINT, which drains; a second one ends at once. SIGHUP reads the
//! configuration again.

use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::agent::{Agent, AgentOptions, RunningAgent};
use crate::config::AgentConfig;
use crate::telemetry::{self, TelemetryOptions};

/// Time to send what is held before the program ends; what is left is on disk.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(25);

struct Signals {
    terminate: Signal,
    interrupt: Signal,
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
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next order to end. Cancel safe.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
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

pub(super) async fn run(path: &Path, config: AgentConfig) -> anyhow::Result<()> {
    let telemetry = telemetry::init(&TelemetryOptions {
        service_name: "vervet-agent",
        service_version: env!("CARGO_PKG_VERSION"),
        traces_endpoint: config.traces_endpoint.clone(),
    })?;
    let result = run_until_signal(path, config).await;
    telemetry.flush().await;
    result
}

async fn run_until_signal(path: &Path, config: AgentConfig) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    warn(&config);
    let mut agent = tokio::select! {
        started = Agent::start(config, AgentOptions::default()) => started?,
        // Nothing has been taken yet that would have to be stored or sent.
        () = signals.end() => {
            tracing::info!("told to end before the start was over");
            return Ok(());
        }
    };
    let failure = loop {
        tokio::select! {
            failure = agent.failed() => break Some(failure),
            _ = signals.terminate.recv() => break None,
            _ = signals.interrupt.recv() => break None,
            _ = signals.hang_up.recv() => match signals.during(reload(&mut agent, path)).await {
                Orders::None => {}
                Orders::End => break None,
                Orders::EndNow => return Ok(()),
            },
        }
    };
    tracing::info!(deadline = ?SHUTDOWN_DEADLINE, "shutting down");
    tokio::select! {
        complete = agent.shutdown(SHUTDOWN_DEADLINE) => tracing::info!(complete, "agent stopped"),
        () = signals.end() => tracing::warn!("told to end a second time, the rest is sent after the next start"),
    }
    match failure {
        Some(failure) => Err(anyhow::anyhow!(failure)),
        None => Ok(()),
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
