use std::time::Duration;

use arrow::util::pretty::pretty_format_batches;
use vervet_model::{Labels, MatchOp, Matcher, Signal, TraceId};
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, SpanKind, write_resource_logs};

use crate::fixtures::{TestSpan, at, at_ms, gauge, logs, spans, store};
use crate::{
    DecodeOptions, Direction, GroupBy, LineFilter, LineFilterOp, LogMeasure, LogQuery,
    SampleLimits, ServiceSpans, Store, StoreError, TraceQuery, decode,
};

fn query(matchers: Vec<Matcher>, filters: Vec<LineFilter>) -> LogQuery {
    LogQuery {
        matchers,
        filters,
        metadata: Vec::new(),
        trace_id: None,
        start: at(0),
        end: at(100),
        limit: 100,
        direction: Direction::NewestFirst,
    }
}

fn line(op: LineFilterOp, text: &str) -> LineFilter {
    LineFilter {
        op,
        text: text.to_owned(),
    }
}

/// Half of the rows in segments, half in the head.
fn log_store(dir: &tempfile::TempDir) -> Store {
    let store = store(dir);
    store.apply(
        1,
        logs("api", &[(1, 9, "GET /a 200"), (3, 17, "GET /b 500% done")]),
        None,
    );
    store.flush().unwrap();
    store.apply(
        2,
        logs("web", &[(2, 9, "render page_1"), (4, 13, "slow page")]),
        None,
    );
    store.apply(3, logs("api", &[(5, 9, "POST /a 201")]), None);
    store
}

async fn found(store: &Store, query: &LogQuery) -> Vec<String> {
    let rows = store.logs(query).await.unwrap();
    rows.into_iter().map(|row| row.body).collect()
}

#[tokio::test]
async fn log_search_goes_both_ways_and_stops_at_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir);
    let mut search = query(Vec::new(), Vec::new());
    search.limit = 2;
    assert_eq!(found(&store, &search).await, ["POST /a 201", "slow page"]);
    search.direction = Direction::OldestFirst;
    assert_eq!(
        found(&store, &search).await,
        ["GET /a 200", "render page_1"]
    );
    (search.start, search.end, search.limit) = (at(2), at(4), 100);
    assert_eq!(
        found(&store, &search).await,
        ["render page_1", "GET /b 500% done"]
    );
}

#[tokio::test]
async fn log_search_filters_by_labels() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir);
    let check = async |name: &str, op, value: &str, expect: &[&str]| {
        let matcher = Matcher::new(name, op, value).unwrap();
        let rows = found(&store, &query(vec![matcher], Vec::new())).await;
        assert_eq!(rows, expect, "{name} {op:?} {value}");
    };
    check(
        "service_name",
        MatchOp::Equal,
        "web",
        &["slow page", "render page_1"],
    )
    .await;
    check(
        "service_name",
        MatchOp::NotEqual,
        "api",
        &["slow page", "render page_1"],
    )
    .await;
    check(
        "service_name",
        MatchOp::Regex,
        "w.b|x",
        &["slow page", "render page_1"],
    )
    .await;
    check("service_name", MatchOp::Regex, "we", &[]).await;
    check(
        "service_name",
        MatchOp::NotRegex,
        "a.*",
        &["slow page", "render page_1"],
    )
    .await;
    check("level", MatchOp::Equal, "error", &["GET /b 500% done"]).await;
    check(
        "level",
        MatchOp::Regex,
        "error|warn",
        &["slow page", "GET /b 500% done"],
    )
    .await;
    check(
        "deployment_environment_name",
        MatchOp::Equal,
        "staging",
        &[],
    )
    .await;
    check("color", MatchOp::Equal, "red", &[]).await;
    let all = query(
        vec![Matcher::new("color", MatchOp::NotEqual, "red").unwrap()],
        Vec::new(),
    );
    assert_eq!(found(&store, &all).await.len(), 5);
}

