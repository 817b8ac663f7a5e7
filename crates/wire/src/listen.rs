//! What servers take connections from, and how many.
//!
//! Answers are short and come in several parts. By default the kernel holds the second part back until the client has
//! acknowledged the first, which it does up to 40 ms later when it has nothing to send: so it is told not to wait.
//!
//! A listener serves [`Limits::connections_max`] at once; further ones wait until one ends. Those that send nothing end:
//! HTTP/1 between requests and within a head after [`Limits::head_timeout`], HTTP/2 and gRPC before their first bytes
//! after the same time, and later when they leave a ping unanswered.

mod held;
mod reserved;
mod serve;

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::{Listener, ListenerExt as _};
use futures::Stream;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};

use held::{Gate, Held};
pub use serve::serve_http;

/// Idle HTTP/2 connections are asked this often whether they live, and end when no answer has come for so long.
pub const PING_INTERVAL: Duration = Duration::from_secs(60);
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The connections of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub connections_max: usize,
    /// How long a head may take, and a connection be without a request.
    pub head_timeout: Duration,
}

impl Limits {
    /// That many, but at most a quarter of the descriptors that the process may have; 60 s for a head.
    pub fn new(connections_max: usize) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(descriptors / 4).unwrap_or(usize::MAX);
        Self {
            connections_max: connections_max.min(most).max(1),
            head_timeout: Duration::from_secs(60),
        }
    }
}

/// Connections for an HTTP server.
pub fn http(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    listener.tap_io(|connection| {
        // One that is closed already; serving it will tell.
        let _closed = connection.set_nodelay(true);
    })
}

/// As [`http`], also when the process has used up its descriptors: four connections at once are served then.
pub fn http_reserved(
    listener: TcpListener,
) -> impl Listener<Io = reserved::Connection, Addr = SocketAddr> {
    reserved::Reserved::new(listener)
}

/// Connections for a gRPC server.
pub fn grpc(
    listener: TcpListener,
    limits: Limits,
) -> impl Stream<Item = std::io::Result<Held<TcpStream>>> {
    let gate = Gate::new(limits);
    let connections = (http(listener), gate);
    futures::stream::unfold(connections, async |(mut listener, gate)| {
        let permit = gate.enter().await;
        let (connection, _) = listener.accept().await;
        let held = Held::new(connection, permit, gate.limits());
        Some((Ok(held), (listener, gate)))
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn connections_send_without_waiting_for_acknowledgements() {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let listener = bind().await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (connection, _) = http(listener).accept().await;
        assert!(connection.nodelay().unwrap());
        drop(client);

        let listener = bind().await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let mut incoming = pin!(grpc(listener, Limits::new(1)));
        let connection = incoming.next().await;
        assert!(connection.unwrap().unwrap().get_ref().nodelay().unwrap());
        drop(client);
    }
}
