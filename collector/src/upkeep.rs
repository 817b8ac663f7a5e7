//! Keeps the store in shape beside ingestion and queries: drops what is too old or too much, deletes rows that are
//! to go, merges small files, and gives disk space back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use vervet_model::{Clock, SystemClock};
use vervet_store::{Cancel, Store, StoreError};

use crate::health::with_causes;
use crate::metrics::Metrics;

/// What is too old or too much is dropped, and what nobody reads any more deleted, this often.
const CLEAN_INTERVAL: Duration = Duration::from_secs(60);
/// The pause after a failure: a full disk is mostly full for a while.
const FAILURE_PAUSE: Duration = Duration::from_secs(30);

/// One task.
pub(crate) struct Upkeep {
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    /// How often it is looked whether there is something to do.
    pub(crate) interval: Duration,
    /// When files were last dropped and deleted.
    pub(crate) cleaned: Option<Instant>,
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
        let result = self.steps(cancel);
        let failure = result.as_ref().err().map(|error| with_causes(error));
        if let Some(error) = &failure {
            self.metrics.upkeep.failures.inc();
            tracing::error!(
                error,
                "upkeep of the store failed; nothing is lost, it is tried again"
            );
        }
        self.store.note_upkeep(SystemClock.now(), failure);
        self.metrics.upkeep.observe(&self.store.upkeep_status());
        match result {
            Ok(true) => Round::Worked,
            Ok(false) => Round::Idle,
            Err(_error) => Round::Failed,
        }
    }

    /// One step of each kind. Whether there may be more to do.
    fn steps(&mut self, cancel: &Cancel) -> Result<bool, StoreError> {
        self.clean()?;
        let deleting = self.store.delete_step(SystemClock.now(), cancel)?.is_some();
        let merged = self.store.compact(SystemClock.now(), cancel)?;
        if let Some(done) = &merged {
            self.metrics.upkeep.compacted(done);
            tracing::debug!(
                table = done.table.name(),
                day = done.day,
                files = done.files,
                rows = done.rows,
                bytes_read = done.bytes_read,
                bytes_written = done.bytes_written,
                "files merged"
            );
        }
        Ok(deleting || merged.is_some())
    }

    fn clean(&mut self) -> Result<(), StoreError> {
        let pause = CLEAN_INTERVAL.min(self.interval);
        if self.cleaned.is_some_and(|last| last.elapsed() < pause) {
            return Ok(());
        }
        self.cleaned = Some(Instant::now());
        let retained = self.store.retain(SystemClock.now())?;
        for (reason, dropped) in [("age", retained.by_age), ("size", retained.by_size)] {
            self.metrics.upkeep.dropped(reason, &dropped);
            if dropped.files > 0 {
                tracing::info!(
                    reason,
                    files = dropped.files,
                    rows = dropped.rows,
                    bytes = dropped.bytes,
                    "data beyond its retention dropped"
                );
            }
        }
        let reclaimed = self.store.reclaim(SystemClock.now())?;
        self.metrics.upkeep.reclaimed(&reclaimed);
        self.metrics.upkeep.unclaimed(self.store.unclaimed());
        Ok(())
    }
}