#[tokio::test]
async fn log_search_filters_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir);
    let check = async |filters: Vec<LineFilter>, expect: &[&str]| {
        let rows = found(&store, &query(Vec::new(), filters.clone())).await;
        assert_eq!(rows, expect, "{filters:?}");
    };
    check(
        vec![line(LineFilterOp::Contains, "500%")],
        &["GET /b 500% done"],
    )
    .await;
    check(
        vec![line(LineFilterOp::Contains, "page_1")],
        &["render page_1"],
    )
    .await;
    check(vec![line(LineFilterOp::Contains, "g_t")], &[]).await;
    check(
        vec![
            line(LineFilterOp::Contains, "/a"),
            line(LineFilterOp::NotContains, "POST"),
        ],
        &["GET /a 200"],
    )
    .await;
    check(
        vec![line(LineFilterOp::Regex, r"\b20\d$")],
        &["POST /a 201", "GET /a 200"],
    )
    .await;
    check(
        vec![line(LineFilterOp::NotRegex, "(?i)get|post")],
        &["slow page", "render page_1"],
    )
    .await;
    let broken = query(Vec::new(), vec![line(LineFilterOp::Regex, "(")]);
    let error = store.logs(&broken).await.unwrap_err();
    assert!(error.is_user_error(), "{error:?}");
}

#[tokio::test]
async fn a_log_row_carries_labels_and_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir);
    let mut search = query(Vec::new(), vec![line(LineFilterOp::Contains, "/b")]);
    search.limit = 1;
    let rows = store.logs(&search).await.unwrap();
    assert_eq!(
        rows[0].labels.to_string(),
        r#"{deployment_environment_name="production", k8s_pod_name="pod-1", level="error", service_name="api"}"#
    );
    let names: Vec<_> = rows[0]
        .metadata
        .iter()
        .map(|(name, _value)| &**name)
        .collect();
    assert_eq!(
        names,
        [
            "http_method",
            "observed_time",
            "service_version",
            "severity_number"
        ]
    );
    assert_eq!(rows[0].time, at(3));
}

#[tokio::test]
async fn logs_are_counted_per_bucket_and_label() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir);
    let group = GroupBy::Some(vec!["service_name".to_owned(), "unknown".to_owned()]);
    let counts = store
        .log_counts(
            &query(Vec::new(), Vec::new()),
            &group,
            Duration::from_secs(3),
            LogMeasure::Bytes,
        )
        .await
        .unwrap();
    let shown: Vec<_> = counts
        .iter()
        .flat_map(|series| {
            series.buckets.iter().map(|bucket| {
                let seconds = bucket.start.since(at(0)).as_secs();
                format!(
                    "{} {seconds} {} {}",
                    series.labels, bucket.count, bucket.bytes
                )
            })
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"{service_name="api"} 0 1 10"#,
            r#"{service_name="api"} 3 2 27"#,
            r#"{service_name="web"} 0 1 13"#,
            r#"{service_name="web"} 3 1 9"#,
        ]
    );
    let total = store
        .log_counts(
            &query(Vec::new(), Vec::new()),
            &GroupBy::Some(Vec::new()),
            Duration::from_secs(100),
            LogMeasure::Records,
        )
        .await
        .unwrap();
    assert_eq!(total.len(), 1);
    assert_eq!(
        (total[0].labels.clone(), total[0].buckets[0].count),
        (Labels::empty(), 5)
    );
    let zero = store
        .log_counts(
            &query(Vec::new(), Vec::new()),
            &group,
            Duration::ZERO,
            LogMeasure::Records,
        )
        .await;
    assert!(zero.unwrap_err().is_user_error());
}

#[tokio::test]
async fn log_labels_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir);
    let names = store.log_label_names(&[], at(0), at(100)).await.unwrap();
    assert_eq!(
        names.found,
        [
            "deployment_environment_name",
            "k8s_pod_name",
            "level",
            "service_name"
        ]
    );
    let api = [Matcher::equal("service_name", "api")];
    let levels = store
        .log_label_values("level", &api, at(0), at(100))
        .await
        .unwrap();
    assert_eq!(levels.found, ["error", "info"]);
    assert_eq!(
        store
            .log_label_values("none", &[], at(0), at(100))
            .await
            .unwrap()
            .len(),
        0
    );
    assert_eq!(
        store.log_series(&[], at(0), at(100)).await.unwrap().len(),
        4
    );
}

