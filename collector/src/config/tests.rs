use vervet_store::maintain::Keep;

use super::*;

#[test]
fn little_memory_makes_small_limits_and_much_makes_the_defaults() {
    let defaults = Limits::default();
    let large = memory::within(16 << 30, Limits::default());
    assert_eq!(format!("{large:?}"), format!("{defaults:?}"));
    let small = memory::within(512 << 20, Limits::default());
    assert_eq!(
        (small.head_bytes, small.inflight_bytes),
        (16 << 20, 32 << 20)
    );
    assert_eq!(
        (small.series, small.query_memory_bytes),
        (131_072, 32 << 20)
    );
    assert_eq!(small.query_cache_bytes, 4 << 20);
    assert_eq!(
        (small.query_samples, small.query_series, small.queries),
        (2_097_152, 32_768, 2)
    );
    let tiny = memory::within(16 << 20, Limits::default());
    assert_eq!(tiny.inflight_bytes, tiny.request_bytes);
    assert_eq!(memory::compaction_bytes(512 << 20, 128 << 20), 16 << 20);
}

#[test]
fn an_empty_file_is_a_loopback_collector() {
    let config = CollectorConfig::parse("c.yaml", "").expect("valid");
    assert_eq!(config.http.to_string(), "127.0.0.1:7420");
    assert_eq!(config.limits.head_bytes, 64 << 20);
    assert_eq!(config.limits.head_bytes_max, 256 << 20);
}

#[test]
fn everything_can_be_set() {
    let store = "store: {reader_grace: 1m, unclaimed_max: 1GiB, upkeep_interval: 1s, \
        compaction: {file_min: 1MiB, file_max: 2MiB, files_min: 3, memory: 8MiB, rate: 4MiB}, \
        retention: {logs: {age: 30d, size: 1GiB}, environments: {staging: {traces: {age: 1d}}}}}\n";
    let text = "data_dir: /d\nlimits: {head: 1MiB, head_max: 3MiB, flush_interval: 5s}\nrules: {dir: /r, interval: 10s}\n\
        alerting: {route: {receiver: a}, receivers: [{name: a, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]}\n";
    let text = format!("{text}{store}");
    let config = CollectorConfig::parse("c.yaml", &text).expect("valid");
    let upkeep = &config.upkeep.store;
    assert_eq!(upkeep.reader_grace, Duration::from_secs(60));
    assert_eq!(upkeep.unclaimed_bytes_max, 1 << 30);
    let retention = &upkeep.retention;
    assert_eq!(retention.logs.bytes, Some(1 << 30));
    assert_eq!(retention.metrics, Keep::default());
    let staging = retention.environments["staging"];
    assert_eq!(staging.traces.age, Some(Duration::from_secs(86_400)));
    let compaction = &upkeep.compaction;
    assert_eq!(
        (compaction.file_bytes_min, compaction.file_bytes_max),
        (1 << 20, 2 << 20)
    );
    assert_eq!(
        (
            compaction.files_min,
            compaction.memory_bytes,
            compaction.bytes_per_second
        ),
        (3, 8 << 20, 4 << 20)
    );
    assert_eq!(config.limits.head_bytes_max, 3 << 20);
    assert_eq!(
        (config.limits.head_bytes, config.limits.flush_interval),
        (1 << 20, Duration::from_secs(5))
    );
    assert_eq!(config.evaluation_interval, Duration::from_secs(10));
}

#[test]
fn experimental_parts_of_the_query_language_are_switched_on_by_name() {
    let off = CollectorConfig::parse("c.yaml", "").expect("valid").promql;
    assert!(!off.duration_expressions && !off.extended_range_selectors);
    let text = "promql: {features: [promql-duration-expr, promql-extended-range-selectors]}\n";
    let on = CollectorConfig::parse("c.yaml", text)
        .expect("valid")
        .promql;
    assert!(on.duration_expressions && on.extended_range_selectors);
    assert_eq!(on.start_timestamps, off.start_timestamps);
}

