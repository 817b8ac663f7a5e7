//! When the writer stores positions and totals, and what it does when it cannot.

use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use tokio::time::Instant;
use vervet_journal::JournalError;

use super::BufferWriter;
use crate::buffer::blocking;

/// Between two looks whether positions are to be stored.
pub(super) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// Between two attempts to store them after one that has failed for another reason than room.
const CHECKPOINT_RETRY: Duration = Duration::from_secs(5);
/// Between two warnings that they cannot be stored.
const CHECKPOINT_WARNING: Duration = Duration::from_secs(60);

impl BufferWriter {
    pub(super) fn is_dirty(&self) -> bool {
        self.cursor
            .as_ref()
            .is_some_and(|cursor| cursor.committed() < self.through)
    }

    /// Looks whether positions are to be stored.
    pub(super) async fn checkpoint(&mut self) {
        self.next_checkpoint = Instant::now() + CHECKPOINT_INTERVAL;
        self.has_news = false;
        self.parts.books.forget_settled();
        if self.is_dirty() && self.is_due() {
            self.store_positions().await;
        }
    }

    /// Whether a segment waits for nothing but the positions, or recovery would read more than one. Fewer bytes must not
    /// have been appended than are written now.
    fn is_due(&self) -> bool {
        let holds_segment = self.journal.active_segment() != self.segment;
        let is_much = self.unstored_bytes >= self.segment_bytes_max as u64;
        (holds_segment || is_much)
            && self.unstored_bytes >= self.state_bytes
            && self.unstored_bytes >= self.checkpoints.lock().state_bytes() as u64
    }

    /// Stores positions and totals as of the last record. A failure is tried again; until then recovery reads more of the
    /// journal.
    pub(super) async fn store_positions(&mut self) {
        let Some(mut cursor) = self.cursor.take() else {
            return;
        };
        let (checkpoints, through) = (Arc::clone(&self.checkpoints), self.through);
        let segment = self.journal.active_segment();
        // Nothing is appended meanwhile.
        let (cursor, state_bytes, result) = blocking(move || {
            let mut checkpoints = checkpoints.lock();
            checkpoints.forget_over(StdInstant::now());
            let state = checkpoints.encode();
            drop(checkpoints);
            let result = cursor.commit(through, &state);
            (cursor, state.len() as u64, result)
        })
        .await;
        self.cursor = Some(cursor);
        let now = Instant::now();
        match result {
            Ok(()) => {
                self.keeping.stored();
                (self.unstored_bytes, self.state_bytes) = (0, state_bytes);
                self.segment = segment;
            }
            Err(error) => {
                self.keeping.failed(&error, self.parts.books.now());
                self.has_news = true;
                if !matches!(error, JournalError::NoSpace { .. }) {
                    self.next_checkpoint = now + CHECKPOINT_RETRY;
                }
                if now >= self.next_warning {
                    self.next_warning = now + CHECKPOINT_WARNING;
                    tracing::warn!(%error, "file positions could not be stored, they are in the buffer still");
                }
            }
        }
    }
}
