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
//! Books: requests `received = stored + repeated + refused{protocol,reason}`, those included that a listener refused before they
//! came here; records of stored requests `= stored + rejected{reason}`.

mod committer;
mod envelope;
mod recent;
mod replay;
mod request;
mod room;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use vervet_journal::Journal;
use vervet_model::{Clock, Signal, SystemClock, UnixNanos};
use vervet_store::{DecodeOptions, Decoded, Store};
use vervet_wire::http::remote_write::{WriteRequest, WriteSink, Written};
use vervet_wire::{Accepted, OtlpRequest, OtlpSink, Refusal, RefusedRequest, Room, Source};

use crate::derive::hints::logs_that_may_report;
use crate::derived::Derived;
use crate::metrics::Metrics;
use crate::start::Own;
use room::{Budget, BudgetRoom};

pub(crate) use committer::Committer;
pub(crate) use envelope::Envelope;
pub(crate) use recent::{Recent, Sequenced};
pub(crate) use replay::replay;
pub(crate) use request::{Kept, Request};
pub(crate) use room::HeadRoom;

/// Requests that may wait for the committer.
const WAITING_REQUESTS_MAX: usize = 1024;
/// When a sender should come back after a refusal for lack of room.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Instead of a protocol: samples that the collector writes itself.
const INTERNAL: &str = "internal";

/// A decoded request on its way to the journal.
pub(crate) struct Pending {
    pub(crate) request: Request,
    pub(crate) received_at: UnixNanos,
    pub(crate) decoded: Decoded,
    /// See [`Sequenced`].
    may_report: Option<Vec<u32>>,
    pub(crate) done: oneshot::Sender<Result<Kept, Refusal>>,
    /// Held until it is in the head, even if nobody waits for the answer any more.
    room: BudgetRoom,
}

/// Takes requests of any protocol. Cloning shares the queue.
#[derive(Clone)]
pub(crate) struct Ingest {
    store: Store,
    queue: mpsc::Sender<Pending>,
    budget: Budget,
    head: Arc<HeadRoom>,
    options: Arc<DecodeOptions>,
    metrics: Arc<Metrics>,
    derived: Arc<Derived>,
}

impl Ingest {
    /// The receiving end and the committer that must run for it to answer. `inflight_bytes_max` bounds the requests
    /// that are being received, decoded or wait for the journal; `head` is where they go.
    pub(crate) fn new(
        store: Store,
        journal: Journal,
        options: DecodeOptions,
        inflight_bytes_max: usize,
        head: Arc<HeadRoom>,
        own: &Own,
    ) -> (Self, Committer) {
        let (queue, waiting) = mpsc::channel(WAITING_REQUESTS_MAX);
        let committer = Committer {
            store: store.clone(),
            journal,
            waiting,
            head: Arc::clone(&head),
            recent: Arc::default(),
            metrics: Arc::clone(&own.metrics),
            health: Arc::clone(&own.health),
        };
        (
            Self {
                store,
                queue,
                budget: Budget::new(inflight_bytes_max),
                head,
                options: Arc::new(options),
                metrics: Arc::clone(&own.metrics),
                derived: Arc::clone(&own.derived),
            },
            committer,
        )
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Notes the agent that sent a request, and tells whether the request was stored before.
    fn is_known(&self, request: &Request) -> bool {
        let Some(source) = &request.source else {
            return false;
        };
        self.derived.agent_seen(source.agent(), SystemClock.now());
        is_repeat(&self.store, source, request.format.signal())
    }

    async fn store_request(&self, request: Request, room: Box<dyn Room>) -> Result<Kept, Refusal> {
        let (format, signal) = (request.format, request.format.signal());
        let repeated = self.is_known(&request);
        // An idle agent shows that it lives with an empty request under the identity of its last one: nothing came.
        if repeated && request.body.is_empty() {
            return Ok(Kept::default());
        }
        self.metrics.received(signal, request.body.len());
        if repeated {
            self.metrics.repeated(signal);
            return Ok(Kept::default());
        }
        let room = room.into_any().downcast::<BudgetRoom>();
        let mut room = room.map_or_else(|_another| self.budget.room(), |room| *room);
        let held = request.held_bytes();
        room.set(held)?;
        self.head.wait().await?;
        let received_at = SystemClock.now();
        let (store, body, options) = (
            self.store.clone(),
            request.body.clone(),
            Arc::clone(&self.options),
        );
        let decoding = tokio::task::spawn_blocking(move || {
            let decoded = store.decode(format, &body, &options, received_at);
            let decoded = decoded.map_err(|error| {
                Refusal::Invalid(format!("malformed {format} request: {error}"))
            })?;
            room.grow_to(held + decoded.memory_bytes())?;
            let may_report = logs_that_may_report(&decoded);
            Ok((decoded, may_report, room))
        });
        let decoding = decoding.await;
        let (decoded, may_report, room) =
            decoding.map_err(|error| unavailable(&error.to_string()))??;
        let (done, answer) = oneshot::channel();
        let pending = Pending {
            request,
            received_at,
            decoded,
            may_report,
            done,
            room,
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
        let result = self.accept_held(request, self.room()).await;
        if let Err(refusal) = &result {
            self.metrics.refused(signal, INTERNAL, refusal.reason());
        }
        result
    }

    fn room(&self) -> Box<dyn Room> {
        Box::new(self.budget.room())
    }

    async fn accept_held(
        &self,
        request: OtlpRequest,
        room: Box<dyn Room>,
    ) -> Result<Accepted, Refusal> {
        let kept = self.store_request(request.into(), room).await?;
        Ok(kept.accepted)
    }

    fn refused(&self, request: RefusedRequest) {
        if !request.delivered {
            self.metrics.received(request.signal, 0);
        }
        let protocol = request.protocol.as_str();
        self.metrics
            .refused(request.signal, protocol, request.reason);
    }
}

impl WriteSink for Ingest {
    async fn write(&self, request: WriteRequest, room: Box<dyn Room>) -> Result<Written, Refusal> {
        let kept = self.store_request(request.into(), room).await?;
        Ok(Written {
            samples: kept.stored,
            message: kept.accepted.message,
        })
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
