//! One receiver, exporter or listener at work.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::shapes::Shape;
use crate::receivers::filelog::change::{Change, ChangeSlot};

/// A task, what it was made from, and how it is told to end. Dropping it ends it at once.
pub(super) struct Component {
    pub(super) shape: Shape,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Its batches that are not durable yet.
    on_the_way: Option<TaskTracker>,
    /// Where it looks for a change of its configuration, if it can change at work.
    changes: Option<ChangeSlot>,
}

impl Component {
    pub(super) fn spawn(
        shape: Shape,
        stop: CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            shape,
            stop,
            task: tokio::spawn(work),
            on_the_way: None,
            changes: None,
        }
    }

    pub(super) fn with_changes(mut self, changes: ChangeSlot) -> Self {
        self.changes = Some(changes);
        self
    }

    /// Tells it to become another without an end; false when it cannot.
    pub(super) fn change(&mut self, shape: Shape, change: Change) -> bool {
        match &self.changes {
            Some(changes) if !self.task.is_finished() && !self.stop.is_cancelled() => {
                changes.put(change);
                self.shape = shape;
                true
            }
            _ => false,
        }
    }

    pub(super) fn with_batches(mut self, on_the_way: TaskTracker) -> Self {
        self.on_the_way = Some(on_the_way);
        self
    }

    /// Whether one of its name would go on where it was.
    pub(super) fn keeps_places(&self) -> bool {
        self.changes.is_some()
    }

    /// Whether it may have batches that are not durable yet, which its successor must wait for.
    pub(super) fn is_leaving(&self) -> bool {
        let has_batches = |batches: &TaskTracker| !batches.is_empty();
        !self.task.is_finished() || self.on_the_way.as_ref().is_some_and(has_batches)
    }

    /// Tells it to end.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for its end; false when the time is up first.
    pub(super) async fn ended_by(&mut self, end: Instant) -> bool {
        if self.task.is_finished() {
            return true;
        }
        match timeout_at(end, &mut self.task).await {
            Ok(result) => {
                report(result.err());
                true
            }
            Err(_elapsed) => false,
        }
    }

    /// Ends it, for good after `patience`.
    pub(super) async fn end(mut self, patience: Duration) {
        self.stop();
        if let Ok(result) = timeout(patience, &mut self.task).await {
            report(result.err());
        }
    }

    /// Ends it, and waits until all that it ever sent is durable or given up, so that its successor finds
    /// everything in the positions.
    pub(super) async fn settle(mut self) {
        self.stop();
        report((&mut self.task).await.err());
        if let Some(on_the_way) = self.on_the_way.take() {
            on_the_way.close();
            on_the_way.wait().await;
        }
    }

    /// Ends it here and now.
    pub(super) async fn abort(&mut self) {
        self.task.abort();
        if !self.task.is_finished() {
            // Cancelled, or ended just before.
            let _ended = (&mut self.task).await;
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

fn report(error: Option<tokio::task::JoinError>) {
    if let Some(error) = error {
        tracing::error!(%error, "a task has failed");
    }
}
