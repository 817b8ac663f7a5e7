//! The collector is killed at random moments under load, while it flushes, merges files, drops what is too old and
//! deletes replaced files, all far more often than usual, and while backups are taken one after the other: nothing
//! acknowledged is lost or doubled, no file is left that the catalog does not name, and the last backup gives back what
//! had been acknowledged when it began. 20 kills, or as many as `VERVET_SOAK_KILLS` says.
//!
//! Two senders share 5,000 records a second. The one names itself and numbers its requests, as agents do, and
//! sends each until it is acknowledged. The other is a plain OTLP client that never sends a request again, so
//! that an unanswered request may be stored or not; none of its records may be there twice either. A third one sends
//! records that are too old to be kept.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;
use vervet_model::Signal;
use vervet_wire::Source;
use vervet_wire::grpc::Client;

use crate::harness::{
    Api, Collector, CollectorOptions, DuckDb, Record, binary, log_request, now_nanos, say, skip,
    turn, within,
};

const KILLS: u32 = 20;
const SOAK_KILLS: &str = "VERVET_SOAK_KILLS";
/// Beyond the retention of the test.
const TOO_OLD_NANOS: i64 = 5 * 86_400 * 1_000_000_000;
/// Files of logs at rest: one or a few a day.
const FILES_MAX: u64 = 12;
/// How long merging and dropping may take once nothing comes in any more.
const REST_WITHIN: Duration = Duration::from_secs(60);
const RECORDS_PER_REQUEST: u64 = 100;
/// Of one sender: two of them make 5,000 records a second.
const REQUEST_INTERVAL: Duration = Duration::from_millis(40);
/// The time between two records, so that their times follow the clock.
const RECORD_NANOS: i64 = 400_000;
const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// Its records are too old to be kept.
const OLD_SERVICE: &str = "crash-old";

/// One stream of numbered records.
struct Sender {
    service: &'static str,
    client: Client,
    /// Set when requests are numbered and repeated until they are acknowledged.
    agent_id: Option<String>,
    start: i64,
    stop: Arc<AtomicBool>,
}

/// What a sender knows at the end.
struct Sent {
    service: &'static str,
    numbers: u64,
    /// First numbers of the acknowledged requests.
    acknowledged: Vec<u64>,
    /// When each of them was.
    acknowledged_at: Vec<i64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_collector_keeps_every_acknowledged_record_once() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let options = CollectorOptions {
        limits: "{flush_interval: 200ms, head: 4MiB}".to_owned(),
        store: "{upkeep_interval: 20ms, reader_grace: 1s, \
                compaction: {file_min: 1MiB, file_max: 2MiB, files_min: 2}, \
                retention: {logs: {age: 2d}}}"
            .to_owned(),
        ..CollectorOptions::new(dir.path())
    };
    let mut collector = Collector::start(options).await;
    let (start, began) = (now_nanos(), Instant::now());
    let stop = Arc::new(AtomicBool::new(false));
    let endpoint = format!("http://{}", collector.api.addresses.otlp_grpc);
    let tasks = start_senders(&endpoint, start, &stop);
    let backups = tokio::spawn(take_backups(
        collector.data_dir(),
        dir.path().join("backups"),
        Arc::clone(&stop),
    ));
    let kills = kills();
    for _kill in 0..kills {
        let pause = rand::rng().random_range(100..1_500);
        // Not to wait for something: the moment of the kill is what the test varies.
        sleep(Duration::from_millis(pause)).await;
        collector.program.kill();
        collector.start_again().await;
    }
    stop.store(true, Ordering::Relaxed);
    let backups = backups.await.unwrap();
    let (mut checked, mut lost, mut doubled) = (0, 0, 0);
    let mut rate = 0;
    let (mut counts, mut acknowledged) = (Vec::new(), HashMap::new());
    for task in tasks {
        let sent = task.await.unwrap();
        if sent.service == OLD_SERVICE {
            continue;
        }
        rate += sent.numbers / began.elapsed().as_secs().max(1);
        let end = start + i64::try_from(sent.numbers).unwrap() * RECORD_NANOS;
        let found = stored(&collector, sent.service, start, end).await;
        counts.push((sent.service, found.len() as u64));
        let times = |number: u64| found.get(&number).copied().unwrap_or(0);
        for first in &sent.acknowledged {
            let numbers = *first..first + RECORDS_PER_REQUEST;
            lost += numbers.clone().filter(|number| times(*number) == 0).count();
            checked += RECORDS_PER_REQUEST;
        }
        doubled += found.values().filter(|times| **times > 1).count();
        acknowledged.insert(sent.service, sent);
    }
    say(&format!(
        "collector killed {kills} times at about {rate} records/s: \
         records checked: {checked}, lost: {lost}, doubled: {doubled}"
    ));
    assert_eq!((lost, doubled), (0, 0));
    assert!(
        checked > 10_000,
        "hardly anything was acknowledged: {checked}"
    );
    at_rest(&collector.api).await;
    duckdb_agrees(&collector, &counts);
    // What the last kill left is gone after a start.
    assert!(collector.terminate().success());
    collector.start_again().await;
    assert!(collector.terminate().success());
    let found = collector.verify();
    assert_eq!(found["defects"], json!([]), "{found}");
    assert_eq!(found["orphans"], json!([]), "{found}");
    restored_has_everything(&backups, &acknowledged, start).await;
}