const ROOT: TestSpan = TestSpan {
    trace: 1,
    id: 1,
    parent: None,
    name: "GET /checkout",
    kind: SpanKind::Server,
    seconds: 10,
    millis: 100,
    failed: false,
};

/// One trace over two services, half in a segment; and a second one.
fn trace_store(dir: &tempfile::TempDir) -> Store {
    let store = store(dir);
    store.apply(1, spans("web", &[ROOT]), None);
    store.flush().unwrap();
    let child = TestSpan {
        id: 2,
        parent: Some(1),
        name: "SELECT",
        kind: SpanKind::Client,
        seconds: 11,
        millis: 2000,
        failed: true,
        ..ROOT
    };
    let other = TestSpan {
        trace: 2,
        id: 9,
        name: "job",
        kind: SpanKind::Internal,
        seconds: 20,
        millis: 5,
        ..ROOT
    };
    store.apply(2, spans("api", &[child, other]), None);
    store
}

#[tokio::test]
async fn a_trace_is_gathered_from_head_and_segments() {
    let dir = tempfile::tempdir().unwrap();
    let store = trace_store(&dir);
    let trace = store.trace(TraceId([1; 16])).await.unwrap();
    let shown: Vec<_> = trace
        .iter()
        .map(|span| {
            format!(
                "{} {} {} {}",
                span.service_name, span.name, span.kind, span.status
            )
        })
        .collect();
    assert_eq!(
        shown,
        ["web GET /checkout server unset", "api SELECT client error"]
    );
    assert_eq!(trace[1].parent_span_id, Some(trace[0].span_id));
    assert_eq!(trace[1].duration, Duration::from_secs(2));
    assert_eq!(
        trace[0].attributes,
        [("http.route".to_owned(), "/checkout".to_owned())]
    );
    assert!(
        trace[0]
            .resource_attributes
            .contains(&("service.version".to_owned(), "1.2.3".to_owned()))
    );
    store.flush().unwrap();
    assert_eq!(store.trace(TraceId([1; 16])).await.unwrap(), trace);
    assert_eq!(store.trace(TraceId([9; 16])).await.unwrap().found, []);
}

/// A search over the time of [`trace_store`].
fn trace_query(set: impl FnOnce(&mut TraceQuery)) -> TraceQuery {
    let mut query = TraceQuery {
        start: at(0),
        end: at(100),
        limit: 10,
        ..TraceQuery::default()
    };
    set(&mut query);
    query
}

#[tokio::test]
async fn traces_are_found_by_their_spans() {
    let dir = tempfile::tempdir().unwrap();
    let store = trace_store(&dir);
    let check = async |query: TraceQuery, expect: &[u8]| {
        let found = store.search_traces(&query).await.unwrap();
        let ids: Vec<_> = found.iter().map(|trace| trace.trace_id.0[0]).collect();
        assert_eq!(ids, expect, "{query:?}");
    };
    check(trace_query(|_| {}), &[2, 1]).await;
    check(trace_query(|query| query.limit = 1), &[2]).await;
    check(
        trace_query(|query| query.service = Some("web".into())),
        &[1],
    )
    .await;
    check(
        trace_query(|query| query.environment = Some("none".into())),
        &[],
    )
    .await;
    check(
        trace_query(|query| query.status = Some("error".into())),
        &[1],
    )
    .await;
    let (long, short) = (Duration::from_secs(1), Duration::from_millis(5));
    check(trace_query(|query| query.min_duration = Some(long)), &[1]).await;
    check(trace_query(|query| query.max_duration = Some(short)), &[2]).await;
}

#[tokio::test]
async fn traces_are_found_by_attributes_of_span_and_resource() {
    let dir = tempfile::tempdir().unwrap();
    let store = trace_store(&dir);
    let cases: [(&str, &str, &[u8]); 4] = [
        ("http.route", "/checkout", &[2, 1]),
        ("service.version", "1.2.3", &[2, 1]),
        ("http.route", "/", &[]),
        ("service.name", "web", &[1]),
    ];
    for (key, value, expect) in cases {
        let attribute = (key.to_owned(), value.to_owned());
        let query = trace_query(|query| query.attributes = vec![attribute]);
        let found = store.search_traces(&query).await.unwrap();
        let ids: Vec<_> = found.iter().map(|trace| trace.trace_id.0[0]).collect();
        assert_eq!(ids, expect, "{key}={value}");
    }
}

