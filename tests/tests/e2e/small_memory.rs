//! A collector in a control group of 512 MiB, with the limits it chooses itself: 30 days of logs, far more series than
//! fit, and many heavy queries at once. It lives, refuses in clear words what is too much, and goes on.
//!
//! `VERVET_SOAK_ROWS` and `VERVET_SOAK_SERIES` make it larger; `VERVET_BIN_DIR` names a folder with a release build.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value as Json;
use tokio::time::sleep;
use vervet_wire::otlp::{
    KeyValue, LogRecord, Metric, MetricData, Number, NumberPoint, Resource, Scope, Value,
    write_resource_logs, write_resource_metrics,
};

use crate::harness::{Api, Collector, CollectorOptions, now_nanos, say, skip, turn};

const MEMORY_BYTES: u64 = 512 << 20;
const DAYS: i64 = 30;
const DAY_NANOS: i64 = 86_400_000_000_000;
const ROWS: u64 = 300_000;
const ROWS_OF: &str = "VERVET_SOAK_ROWS";
const SERIES: u64 = 160_000;
const SERIES_OF: &str = "VERVET_SOAK_SERIES";
const ITEMS_PER_REQUEST: u64 = 5_000;
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const TAKEN_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn small_memory_refuses_what_is_too_much_and_lives() {
    const NAME: &str = "small_memory_refuses_what_is_too_much_and_lives";
    let _turn = turn().await;
    let group = match ControlGroup::make() {
        Ok(group) => group,
        Err(reason) => return skip(NAME, &reason),
    };
    let dir = tempfile::tempdir().unwrap();
    let options = CollectorOptions {
        control_group: Some(group.0.clone()),
        ..CollectorOptions::new(dir.path())
    };
    let mut collector = Collector::start(options).await;
    let (api, now) = (collector.api.clone(), now_nanos());
    let rows = send_logs(&api, now).await;
    say(&format!(
        "small memory: {rows} log records over {DAYS} days, {}",
        group.use_of()
    ));
    let series = number_in(SERIES_OF).unwrap_or(SERIES);
    for first in (0..series).step_by(5_000) {
        send(&api, "metrics", wide_metric(first, now)).await;
    }
    let status = api.json("/api/vervet/v1/status", &[]).await;
    say(&format!(
        "small memory: {series} series offered, {}",
        group.use_of()
    ));
    assert!(status["tables"]["series"].is_object(), "{status}");
    for round in 1..=2 {
        let (answered, refused) = ask_all(&api, now).await;
        say(&format!(
            "small memory: round {round}: {answered} heavy queries answered, {refused} refused, {}",
            group.use_of()
        ));
        assert!(answered > 0);
    }
    // It goes on.
    send(
        &api,
        "logs",
        logs(0, now, 10, &mut SmallRng::seed_from_u64(9)),
    )
    .await;
    let last = api
        .logs("{service_name=~\"service-.*\"}", now, now + 1)
        .await;
    let requests_of_today = rows / ITEMS_PER_REQUEST / DAYS.unsigned_abs() + 1;
    assert_eq!(last.len() as u64, requests_of_today);
    assert!(collector.terminate().success());
    let found = collector.verify();
    assert_eq!(found["defects"], serde_json::json!([]), "{found}");
}

fn number_in(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().unwrap())
}

/// Returns the number of records.
async fn send_logs(api: &Api, now: i64) -> u64 {
    let mut random = SmallRng::seed_from_u64(1);
    let wanted = number_in(ROWS_OF).unwrap_or(ROWS);
    let mut sent = 0;
    while sent < wanted {
        for day in (0..DAYS).rev() {
            let request = logs(day, now, ITEMS_PER_REQUEST, &mut random);
            send(api, "logs", request).await;
            sent += ITEMS_PER_REQUEST;
        }
    }
    sent
}

/// Until it is taken.
async fn send(api: &Api, signal: &str, request: Bytes) {
    let deadline = Instant::now() + TAKEN_WITHIN;
    loop {
        let (status, body) = api.otlp(signal, request.clone()).await;
        if status == 200 {
            return;
        }
        assert!(matches!(status, 429 | 503), "{status}: {body}");
        assert!(Instant::now() < deadline, "never taken: {status}: {body}");
        sleep(RETRY_PAUSE).await;
    }
}

/// Records of one day, up to the moment of `now` in it.
fn logs(day: i64, now: i64, count: u64, random: &mut SmallRng) -> Bytes {
    let mut out = Vec::new();
    let service = format!("service-{}", random.random_range(0..8));
    let resource = Resource {
        attributes: vec![
            KeyValue::new("service.name", service.as_str()),
            KeyValue::new("deployment.environment.name", "test"),
        ],
    };
    let end = now - day * DAY_NANOS;
    let step = DAY_NANOS / 2 / i64::try_from(count).unwrap();
    write_resource_logs(&mut out, &resource, &Scope::default(), |writer| {
        for number in (0..i64::try_from(count).unwrap()).rev() {
            let body = format!(
                "GET /orders/{} took {:.3} ms",
                random.random_range(0..10_000_000),
                random.random_range(0.0..900.0)
            );
            let user = random.random_range(0..1_000_000).to_string();
            let request = format!("{:032x}", random.random::<u128>());
            let pod = format!("pod-{}", random.random_range(0..50));
            writer.push(&LogRecord {
                time_unix_nano: (end - number * step).unsigned_abs(),
                severity_number: [9, 9, 13, 17][random.random_range(0..4)],
                body: Value::from(body.as_str()),
                attributes: vec![
                    KeyValue::new("user.id", user.as_str()),
                    KeyValue::new("request.id", request.as_str()),
                    KeyValue::new("pod", pod.as_str()),
                ],
                ..LogRecord::default()
            });
        }
    });
    out.into()
}

