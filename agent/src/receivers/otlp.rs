//! Receives OTLP over gRPC and HTTP.
//!
//! A request is answered with success once it is durable in the journal. A malformed one is refused for good, one
//! that finds the buffer full is refused with a delay to retry after. Records are decoded for
//! the pipeline's processors and to see that every byte can be read. On loopback, OTLP/HTTP serves only
//! requests that name a local host and that no other site's page has made.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::transport::Server;
use vervet_model::Signal;
use vervet_wire::{
    Accepted, DecodeError, OtlpRequest, OtlpSink, Refusal, RefusedRequest, Room, grpc, http, listen,
};

use crate::budget::{MemoryBudget, MemoryKind, MemoryPermit};
use crate::config::{Mistakes, OtlpReceiverSpec, listen_address};
use crate::pipeline::{Batch, PipelineError, ReceiverContext};
use crate::processors::{Drops, Processed};
use crate::resource::ResourceDefaults;

/// Largest request body unless the configuration says otherwise (bytes).
const BODY_BYTES_DEFAULT: u64 = 16 << 20;
/// Largest request body that can be configured: a journal record holds it and its header (bytes).
const BODY_BYTES_MAX: u64 = 63 << 20;
/// Connections of each listener, unless the configuration says otherwise.
const CONNECTIONS_DEFAULT: usize = 1_024;
const CONNECTIONS_MAX: usize = 65_536;
/// Time for one gRPC request, waiting for the disk included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests of this size and more are processed away from the async threads (bytes), and all those for which
/// processors search texts: how long that takes is for the sender to say, not for the size.
const PROCESS_APART_BYTES: usize = 128 << 10;
/// Requests that are processed away from the async threads at once; the others wait, held in their room.
const PROCESSINGS_MAX: usize = 4;
const RETRY_AFTER_SHUTDOWN: Duration = Duration::from_secs(5);

/// The settings of an `otlp` receiver, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpReceiverConfig {
    pub grpc: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    pub body_bytes_max: usize,
    /// Of each listener.
    pub connections_max: usize,
}

impl TryFrom<OtlpReceiverSpec> for OtlpReceiverConfig {
    type Error = Mistakes;

    fn try_from(spec: OtlpReceiverSpec) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        mistakes.demand(
            spec.grpc.is_some() || spec.http.is_some(),
            &["grpc", "http"],
            "say where to listen: `grpc`, `http` or both",
        );
        let mut address = |key, text: Option<String>| {
            let address = listen_address(&text?, spec.auth);
            mistakes.note(&[key, "auth"], address)
        };
        let (grpc, http) = (address("grpc", spec.grpc), address("http", spec.http));
        let body_bytes_max = spec.body_max.map_or(BODY_BYTES_DEFAULT, |size| size.0);
        mistakes.demand(
            (1..=BODY_BYTES_MAX).contains(&body_bytes_max),
            &["body_max"],
            "body_max must be between 1 and 63MiB",
        );
        let connections_max = spec.connections_max.unwrap_or(CONNECTIONS_DEFAULT);
        mistakes.demand(
            (1..=CONNECTIONS_MAX).contains(&connections_max),
            &["connections_max"],
            "connections_max must be between 1 and 65536",
        );
        mistakes.or(Some(Self {
            grpc,
            http,
            connections_max,
            body_bytes_max: usize::try_from(body_bytes_max).unwrap_or(usize::MAX),
        }))
    }
}

/// Receives OTLP.
pub struct OtlpReceiver {
    config: OtlpReceiverConfig,
    context: ReceiverContext,
    grpc: Option<TcpListener>,
    http: Option<TcpListener>,
}

impl OtlpReceiver {
    /// Serves on listeners that are bound already, so that an address in use stops the start.
    pub fn new(
        config: OtlpReceiverConfig,
        context: ReceiverContext,
        grpc: Option<TcpListener>,
        http: Option<TcpListener>,
    ) -> Self {
        Self {
            config,
            context,
            grpc,
            http,
        }
    }

    /// Serves until the shutdown token is cancelled, then lets requests under way finish.
    pub async fn run(self) {
        let sink = Sink {
            processings: Arc::new(Semaphore::new(PROCESSINGS_MAX)),
            resource: Arc::new(ResourceDefaults::new(&self.context.resource)),
            context: Arc::new(self.context.clone()),
        };
        let budget = self.context.output.budget();
        let share = usize::try_from(budget.bytes_max(MemoryKind::Request)).unwrap_or(usize::MAX);
        // A request that could never be held is refused for good, with the limit that keeps it out.
        let body_bytes_max = self.config.body_bytes_max.min(share);
        let limits = listen::Limits::new(self.config.connections_max);
        let grpc = serve_grpc(self.grpc, &sink, (body_bytes_max, limits), &self.context);
        let http = serve_http(self.http, &sink, (body_bytes_max, limits), &self.context);
        tokio::join!(grpc, http);
    }
}

