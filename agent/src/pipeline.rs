//! What receivers hand over, and the bounded way to the disk buffer.
//!
//! In: [`Batch`]es from receivers. Out: the same batches in the same order per receiver, read by the buffer.
//! There are two lanes, so that a file being read as fast as the disk allows never starves a client that
//! waits for its answer: [`BatchSender::send`] waits for room, [`BatchSender::send_durable`] is refused
//! when there is none. The lanes hold at most [`SOURCE_BATCHES_MAX`] and [`LANE_BATCHES_MAX`] batches, and their kinds' shares of the
//! [`MemoryBudget`] in bytes.

mod file_state;
mod rooms;
mod split;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use vervet_model::{Clock, Signal};

use crate::budget::{MemoryBudget, MemoryKind, MemoryPermit};
use crate::buffer::Amount;
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;
use crate::processors::Chains;
use crate::stops::NOT_STORED;
use crate::stops::files::AbandonedFiles;
pub use crate::stops::files::{FileFate, FilePart};
use crate::tap::TapHub;
pub use file_state::{FileNews, FileState};
pub use rooms::Rooms;

/// Requests of clients waiting for the buffer, at most.
pub const LANE_BATCHES_MAX: usize = 256;
/// Batches of files and scrapes waiting for the buffer, at most: enough to keep it busy. More would only take memory.
pub const SOURCE_BATCHES_MAX: usize = 4;
/// When a refused sender should come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Records of one signal, ready to be stored and sent.
#[derive(Debug, Clone)]
pub struct Batch {
    pub signal: Signal,
    /// An OTLP export request (protobuf, not compressed), at most 64 MiB less a few KiB.
    pub payload: Bytes,
    /// Log records, data points or spans in it.
    pub records: u64,
    /// Where the files it was read from resume once it is durable.
    pub positions: Vec<FilePosition>,
    /// What has become of files whose positions were stored before.
    pub news: Vec<FileNews>,
    /// What each of those files gave to it.
    pub parts: Vec<FilePart>,
}

/// How far a file has been read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct FilePosition {
    pub path: String,
    pub device: u64,
    pub inode: u64,
    /// Hash of the first `prefix_len` bytes, which tells a reused inode from the same file.
    pub prefix_hash: u64,
    pub prefix_len: u16,
    /// The next byte to read; of a compressed file, of what it holds uncompressed.
    pub offset: u64,
    /// Hash of the `tail_len` bytes before the offset: what tells a file that was cut and has grown again, and
    /// what a copy of the file must hold there.
    pub tail_hash: u64,
    pub tail_len: u8,
    /// When the file was last written to, as far as is known (nanoseconds since the epoch, 0 when unknown).
    pub modified_unix_nano: u64,
    /// Size on disk of a compressed file that has been read to its end; 0 for all others.
    pub compressed_bytes: u64,
    /// Places before the offset, the nearest first: what a copy that ends before the offset must hold.
    pub waymarks: [Waymark; WAYMARKS_MAX],
}

/// How many places before its offset are known of a file.
pub const WAYMARKS_MAX: usize = 9;

/// A place in a file. None where `back` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Waymark {
    /// Bytes before the offset.
    pub back: u32,
    /// Hash of the 64 bytes before the place.
    pub hash: u32,
}

/// A batch that waits for room: when its receiver ends before there is any, what is not read again is lost, and counted.
struct Unsent<'s> {
    sender: &'s BatchSender,
    batch: Option<Batch>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.sender.not_taken(batch);
        }
    }
}

/// The agent is shutting down; nothing more is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline is closed")]
pub struct PipelineClosed;

/// Why a batch was not made durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// The agent is shutting down. Retry against the next instance.
    #[error("the pipeline is closed")]
    Closed,
    /// The buffer or the way to it is full. Back off and retry.
    #[error("the buffer is full; retry in {} s", retry_after.as_secs())]
    Overloaded { retry_after: Duration },
    /// The batch can never be stored. Give up.
    #[error("a batch of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// No pipeline takes this signal from this receiver. Give up.
    #[error("no pipeline takes {signal} from this receiver")]
    NoPipeline { signal: Signal },
}

/// What every receiver is given.
#[derive(Clone)]
pub struct ReceiverContext {
    pub output: BatchSender,
    /// Resource attributes from the configuration, to be put on everything the receiver makes.
    pub resource: Vec<(String, String)>,
    /// What happens to records before they are sent on; receivers apply it.
    pub chains: Chains,
    /// The pods of this node.
    pub pods: PodDirectory,
    /// Where this receiver's files resume, as of the last batch that became durable.
    pub resume: Vec<FilePosition>,
    pub metrics: Arc<AgentMetrics>,
    pub shutdown: CancellationToken,
    pub clock: Arc<dyn Clock>,
}

