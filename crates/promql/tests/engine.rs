//! The engine's interface: what it asks of a store, how it fails, where it stops.

use std::time::Duration;

use parking_lot::Mutex;
use vervet_model::{Clock, Labels, MatchOp, UnixMillis, UnixNanos};
use vervet_promql::{
    Engine, EngineOptions, ErrorType, Features, QueryError, Queryable, QueryableError, Sample,
    SelectRequest, Series, StartSeries, Value, parse_selector,
};

/// Answers every selector with the same series and remembers what it was asked.
#[derive(Default)]
struct Recorder {
    requests: Mutex<Vec<(String, i64, i64)>>,
    /// Windows of requests for start timestamps.
    starts: Mutex<Vec<(i64, i64)>>,
    series: usize,
    samples: i64,
}

impl Queryable for Recorder {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let matchers = format!("{:?}", request.matchers);
        self.requests
            .lock()
            .push((matchers, request.start.0, request.end.0));
        let series = |index: usize| Series {
            labels: Labels::from_pairs([("__name__", "m".to_owned()), ("i", index.to_string())]),
            samples: (0..self.samples)
                .map(|minute| Sample {
                    timestamp: minute * 60_000,
                    value: 1.0,
                })
                .collect(),
        };
        Ok((0..self.series).map(series).collect())
    }

    fn select_starts(
        &self,
        request: &SelectRequest<'_>,
    ) -> Result<Vec<StartSeries>, QueryableError> {
        self.starts.lock().push((request.start.0, request.end.0));
        Ok(Vec::new())
    }
}

/// Each look at this clock costs a second.
struct SlowClock(Mutex<i64>);

impl Clock for SlowClock {
    fn now(&self) -> UnixNanos {
        let mut seconds = self.0.lock();
        *seconds += 1;
        UnixNanos(*seconds * 1_000_000_000)
    }
}

fn range(engine: &Engine, store: &Recorder, query: &str) -> Result<Value, QueryError> {
    let (start, end) = (UnixMillis(600_000), UnixMillis(1_200_000));
    engine
        .range(store, query, start, end, Duration::from_secs(60))
        .map(|output| output.value)
}

fn error_of(query: &str) -> QueryError {
    Engine::new(EngineOptions::default())
        .instant(&Recorder::default(), query, UnixMillis(0))
        .expect_err("the query is invalid")
}

