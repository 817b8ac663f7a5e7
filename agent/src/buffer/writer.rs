//! Takes batches from the receivers and makes them durable, many at a time.
//!
//! A group is one append: at most [`GROUP_BYTES_MAX`] of requests and no more than a segment, or one larger request.
//! When the journal has
//! no room, batches of files and scrapes wait here (their receivers wait behind them), and senders that
//! wait for an answer are refused at once.
//!
//! Positions travel in the records, so recovery knows them without a checkpoint; one is stored when a segment waits for
//! nothing else, when recovery would have to read more than a segment, when the journal is full (they may hold its oldest
//! segment) and at the end. No more is written for checkpoints than is appended.

mod checkpoint;
mod look;
mod pieces;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use vervet_journal::{Cursor, Entry, Journal, JournalError, RECORD_BYTES_LIMIT};

use checkpoint::CHECKPOINT_INTERVAL;

use super::keeping::PositionKeeping;
use super::positions::Checkpoints;
use super::record::{Amount, Totals, encode_header, note};
use super::{Buffer, blocking, tell_of_evictions};
use crate::agent::with_causes;
use crate::books::Books;
use crate::budget::{MemoryBudget, MemoryKind, MemoryPermit};
use crate::health::{StageHealth, Want};
use crate::metrics::AgentMetrics;
use crate::pipeline::{BatchQueue, PipelineError, Queued, signed};
use crate::stops::NOT_STORED;

const GROUP_BYTES_MAX: usize = 2 << 20;
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks whether the files are where they should be, and whether a disk that took nothing takes something
/// again while nothing waits for it.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Attempts between two warnings that the buffer takes nothing: a minute's worth.
const ATTEMPTS_PER_WARNING: u64 = 600;

/// What fails when batches cannot be stored.
const STORING: &str = "storing";

/// The reason for what no append can hold.
pub(crate) const TOO_LARGE: &str = "too_large";

/// What the writer shares with the rest of the agent.
pub(crate) struct WriterParts {
    pub(crate) queue: BatchQueue,
    pub(crate) books: Arc<Books>,
    pub(crate) metrics: Arc<AgentMetrics>,
    pub(crate) memory: MemoryBudget,
    /// Sequence up to which the books know the journal's records; exporters go no further.
    pub(crate) booked: watch::Sender<u64>,
    pub(crate) health: StageHealth,
    /// Cancelled when nothing new is to be taken: store what is queued, then end.
    pub(crate) drain: CancellationToken,
    /// Cancelled when waiting for room must end.
    pub(crate) give_up: CancellationToken,
}

pub(crate) struct BufferWriter {
    journal: Journal,
    /// Away only while a commit runs.
    cursor: Option<Cursor>,
    checkpoints: Arc<Mutex<Checkpoints>>,
    appending: Arc<Mutex<Totals>>,
    through: u64,
    next_checkpoint: Instant,
    /// Something was appended since the last look, or positions could not be stored.
    has_news: bool,
    /// Bytes appended since positions were stored, and what those took.
    unstored_bytes: u64,
    state_bytes: u64,
    /// The segment that was written to when they were.
    segment: u64,
    next_warning: Instant,
    keeping: PositionKeeping,
    next_look: Instant,
    pending: VecDeque<Queued>,
    segment_bytes_max: usize,
    failed_attempts: u64,
    /// How often files had been put back at the last look.
    put_back: u64,
    parts: WriterParts,
}

impl BufferWriter {
    pub(crate) fn new(buffer: Buffer, parts: WriterParts) -> Self {
        let through = buffer.journal.last_sequence();
        parts.booked.send_replace(through);
        tell_of_evictions(&buffer.journal, &parts.books, &buffer.appending);
        for (before, at) in &buffer.marks {
            parts.books.mark(before, *at);
        }
        let is_stored = buffer.cursor.committed() >= through;
        buffer.keeping.holds(&buffer.checkpoints.lock());
        Self {
            has_news: !is_stored,
            unstored_bytes: match is_stored {
                true => 0,
                false => buffer.segment_bytes_max as u64,
            },
            state_bytes: 0,
            segment: buffer.journal.active_segment(),
            next_warning: Instant::now(),
            keeping: buffer.keeping,
            journal: buffer.journal,
            cursor: Some(buffer.cursor),
            checkpoints: buffer.checkpoints,
            appending: buffer.appending,
            through,
            next_checkpoint: Instant::now() + CHECKPOINT_INTERVAL,
            next_look: Instant::now() + LOOK_INTERVAL,
            pending: VecDeque::new(),
            segment_bytes_max: buffer.segment_bytes_max,
            failed_attempts: 0,
            put_back: 0,
            parts,
        }
    }

