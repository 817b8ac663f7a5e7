//! The listeners: API and UI, OTLP/HTTP, OTLP/gRPC. Each stops accepting at shutdown and finishes what is
//! under way.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vervet_wire::listen;

/// Streams that one HTTP/2 connection may have open.
const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Idle HTTP/2 connections are probed this often.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// Binds a listener, naming what it is for when that fails.
///
/// # Errors
/// The address is taken or not allowed.
pub(crate) async fn bind(what: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {what}"))
}

/// Serves HTTP until shutdown.
pub(crate) async fn serve_http(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let served = axum::serve(listen::http(listener), router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "an HTTP listener failed");
    }
}

/// Serves OTLP/gRPC until shutdown.
pub(crate) async fn serve_grpc(
    listener: TcpListener,
    routes: tonic::service::Routes,
    shutdown: CancellationToken,
) {
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .add_routes(routes)
        .serve_with_incoming_shutdown(listen::grpc(listener), shutdown.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the OTLP/gRPC listener failed");
    }
}
