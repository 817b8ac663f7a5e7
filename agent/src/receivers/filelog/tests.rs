use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use vervet_model::SystemClock;
use vervet_wire::otlp::{find, for_each_log};

use super::*;
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;
use crate::pipeline::{BatchQueue, FilePosition, channel};
use crate::processors::Chains;

const DEADLINE: Duration = Duration::from_secs(30);

/// A receiver at work, and all it has sent.
struct Running {
    queue: BatchQueue,
    shutdown: CancellationToken,
    /// A test that fails must not wait for the receiver.
    _ended: DropGuard,
    task: JoinHandle<()>,
    metrics: Arc<AgentMetrics>,
    seen: Vec<Seen>,
    positions: Vec<FilePosition>,
    changes: ChangeSlot,
}

#[derive(Debug, Clone, PartialEq)]
struct Seen {
    body: String,
    service: String,
    stream: String,
    severity: i32,
    time: u64,
}

pub(super) fn spec(include: &Path) -> FilelogSpec {
    FilelogSpec {
        include: vec![include.to_string_lossy().into_owned()],
        exclude: Vec::new(),
        link_roots: None,
        pod_roots: PodRoots::default(),
        format: FormatSpec::default(),
        multiline: MultilineSpec::default(),
        encoding: EncodingSpec::default(),
        max_line: None,
        on_long_line: OnLongLine::default(),
        start_at: StartAt::Beginning,
        service_name: None,
    }
}

fn start(spec: FilelogSpec, resume: Vec<FilePosition>) -> Running {
    start_with(spec, resume, PodDirectory::none())
}

fn start_with(spec: FilelogSpec, resume: Vec<FilePosition>, pods: PodDirectory) -> Running {
    let metrics = Arc::new(AgentMetrics::default());
    let (output, queue) = channel("files", 64 << 20, Arc::clone(&metrics));
    let shutdown = CancellationToken::new();
    let context = ReceiverContext {
        output,
        chains: Chains::default(),
        pods,
        resource: Vec::new(),
        resume: resume.clone(),
        metrics: Arc::clone(&metrics),
        shutdown: shutdown.clone(),
        clock: Arc::new(SystemClock),
    };
    let config = FilelogConfig::try_from(spec).expect("valid");
    let changes = ChangeSlot::default();
    let receiver = FilelogReceiver::new(config, context).with_changes(changes.clone());
    let task = tokio::spawn(receiver.run());
    Running {
        changes,
        queue,
        _ended: shutdown.clone().drop_guard(),
        shutdown,
        task,
        metrics,
        seen: Vec::new(),
        positions: resume,
    }
}

impl Running {
    /// Takes one batch as the buffer would.
    async fn take(&mut self) -> bool {
        let Some(queued) = self.queue.next().await else {
            return false;
        };
        let before = self.seen.len();
        for_each_log(&queued.batch.payload, |resource, _, record| {
            let attribute = |key| find(&record.attributes, key).map(|v| v.to_text().into_owned());
            self.seen.push(Seen {
                body: record.body.to_text().into_owned(),
                service: resource.str("service.name").to_owned(),
                stream: attribute("log.iostream").unwrap_or_default(),
                severity: record.severity_number,
                time: record.time_unix_nano,
            });
        })
        .expect("a valid request");
        assert_eq!(queued.batch.records, (self.seen.len() - before) as u64);
        for position in &queued.batch.positions {
            let id = (position.device, position.inode);
            self.positions
                .retain(|known| (known.device, known.inode) != id);
            self.positions.push(position.clone());
        }
        queued.settle(Ok(()));
        true
    }