/// The receivers' end of the way to the buffer. Clones share lanes and budgets.
#[derive(Clone)]
pub struct BatchSender {
    receiver: Arc<str>,
    signals: SignalSet,
    ordinary: mpsc::Sender<Queued>,
    durable: mpsc::Sender<Queued>,
    budget: MemoryBudget,
    rooms: Rooms,
    metrics: Arc<AgentMetrics>,
    on_the_way: TaskTracker,
    tap: TapHub,
    abandoned: AbandonedFiles,
    batch_bytes: usize,
}

/// The buffer's end.
pub struct BatchQueue {
    pub(crate) rooms: Rooms,
    pub(crate) abandoned: AbandonedFiles,
    pub(crate) ordinary: mpsc::Receiver<Queued>,
    pub(crate) durable: mpsc::Receiver<Queued>,
}

/// One batch on its way, with the receiver it came from.
pub struct Queued {
    pub receiver: Arc<str>,
    pub batch: Batch,
    pub(crate) reply: Option<oneshot::Sender<Result<(), PipelineError>>>,
    permit: Option<MemoryPermit>,
    on_the_way: TaskTrackerToken,
}

/// The signals a receiver may send, as pipelines allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalSet(u8);

impl SignalSet {
    pub const ALL: Self = Self(0b1110);

    #[must_use]
    pub fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << signal as u8)
    }

    pub fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << signal as u8) != 0
    }
}

/// Opens the way, with a memory budget of its own of `memory_bytes`. The sender is named `receiver` and
/// may send every signal; see [`BatchSender::for_receiver`].
pub fn channel(
    receiver: &str,
    memory_bytes: usize,
    metrics: Arc<AgentMetrics>,
) -> (BatchSender, BatchQueue) {
    channel_within(receiver, MemoryBudget::new(memory_bytes as u64), metrics)
}

/// Opens the way within a budget that others share.
pub fn channel_within(
    receiver: &str,
    budget: MemoryBudget,
    metrics: Arc<AgentMetrics>,
) -> (BatchSender, BatchQueue) {
    let (ordinary, ordinary_queue) = mpsc::channel(SOURCE_BATCHES_MAX);
    let (durable, durable_queue) = mpsc::channel(LANE_BATCHES_MAX);
    let sender = BatchSender {
        receiver: receiver.into(),
        signals: SignalSet::ALL,
        ordinary,
        durable,
        budget,
        rooms: Rooms::default(),
        metrics,
        on_the_way: TaskTracker::new(),
        tap: TapHub::default(),
        abandoned: AbandonedFiles::default(),
        batch_bytes: usize::MAX,
    };
    let queue = BatchQueue {
        rooms: sender.rooms.clone(),
        abandoned: sender.abandoned.clone(),
        ordinary: ordinary_queue,
        durable: durable_queue,
    };
    (sender, queue)
}

impl BatchSender {
    /// The same way under another receiver's name, for the signals its pipelines take.
    #[must_use]
    pub fn for_receiver(&self, receiver: &str, signals: SignalSet) -> Self {
        Self {
            receiver: receiver.into(),
            signals,
            on_the_way: TaskTracker::new(),
            ..self.clone()
        }
    }

    /// The same end, for other signals.
    #[must_use]
    pub(crate) fn with_signals(&self, signals: SignalSet) -> Self {
        Self {
            signals,
            ..self.clone()
        }
    }

    /// The same end for a buffer that has many batches of `bytes` beside each other.
    #[must_use]
    pub(crate) fn with_batch_bytes(self, bytes: usize) -> Self {
        Self {
            batch_bytes: bytes,
            ..self
        }
    }

    /// Receivers that choose how large their batches are send one when it has so many bytes.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    /// The receiver this end belongs to.
    pub fn receiver(&self) -> &str {
        &self.receiver
    }

    /// Where what is sent can be looked at.
    pub(crate) fn tap(&self) -> TapHub {
        self.tap.clone()
    }

    /// The batches of files that were given up.
    pub(crate) fn abandoned(&self) -> &AbandonedFiles {
        &self.abandoned
    }

    /// The batches of this end and its clones that are queued and neither durable nor given up.
    pub(crate) fn on_the_way(&self) -> TaskTracker {
        self.on_the_way.clone()
    }

    /// Memory for payloads.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// The memory budget that batches on their way are held in.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Queues a batch, waiting for room as long as it takes. Batches of one receiver stay in order.
    /// A batch whose signal no pipeline takes is dropped and counted.
    ///
    /// # Errors
    /// The agent is shutting down; the batch was not taken.
    pub async fn send(&self, batch: Batch) -> Result<(), PipelineClosed> {
        let (signal, records, bytes) = (batch.signal, batch.records, batch.payload.len() as u64);
        if !self.signals.contains(signal) {
            self.metrics
                .receiver_dropped(&self.receiver, signal, "no_pipeline", records, bytes);
            return Ok(());
        }
        let amount = Amount { records, bytes };
        let held_bytes = batch.held_bytes();
        let mut unsent = Unsent {
            sender: self,
            batch: Some(batch),
        };
        let permit = tokio::select! {
            biased;
            permit = self.budget.acquire(MemoryKind::Source, held_bytes) => permit,
            () = self.ordinary.closed() => return Err(PipelineClosed),
        };
        let slot = self.ordinary.reserve().await;
        let slot = slot.map_err(|_closed| PipelineClosed)?;
        if let Some(batch) = unsent.batch.take() {
            self.metrics.took(&self.receiver, signal, amount);
            slot.send(self.queued(batch, permit, None));
        }
        Ok(())
    }

