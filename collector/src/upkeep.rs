//! Keeps the store in shape beside ingestion and queries: merges small files, deletes replaced ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use vervet_model::{Clock, SystemClock};
use vervet_store::{Cancel, Store, StoreError};

use crate::metrics::Metrics;

/// Deleting what nobody reads any more is tried this often.
const RECLAIM_INTERVAL: Duration = Duration::from_secs(60);
/// The pause after a failure: a full disk is mostly full for a while.
const FAILURE_PAUSE: Duration = Duration::from_secs(30);

/// One task.
pub(crate) struct Upkeep {
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    /// How often it is looked whether there is something to do.
    pub(crate) interval: Duration,
    /// When files were last reclaimed.
    pub(crate) reclaimed: Option<Instant>,
}

/// What a round of steps came to.
enum Round {
    /// Something was done, and perhaps there is more.
    Worked,
    Idle,
    Failed,
}

impl Upkeep {
    /// Runs until `shutdown`, which calls off what is under way.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let cancel = Cancel::default();
            let called_off = cancel.clone();
            let mut work = tokio::task::spawn_blocking(move || {
                let round = self.round(&cancel);
                (self, round)
            });
            let finished = tokio::select! {
                finished = &mut work => finished,
                () = shutdown.cancelled() => {
                    called_off.cancel();
                    work.await
                }
            };
            let round = match finished {
                Ok((upkeep, round)) => {
                    self = upkeep;
                    round
                }
                Err(error) => {
                    tracing::error!(%error, "the upkeep of the store panicked; files are no longer merged");
                    return;
                }
            };
            let pause = match round {
                Round::Worked => continue,
                Round::Idle => self.interval,
                Round::Failed => self.interval.max(FAILURE_PAUSE),
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn round(&mut self, cancel: &Cancel) -> Round {
        match self.steps(cancel) {
            Ok(true) => Round::Worked,
            Ok(false) => Round::Idle,
            Err(error) => {
                self.metrics.upkeep.failures.inc();
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::error!(%error, cause, "upkeep of the store failed; nothing is lost, it is tried again");
                Round::Failed
            }
        }
    }

    /// Whether anything was done.
    fn steps(&mut self, cancel: &Cancel) -> Result<bool, StoreError> {
        self.reclaim()?;
        let done = self.store.compact(SystemClock.now(), cancel)?;
        self.metrics.upkeep.observe(&self.store.upkeep_status());
        let Some(done) = done else { return Ok(false) };
        self.metrics.upkeep.compacted(&done);
        tracing::debug!(
            table = done.table.name(),
            day = done.day,
            files = done.files,
            rows = done.rows,
            bytes_read = done.bytes_read,
            bytes_written = done.bytes_written,
            "files merged"
        );
        Ok(true)
    }

    fn reclaim(&mut self) -> Result<(), StoreError> {
        let pause = RECLAIM_INTERVAL.min(self.interval);
        if self.reclaimed.is_some_and(|last| last.elapsed() < pause) {
            return Ok(());
        }
        self.reclaimed = Some(Instant::now());
        let reclaimed = self.store.reclaim(SystemClock.now())?;
        self.metrics.upkeep.reclaimed(&reclaimed);
        Ok(())
    }
}
