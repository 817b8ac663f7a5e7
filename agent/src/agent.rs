//! Starts the parts in the right order, changes them while it runs, and stops them in the other order.
//!
//! Start: journal, positions, books, exporters, receivers, writer. Stop: receivers take nothing more, the writer stores
//! what is queued, exporters send what they can until the deadline, cursors are committed. A reload is a start of
//! what is different ([`parts`]): whatever may fail is done before anything that runs is touched.

mod component;
mod listeners;
mod orphans;
mod parts;
mod reload;
mod shared;
mod start;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use vervet_journal::{FileSystem, JournalError, OsFileSystem};
use vervet_model::{Clock, SystemClock};

use crate::admin::{self, Status};
use crate::books::Loss;
use crate::buffer::blocking;
use crate::config::AgentConfig;
use crate::exporters::CURSOR_PREFIX;
use crate::stops::{self, LostLine};
use parts::Parts;

pub use reload::{Changes, Diff, ReloadError};
pub use start::StartError;

/// Part of the time to shut down that receivers may use to finish their requests.
const RECEIVERS_SHARE: u32 = 4;
/// Time for the last commit after the deadline.
const COMMIT_GRACE: Duration = Duration::from_secs(5);
/// Time to note what is lost, and for each of those who tell of it: enough but for a disk that does not answer.
const NOTE_GRACE: Duration = Duration::from_secs(1);

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

/// How a stop went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Everything received was stored and sent. What was not sent, but is in the buffer, is sent after the next start.
    pub all_sent: bool,
    /// What nobody can get back.
    pub lost: Vec<LostLine>,
    /// Batches that had been stored and were lost, because somebody removed files of the buffer while the agent ran.
    pub removed_batches: u64,
}

