use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use super::router::{CONVERSIONS_MAX, Form, convert, with_body_timeout};
use super::*;
use crate::otlp;
use crate::receiver::{Protocol, RefusedRequest};

const LIMIT: usize = 1 << 20;

fn gzip(data: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).expect("in memory");
    encoder.finish().expect("in memory").into()
}

#[test]
fn each_encoding_round_trips() {
    let data = b"some text, some text, some text".repeat(100);
    let zstd = Bytes::from(zstd::encode_all(&data[..], 3).expect("in memory"));
    for (name, body) in [
        ("gzip", gzip(&data)),
        ("zstd", zstd),
        ("", Bytes::from(data.clone())),
    ] {
        assert_eq!(decompress(body, name, LIMIT).expect(name), data, "{name}");
    }
}

#[test]
fn bombs_stop_at_the_limit() {
    let bomb = vec![0_u8; 64 << 20];
    let zstd = Bytes::from(zstd::encode_all(&bomb[..], 3).expect("in memory"));
    for (name, body) in [("gzip", gzip(&bomb)), ("zstd", zstd)] {
        assert!(body.len() < LIMIT, "the bomb is small: {}", body.len());
        assert_eq!(
            decompress(body, name, LIMIT),
            Err(Refusal::TooLarge { limit: LIMIT }),
            "{name}"
        );
    }
}

#[test]
fn broken_and_unknown_encodings_are_invalid() {
    for (name, body) in [
        ("gzip", &b"not gzip"[..]),
        ("zstd", b"not zstd"),
        ("br", b""),
    ] {
        assert!(
            matches!(
                decompress(Bytes::from_static(body), name, LIMIT),
                Err(Refusal::Invalid(_))
            ),
            "{name}"
        );
    }
}

