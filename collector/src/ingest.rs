//! From a received request to durable, queryable rows.
//!
//! ```text
//! request -> byte budget -> decode (in parallel) -> committer: journal append + fsync -> head -> answer
//! ```
//!
//! The committer is one thread: it takes all requests that wait, appends them with one fsync, applies
//! them to the store's head in journal order and answers. Everything answered `Ok` is in the journal, and
//! after a crash [`replay`] brings what was not yet stored in segments back into the head.
//!
//! A batch of one of our agents that was stored before is answered without being stored again. Batches are compared
//! within their lane: the identities `ID#0` to `ID#3` in journal and store are one agent's.
//!
//! Books: requests `received = stored + repeated + refused{reason}`; records of stored requests
//! `= stored + rejected{reason}`.

mod committer;
mod envelope;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use vervet_journal::Journal;
use vervet_model::{Clock, Signal, SystemClock, UnixNanos};
use vervet_store::{DecodeOptions, Decoded, Store, decode};
use vervet_wire::{Accepted, OtlpRequest, OtlpSink, Refusal, Source};

use crate::derived::Derived;
use crate::metrics::Metrics;
use crate::start::Own;

pub(crate) use committer::Committer;
pub(crate) use envelope::Envelope;
pub(crate) use replay::replay;

/// Requests that may wait for the committer.
const WAITING_REQUESTS_MAX: usize = 1024;
/// The unit in which the byte budget is counted (bytes).
const PERMIT_BYTES: usize = 1024;
/// When a sender should come back after a refusal for lack of room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A decoded request on its way to the journal.
pub(crate) struct Pending {
    pub(crate) request: OtlpRequest,
    pub(crate) received_at: UnixNanos,
    pub(crate) decoded: Decoded,
    pub(crate) done: oneshot::Sender<Result<Accepted, Refusal>>,
}

/// Takes OTLP requests of any protocol. Cloning shares the queue.
#[derive(Clone)]
pub(crate) struct Ingest {
    store: Store,
    queue: mpsc::Sender<Pending>,
    budget: Arc<Semaphore>,
    options: Arc<DecodeOptions>,
    metrics: Arc<Metrics>,
    derived: Arc<Derived>,
}

impl Ingest {
    /// The receiving end and the committer that must run for it to answer. `inflight_bytes_max` bounds
    /// the bodies that are being decoded or wait for the journal.
    pub(crate) fn new(
        store: Store,
        journal: Journal,
        options: DecodeOptions,
        inflight_bytes_max: usize,
        own: &Own,
    ) -> (Self, Committer) {
        let (queue, waiting) = mpsc::channel(WAITING_REQUESTS_MAX);
        let committer = Committer {
            store: store.clone(),
            journal,
            waiting,
            metrics: Arc::clone(&own.metrics),
            health: Arc::clone(&own.health),
        };
        let budget = Arc::new(Semaphore::new(inflight_bytes_max / PERMIT_BYTES));
        (
            Self {
                store,
                queue,
                budget,
                options: Arc::new(options),
                metrics: Arc::clone(&own.metrics),
                derived: Arc::clone(&own.derived),
            },
            committer,
        )
    }

    async fn store_request(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        if let Some(source) = &request.source {
            self.derived.agent_seen(source.agent(), SystemClock.now());
            if is_repeat(&self.store, source, request.signal) {
                self.metrics.repeated(request.signal);
                return Ok(Accepted::default());
            }
        }
        let permits = u32::try_from(request.body.len() / PERMIT_BYTES + 1).unwrap_or(u32::MAX);
        let overloaded = Refusal::Overloaded {
            retry_after: RETRY_AFTER,
        };
        let _permit = self
            .budget
            .try_acquire_many(permits)
            .map_err(|_exhausted| overloaded.clone())?;
        let received_at = SystemClock.now();
        let (body, signal, options) = (
            request.body.clone(),
            request.signal,
            Arc::clone(&self.options),
        );
        let decoded =
            tokio::task::spawn_blocking(move || decode(signal, &body, &options, received_at))
                .await
                .map_err(|error| unavailable(&error.to_string()))?
                .map_err(|error| {
                    Refusal::Invalid(format!("malformed OTLP {signal} request: {error}"))
                })?;
        let (done, answer) = oneshot::channel();
        let pending = Pending {
            request,
            received_at,
            decoded,
            done,
        };
        self.queue
            .send(pending)
            .await
            .map_err(|_closed| unavailable("the collector is shutting down"))?;
        answer
            .await
            .map_err(|_closed| unavailable("the collector is shutting down"))?
    }
}

impl OtlpSink for Ingest {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        let signal = request.signal;
        self.metrics.received(signal, request.body.len());
        let result = self.store_request(request).await;
        if let Err(refusal) = &result {
            self.metrics.refused(signal, refusal);
        }
        result
    }
}

/// Whether the store has the batch already, by the lane it came in (see [`Source::is_repeat`]).
fn is_repeat(store: &Store, source: &Source, signal: Signal) -> bool {
    source.is_repeat(|identity| store.agent_sequence(identity, signal))
}

fn unavailable(reason: &str) -> Refusal {
    Refusal::Unavailable {
        reason: reason.to_owned(),
        retry_after: RETRY_AFTER,
    }
}

#[cfg(test)]
mod tests;
