//! A whole agent in front of a real gRPC server that misbehaves.

mod budgets;
mod collector;
mod copied;
mod idle;
mod lost_files;
mod newcomers;
mod outage;
mod pods;
mod reload;
mod removed;
mod stops;
mod waiting;

use std::path::Path;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tonic::transport::Endpoint;
use tonic::{Code, Status as GrpcStatus};
use vervet_journal::{Journal, JournalConfig};
use vervet_model::Signal;
use vervet_wire::Accepted;
use vervet_wire::grpc::Client;

use super::*;
use crate::books::BookLine;
use crate::config::substitute::SystemSources;
use crate::exporters::ExporterState;
use crate::exporters::dead_letter::{self, Letter};
use collector::{Answer, POISON, TestCollector};

const DEADLINE: Duration = Duration::from_secs(30);

fn config(dir: &Path, endpoint: &str) -> AgentConfig {
    let text = format!(
        "data_dir: {}\n\
         resource: {{host.name: n1}}\n\
         receivers:\n  otlp: {{type: otlp, grpc: 127.0.0.1:0, http: 127.0.0.1:0, body_max: 1MiB}}\n\
         exporters:\n  main: {{type: otlp, endpoint: '{endpoint}', timeout: 2s, retry: {{initial: 10ms, max: 50ms}}}}\n\
         pipelines:\n  logs: {{from: [otlp], to: [main]}}\n\
         admin: {{listen: 127.0.0.1:0}}\n",
        dir.display()
    );
    AgentConfig::parse("test.yaml", &text, &SystemSources).expect("valid")
}

/// Connections to an agent before this one end a little after it, and hold its buffer until then.
async fn agent(dir: &Path, endpoint: &str) -> RunningAgent {
    let end = Instant::now() + DEADLINE;
    loop {
        match Agent::start(config(dir, endpoint), AgentOptions::default()).await {
            Err(StartError::Buffer(JournalError::Locked { .. })) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            started => return started.expect("starts"),
        }
    }
}

/// A request of `records` log records with body `text`.
fn request(text: &str, records: usize) -> bytes::Bytes {
    request_of(&vec![text; records])
}

fn request_of(texts: &[&str]) -> bytes::Bytes {
    let record = |text: &&str| {
        let value = any_value::Value::StringValue((*text).to_owned());
        LogRecord {
            body: Some(AnyValue { value: Some(value) }),
            ..LogRecord::default()
        }
    };
    let scope = ScopeLogs {
        log_records: texts.iter().map(record).collect(),
        ..ScopeLogs::default()
    };
    let group = ResourceLogs {
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![group],
    }
    .encode_to_vec()
    .into()
}

fn client(agent: &RunningAgent) -> Client {
    let address = agent.addresses()["otlp/grpc"];
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("address");
    Client::new(endpoint.connect_lazy(), None)
}

async fn send(agent: &RunningAgent, text: &str) -> Result<Accepted, GrpcStatus> {
    client(agent)
        .export(Signal::Logs, request(text, 2), None)
        .await
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !condition() {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "not in time: {what}");
}

fn logs_book(agent: &RunningAgent) -> BookLine {
    let mut lines = agent.status().books;
    lines.retain(|line| line.signal == "logs");
    lines.pop().expect("one line")
}

fn texts(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("line {number}")).collect()
}

