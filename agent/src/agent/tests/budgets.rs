//! Full disks, damaged buffers and little memory, in front of a whole agent.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use vervet_model::{Clock as _, ManualClock, SystemClock};

use super::*;
use crate::admin::LOSS_IS_RECENT;
use crate::budget::MemoryKind;
use crate::buffer::Amount;
use crate::buffer::tests::full_disk::FullDisk;

const DISK_BYTES: u64 = 1 << 20;

/// An agent with a small disk budget.
fn small(dir: &Path, endpoint: &str, on_full: &str) -> AgentConfig {
    let mut config = config(dir, endpoint);
    config.disk_bytes = DISK_BYTES;
    let text = format!(
        "exporters:\n  main: {{type: otlp, endpoint: '{endpoint}', timeout: 2s, queue: {{on_full: {on_full}}}, retry: {{initial: 10ms, max: 50ms}}}}\n"
    );
    let own = AgentConfig::parse("exporter.yaml", &text, &SystemSources).expect("valid");
    config.exporters = own.exporters;
    config
}

pub(super) async fn start(config: AgentConfig, options: AgentOptions) -> RunningAgent {
    let end = Instant::now() + DEADLINE;
    loop {
        match Agent::start(config.clone(), options.clone()).await {
            Err(StartError::Buffer(JournalError::Locked { .. })) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            started => return started.expect("starts"),
        }
    }
}

/// A line of `bytes` that is not like any other.
fn line(number: usize, bytes: usize) -> String {
    let mut seed = number as u64 + 1;
    let mut text = format!("line {number} ");
    while text.len() < bytes {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{seed:016x}"));
    }
    text
}

fn numbers(lines: &[String]) -> Vec<usize> {
    let number = |line: &String| line.split(' ').nth(1)?.parse().ok();
    lines
        .iter()
        .map(|line| number(line).expect("a numbered line"))
        .collect()
}

async fn send_line(agent: &RunningAgent, number: usize) -> Result<Accepted, GrpcStatus> {
    client(agent)
        .export(Signal::Logs, request(&line(number, 60_000), 1), None)
        .await
}

fn dropped(book: &BookLine) -> Amount {
    let mut sum = Amount::default();
    book.dropped.values().for_each(|amount| sum.add(*amount));
    sum
}

