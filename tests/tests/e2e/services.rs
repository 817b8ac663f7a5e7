//! Real services with the OpenTelemetry SDKs of Node and Python: their logs, metrics, traces and one thrown
//! error arrive, are queried back, raise an alert and make one error group.
//!
//! ```text
//! service -- OTLP/HTTP --> agent -- OTLP/gRPC --> collector -- webhook --> test
//!    \--- log file -------/
//! ```

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Agent, Api, Collector, CollectorOptions, LogLine, Program, Webhook, eventually, free_address,
    now_nanos, python, skip, tests_dir, turn,
};

const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
const START_WITHIN: Duration = Duration::from_secs(60);

/// What a service does when asked, and what must be seen of it.
struct Service {
    name: &'static str,
    /// Answers 200, logs `good_line`, adds 1 to `counter`.
    good_path: &'static str,
    good_line: &'static str,
    counter: &'static str,
    /// Throws `exception`, logs `bad_line`, adds 1 to `failures`.
    bad_path: &'static str,
    bad_line: &'static str,
    failures: &'static str,
    exception: &'static str,
    /// The name of the span that serves `bad_path`.
    bad_span: &'static str,
}

/// A collector, an agent beside the service, and a webhook.
struct World {
    collector: Collector,
    _agent: Agent,
    webhook: Webhook,
    otlp: String,
    dir: TempDir,
}

#[tokio::test(flavor = "multi_thread")]
async fn node_service_is_seen_in_logs_metrics_traces_errors_and_alerts() {
    const NAME: &str = "node_service_is_seen_in_logs_metrics_traces_errors_and_alerts";
    let service = Service {
        name: "shop",
        good_path: "/orders/7",
        good_line: "order 7 viewed",
        counter: "shop_orders_total",
        bad_path: "/checkout/8",
        bad_line: "checkout failed",
        failures: "shop_checkout_failures_total",
        exception: "PaymentError",
        bad_span: "GET /checkout/:id",
    };
    let _turn = turn().await;
    let dir = tests_dir("node-service");
    if Command::new("node").arg("--version").output().is_err() {
        return skip(NAME, "node is not installed");
    }
    if !dir.join("node_modules/express").exists() {
        return skip(
            NAME,
            "tests/node-service/node_modules is absent: run `npm ci` there",
        );
    }
    let world = World::start(&service).await;
    let mut command = Command::new("node");
    command
        .args(["--require", "./telemetry.cjs", "server.cjs"])
        .current_dir(dir);
    let (_program, base) = world.run_service(&service, &mut command);
    check(&world, &service, &base).await;
    let served = world
        .collector
        .api
        .promql("{__name__=~\"http_server_.+_count\",job=\"shop\"}")
        .await;
    assert!(!served.is_empty(), "no metric of the HTTP instrumentation");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_service_is_seen_in_logs_metrics_traces_errors_and_alerts() {
    const NAME: &str = "python_service_is_seen_in_logs_metrics_traces_errors_and_alerts";
    let service = Service {
        name: "warehouse",
        good_path: "/stock/7",
        good_line: "item 7 looked up",
        counter: "warehouse_lookups_total",
        bad_path: "/reserve/8",
        bad_line: "reservation failed",
        failures: "warehouse_reserve_failures_total",
        exception: "OutOfStock",
        bad_span: "GET /reserve/:id",
    };
    let _turn = turn().await;
    let python = match python("opentelemetry.sdk, opentelemetry.exporter.otlp.proto.http") {
        Ok(python) => python,
        Err(reason) => return skip(NAME, &reason),
    };
    let world = World::start(&service).await;
    let mut command = Command::new(python);
    command.arg(tests_dir("python-service/service.py"));
    let (_program, base) = world.run_service(&service, &mut command);
    check(&world, &service, &base).await;
}

impl World {
    async fn start(service: &Service) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let webhook = Webhook::start().await;
        let rules_dir = dir.path().join("rules");
        write_rules(&rules_dir, service);
        let collector = Collector::start(CollectorOptions {
            rules_dir: Some(rules_dir),
            webhook: Some(webhook.url.clone()),
            ..CollectorOptions::new(dir.path())
        })
        .await;
        let otlp = free_address();
        let yaml = format!(
            "admin: {{listen: \"127.0.0.1:0\"}}\n\
             resource: {{deployment.environment.name: test, host.name: node-1}}\n\
             receivers:\n  \
             files: {{type: filelog, include: [\"{files}\"], service_name: {service}}}\n  \
             sdk: {{type: otlp, http: \"{otlp}\"}}\n\
             exporters:\n  main: {{type: otlp, endpoint: \"http://{grpc}\"}}\n\
             pipelines:\n  logs: {{from: [files, sdk], to: [main]}}\n  \
             metrics: {{from: [sdk], to: [main]}}\n  traces: {{from: [sdk], to: [main]}}\n",
            files = dir.path().join("*.log").display(),
            service = service.name,
            grpc = collector.api.addresses.otlp_grpc,
        );
        let agent = Agent::start(dir.path(), &yaml);
        Self {
            collector,
            _agent: agent,
            webhook,
            otlp: format!("http://{otlp}"),
            dir,
        }
    }

    /// Starts the service; also gives the address it answers on.
    fn run_service(&self, service: &Service, command: &mut Command) -> (Program, String) {
        let attributes = "service.version=1.2.3,deployment.environment.name=test";
        command
            .env("LOG_FILE", self.dir.path().join("service.log"))
            .env("OTEL_SERVICE_NAME", service.name)
            .env("OTEL_RESOURCE_ATTRIBUTES", attributes)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.otlp)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_METRICS_EXPORTER", "otlp")
            .env("OTEL_LOGS_EXPORTER", "otlp")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "500")
            .env("OTEL_METRIC_EXPORT_TIMEOUT", "400")
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .env("OTEL_BLRP_SCHEDULE_DELAY", "100");
        let program = Program::spawn(service.name, command);
        let port = tokio::task::block_in_place(|| {
            program.wait_for_line("`listening on`", START_WITHIN, |line| {
                line.strip_prefix("listening on ")?.parse::<u16>().ok()
            })
        });
        (program, format!("http://127.0.0.1:{port}"))
    }
}

