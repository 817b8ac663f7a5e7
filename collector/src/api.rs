//! The HTTP surface: one table of routes.
//!
//! A handler extracts, makes one call into the domain and shapes the answer. Each API answers errors in
//! its own shape. Bodies are capped on every route; answers are not cached unless they are assets.

mod answer;
mod delete;
mod errors;
mod health;
mod listed;
mod loki;
mod params;
mod prometheus;
mod response;
#[cfg(feature = "sql")]
mod sql;
mod status;
mod tempo;
mod ui;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use vervet_alerting::Manager;
use vervet_error_groups::ErrorStore;
use vervet_journal::Journal;
use vervet_model::UnixNanos;
use vervet_store::Store;
use vervet_wire::http;

use crate::config::CollectorConfig;
use crate::derived::Derived;
use crate::health::Health;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::query::QueryService;

pub(crate) use status::Rates;

/// Largest body of a query (bytes); OTLP has a limit of its own.
const QUERY_BODY_BYTES_MAX: usize = 1 << 20;

/// What handlers reach.
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) queries: QueryService,
    pub(crate) errors: Arc<ErrorStore>,
    pub(crate) alerts: Arc<Manager>,
    pub(crate) journal: Journal,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) derived: Arc<Derived>,
    /// Why rule files were refused at the start.
    pub(crate) rule_errors: Vec<String>,
    pub(crate) health: Arc<Health>,
    pub(crate) data_dir: PathBuf,
    pub(crate) rates: Rates,
    pub(crate) environment: String,
    pub(crate) external_url: Option<String>,
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    pub(crate) settings: Settings,
    pub(crate) started: UnixNanos,
}

/// The configuration as it is shown.
pub(crate) struct Settings {
    yaml: String,
    /// How long metrics are kept; empty where they are kept for ever.
    retention: String,
}

impl Settings {
    pub(crate) fn of(config: &CollectorConfig) -> Self {
        Self {
            yaml: config.shown(),
            retention: config.shown_retention(),
        }
    }
}

type Shared = Arc<Context>;

/// All routes. `otlp_body_bytes_max` limits OTLP bodies before and after decompression.
pub(crate) fn router(context: Context, ingest: Ingest, otlp_body_bytes_max: usize) -> Router {
    let (listen, known_as) = (context.listen, context.external_url.clone());
    let api = prometheus_routes()
        .route("/loki/api/v1/query", get(loki::query))
        .route("/loki/api/v1/query_range", get(loki::query_range))
        .route("/loki/api/v1/labels", get(loki::labels))
        .route("/loki/api/v1/label/{name}/values", get(loki::label_values))
        .route("/loki/api/v1/series", get(loki::series).post(loki::series))
        .route("/tempo/api/traces/{id}", get(tempo::trace))
        .route("/tempo/api/search", get(tempo::search))
        .route("/tempo/api/echo", get(tempo::echo))
        .route("/api/vervet/v1/status", get(status::status))
        .route("/api/vervet/v1/services", get(status::services))
        .route("/api/vervet/v1/errors", get(errors::list))
        .route("/api/vervet/v1/errors/{id}", get(errors::detail))
        .route("/api/vervet/v1/errors/{id}/resolve", post(errors::resolve))
        .route("/api/vervet/v1/errors/{id}/reopen", post(errors::reopen))
        .route("/api/vervet/v1/errors/{id}/ignore", post(errors::ignore))
        .route(
            "/api/vervet/v1/delete",
            get(delete::list).post(delete::enter),
        )
        .route("/api/vervet/v1/delete/{id}", get(delete::detail))
        .route("/api/health", get(health::health))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics));
    #[cfg(feature = "sql")]
    let api = api.route("/api/vervet/v1/sql", get(sql::sql).post(sql::sql));
    let api = api
        .fallback(ui::serve)
        .layer(DefaultBodyLimit::max(QUERY_BODY_BYTES_MAX))
        .with_state(Arc::new(context));
    let all = http::router(ingest.clone(), otlp_body_bytes_max)
        .merge(http::remote_write::router(ingest, otlp_body_bytes_max))
        .merge(api);
    http::guard::site(all, listen, known_as.as_deref())
}

fn prometheus_routes() -> Router<Shared> {
    Router::new()
        .route(
            "/api/v1/query",
            get(prometheus::query).post(prometheus::query),
        )
        .route(
            "/api/v1/query_range",
            get(prometheus::query_range).post(prometheus::query_range),
        )
        .route(
            "/api/v1/labels",
            get(prometheus::labels).post(prometheus::labels),
        )
        .route("/api/v1/label/{name}/values", get(prometheus::label_values))
        .route(
            "/api/v1/series",
            get(prometheus::series).post(prometheus::series),
        )
        .route("/api/v1/metadata", get(prometheus::metadata))
        .route("/api/v1/rules", get(prometheus::rules))
        .route("/api/v1/alerts", get(prometheus::alerts))
        .route("/api/v1/status/buildinfo", get(prometheus::buildinfo))
        .route("/api/v1/status/flags", get(prometheus::flags))
        .route("/api/v1/status/config", get(prometheus::config))
        .route("/api/v1/status/runtimeinfo", get(prometheus::runtimeinfo))
        .route("/api/v1/status/tsdb", get(prometheus::tsdb))
        .route("/api/v1/targets", get(prometheus::targets))
        .route("/federate", get(prometheus::federate))
        .route(
            "/api/v1/format_query",
            get(prometheus::format_query).post(prometheus::format_query),
        )
        .route(
            "/api/v1/parse_query",
            get(prometheus::parse_query).post(prometheus::parse_query),
        )
        .route(
            "/api/v1/query_exemplars",
            get(prometheus::query_exemplars).post(prometheus::query_exemplars),
        )
}
