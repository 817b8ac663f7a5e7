//! What clients of Prometheus ask its API for beside samples.

use serde_json::json;

use crate::harness::{Collector, CollectorOptions, turn};

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_clients_are_told_what_they_ask_for() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(CollectorOptions::new(dir.path())).await;
    let api = &collector.api;
    let query = ("query", "sum(rate(x[300]))by(job)>bool 1");
    for (path, params, data) in [
        (
            "/api/v1/format_query",
            vec![query],
            json!("sum by (job) (rate(x[5m])) > bool 1"),
        ),
        (
            "/api/v1/parse_query",
            vec![("query", "-x")],
            json!({"type": "unaryExpr", "op": "-", "expr": {
                "type": "vectorSelector", "name": "x", "offset": 0, "timestamp": null, "startOrEnd": null,
                "anchored": false, "smoothed": false,
                "matchers": [{"name": "__name__", "value": "x", "type": "="}],
            }}),
        ),
        ("/api/v1/query_exemplars", vec![query], json!([])),
        (
            "/api/v1/targets",
            Vec::new(),
            json!({"activeTargets": [], "droppedTargets": []}),
        ),
    ] {
        let answer = api.json(path, &params).await;
        assert_eq!(answer, json!({"status": "success", "data": data}), "{path}");
    }
    let config = api.json("/api/v1/status/config", &[]).await;
    let yaml = config["data"]["yaml"].as_str().unwrap_or_default();
    assert!(yaml.contains("\ndata_dir: "), "{yaml}");
    let runtime = api.json("/api/v1/status/runtimeinfo", &[]).await;
    assert_eq!(runtime["data"]["reloadConfigSuccess"], true, "{runtime}");
    let held = api.json("/api/v1/status/tsdb", &[]).await;
    assert!(held["data"]["headStats"]["numSeries"].is_u64(), "{held}");
    let some = [(
        "query",
        "label_replace(vector(1), 'a', 'b', '', '') or vector(2)",
    )];
    let all = api.json("/api/v1/query", &some).await;
    assert_eq!(all["data"]["result"].as_array().map(Vec::len), Some(2));
    let cut = [some[0], ("limit", "1")];
    let cut = api.json("/api/v1/query", &cut).await;
    assert_eq!(cut["data"]["result"].as_array().map(Vec::len), Some(1));
    assert_eq!(cut["warnings"], json!(["results truncated due to limit"]));
}