fn write_rules(dir: &Path, service: &Service) {
    std::fs::create_dir_all(dir).unwrap();
    let rules = format!(
        "groups:\n  - name: test\n    interval: 1s\n    rules:\n      - alert: RequestsFail\n        \
         expr: sum by (job) ({}) > 0\n        for: 1s\n        \
         labels: {{severity: page, service_name: {}}}\n        \
         annotations: {{summary: \"{{{{ $labels.job }}}} failed\"}}\n",
        service.failures, service.name,
    );
    std::fs::write(dir.join("test.yaml"), rules).unwrap();
}

async fn check(world: &World, service: &Service, base: &str) {
    let api = &world.collector.api;
    let started = now_nanos();
    ask(api, base, service.good_path, 200).await;
    ask(api, base, service.bad_path, 500).await;
    let good = wait_for_log(api, service, service.good_line, started).await;
    assert_eq!(good.labels["service_name"], service.name, "{good:?}");
    assert_eq!(
        good.labels["deployment_environment_name"], "test",
        "{good:?}"
    );
    let bad = wait_for_log(api, service, service.bad_line, started).await;
    assert_eq!(bad.labels["level"], "error", "{bad:?}");
    wait_for_value(api, service, service.counter, "1").await;
    wait_for_value(api, service, service.failures, "1").await;
    let trace_id = check_traces(api, service).await;
    assert_eq!(
        bad.metadata["trace_id"],
        trace_id.as_str(),
        "the log line leads to the trace"
    );
    check_alert(world, service).await;
    check_errors(api, service, base, &trace_id).await;
}