fn wide_metric(first: u64, now: i64) -> Bytes {
    let points = (first..first + ITEMS_PER_REQUEST).map(|number| NumberPoint {
        attributes: vec![
            KeyValue::new("id", number.to_string()),
            KeyValue::new("pod", format!("pod-{}", number % 1_000)),
        ],
        time_unix_nano: now.unsigned_abs(),
        value: Number::Int(number.cast_signed()),
        ..NumberPoint::default()
    });
    let mut out = Vec::new();
    let (resource, scope) = (Resource::default(), Scope::default());
    write_resource_metrics(&mut out, &resource, &scope, |writer| {
        writer.push(&Metric {
            name: "wide".into(),
            data: MetricData::Gauge(points.collect()),
            ..Metric::default()
        });
    });
    out.into()
}

type Asked = (&'static str, Vec<(&'static str, String)>);

/// All at once; how many were answered and how many refused.
async fn ask_all(api: &Api, now: i64) -> (u32, u32) {
    let asked = heavy(now).into_iter().map(|(path, params)| {
        let api = api.clone();
        tokio::spawn(async move {
            let params: Vec<(&str, &str)> = params
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = api.get(path, &params).await;
            let (status, body) = answer.unwrap_or_else(|| panic!("no answer: {params:?}"));
            (status, body, format!("{params:?}"))
        })
    });
    let (mut answered, mut refused) = (0, 0);
    for task in asked.collect::<Vec<_>>() {
        let (status, body, params) = task.await.unwrap();
        if status == 200 {
            answered += 1;
            continue;
        }
        assert!(
            matches!(status, 422 | 429 | 503),
            "{params}: {status}: {body}"
        );
        let error: Json = serde_json::from_str(&body).unwrap();
        assert!(
            error["error"].is_string() || error["error"]["message"].is_string(),
            "{body}"
        );
        refused += 1;
    }
    (answered, refused)
}

fn heavy(now: i64) -> Vec<Asked> {
    let (start, end) = (now - DAYS * DAY_NANOS, now + 1);
    let seconds = |nanos: i64| (nanos / 1_000_000_000).to_string();
    let logs = |query: &str, step: &str| {
        let range = vec![
            ("query", query.to_owned()),
            ("start", start.to_string()),
            ("end", end.to_string()),
            ("step", step.to_owned()),
            ("limit", "5000".to_owned()),
        ];
        ("/loki/api/v1/query_range", range)
    };
    let instant = |query: &str| ("/api/v1/query", vec![("query", query.to_owned())]);
    let sql = |query: &str| ("/api/vervet/v1/sql", vec![("query", query.to_owned())]);
    vec![
        logs(
            "sum by (level) (count_over_time({service_name=~\".+\"} |~ \"orders/[0-9]+7 took\" [1h]))",
            "3600",
        ),
        logs(
            "sum by (user_id) (count_over_time({service_name=~\".+\"}[1d]))",
            "86400",
        ),
        logs("{service_name=~\"service-.*\"} |~ \"9[0-9]9 took\"", "60"),
        logs("{service_name=~\"service-.*\"} |= \"not there\"", "60"),
        instant("wide"),
        instant("count(wide)"),
        instant("sum by (pod) (wide)"),
        (
            "/api/v1/query_range",
            vec![
                ("query", "topk(10, rate(wide[5m]))".to_owned()),
                ("start", seconds(end - 3_600_000_000_000)),
                ("end", seconds(end)),
                ("step", "15".to_owned()),
            ],
        ),
        (
            "/api/v1/series",
            vec![
                ("match[]", "wide".to_owned()),
                ("start", seconds(start)),
                ("end", seconds(end)),
            ],
        ),
        ("/api/v1/label/id/values", Vec::new()),
        sql("SELECT body, count(*) FROM logs GROUP BY 1 ORDER BY 2 DESC LIMIT 10"),
        sql("SELECT body FROM logs ORDER BY body DESC LIMIT 100000"),
    ]
}

/// A control group of its own with a limit of memory, removed when dropped.
struct ControlGroup(PathBuf);

impl ControlGroup {
    fn make() -> Result<Self, String> {
        let name = format!("vervet-test-{}", std::process::id());
        let version_1 = Path::new("/sys/fs/cgroup/memory");
        let (mount, limit) = match version_1.is_dir() {
            true => (version_1, "memory.limit_in_bytes"),
            false => (Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let path = mount.join(name);
        std::fs::create_dir(&path)
            .map_err(|error| format!("a control group cannot be made: {error}"))?;
        let group = Self(path);
        std::fs::write(group.0.join(limit), MEMORY_BYTES.to_string())
            .map_err(|error| format!("a control group cannot be limited: {error}"))?;
        // Without it the machine would swap, and the limit be none.
        let _absent = std::fs::write(group.0.join("memory.swap.max"), "0");
        Ok(group)
    }

    /// The most memory it had, page cache included, as a text.
    fn use_of(&self) -> String {
        let files = ["memory.max_usage_in_bytes", "memory.peak"];
        let mut found = files
            .iter()
            .filter_map(|file| std::fs::read_to_string(self.0.join(file)).ok());
        let bytes: Option<u64> = found.find_map(|text| text.trim().parse().ok());
        bytes.map_or("peak unknown".to_owned(), |bytes| {
            format!("peak of the control group {} MiB", bytes >> 20)
        })
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir(&self.0) {
            say(&format!("{}: {error}", self.0.display()));
        }
    }
}