    async fn until(&mut self, enough: impl Fn(&[Seen]) -> bool) {
        let waiting = async {
            while !enough(&self.seen) {
                assert!(self.take().await, "the receiver has ended");
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, waiting).await.is_ok();
        assert!(
            in_time,
            "only {} records: {:?}",
            self.seen.len(),
            self.seen.last()
        );
    }

    async fn until_count(&mut self, count: usize) {
        self.until(|seen| seen.len() >= count).await;
    }

    fn bodies(&self) -> Vec<&str> {
        self.seen.iter().map(|seen| seen.body.as_str()).collect()
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics
            .encode_text()
            .lines()
            .any(|known| known == line)
    }

    /// Waits for a line of `/metrics`.
    async fn until_metric(&self, line: &str) {
        let waiting = async {
            while !self.metric(line) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        assert!(waited.is_ok(), "not in time: {line}");
    }

    /// Stops the receiver and takes what it still sends.
    async fn stop(mut self) -> (Vec<Seen>, Vec<FilePosition>) {
        self.shutdown.cancel();
        while self.take().await {}
        self.task.await.expect("ended");
        (self.seen, self.positions)
    }
}

/// As `gzip` does, but `from` stays.
pub(super) fn write_gzip(from: &Path, to: &Path) {
    let file = File::create(to).expect("created");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let text = fs::read(from).expect("read");
    encoder.write_all(&text).expect("written");
    encoder.finish().expect("finished");
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("opened");
    file.write_all(text.as_ref()).expect("written");
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("app.log");
    (directory, path)
}

fn numbered(range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("line {number}\n")).collect()
}

/// The numbers of `line N` records, in the order they came.
fn numbers(seen: &[Seen]) -> Vec<usize> {
    seen.iter()
        .map(|seen| {
            seen.body
                .strip_prefix("line ")
                .and_then(|n| n.parse().ok())
                .expect("a number")
        })
        .collect()
}

#[tokio::test]
async fn existing_and_appended_lines_arrive_soon() {
    let (_directory, path) = directory();
    append(&path, "first\n");
    let mut running = start(spec(&path), Vec::new());
    running.until_count(1).await;
    append(&path, "second\nthird, not ended");
    let before = tokio::time::Instant::now();
    running.until_count(2).await;
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "took {:?}",
        before.elapsed()
    );
    append(&path, " yet\n");
    running.until_count(3).await;
    assert_eq!(
        running.bodies(),
        ["first", "second", "third, not ended yet"]
    );
    assert_eq!(running.seen[0].service, "app");
    let (_, positions) = running.stop().await;
    assert_eq!(
        positions[0].offset,
        fs::metadata(&path).expect("metadata").len()
    );
}

#[tokio::test]
async fn rotation_by_rename_while_writing_loses_nothing() {
    let (directory, path) = directory();
    let mut running = start(spec(&path), Vec::new());
    let writer = {
        let (directory, path) = (directory.path().to_owned(), path.clone());
        tokio::task::spawn_blocking(move || {
            for round in 0..5 {
                let mut file = File::create(&path).expect("created");
                let half = round * 2_000 + 1_000;
                file.write_all(numbered(round * 2_000..half).as_bytes())
                    .expect("written");
                std::thread::sleep(Duration::from_millis(1_200));
                fs::rename(&path, directory.join(format!("app.log.{round}"))).expect("renamed");
                file.write_all(numbered(half..half + 1_000).as_bytes())
                    .expect("written");
            }
        })
    };
    running.until_count(10_000).await;
    writer.await.expect("written");
    let mut got = numbers(&running.seen);
    got.sort_unstable();
    assert_eq!(got, (0..10_000).collect::<Vec<_>>());
    assert!(running.metric("vervet_agent_filelog_rotations_total{receiver=\"files\"} 5"));
    running.stop().await;
}

#[tokio::test]
async fn a_truncated_file_is_read_from_the_start() {
    let (_directory, path) = directory();
    append(&path, numbered(0..50));
    let mut running = start(spec(&path), Vec::new());
    running.until_count(50).await;
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&path)
        .expect("truncated");
    append(&path, numbered(50..60));
    running.until_count(60).await;
    assert_eq!(numbers(&running.seen), (0..60).collect::<Vec<_>>());
    assert!(running.metric("vervet_agent_filelog_truncations_total{receiver=\"files\"} 1"));
    running.stop().await;
}

