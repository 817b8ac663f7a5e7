//! Bad requests are refused in the words of their API, and harm nothing else.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;
use vervet_model::Signal;
use vervet_wire::grpc::Client;

use crate::harness::{
    Api, Collector, CollectorOptions, Record, eventually, log_request, now_nanos, say, turn,
};

/// What a small body grows to.
const BOMB_BYTES: usize = 256 << 20;
/// The most that a collector may grow by while it refuses bombs.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_otlp_is_refused_and_nothing_else_suffers() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(CollectorOptions::new(dir.path())).await;
    let api = &collector.api;
    let started = now_nanos();
    let grpc = grpc_client(api, None);
    let malformed = Bytes::from_static(b"\x0a\xff\xff\xff\xff\x0fnot protobuf");
    for number in 0..20 {
        for signal in Signal::ALL {
            let (status, reason) = api.otlp(signal.as_str(), malformed.clone()).await;
            assert_eq!(status, 400, "{signal}: {reason}");
            assert!(
                reason.contains("malformed"),
                "{signal}: no reason in {reason:?}"
            );
            let refused = grpc
                .export(signal, malformed.clone(), None)
                .await
                .unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{signal}: {refused}");
            assert!(
                refused.message().contains("malformed"),
                "{signal}: {refused}"
            );
        }
        let good = log_request("good", [record(number)]);
        assert_eq!(api.otlp("logs", good.clone()).await.0, 200);
        grpc.export(Signal::Logs, good, None).await.unwrap();
    }
    let found = eventually("the good records", Duration::from_secs(5), async || {
        let found = api
            .logs("{service_name=\"good\"}", started, now_nanos())
            .await;
        (found.len() >= 40).then_some(found)
    })
    .await;
    assert_eq!(found.len(), 40);
    let (status, _) = api.otlp_encoded("logs", "not gzip", "gzip").await;
    assert_eq!(status, 400, "a body that does not decompress");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_the_cap_are_refused_with_flat_memory() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let options = CollectorOptions {
        limits: "{request: 1MiB}".to_owned(),
        ..CollectorOptions::new(dir.path())
    };
    let collector = Collector::start(options).await;
    let api = &collector.api;
    assert_eq!(
        api.otlp("logs", log_request("small", [record(1)])).await.0,
        200
    );
    let (gzip, zstd) = bombs();
    let plain = Bytes::from(vec![0; 2 << 20]);
    let grpc = grpc_client(api, Some(CompressionEncoding::Gzip));
    let grpc_zstd = grpc_client(api, Some(CompressionEncoding::Zstd));
    // tonic compresses as it sends, so these bombs are smaller: the sender is in this process.
    let unpacked = Bytes::from(vec![0; 32 << 20]);
    let memory = Memory::start(collector.program.pid());
    for _again in 0..4 {
        assert_eq!(api.otlp("logs", plain.clone()).await.0, 413);
        assert_eq!(api.otlp_encoded("logs", gzip.clone(), "gzip").await.0, 413);
        assert_eq!(api.otlp_encoded("logs", zstd.clone(), "zstd").await.0, 413);
        for client in [&grpc, &grpc_zstd] {
            let refused = client
                .export(Signal::Logs, unpacked.clone(), None)
                .await
                .unwrap_err();
            assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        }
        let uncompressed = grpc_client(api, None);
        let refused = uncompressed.export(Signal::Logs, plain.clone(), None).await;
        assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    }
    let growth = memory.growth();
    say(&format!(
        "bodies over the cap: memory grew by {:.1} MiB at most",
        growth as f64 / f64::from(1 << 20)
    ));
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes");
    assert_eq!(
        api.otlp("logs", log_request("small", [record(2)])).await.0,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_queries_are_refused_in_the_words_of_their_api() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(CollectorOptions::new(dir.path())).await;
    let api = &collector.api;
    for (path, name, value) in [
        ("/api/v1/query", "query", "sum(up"),
        ("/api/v1/query", "query", "rate(up)"),
        ("/api/v1/query", "time", "yesterday"),
        ("/api/v1/query_range", "query", "up"),
        ("/api/v1/series", "match[]", "{"),
        ("/api/v1/format_query", "query", "sum("),
        ("/api/v1/parse_query", "query", "rate(x[5m * 2])"),
        ("/api/v1/query_exemplars", "query", "x{"),
        ("/api/v1/query_exemplars", "start", "tomorrow"),
        ("/api/v1/status/tsdb", "limit", "0"),
        (
            "/loki/api/v1/query_range",
            "query",
            "{service_name=\"a\"} |=",
        ),
        ("/loki/api/v1/query_range", "query", "{service_name=~\"(\"}"),
        ("/loki/api/v1/query", "query", "count_over_time({a=\"b\"}"),
    ] {
        let (status, body) = api.get(path, &[(name, value)]).await.unwrap();
        assert_eq!(status, 400, "{path} {value}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "error", "{path}: {answer}");
        assert_eq!(answer["errorType"], "bad_data", "{path}: {answer}");
        assert!(
            answer["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{answer}"
        );
    }
    for (path, name, value) in [
        ("/tempo/api/search", "minDuration", "long"),
        ("/tempo/api/search", "limit", "all"),
        ("/tempo/api/traces/xyz", "", ""),
        ("/api/vervet/v1/errors", "state", "lost"),
    ] {
        let (status, body) = api.get(path, &[(name, value)]).await.unwrap();
        assert_eq!(status, 400, "{path} {value}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            answer["error"]["code"], "invalid_argument",
            "{path}: {answer}"
        );
        assert!(answer["error"]["message"].is_string(), "{path}: {answer}");
    }
    let (status, body) = api.get("/tempo/api/traces/abcdef", &[]).await.unwrap();
    assert_eq!(status, 404, "{body}");
    let (status, body) = api.get("/api/v2/nothing", &[]).await.unwrap();
    assert_eq!(
        status, 404,
        "an API path nobody serves is no page of the web app: {body}"
    );
}

fn record(number: u64) -> Record {
    Record {
        time: now_nanos(),
        body: format!("good record {number}"),
        severity: 9,
        ..Record::default()
    }
}

fn grpc_client(api: &Api, compression: Option<CompressionEncoding>) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", api.addresses.otlp_grpc)).unwrap();
    Client::new(endpoint.connect_lazy(), compression)
}

/// Zeros, compressed with gzip and with zstd: well under the cap on the wire, far over it unpacked.
fn bombs() -> (Vec<u8>, Vec<u8>) {
    let zeros = vec![0; 1 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _mebibyte in 0..BOMB_BYTES / zeros.len() {
        gzip.write_all(&zeros).unwrap();
        zstd.write_all(&zeros).unwrap();
    }
    let (gzip, zstd) = (gzip.finish().unwrap(), zstd.finish().unwrap());
    assert!(
        gzip.len().max(zstd.len()) < 1 << 20,
        "{} {}",
        gzip.len(),
        zstd.len()
    );
    (gzip, zstd)
}

/// The resident memory of a process, from a reset of its peak on.
struct Memory {
    pid: u32,
    before: u64,
}

impl Memory {
    fn start(pid: u32) -> Self {
        // 5 resets the peak.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        let before = Self::read(pid, "VmRSS:");
        Self { pid, before }
    }

    /// How far the peak is above the start (bytes).
    fn growth(&self) -> u64 {
        Self::read(self.pid, "VmHWM:").saturating_sub(self.before)
    }

    fn read(pid: u32, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes * 1024
    }
}