/// What is stored of those, two records each.
fn stored(numbers: std::ops::Range<usize>) -> Vec<String> {
    let mut all = [texts(numbers.clone()), texts(numbers)].concat();
    all.sort_by_key(|line| (line.len(), line.clone()));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_arrives_once_though_the_collector_fails_and_dies() {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    collector.will_answer([
        Answer::Busy,
        Answer::Store,
        Answer::StoreButFail,
        Answer::Slow,
        Answer::Busy,
        Answer::StoreButFail,
    ]);
    let agent = agent(dir.path(), &collector.endpoint()).await;
    for text in texts(0..10) {
        send(&agent, &text).await.expect("stored");
        assert!(logs_book(&agent).balances());
    }
    wait_until("first ten", || collector.lines().len() == 20).await;
    // The last answer is on its way still.
    wait_until("answered", || logs_book(&agent).held.records == 0).await;
    collector.die();
    for text in texts(10..20) {
        send(&agent, &text)
            .await
            .expect("stored although the collector is dead");
    }
    assert_eq!(logs_book(&agent).held.records, 20);
    collector.come_back();
    wait_until("all twenty", || logs_book(&agent).delivered.records == 40).await;
    assert_eq!(collector.lines(), stored(0..20));
    assert!(
        collector.repeats() >= 2,
        "answers were lost, so requests must have been repeated"
    );
    let book = logs_book(&agent);
    assert!(
        book.balances() && book.held.is_zero() && book.dropped.is_empty(),
        "{book:?}"
    );
    assert!(agent.shutdown(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_when_it_is_durable_and_survives_a_kill() {
    let dir = tempfile::tempdir().expect("folder");
    let killed = agent(dir.path(), "http://127.0.0.1:9").await;
    send(&killed, "precious").await.expect("stored");
    kill(killed, dir.path()).await;
    let journal = JournalConfig::new(dir.path().join("buffer"));
    let (journal, _report) = Journal::open(journal).expect("opens");
    let records = journal
        .cursor("test")
        .expect("opens")
        .read(1 << 20)
        .expect("reads");
    assert_eq!(records.len(), 1);
    let (header, body) = crate::buffer::decode(records[0].payload.clone()).expect("valid");
    assert_eq!((header.records, header.receiver.as_str()), (2, "otlp"));
    assert_eq!(collector::bodies(&body), ["precious", "precious"]);
}

async fn kill(mut agent: RunningAgent, dir: &Path) {
    agent.parts.abort().await;
    agent.parts.tokens().drain.cancel();
    let _ended = (&mut agent.writer).await;
    drop(agent);
    // What runs on a blocking thread holds the buffer a moment longer.
    let lock = dir.join("buffer").join("lock");
    wait_until("the buffer is free", || {
        std::fs::File::open(&lock).is_ok_and(|lock| lock.try_lock().is_ok())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_balance_across_restarts() {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    let first = agent(dir.path(), &collector.endpoint()).await;
    for text in texts(0..5) {
        send(&first, &text).await.expect("stored");
    }
    wait_until("five", || logs_book(&first).delivered.records == 10).await;
    collector.die();
    for text in texts(5..8) {
        send(&first, &text).await.expect("stored");
    }
    let id = first.status().agent_id;
    assert!(
        !first.shutdown(Duration::from_millis(300)).await,
        "three are left"
    );
    let second = agent(dir.path(), &collector.endpoint()).await;
    let book = logs_book(&second);
    assert_eq!(
        (
            book.received.records,
            book.delivered.records,
            book.held.records
        ),
        (16, 10, 6)
    );
    assert!(book.balances(), "{book:?}");
    assert_eq!(second.status().agent_id, id);
    collector.come_back();
    wait_until("all", || logs_book(&second).held.is_zero()).await;
    assert_eq!(collector.lines(), stored(0..8));
    let text = second.metrics_text();
    let line =
        "vervet_agent_exporter_delivered_records_total{exporter=\"main\",signal=\"logs\"} 16";
    assert!(text.contains(line), "{text}");
    assert!(second.shutdown(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_kept_aside_counted_and_passed() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let agent = agent(dir.path(), &collector.endpoint()).await;
    let mut mixed: Vec<&str> = (0..40).map(|_| "good").collect();
    mixed[3] = POISON;
    mixed[38] = POISON;
    let requests = [request_of(&mixed), request(POISON, 1)];
    for request in requests {
        let sent = client(&agent).export(Signal::Logs, request, None).await;
        sent.expect("stored");
    }
    wait_until("settled", || logs_book(&agent).held.is_zero()).await;
    collector.will_answer([Answer::RejectOne]);
    send(&agent, "partly").await.expect("stored");
    wait_until("settled", || logs_book(&agent).held.is_zero()).await;
    let book = logs_book(&agent);
    assert!(book.balances(), "{book:?}");
    assert_eq!(book.dropped["rejected"].records, 3);
    assert_eq!(book.dropped["rejected_by_collector"].records, 1);
    assert_eq!(book.delivered.records, 39);
    assert_eq!(
        collector.lines().len(),
        40,
        "one of them is left out in words only"
    );
    let metrics = agent.metrics_text();
    assert!(
        metrics.contains("vervet_agent_dead_letter_kept_total 3"),
        "{metrics}"
    );
    let held = agent.status().dead_letters.expect("three");
    assert_eq!((held.letters, held.files), (3, 1));
    agent.shutdown(DEADLINE).await;
    let mut letters = Vec::new();
    let folder = dir.path().join(dead_letter::FOLDER);
    // Connections of clients end a little later, and hold the agent's metrics until then.
    wait_until("the folder is free", || {
        !matches!(
            dead_letter::read(&folder, |_| ()),
            Err(JournalError::Locked { .. })
        )
    })
    .await;
    dead_letter::read(&folder, |letter| letters.push(letter.expect("a letter"))).expect("read");
    let again = config(dir.path(), &collector.endpoint()).dead_letter;
    let after_a_restart = dead_letter::DeadLetters::new(dir.path(), again).held();
    assert_eq!(after_a_restart, Some(held));
    letters.sort_by_key(|letter| letter.sequence);
    let sequences: Vec<u64> = letters.iter().map(|letter| letter.sequence).collect();
    assert_eq!(sequences, [1, 1, 2]);
    for letter in letters {
        assert_eq!(collector::bodies(&letter.payload), [POISON]);
        let expected = ("main", 1, "InvalidArgument", "no");
        let Letter {
            exporter,
            records,
            status,
            reason,
            ..
        } = &letter;
        assert_eq!(
            (
                exporter.as_str(),
                *records,
                status.as_str(),
                reason.as_str()
            ),
            expected
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_unwanted_requests_are_refused_for_good() {
    let dir = tempfile::tempdir().expect("folder");
    let agent = agent(dir.path(), "http://127.0.0.1:9").await;
    let client = client(&agent);
    let code = async |signal, body: bytes::Bytes| {
        let refused = client.export(signal, body, None).await;
        refused.expect_err("refused").code()
    };
    assert_eq!(
        code(Signal::Logs, request("a", 1).slice(1..)).await,
        Code::InvalidArgument
    );
    assert_eq!(
        code(Signal::Logs, vec![0; 2 << 20].into()).await,
        Code::ResourceExhausted
    );
    let traces = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs::default()],
    };
    let empty = client
        .export(Signal::Traces, traces.encode_to_vec().into(), None)
        .await;
    assert_eq!(empty.expect("nothing to store").rejected, 0);
    assert_eq!(agent.status().buffer.last_sequence, 0);
    agent.shutdown(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_too_many_records_are_refused_for_good() {
    let dir = tempfile::tempdir().expect("folder");
    let agent = agent(dir.path(), "http://127.0.0.1:9").await;
    let many = [b'{', b'}', b','].repeat(vervet_wire::REQUEST_ITEMS_MAX);
    let records = String::from_utf8(many).expect("text");
    let json = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
        records.trim_end_matches(',')
    );
    let url = format!("http://{}/v1/logs", agent.addresses()["otlp/http"]);
    let post = async |body: String, host: Option<&str>, origin: Option<&str>| {
        let mut request = reqwest::Client::new().post(&url).body(body);
        request = request.header("content-type", "application/json");
        for (name, value) in [("host", host), ("origin", origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.expect("answers");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    let body = json.clone();
    let (status, text) = post(body, None, None).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("too many records"), "{text}");
    // The same door, from a page of another site and under a foreign name.
    let one = || r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#.to_owned();
    assert_eq!(post(one(), None, Some("http://evil.example")).await.0, 403);
    assert_eq!(post(one(), Some("evil.example"), None).await.0, 421);
    assert_eq!(post(one(), None, None).await.0, 200);
    assert_eq!(agent.status().buffer.last_sequence, 1);
    // Each is counted under its reason.
    let metrics = agent.metrics_text();
    for reason in ["invalid", "site", "host"] {
        let line = format!(
            r#"vervet_agent_receiver_refused_requests_total{{receiver="otlp",signal="logs",protocol="http",reason="{reason}"}} 1"#
        );
        assert!(metrics.contains(&line), "{line} is missing in\n{metrics}");
    }
    agent.shutdown(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_is_the_agents_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("folder");
    let data = dir.path().join("deep/data");
    agent(&data, "http://127.0.0.1:9")
        .await
        .shutdown(Duration::from_millis(100))
        .await;
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    // One that was just made for the agent becomes so, one in use stays as somebody wanted it.
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
    let made = dir.path().join("made");
    std::fs::create_dir(&made)
        .and_then(|()| open(&made))
        .expect("made");
    agent(&made, "http://127.0.0.1:9")
        .await
        .shutdown(Duration::from_millis(100))
        .await;
    assert_eq!(mode(&made), 0o700);
    open(&made).expect("opened");
    agent(&made, "http://127.0.0.1:9")
        .await
        .shutdown(Duration::from_millis(100))
        .await;
    assert_eq!(mode(&made), 0o755);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_routes_answer() {
    let dir = tempfile::tempdir().expect("folder");
    let agent = agent(dir.path(), "http://127.0.0.1:9").await;
    send(&agent, "one").await.expect("stored");
    let get = async |path: &str| {
        let url = format!("http://{}{path}", agent.addresses()["admin"]);
        let answer = reqwest::get(url).await.expect("answers");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    assert_eq!(get("/livez").await.0, 200);
    // What is wrong is said at once; whether it lasts is for `/api/health`.
    wait_until("a failed attempt", || {
        agent.status().exporters[0].state == Some(ExporterState::Retrying)
    })
    .await;
    let (code, why) = get("/readyz").await;
    assert!(
        code == 503 && why.starts_with("exporter main: retrying for "),
        "{code} {why}"
    );
    assert_eq!(
        get("/api/health").await.1,
        r#"{"status":"ok","complaints":[]}"#
    );
    let (_, metrics) = get("/metrics").await;
    let held = "vervet_agent_exporter_held_records{exporter=\"main\",signal=\"logs\"} 2";
    assert!(metrics.contains(held), "{metrics}");
    let status: serde_json::Value =
        serde_json::from_str(&get("/api/vervet/v1/status").await.1).expect("JSON");
    assert_eq!(status["books"][0]["held"]["records"], 2);
    assert_eq!(status["buffer"]["last_sequence"], 1);
    let none = r#"{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}}"#;
    assert_eq!(get("/api/v1/targets?state=active").await.1, none);
    agent.shutdown(Duration::from_millis(100)).await;
}