/// What is known of the backups of a run.
struct Backups {
    to: PathBuf,
    taken: u32,
    failed: u32,
    /// When the last one that was taken began.
    last_began: i64,
}

/// Takes one backup after the other, whether or not the collector runs at that moment. One that meets a kill may
/// fail.
async fn take_backups(data: PathBuf, to: PathBuf, stop: Arc<AtomicBool>) -> Backups {
    let (mut taken, mut failed, mut last_began) = (0, 0, 0);
    // One more after the last kill, so that there is one.
    let mut last = false;
    while !last {
        last = stop.load(Ordering::Relaxed);
        let began = now_nanos();
        let output = command(&["backup", "--keep", "3"], &data, "--data-dir", &to, "--to").await;
        match output.status.success() {
            true => (taken, last_began) = (taken + 1, began),
            false => {
                failed += 1;
                assert!(!last, "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    Backups {
        to,
        taken,
        failed,
        last_began,
    }
}

async fn command(
    words: &[&str],
    first: &Path,
    first_name: &str,
    second: &Path,
    second_name: &str,
) -> Output {
    let mut command = Command::new(binary("vervet-collector"));
    command.args(words).env_remove("VERVET_DATA_DIR");
    command.arg(first_name).arg(first);
    command.arg(second_name).arg(second);
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().unwrap()
}

/// The last backup is whole, and a collector on what it gives back has every record that was acknowledged before it began.
async fn restored_has_everything(
    backups: &Backups,
    acknowledged: &HashMap<&'static str, Sent>,
    start: i64,
) {
    let dir = tempfile::tempdir().unwrap();
    let options = CollectorOptions::new(dir.path());
    let to = options.data_dir();
    let output = command(&["restore"], &backups.to, "--from", &to, "--to").await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let mut restored = Collector::start(options).await;
    let (mut checked, mut lost, mut doubled) = (0, 0, 0);
    for (service, sent) in acknowledged {
        let end = start + i64::try_from(sent.numbers).unwrap() * RECORD_NANOS;
        let found = stored(&restored, service, start, end).await;
        let before = sent
            .acknowledged_at
            .iter()
            .take_while(|at| **at < backups.last_began)
            .count();
        for first in sent.acknowledged.iter().take(before) {
            let numbers = *first..first + RECORDS_PER_REQUEST;
            lost += numbers.filter(|number| !found.contains_key(number)).count();
            checked += RECORDS_PER_REQUEST;
        }
        doubled += found.values().filter(|times| **times > 1).count();
    }
    let (taken, failed) = (backups.taken, backups.failed);
    say(&format!(
        "backups while it was killed: {taken} taken, {failed} failed; the last one restored: \
         records checked: {checked}, lost: {lost}, doubled: {doubled}"
    ));
    assert_eq!((lost, doubled), (0, 0));
    assert!(checked > 0 && taken > 1, "hardly anything was backed up");
    assert!(restored.terminate().success());
    let found = restored.verify();
    assert_eq!(found["defects"], json!([]), "{found}");
    assert_eq!(found["orphans"], json!([]), "{found}");
}

/// An agent, a plain client, and one whose records are past their retention when they come.
fn start_senders(endpoint: &str, start: i64, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<Sent>> {
    [
        ("crash-agent", Some("agent-under-test".to_owned()), start),
        ("crash-plain", None, start),
        (OLD_SERVICE, None, start - TOO_OLD_NANOS),
    ]
    .map(|(service, agent_id, start)| Sender {
        service,
        // As an agent, whose requests stand in the journal as they came.
        client: client(
            endpoint,
            agent_id.is_some().then_some(CompressionEncoding::Zstd),
        ),
        agent_id,
        start,
        stop: Arc::clone(stop),
    })
    .into_iter()
    .map(|sender| tokio::spawn(sender.run()))
    .collect()
}

fn kills() -> u32 {
    let kills = std::env::var(SOAK_KILLS).ok();
    kills.map_or(KILLS, |kills| kills.parse().unwrap())
}

/// Waits until every row is in a file, files are merged and what is too old is gone.
async fn at_rest(api: &Api) {
    let mut last = Value::Null;
    let rest = async || {
        last = api.json("/api/vervet/v1/status", &[]).await;
        let logs = &last["tables"]["logs"];
        let files = logs["files"].as_u64()?;
        let merged = files <= FILES_MAX && last["upkeep"]["compaction_debt"]["files"] == 0;
        let oldest = last["upkeep"]["oldest_unix_ms"]["logs"].as_i64()?;
        let dropped = oldest > (now_nanos() - TOO_OLD_NANOS / 2) / 1_000_000;
        (logs["rows_head"] == 0 && merged && dropped).then_some(())
    };
    let rest = within(REST_WITHIN, rest).await;
    assert!(rest.is_some(), "not at rest: {last}");
}

/// DuckDB counts what the queries of the collector found.
fn duckdb_agrees(collector: &Collector, counts: &[(&'static str, u64)]) {
    let mut duckdb = match DuckDb::attach(&collector.data_dir()) {
        Ok(duckdb) => duckdb,
        Err(reason) => return skip("duckdb_agrees_after_kills", &reason),
    };
    for (service, count) in counts {
        let sql = format!("SELECT count(*) FROM logs WHERE service_name = '{service}'");
        assert_eq!(duckdb.number(&sql), *count, "{service}");
    }
    let old = format!("SELECT count(*) FROM logs WHERE service_name = '{OLD_SERVICE}'");
    assert_eq!(duckdb.number(&old), 0, "records that are too old are kept");
}

fn client(endpoint: &str, compression: Option<CompressionEncoding>) -> Client {
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).unwrap();
    let endpoint = endpoint
        .timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(2));
    Client::new(endpoint.connect_lazy(), compression)
}

impl Sender {
    async fn run(self) -> Sent {
        let mut sent = Sent {
            service: self.service,
            numbers: 0,
            acknowledged: Vec::new(),
            acknowledged_at: Vec::new(),
        };
        let mut ticks = interval(REQUEST_INTERVAL);
        // After a pause the sender catches up, as one with a buffer does.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut sequence = 0;
        while !self.stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            sequence += 1;
            let first = sent.numbers;
            sent.numbers += RECORDS_PER_REQUEST;
            if self.send(first, sequence).await {
                sent.acknowledged.push(first);
                sent.acknowledged_at.push(now_nanos());
            }
        }
        sent
    }

    /// Whether the request was acknowledged.
    async fn send(&self, first: u64, sequence: u64) -> bool {
        let records = (first..first + RECORDS_PER_REQUEST).map(|number| Record {
            time: self.start + i64::try_from(number).unwrap() * RECORD_NANOS,
            body: format!("record {number}"),
            severity: 9,
            ..Record::default()
        });
        let body = log_request(self.service, records);
        let source = self
            .agent_id
            .clone()
            .map(|agent_id| Source { agent_id, sequence });
        loop {
            match self
                .client
                .export(Signal::Logs, body.clone(), source.as_ref())
                .await
            {
                Ok(accepted) => {
                    assert_eq!(accepted.rejected, 0, "{}", accepted.message);
                    return true;
                }
                Err(_) if source.is_none() => {
                    sleep(RETRY_PAUSE).await;
                    return false;
                }
                Err(_) => sleep(RETRY_PAUSE).await,
            }
        }
    }
}

/// How often each number of a service is there.
async fn stored(collector: &Collector, service: &str, start: i64, end: i64) -> HashMap<u64, u32> {
    let query = format!("{{service_name=\"{service}\"}}");
    let mut found = HashMap::new();
    for line in collector.api.logs(&query, start, end).await {
        let number = line.line.strip_prefix("record ").unwrap().parse().unwrap();
        *found.entry(number).or_default() += 1;
    }
    found
}