    /// Runs until every sender is gone and everything is stored, or `give_up` is cancelled.
    ///
    /// A journal that has closed itself after a failed sync is mended as soon as the disk is well.
    ///
    /// # Errors
    /// It ends while the journal is closed. What was not stored was not acknowledged.
    pub(crate) async fn run(mut self) -> Result<(), JournalError> {
        // Whoever needs something of it is there by now.
        let journal = self.journal.clone();
        blocking(move || journal.keep_all(false)).await;
        while self.collect().await {
            while !self.pending.is_empty() {
                if Instant::now() >= self.next_look {
                    self.look().await;
                }
                if let Err(error) = self.store_group().await {
                    if self.wait_for_room(&error).await {
                        self.mend(&error).await;
                        continue;
                    }
                    self.abandon_all().await;
                    if matches!(error, JournalError::Poisoned { .. }) {
                        return Err(error);
                    }
                }
            }
        }
        if self.is_dirty() {
            self.store_positions().await;
        }
        Ok(())
    }

    /// Waits for the next batch and takes what else is there. False at the end.
    async fn collect(&mut self) -> bool {
        let first = loop {
            let (has_news, parts) = (self.has_news, &mut self.parts);
            let is_open = !parts.queue.ordinary.is_closed();
            tokio::select! {
                biased;
                () = parts.drain.cancelled(), if is_open => parts.queue.close(),
                first = parts.queue.next() => break first,
                () = sleep_until(self.next_checkpoint), if has_news => self.checkpoint().await,
                () = sleep_until(self.next_look) => self.look().await,
            }
        };
        let Some(first) = first else { return false };
        let mut bytes = first.batch.payload.len();
        self.pending.push_back(first);
        while bytes < GROUP_BYTES_MAX {
            // Both lanes in turn, so that neither starves the other.
            let queue = &mut self.parts.queue;
            let both = [
                queue.durable.try_recv().ok(),
                queue.ordinary.try_recv().ok(),
            ];
            let before = self.pending.len();
            for queued in both.into_iter().flatten() {
                bytes += queued.batch.payload.len();
                self.pending.push_back(queued);
            }
            if self.pending.len() == before {
                break;
            }
        }
        if self.has_news && Instant::now() >= self.next_checkpoint {
            self.checkpoint().await;
        }
        true
    }

