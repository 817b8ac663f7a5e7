mod codec;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use vervet_model::Signal;

use super::*;
use crate::receiver::{Accepted, OtlpRequest, OtlpSink, Protocol, RefusedRequest};

const LIMIT: usize = 1 << 20;

#[derive(Clone, Default)]
struct Recorder(
    Arc<Mutex<Vec<OtlpRequest>>>,
    Arc<Mutex<Vec<(&'static str, bool)>>>,
);

impl OtlpSink for Recorder {
    async fn accept(&self, request: OtlpRequest) -> Result<Accepted, Refusal> {
        let answer = match &request.body[..] {
            b"\x7a\x04busy" => Err(Refusal::Overloaded {
                retry_after: Duration::from_secs(2),
            }),
            b"\x7a\x03bad" => Err(Refusal::Invalid("no".to_owned())),
            _ => Ok(Accepted {
                rejected: 3,
                message: "three".to_owned(),
            }),
        };
        self.0.lock().push(request);
        answer
    }

    fn refused(&self, request: RefusedRequest) {
        assert_eq!(
            (request.signal, request.protocol),
            (Signal::Logs, Protocol::Grpc)
        );
        self.1.lock().push((request.reason, request.delivered));
    }
}

async fn serve() -> (Recorder, Channel) {
    let recorder = Recorder::default();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    let address = incoming.local_addr().expect("bound");
    tokio::spawn(
        Server::builder()
            .add_routes(routes(&recorder, LIMIT))
            .serve_with_incoming(incoming),
    );
    let channel = Channel::from_shared(format!("http://{address}"))
        .expect("uri")
        .connect()
        .await
        .expect("connect");
    (recorder, channel)
}

#[tokio::test]
async fn bodies_and_source_arrive_as_sent() {
    let (recorder, channel) = serve().await;
    let source = Source {
        agent_id: "node-1".to_owned(),
        sequence: 7,
    };
    for (signal, encoding) in [
        (Signal::Logs, None),
        (Signal::Metrics, Some(CompressionEncoding::Gzip)),
        (Signal::Traces, Some(CompressionEncoding::Zstd)),
    ] {
        let client = Client::new(channel.clone(), encoding);
        let accepted = client
            .export(
                signal,
                Bytes::from_static(b"\x7a\x07payload"),
                Some(&source),
            )
            .await
            .expect("accepted");
        assert_eq!(
            accepted,
            Accepted {
                rejected: 3,
                message: "three".to_owned()
            }
        );
        let request = recorder.0.lock().pop().expect("recorded");
        assert_eq!(
            (request.signal, &request.body[..], request.source.as_ref()),
            (signal, &b"\x7a\x07payload"[..], Some(&source))
        );
    }
}

#[tokio::test]
async fn refusals_become_statuses() {
    let (recorder, channel) = serve().await;
    let client = Client::new(channel, None);
    let status = client
        .export(Signal::Logs, Bytes::from_static(b"\x7a\x04busy"), None)
        .await
        .expect_err("refused");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let retry_info = b"\x0a\x02\x08\x02";
    assert!(
        status
            .details()
            .ends_with(&[b"google.rpc.RetryInfo\x12\x04", &retry_info[..]].concat())
    );
    assert_eq!(
        status
            .metadata()
            .get("grpc-retry-pushback-ms")
            .map(|value| value.as_bytes()),
        Some(&b"2000"[..])
    );
    let status = client
        .export(Signal::Logs, Bytes::from_static(b"\x7a\x03bad"), None)
        .await
        .expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    let told = [("overloaded", true), ("invalid", true)];
    assert_eq!(*recorder.1.lock(), told);
}

#[tokio::test]
async fn bodies_over_the_limit_never_reach_the_sink() {
    let (recorder, channel) = serve().await;
    let body = Bytes::from(vec![0; LIMIT * 8]);
    for encoding in [
        None,
        Some(CompressionEncoding::Gzip),
        Some(CompressionEncoding::Zstd),
    ] {
        let status = Client::new(channel.clone(), encoding)
            .export(Signal::Logs, body.clone(), None)
            .await
            .expect_err("refused");
        assert_eq!(
            status.code(),
            Code::ResourceExhausted,
            "{encoding:?}: {status:?}"
        );
    }
    assert!(recorder.0.lock().is_empty());
    assert_eq!(*recorder.1.lock(), [("too_large", false); 3]);
}

#[tokio::test]
async fn a_sequence_out_of_range_never_reaches_the_sink() {
    let (recorder, channel) = serve().await;
    let source = Source {
        agent_id: "node-1".to_owned(),
        sequence: u64::MAX,
    };
    let status = Client::new(channel, None)
        .export(
            Signal::Logs,
            Bytes::from_static(b"\x7a\x01x"),
            Some(&source),
        )
        .await
        .expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(recorder.0.lock().is_empty());
    assert_eq!(*recorder.1.lock(), [("invalid", false)]);
}

#[tokio::test]
async fn answers_that_are_not_grpc_become_statuses() {
    let answer = |status: u16| {
        axum::routing::any(
            move || async move { http::StatusCode::from_u16(status).expect("a status") },
        )
    };
    let cases = [
        (200, Code::Unavailable),
        (401, Code::Unauthenticated),
        (404, Code::Unimplemented),
        (413, Code::ResourceExhausted),
        (418, Code::Unknown),
        (503, Code::Unavailable),
    ];
    for (status, code) in cases {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("bind");
        let address = listener.local_addr().expect("bound");
        let router = axum::Router::new().fallback_service(answer(status));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let channel = Channel::from_shared(format!("http://{address}")).expect("uri");
        let client = Client::new(channel.connect_lazy(), None);
        let answered = client
            .export(Signal::Logs, Bytes::from_static(b"\x7a\x01x"), None)
            .await;
        assert_eq!(answered.expect_err("no success").code(), code, "{status}");
    }
}

/// tonic's own client, as other programs use it.
#[tokio::test]
async fn clients_of_others_are_understood() {
    let (recorder, channel) = serve().await;
    for encoding in [
        None,
        Some(CompressionEncoding::Gzip),
        Some(CompressionEncoding::Zstd),
    ] {
        let mut client = tonic::client::Grpc::new(channel.clone());
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding).accept_compressed(encoding);
        }
        let mut call = async |path: &'static str, body: &'static [u8]| {
            client.ready().await.expect("ready");
            let path = http::uri::PathAndQuery::from_static(path);
            let request = tonic::Request::new(Bytes::from_static(body));
            client.unary(request, path, codec::BytesCodec).await
        };
        let logs = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
        let answer = call(logs, b"\x7a\x07payload").await.expect("accepted");
        let answer = crate::otlp::decode_response(answer.get_ref());
        assert_eq!(answer, Ok((3, "three".to_owned())));
        let received = recorder.0.lock().pop().expect("recorded");
        assert_eq!(&received.body[..], b"\x7a\x07payload");
        let refused = call(logs, b"\x7a\x04busy").await.expect_err("refused");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let other = "/opentelemetry.proto.collector.logs.v1.LogsService/Import";
        let refused = call(other, b"").await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn bodies_that_are_not_one_message_are_refused() {
    use tower::ServiceExt;
    let recorder = Recorder::default();
    for (encoding, body, expected) in [
        ("identity", &b"\x00\x00\x00\x00\x00"[..], Code::Ok),
        ("identity", b"\x00\x00\x00\x00\x03\x7a\x01x", Code::Ok),
        ("identity", b"", Code::Internal),
        ("identity", b"\x00\x00\x00", Code::Internal),
        ("identity", b"\x00\x00\x00\x00\x04\x7a\x01x", Code::Internal),
        ("identity", b"\x00\x00\x00\x00\x02\x7a\x01x", Code::Internal),
        ("identity", b"\x02\x00\x00\x00\x03\x7a\x01x", Code::Internal),
        ("identity", b"\x01\x00\x00\x00\x03\x7a\x01x", Code::Internal),
        (
            "gzip",
            b"\x01\x00\x00\x00\x03\x7a\x01x",
            Code::InvalidArgument,
        ),
        ("gzip", b"\x00\x00\x00\x00\x03\x7a\x01x", Code::Ok),
        ("br", b"\x01\x00\x00\x00\x03\x7a\x01x", Code::Unimplemented),
        ("identity", b"\x00\xff\xff\xff\xff", Code::ResourceExhausted),
        (
            "identity",
            b"\x00\x00\x00\x00\x01\x07",
            Code::InvalidArgument,
        ),
    ] {
        let request =
            http::Request::post("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
                .header("grpc-encoding", encoding)
                .body(axum::body::Body::from(body))
                .expect("request");
        let router = routes(&recorder, LIMIT).into_axum_router();
        let response = router.oneshot(request).await.expect("infallible");
        let in_headers = Status::from_header_map(response.headers());
        use http_body_util::BodyExt;
        let collected = response.into_body().collect().await.expect("body");
        let in_trailers = collected.trailers().and_then(Status::from_header_map);
        let status = in_headers.or(in_trailers).expect("a status");
        assert_eq!(status.code(), expected, "{encoding} {body:?}: {status:?}");
        let told = std::mem::take(&mut *recorder.1.lock());
        let reason = match expected {
            Code::Ok => None,
            Code::Unimplemented => Some("unsupported"),
            Code::ResourceExhausted => Some("too_large"),
            _ => Some("invalid"),
        };
        let expected: Vec<_> = reason.map(|reason| (reason, false)).into_iter().collect();
        assert_eq!(told, expected, "{encoding} {body:?}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    use tower::ServiceExt;
    let (sender, body) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    sender
        .send(Ok(Bytes::from_static(b"\x00")))
        .await
        .expect("open");
    let frames = futures_body(body);
    let request = http::Request::post("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        .body(frames)
        .expect("request");
    let recorder = Recorder::default();
    let routes = server::with_body_timeout(&recorder, LIMIT, Duration::from_millis(20));
    let response = routes
        .into_axum_router()
        .oneshot(request)
        .await
        .expect("infallible");
    let status = Status::from_header_map(response.headers()).expect("a status");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(*recorder.1.lock(), [("timeout", false)]);
    drop(sender);
}

/// A body whose frames come through a channel.
fn futures_body(
    mut frames: tokio::sync::mpsc::Receiver<Result<Bytes, std::io::Error>>,
) -> axum::body::Body {
    struct Frames<F>(F);
    impl<F> hyper::body::Body for Frames<F>
    where
        F: FnMut(
                &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<Bytes, std::io::Error>>>
            + Unpin,
    {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
            let polled = (self.0)(context);
            polled.map(|data| data.map(|data| data.map(hyper::body::Frame::data)))
        }
    }
    axum::body::Body::new(Frames(move |context: &mut std::task::Context<'_>| {
        frames.poll_recv(context)
    }))
}

/// The head of a message may come in pieces.
#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    use tower::ServiceExt;
    let recorder = Recorder::default();
    let (sender, frames) = tokio::sync::mpsc::channel(16);
    for piece in [
        &b"\x00\x00"[..],
        b"\x00\x00",
        b"",
        b"\x09\x7a",
        b"\x07pay",
        b"load",
    ] {
        let sent = sender.send(Ok(Bytes::copy_from_slice(piece))).await;
        sent.expect("open");
    }
    drop(sender);
    let request = http::Request::post("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        .body(futures_body(frames))
        .expect("request");
    let router = routes(&recorder, LIMIT).into_axum_router();
    let response = router.oneshot(request).await.expect("infallible");
    assert_eq!(response.status().as_u16(), 200);
    let received = recorder.0.lock().pop().expect("recorded");
    assert_eq!(&received.body[..], b"\x7a\x07payload");
}
