//! Scrapes of targets of every kind.

use std::collections::BTreeSet;

use ::http::{HeaderMap, StatusCode, header};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::Value;
use vervet_relabel::{Action, RuleSpec};

use super::*;
use crate::config::secret::Secret;
use crate::receivers::prometheus::spec::{AuthorizationSpec, BasicAuthSpec, ScrapeProtocol};
use crate::receivers::prometheus::units::Size;

/// A server whose answers are `text`, changed at will.
async fn changing(text: &'static str) -> (String, Arc<Mutex<&'static str>>, CancellationToken) {
    let text = Arc::new(Mutex::new(text));
    let shown = Arc::clone(&text);
    let answer = move || {
        let text = *shown.lock();
        async move { text }
    };
    let (address, stop) = serve(Router::new().route("/metrics", get(answer))).await;
    (address, text, stop)
}

fn figures(points: &[Point]) -> [f64; 4] {
    [
        "up",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    ]
    .map(|name| value(points, name))
}

fn names(points: &[Point]) -> Vec<&str> {
    let own = points
        .iter()
        .filter(|point| !point.name.starts_with("scrape_") && point.name != "up");
    own.map(|point| point.name.as_str()).collect()
}

impl Running {
    /// The JSON that the admin listener would answer.
    fn targets(&self) -> Value {
        let answer = self.metrics.scrape.targets.answer(TargetState::Any, None);
        serde_json::to_value(answer).expect("JSON")
    }
}

#[tokio::test]
async fn figures_of_a_scrape_count_before_and_after_relabelling() {
    let (address, text, _stop) = changing("a 1\nb 2\nb 3\nc 4\n").await;
    let mut spec = job("shop", &address);
    spec.metric_relabel_configs = vec![RuleSpec {
        source_labels: Some(vec!["__name__".to_owned()]),
        regex: Some("c".to_owned()),
        action: Action::Drop,
        ..RuleSpec::default()
    }];
    let mut running = start(vec![spec]);
    let first = next_points(&mut running.queue).await;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(figures(&first), [1.0, 4.0, 3.0, 2.0]);
    *text.lock() = "a 1\nd 5\n";
    let second = next_points(&mut running.queue).await;
    assert_eq!(names(&second), ["a", "d", "b"]);
    assert!(second[2].ends);
    assert_eq!(figures(&second), [1.0, 2.0, 2.0, 1.0]);
    *text.lock() = "broken";
    let failed = next_points(&mut running.queue).await;
    assert!(
        failed.iter().filter(|point| point.ends).count() == 2,
        "{failed:?}"
    );
    assert_eq!(value(&failed, "up"), 0.0);
    // They are known still: they are no new series when they come back.
    *text.lock() = "a 1\nd 5\n";
    let back = next_points(&mut running.queue).await;
    assert_eq!(figures(&back), [1.0, 2.0, 2.0, 0.0]);
    running.stop().await;
}

