//! The agent about itself, over HTTP: `/metrics`, `/livez`, `/readyz`, `/api/health`, `/api/vervet/v1/status`,
//! `/api/vervet/v1/tap`, `/api/v1/targets`.

mod status;
mod tap;
mod targets;

#[cfg(test)]
pub(crate) use status::LOSS_IS_RECENT;
pub(crate) use status::SelfView;
pub use status::{ExporterStatus, Status};

use std::net::SocketAddr;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Serialize;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every admin route.
pub(crate) fn router(view: SelfView) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/health", get(health))
        .route("/api/vervet/v1/status", get(status))
        .route("/api/vervet/v1/tap", get(tap::tap))
        .route("/api/v1/targets", get(targets::targets))
        .with_state(view)
}

/// Every admin route, for a listener on `address`.
pub(crate) fn router_on(address: SocketAddr, view: SelfView) -> Router {
    vervet_wire::http::guard::service(router(view), address, None)
}

async fn metrics(State(view): State<SelfView>) -> Response {
    (
        [(header::CONTENT_TYPE, OPENMETRICS)],
        view.metrics.encode_text(),
    )
        .into_response()
}

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    complaints: Vec<String>,
}

/// At once: whoever asks has a patience of its own.
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

/// Patiently: what has lasted.
async fn health(State(view): State<SelfView>) -> Response {
    let complaints = view.stuck();
    let (code, status) = match complaints.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "stuck"),
    };
    (code, Json(Health { status, complaints })).into_response()
}

async fn status(State(view): State<SelfView>) -> Json<Status> {
    Json(view.status())
}
