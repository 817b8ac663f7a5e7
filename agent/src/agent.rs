//! Starts the parts in the right order and stops them in the other.
//!
//! Start: journal, positions, books, exporters, writer, receivers. Stop: receivers take nothing more, the writer stores
//! what is queued, exporters send what they can until the deadline, cursors are committed.

mod start;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use vervet_journal::{FileSystem, JournalError, OsFileSystem};
use vervet_model::{Clock, SystemClock};

use crate::admin::{self, SelfView, Status};
use crate::config::AgentConfig;

pub use start::StartError;

/// Part of the time to shut down that receivers may use to finish their requests.
const RECEIVERS_SHARE: u32 = 4;
/// Time for the last commit after the deadline.
const COMMIT_GRACE: Duration = Duration::from_secs(5);

/// The agent as a library.
#[derive(Debug)]
pub struct Agent;

/// What tests and hosts may replace.
#[derive(Clone)]
pub struct AgentOptions {
    pub clock: Arc<dyn Clock>,
    /// Files of the disk buffer.
    pub file_system: Arc<dyn FileSystem>,
}

/// An agent at work. Dropping it stops everything without a goodbye, as a crash would.
pub struct RunningAgent {
    addresses: BTreeMap<String, SocketAddr>,
    view: SelfView,
    receivers: JoinSet<()>,
    writer: JoinHandle<Result<(), JournalError>>,
    exporters: JoinSet<()>,
    admin: Option<JoinHandle<()>>,
    tokens: Tokens,
}

/// How parts are told to stop, in the order they are used.
#[derive(Debug, Clone, Default)]
struct Tokens {
    receivers: CancellationToken,
    drain: CancellationToken,
    give_up: CancellationToken,
    admin: CancellationToken,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            file_system: Arc::new(OsFileSystem),
        }
    }
}

impl Agent {
    /// Starts an agent on the current Tokio runtime (multi-threaded).
    ///
    /// # Errors
    /// The data folder or the journal cannot be opened, an address is in use, an endpoint makes no sense.
    pub async fn start(
        config: AgentConfig,
        options: AgentOptions,
    ) -> Result<RunningAgent, StartError> {
        start::start(config, options).await
    }
}

impl RunningAgent {
    /// Where it listens: `admin`, and `<receiver>/grpc` and `<receiver>/http` for OTLP receivers.
    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// The admin routes, to be served by the host program.
    pub fn admin_router(&self) -> Router {
        admin::router(self.view.clone())
    }

    /// All metrics, in OpenMetrics text format.
    pub fn metrics_text(&self) -> String {
        self.view.metrics.encode_text()
    }

    /// The books and the buffer, now.
    pub fn status(&self) -> Status {
        self.view.status()
    }

    /// Resolves when the agent cannot go on: the buffer takes nothing until it is opened again. Everything
    /// acknowledged is safe; shut down and start again. Cancel safe.
    pub async fn failed(&mut self) -> String {
        match (&mut self.writer).await {
            Ok(Ok(())) => "the buffer's writer has ended".to_owned(),
            Ok(Err(error)) => format!("the buffer has failed: {error}"),
            Err(error) => format!("the buffer's writer has failed: {error}"),
        }
    }

    /// Stops within `deadline` (and a few seconds for the last commit). True when everything received was
    /// stored and sent; otherwise what is in the buffer is sent after the next start.
    pub async fn shutdown(mut self, deadline: Duration) -> bool {
        let start = Instant::now();
        let end = start + deadline;
        self.tokens.receivers.cancel();
        join_until(&mut self.receivers, start + deadline / RECEIVERS_SHARE).await;
        self.receivers.shutdown().await;
        self.tokens.drain.cancel();
        if !self.writer.is_finished() && timeout_at(end, &mut self.writer).await.is_err() {
            self.tokens.give_up.cancel();
            let stored = timeout_at(end + COMMIT_GRACE, &mut self.writer).await;
            tracing::warn!(
                ended = stored.is_ok(),
                "buffer had no room before the deadline"
            );
        }
        let sent = join_until(&mut self.exporters, end).await;
        self.tokens.give_up.cancel();
        if !join_until(&mut self.exporters, end.max(Instant::now()) + COMMIT_GRACE).await {
            tracing::warn!("an exporter did not end in time");
        }
        self.tokens.admin.cancel();
        if let Some(admin) = self.admin.take() {
            admin.abort();
        }
        sent
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        self.writer.abort();
        if let Some(admin) = &self.admin {
            admin.abort();
        }
    }
}

/// Waits for all tasks; false when the time is up first.
async fn join_until(tasks: &mut JoinSet<()>, end: Instant) -> bool {
    loop {
        match timeout_at(end, tasks.join_next()).await {
            Ok(None) => return true,
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => tracing::error!(%error, "a task has failed"),
            Err(_elapsed) => return false,
        }
    }
}

#[cfg(test)]
mod tests;
