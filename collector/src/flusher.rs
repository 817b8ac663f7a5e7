//! Moves the head into segments when it is large or old enough, and frees the journal behind it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vervet_journal::Cursor;
use vervet_model::{Clock, SystemClock};
use vervet_store::Store;

use crate::health::{Health, with_causes};
use crate::ingest::HeadRoom;
use crate::metrics::Metrics;

/// The store's cursor in the journal. The catalog's position is the one that counts; this one only lets
/// the journal delete what is stored.
pub(crate) const CURSOR: &str = "store";

/// How often the head is looked at when nobody says that it is full, and the pause after a failure.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// One task.
pub(crate) struct Flusher {
    pub(crate) store: Store,
    pub(crate) head: Arc<HeadRoom>,
    pub(crate) cursor: Cursor,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
}

impl Flusher {
    /// Runs until `shutdown`, then flushes once more.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut failed = false;
        loop {
            let last = tokio::select! {
                () = shutdown.cancelled() => true,
                () = self.head.due(), if !failed => false,
                () = tokio::time::sleep(CHECK_INTERVAL) => false,
            };
            if last || self.store.should_flush(SystemClock.now()) {
                let task = tokio::task::spawn_blocking(move || {
                    let flushed = self.flush();
                    (self, flushed)
                });
                match task.await {
                    Ok((flusher, flushed)) => {
                        self = flusher;
                        failed = !flushed;
                        self.head.flushed();
                    }
                    Err(error) => {
                        tracing::error!(%error, "the flusher panicked; rows stay in memory and in the journal");
                        return;
                    }
                }
            }
            if last {
                return;
            }
        }
    }

    /// Returns whether it succeeded.
    #[tracing::instrument(skip_all)]
    fn flush(&mut self) -> bool {
        let result = self.store.flush();
        let succeeded = result.is_ok();
        self.health.flush_finished(succeeded);
        match result {
            Ok(None) => {}
            Ok(Some(report)) => {
                self.metrics.flushes.inc();
                tracing::debug!(
                    rows = report.rows,
                    files = report.files,
                    bytes = report.bytes,
                    "head flushed"
                );
                if let Err(error) = self.cursor.commit(report.journal_position, &[]) {
                    tracing::warn!(%error, "journal cursor not moved; disk space is freed later");
                }
            }
            Err(error) => {
                self.metrics.flush_failures.inc();
                let error = with_causes(&error);
                tracing::error!(
                    error,
                    "flush failed; rows stay in memory and in the journal, retrying"
                );
            }
        }
        succeeded
    }
}
