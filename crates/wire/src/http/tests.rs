use std::io::Write;

use super::*;
use crate::otlp;

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

#[derive(Clone)]
struct Counting;

impl crate::OtlpSink for Counting {
    async fn accept(&self, request: crate::OtlpRequest) -> Result<Accepted, Refusal> {
        let invalid = |error: crate::DecodeError| Refusal::Invalid(error.to_string());
        let records = otlp::count_records(request.signal, &request.body).map_err(invalid)?;
        Ok(Accepted {
            rejected: records,
            message: String::new(),
        })
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
    let response = router(Counting, LIMIT)
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