#[test]
fn mistakes_name_line_and_nearest_key() {
    for (text, words) in [
        (
            "data_dir: /d\nlimits:\n  haed: 1MiB\n",
            &["c.yaml:3", "haed", "head"][..],
        ),
        (
            "promql:\n  features: [promql-duration-exp]\n",
            &["c.yaml:2", "promql-duration-expr"],
        ),
        ("http: {listen: 0.0.0.0:7420}\n", &["http.listen", "auth"]),
        (
            "limits: {head: 2MiB, head_max: 1MiB}\n",
            &["limits.head_max", "limits.head"],
        ),
        ("alerting: {route: {receiver: a}}\n", &["alerting", "\"a\""]),
        (
            "store:\n  promote:\n    logs: [{key: a, typ: text}]\n",
            &["c.yaml:3", "typ", "type"],
        ),
        (
            "store: {promote: {spans: [{key: a}, {key: a}]}}\n",
            &["store.promote.spans", "a is named twice"],
        ),
        (
            "store: {promote: {logs: [{key: \"a\\0b\"}]}}\n",
            &["store.promote.logs", "control characters"],
        ),
        (
            "store: {promote: {logs: [{key: a}], columns: 0}}\n",
            &["store.promote.logs", "more than columns allows"],
        ),
        (
            "store: {promote: {usage_percent: 101}}\n",
            &["store.promote.usage_percent", "100"],
        ),
        (
            "store: {compaction: {files_min: 1}}\n",
            &["store", "files_min"],
        ),
        (
            "store:\n  retention:\n    log: {age: 1d}\n",
            &["c.yaml:3", "log", "logs"],
        ),
        (
            "store: {retention: {environments: {qa: {logs: {age: 0s}}}}}\n",
            &["store.retention.environments.qa.logs.age", "0"],
        ),
        (
            "store: {retention: {environments: {qa: {metrics: {age: 1d}}}}}\n",
            &["metrics"],
        ),
        (
            "store: {compaction: {file_min: 1GiB}}\n",
            &["file_max", "file_min"],
        ),
    ] {
        let error = CollectorConfig::parse("c.yaml", text)
            .expect_err(text)
            .to_string();
        for word in words {
            assert!(error.contains(word), "{word:?} is missing in {error}");
        }
    }
    let open = CollectorConfig::parse("c.yaml", "auth: disabled\nhttp: {listen: 0.0.0.0:7420}\n");
    assert_eq!(open.expect("valid").http.port(), 7420);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let text = "http:\n  listen: 0.0.0.0:7420\notlp:\n  grpc: nowhere\nlimits:\n  haed: 1MiB\n  head: much\n  head_max: 1MiB\n\
                store:\n  compaction:\n    files_min: 1\n    rate: 0\n  promote:\n    usage_percent: 101\n    logs:\n    \
                - key: a\n    - key: a\nalerting:\n  route:\n    receiver: team-x\n    routes: [{receiver: team-y}]\n";
    let error = CollectorConfig::parse("c", text).expect_err("invalid");
    let lines: Vec<(usize, &str)> = error
        .problems
        .iter()
        .map(|problem| (problem.line.expect("a line"), problem.message.as_str()))
        .collect();
    let expected = [
        (2, "http.listen: 0.0.0.0:7420 can be reached"),
        (4, "otlp.grpc: `nowhere` is not an address"),
        (6, "unknown key `haed`; did you mean `head`?"),
        (7, "\"much\" is not a size"),
        (11, "store.compaction.files_min must be at least 2"),
        (12, "store.compaction.rate must not be 0"),
        (14, "store.promote.usage_percent: 101 is more than 100"),
        (17, "store.promote.logs: a is named twice"),
        (20, "alerting: a route names the receiver \"team-x\""),
        (21, "alerting: a route names the receiver \"team-y\""),
    ];
    assert_eq!(lines.len(), expected.len(), "{error}");
    for ((line, message), (expected_line, expected)) in lines.iter().zip(expected) {
        assert_eq!(*line, expected_line, "{message}");
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn the_shipped_example_is_valid() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/examples/collector.yaml"
    );
    CollectorConfig::load(Path::new(path)).expect("valid");
}

#[test]
fn attributes_get_columns_by_usage_and_by_name() {
    let config = CollectorConfig::parse("c.yaml", "").expect("valid");
    assert_eq!(config.promote, PromoteConfig::default());
    let text = "store:\n  promote:\n    logs: [{key: status, type: integer}, {key: user.id}]\n    usage_percent: 0\n";
    let promote = CollectorConfig::parse("c.yaml", text)
        .expect("valid")
        .promote;
    let key = |key: &str, kind| vervet_store::PromoteKey {
        key: key.to_owned(),
        kind,
    };
    let integer = Some(vervet_store::tables::PromotedKind::Integer);
    assert_eq!(promote.logs, [key("status", integer), key("user.id", None)]);
    assert_eq!((promote.columns_max, promote.usage_percent), (64, 0));
}

#[test]
fn what_a_start_would_fail_on_is_a_mistake() {
    for (text, word) in [
        (
            "http: {listen: '127.0.0.1:9'}\notlp: {grpc: '127.0.0.1:9'}\n",
            "otlp.grpc: 127.0.0.1:9 is the address of http.listen",
        ),
        (
            "otlp: {grpc: '127.0.0.1:9', http: '127.0.0.1:9'}\n",
            "otlp.http",
        ),
        ("external_url: nonsense\n", "external_url"),
        ("limits: {flush_interval: 0s}\n", "limits.flush_interval"),
        ("limits: {inflight: 1KiB}\n", "limits.inflight"),
        ("limits: {journal: 1KiB}\n", "limits.journal"),
    ] {
        let error = CollectorConfig::parse("c", text)
            .expect_err(text)
            .to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
    let text = "http: {listen: '127.0.0.1:0'}\notlp: {grpc: '127.0.0.1:0', http: '127.0.0.1:0'}\n\
                external_url: https://example.org/vervet\nlimits: {flush_interval: 1s, inflight: 64KiB, journal: 16MiB}\n";
    CollectorConfig::parse("c", text).expect("valid");
}