async fn serve_grpc(
    listener: Option<TcpListener>,
    sink: &Sink,
    (body_bytes_max, limits): (usize, listen::Limits),
    context: &ReceiverContext,
) {
    let Some(listener) = listener else { return };
    let shutdown = context.shutdown.clone().cancelled_owned();
    let served = Server::builder()
        .timeout(REQUEST_TIMEOUT)
        .http2_keepalive_interval(Some(listen::PING_INTERVAL))
        .http2_keepalive_timeout(Some(listen::PING_TIMEOUT))
        .add_routes(grpc::routes(sink, body_bytes_max))
        .serve_with_incoming_shutdown(listen::grpc(listener, limits), shutdown)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "otlp grpc listener failed");
    }
}

async fn serve_http(
    listener: Option<TcpListener>,
    sink: &Sink,
    (body_bytes_max, limits): (usize, listen::Limits),
    context: &ReceiverContext,
) {
    let Some(listener) = listener else { return };
    let shutdown = context.shutdown.clone().cancelled_owned();
    let mut router = http::router(sink.clone(), body_bytes_max);
    if let Ok(address) = listener.local_addr() {
        router = http::guard::telemetry(router, address, None, sink.clone());
    }
    listen::serve_http(listen::http(listener), router, limits, shutdown).await;
}

/// Puts requests into the pipeline.
#[derive(Clone)]
struct Sink {
    context: Arc<ReceiverContext>,
    resource: Arc<ResourceDefaults>,
    /// Shared by both protocols.
    processings: Arc<Semaphore>,
}

impl OtlpSink for Sink {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        self.accept_held(request, self.room()).await
    }

    fn refused(&self, request: RefusedRequest) {
        let receiver = self.context.output.receiver();
        self.context.metrics.refused(receiver, request);
    }

    fn room(&self) -> Box<dyn Room> {
        Box::new(RequestRoom {
            budget: self.context.output.budget().clone(),
            permit: None,
        })
    }

    async fn accept_held(
        &self,
        request: OtlpRequest,
        room: Box<dyn Room>,
    ) -> Result<Accepted, Refusal> {
        let permit = room.into_any().downcast::<RequestRoom>();
        let permit = permit.ok().and_then(|room| room.permit);
        let signal = request.signal;
        let Processed {
            payload,
            records,
            drops,
        } = self.process(signal, request.body).await?;
        if records > 0 {
            let batch = Batch {
                signal,
                payload,
                records,
                positions: Vec::new(),
                news: Vec::new(),
                parts: Vec::new(),
            };
            let sent = self.context.output.send_durable_held(batch, permit).await;
            sent.map_err(refusal)?;
        }
        // Only now: a sender that was told to retry sends them again.
        self.count(drops, signal);
        Ok(Accepted::default())
    }
}

impl Sink {
    async fn process(&self, signal: Signal, body: Bytes) -> Result<Processed, Refusal> {
        let sink = self.clone();
        let bytes = body.len();
        let process = move || -> Result<Processed, DecodeError> {
            let body = sink.resource.add_to(body)?;
            sink.context.chains.of(signal).request(signal, body)
        };
        let searches = self.context.chains.of(signal).searches();
        let processed = if bytes < PROCESS_APART_BYTES && !searches {
            process()
        } else {
            let failed = || Refusal::Unavailable {
                reason: "the request could not be processed".to_owned(),
                retry_after: RETRY_AFTER_SHUTDOWN,
            };
            let turn = Arc::clone(&self.processings).acquire_owned().await;
            let turn = turn.map_err(|_closed| failed())?;
            let processed = tokio::task::spawn_blocking(move || {
                // Held until the work is done, even if nobody waits for it any more.
                let _turn = turn;
                process()
            });
            processed.await.map_err(|_aborted| failed())?
        };
        processed.map_err(|error| Refusal::Invalid(format!("the request is malformed: {error}")))
    }

    fn count(&self, mut drops: Drops, signal: Signal) {
        let context = &self.context;
        drops.count(&context.metrics, context.output.receiver(), signal);
    }
}

/// A request's part of the memory budget.
struct RequestRoom {
    budget: MemoryBudget,
    permit: Option<MemoryPermit>,
}

impl Room for RequestRoom {
    fn set(&mut self, bytes: usize) -> Result<(), Refusal> {
        let most = self.budget.bytes_max(MemoryKind::Request);
        if bytes as u64 > most {
            // It would find no room however often it came back.
            let limit = usize::try_from(most).unwrap_or(usize::MAX);
            return Err(Refusal::NoRoomEver {
                bytes,
                limit,
                setting: "a part of the agent's limits.memory",
            });
        }
        let has_room = match &mut self.permit {
            Some(permit) => {
                permit.shrink_to(bytes);
                permit.try_grow_to(bytes)
            }
            None => {
                self.permit = self.budget.try_acquire(MemoryKind::Request, bytes);
                self.permit.is_some()
            }
        };
        match has_room {
            true => Ok(()),
            false => Err(refusal(PipelineError::overloaded())),
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

fn refusal(error: PipelineError) -> Refusal {
    match error {
        PipelineError::Overloaded { retry_after } => Refusal::Overloaded { retry_after },
        PipelineError::TooLarge { bytes_max, .. } => Refusal::TooLarge { limit: bytes_max },
        PipelineError::NoPipeline { .. } => Refusal::Invalid(error.to_string()),
        PipelineError::Closed => Refusal::Unavailable {
            reason: "the agent is shutting down".to_owned(),
            retry_after: RETRY_AFTER_SHUTDOWN,
        },
    }
}