    /// Appends as much of what is pending as one append may hold.
    async fn store_group(&mut self) -> Result<(), JournalError> {
        self.parts.health.waits();
        let group_bytes_max = self.group_bytes_max();
        let mut bytes = 0;
        let fits = self.pending.iter().take_while(|queued| {
            bytes += queued.batch.payload.len();
            bytes <= group_bytes_max
        });
        let mut count = fits.count().max(1);
        let mut checkpointed = false;
        loop {
            match self.append(count).await {
                Ok((sequences, bytes)) => {
                    self.unstored_bytes += bytes;
                    self.stored(count, *sequences.end());
                    return Ok(());
                }
                Err(JournalError::TooLarge { .. }) if count > 1 => count = 1,
                Err(JournalError::TooLarge { bytes_max, .. }) => {
                    self.split_or_drop(bytes_max);
                    return Ok(());
                }
                // The checkpoints may be what holds the oldest segment.
                Err(JournalError::Full { .. } | JournalError::NoSpace { .. })
                    if self.is_dirty() && !checkpointed =>
                {
                    checkpointed = true;
                    self.store_positions().await;
                }
                // There may be room for less.
                Err(JournalError::Full { .. } | JournalError::NoSpace { .. }) if count > 1 => {
                    count = 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the journal take appends again, if the disk does.
    async fn mend(&self, error: &JournalError) {
        if !matches!(error, JournalError::Poisoned { .. }) {
            return;
        }
        let journal = self.journal.clone();
        // The next attempt fails as this one did, and says so once a minute.
        let _still_closed = blocking(move || journal.mend()).await;
    }

    /// The sequences, and how many bytes they took.
    async fn append(&self, count: usize) -> Result<(RangeInclusive<u64>, u64), JournalError> {
        let mut before = self.checkpoints.lock().totals;
        *self.appending.lock() = before;
        let now = self.parts.books.now();
        let mut records: Vec<(u8, Vec<u8>, Bytes)> = Vec::with_capacity(count);
        for queued in self.pending.iter().take(count) {
            let batch = &queued.batch;
            let mut header = Vec::with_capacity(128);
            encode_header(
                &mut header,
                &queued.receiver,
                batch.records,
                now,
                &before,
                &batch.positions,
            );
            before.add(batch.signal, amount_of(queued));
            records.push((batch.signal as u8, header, batch.payload.clone()));
        }
        let (journal, note) = (self.journal.clone(), note(&before));
        let copied = records
            .iter()
            .map(|(_, header, payload)| header.len() + payload.len());
        let bytes = copied.sum();
        let room = self.room_for_copy(bytes).await;
        let appended = blocking(move || {
            // Until the copy is written.
            let _room = room;
            let parts: Vec<[&[u8]; 2]> = records
                .iter()
                .map(|(_, header, payload)| [&header[..], &payload[..]])
                .collect();
            let entries = records
                .iter()
                .zip(&parts)
                .map(|((kind, ..), parts)| Entry { kind: *kind, parts });
            journal.append_noting(&entries.collect::<Vec<_>>(), &note)
        });
        Ok((appended.await?, bytes as u64))
    }

    /// What one append may copy: no more than is reserved for copies in any case.
    fn group_bytes_max(&self) -> usize {
        let reserve = usize::try_from(self.parts.memory.reserve()).unwrap_or(usize::MAX);
        GROUP_BYTES_MAX.min(reserve).min(self.segment_bytes_max)
    }

    /// A batch over the reserve is copied all the same, with as much of its bytes accounted for as there is: those who
    /// hold the rest wait for the writer.
    async fn room_for_copy(&self, bytes: usize) -> MemoryPermit {
        let memory = &self.parts.memory;
        match memory.try_acquire(MemoryKind::Buffer, bytes) {
            Some(permit) => permit,
            None => {
                memory
                    .acquire(MemoryKind::Buffer, bytes.min(self.group_bytes_max()))
                    .await
            }
        }
    }

    /// The first `count` pending batches are durable up to sequence `last`.
    fn stored(&mut self, count: usize, last: u64) {
        // An exporter that opens its book meanwhile finds totals and books in step.
        let mut checkpoints = self.checkpoints.lock();
        // So does whoever reads both sides of the books.
        let mut intake = self.parts.books.intake().lock();
        let books = &self.parts.books;
        books.mark(&checkpoints.totals, books.now());
        for mut queued in self.pending.drain(..count.min(self.pending.len())) {
            let (signal, amount) = (queued.batch.signal, amount_of(&queued));
            checkpoints.apply(&queued.receiver, &queued.batch.positions);
            if !queued.batch.news.is_empty() {
                checkpoints.told(&queued.receiver, &queued.batch.news, StdInstant::now());
            }
            checkpoints.totals.add(signal, amount);
            books.appended(signal, amount);
            intake.buffered(&queued.receiver, signal, amount, !queued.is_awaited());
            leave_queue(&self.parts.metrics, &queued);
            self.parts
                .metrics
                .buffered(&queued.receiver, signal, amount.records, amount.bytes);
            let payload = std::mem::take(&mut queued.batch.payload);
            self.parts.queue.rooms.give_back(payload);
            queued.settle(Ok(()));
        }
        checkpoints.through = last;
        drop(intake);
        self.keeping.holds(&checkpoints);
        drop(checkpoints);
        self.through = last;
        self.has_news = true;
        self.failed_attempts = 0;
        self.parts.health.moved();
        self.parts.health.works(STORING);
        self.parts.booked.send_replace(last);
    }

    fn drop_too_large(&self, queued: Queued, bytes_max: u64) {
        let bytes = queued.batch.payload.len();
        tracing::error!(receiver = %queued.receiver, bytes, bytes_max, "batch too large for the buffer, dropped");
        let limit =
            usize::try_from(bytes_max.min(u64::from(RECORD_BYTES_LIMIT))).unwrap_or(usize::MAX);
        if !queued.is_awaited() {
            self.count_drop(&queued, TOO_LARGE);
        }
        queued.settle(Err(PipelineError::TooLarge {
            bytes,
            bytes_max: limit,
        }));
    }

    /// Refuses whoever waits for an answer, then pauses. False when it is time to give up.
    async fn wait_for_room(&mut self, error: &JournalError) -> bool {
        if self.failed_attempts.is_multiple_of(ATTEMPTS_PER_WARNING) {
            let error = with_causes(error);
            tracing::warn!(error, "buffer takes nothing at the moment, receivers wait");
        }
        self.failed_attempts += 1;
        self.parts.health.waits_for(match error {
            JournalError::Full { .. } => Want::Budget,
            JournalError::NoSpace { .. } => Want::Volume,
            _ => Want::Other,
        });
        let is_full = matches!(
            error,
            JournalError::Full { .. } | JournalError::NoSpace { .. }
        );
        let fault = (!is_full).then(|| format!("{}; receivers wait", with_causes(error)));
        self.parts.health.fails(STORING, fault);
        let (awaited, waiting) = self.pending.drain(..).partition(Queued::is_awaited);
        self.pending = waiting;
        let refused: VecDeque<Queued> = awaited;
        refused.into_iter().for_each(refuse);
        if self.pending.is_empty() {
            return !self.parts.give_up.is_cancelled();
        }
        let pause = sleep(RETRY_INTERVAL);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = self.parts.give_up.cancelled() => return false,
                () = &mut pause => return true,
                Some(queued) = self.parts.queue.durable.recv() => refuse(queued),
            }
        }
    }

    /// Gives up on everything pending and queued: what is queued behind a batch that was not stored must not be
    /// stored either, or the positions in it would pass over that batch.
    async fn abandon_all(&mut self) {
        self.parts.queue.close();
        while let Some(queued) = self.parts.queue.next().await {
            self.pending.push_back(queued);
        }
        self.abandon_pending();
    }

    fn abandon_pending(&mut self) {
        for queued in std::mem::take(&mut self.pending) {
            self.abandon(queued);
        }
    }

    /// Files are read again from their stored positions, if they are still there; what scrapes brought is lost.
    fn abandon(&self, mut queued: Queued) {
        if queued.is_awaited() {
            // It was never received.
        } else if queued.batch.positions.is_empty() {
            self.count_drop(&queued, NOT_STORED);
        } else {
            let (signal, amount) = (queued.batch.signal, amount_of(&queued));
            let parts = std::mem::take(&mut queued.batch.parts);
            let abandoned = &self.parts.queue.abandoned;
            abandoned.gave_up(&queued.receiver, signal, amount, parts);
        }
        queued.settle(Err(PipelineError::Closed));
    }

    fn count_drop(&self, queued: &Queued, reason: &'static str) {
        let (metrics, batch) = (&self.parts.metrics, &queued.batch);
        metrics.gave_up(&queued.receiver, batch.signal, reason, amount_of(queued));
    }
}

impl Drop for BufferWriter {
    /// One that is ended before it has stored everything, because its disk does not answer, has lost what it held.
    fn drop(&mut self) {
        self.parts.queue.close();
        while let Some(queued) = self.parts.queue.try_next() {
            self.pending.push_back(queued);
        }
        self.abandon_pending();
    }
}

fn refuse(queued: Queued) {
    queued.settle(Err(PipelineError::overloaded()));
}

/// An awaited batch counts as received only now; the others have been counted as waiting.
fn leave_queue(metrics: &AgentMetrics, queued: &Queued) {
    let (signal, Amount { records, bytes }) = (queued.batch.signal, amount_of(queued));
    if queued.is_awaited() {
        metrics.received(&queued.receiver, signal, records, bytes);
    } else {
        metrics.waiting(&queued.receiver, signal, -signed(records), -signed(bytes));
    }
}

fn amount_of(queued: &Queued) -> Amount {
    Amount {
        records: queued.batch.records,
        bytes: queued.batch.payload.len() as u64,
    }
}

#[cfg(test)]
mod tests;