    /// Counts a batch that will not be sent: what comes from nowhere again is lost.
    pub(crate) fn not_taken(&self, batch: Batch) {
        let (signal, records, bytes) = (batch.signal, batch.records, batch.payload.len() as u64);
        match batch.positions.is_empty() {
            true => {
                self.metrics
                    .receiver_dropped(&self.receiver, signal, NOT_STORED, records, bytes);
            }
            false => self
                .abandoned
                .not_taken(&self.receiver, signal, batch.parts),
        }
    }

    /// Stores a batch and returns once it is durable in the journal.
    ///
    /// # Errors
    /// See [`PipelineError`]; the batch is not stored, except that a crash while waiting may leave it stored.
    pub async fn send_durable(&self, batch: Batch) -> Result<(), PipelineError> {
        self.send_durable_held(batch, None).await
    }

    /// As [`Self::send_durable`], for a batch whose bytes the budget has given a permit for already.
    ///
    /// # Errors
    /// As [`Self::send_durable`].
    pub async fn send_durable_held(
        &self,
        batch: Batch,
        permit: Option<MemoryPermit>,
    ) -> Result<(), PipelineError> {
        let signal = batch.signal;
        if !self.signals.contains(signal) {
            return Err(PipelineError::NoPipeline { signal });
        }
        self.try_durable(batch, permit).await
    }

    async fn try_durable(
        &self,
        batch: Batch,
        permit: Option<MemoryPermit>,
    ) -> Result<(), PipelineError> {
        let bytes = batch.held_bytes();
        let permit = match permit {
            Some(mut permit) => {
                permit.shrink_to(bytes);
                permit.try_grow_to(bytes).then_some(permit)
            }
            None => self.budget.try_acquire(MemoryKind::Request, bytes),
        };
        let permit = permit.ok_or_else(PipelineError::overloaded)?;
        let (reply, answer) = oneshot::channel();
        let queued = self.queued(batch, permit, Some(reply));
        self.durable.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PipelineError::overloaded(),
            mpsc::error::TrySendError::Closed(_) => PipelineError::Closed,
        })?;
        answer.await.unwrap_or(Err(PipelineError::Closed))
    }

    fn queued(
        &self,
        batch: Batch,
        permit: MemoryPermit,
        reply: Option<oneshot::Sender<Result<(), PipelineError>>>,
    ) -> Queued {
        self.tap.offer(&self.receiver, &batch);
        Queued {
            receiver: Arc::clone(&self.receiver),
            batch,
            reply,
            permit: Some(permit),
            on_the_way: self.on_the_way.token(),
        }
    }
}

impl BatchQueue {
    /// The next batch of either lane; `None` when every sender is gone and both lanes are empty.
    pub async fn next(&mut self) -> Option<Queued> {
        let (ordinary, durable) = (&mut self.ordinary, &mut self.durable);
        tokio::select! {
            biased;
            Some(queued) = durable.recv() => Some(queued),
            Some(queued) = ordinary.recv() => Some(queued),
            else => None,
        }
    }

    /// Takes nothing new; what is queued can still be read.
    pub(crate) fn close(&mut self) {
        self.ordinary.close();
        self.durable.close();
    }

    /// What is queued now.
    pub(crate) fn try_next(&mut self) -> Option<Queued> {
        let durable = self.durable.try_recv().ok();
        durable.or_else(|| self.ordinary.try_recv().ok())
    }
}

impl Queued {
    /// Tells a waiting sender what became of the batch and gives its budget back.
    pub fn settle(self, result: Result<(), PipelineError>) {
        if result.is_ok() {
            self.batch
                .parts
                .iter()
                .for_each(|part| part.fate.set_stored());
        }
        if let Some(reply) = self.reply {
            // A sender that has gone away does not want the answer.
            let _gone = reply.send(result);
        }
    }

    /// Whether a sender waits for the batch to be durable.
    pub fn is_awaited(&self) -> bool {
        self.reply.is_some()
    }
}

impl PipelineError {
    pub(crate) fn overloaded() -> Self {
        Self::Overloaded {
            retry_after: RETRY_AFTER,
        }
    }
}

impl Batch {
    /// What it takes in memory.
    fn held_bytes(&self) -> usize {
        let positions: usize = self.positions.iter().map(|p| p.path.len() + 64).sum();
        self.payload.len() + positions
    }
}

impl fmt::Debug for BatchSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchSender")
            .field("receiver", &self.receiver)
            .field("signals", &self.signals)
            .finish_non_exhaustive()
    }
}

pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