#[test]
fn json_logs_become_the_same_records() {
    let json = br#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},
        "scopeLogs":[{"logRecords":[{"timeUnixNano":"5","severityNumber":17,"body":{"stringValue":"hello"},
        "traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}]}]}]}"#;
    let body = to_protobuf(Signal::Logs, Encoding::Json, Bytes::from_static(json)).expect("valid");
    let mut seen = Vec::new();
    otlp::for_each_log(&body, |resource, _, record| {
        seen.push((
            resource.str("service.name").to_owned(),
            record.time_unix_nano,
            record.severity_number,
            record.trace_id.len(),
        ));
        assert_eq!(record.body.as_str(), Some("hello"));
    })
    .expect("valid");
    assert_eq!(seen, [("web".to_owned(), 5, 17, 16)]);
}

#[test]
fn bad_json_says_where() {
    let refusal = to_protobuf(
        Signal::Traces,
        Encoding::Json,
        Bytes::from_static(b"{\"resourceSpans\": 7}"),
    )
    .expect_err("invalid");
    assert!(refusal.to_string().contains("line 1"), "{refusal}");
}

/// Refuses what is malformed, and remembers what it was told of refusals.
#[derive(Clone, Default)]
struct Counting(Arc<parking_lot::Mutex<Vec<RefusedRequest>>>);

impl crate::OtlpSink for Counting {
    async fn accept(&self, request: crate::OtlpRequest) -> Result<Accepted, Refusal> {
        let invalid = |error: crate::DecodeError| Refusal::Invalid(error.to_string());
        let records = otlp::count_records(request.signal, &request.body).map_err(invalid)?;
        Ok(Accepted {
            rejected: records,
            message: String::new(),
        })
    }

    fn refused(&self, request: RefusedRequest) {
        self.0.lock().push(request);
    }
}

async fn post(
    path: &str,
    content_type: &str,
    encoding: &str,
    body: Bytes,
) -> (http::StatusCode, String) {
    use tower::ServiceExt;
    let request = http::Request::post(path)
        .header("content-type", content_type)
        .header("content-encoding", encoding)
        .body(axum::body::Body::from(body))
        .expect("request");
    let response = router(Counting::default(), LIMIT)
        .oneshot(request)
        .await
        .expect("infallible");
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), LIMIT)
        .await
        .expect("body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn answers_follow_the_protocol() {
    let json = Bytes::from_static(b"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}");
    let (status, body) = post("/v1/logs", "application/json", "gzip", gzip(&json)).await;
    assert_eq!(
        (status.as_u16(), body.as_str()),
        (
            200,
            r#"{"partialSuccess":{"errorMessage":"","rejectedLogRecords":"1"}}"#
        )
    );
    for (content_type, encoding, body, expected) in [
        (
            "application/x-protobuf",
            "",
            Bytes::from_static(b"\x0a\x7f"),
            400,
        ),
        ("application/json", "", Bytes::from_static(b"nonsense"), 400),
        ("text/plain", "", Bytes::new(), 415),
        (
            "application/x-protobuf",
            "",
            Bytes::from(vec![0; LIMIT + 1]),
            413,
        ),
        (
            "application/x-protobuf",
            "gzip",
            gzip(&vec![0; LIMIT + 1]),
            413,
        ),
    ] {
        let (status, body) = post("/v1/traces", content_type, encoding, body).await;
        assert_eq!(
            status.as_u16(),
            expected,
            "{content_type} {encoding}: {body}"
        );
    }
}

#[tokio::test]
async fn the_sink_is_told_once_of_every_request_that_is_refused() {
    use tower::ServiceExt;
    let sink = Counting::default();
    let local = "127.0.0.1:4318".parse().expect("an address");
    let router = guard::telemetry(router(sink.clone(), LIMIT), local, None, sink.clone());
    let protobuf = ("content-type", "application/x-protobuf");
    let malformed = Bytes::from_static(b"\x0a\x7f");
    for (header, body, status, reason) in [
        (("x", "y"), Bytes::new(), 415, "unsupported"),
        (protobuf, Bytes::from(vec![0; LIMIT + 1]), 413, "too_large"),
        (protobuf, malformed, 400, "invalid"),
        (("vervet-sequence", "x"), Bytes::new(), 400, "invalid"),
        (("content-encoding", "br"), Bytes::new(), 400, "invalid"),
        (("host", "evil.example"), Bytes::new(), 421, "host"),
        (("sec-fetch-site", "cross-site"), Bytes::new(), 403, "site"),
    ] {
        let mut request = http::Request::post("/v1/metrics").header(header.0, header.1);
        if header.0 != "host" {
            request = request.header("host", "localhost");
        }
        if !matches!(header.0, "x" | "content-type") {
            request = request.header(protobuf.0, protobuf.1);
        }
        let request = request.body(axum::body::Body::from(body)).expect("request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        assert_eq!(response.status().as_u16(), status, "{header:?}");
        let told = std::mem::take(&mut *sink.0.lock());
        let expected = RefusedRequest {
            signal: Signal::Metrics,
            protocol: Protocol::Http,
            reason,
            delivered: false,
        };
        assert_eq!(told, [expected], "{header:?}");
    }
}

#[tokio::test]
async fn a_nonsense_source_is_refused() {
    use tower::ServiceExt;
    for (sequence, expected) in [("9223372036854775807", 200), ("9223372036854775808", 400)] {
        let request = http::Request::post("/v1/logs")
            .header("content-type", "application/x-protobuf")
            .header(crate::receiver::AGENT_ID_KEY, "node-1")
            .header(crate::receiver::SEQUENCE_KEY, sequence)
            .body(axum::body::Body::empty())
            .expect("request");
        let response = router(Counting::default(), LIMIT)
            .oneshot(request)
            .await
            .expect("infallible");
        assert_eq!(response.status().as_u16(), expected, "{sequence}");
    }
}

#[tokio::test]
async fn json_has_a_limit_of_its_own() {
    use tower::ServiceExt;
    let spaces = |count| Bytes::from([b"{}".to_vec(), vec![b' '; count]].concat());
    for (body, expected) in [
        (spaces(JSON_BYTES_MAX - 2), 200),
        (spaces(JSON_BYTES_MAX - 1), 413),
    ] {
        for (encoding, body) in [("gzip", gzip(&body)), ("identity", body)] {
            let request = http::Request::post("/v1/logs")
                .header("content-type", "application/json")
                .header("content-encoding", encoding)
                .body(axum::body::Body::from(body))
                .expect("request");
            let response = router(Counting::default(), JSON_BYTES_MAX * 2)
                .oneshot(request)
                .await
                .expect("infallible");
            assert_eq!(response.status().as_u16(), expected, "{encoding}");
        }
    }
}

#[tokio::test]
async fn compressed_protobuf_is_handed_on_as_it_came_too() {
    let conversions = Arc::new(Semaphore::new(CONVERSIONS_MAX));
    // An unknown field.
    let long = [&b"\x7a\x7f"[..], &[b'x'; 127]].concat();
    let json = br#"{"resourceLogs":[]}                                                     "#;
    let check = async |encoding, content_encoding: &str, came: Bytes, kept: bool| {
        let form = Form {
            signal: Signal::Logs,
            encoding,
            content_encoding: content_encoding.to_owned(),
            bytes_max: LIMIT,
        };
        let converted = convert(&conversions, form, came.clone(), Box::new(Unlimited)).await;
        let converted = converted.unwrap_or_else(|refusal| panic!("{refusal}"));
        let (request, _room) = converted.into_request(Signal::Logs, None);
        let received = request.received.as_ref();
        assert_eq!(
            received.map(|received| &received.bytes),
            kept.then_some(&came)
        );
        if let Some(received) = received {
            assert_eq!(
                received.decompress(request.body.len()),
                Ok(request.body.clone())
            );
            assert_eq!(request.held_bytes(), request.body.len() + came.len());
        }
    };
    let zstd = |data: &[u8]| Bytes::from(zstd::encode_all(data, 3).expect("in memory"));
    check(Encoding::Protobuf, "zstd", zstd(&long), true).await;
    check(Encoding::Protobuf, " gzip ", gzip(&long), true).await;
    check(Encoding::Protobuf, "", long.clone().into(), false).await;
    check(Encoding::Protobuf, "zstd", zstd(b"\x7a\x00"), false).await;
    check(Encoding::Json, "zstd", zstd(json), false).await;
}

#[tokio::test]
async fn conversions_wait_for_their_turn() {
    let conversions = Arc::new(Semaphore::new(CONVERSIONS_MAX));
    let all = u32::try_from(CONVERSIONS_MAX).expect("small");
    let taken = Arc::clone(&conversions)
        .acquire_many_owned(all)
        .await
        .expect("open");
    let start = |content_encoding: &str, body| {
        let form = Form {
            signal: Signal::Logs,
            encoding: Encoding::Protobuf,
            content_encoding: content_encoding.to_owned(),
            bytes_max: LIMIT,
        };
        let converted = convert(&conversions, form, body, Box::new(Unlimited));
        async { converted.await.map(|converted| converted.body) }
    };
    let plain = start("", Bytes::from_static(b"\x7a\x04data")).await;
    assert_eq!(plain, Ok(Bytes::from_static(b"\x7a\x04data")));
    let mut packed = std::pin::pin!(start("gzip", gzip(b"\x7a\x04data")));
    let early = tokio::time::timeout(Duration::from_millis(50), packed.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    drop(taken);
    assert_eq!(packed.await, Ok(Bytes::from_static(b"\x7a\x04data")));
    assert_eq!(conversions.available_permits(), CONVERSIONS_MAX);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_closes_the_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("bind");
    let address = listener.local_addr().expect("bound");
    let sink = Counting::default();
    let router = with_body_timeout(sink.clone(), LIMIT, Duration::from_secs(1));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connect");
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("send");
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer));
    read.await.expect("the server closes").expect("text");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("did not arrive within 1 s"), "{answer}");
    let told: Vec<&str> = sink.0.lock().iter().map(|told| told.reason).collect();
    assert_eq!(told, ["timeout"]);
}