#[tokio::test]
async fn restarts_neither_lose_nor_repeat_lines() {
    let (directory, path) = directory();
    let (mut all, mut positions) = (Vec::new(), Vec::new());
    for round in 0..4 {
        append(&path, numbered(round * 100..round * 100 + 99));
        append(&path, "line ");
        let mut running = start(spec(&path), std::mem::take(&mut positions));
        running.until_count(99).await;
        append(&path, format!("{}\n", round * 100 + 99));
        let (seen, at) = running.stop().await;
        all.extend(seen);
        positions = at;
    }
    // What was written while the agent was down is read although the file was renamed meanwhile.
    append(&path, numbered(400..450));
    fs::rename(&path, directory.path().join("app.log.1")).expect("renamed");
    append(&path, numbered(450..500));
    let mut running = start(spec(&path), positions);
    let before = all.len();
    running.until_count(500 - before).await;
    let (seen, _) = running.stop().await;
    all.extend(seen);
    let mut got = numbers(&all);
    got.sort_unstable();
    assert_eq!(got, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_crash_repeats_only_what_was_not_durable() {
    let (_directory, path) = directory();
    append(&path, numbered(0..30_000));
    let mut running = start(spec(&path), Vec::new());
    assert!(running.take().await);
    // The process dies here: what was read after the first batch is not known to be stored.
    let (first, positions) = (running.seen.clone(), running.positions.clone());
    assert!(
        first.len() < 30_000,
        "one batch holds all: nothing is tested"
    );
    running.shutdown.cancel();
    let mut again = start(spec(&path), positions);
    again.until_count(30_000 - first.len()).await;
    let (second, _) = again.stop().await;
    let got: Vec<_> = numbers(&first)
        .into_iter()
        .chain(numbers(&second))
        .collect();
    assert_eq!(got, (0..30_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_deleted_file_gives_its_last_words() {
    let (_directory, path) = directory();
    append(&path, "whole\nlast words");
    let mut running = start(spec(&path), Vec::new());
    running.until_count(1).await;
    fs::remove_file(&path).expect("removed");
    running.until_count(2).await;
    assert_eq!(running.bodies(), ["whole", "last words"]);
    running.stop().await;
}

#[tokio::test]
async fn many_files_are_told_apart() {
    let (directory, _) = directory();
    for file in 0..200 {
        append(
            &directory.path().join(format!("s{file}.log")),
            numbered(0..20),
        );
    }
    let mut running = start(spec(&directory.path().join("*.log")), Vec::new());
    running.until_count(4_000).await;
    for file in 0..200 {
        let name = format!("s{file}");
        let of_file: Vec<_> = running
            .seen
            .iter()
            .filter(|seen| seen.service == name)
            .cloned()
            .collect();
        assert_eq!(numbers(&of_file), (0..20).collect::<Vec<_>>(), "{name}");
    }
    running.stop().await;
}

#[tokio::test]
async fn start_at_end_holds_only_for_files_there_at_the_start() {
    let (directory, path) = directory();
    append(&path, "old\n");
    let pattern = directory.path().join("*.log");
    let mut running = start(
        FilelogSpec {
            start_at: StartAt::End,
            ..spec(&pattern)
        },
        Vec::new(),
    );
    // The first sweep is over once the file counts as followed.
    let waiting = async {
        while !running.metric("vervet_agent_filelog_files{receiver=\"files\"} 1") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .expect("in time");
    append(&path, "new\n");
    append(&directory.path().join("later.log"), "later\n");
    running.until_count(2).await;
    let mut bodies = running.bodies();
    bodies.sort_unstable();
    assert_eq!(bodies, ["later", "new"]);
    running.stop().await;
}

#[tokio::test]
async fn container_lines_are_joined_per_stream() {
    let (directory, _) = directory();
    let path = directory.path().join("pods/shop_web_uid-1/next/0.log");
    fs::create_dir_all(path.parent().expect("parent")).expect("created");
    let lines = [
        "2024-01-02T03:04:05.000000001Z stdout P {\"level\":50,",
        "2024-01-02T03:04:05.000000002Z stderr F TypeError: x is not a function",
        "2024-01-02T03:04:05.000000003Z stdout F \"msg\":\"joined\"}",
        "2024-01-02T03:04:05.000000004Z stderr F     at run (/app/a.js:1:2)",
        "2024-01-02T03:04:05.000000005Z stdout F plain",
        "2024-01-02T03:04:05.000000006Z stderr F     at main (/app/b.js:3:4)",
        "2024-01-02T03:04:05.000000007Z stderr F other",
    ];
    append(&path, lines.join("\n") + "\n");
    let pods = directory.path().join("pods");
    let spec = FilelogSpec {
        pod_roots: PodRoots::try_from(vec![pods.to_string_lossy().into_owned()]).expect("valid"),
        ..spec(&path)
    };
    let mut running = start(spec, Vec::new());
    running.until_count(4).await;
    let trace =
        "TypeError: x is not a function\n    at run (/app/a.js:1:2)\n    at main (/app/b.js:3:4)";
    assert_eq!(running.bodies(), ["joined", trace, "plain", "other"]);
    let first = &running.seen[0];
    assert_eq!(
        (
            first.service.as_str(),
            first.stream.as_str(),
            first.severity
        ),
        ("next", "stdout", 17)
    );
    assert_eq!(first.time % 1_000_000_000, 1);
    assert_eq!(running.seen[1].stream, "stderr");
    running.stop().await;
}

#[tokio::test]
async fn a_line_in_pieces_is_whole_although_the_agent_stops_between_them() {
    let (directory, _) = directory();
    let path = directory.path().join("pods/shop_web_uid-1/next/0.log");
    fs::create_dir_all(path.parent().expect("parent")).expect("created");
    append(
        &path,
        "2024-01-02T03:04:05.1Z stdout F before\n2024-01-02T03:04:05.2Z stdout P the first half, \n",
    );
    let mut running = start(spec(&path), Vec::new());
    running.until_count(1).await;
    let (seen, positions) = running.stop().await;
    assert_eq!(seen.len(), 1);
    append(&path, "2024-01-02T03:04:05.3Z stdout F the second\n");
    let mut running = start(spec(&path), positions);
    running.until_count(1).await;
    assert_eq!(running.bodies(), ["the first half, the second"]);
    running.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_kept_and_counted() {
    let (_directory, path) = directory();
    append(&path, b"caf\xe9\nnul\0inside\nwindows\r\n");
    let mut running = start(spec(&path), Vec::new());
    running.until_count(3).await;
    assert_eq!(running.bodies(), ["caf\u{fffd}", "nul\0inside", "windows"]);
    assert!(running.metric("vervet_agent_filelog_invalid_utf8_total{receiver=\"files\"} 1"));
    running.stop().await;
}

#[tokio::test]
async fn lines_over_the_limit_are_split() {
    let (_directory, path) = directory();
    const LINE_BYTES_MAX: usize = 1 << 20;
    let long = "é".repeat(LINE_BYTES_MAX * 3 / 4);
    append(&path, format!("{long}\nshort\n"));
    let mut running = start(spec(&path), Vec::new());
    running.until_count(3).await;
    assert_eq!(running.seen[0].body.len(), LINE_BYTES_MAX);
    assert_eq!(
        format!("{}{}", running.seen[0].body, running.seen[1].body),
        long
    );
    assert_eq!(running.seen[2].body, "short");
    assert!(running.metric("vervet_agent_filelog_split_lines_total{receiver=\"files\"} 1"));
    running.stop().await;
}

#[tokio::test]
async fn broken_json_stays_readable_and_is_counted() {
    let (_directory, path) = directory();
    append(&path, "{\"msg\": \"cut\n{\"msg\":\"fine\"}\n");
    let mut running = start(
        FilelogSpec {
            format: FormatSpec::word("json").expect("a format"),
            ..spec(&path)
        },
        Vec::new(),
    );
    running.until_count(2).await;
    assert_eq!(running.bodies(), ["{\"msg\": \"cut", "fine"]);
    let counted = "vervet_agent_filelog_parse_errors_total{receiver=\"files\",format=\"json\"} 1";
    assert!(running.metric(counted), "{}", running.metrics.encode_text());
    running.stop().await;
}

mod changes;
mod pods;
mod reading;
mod rotation;
