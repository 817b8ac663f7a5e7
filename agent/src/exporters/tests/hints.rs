//! A destination that speaks another protocol is told with what to do about it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use vervet_wire::{Accepted, OtlpRequest, OtlpSink, Refusal, grpc};

use super::rig::Rig;
use super::wait_until;

const USE_HTTP: &str = "use `type: otlphttp`";
const USE_GRPC: &str = "use `type: otlp`";

/// Answers whatever comes with `answer`, and closes.
async fn answering(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut some = [0; 1024];
                let _read = connection.read(&mut some).await;
                let _written = connection.write_all(answer).await;
                let _closed = connection.shutdown().await;
                while connection.read(&mut some).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    address
}

#[derive(Clone)]
struct Sink;

impl OtlpSink for Sink {
    async fn accept(&self, _request: OtlpRequest) -> Result<Accepted, Refusal> {
        Ok(Accepted::default())
    }
}

/// A gRPC server.
async fn speaking_grpc() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let incoming = TcpIncoming::from(listener);
    let routes = grpc::routes(&Sink, 1 << 20);
    tokio::spawn(
        Server::builder()
            .add_routes(routes)
            .serve_with_incoming(incoming),
    );
    address
}

/// The first error of an exporter of that type, which holds its records.
async fn error(kind: &str, address: SocketAddr) -> String {
    let mut rig = Rig::new(1 << 20);
    rig.append(&["held".to_owned()]).expect("room");
    let settings =
        format!("type: {kind}, endpoint: 'http://{address}', retry: {{initial: 2ms, max: 20ms}}");
    let running = rig.start("main", &settings).await;
    let last = || rig.metrics.standings.of("main")?.last_error;
    wait_until("an error", || last().is_some()).await;
    running.stop().await;
    assert_eq!(rig.book("main").held.records, 1, "it is tried again");
    last().expect("told").message
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_to_a_port_that_speaks_http_is_told_so() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"[..],
        b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/html\r\ncontent-length: 3\r\n\r\nno\n",
    ] {
        let message = error("otlp", answering(answer).await).await;
        assert!(message.contains(USE_HTTP), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_without_tls_to_a_port_that_has_it_is_told_so() {
    let message = error("otlp", answering(b"\x15\x03\x01\0\x02\x02\x46").await).await;
    assert!(message.contains("use `https://`"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_to_a_port_that_speaks_grpc_is_told_so() {
    let message = error("otlphttp", speaking_grpc().await).await;
    assert!(message.contains(USE_GRPC), "{message}");
    // The frame with which other servers of HTTP/2 begin.
    let message = error("otlphttp", answering(b"\0\0\0\x04\0\0\0\0\0").await).await;
    assert!(message.contains(USE_GRPC), "{message}");
    // An answer that is good only at first sight.
    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 12\r\ncontent-length: 0\r\n\r\n";
    let message = error("otlphttp", answering(answer).await).await;
    assert!(message.contains(USE_GRPC), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_to_a_page_is_told_where_otlp_is() {
    for status in [
        "404 Not Found",
        "405 Method Not Allowed",
        "415 Unsupported Media Type",
    ] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let answer: &'static [u8] = Box::leak(answer.into_bytes().into_boxed_slice());
        let message = error("otlphttp", answering(answer).await).await;
        assert!(
            message.contains("there is no OTLP/HTTP at this address"),
            "{message}"
        );
    }
}
