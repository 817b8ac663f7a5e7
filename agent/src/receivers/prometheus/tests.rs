mod discovery;
mod labels;
mod native;
mod scraping;
mod settings;
mod tls;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vervet_model::{Clock, SystemClock};
use vervet_wire::otlp::{MetricData, Number, PROMETHEUS_SCOPE, for_each_metric};

use super::spec::{ScrapeSpec, StaticSpec};
use super::units::Span;
use super::*;
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;
use crate::pipeline::{BatchQueue, channel};
use crate::processors::Chains;

/// One point as the receiver sent it: name, labels, value's bits.
#[derive(Debug, Clone, PartialEq)]
struct Point {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
    monotonic: bool,
    time: u64,
    /// A staleness marker.
    ends: bool,
}

async fn next_points(queue: &mut BatchQueue) -> Vec<Point> {
    let next = tokio::time::timeout(Duration::from_secs(20), queue.next());
    let queued = next.await.expect("in time").expect("open");
    let mut points = Vec::new();
    for_each_metric(&queued.batch.payload, |_, scope, metric| {
        assert_eq!(scope.name, PROMETHEUS_SCOPE);
        let (numbers, monotonic) = match &metric.data {
            MetricData::Gauge(points) => (points, false),
            MetricData::Sum {
                points, monotonic, ..
            } => (points, *monotonic),
            other => panic!("{other:?}"),
        };
        for number in numbers {
            let Number::Double(value) = number.value else {
                panic!("a double")
            };
            let labels = number.attributes.iter();
            points.push(Point {
                name: metric.name.to_string(),
                labels: labels
                    .map(|a| (a.key.to_string(), a.value.to_text().into_owned()))
                    .collect(),
                value,
                monotonic,
                time: number.time_unix_nano,
                ends: number.no_recorded_value(),
            });
        }
    })
    .expect("valid");
    assert_eq!(queued.batch.records, points.len() as u64);
    queued.settle(Ok(()));
    points
}

fn value(points: &[Point], name: &str) -> f64 {
    points
        .iter()
        .find(|point| point.name == name)
        .unwrap_or_else(|| panic!("{name} in {points:?}"))
        .value
}

fn job(name: &str, address: &str) -> ScrapeSpec {
    ScrapeSpec {
        job_name: name.to_owned(),
        scrape_interval: Some(Span(Duration::from_millis(700))),
        scrape_timeout: Some(Span(Duration::from_millis(500))),
        static_configs: vec![StaticSpec {
            targets: vec![address.to_owned()],
            labels: BTreeMap::from([("env".to_owned(), "test".to_owned())]),
        }],
        ..ScrapeSpec::default()
    }
}

struct Running {
    queue: BatchQueue,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    metrics: Arc<AgentMetrics>,
}

fn start(jobs: Vec<ScrapeSpec>) -> Running {
    start_with(jobs, None)
}

fn start_with(jobs: Vec<ScrapeSpec>, max_series_per_target: Option<usize>) -> Running {
    let metrics = Arc::new(AgentMetrics::default());
    let (output, queue) = channel("scrape", 64 << 20, Arc::clone(&metrics));
    let shutdown = CancellationToken::new();
    let context = ReceiverContext {
        output,
        chains: Chains::default(),
        pods: PodDirectory::none(),
        resource: Vec::new(),
        resume: Vec::new(),
        metrics: Arc::clone(&metrics),
        shutdown: shutdown.clone(),
        clock: Arc::new(SystemClock),
    };
    let config = PrometheusConfig::try_from(PrometheusSpec {
        scrape_configs: jobs,
        max_series_per_target,
    })
    .expect("valid");
    let task = tokio::spawn(PrometheusReceiver::new(config, context).run());
    Running {
        queue,
        shutdown,
        task,
        metrics,
    }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("ended");
    }
}

async fn serve(router: Router) -> (String, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address").to_string();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(stopped)
            .await
            .expect("served");
    });
    (address, stop)
}

