//! The agent about itself, over HTTP: `/metrics`, `/livez`, `/readyz`, `/api/health`, `/api/vervet/v1/status`,
//! `/api/vervet/v1/tap`.

mod tap;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use vervet_journal::{CursorStats, Journal};
use vervet_model::Clock;

use crate::books::{BookLine, Books, PipelineLine, ReceiverLine};
use crate::budget::{MemoryUse, MemoryWatch};
use crate::exporters::CURSOR_PREFIX;
use crate::health::Stages;
use crate::kubernetes::{PodDirectory, SourceStatus};
use crate::metrics::AgentMetrics;
use crate::receivers::filelog::progress::FilesStatus;
use crate::tap::TapHub;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the agent knows of itself. Clones share it.
#[derive(Clone)]
pub(crate) struct SelfView {
    pub(crate) agent_id: Arc<str>,
    pub(crate) metrics: Arc<AgentMetrics>,
    pub(crate) books: Arc<Books>,
    pub(crate) journal: Journal,
    pub(crate) memory: MemoryWatch,
    pub(crate) stages: Stages,
    pub(crate) pods: PodDirectory,
    pub(crate) tap: TapHub,
    pub(crate) clock: Arc<dyn Clock>,
    /// Cancelled when answers without end must end.
    pub(crate) end: CancellationToken,
}

/// The answer of `/api/vervet/v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub agent_id: String,
    pub version: &'static str,
    /// Why data does not flow; empty when it does.
    pub complaints: Vec<String>,
    pub buffer: BufferStatus,
    pub memory: MemoryUse,
    /// The files being read.
    pub files: FilesStatus,
    /// The source of pods; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<SourceStatus>,
    /// Whether every line below adds up.
    pub balances: bool,
    /// One line per receiver and signal, since the process started.
    pub receivers: Vec<ReceiverLine>,
    /// One line per pipeline and exporter, from receiver to destination, since the exporter was started.
    pub pipelines: Vec<PipelineLine>,
    /// One line per exporter and signal, since the exporter exists.
    pub books: Vec<BookLine>,
    /// Where each exporter stands in the disk buffer.
    pub exporters: Vec<ExporterStatus>,
}

/// How far an exporter is behind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExporterStatus {
    pub exporter: String,
    /// Sequence up to which it has settled and stored that.
    pub committed: u64,
    /// Batches and bytes on disk behind that.
    pub behind_batches: u64,
    pub behind_bytes: u64,
    /// Batches taken from it because the disk budget was used up, since the process started.
    pub dropped_batches: u64,
    /// How long the oldest record that it has not settled has been in the buffer.
    pub oldest_age_seconds: Option<u64>,
}

/// The disk buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BufferStatus {
    pub disk_bytes: u64,
    pub disk_bytes_max: u64,
    pub segments: u64,
    pub last_sequence: u64,
    pub quarantined_bytes: u64,
    /// A failed sync has closed the buffer for writing.
    pub poisoned: bool,
}

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    complaints: Vec<String>,
}

impl SelfView {
    pub(crate) fn status(&self) -> Status {
        let stats = self.journal.stats();
        let (pipelines, books) = (self.books.pipelines(), self.books.lines());
        Status {
            agent_id: self.agent_id.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            complaints: self.complaints(),
            buffer: BufferStatus {
                disk_bytes: stats.disk_bytes,
                disk_bytes_max: stats.disk_bytes_max,
                segments: stats.segments,
                last_sequence: stats.last_sequence,
                quarantined_bytes: stats.quarantined_bytes,
                poisoned: stats.poisoned,
            },
            memory: self.memory.budget().usage(),
            files: self.metrics.filelog.progress.snapshot(),
            kubernetes: self.pods.status(),
            balances: pipelines.iter().all(|line| line.balances)
                && books.iter().all(BookLine::balances),
            receivers: self.metrics.intake().lines(),
            pipelines,
            books,
            exporters: self.exporters(stats.cursors),
        }
    }

    fn exporters(&self, cursors: Vec<CursorStats>) -> Vec<ExporterStatus> {
        let lines = cursors.into_iter().filter_map(|cursor| {
            let exporter = cursor.name.strip_prefix(CURSOR_PREFIX)?.to_owned();
            Some(ExporterStatus {
                committed: cursor.committed,
                behind_batches: cursor.lag_records,
                behind_bytes: cursor.lag_bytes,
                dropped_batches: cursor.dropped_records,
                oldest_age_seconds: self.books.oldest_age(&exporter).map(|age| age.as_secs()),
                exporter,
            })
        });
        lines.collect()
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.stages.complaints();
        complaints.extend(self.metrics.filelog.progress.complaints(Instant::now()));
        complaints.extend(self.memory.complaint());
        if self.journal.stats().poisoned {
            complaints.push("buffer: a failed sync has closed it for writing".to_owned());
        }
        complaints
    }
}

/// Every admin route.
pub(crate) fn router(view: SelfView) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/health", get(health))
        .route("/api/vervet/v1/status", get(status))
        .route("/api/vervet/v1/tap", get(tap::tap))
        .with_state(view)
}

/// Every admin route, for a listener on `address`.
pub(crate) fn router_on(address: SocketAddr, view: SelfView) -> Router {
    let router = router(view);
    match address.ip().is_loopback() {
        true => router.layer(middleware::from_fn(vervet_wire::http::guard::local_only)),
        false => router,
    }
}

async fn metrics(State(view): State<SelfView>) -> Response {
    (
        [(header::CONTENT_TYPE, OPENMETRICS)],
        view.metrics.encode_text(),
    )
        .into_response()
}

async fn ready(State(view): State<SelfView>) -> Response {
    let complaints = view.complaints();
    if complaints.is_empty() {
        return "ok\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        complaints.join("\n") + "\n",
    )
        .into_response()
}

async fn health(State(view): State<SelfView>) -> Response {
    let complaints = view.complaints();
    let (code, status) = match complaints.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "stuck"),
    };
    (code, Json(Health { status, complaints })).into_response()
}

async fn status(State(view): State<SelfView>) -> Json<Status> {
    Json(view.status())
}