#[tokio::test]
async fn limits_fail_the_whole_scrape_and_end_its_series() {
    let (address, text, _stop) = changing("a 1\nb 2\n").await;
    let mut spec = job("shop", &address);
    spec.sample_limit = 2;
    spec.label_limit = 5;
    spec.body_size_limit = Some(Size(100));
    let mut running = start(vec![spec]);
    assert_eq!(
        figures(&next_points(&mut running.queue).await),
        [1.0, 2.0, 2.0, 2.0]
    );
    *text.lock() = "a 1\nb 2\nc 3\n";
    let over = next_points(&mut running.queue).await;
    assert_eq!(figures(&over), [0.0, 3.0, 3.0, 0.0]);
    assert_eq!(over.iter().filter(|point| point.ends).count(), 2);
    *text.lock() = "a{x=\"1\",y=\"2\"} 1\n";
    assert_eq!(value(&next_points(&mut running.queue).await, "up"), 0.0);
    *text.lock() = "# ....................................................................................................\n";
    assert_eq!(value(&next_points(&mut running.queue).await, "up"), 0.0);
    let error = running.targets()["activeTargets"][0]["lastError"].clone();
    assert_eq!(error, "the body is over 100 bytes");
    let text = running.metrics.encode_text();
    for reason in ["sample_limit", "label_limit", "too_large"] {
        assert!(
            text.contains(&format!("reason=\"{reason}\"}} 1")),
            "{reason} in {text}"
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn the_targets_own_times_count_as_the_job_says() {
    let now = SystemClock.now().to_millis().0;
    let text: &'static str =
        Box::leak(format!("old 1 1000\nahead 2 {}\n", now + 3_600_000).into_boxed_str());
    let (address, shown, _stop) = changing(text).await;
    let mut ignoring = job("ignoring", &address);
    ignoring.honor_timestamps = Some(false);
    let mut tracking = job("tracking", &address);
    tracking.track_timestamps_staleness = true;
    let mut running = start(vec![job("honouring", &address), ignoring, tracking]);
    let mut ended = BTreeSet::new();
    let mut seen = BTreeMap::new();
    while seen.len() < 3 {
        for point in next_points(&mut running.queue).await {
            if point.name == "old" {
                seen.insert(point.labels["job"].clone(), point.time);
            }
            // What is too far ahead is left out.
            assert!(
                point.name != "ahead" || point.labels["job"] == "ignoring",
                "{point:?}"
            );
        }
    }
    assert_eq!(
        (seen["honouring"], seen["tracking"]),
        (1_000_000_000, 1_000_000_000)
    );
    assert!(seen["ignoring"] > 1_000_000_000);
    *shown.lock() = "";
    let mut scrapes: BTreeMap<String, u32> = BTreeMap::new();
    while scrapes.len() < 3 || scrapes.values().any(|count| *count < 3) {
        for point in next_points(&mut running.queue).await {
            let job = point.labels["job"].clone();
            match point.name.as_str() {
                "up" => *scrapes.entry(job).or_default() += 1,
                "old" if point.ends => {
                    ended.insert(job);
                }
                _ => {}
            }
        }
    }
    assert_eq!(
        ended.into_iter().collect::<Vec<_>>(),
        ["ignoring", "tracking"]
    );
    running.stop().await;
}

#[tokio::test]
async fn requests_say_what_the_job_says() {
    let heads: Arc<Mutex<Vec<(String, HeaderMap)>>> = Arc::default();
    let noted = Arc::clone(&heads);
    let answer = move |request: Request| {
        let head = (request.uri().to_string(), request.headers().clone());
        noted.lock().push(head);
        async { "a 1\n" }
    };
    let (address, _stop) = serve(Router::new().fallback(get(answer))).await;
    let folder = tempfile::tempdir().expect("folder");
    let password = folder.path().join("password");
    std::fs::write(&password, "first\n").expect("written");
    let mut spec = job("shop", &address);
    spec.metrics_path = Some("/probe".to_owned());
    spec.params = BTreeMap::from([("module".to_owned(), vec!["a b".to_owned()])]);
    spec.basic_auth = Some(BasicAuthSpec {
        username: Some("u".to_owned()),
        password_file: Some(password.clone()),
        ..BasicAuthSpec::default()
    });
    spec.scrape_protocols = Some(vec![
        ScrapeProtocol::PrometheusText0_0_4,
        ScrapeProtocol::OpenMetricsText1_0_0,
    ]);
    let mut bearing = job("bearing", &address);
    bearing.authorization = Some(AuthorizationSpec {
        credentials: Some(Secret::new("t0ken")),
        ..AuthorizationSpec::default()
    });
    bearing.metrics_path = Some("/bearing".to_owned());
    let mut running = start(vec![spec, bearing]);
    let header = |path: &str, name: ::http::HeaderName| {
        let heads = heads.lock();
        let found = heads.iter().rev().find(|(uri, _)| uri.starts_with(path));
        found.map(|(_, headers)| headers[name].to_str().expect("text").to_owned())
    };
    while header("/probe", header::AUTHORIZATION).is_none()
        || header("/bearing", header::HOST).is_none()
    {
        next_points(&mut running.queue).await;
    }
    assert!(
        heads
            .lock()
            .iter()
            .any(|(uri, _)| uri == "/probe?module=a+b")
    );
    let accepted = header("/probe", header::ACCEPT).expect("asked");
    assert!(
        accepted.starts_with(
            "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0"
        )
    );
    let timeout = header::HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
    assert_eq!(header("/probe", timeout).as_deref(), Some("0.5"));
    assert_eq!(
        header("/bearing", header::AUTHORIZATION).as_deref(),
        Some("Bearer t0ken")
    );
    // dTpmaXJzdA== is u:first, dTpuZXh0 is u:next.
    assert_eq!(
        header("/probe", header::AUTHORIZATION).as_deref(),
        Some("Basic dTpmaXJzdA==")
    );
    std::fs::write(&password, "next").expect("written");
    while header("/probe", header::AUTHORIZATION).as_deref() != Some("Basic dTpuZXh0") {
        next_points(&mut running.queue).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_body_must_say_what_it_is_or_the_job_does() {
    let typed = |content_type: &'static str| {
        get(
            move || async move { ([(header::CONTENT_TYPE, content_type)], "a 1\n").into_response() },
        )
    };
    let router = Router::new()
        .route("/html", typed("text/html"))
        .route("/plain", typed("Text/Plain; version=0.0.4"));
    let (address, _stop) = serve(router).await;
    let at = |name: &str, path: &str, fallback: Option<ScrapeProtocol>| {
        let mut spec = job(name, &address);
        spec.metrics_path = Some(path.to_owned());
        spec.fallback_scrape_protocol = fallback;
        spec
    };
    let mut running = start(vec![
        at("refused", "/html", None),
        at("taken", "/html", Some(ScrapeProtocol::PrometheusText0_0_4)),
        at("plain", "/plain", None),
    ]);
    let mut up = BTreeMap::new();
    while up.len() < 3 {
        for point in next_points(&mut running.queue).await {
            if point.name == "up" {
                up.insert(point.labels["job"].clone(), point.value);
            }
        }
    }
    assert_eq!((up["refused"], up["taken"], up["plain"]), (0.0, 1.0, 1.0));
    running.stop().await;
}

#[tokio::test]
async fn redirects_are_followed_unless_the_job_says_otherwise() {
    let moved = || async {
        let to = [(header::LOCATION, "/real")];
        (StatusCode::FOUND, to).into_response()
    };
    let real = || async { "a 1\n" };
    let router: Router = Router::new()
        .route("/metrics", get(moved))
        .route("/real", get(real));
    let (address, _stop) = serve(router).await;
    let mut staying = job("staying", &address);
    staying.follow_redirects = Some(false);
    let mut running = start(vec![job("following", &address), staying]);
    let mut up = BTreeMap::new();
    while up.len() < 2 {
        for point in next_points(&mut running.queue).await {
            if point.name == "up" {
                up.insert(point.labels["job"].clone(), point.value);
            }
        }
    }
    assert_eq!((up["following"], up["staying"]), (1.0, 0.0));
    running.stop().await;
}

#[tokio::test]
async fn too_many_targets_are_all_down_and_none_is_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let answer = move || async move {
        counting.fetch_add(1, Ordering::SeqCst);
        "a 1\n"
    };
    let (address, _stop) = serve(Router::new().route("/metrics", get(answer))).await;
    let mut spec = job("shop", &address);
    let port = address.rsplit(':').next().expect("a port");
    // The same target twice is one.
    spec.static_configs[0]
        .targets
        .extend([address.clone(), format!("localhost:{port}")]);
    spec.target_limit = 1;
    let mut running = start(vec![spec]);
    for _ in 0..4 {
        let points = next_points(&mut running.queue).await;
        assert_eq!(figures(&points), [0.0, 0.0, 0.0, 0.0]);
    }
    let targets = running.targets();
    let active = targets["activeTargets"].as_array().expect("a list");
    assert_eq!(active.len(), 2);
    let error = "target_limit exceeded: 2 targets, the limit is 1";
    assert!(
        active.iter().all(|target| target["lastError"] == error),
        "{targets}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    running.stop().await;
}

#[tokio::test]
async fn status_has_the_shape_of_prometheus() {
    let (address, _text, _stop) = changing("a 1\nb 2\n").await;
    let mut spec = job("shop", &address);
    spec.static_configs.push(StaticSpec {
        targets: vec!["dropped:1".to_owned(), "dropped:2".to_owned()],
        labels: BTreeMap::new(),
    });
    spec.keep_dropped_targets = 1;
    spec.relabel_configs = vec![RuleSpec {
        source_labels: Some(vec!["__address__".to_owned()]),
        regex: Some("dropped:.*".to_owned()),
        action: Action::Drop,
        ..RuleSpec::default()
    }];
    let mut running = start(vec![spec]);
    next_points(&mut running.queue).await;
    let targets = running.targets();
    let active = &targets["activeTargets"][0];
    let expected = serde_json::json!({
        "discoveredLabels": {
            "__address__": address, "__metrics_path__": "/metrics", "__scheme__": "http",
            "__scrape_interval__": "700ms", "__scrape_timeout__": "500ms", "env": "test", "job": "shop",
        },
        "labels": {"env": "test", "instance": address, "job": "shop"},
        "scrapePool": "shop",
        "scrapeUrl": format!("http://{address}/metrics"),
        "globalUrl": format!("http://{address}/metrics"),
        "lastError": "",
        "lastScrape": active["lastScrape"],
        "lastScrapeDuration": active["lastScrapeDuration"],
        "lastScrapeSamples": 2,
        "series": 2,
        "samplesLeftOut": {},
        "health": "up",
        "scrapeInterval": "700ms",
        "scrapeTimeout": "500ms",
    });
    assert_eq!(*active, expected);
    assert!(
        active["lastScrape"]
            .as_str()
            .is_some_and(|text| text.starts_with("20")),
        "{active}"
    );
    assert_eq!(
        targets["droppedTargetCounts"],
        serde_json::json!({"shop": 2})
    );
    assert_eq!(targets["droppedTargets"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        targets["droppedTargets"][0]["discoveredLabels"]["__address__"],
        "dropped:1"
    );
    let other = running
        .metrics
        .scrape
        .targets
        .answer(TargetState::Any, Some("other"));
    assert!(other.active_targets.is_empty());
    let metrics = Arc::clone(&running.metrics);
    running.stop().await;
    let ended = metrics.scrape.targets.answer(TargetState::Any, None);
    assert!(ended.active_targets.is_empty() && ended.dropped_target_counts.is_empty());
}

#[tokio::test]
async fn an_answer_may_be_compressed() {
    let packed = || async {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, b"a 1\n").expect("written");
        let body = encoder.finish().expect("packed");
        let headers = [
            (header::CONTENT_ENCODING, "gzip"),
            (header::CONTENT_TYPE, "text/plain"),
        ];
        Response::into_response((headers, body).into_response())
    };
    let (address, _stop) = serve(Router::new().route("/metrics", get(packed))).await;
    let mut running = start(vec![job("shop", &address)]);
    let points = next_points(&mut running.queue).await;
    assert_eq!((names(&points), value(&points, "up")), (vec!["a"], 1.0));
    running.stop().await;
}

#[tokio::test]
async fn a_label_explosion_is_cut_and_counted_and_the_rest_is_kept() {
    let (address, text, _stop) =
        changing("a 1\nb 2\nc{x=\"1\"} 3\nc{x=\"2\"} 4\nc{x=\"3\"} 5\n").await;
    let mut spec = job("shop", &address);
    spec.metric_relabel_configs = vec![RuleSpec {
        source_labels: Some(vec!["__name__".to_owned()]),
        regex: Some("b".to_owned()),
        action: Action::Drop,
        ..RuleSpec::default()
    }];
    let mut running = start_with(vec![spec], Some(3));
    let first = next_points(&mut running.queue).await;
    assert_eq!(names(&first), ["a", "c"]);
    assert_eq!(figures(&first), [1.0, 5.0, 2.0, 2.0]);
    let target = running.targets()["activeTargets"][0].clone();
    assert_eq!(
        (&target["health"], &target["series"]),
        (&"up".into(), &3.into())
    );
    assert_eq!(
        target["samplesLeftOut"],
        serde_json::json!({"series_limit": 2})
    );
    let text_of_metrics = running.metrics.encode_text();
    let counted = "scrape_samples_left_out_total{receiver=\"scrape\",reason=\"series_limit\"} 2";
    assert!(text_of_metrics.contains(counted), "{text_of_metrics}");
    // Others take the places of those that are gone, at once.
    *text.lock() = "d 1\ne 2\nf 3\n";
    let second = next_points(&mut running.queue).await;
    let new: Vec<_> = second.iter().filter(|point| !point.ends).collect();
    assert_eq!(
        new.iter()
            .filter(|point| ["d", "e", "f"].contains(&point.name.as_str()))
            .count(),
        3
    );
    assert_eq!(second.iter().filter(|point| point.ends).count(), 2);
    running.stop().await;
}

#[tokio::test]
async fn samples_out_of_order_and_repeated_ones_are_left_out() {
    let now = SystemClock.now().to_millis().0;
    let text = |ago: i64| -> &'static str {
        Box::leak(format!("a 1 {}\nb 2 {}\n", now - ago, now - 5_000).into_boxed_str())
    };
    let (address, shown, _stop) = changing(text(1_000)).await;
    let mut running = start(vec![job("shop", &address)]);
    let first = next_points(&mut running.queue).await;
    assert_eq!(names(&first), ["a", "b"]);
    *shown.lock() = text(2_000);
    let second = next_points(&mut running.queue).await;
    assert_eq!(names(&second), Vec::<&str>::new());
    assert_eq!(figures(&second), [1.0, 2.0, 2.0, 0.0]);
    let left_out = running.targets()["activeTargets"][0]["samplesLeftOut"].clone();
    assert_eq!(left_out, serde_json::json!({"out_of_order": 1}));
    *shown.lock() = text(500);
    assert_eq!(names(&next_points(&mut running.queue).await), ["a"]);
    running.stop().await;
}

#[tokio::test]
async fn a_label_that_stands_twice_fails_the_scrape() {
    let (address, _text, _stop) = changing("a 1\nb{x=\"1\",x=\"2\"} 2\n").await;
    let mut running = start(vec![job("shop", &address)]);
    let points = next_points(&mut running.queue).await;
    assert_eq!(figures(&points), [0.0, 2.0, 1.0, 1.0]);
    assert_eq!(names(&points), Vec::<&str>::new());
    let error = running.targets()["activeTargets"][0]["lastError"].clone();
    assert_eq!(error, "`b` has the label `x` twice");
    running.stop().await;
}
