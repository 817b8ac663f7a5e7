//! The agent is killed at random moments while files grow and are rotated and the network misbehaves: every line
//! is in the real collector's store exactly once, and the agent's books say so.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, rename};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::time::sleep;
use vervet_tests::books::{Amount, BookLine};
use vervet_tests::proxy::{Mode, Proxy};

use crate::harness::{Agent, Api, Collector, CollectorOptions, eventually, now_nanos, say, turn};

const KILLS: u32 = 20;
const FILES: usize = 2;
/// Lines are appended in portions of 25 to each file, 5,000 a second in all.
const LINES_PER_PORTION: u64 = 25;
const PORTION_INTERVAL: Duration = Duration::from_millis(10);
/// A file is renamed and begun anew after so many lines.
const LINES_PER_FILE: u64 = 10_000;
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
/// What the network does, one after the other, from kill to kill.
const NETWORK: [Mode; 8] = [
    Mode::Pass,
    Mode::ResetAfter(50_000),
    Mode::StallAnswers,
    Mode::Pass,
    Mode::Stall,
    Mode::Throttle(200_000),
    Mode::HalfClose,
    Mode::Refuse,
];
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_agent_delivers_every_line_once() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(CollectorOptions::new(dir.path())).await;
    let logs = dir.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let proxy = Proxy::start(collector.api.addresses.otlp_grpc)
        .await
        .unwrap();
    let yaml = format!(
        "admin: {{listen: \"127.0.0.1:0\"}}\n\
         receivers:\n  files: {{type: filelog, include: [\"{logs}/*.log*\"], service_name: crash-files}}\n\
         exporters:\n  main: {{type: otlp, endpoint: \"http://{proxy}\", timeout: 2s, retry: {{initial: 50ms, max: 1s}}}}\n\
         pipelines:\n  logs: {{from: [files], to: [main]}}\n",
        logs = logs.display(),
        proxy = proxy.address(),
    );
    let mut agent = Agent::start(dir.path(), &yaml);
    let (start, began) = (now_nanos(), Instant::now());
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || write_lines(&logs, &stop))
    };
    for (_kill, mode) in (0..KILLS).zip(NETWORK.into_iter().cycle()) {
        proxy.set(mode);
        let pause = rand::rng().random_range(100..1_500);
        // Not to wait for something: the moment of the kill is what the test varies.
        sleep(Duration::from_millis(pause)).await;
        agent.books();
        agent.program.kill();
        agent.start_again();
    }
    proxy.set(Mode::Pass);
    stop.store(true, Ordering::Relaxed);
    let written = tokio::task::block_in_place(|| writer.join().unwrap());
    let total = written.iter().sum::<u64>();
    let rate = total / began.elapsed().as_secs().max(1);
    wait_for_count(&collector.api, total).await;
    let found = found(&collector.api, start, now_nanos()).await;
    let (mut lost, mut doubled) = (0, 0);
    for (file, lines) in written.iter().enumerate() {
        for number in 0..*lines {
            match found.get(&(file, number)).copied().unwrap_or(0) {
                0 => lost += 1,
                1 => {}
                _ => doubled += 1,
            }
        }
    }
    say(&format!(
        "agent killed {KILLS} times at about {rate} lines/s: \
         records checked: {total}, lost: {lost}, doubled: {doubled}"
    ));
    assert_eq!((lost, doubled), (0, 0));
    assert_eq!(found.len() as u64, total, "lines that nobody wrote");
    check_books(&agent, total).await;
    assert!(agent.program.terminate().success());
}

/// In the end everything was delivered, and nothing is held or dropped.
async fn check_books(agent: &Agent, total: u64) {
    let logs = |lines: Vec<BookLine>| lines.into_iter().find(|line| line.signal == "logs");
    let settled = eventually("the books are settled", SETTLED_WITHIN, async || {
        logs(agent.books()).filter(|line| line.held == Amount::default())
    });
    let line = settled.await;
    assert_eq!(line.delivered, line.received, "{line:?}");
    assert_eq!(line.delivered.records, total, "{line:?}");
}

/// Appends numbered lines to every file; how many each got.
fn write_lines(dir: &Path, stop: &AtomicBool) -> [u64; FILES] {
    let mut written = [0; FILES];
    let path = |file: usize| dir.join(format!("app-{file}.log"));
    let mut files: Vec<File> = (0..FILES).map(|file| append(&path(file))).collect();
    let began = Instant::now();
    for portion in 1.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for (file, handle) in files.iter_mut().enumerate() {
            let mut text = String::new();
            for _line in 0..LINES_PER_PORTION {
                let time = now_nanos() / 1_000_000;
                let number = written[file];
                text.push_str(&format!(
                    "{{\"level\":30,\"time\":{time},\"msg\":\"file {file} line {number}\"}}\n"
                ));
                written[file] += 1;
            }
            handle.write_all(text.as_bytes()).unwrap();
            if written[file] % LINES_PER_FILE == 0 {
                let rotated =
                    dir.join(format!("app-{file}.log.{}", written[file] / LINES_PER_FILE));
                rename(path(file), rotated).unwrap();
                *handle = append(&path(file));
            }
        }
        std::thread::sleep((PORTION_INTERVAL * portion).saturating_sub(began.elapsed()));
    }
    written
}

fn append(path: &PathBuf) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

/// Waits until so many lines are there, or no more will come.
async fn wait_for_count(api: &Api, total: u64) {
    let query = "sum(count_over_time({service_name=\"crash-files\"}[1h]))";
    let deadline = Instant::now() + ARRIVES_WITHIN;
    loop {
        let answer = api.json("/loki/api/v1/query", &[("query", query)]).await;
        let count = answer["data"]["result"][0]["value"][1]
            .as_str()
            .unwrap_or("0")
            .parse()
            .unwrap();
        say(&format!("{count} of {total} lines have arrived"));
        if total <= count || Instant::now() > deadline {
            return;
        }
        sleep(COUNT_INTERVAL).await;
    }
}

/// How often each line, by file and number, is there.
async fn found(api: &Api, start: i64, end: i64) -> HashMap<(usize, u64), u32> {
    let mut found = HashMap::new();
    // Times of lines are in milliseconds, the first of them may be before the start.
    let start = start - 1_000_000;
    for line in api.logs("{service_name=\"crash-files\"}", start, end).await {
        // A record's body is the message of the line.
        let words: Vec<&str> = line.line.split(' ').collect();
        let ["file", file, "line", number] = words[..] else {
            panic!("{line:?}")
        };
        *found
            .entry((file.parse().unwrap(), number.parse().unwrap()))
            .or_default() += 1;
    }
    found
}
