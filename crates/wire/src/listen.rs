//! What servers take connections from.
//!
//! Answers are short and come in several parts. By default the kernel holds the second part back until the client has
//! acknowledged the first, which it does up to 40 ms later when it has nothing to send: so it is told not to wait.

mod reserved;

use std::net::SocketAddr;

use axum::serve::{Listener, ListenerExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::TcpIncoming;

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
pub fn grpc(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;

    use tonic::codegen::tokio_stream::Stream as _;

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
        let mut incoming = grpc(listener);
        let connection = poll_fn(|context| Pin::new(&mut incoming).poll_next(context)).await;
        assert!(connection.unwrap().unwrap().nodelay().unwrap());
        drop(client);
    }
}