#[tokio::test]
async fn a_trace_is_summed_up_over_its_services() {
    let dir = tempfile::tempdir().unwrap();
    let store = trace_store(&dir);
    let query = trace_query(|query| query.kind = Some("client".into()));
    let trace = store.search_traces(&query).await.unwrap().found.remove(0);
    assert_eq!(
        (&*trace.root_service_name, &*trace.root_name),
        ("web", "GET /checkout")
    );
    assert_eq!((trace.span_count, trace.error_count), (2, 1));
    assert_eq!(
        (trace.start, trace.duration),
        (at(10), Duration::from_secs(3))
    );
    let services: Vec<_> = trace.services.iter().collect();
    let spans = |spans, errors| ServiceSpans { spans, errors };
    let expect = [
        (&"api".to_owned(), &spans(1, 1)),
        (&"web".to_owned(), &spans(1, 0)),
    ];
    assert_eq!(services, expect);
    let matched: Vec<_> = trace.matched.iter().map(|span| &*span.name).collect();
    assert_eq!(matched, ["SELECT"]);
}

#[tokio::test]
async fn services_are_summed_up_from_spans_and_logs() {
    let dir = tempfile::tempdir().unwrap();
    let store = trace_store(&dir);
    store.apply(3, logs("web", &[(30, 17, "broken"), (31, 9, "fine")]), None);
    let stats = store.service_stats(at(0), at(100), 4).await.unwrap();
    let [api, web] = stats.as_slice() else {
        panic!("{stats:?}");
    };
    // The client span of "api" has a parent and is no request; its root span stands in.
    assert_eq!(
        (&*api.service_name, api.requests, api.errors),
        ("api", 1, 0)
    );
    assert_eq!(
        (&*web.service_name, &*web.environment),
        ("web", "production")
    );
    assert_eq!(
        (web.requests, web.errors, web.p50_ms, web.p99_ms),
        (1, 0, 100.0, 100.0)
    );
    assert_eq!(
        (web.log_records, web.log_errors, web.last_seen),
        (2, 1, at(31))
    );
    let requests: Vec<_> = web.sparkline.iter().map(|point| point.requests).collect();
    assert_eq!(requests, [1, 0, 0, 0]);
    assert!(
        store
            .service_stats(at(1), at(1), 4)
            .await
            .unwrap_err()
            .is_user_error()
    );
    assert!(
        store
            .service_stats(at(0), at(1), 0)
            .await
            .unwrap_err()
            .is_user_error()
    );
}

const LIMITS: SampleLimits = SampleLimits {
    series_max: 10,
    samples_max: 100,
    deadline: vervet_model::UnixNanos(i64::MAX),
};

#[test]
fn samples_come_from_head_and_segments_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    store.apply(
        1,
        gauge(&[("a", 10, 1.0), ("a", 30, 3.0), ("b", 10, 9.0)]),
        None,
    );
    store.flush().unwrap();
    // A repeat with another value, one out of order, and one after.
    store.apply(
        2,
        gauge(&[("a", 30, 99.0), ("a", 20, 2.0), ("a", 40, 4.0)]),
        None,
    );
    let read = |start, end| {
        let matchers = [
            Matcher::equal("__name__", "queue_depth"),
            Matcher::equal("pod", "a"),
        ];
        let found = store.samples(&matchers, start, end, LIMITS).unwrap();
        let samples: Vec<_> = found
            .into_iter()
            .flat_map(|series| series.samples)
            .collect();
        samples
            .into_iter()
            .map(|(time_ms, value)| ((time_ms - at_ms(0)) / 1000, value))
            .collect::<Vec<_>>()
    };
    let expect = [(10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0)];
    assert_eq!(read(at_ms(0), at_ms(100)), expect);
    assert_eq!(read(at_ms(20), at_ms(30)), expect[1..3]);
    store.flush().unwrap();
    assert_eq!(read(at_ms(0), at_ms(100)), expect);
    assert_eq!(read(at_ms(41), at_ms(100)), []);
}

