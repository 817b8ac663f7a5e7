use std::sync::Arc;

use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tower::ServiceExt as _;

use super::*;
use crate::receiver::{Accepted, OtlpRequest};
use crate::remote_write::{Item, Sample, Series, for_each, write_series};

const LIMIT: usize = 1 << 20;

/// Answers with what it is told to, and remembers.
#[derive(Clone)]
struct Sink {
    answer: Result<Written, Refusal>,
    written: Arc<Mutex<Vec<WriteRequest>>>,
    refused: Arc<Mutex<Vec<RefusedRequest>>>,
}

impl Sink {
    fn new(answer: Result<Written, Refusal>) -> Self {
        Self {
            answer,
            written: Arc::default(),
            refused: Arc::default(),
        }
    }
}

impl OtlpSink for Sink {
    async fn accept(&self, _request: OtlpRequest) -> Result<Accepted, Refusal> {
        Err(Refusal::Invalid("not OTLP".to_owned()))
    }

    fn refused(&self, request: RefusedRequest) {
        self.refused.lock().push(request);
    }
}

impl WriteSink for Sink {
    async fn write(&self, request: WriteRequest, _room: Box<dyn Room>) -> Result<Written, Refusal> {
        self.written.lock().push(request);
        self.answer.clone()
    }
}

fn body(version: Version) -> Vec<u8> {
    let series = Series {
        labels: vec![(b"__name__", b"up"), (b"job", b"node")],
        samples: vec![Sample {
            time_ms: 1_700_000_000_000,
            value: 1.0,
        }],
        ..Series::default()
    };
    let mut body = Vec::new();
    write_series(version, &mut body, &[series]);
    body
}

fn snappy_block(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(body)
        .expect("a short body")
}

/// Status, the header of samples written, the header of a delay, and the text of the answer.
async fn post(
    sink: &Sink,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (StatusCode, Option<String>, Option<String>, String) {
    let mut request = http::Request::post("/api/v1/write");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(axum::body::Body::from(body));
    let request = request.expect("a request");
    let response = router(sink.clone(), LIMIT).oneshot(request).await;
    let response = response.expect("infallible");
    let header = |name| {
        let value = response.headers().get(name)?;
        Some(value.to_str().expect("text").to_owned())
    };
    let (status, written) = (response.status(), header(SAMPLES_WRITTEN));
    let delay = header(header::RETRY_AFTER);
    let text = response.into_body().collect().await.expect("in memory");
    let text = String::from_utf8_lossy(&text.to_bytes()).into_owned();
    (status, written, delay, text)
}

type Headers<'h> = &'h [(&'h str, &'h str)];

const V1: (&str, &str) = ("content-type", "application/x-protobuf");
const V2: (&str, &str) = (
    "content-type",
    "application/x-protobuf;proto=io.prometheus.write.v2.Request",
);
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");

#[tokio::test]
async fn both_versions_and_encodings_reach_the_sink_whole() {
    let zstd = |body: &[u8]| zstd::encode_all(body, 1).expect("in memory");
    let (v1, v2) = (body(Version::V1), body(Version::V2));
    let cases: [(Version, Headers<'_>, Vec<u8>); 5] = [
        (Version::V1, &[V1, SNAPPY], snappy_block(&v1)),
        (Version::V1, &[V1], snappy_block(&v1)),
        (
            Version::V1,
            &[("content-encoding", "Snappy")],
            snappy_block(&v1),
        ),
        (Version::V2, &[V2, SNAPPY], snappy_block(&v2)),
        (Version::V2, &[V2, ("content-encoding", "zstd")], zstd(&v2)),
    ];
    for (version, headers, sent) in cases {
        let sink = Sink::new(Ok(Written {
            samples: 1,
            message: String::new(),
        }));
        let (status, written, _, text) = post(&sink, headers, sent.clone()).await;
        assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""));
        let is_v2 = version == Version::V2;
        assert_eq!(written.as_deref(), is_v2.then_some("1"));
        let requests = sink.written.lock();
        let [request] = requests.as_slice() else {
            panic!("{requests:?}")
        };
        assert_eq!(request.received.bytes, sent);
        assert_eq!(request.received.decompress(LIMIT), Ok(request.body.clone()));
        let mut samples = 0;
        for_each(request.version, &request.body, |item| {
            if let Item::Series(series) = item {
                assert_eq!(series.labels.len(), 2);
                samples += series.samples.len();
            }
        })
        .expect("well-formed");
        assert_eq!(samples, 1);
        assert!(sink.refused.lock().is_empty());
    }
}

#[tokio::test]
async fn what_is_not_stored_is_said_and_not_sent_again() {
    let sink = Sink::new(Ok(Written {
        samples: 0,
        message: "not stored: 1 series_limit".to_owned(),
    }));
    let sent = snappy_block(&body(Version::V2));
    let (status, written, delay, text) = post(&sink, &[V2, SNAPPY], sent).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!((written.as_deref(), delay), (Some("0"), None));
    assert_eq!(text, "not stored: 1 series_limit");
}

#[tokio::test]
async fn what_is_overloaded_answers_so_that_the_sender_comes_back() {
    let retry_after = Duration::from_millis(2_500);
    let refusals = [
        Refusal::Overloaded { retry_after },
        Refusal::Unavailable {
            reason: "the disk is full".to_owned(),
            retry_after,
        },
    ];
    for refusal in refusals {
        let reason = refusal.reason();
        let sink = Sink::new(Err(refusal));
        let sent = snappy_block(&body(Version::V1));
        let (status, _, delay, _) = post(&sink, &[V1, SNAPPY], sent).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(delay.as_deref(), Some("2"));
        let refused = sink.refused.lock();
        let [told] = refused.as_slice() else {
            panic!("{refused:?}")
        };
        assert_eq!((told.reason, told.delivered), (reason, true));
        assert_eq!(told.protocol.as_str(), "remote_write");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_before_the_sink() {
    let v1 = snappy_block(&body(Version::V1));
    // A block that says it holds 4 GiB, one that holds more than the limit, and one cut in its middle.
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let large = snappy_block(&vec![0; LIMIT + 1]);
    let cut = v1[..v1.len() - 3].to_vec();
    let no_message = snappy_block(b"\xff\xff\xff");
    let json: &[(&str, &str)] = &[("content-type", "application/json")];
    let gzip: &[(&str, &str)] = &[V1, ("content-encoding", "gzip")];
    let v3: &[(&str, &str)] = &[
        ("content-type", "application/x-protobuf;proto=other"),
        SNAPPY,
    ];
    let plain: &[(&str, &str)] = &[V1, SNAPPY];
    let unsupported = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let cases = [
        (json, v1.clone(), unsupported, "unsupported"),
        (gzip, v1.clone(), unsupported, "unsupported"),
        (v3, v1, unsupported, "unsupported"),
        (plain, bomb, StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        (plain, large, StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        (
            plain,
            vec![0; LIMIT + 1],
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
        ),
        (plain, cut, StatusCode::BAD_REQUEST, "invalid"),
        (plain, no_message, StatusCode::BAD_REQUEST, "invalid"),
    ];
    for (headers, sent, expected, reason) in cases {
        let sink = Sink::new(Ok(Written::default()));
        let (status, _, _, text) = post(&sink, headers, sent).await;
        assert_eq!(status, expected, "{text}");
        assert!(!text.is_empty());
        assert!(sink.written.lock().is_empty());
        let refused = sink.refused.lock();
        let told: Vec<_> = refused.iter().map(|r| (r.reason, r.delivered)).collect();
        assert_eq!(told, [(reason, false)]);
    }
}