#[test]
fn each_selector_reads_the_store_once_with_the_window_of_the_whole_query() {
    let store = Recorder::default();
    let engine = Engine::new(EngineOptions::default());
    range(&engine, &store, r#"rate(a_total{x="1"}[2m] offset 1m) + b"#).expect("valid");
    let requests = store.requests.lock().clone();
    assert_eq!(
        requests,
        [
            // (600s - 1m - 2m, 1200s - 1m], and (600s - 5m, 1200s].
            (
                r#"[__name__="a_total", x="1"]"#.to_owned(),
                420_001,
                1_140_000
            ),
            (r#"[__name__="b"]"#.to_owned(), 300_001, 1_200_000),
        ]
    );
}

#[test]
fn limits_end_a_query() {
    let store = Recorder {
        series: 10,
        samples: 20,
        ..Recorder::default()
    };
    let few_samples = EngineOptions {
        samples_max: 150,
        ..EngineOptions::default()
    };
    let error = range(&Engine::new(few_samples), &store, "m").expect_err("too many samples");
    assert!(
        matches!(error, QueryError::TooManySamples { limit: 150 }),
        "{error}"
    );
    let few_series = EngineOptions {
        series_max: 9,
        ..EngineOptions::default()
    };
    let error = range(&Engine::new(few_series), &store, "m").expect_err("too many series");
    assert!(
        matches!(error, QueryError::TooManySeries { limit: 9 }),
        "{error}"
    );
    let few_steps = EngineOptions {
        steps_max: 10,
        ..EngineOptions::default()
    };
    let error = range(&Engine::new(few_steps), &store, "m").expect_err("too many steps");
    assert_eq!(error.error_type(), ErrorType::BadData);
    let error = range(
        &Engine::new(EngineOptions::default()),
        &store,
        "sum_over_time(m[1y:1ms])",
    )
    .expect_err("too many steps of a subquery");
    assert!(
        matches!(error, QueryError::TooManySamples { .. }),
        "{error}"
    );
}

/// A target and many info metrics of it.
struct Target(usize);

impl Queryable for Target {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let infos = (0..self.0).map(|index| format!("x{index}"));
        let series = |name: String| Series {
            labels: Labels::from_pairs([
                ("__name__", name.as_str()),
                ("instance", "i"),
                ("job", "j"),
                ("zone", if name == "up" { "" } else { "a" }),
            ]),
            samples: vec![Sample {
                timestamp: 0,
                value: 1.0,
            }],
        };
        let all = std::iter::once("up".to_owned()).chain(infos).map(series);
        let matching = |series: &Series| {
            let mut matchers = request.matchers.iter();
            matchers.all(|matcher| matcher.matches_labels(&series.labels))
        };
        Ok(all.filter(matching).collect())
    }
}

#[test]
fn joining_many_info_metrics_looks_at_the_deadline() {
    let looks = |infos: usize, query: &str| {
        let clock = std::sync::Arc::new(SlowClock(Mutex::new(0)));
        let options = EngineOptions {
            timeout: Duration::from_secs(1 << 30),
            ..EngineOptions::default()
        };
        let engine = Engine::with_clock(options, std::sync::Arc::clone(&clock) as _);
        let output = engine.instant(&Target(infos), query, UnixMillis(60_000));
        let value = output.expect("in time").value;
        (value, *clock.0.lock())
    };
    let joining = |infos: usize| {
        let (value, all) = looks(infos, "info(up, {__name__=~\"x.+\"})");
        let (_, reading) = looks(infos, "{__name__=~\"x.+\"}");
        (value, all - reading)
    };
    let (_, few) = joining(10);
    let (value, many) = joining(20_000);
    let Value::Vector(vector) = value else {
        panic!("a vector");
    };
    let labels: Vec<String> = vector.iter().map(|one| one.labels.to_string()).collect();
    assert_eq!(
        labels,
        [r#"{__name__="up", instance="i", job="j", zone="a"}"#]
    );
    // Once in a thousand series, where they are sorted and where their labels are taken.
    assert!(many - few >= 30, "{few} looks for few, {many} for many");
}

#[test]
fn a_query_over_its_deadline_times_out() {
    let options = EngineOptions {
        timeout: Duration::from_secs(5),
        ..EngineOptions::default()
    };
    let engine = Engine::with_clock(options, std::sync::Arc::new(SlowClock(Mutex::new(0))));
    let store = Recorder {
        series: 10,
        samples: 20,
        ..Recorder::default()
    };
    let error = range(&engine, &store, "m").expect_err("too slow");
    assert_eq!(error.error_type(), ErrorType::Timeout);
}

#[test]
fn samples_that_the_store_returned_are_counted() {
    let store = Recorder {
        series: 3,
        samples: 4,
        ..Recorder::default()
    };
    let engine = Engine::new(EngineOptions::default());
    let output = engine
        .instant(&store, "m + m", UnixMillis(60_000))
        .expect("valid");
    assert_eq!(output.samples_read, 24);
}

#[test]
fn what_is_not_supported_is_named_with_its_place() {
    assert_eq!(
        error_of(r#"1 + {a="1" or b="2"}"#).to_string(),
        "1:5: not supported: `or` between label matchers"
    );
}

/// A query, the flag that it needs, and what is said without.
const SWITCHED: [(&str, &str, &str); 9] = [
    (
        "up[5m * 2]",
        "promql-duration-expr",
        "1:4: parse error: experimental duration expression is not enabled",
    ),
    (
        "up offset (1m)",
        "promql-duration-expr",
        "1:11: parse error: experimental duration expression is not enabled",
    ),
    (
        "rate(up[5m] anchored)",
        "promql-extended-range-selectors",
        "1:13: parse error: anchored modifier is experimental and not enabled",
    ),
    (
        "up Smoothed",
        "promql-extended-range-selectors",
        "1:4: parse error: smoothed modifier is experimental and not enabled",
    ),
    (
        "1 + sum(mad_over_time(up[5m]))",
        "promql-experimental-functions",
        "1:9: parse error: function \"mad_over_time\" is not enabled",
    ),
    (
        "end() - 1",
        "promql-experimental-functions",
        "1:1: parse error: function \"end\" is not enabled",
    ),
    (
        "info(up)",
        "promql-experimental-functions",
        "1:1: parse error: function \"info\" is not enabled",
    ),
    (
        "limitk(1, up)",
        "promql-experimental-functions",
        "1:1: parse error: aggregation \"limitk\" is not enabled",
    ),
    (
        "up + fill(0) up",
        "promql-binop-fill-modifiers",
        "1:1: parse error: binop fill modifiers are experimental and not enabled",
    ),
];

#[test]
fn what_is_switched_off_is_named_with_its_place() {
    let nothing = Features {
        experimental_functions: false,
        fill_modifiers: false,
        ..Features::default()
    };
    for (query, flag, expected) in SWITCHED {
        let answer = |features: Features| {
            let options = EngineOptions {
                features,
                ..EngineOptions::default()
            };
            Engine::new(options).instant(&Recorder::default(), query, UnixMillis(0))
        };
        let error = answer(nothing).expect_err("it is off");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.error_type(), ErrorType::BadData);
        let mut features = nothing;
        assert!(features.enable(flag), "{flag}");
        answer(features).expect("it is on");
    }
    assert!(!Features::default().enable("exemplar-storage"));
    let mut all = Features::default();
    for flag in [
        "promql-duration-expr",
        "promql-extended-range-selectors",
        "type-and-unit-labels",
        "use-start-timestamps",
    ] {
        assert!(all.enable(flag), "{flag}");
    }
    assert_eq!(all, Features::all());
}

/// Two series, of which one says that it is a counter.
struct Typed;

impl Queryable for Typed {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let series = [("done", "counter"), ("open_total", "gauge")].map(|(name, kind)| Series {
            labels: Labels::from_pairs([("__name__", name), ("__type__", kind)]),
            samples: [0, 60_000]
                .map(|timestamp| Sample {
                    timestamp,
                    value: timestamp as f64,
                })
                .to_vec(),
        });
        let matching = |series: &Series| {
            let mut matchers = request.matchers.iter();
            matchers.all(|matcher| matcher.matches_labels(&series.labels))
        };
        Ok(series.into_iter().filter(matching).collect())
    }
}

#[test]
fn the_type_of_a_metric_says_whether_it_is_a_counter() {
    for (type_and_unit_labels, query, expected) in [
        (
            false,
            "rate(done[5m])",
            Some(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
                 \"done\" (1:6)",
            ),
        ),
        (false, "rate(open_total[5m])", None),
        (true, "rate(done[5m])", None),
        (
            true,
            "rate(open_total[5m])",
            Some(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \
                 \"histogram\", got \"gauge\": \"open_total\" (1:6)",
            ),
        ),
    ] {
        let engine = Engine::new(EngineOptions {
            features: Features {
                type_and_unit_labels,
                ..Features::default()
            },
            ..EngineOptions::default()
        });
        let output = engine.instant(&Typed, query, UnixMillis(60_000));
        let infos = output.expect("valid").infos;
        let expected: Vec<String> = expected
            .iter()
            .map(|text| format!("PromQL info: {text}"))
            .collect();
        assert_eq!(infos, expected, "{query}");
    }
}

#[test]
fn start_timestamps_are_read_for_counters_only_and_with_their_flag() {
    let asked = |start_timestamps, query| {
        let store = Recorder {
            series: 1,
            samples: 20,
            ..Recorder::default()
        };
        let features = Features {
            start_timestamps,
            ..Features::default()
        };
        let engine = Engine::new(EngineOptions {
            features,
            ..EngineOptions::default()
        });
        range(&engine, &store, query).expect("valid");
        store.starts.into_inner()
    };
    let counters = "rate(m[2m]) + resets(m[3m] offset 1m) + delta(m[4m]) + rate(m[5m:1m])";
    assert_eq!(asked(false, counters), []);
    // (600s - 2m, 1200s] and (600s - 3m - 1m, 1200s - 1m].
    assert_eq!(
        asked(true, counters),
        [(480_001, 1_200_000), (360_001, 1_140_000)]
    );
    assert_eq!(
        error_of("1 + start_timestamp(m)").to_string(),
        "1:5: parse error: function \"start_timestamp\" is not enabled"
    );
    assert_eq!(asked(true, "start_timestamp(m)"), [(300_001, 1_200_000)]);
}

#[test]
fn ranges_with_edges_read_one_lookback_more() {
    let store = Recorder::default();
    let engine = Engine::new(EngineOptions {
        features: Features::all(),
        ..EngineOptions::default()
    });
    let query = "rate(a[2m] anchored) + rate(b[2m] smoothed offset 1m) + c smoothed";
    range(&engine, &store, query).expect("valid");
    let windows: Vec<(i64, i64)> = store
        .requests
        .lock()
        .iter()
        .map(|(_, start, end)| (*start, *end))
        .collect();
    assert_eq!(
        windows,
        [
            // (600s - 2m - 5m, 1200s], then both ends farther by 5m, a minute earlier; then (600s - 5m, 1200s + 5m].
            (180_001, 1_200_000),
            (120_001, 1_440_000),
            (300_001, 1_500_000),
        ]
    );
}

#[test]
fn invalid_queries_are_bad_data_and_do_not_panic() {
    for query in [
        "",
        "sum(",
        "up[5m]",
        "up{",
        "rate(up)",
        "up[1e300]",
        "up[NaN]",
        "up[-5m]",
        "up offset inf",
        "up[99999999999999y]",
        "up[5000000000ms]",
        "up[0]",
        "up[5m:1e300]",
        "up[5m:99999999999y]",
        "up[5m:-1s]",
        "up[5m] smoothed anchored",
        "anchored",
        "up[",
        "up[:",
        "up[5m:",
        "up offset -",
        "up offset (",
        "offset (",
        "ln(5)",
        r#"up{a=~"("}"#,
        r#"topk("x", up)"#,
        "nosuchfunction(up)",
    ] {
        let engine = Engine::new(EngineOptions::default());
        let (start, end) = (UnixMillis(0), UnixMillis(60_000));
        let error = engine
            .range(
                &Recorder::default(),
                query,
                start,
                end,
                Duration::from_secs(60),
            )
            .expect_err(query);
        assert_eq!(error.error_type(), ErrorType::BadData, "{query}: {error}");
    }
}

#[test]
fn faults_in_the_text_are_located() {
    for (query, expected) in [
        ("sum(up", "1:4: parse error: "),
        ("up)", "1:3: parse error: "),
        ("sum(up]", "1:7: parse error: "),
        ("up +\n 5 6", "2:4: parse error: unexpected 6"),
        ("1 +", "1:4: parse error: unexpected end of input"),
    ] {
        let error = error_of(query).to_string();
        assert!(error.starts_with(expected), "{query}: {error}");
    }
}

#[test]
fn the_deepest_queries_fit_the_stack_of_a_thread() {
    let nested =
        |before: &str, after: &str| format!("{}m{}", before.repeat(500), after.repeat(500));
    for query in [
        vec!["m"; 500].join(" + "),
        nested("abs(", ")"),
        nested("sum by (i) (", ")"),
        nested("-(", ")").replace("-(", "-").replace(')', ""),
        format!(
            "{}m{}",
            "max_over_time(".repeat(200),
            "[1m:1m])".repeat(200)
        ),
        format!("{}m{}", "m and (m / ".repeat(150), ")".repeat(150)),
    ] {
        let engine = Engine::new(EngineOptions::default());
        let store = Recorder {
            series: 1,
            samples: 1,
            ..Recorder::default()
        };
        let evaluate = move || {
            let (start, end) = (UnixMillis(0), UnixMillis(60_000));
            let step = Duration::from_secs(60);
            let output = engine
                .range(&store, &query, start, end, step)
                .expect("valid");
            assert!(matches!(output.value, Value::Matrix(matrix) if matrix.len() == 1));
        };
        // Half of what a blocking thread has.
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        thread
            .spawn(evaluate)
            .expect("a thread starts")
            .join()
            .expect("no panic");
    }
}

#[test]
fn deep_and_long_queries_are_refused() {
    let deep = format!("{}1{}", "(".repeat(2_000), ")".repeat(2_000));
    assert!(error_of(&deep).to_string().contains("nested"));
    let long = vec!["1"; 5_000].join("+");
    assert!(error_of(&long).to_string().contains("tokens"));
}

#[test]
fn selectors_parse_into_matchers() {
    let matchers = parse_selector(r#"up{job=~"api|web", zone!=""}"#).expect("valid");
    let ops: Vec<MatchOp> = matchers.iter().map(|matcher| matcher.op).collect();
    assert_eq!(ops, [MatchOp::Equal, MatchOp::Regex, MatchOp::NotEqual]);
    assert_eq!(matchers[0].value, "up");
    for invalid in [
        "up[5m]",
        "up offset 5m",
        "1",
        "sum(up)",
        "{}",
        r#"up{a=~"("}"#,
    ] {
        let error = parse_selector(invalid).expect_err(invalid);
        assert_eq!(error.error_type(), ErrorType::BadData);
    }
}

#[test]
fn reading_a_query_never_panics() {
    use proptest::prelude::*;
    let word = prop_oneof![
        Just("up".to_owned()),
        Just("sum".to_owned()),
        Just("rate".to_owned()),
        Just("offset".to_owned()),
        Just("by".to_owned()),
        Just("start".to_owned()),
        Just("step()".to_owned()),
        Just("min_of".to_owned()),
        Just("smoothed".to_owned()),
        Just("info".to_owned()),
        "[-+*/%^@()\\[\\]{}<>=!~,:\"'`#.]",
        "[0-9]{1,20}(ms|s|m|h|d|w|y|e[0-9]{1,3})?",
        "\\PC{0,3}",
    ];
    let query = prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "));
    let engine = Engine::new(EngineOptions {
        features: Features::all(),
        ..EngineOptions::default()
    });
    let store = Recorder::default();
    proptest!(ProptestConfig::with_cases(2_000), |(query in query)| {
        // Both outcomes are fine; what matters is that there is one.
        let _outcome = engine.instant(&store, &query, UnixMillis(0));
        let _selector = parse_selector(&query);
    });
}
