use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use vervet_model::Signal;

use super::*;
use crate::receiver::{Accepted, OtlpRequest, OtlpSink};

const LIMIT: usize = 1 << 20;

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<OtlpRequest>>>);

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
    let (_recorder, channel) = serve().await;
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