/// An agent at work. Dropping it stops everything without a goodbye, as a crash would.
pub struct RunningAgent {
    parts: Parts,
    writer: JoinHandle<Result<(), JournalError>>,
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
        self.parts.addresses()
    }

    /// The admin routes, to be served by the host program.
    pub fn admin_router(&self) -> Router {
        admin::router(self.parts.view())
    }

    /// All metrics, in OpenMetrics text format.
    pub fn metrics_text(&self) -> String {
        self.parts.view().metrics.encode_text()
    }

    /// The books and the buffer, now.
    pub fn status(&self) -> Status {
        self.parts.view().status()
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

    /// Takes over another configuration: what it leaves as it is goes on undisturbed, what it changes is
    /// replaced, and files resume where they are. Not cancel safe.
    ///
    /// # Errors
    /// The configuration cannot be taken over. The agent goes on with the one it has.
    pub async fn reload(&mut self, config: AgentConfig) -> Result<Changes, ReloadError> {
        let result = reload::reload(&mut self.parts, config).await;
        let view = self.parts.view();
        let now = view.clock.now();
        match &result {
            Ok(changes) if changes.is_empty() => view.reloads.unchanged(now, changes.to_string()),
            Ok(changes) => view.reloads.succeeded(now, changes.to_string()),
            Err(error) => view.reloads.refused(now, [with_causes(error)]),
        }
        result
    }

    /// A configuration that was to be taken over cannot be read, for these reasons: the status tells of it.
    pub fn reload_refused(&self, errors: impl IntoIterator<Item = String>) {
        let view = self.parts.view();
        view.reloads.refused(view.clock.now(), errors);
    }

    /// Stops within `deadline` (and a few seconds for the last commit); sooner where a destination does not answer and what it
    /// has not got is on disk. True when everything received was
    /// stored and sent; otherwise what is in the buffer is sent after the next start.
    pub async fn shutdown(self, deadline: Duration) -> bool {
        let stopped = self.shutdown_unless(deadline, std::future::pending()).await;
        stopped.all_sent
    }

    /// As [`RunningAgent::shutdown`], until `hurry` resolves: then nothing more is sent or taken, what has been taken is
    /// stored, which takes [`COMMIT_GRACE`] at most, and the rest stays in the buffer.
    pub async fn shutdown_unless(
        mut self,
        deadline: Duration,
        hurry: impl Future<Output = ()>,
    ) -> Stopped {
        let start = Instant::now();
        let all_sent = tokio::select! {
            biased;
            sent = self.drain(deadline) => Some(sent),
            () = hurry => None,
        };
        let end = Instant::now().min(start + deadline) + COMMIT_GRACE;
        if all_sent.is_none() {
            self.parts.stop_receivers(Instant::now()).await;
            self.parts.tokens().drain.cancel();
            self.parts.tokens().give_up.cancel();
            self.store_queued(end).await;
        }
        self.parts.tokens().give_up.cancel();
        if !self.parts.join_exporters(end).await {
            tracing::warn!("an exporter did not end in time");
        }
        if all_sent != Some(true) {
            self.tell_held().await;
        }
        self.settle_abandoned().await;
        Stopped {
            all_sent: all_sent.unwrap_or(false),
            lost: self.note_lost().await,
            removed_batches: self.removed_batches(),
        }
    }

    fn removed_batches(&self) -> u64 {
        let view = self.parts.view();
        let stats = view.journal.stats();
        let cursors = stats.cursors.iter();
        let mut exporters = cursors.filter(|cursor| cursor.name.starts_with(CURSOR_PREFIX));
        // What was read before it went has been sent from memory.
        let is_needed = exporters.any(|cursor| cursor.committed < stats.lost_through);
        let lines = view.books.lines();
        let is_booked = lines.iter().any(|line| {
            let damage = line.dropped.get(Loss::Damage.reason());
            damage.is_some_and(|damage| !damage.is_zero())
        });
        if stats.lost_records == 0 || !(is_needed || is_booked) {
            return 0;
        }
        tracing::error!(
            batches = stats.lost_records,
            "files of the buffer were removed while the agent ran, what exporters had not sent of them is lost"
        );
        stats.lost_records
    }

    /// Counts what was not stored, once nobody stores it any more and all have told what of it is lost.
    async fn settle_abandoned(&mut self) {
        if !self.writer.is_finished() {
            // Dropped, it gives up what it holds. A disk that does not answer may still store the last of it.
            self.writer.abort();
            let _cancelled = timeout(NOTE_GRACE, &mut self.writer).await;
        }
        let abandoned = self.parts.abandoned();
        if timeout(NOTE_GRACE, abandoned.all_told()).await.is_err() {
            tracing::warn!("a receiver did not tell in time what it has lost");
        }
        abandoned.settle(&self.parts.view().metrics);
    }

    /// What is lost for good is said, and remembered for the status after the next start.
    async fn note_lost(&self) -> Vec<LostLine> {
        let view = self.parts.view();
        let lost = stops::lost(&view.metrics.intake().lines());
        let (stops, now, noted) = (view.stops, view.clock.now(), lost.clone());
        let noting = blocking(move || stops.note(&noted, now));
        if timeout(NOTE_GRACE, noting).await.is_err() {
            tracing::error!("the disk does not answer, what the stop has lost is only in this log");
        }
        lost
    }

    /// Stores and sends what has been received. False when the time is up first, also for what a receiver still held.
    async fn drain(&mut self, deadline: Duration) -> bool {
        let start = Instant::now();
        let end = start + deadline;
        let parts = &mut self.parts;
        let end_of_receivers = start + deadline / RECEIVERS_SHARE;
        let mut all_taken = parts.stop_receivers(end_of_receivers).await;
        parts.tokens().drain.cancel();
        if !self.writer.is_finished() && timeout_at(end, &mut self.writer).await.is_err() {
            tracing::warn!("buffer had no room before the deadline");
            all_taken = false;
            self.parts.tokens().give_up.cancel();
            self.store_queued(end + COMMIT_GRACE).await;
        }
        let in_time = self.parts.join_exporters(end).await;
        in_time && all_taken && !self.parts.view().standings.any_gave_up()
    }

    /// Waits for the buffer's writer, which has been told to give up what finds no room.
    async fn store_queued(&mut self, end: Instant) {
        if self.writer.is_finished() {
            return;
        }
        if timeout_at(end, &mut self.writer).await.is_err() {
            tracing::warn!("the buffer's writer did not end in time");
        }
    }

    async fn tell_held(&self) {
        let view = self.parts.view();
        let Ok(status) = timeout(NOTE_GRACE, blocking(move || view.status())).await else {
            return;
        };
        for exporter in status.exporters {
            if exporter.behind_batches > 0 {
                tracing::warn!(
                    exporter = exporter.exporter,
                    batches = exporter.behind_batches,
                    bytes = exporter.behind_bytes,
                    "ended early, the rest is sent after the next start"
                );
            }
        }
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        self.writer.abort();
        self.parts.tokens().admin.cancel();
    }
}

/// The messages of an error and what caused it: the outermost alone says little.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