#[test]
fn samples_keep_to_their_limits() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    store.apply(
        1,
        gauge(&[("a", 10, 1.0), ("b", 10, 3.0), ("b", 20, 9.0)]),
        None,
    );
    let read = |limits| store.samples(&[], i64::MIN, i64::MAX, limits);
    assert_eq!(read(LIMITS).unwrap().len(), 2);
    let few = read(SampleLimits {
        samples_max: 2,
        ..LIMITS
    });
    assert!(matches!(
        few,
        Err(StoreError::QueryTooLarge {
            what: "samples",
            limit: 2
        })
    ));
    let one = read(SampleLimits {
        series_max: 1,
        ..LIMITS
    });
    assert!(matches!(
        one,
        Err(StoreError::QueryTooLarge { what: "series", .. })
    ));
    let late = read(SampleLimits {
        deadline: at(0),
        ..LIMITS
    });
    assert!(matches!(late, Err(StoreError::Timeout { .. })));
}

#[tokio::test]
async fn sql_reads_all_tables_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = log_store(&dir);
    store.apply(4, gauge(&[("a", 10, 1.0)]), None);
    let sql = "SELECT s.labels['pod'] AS pod, value, body FROM samples \
               JOIN series s USING (series_id) CROSS JOIN logs ORDER BY body";
    let batches = store.sql(sql, 2).await.unwrap();
    insta::assert_snapshot!(pretty_format_batches(&batches).unwrap().to_string(), @r"
    +-----+-------+------------------+
    | pod | value | body             |
    +-----+-------+------------------+
    | a   | 1.0   | GET /a 200       |
    | a   | 1.0   | GET /b 500% done |
    +-----+-------+------------------+
    ");
    for statement in [
        "DROP TABLE logs",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO logs SELECT * FROM logs",
        "COPY logs TO '/tmp/x.parquet'",
        "EXPLAIN ANALYZE COPY logs TO '/tmp/x.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT 1; SELECT 2",
        "SELECT nothing FROM logs",
        "not sql",
    ] {
        let error = store.sql(statement, 10).await.expect_err(statement);
        assert!(error.is_user_error(), "{statement}: {error:?}");
    }
    for statement in ["SHOW TABLES", "EXPLAIN SELECT * FROM logs", "DESCRIBE logs"] {
        assert!(
            !store.sql(statement, 100).await.unwrap().is_empty(),
            "{statement}"
        );
    }
}

#[tokio::test]
async fn a_query_over_its_time_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(crate::StoreConfig {
        query_timeout: Duration::from_millis(200),
        ..crate::StoreConfig::new(dir.path())
    })
    .unwrap();
    let rows: Vec<_> = (0..100).map(|n| (n, 9, "line")).collect();
    store.apply(1, logs("api", &rows), None);
    let endless = "SELECT count(*) FROM logs a, logs b, logs c, logs d, logs e \
                   WHERE a.body || b.body || c.body || d.body <> e.body";
    let error = store.sql(endless, 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Timeout { .. }), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn log_search_filters_by_structured_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let mut body = Vec::new();
    let resource = Resource {
        attributes: vec![
            KeyValue::new("service.name", "api"),
            KeyValue::new("k8s.node-name", "n1"),
        ],
    };
    write_resource_logs(&mut body, &resource, &Scope::default(), |writer| {
        for (second, order) in [(1, "17"), (2, "18")] {
            writer.push(&LogRecord {
                time_unix_nano: u64::try_from(at(second).0).unwrap(),
                body: order.into(),
                trace_id: if second == 1 { &[7; 16] } else { &[] },
                attributes: vec![KeyValue::new("order.id", order)],
                ..LogRecord::default()
            });
        }
    });
    let decoded = decode(Signal::Logs, &body, &DecodeOptions::default(), at(2)).unwrap();
    store.apply(1, decoded, None);
    store.flush().unwrap();
    let check = async |name: &str, op, value: &str, expect: &[&str]| {
        let mut search = query(Vec::new(), Vec::new());
        search.metadata = vec![Matcher::new(name, op, value).unwrap()];
        assert_eq!(
            found(&store, &search).await,
            expect,
            "{name} {op:?} {value}"
        );
    };
    check("order_id", MatchOp::Equal, "17", &["17"]).await;
    check("order_id", MatchOp::NotRegex, "1[0-7]", &["18"]).await;
    check("k8s_node_name", MatchOp::Equal, "n1", &["18", "17"]).await;
    check("absent", MatchOp::Equal, "", &["18", "17"]).await;
    check("service_name", MatchOp::Equal, "web", &[]).await;
    check("trace_id", MatchOp::Equal, &"07".repeat(16), &["17"]).await;
    check("trace_id", MatchOp::NotEqual, &"07".repeat(16), &["18"]).await;
    let mut search = query(Vec::new(), Vec::new());
    search.metadata = vec![Matcher::new("trace_id", MatchOp::Regex, "07.*").unwrap()];
    assert!(store.logs(&search).await.unwrap_err().is_user_error());
}

