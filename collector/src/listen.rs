//! The listeners: API and UI, OTLP/HTTP, OTLP/gRPC. Each stops accepting at shutdown and finishes what is
//! under way.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vervet_wire::listen;

/// Streams that one HTTP/2 connection may have open.
const STREAMS_PER_CONNECTION_MAX: u32 = 256;

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
pub(crate) async fn serve_http(
    listener: TcpListener,
    router: Router,
    limits: listen::Limits,
    shutdown: CancellationToken,
) {
    listen::serve_http(
        listen::http(listener),
        router,
        limits,
        shutdown.cancelled_owned(),
    )
    .await;
}

/// Serves OTLP/gRPC until shutdown.
pub(crate) async fn serve_grpc(
    listener: TcpListener,
    routes: tonic::service::Routes,
    limits: listen::Limits,
    shutdown: CancellationToken,
) {
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(listen::PING_INTERVAL))
        .http2_keepalive_timeout(Some(listen::PING_TIMEOUT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(listen::grpc(listener, limits), shutdown.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the OTLP/gRPC listener failed");
    }
}
