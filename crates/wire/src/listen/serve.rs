//! Serves HTTP/1 and HTTP/2 on one listener.

use std::pin::pin;

use axum::Router;
use axum::body::Body;
use axum::serve::Listener;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::held::{Gate, Held};
use super::{Limits, PING_INTERVAL, PING_TIMEOUT};

/// Serves until `shutdown`, then lets requests under way finish. Connections without one are closed then.
pub async fn serve_http<L: Listener>(
    mut listener: L,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let mut server = Builder::new(TokioExecutor::new());
    let timer = TokioTimer::new();
    server
        .http1()
        .timer(timer.clone())
        .header_read_timeout(limits.head_timeout)
        .http2()
        .timer(timer)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let gate = Gate::new(limits);
    let (closes, is_closing) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = gate.enter().await;
            let (connection, _) = listener.accept().await;
            Held::new(connection, place, limits)
        };
        let held = tokio::select! {
            biased;
            () = &mut shutdown => break,
            held = next => held,
        };
        let service = router.clone();
        let service = service.map_request(|request: Request<Incoming>| request.map(Body::new));
        let connection = TokioIo::new(held);
        let connection = server.serve_connection(connection, TowerToHyperService::new(service));
        let connection = connection.into_owned();
        let mut is_closing = is_closing.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            // What goes wrong with a connection is its client's.
            tokio::select! {
                _ended = connection.as_mut() => return,
                _closing = is_closing.changed() => {}
            }
            connection.as_mut().graceful_shutdown();
            let _ended = connection.await;
        });
    }
    drop((listener, is_closing));
    let _none_is_left = closes.send(());
    closes.closed().await;
}

#[cfg(test)]
mod tests;