/// Both kinds of lines add up.
fn assert_balanced(agent: &RunningAgent) {
    let status = agent.status();
    assert!(status.balances, "{:?} {:?}", status.pipelines, status.books);
    assert!(
        agent
            .metrics_text()
            .contains("vervet_agent_books_unbalanced 0\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_budget_drops_the_oldest_and_counts_it_to_the_byte() {
    // More than the disk budget and what the exporter has read ahead of it.
    const BATCHES: usize = 300;
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    collector.die();
    let config = small(dir.path(), &collector.endpoint(), "drop_oldest");
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let options = AgentOptions {
        clock: clock.clone(),
        ..AgentOptions::default()
    };
    let agent = start(config, options).await;
    for number in 0..BATCHES {
        send_line(&agent, number)
            .await
            .expect("the oldest make room");
        assert!(agent.status().buffer.disk_bytes <= DISK_BYTES);
    }
    let taken = agent.status().exporters[0].dropped_batches;
    assert!(
        taken > 250,
        "{taken} of 300 batches of 60 kB do not fit into 1 MiB"
    );
    // Counted when it goes, not when the exporter comes to what follows.
    let at_once = dropped(&logs_book(&agent));
    assert_eq!(at_once.records, taken);
    let told = format!("exporter main: {taken} records dropped for lack of room on disk");
    let warnings = agent.status().warnings;
    assert!(
        warnings.iter().any(|warning| warning.starts_with(&told)),
        "{warnings:?}"
    );
    // Once it is long ago it is a fact, and no warning any more.
    clock.advance(LOSS_IS_RECENT - Duration::from_secs(1));
    let is_told = |agent: &RunningAgent| {
        let warnings = agent.status().warnings;
        warnings.iter().any(|warning| warning.starts_with(&told))
    };
    assert!(is_told(&agent));
    clock.advance(Duration::from_secs(1));
    assert!(!is_told(&agent));
    let exporter = &agent.status().exporters[0];
    assert_eq!(exporter.evicted_records, taken);
    assert_eq!(exporter.last_evicted_ago_seconds, Some(3_600));
    assert!(exporter.last_evicted.is_some());
    assert_balanced(&agent);
    collector.come_back();
    wait_until("the rest", || logs_book(&agent).held.is_zero()).await;
    let book = logs_book(&agent);
    let (kept, lost) = (numbers(&collector.lines()), dropped(&book));
    assert_eq!(book.delivered.records, kept.len() as u64);
    assert_eq!(
        (book.received.records, lost.records),
        (300, 300 - book.delivered.records)
    );
    assert!(
        lost == at_once && book.dropped.keys().eq(["evicted_by_drop_oldest"]),
        "{book:?} {at_once:?}"
    );
    let bytes_of = |number: usize| request(&line(number, 60_000), 1).len() as u64;
    let sent: u64 = (0..BATCHES)
        .filter(|number| !kept.contains(number))
        .map(bytes_of)
        .sum();
    // The agent puts its resource into each request, which takes the same bytes everywhere.
    let resource = (book.received.bytes - (0..BATCHES).map(bytes_of).sum::<u64>()) / 300;
    assert_eq!(lost.bytes, sent + lost.records * resource);
    assert_balanced(&agent);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_budget_that_blocks_refuses_with_a_delay_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    collector.die();
    let config = small(dir.path(), &collector.endpoint(), "block");
    let agent = start(config, AgentOptions::default()).await;
    let mut accepted = Vec::new();
    let refused = loop {
        match send_line(&agent, accepted.len()).await {
            Ok(_) => accepted.push(accepted.len()),
            Err(status) => break status,
        }
        assert!(accepted.len() < 40, "1 MiB holds no 40 batches of 60 kB");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"));
    assert_balanced(&agent);
    let complaints = agent.status().complaints;
    let first = complaints.first().expect("a complaint");
    assert!(
        first.starts_with("disk budget used up (") && first.contains("the destination of main"),
        "{complaints:?}"
    );
    collector.come_back();
    wait_until("all", || logs_book(&agent).held.is_zero()).await;
    wait_until("no complaint", || agent.status().complaints.is_empty()).await;
    assert_eq!(numbers(&collector.lines()), accepted);
    assert!(dropped(&logs_book(&agent)).is_zero());
    // Room comes when the exporter has stored how far it is, soon after its books say so.
    let end = Instant::now() + DEADLINE;
    while let Err(status) = send_line(&agent, accepted.len()).await {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(Instant::now() < end, "no room again");
    }
    assert_balanced(&agent);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_is_a_refusal_with_a_delay_and_what_was_accepted_arrives() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let disk = FullDisk::default();
    let is_full = Arc::clone(&disk.is_full);
    let options = AgentOptions {
        file_system: Arc::new(disk),
        ..AgentOptions::default()
    };
    let agent = start(
        small(dir.path(), &collector.endpoint(), "drop_oldest"),
        options,
    )
    .await;
    send_line(&agent, 0).await.expect("stored");
    is_full.store(true, Ordering::SeqCst);
    let refused = send_line(&agent, 1).await.expect_err("no space left");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_balanced(&agent);
    let told = "no space left on the volume of data_dir";
    let complaints = agent.status().complaints;
    assert!(complaints[0].starts_with(told), "{complaints:?}");
    let url = format!("http://{}/readyz", agent.addresses()["admin"]);
    let ready = reqwest::get(&url).await.expect("answers");
    assert_eq!(ready.status().as_u16(), 503);
    assert!(ready.text().await.expect("text").starts_with(told));
    let metric = |value: u8| format!("vervet_agent_buffer_volume_full {value}\n");
    assert!(agent.metrics_text().contains(&metric(1)));
    is_full.store(false, Ordering::SeqCst);
    // Found out though nobody comes back.
    wait_until("room again", || agent.status().complaints.is_empty()).await;
    assert!(agent.metrics_text().contains(&metric(0)));
    send_line(&agent, 2).await.expect("stored");
    wait_until("both", || logs_book(&agent).held.is_zero()).await;
    assert_eq!(numbers(&collector.lines()), [0, 2]);
    let book = logs_book(&agent);
    assert_eq!(
        (book.received.records, dropped(&book)),
        (2, Amount::default())
    );
    assert_balanced(&agent);
    agent.shutdown(DEADLINE).await;
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir.join("buffer"))
        .expect("there")
        .map(|entry| entry.expect("entry").path());
    let mut segments: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .collect();
    segments.sort();
    segments
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_segments_are_set_aside_and_counted_and_the_agent_starts_all_the_same() {
    let dir = tempfile::tempdir().expect("folder");
    let mut collector = TestCollector::start();
    collector.die();
    let config = small(dir.path(), &collector.endpoint(), "block");
    let agent = start(config.clone(), AgentOptions::default()).await;
    for number in 0..10 {
        send_line(&agent, number).await.expect("stored");
    }
    kill(agent, dir.path()).await;
    let segments = segments(dir.path());
    assert!(segments.len() >= 4, "{segments:?}");
    // One byte in one, all of another.
    let mut bytes = fs::read(&segments[1]).expect("read");
    let middle = bytes.len() / 4;
    bytes[middle] ^= 0x20;
    fs::write(&segments[1], bytes).expect("written");
    let len = fs::metadata(&segments[2]).expect("there").len();
    fs::write(
        &segments[2],
        vec![0x5a; usize::try_from(len).expect("small")],
    )
    .expect("written");
    let agent = start(config, AgentOptions::default()).await;
    let at_once = dropped(&logs_book(&agent));
    assert!(at_once.records >= 2, "known at the start: {at_once:?}");
    collector.come_back();
    wait_until("the rest", || logs_book(&agent).held.is_zero()).await;
    assert_eq!(dropped(&logs_book(&agent)), at_once);
    let (book, arrived) = (logs_book(&agent), numbers(&collector.lines()));
    let lost = 10 - arrived.len() as u64;
    assert!((2..=5).contains(&lost), "{arrived:?}");
    assert_eq!(
        (book.received.records, book.delivered.records),
        (10, 10 - lost)
    );
    assert_eq!(book.dropped["lost_to_damage"].records, lost);
    let told = format!("exporter main: {lost} records lost to damage of the buffer");
    let warnings = agent.status().warnings;
    assert!(warnings[0].starts_with(&told), "{warnings:?}");
    assert!(agent.status().buffer.quarantined_bytes > len);
    let copies = fs::read_dir(dir.path().join("buffer/quarantine"))
        .expect("there")
        .count();
    assert!(copies >= 2, "{copies} copies");
    assert_balanced(&agent);
    send_line(&agent, 10).await.expect("stored");
    wait_until("the new one", || numbers(&collector.lines()).contains(&10)).await;
    assert_balanced(&agent);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_finds_no_memory_is_told_when_to_come_back() {
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let agent = agent(dir.path(), &collector.endpoint()).await;
    let budget = agent.parts.view().memory.budget().clone();
    let most = usize::try_from(budget.bytes_max(MemoryKind::Request)).expect("small");
    let taken = budget.try_acquire(MemoryKind::Request, most).expect("free");
    let refused = send_line(&agent, 0).await.expect_err("no memory");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"));
    let url = format!("http://{}/v1/logs", agent.addresses()["otlp/http"]);
    let post = || {
        let request = reqwest::Client::new()
            .post(&url)
            .header("content-type", "application/x-protobuf");
        request.body(request_of(&["line 1 "])).send()
    };
    let answer = post().await.expect("answers");
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["retry-after"].as_bytes()
        ),
        (429, &b"1"[..])
    );
    drop(taken);
    send_line(&agent, 0).await.expect("stored");
    assert_eq!(post().await.expect("answers").status().as_u16(), 200);
    wait_until("both", || collector.lines().len() == 2).await;
    wait_until("given back", || budget.usage().used_bytes == 0).await;
    assert_balanced(&agent);
    agent.shutdown(DEADLINE).await;
}

/// Sends until it is taken. Says how often it was refused, and that each refusal named a delay.
async fn insist(client: &Client, body: bytes::Bytes) -> u64 {
    let mut refused = 0;
    loop {
        match client.export(Signal::Logs, body.clone(), None).await {
            Ok(_) => return refused,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                assert!(
                    status.metadata().contains_key("grpc-retry-pushback-ms"),
                    "{status:?}"
                );
                refused += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_and_files_stays_within_the_memory_budget_and_all_arrives() {
    const MEMORY_BYTES: u64 = 16 << 20;
    const CLIENTS: usize = 24;
    const REQUESTS: usize = 4;
    const FILE_LINES: usize = 4_000;
    let dir = tempfile::tempdir().expect("folder");
    let collector = TestCollector::start();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).expect("folder");
    let in_file = |number: usize| line(1_000_000 + number, 2_000);
    let content: String = (0..FILE_LINES)
        .map(|number| in_file(number) + "\n")
        .collect();
    fs::write(logs.join("a.log"), content).expect("written");
    let text = format!(
        "data_dir: {}\nlimits: {{memory: 16MiB, disk: 256MiB}}\n\
         receivers:\n  otlp: {{type: otlp, grpc: 127.0.0.1:0}}\n  files: {{type: filelog, include: ['{}/*.log']}}\n\
         exporters:\n  main: {{type: otlp, endpoint: '{}', retry: {{initial: 10ms, max: 50ms}}}}\n\
         pipelines:\n  logs: {{from: [otlp, files], to: [main]}}\nadmin: {{listen: 127.0.0.1:0}}\n",
        dir.path().join("data").display(),
        logs.display(),
        collector.endpoint()
    );
    let config = AgentConfig::parse("test.yaml", &text, &SystemSources).expect("valid");
    let agent = start(config, AgentOptions::default()).await;
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let client = client(&agent);
        clients.spawn(async move {
            let mut refused = 0;
            for round in 0..REQUESTS {
                let text = line(number * REQUESTS + round, 700_000);
                refused += insist(&client, request(&text, 1)).await;
            }
            refused
        });
    }
    let refused: u64 = clients.join_all().await.into_iter().sum();
    let total = (CLIENTS * REQUESTS + FILE_LINES) as u64;
    wait_until("all", || logs_book(&agent).delivered.records == total).await;
    let memory = agent.status().memory;
    assert_eq!(memory.limit_bytes, MEMORY_BYTES);
    assert!(memory.peak_bytes <= MEMORY_BYTES, "{memory:?}");
    assert!(memory.peak_bytes > 1 << 20, "{memory:?}");
    assert!(
        refused <= memory.refused,
        "each refusal is counted: {refused}, {memory:?}"
    );
    let arrived: BTreeSet<usize> = numbers(&collector.lines()).into_iter().collect();
    assert_eq!(arrived.len() as u64, total);
    wait_until("given back", || agent.status().memory.used_bytes == 0).await;
    assert_balanced(&agent);
    agent.shutdown(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_leaves_something_a_receiver_held_is_not_complete() {
    let dir = tempfile::tempdir().expect("folder");
    let logs = dir.path().join("a.log");
    let lines: String = (0..60).map(|number| line(number, 60_000) + "\n").collect();
    fs::write(&logs, lines).expect("written");
    let mut collector = TestCollector::start();
    collector.die();
    let endpoint = collector.endpoint();
    let text = format!(
        "data_dir: {}\n\
         receivers:\n  files: {{type: filelog, include: ['{}'], start_at: beginning}}\n\
         exporters:\n  main: {{type: otlp, endpoint: '{endpoint}', timeout: 2s}}\n\
         pipelines:\n  logs: {{from: [files], to: [main]}}\n",
        dir.path().join("data").display(),
        logs.display()
    );
    let mut config = AgentConfig::parse("test.yaml", &text, &SystemSources).expect("valid");
    config.disk_bytes = DISK_BYTES;
    let agent = start(config, AgentOptions::default()).await;
    let full = |complaint: &String| complaint.starts_with("disk budget used up (");
    wait_until("full", || agent.status().complaints.iter().any(full)).await;
    assert!(!agent.shutdown(Duration::from_millis(500)).await);
}
