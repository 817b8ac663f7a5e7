//! Looking after a collector: verify, backup, restore, status and SQL, beside the running program.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{
    Collector, CollectorOptions, Record, S3, binary, eventually, log_request, now_nanos, turn,
};

const WITHIN: Duration = Duration::from_secs(30);
const RECORDS: u64 = 500;

async fn run(args: &[&str], s3: Option<&S3>) -> Output {
    let mut command = Command::new(binary("vervet-collector"));
    command.args(args).env_remove("VERVET_DATA_DIR");
    if let Some(s3) = s3 {
        s3.environment(&mut command);
    }
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// Standard output of a command that must succeed.
async fn done(args: &[&str], s3: Option<&S3>) -> String {
    let output = run(args, s3).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{args:?}: {stdout}{stderr}");
    stdout
}

/// A collector with rows in files, in memory and in the journal.
async fn filled(dir: &Path) -> Collector {
    let options = CollectorOptions {
        limits: "{flush_interval: 200ms}".to_owned(),
        ..CollectorOptions::new(dir)
    };
    let collector = Collector::start(options).await;
    send(&collector, 0..RECORDS).await;
    eventually("rows are in files", WITHIN, async || {
        let status = collector.api.json("/api/vervet/v1/status", &[]).await;
        (status["tables"]["logs"]["rows_stored"].as_u64() == Some(RECORDS)).then_some(())
    })
    .await;
    collector
}

async fn send(collector: &Collector, numbers: std::ops::Range<u64>) {
    let records = numbers.map(|n| Record {
        time: now_nanos(),
        body: format!("record {n}"),
        ..Record::default()
    });
    let (status, body) = collector
        .api
        .otlp("logs", log_request("operated", records))
        .await;
    assert_eq!(status, 200, "{body}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// How many different records a collector has, and how many in all.
async fn count(collector: &Collector) -> (u64, u64) {
    let query = "SELECT count(DISTINCT body) AS bodies, count(*) AS records FROM logs";
    let answer = collector
        .api
        .json("/api/vervet/v1/sql", &[("query", query)])
        .await;
    let number = |name: &str| answer[name].as_u64().unwrap();
    (number("bodies"), number("records"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_running_collector_is_verified_backed_up_to_s3_and_restored() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let mut collector = filled(dir.path()).await;
    let data = collector.data_dir();
    let verified = done(&["verify", "--data-dir", text(&data)], None).await;
    assert!(verified.contains("all is well"), "{verified}");
    // Acknowledged, and most likely in no file yet.
    send(&collector, RECORDS..RECORDS + 50).await;
    let s3 = S3::start().await;
    let place = s3.location("deep/prefix");
    let backup = ["backup", "--data-dir", text(&data), "--to", &place];
    let taken = done(&[&backup[..], &["--verify"]].concat(), Some(&s3)).await;
    assert!(taken.contains("all is well"), "{taken}");
    let status = collector.api.json("/api/vervet/v1/status", &[]).await;
    assert_eq!(status["disk"]["last_backup"]["location"], place.as_str());
    let listed = done(&["backup", "list", "--from", &place, "--json"], Some(&s3)).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1);
    // What comes later is in the next backup only.
    send(&collector, RECORDS + 50..RECORDS + 60).await;
    done(&[&backup[..], &["--keep", "1"]].concat(), Some(&s3)).await;
    let manifests = s3
        .names()
        .iter()
        .filter(|name| name.ends_with("/manifest"))
        .count();
    assert_eq!(manifests, 1);
    collector.terminate();

    let other = tempfile::tempdir().unwrap();
    let options = CollectorOptions::new(other.path());
    let to = options.data_dir();
    done(&["restore", "--from", &place, "--to", text(&to)], Some(&s3)).await;
    let restored = Collector::start(options).await;
    assert_eq!(count(&restored).await, (RECORDS + 60, RECORDS + 60));
    // It goes on: nothing new is taken for something old.
    send(&restored, 1_000..1_010).await;
    assert_eq!(count(&restored).await, (RECORDS + 70, RECORDS + 70));

    s3.damage(".parquet");
    let damaged = run(&["backup", "verify", "--from", &place], Some(&s3)).await;
    assert_eq!(damaged.status.code(), Some(1));
    let message = String::from_utf8_lossy(&damaged.stderr).into_owned();
    assert!(message.contains(".parquet is damaged"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_backup_is_none_and_the_next_goes_on() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = filled(dir.path()).await;
    let data = collector.data_dir();
    let s3 = S3::start().await;
    let place = s3.location("x");
    let backup = ["backup", "--data-dir", text(&data), "--to", &place];
    for objects in [1, 2, 3] {
        s3.slow_down(Duration::from_millis(300));
        let mut command = Command::new(binary("vervet-collector"));
        let mut child = s3.environment(command.args(backup)).spawn().unwrap();
        eventually("something was copied", WITHIN, async || {
            (s3.names().len() >= objects).then_some(())
        })
        .await;
        child.kill().unwrap();
        child.wait().unwrap();
        s3.slow_down(Duration::ZERO);
        let listed = done(&["backup", "list", "--from", &place, "--json"], Some(&s3)).await;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert!(listed["damaged"].as_array().unwrap().is_empty());
        assert!(listed["backups"].as_array().unwrap().is_empty());
    }
    let taken = done(
        &[&backup[..], &["--verify", "--keep", "1"]].concat(),
        Some(&s3),
    )
    .await;
    assert!(taken.contains("all is well"), "{taken}");
    assert!(!data.join("backup.staging").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_damaged_segment_is_named_and_costs_its_rows_only() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let mut collector = filled(dir.path()).await;
    let data = collector.data_dir();
    collector.terminate();
    let found = done(&["verify", "--data-dir", text(&data), "--json"], None).await;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["rows"].as_u64(), Some(RECORDS));
    let folder = data.join("data/logs");
    let day = std::fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let segment = std::fs::read_dir(day)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let output = run(&["verify", "--data-dir", text(&data)], None).await;
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let named = segment.file_name().unwrap().to_str().unwrap();
    let line = stdout
        .lines()
        .find(|line| line.starts_with("DAMAGED"))
        .unwrap();
    assert!(
        line.contains(named) && line.contains("rows of logs"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lists_are_cut_at_the_limit_of_a_request_and_say_so() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = filled(dir.path()).await;
    let listed = async |limit: &str| {
        let path = "/loki/api/v1/labels";
        let answer = collector.api.json(path, &[("limit", limit)]).await;
        let count = answer["data"].as_array().unwrap().len();
        (count, answer["warnings"][0].as_str().map(str::to_owned))
    };
    let (all, none) = listed("0").await;
    assert!(all > 1 && none.is_none(), "{all}: {none:?}");
    let cut = "results truncated due to limit".to_owned();
    assert_eq!(listed("1").await, (1, Some(cut)));
    let path = "/api/v1/label/__name__/values";
    let (status, _) = collector.api.get(path, &[("limit", "x")]).await.unwrap();
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sql_names_the_segments_that_it_could_not_read() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = filled(dir.path()).await;
    let entry = |folder: &Path| {
        let mut entries = std::fs::read_dir(folder).unwrap();
        entries.next().unwrap().unwrap().path()
    };
    let segment = entry(&entry(&collector.data_dir().join("data/logs")));
    std::fs::write(&segment, vec![0; 1_000]).unwrap();
    let ask = async |format: &str| {
        let query = [("query", "SELECT body FROM logs"), ("format", format)];
        collector.api.get("/api/vervet/v1/sql", &query).await
    };
    let (status, rows) = ask("json").await.unwrap();
    assert_eq!(status, 200, "{rows}");
    let last: Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
    let warning = last["warnings"][0].as_str().unwrap();
    assert!(warning.contains(text(&segment)), "{warning}");
    // Where nothing can be said at the end, the answer has none.
    for format in ["csv", "arrow"] {
        let answer = ask(format).await;
        assert!(answer.is_none_or(|(status, _)| status == 500));
    }
    let url = format!("http://{}", collector.api.addresses.http);
    let output = run(&["query", "sql", "--url", &url, "SELECT * FROM logs"], None).await;
    assert_eq!(output.status.code(), Some(1));
    let status = done(&["status", "--url", &url], None).await;
    assert!(status.contains(text(&segment)), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_damaged_journal_is_inspected_repaired_and_costs_its_request_only() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let options = CollectorOptions {
        limits: "{flush_interval: 1h}".to_owned(),
        ..CollectorOptions::new(dir.path())
    };
    let mut collector = Collector::start(options).await;
    for first in [0, 100, 200] {
        send(&collector, first..first + 100).await;
    }
    let data = collector.data_dir();
    let place = ["--data-dir", text(&data)];
    let journal = |command: &[&'static str]| [&["journal"], command, &place].concat();
    let seen = done(&journal(&["inspect"]), None).await;
    assert!(
        seen.contains("3 requests in 1 segments: no damage"),
        "{seen}"
    );
    let refused = run(&journal(&["repair"]), None).await;
    assert_eq!(refused.status.code(), Some(1));
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("stop it first"), "{stderr}");
    collector.program.kill();
    let segment = data.join("journal/00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let mut places = bytes.windows(10);
    let at = places.position(|place| place == b"record 150").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    for command in [&["inspect"][..], &["repair", "--dry-run"]] {
        let output = run(&journal(command), None).await;
        assert_eq!(output.status.code(), Some(1), "{command:?}");
    }
    assert!(std::fs::read(&segment).unwrap() == bytes, "nothing changed");
    let told = done(&journal(&["repair"]), None).await;
    assert!(
        told.contains("sequence 2 is lost; taken out, kept as")
            && told.ends_with("1 requests known to be lost, 0 of them are in files\n"),
        "{told}"
    );
    done(&journal(&["inspect", "--json"]), None).await;
    collector.start_again().await;
    assert_eq!(count(&collector).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sql_is_answered_in_each_form_and_changes_nothing() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = filled(dir.path()).await;
    let url = format!("http://{}", collector.api.addresses.http);
    let query = "SELECT body FROM logs ORDER BY time, body LIMIT 2";
    let ask = ["query", "sql", "--url", &url, query];
    let rows = done(&ask, None).await;
    assert_eq!(rows.lines().count(), 2);
    assert!(rows.starts_with("{\"body\":\"record "), "{rows}");
    let csv = done(&[&ask[..], &["--format", "csv"]].concat(), None).await;
    assert_eq!(csv.lines().next(), Some("body"));
    let arrow = [("query", query), ("format", "arrow")];
    let (status, _) = collector
        .api
        .get("/api/vervet/v1/sql", &arrow)
        .await
        .unwrap();
    assert_eq!(status, 200);
    for refused in ["DROP TABLE logs", "SELECT * FROM '/etc/passwd'", "SELECT"] {
        let (status, body) = collector
            .api
            .get("/api/vervet/v1/sql", &[("query", refused)])
            .await
            .unwrap();
        assert_eq!(status, 422, "{refused}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["code"], "query_failed");
    }
    let missing = collector.api.get("/api/vervet/v1/sql", &[]).await.unwrap();
    assert_eq!(missing.0, 400);
    let status = done(&["status", "--url", &url], None).await;
    assert!(
        status.contains("ready") && status.contains("logs"),
        "{status}"
    );
    assert_eq!(count(&collector).await, (RECORDS, RECORDS));
}

/// Ten people ask for what never ends while others look at their logs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hostile_queries_are_queued_refused_or_stopped_and_others_answered() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let options = CollectorOptions {
        limits: "{flush_interval: 200ms, query_timeout: 5s}".to_owned(),
        ..CollectorOptions::new(dir.path())
    };
    let collector = Collector::start(options).await;
    send(&collector, 0..RECORDS).await;
    let hostile = "SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE length(a.body) + length(b.body) + length(c.body) + length(d.body) = 1";
    let asked: Vec<_> = (0..10)
        .map(|_| {
            let api = collector.api.clone();
            tokio::spawn(async move { api.get("/api/vervet/v1/sql", &[("query", hostile)]).await })
        })
        .collect();
    eventually("heavy ones wait", WITHIN, async || {
        let status = collector.api.json("/api/vervet/v1/status", &[]).await;
        let heavy = &status["queries"]["heavy"];
        (heavy["running"].as_u64() == Some(2) && heavy["waiting"].as_u64() >= Some(1)).then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(count(&collector).await, (RECORDS, RECORDS));
    }
    for answer in asked {
        let (status, body) = answer.await.unwrap().unwrap();
        assert!(matches!(status, 429 | 503), "{status}: {body}");
    }
    eventually("all heavy ones have ended", WITHIN, async || {
        let status = collector.api.json("/api/vervet/v1/status", &[]).await;
        (status["queries"]["heavy"]["running"].as_u64() == Some(0)).then_some(())
    })
    .await;
}

/// A request whose body never comes holds the drain.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_signal_ends_a_drain_and_nothing_is_lost() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(CollectorOptions::new(dir.path())).await;
    send(&collector, 0..RECORDS).await;
    let address = collector.api.addresses.otlp_http;
    let mut stalled = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\n";
    stalled.write_all(head.as_bytes()).await.unwrap();
    collector.program.send(Signal::TERM);
    eventually("the drain has begun", WITHIN, async || {
        TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    collector.program.send(Signal::TERM);
    let ended = collector.program.wait(WITHIN);
    assert!(ended.success(), "{ended}");
    let said = collector.program.output();
    assert!(said.contains("second signal"), "{said}");
    drop(stalled);
    collector.start_again().await;
    assert_eq!(count(&collector).await, (RECORDS, RECORDS));
}