async fn ask(api: &Api, base: &str, path: &str, expected: u16) {
    let answer = api
        .client
        .get(format!("{base}{path}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), expected, "{path}");
}

async fn wait_for_log(api: &Api, service: &Service, text: &str, start: i64) -> LogLine {
    let query = format!("{{service_name=\"{}\"}} |= \"{text}\"", service.name);
    eventually(&query, ARRIVES_WITHIN, async || {
        api.logs(&query, start, now_nanos())
            .await
            .into_iter()
            .next()
    })
    .await
}

async fn wait_for_value(api: &Api, service: &Service, metric: &str, value: &str) {
    let query = format!("sum({metric}{{job=\"{}\"}})", service.name);
    eventually(&query, ARRIVES_WITHIN, async || {
        let result = api.promql(&query).await;
        (result.first()?["value"][1] == value).then_some(())
    })
    .await;
}

/// Finds the failed request by search, then reads its trace; gives the trace id.
async fn check_traces(api: &Api, service: &Service) -> String {
    let params = [
        ("service", service.name),
        ("status", "error"),
        ("name", service.bad_span),
    ];
    let trace_id = eventually("the failed trace is found", ARRIVES_WITHIN, async || {
        let found = api.json("/tempo/api/search", &params).await;
        Some(found["traces"].get(0)?["traceID"].as_str()?.to_owned())
    })
    .await;
    let trace = api
        .json(&format!("/tempo/api/traces/{trace_id}"), &[])
        .await;
    let batches = trace["batches"].as_array().unwrap().iter();
    let spans: Vec<&Value> = batches
        .flat_map(|batch| batch["scopeSpans"].as_array().unwrap())
        .flat_map(|scope| scope["spans"].as_array().unwrap())
        .collect();
    let server = spans
        .iter()
        .find(|span| span["kind"] == "SPAN_KIND_SERVER")
        .expect("a server span");
    assert_eq!(server["name"], service.bad_span);
    assert_eq!(server["status"]["code"], "STATUS_CODE_ERROR");
    let exceptions = spans
        .iter()
        .flat_map(|span| span["events"].as_array().unwrap())
        .filter(|event| event["name"] == "exception");
    assert!(
        exceptions.count() > 0,
        "no span carries the exception: {trace}"
    );
    let nothing = [("service", service.name), ("minDuration", "1h")];
    let none = api.json("/tempo/api/search", &nothing).await;
    assert_eq!(none["traces"], json!([]), "a trace of an hour");
    trace_id
}

/// The notification has the shape of Alertmanager's webhook, version 4.
async fn check_alert(world: &World, service: &Service) {
    let message = world
        .webhook
        .wait_for("the alert at the webhook", ARRIVES_WITHIN, |message| {
            message["status"] == "firing"
        })
        .await;
    assert_eq!(message["version"], "4");
    assert_eq!(message["receiver"], "hook");
    assert_eq!(message["truncatedAlerts"], 0);
    assert!(
        message["groupKey"]
            .as_str()
            .is_some_and(|key| !key.is_empty()),
        "{message}"
    );
    assert_eq!(message["groupLabels"]["alertname"], "RequestsFail");
    assert_eq!(message["commonLabels"]["severity"], "page");
    assert!(message["externalURL"].is_string());
    let summary = format!("{} failed", service.name);
    assert_eq!(message["commonAnnotations"]["summary"], summary.as_str());
    let alerts = message["alerts"].as_array().unwrap();
    assert_eq!(alerts.len(), 1, "{message}");
    let alert = &alerts[0];
    assert_eq!(alert["status"], "firing");
    assert_eq!(alert["labels"]["job"], service.name);
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert!(alert["startsAt"].as_str().unwrap() > "2020");
    assert!(alert["generatorURL"].is_string());
    assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
    let firing = world.collector.api.json("/api/v1/alerts", &[]).await;
    assert_eq!(firing["data"]["alerts"][0]["state"], "firing", "{firing}");
}

/// The failure, seen on a span and in a log, is one group with one event; a resolved group comes back as
/// a regression.
async fn check_errors(api: &Api, service: &Service, base: &str, trace_id: &str) {
    let params = [("service", service.name)];
    let seen_twice = async || {
        let list = api.json("/api/vervet/v1/errors", &params).await;
        let id = list["groups"].get(0)?["id"].as_str()?.to_owned();
        let detail = api.json(&format!("/api/vervet/v1/errors/{id}"), &[]).await;
        let events = detail["events"].as_array().unwrap();
        let merged = events
            .iter()
            .any(|event| event["sources"].as_array().unwrap().len() > 1);
        (merged || list["total"] != 1).then_some((id, list, detail))
    };
    let (id, list, detail) = eventually(
        "the error is seen on span and log",
        ARRIVES_WITHIN,
        seen_twice,
    )
    .await;
    assert_eq!(list["total"], 1, "one failure is one group: {list:#}");
    let group = &list["groups"][0];
    assert!(
        group["exception_type"]
            .as_str()
            .unwrap()
            .ends_with(service.exception),
        "{group:#}"
    );
    assert_eq!(
        (&group["state"], &group["count"]),
        (&json!("open"), &json!(1)),
        "{detail:#}"
    );
    assert_eq!(group["environments"], json!(["test"]));
    assert_eq!(detail["events"][0]["trace_id"], trace_id);
    let resolved = api
        .post(&format!("/api/vervet/v1/errors/{id}/resolve"))
        .await;
    assert_eq!(resolved["group"]["state"], "resolved");
    ask(api, base, service.bad_path, 500).await;
    let again = eventually("the regression", ARRIVES_WITHIN, async || {
        let list = api.json("/api/vervet/v1/errors", &params).await;
        (list["groups"][0]["state"] == "open").then_some(list)
    })
    .await;
    assert_eq!(again["total"], 1, "{again:#}");
    let group = &again["groups"][0];
    assert_eq!(
        (&group["id"], &group["regressed"]),
        (&json!(id), &json!(true)),
        "{group:#}"
    );
    assert_eq!(group["count"], 2, "{group:#}");
}
