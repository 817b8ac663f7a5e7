use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use vervet_model::Signal;

use super::*;
use crate::protobuf::{Writer, varint_width};
use crate::receiver::{Accepted, OtlpRequest, OtlpSink};
use crate::{grpc, http};

const BODY_BYTES_MAX: usize = 1 << 20;
const ROOM_BYTES: usize = 100_000;

/// Has room for [`ROOM_BYTES`].
#[derive(Clone, Default)]
struct Small(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    held: usize,
    most: usize,
    bodies: Vec<usize>,
}

struct SmallRoom {
    seen: Arc<Mutex<Seen>>,
    bytes: usize,
}

impl Room for SmallRoom {
    fn set(&mut self, bytes: usize) -> Result<(), Refusal> {
        let mut seen = self.seen.lock();
        let held = seen.held - self.bytes + bytes;
        if held > ROOM_BYTES && bytes > self.bytes {
            return Err(Refusal::Overloaded {
                retry_after: Duration::from_secs(3),
            });
        }
        seen.held = held;
        seen.most = seen.most.max(held);
        self.bytes = bytes;
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Drop for SmallRoom {
    fn drop(&mut self) {
        self.seen.lock().held -= self.bytes;
    }
}

impl OtlpSink for Small {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        let mut seen = self.0.lock();
        assert!(
            seen.held >= request.body.len(),
            "held before it was asked for"
        );
        seen.bodies.push(request.body.len());
        Ok(Accepted::default())
    }

    fn room(&self) -> Box<dyn Room> {
        Box::new(SmallRoom {
            seen: Arc::clone(&self.0),
            bytes: 0,
        })
    }
}

impl Small {
    /// What was taken, and that all room has been given back.
    fn bodies(&self) -> Vec<usize> {
        let mut seen = self.0.lock();
        assert!(seen.most <= ROOM_BYTES);
        assert_eq!(seen.held, 0);
        std::mem::take(&mut seen.bodies)
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut seed = 1_u64;
    let next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        seed.to_be_bytes()[0]
    };
    // A field that nobody knows.
    let mut body = Vec::new();
    let noise: Vec<u8> = std::iter::repeat_with(next)
        .take(bytes - 1 - varint_width(bytes as u64))
        .collect();
    Writer::new(&mut body).bytes_always(15, &noise);
    body
}

fn gzip(data: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory").into()
}

async fn post(sink: &Small, encoding: &str, body: axum::body::Body) -> axum::response::Response {
    use tower::ServiceExt;
    let request = ::http::Request::post("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", encoding)
        .body(body)
        .expect("request");
    let router = http::router(sink.clone(), BODY_BYTES_MAX);
    router.oneshot(request).await.expect("infallible")
}

#[tokio::test]
async fn an_http_body_is_refused_at_the_byte_that_finds_no_room() {
    let sink = Small::default();
    let zeros = vec![0; ROOM_BYTES * 8];
    for (encoding, body, expected) in [
        ("", Bytes::from(noise(90_000)), 200),
        ("", Bytes::from(noise(110_000)), 429),
        ("gzip", gzip(&noise(1_000)), 200),
        ("gzip", gzip(&zeros), 429),
    ] {
        let answer = post(&sink, encoding, body.into()).await;
        assert_eq!(answer.status().as_u16(), expected, "{encoding}");
        let delay = answer.headers().get("retry-after");
        let delay = delay.map(|delay| delay.as_bytes().to_vec());
        assert_eq!(delay.is_some(), expected == 429);
        assert!(delay.is_none_or(|delay| delay == b"3"));
    }
    assert_eq!(sink.bodies(), [90_000, 1_000]);
}

#[tokio::test]
async fn a_grpc_body_is_refused_before_it_is_unpacked() {
    let sink = Small::default();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    let address = incoming.local_addr().expect("bound");
    let server = Server::builder().add_routes(grpc::routes(&sink, BODY_BYTES_MAX));
    tokio::spawn(server.serve_with_incoming(incoming));
    let channel = Channel::from_shared(format!("http://{address}")).expect("uri");
    let channel = channel.connect().await.expect("connect");
    for (encoding, bytes, expected) in [
        (None, 90_000, None),
        (None, 110_000, Some(Code::ResourceExhausted)),
        (Some(CompressionEncoding::Gzip), 9_000, None),
        (
            Some(CompressionEncoding::Zstd),
            60_000,
            Some(Code::ResourceExhausted),
        ),
    ] {
        let client = grpc::Client::new(channel.clone(), encoding);
        let answer = client.export(Signal::Logs, noise(bytes).into(), None).await;
        let status = answer.err();
        assert_eq!(
            status.as_ref().map(tonic::Status::code),
            expected,
            "{encoding:?} {bytes}: {status:?}"
        );
        let delay = status
            .as_ref()
            .map(|status| status.metadata().get("grpc-retry-pushback-ms"));
        assert!(
            delay.is_none_or(|delay| delay.is_some_and(|delay| delay == "3000")),
            "{status:?}"
        );
    }
    // A handler's room is given back just after its answer.
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while sink.0.lock().held > 0 && std::time::Instant::now() < end {
        tokio::task::yield_now().await;
    }
    assert_eq!(sink.bodies(), [90_000, 9_000]);
}