/// Two lines of a pod, the first of which says it were of another.
fn lines_that_pretend() -> Vec<u8> {
    let mut body = Vec::new();
    let resource = Resource {
        attributes: vec![
            KeyValue::new("service.name", "api"),
            KeyValue::new("k8s.pod.name", "web-1"),
            KeyValue::new("log.file.path", "/var/log/api.log"),
        ],
    };
    let forged = [
        ("log.file.path", "/forged"),
        ("k8s.pod.name", "forged-1"),
        ("service.name", "forged"),
        ("trace_id", "forged-id"),
        ("order.id", "17"),
    ];
    write_resource_logs(&mut body, &resource, &Scope::default(), |writer| {
        for (second, attributes) in [(1, &forged[..]), (2, &[])] {
            writer.push(&LogRecord {
                time_unix_nano: u64::try_from(at(second).0).unwrap(),
                body: second.to_string().into(),
                attributes: attributes
                    .iter()
                    .map(|(key, value)| KeyValue::new(*key, *value))
                    .collect(),
                ..LogRecord::default()
            });
        }
    });
    body
}

#[tokio::test]
async fn what_a_line_says_never_hides_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let body = lines_that_pretend();
    let decoded = decode(Signal::Logs, &body, &DecodeOptions::default(), at(2)).unwrap();
    store.apply(1, decoded, None);
    for flushed in [false, true] {
        if flushed {
            store.flush().unwrap();
        }
        let rows = store.logs(&query(Vec::new(), Vec::new())).await.unwrap();
        let first = rows.found.iter().find(|row| row.body == "1").unwrap();
        assert_eq!(first.labels.get("k8s_pod_name"), Some("web-1"));
        let value = |name: &str| {
            let found = first.metadata.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("log_file_path"), Some("/var/log/api.log"));
        assert_eq!(value("log_file_path_extracted"), Some("/forged"));
        assert_eq!(value("k8s_pod_name"), None);
        assert_eq!(value("k8s_pod_name_extracted"), Some("forged-1"));
        assert_eq!(value("service_name_extracted"), Some("forged"));
        assert_eq!(value("trace_id"), None);
        assert_eq!(value("trace_id_extracted"), Some("forged-id"));
        let check = async |name: &str, op, value: &str, expect: &[&str]| {
            let mut search = query(Vec::new(), Vec::new());
            search.metadata = vec![Matcher::new(name, op, value).unwrap()];
            let found = found(&store, &search).await;
            assert_eq!(found, expect, "{name} {op:?} {value}, flushed: {flushed}");
        };
        let path = "/var/log/api.log";
        check("log_file_path", MatchOp::Equal, path, &["2", "1"]).await;
        check("log_file_path", MatchOp::Equal, "/forged", &[]).await;
        check("k8s_pod_name", MatchOp::Equal, "forged-1", &[]).await;
        check("log_file_path_extracted", MatchOp::Equal, "/forged", &["1"]).await;
        check(
            "log_file_path_extracted",
            MatchOp::NotEqual,
            "/forged",
            &["2"],
        )
        .await;
        check("log_file_path_extracted", MatchOp::Equal, "", &["2"]).await;
        check("service_name_extracted", MatchOp::Regex, "forg.*", &["1"]).await;
        check("trace_id_extracted", MatchOp::Equal, "forged-id", &["1"]).await;
        // Nothing was hidden, so there is no such name.
        check("order_id_extracted", MatchOp::Equal, "17", &[]).await;
        check("order_id", MatchOp::Equal, "17", &["1"]).await;
    }
}