#[tokio::test]
async fn series_that_vanish_get_staleness_markers() {
    let scrapes = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&scrapes);
    let text = move || async move {
        match counting.fetch_add(1, Ordering::SeqCst) {
            0 => {
                "# TYPE r counter\nr{job=\"own\",p=\"a\"} 1\nr{p=\"b\"} 2\nr{p=\"b\"} 3\nold{p=\"\"} 4 1000\n"
            }
            1 => "# TYPE r counter\nr{job=\"own\",p=\"a\"} 5\n",
            _ => "this is garbage\n",
        }
    };
    let (address, _stop) = serve(Router::new().route("/metrics", get(text))).await;
    let started = tokio::time::Instant::now();
    let mut running = start(vec![job("shop", &address)]);

    let first = next_points(&mut running.queue).await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let pairs = [
        ("env", "test"),
        ("exported_job", "own"),
        ("instance", &address),
        ("job", "shop"),
        ("p", "a"),
    ];
    let labels: BTreeMap<_, _> = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    assert_eq!(
        (&first[0].labels, first[0].value, first[0].monotonic),
        (&labels, 1.0, true)
    );
    let values: Vec<_> = first
        .iter()
        .filter(|p| p.name == "r")
        .map(|p| p.value)
        .collect();
    assert_eq!(values, [1.0, 2.0], "a series counts once");
    let old = first.iter().find(|p| p.name == "old").expect("old");
    assert_eq!(
        (old.time, old.labels.contains_key("p")),
        (1_000_000_000, false)
    );
    assert_eq!(
        (value(&first, "up"), value(&first, "scrape_samples_scraped")),
        (1.0, 4.0)
    );
    assert!(value(&first, "scrape_duration_seconds") > 0.0);

    let second = next_points(&mut running.queue).await;
    let stale: Vec<_> = second.iter().filter(|p| p.ends).collect();
    assert_eq!(stale.len(), 1, "{second:?}");
    assert_eq!(stale[0].labels.get("p").map(String::as_str), Some("b"));
    assert_eq!(stale[0].time, second[0].time);

    let third = next_points(&mut running.queue).await;
    assert_eq!(value(&third, "up"), 0.0);
    assert!(third.iter().any(|point| point.name == "r" && point.ends));
    let fourth = next_points(&mut running.queue).await;
    assert_eq!(fourth.len(), 5, "markers are sent once: {fourth:?}");
    let text = running.metrics.encode_text();
    let counted = "vervet_agent_scrape_failures_total{receiver=\"scrape\",reason=\"malformed\"}";
    assert!(text.contains(counted), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn failing_targets_delay_no_other() {
    let hangs = || async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        ""
    };
    let (hanging, _stop) = serve(Router::new().route("/metrics", get(hangs))).await;
    let openmetrics = || async {
        (
            [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0")],
            "a 1 2.5\n# EOF\n",
        )
    };
    let (good, _stop) = serve(Router::new().route("/metrics", get(openmetrics))).await;
    let (missing, _stop) = serve(Router::new()).await;
    let (gone, stop) = serve(Router::new()).await;
    stop.cancel();
    let jobs = [
        ("hanging", &hanging),
        ("good", &good),
        ("missing", &missing),
        ("gone", &gone),
    ];
    let mut running = start(
        jobs.iter()
            .map(|(name, address)| job(name, address))
            .collect(),
    );
    let mut up: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    while up.get("good").map_or(0, Vec::len) < 4 || up.len() < 4 {
        for point in next_points(&mut running.queue).await {
            if point.name == "up" {
                up.entry(point.labels["job"].clone())
                    .or_default()
                    .push(point.value);
            } else if point.name == "a" {
                assert_eq!((point.value, point.time), (1.0, 2_500_000_000));
            }
        }
    }
    for (job, values) in &up {
        let expected = if job == "good" { 1.0 } else { 0.0 };
        assert!(
            values.iter().all(|value| *value == expected),
            "{job}: {values:?}"
        );
    }
    let text = running.metrics.encode_text();
    for reason in ["timeout", "status"] {
        assert!(
            text.contains(&format!("reason=\"{reason}\"")),
            "{reason} in {text}"
        );
    }
    running.stop().await;
}
