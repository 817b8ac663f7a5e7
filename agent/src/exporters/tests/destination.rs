//! A destination that speaks OTLP/gRPC and OTLP/HTTP on one port, knows repeats as our collector does, and answers
//! otherwise when it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use axum::serve::Listener;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use vervet_model::Signal;
use vervet_wire::otlp::{encode_response, for_each_log};
use vervet_wire::receiver::{AGENT_ID_KEY, SEQUENCE_KEY, source_from};
use vervet_wire::{Accepted, OtlpRequest, OtlpSink, Refusal, Source, grpc, http::decompress};

const BODY_BYTES_MAX: usize = 16 << 20;

/// What OTLP/HTTP answers instead of taking a request.
pub(super) type Answer = (u16, Vec<(&'static str, String)>, String);
/// Looks at texts and headers before anything is stored.
pub(super) type Judge = dyn Fn(&[String], &http::HeaderMap) -> Option<Answer> + Send + Sync;

pub(super) struct Destination {
    pub(super) address: SocketAddr,
    pub(super) sink: Sink,
    server: JoinHandle<()>,
}

#[derive(Clone)]
pub(super) struct Sink(Arc<Shared>);

struct Shared {
    state: Mutex<Stored>,
    judge: Box<Judge>,
    /// How long an answer takes.
    delay: Duration,
}

#[derive(Default)]
pub(super) struct Stored {
    pub(super) lines: Vec<String>,
    highest: HashMap<String, u64>,
    pub(super) repeats: usize,
    /// When each request came.
    pub(super) came_at: Vec<Instant>,
    pub(super) encodings: Vec<String>,
    under_way: HashMap<String, usize>,
    /// Most requests at once, in all and in one lane.
    pub(super) peak: usize,
    pub(super) peak_in_lane: usize,
    /// Sequences by lane, as they came.
    pub(super) sequences: HashMap<String, Vec<u64>>,
}

impl Destination {
    pub(super) async fn start() -> Self {
        Self::with(|_, _| None, Duration::ZERO, None).await
    }

    pub(super) async fn with(
        judge: impl Fn(&[String], &http::HeaderMap) -> Option<Answer> + Send + Sync + 'static,
        delay: Duration,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let sink = Sink(Arc::new(Shared {
            state: Mutex::default(),
            judge: Box::new(judge),
            delay,
        }));
        let http = |signal| {
            post(
                move |State(sink): State<Sink>, request: Request| async move {
                    sink.export(signal, request).await
                },
            )
        };
        let http = Router::new()
            .route("/v1/logs", http(Signal::Logs))
            .route("/v1/metrics", http(Signal::Metrics))
            .with_state(sink.clone());
        let router = grpc::routes(&sink, BODY_BYTES_MAX)
            .into_axum_router()
            .merge(http);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            match tls {
                None => axum::serve(listener, router).await,
                Some(config) => {
                    let acceptor = TlsAcceptor::from(config);
                    axum::serve(TlsListener { listener, acceptor }, router).await
                }
            }
            .expect("serves");
        });
        Self {
            address,
            sink,
            server,
        }
    }

    pub(super) fn state<T>(&self, look: impl FnOnce(&Stored) -> T) -> T {
        look(&self.sink.0.state.lock())
    }

    /// Everything stored, sorted.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.state(|state| state.lines.clone());
        lines.sort();
        lines
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Sink {
    async fn export(&self, signal: Signal, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let text = |key: &str| {
            head.headers
                .get(key)
                .map(|value| value.to_str().expect("text"))
        };
        let encoding = text("content-encoding").unwrap_or_default();
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX)
            .await
            .expect("whole");
        let body = decompress(body, encoding, BODY_BYTES_MAX).expect("intact");
        self.0.state.lock().encodings.push(encoding.to_owned());
        let source = source_from(text(AGENT_ID_KEY), text(SEQUENCE_KEY)).expect("whole or absent");
        assert_eq!(text("content-type"), Some("application/x-protobuf"));
        self.0.state.lock().came_at.push(Instant::now());
        let (status, headers, body) = match (self.0.judge)(&bodies(&body), &head.headers) {
            Some((status, headers, body)) => (status, headers, body.into()),
            None => {
                let accepted = self
                    .take(OtlpRequest {
                        signal,
                        body,
                        source,
                        received: None,
                    })
                    .await;
                let protobuf = ("content-type", "application/x-protobuf".to_owned());
                (
                    200,
                    vec![protobuf],
                    encode_response(accepted.rejected, &accepted.message),
                )
            }
        };
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(body.into()).expect("valid")
    }

    async fn take(&self, request: OtlpRequest) -> Accepted {
        let lane = request
            .source
            .as_ref()
            .map(|source| source.agent_id.clone());
        let lane = lane.unwrap_or_default();
        self.0.state.lock().enter(&lane, request.source.as_ref());
        tokio::time::sleep(self.0.delay).await;
        let mut state = self.0.state.lock();
        *state.under_way.get_mut(&lane).expect("entered") -= 1;
        state.store(&request)
    }
}

impl Stored {
    fn enter(&mut self, lane: &str, source: Option<&Source>) {
        let in_lane = self.under_way.entry(lane.to_owned()).or_default();
        *in_lane += 1;
        self.peak_in_lane = self.peak_in_lane.max(*in_lane);
        self.peak = self.peak.max(self.under_way.values().sum());
        if let Some(source) = source {
            let sequences = self.sequences.entry(lane.to_owned()).or_default();
            sequences.push(source.sequence);
        }
    }

    fn store(&mut self, request: &OtlpRequest) -> Accepted {
        if let Some(source) = &request.source {
            let highest = |identity: &str| self.highest.get(identity).copied().unwrap_or(0);
            if source.is_repeat(highest) {
                self.repeats += 1;
                return Accepted::default();
            }
            self.highest
                .insert(source.agent_id.clone(), source.sequence);
        }
        self.lines.extend(bodies(&request.body));
        Accepted::default()
    }
}

impl OtlpSink for Sink {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        self.0.state.lock().came_at.push(Instant::now());
        match (self.0.judge)(&bodies(&request.body), &http::HeaderMap::new()) {
            None => Ok(self.take(request).await),
            Some((413, _, _)) => Err(Refusal::TooLarge { limit: 1 }),
            Some((503, _, reason)) => Err(Refusal::Unavailable {
                reason,
                retry_after: Duration::from_millis(1),
            }),
            Some((_, _, reason)) => Err(Refusal::Invalid(reason)),
        }
    }
}

fn bodies(request: &[u8]) -> Vec<String> {
    let mut bodies = Vec::new();
    for_each_log(request, |_, _, record| {
        bodies.push(record.body.to_text().into_owned());
    })
    .expect("valid");
    bodies
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.expect("accepts");
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
