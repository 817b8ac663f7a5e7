//! What stops lose where nothing can be stored, and that they end all the same.

use std::fs;
use std::sync::atomic::Ordering;

use super::budgets::start;
use super::*;
use crate::buffer::tests::full_disk::{FullDisk, Hold};
use crate::stops::{NOT_STORED, READ_AGAIN};

/// An agent of one receiver and a destination that is not there, on `disk`.
pub(super) async fn on(
    disk: &Arc<FullDisk>,
    dir: &Path,
    (signal, receiver): (&str, &str),
) -> RunningAgent {
    let text = format!(
        "data_dir: {}\n\
         receivers:\n  input: {receiver}\n\
         exporters:\n  main: {{type: otlp, endpoint: 'http://127.0.0.1:9'}}\n\
         pipelines:\n  {signal}: {{from: [input], to: [main]}}\n\
         admin: {{listen: 127.0.0.1:0}}\n",
        dir.join("data").display()
    );
    let config = AgentConfig::parse("test.yaml", &text, &SystemSources).expect("valid");
    let options = AgentOptions {
        file_system: Arc::clone(disk) as Arc<dyn FileSystem>,
        ..AgentOptions::default()
    };
    start(config, options).await
}

/// One that reads `*.log` in `dir`.
pub(super) async fn on_logs(dir: &Path) -> (RunningAgent, Arc<FullDisk>) {
    let disk = Arc::new(FullDisk::default());
    let glob = dir.join("*.log");
    let receiver = format!("{{type: filelog, include: ['{}']}}", glob.display());
    let agent = on(&disk, dir, ("logs", &receiver)).await;
    (agent, disk)
}

pub(super) fn waiting(agent: &RunningAgent) -> u64 {
    let lines = agent.status().receivers.into_iter();
    lines.map(|line| line.waiting.records).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_of_a_deleted_file_and_is_not_stored_at_the_end_is_lost() {
    let dir = tempfile::tempdir().expect("folder");
    let (agent, disk) = on_logs(dir.path()).await;
    disk.is_full.store(true, Ordering::SeqCst);
    let [deleted, renamed, there] = ["a.log", "b.log", "c.log"].map(|name| dir.path().join(name));
    fs::write(&deleted, "one\n".repeat(10)).expect("written");
    fs::write(&renamed, "two\n".repeat(5)).expect("written");
    fs::write(&there, "three\n".repeat(4)).expect("written");
    wait_until("all is read", || waiting(&agent) == 19).await;
    fs::remove_file(&deleted).expect("removed");
    fs::rename(&renamed, dir.path().join("b.1")).expect("renamed");
    let metrics = agent.parts.view().metrics;
    let pause = Duration::from_millis(500);
    let stopped = agent.shutdown_unless(pause, std::future::pending()).await;
    assert!(!stopped.all_sent);
    let lost: Vec<_> = stopped
        .lost
        .iter()
        .map(|line| (&*line.receiver, &*line.reason))
        .collect();
    assert_eq!(lost, [("input", NOT_STORED)]);
    assert_eq!(stopped.lost[0].amount.records, 10);
    let line = metrics.intake().lines().remove(0);
    assert_eq!(line.dropped[READ_AGAIN].records, 9);
    assert!(
        line.waiting.is_zero() && line.received.records == 19,
        "{line:?}"
    );
    let noted = fs::read_to_string(dir.path().join("data/lost-at-stops.json")).expect("a file");
    assert!(noted.contains("\"records\":10"), "{noted}");
}

fn compress(path: &Path) {
    let name = format!("{}.1.gz", path.display());
    let file = fs::File::create(name).expect("created");
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let text = fs::read(path).expect("read");
    std::io::Write::write_all(&mut gzip, &text).expect("written");
    gzip.finish().expect("finished");
    fs::remove_file(path).expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_a_compressed_copy_that_is_read_on_is_not_lost() {
    let dir = tempfile::tempdir().expect("folder");
    let (agent, disk) = on_logs(dir.path()).await;
    let [known, unknown] = ["a.log", "b.log"].map(|name| dir.path().join(name));
    fs::write(&known, "one\n".repeat(10)).expect("written");
    let buffered = || {
        let lines = agent.status().receivers.into_iter();
        lines.map(|line| line.buffered.records).sum::<u64>() == 10
    };
    wait_until("the first lines are stored", buffered).await;
    disk.is_full.store(true, Ordering::SeqCst);
    fs::write(&known, "one\n".repeat(10) + &"two\n".repeat(20)).expect("written");
    fs::write(&unknown, "three\n".repeat(5)).expect("written");
    wait_until("all is read", || waiting(&agent) == 25).await;
    compress(&known);
    // No place of this one is stored, and no glob names its copy.
    compress(&unknown);
    let metrics = agent.parts.view().metrics;
    let pause = Duration::from_millis(500);
    let stopped = agent.shutdown_unless(pause, std::future::pending()).await;
    let lost: Vec<_> = stopped
        .lost
        .iter()
        .map(|line| (&*line.reason, line.amount.records))
        .collect();
    assert_eq!(lost, [(NOT_STORED, 5)]);
    let line = metrics.intake().lines().remove(0);
    assert_eq!(line.dropped[READ_AGAIN].records, 20);
}

/// Lets go of what it holds up, so that nothing outlives a test.
struct Release(Arc<Hold>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_on_a_disk_that_does_not_answer_and_tells_what_it_loses() {
    let dir = tempfile::tempdir().expect("folder");
    let disk = Arc::new(FullDisk::default());
    let receiver = "{type: hostmetrics, interval: 1s}";
    let agent = on(&disk, dir.path(), ("metrics", receiver)).await;
    let _release = Release(Arc::clone(&disk.hold));
    disk.hold.set(true);
    wait_until("figures wait", || waiting(&agent) > 0).await;
    // Neither does what would keep what is lost: opening it waits for a reader.
    let noted = dir.path().join("data/lost-at-stops.json");
    fs::remove_file(&noted).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&noted).status();
    assert!(made.expect("runs").success());
    let view = agent.parts.view();
    let stop = agent.shutdown_unless(Duration::from_millis(100), std::future::pending());
    let stopped = tokio::time::timeout(DEADLINE, stop).await.expect("it ends");
    assert!(!stopped.all_sent);
    assert_eq!(stopped.lost.len(), 1, "{stopped:?}");
    assert_eq!(stopped.lost[0].reason, NOT_STORED);
    assert!(stopped.lost[0].amount.records > 0, "{stopped:?}");
    let line = view.metrics.intake().lines().remove(0);
    assert!(line.waiting.is_zero(), "{line:?}");
    assert!(view.stops.known().is_some());
    let mut reader = fs::File::open(&noted).expect("opened");
    std::io::Read::read_to_end(&mut reader, &mut Vec::new()).expect("released");
}
