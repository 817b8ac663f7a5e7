//! The web app in Chromium, over a collector that holds data.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};

use crate::harness::{
    Api, Program, Record, Standalone, attribute, eventually, log_request, now_nanos, say, skip,
    span_request, tests_dir, turn,
};

const SERVICE: &str = "checkout";
const TRACES: u64 = 40;
/// Every so many traces one fails.
const FAILURE_EVERY: u64 = 8;
const RUNS_WITHIN: Duration = Duration::from_secs(240);
const SEEN_WITHIN: Duration = Duration::from_secs(45);

const STACK: &str = "PaymentError: card refused\n    at charge (/srv/shop/payment.js:41:11)\n    \
    at checkout (/srv/shop/checkout.js:17:5)\n    at Layer.handle (/srv/shop/node_modules/router/lib/layer.js:95:5)";

#[tokio::test(flavor = "multi_thread")]
async fn web_app_shows_seeded_data_in_chromium() {
    const NAME: &str = "web_app_shows_seeded_data_in_chromium";
    let _turn = turn().await;
    let scripts = tests_dir("browser");
    if let Some(reason) = missing(&scripts) {
        return skip(NAME, &reason);
    }
    let dir = tempfile::tempdir().unwrap();
    let standalone =
        Standalone::start(dir.path(), dir.path().join("none.log").to_str().unwrap()).await;
    let api = &standalone.api;
    seed(api).await;
    eventually(
        "the seeded data and the first scrape",
        SEEN_WITHIN,
        async || {
            let errors = api
                .json("/api/vervet/v1/errors", &[("service", SERVICE)])
                .await;
            let scraped = !api.promql("up").await.is_empty();
            (errors["total"] == 1 && scraped).then_some(())
        },
    )
    .await;
    let mut command = Command::new("node");
    command
        .arg("run.mjs")
        .current_dir(scripts)
        .env("BASE_URL", format!("http://{}", api.addresses.http))
        .env("VERVET_SEED_SERVICE", SERVICE);
    let mut program = Program::spawn("node run.mjs", &mut command);
    let status = tokio::task::block_in_place(|| program.wait(RUNS_WITHIN));
    let output = program.output();
    for line in output.lines() {
        say(&format!("browser: {line}"));
    }
    assert!(status.success(), "{status}");
}

/// What the browser test cannot do without.
fn missing(scripts: &Path) -> Option<String> {
    let chromium =
        std::env::var_os("VERVET_CHROMIUM").map_or("/usr/bin/chromium".into(), PathBuf::from);
    let web = tests_dir("../dashboards/dist/index.html");
    if !chromium.exists() {
        return Some(format!("{} is absent", chromium.display()));
    }
    if !scripts.join("node_modules/playwright-core").exists() {
        return Some("tests/browser/node_modules is absent: run `npm ci` there".to_owned());
    }
    if !web.exists() {
        return Some("dashboards/dist is absent: run `npm run build` in dashboards".to_owned());
    }
    None
}

/// Requests of the last minutes, some of them failed, each with a line in the log.
async fn seed(api: &Api) {
    for number in 0..TRACES {
        let failed = number % FAILURE_EVERY == 0;
        let trace_id = (u128::from(number) + 0xabcd_0000_0000_0000_0000)
            .to_be_bytes()
            .to_vec();
        let ago = i64::try_from((TRACES - number) * 5_000_000_000).unwrap();
        let start = now_nanos() - ago;
        let spans = spans(&trace_id, number, start.unsigned_abs(), failed);
        let (body, severity) = match failed {
            true => (format!("order {number}: card refused"), 17),
            false => (format!("order {number}: paid"), 9),
        };
        let span_id = span_id(number, 0);
        let line = Record {
            time: start + 2_000_000,
            body,
            severity,
            trace_id,
            span_id,
        };
        for (signal, body) in [
            ("traces", span_request(SERVICE, spans)),
            ("logs", log_request(SERVICE, [line])),
        ] {
            assert_eq!(api.otlp(signal, body).await.0, 200);
        }
    }
}

fn span_id(trace: u64, span: u64) -> Vec<u8> {
    (trace * 16 + span + 1).to_be_bytes().to_vec()
}

/// A request, a call to the bank and a query.
fn spans(trace_id: &[u8], number: u64, start: u64, failed: bool) -> Vec<Span> {
    const MILLIS: u64 = 1_000_000;
    let child = |index: u64, name: &str, kind: span::SpanKind, from: u64, to: u64| Span {
        trace_id: trace_id.to_vec(),
        span_id: span_id(number, index),
        parent_span_id: if index == 0 {
            Vec::new()
        } else {
            span_id(number, 0)
        },
        name: name.to_owned(),
        kind: kind as i32,
        start_time_unix_nano: start + from * MILLIS,
        end_time_unix_nano: start + to * MILLIS,
        ..Span::default()
    };
    let mut root = child(0, "POST /checkout", span::SpanKind::Server, 0, 90 + number);
    let bank = child(1, "POST /charges", span::SpanKind::Client, 10, 70 + number);
    let query = child(
        2,
        "INSERT orders",
        span::SpanKind::Client,
        72 + number,
        85 + number,
    );
    root.attributes = vec![attribute("http.route", "/checkout")];
    if !failed {
        return vec![root, bank, query];
    }
    root.status = Some(Status {
        code: 2,
        message: "card refused".to_owned(),
    });
    root.events = vec![span::Event {
        time_unix_nano: start + 71 * MILLIS,
        name: "exception".to_owned(),
        attributes: vec![
            attribute("exception.type", "PaymentError"),
            attribute("exception.message", "card refused"),
            attribute("exception.stacktrace", STACK),
        ],
        ..span::Event::default()
    }];
    vec![root, bank]
}
