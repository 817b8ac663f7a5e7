pub(crate) mod full_disk;
mod pieces;

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vervet_journal::{JournalError, OsFileSystem};
use vervet_model::{Signal, SystemClock};

use super::*;
use crate::books::Books;
use crate::budget::MemoryKind;
use crate::health::StageHealth;
use crate::metrics::AgentMetrics;
use crate::pipeline::{Batch, BatchSender, FilePosition, PipelineError, channel};
use full_disk::FullDisk;

const DEADLINE: Duration = Duration::from_secs(20);
const DISK_BYTES: u64 = 8 << 20;

/// A buffer at work, and how it was before.
struct Running {
    sender: BatchSender,
    booked: watch::Receiver<u64>,
    writer: JoinHandle<Result<(), JournalError>>,
    metrics: Arc<AgentMetrics>,
    journal: Journal,
    resume: Vec<FilePosition>,
    totals: Totals,
    give_up: CancellationToken,
}

fn start(dir: &Path, disk_bytes: u64, fs: Arc<dyn FileSystem>) -> Running {
    let (buffer, _report) = Buffer::open(dir, disk_bytes, fs).expect("opens");
    let journal = buffer.journal.clone();
    let resume = buffer.checkpoints.lock().of("files");
    let totals = buffer.checkpoints.lock().totals;
    let metrics = Arc::new(AgentMetrics::default());
    let (sender, queue) = channel("files", 64 << 20, Arc::clone(&metrics));
    let (booked, booked_receiver) = watch::channel(0);
    let give_up = CancellationToken::new();
    let parts = WriterParts {
        queue,
        memory: sender.budget().clone(),
        books: Arc::new(Books::default()),
        metrics: Arc::clone(&metrics),
        booked,
        health: StageHealth::new("buffer", Arc::new(SystemClock)),
        drain: CancellationToken::new(),
        give_up: give_up.clone(),
    };
    let writer = tokio::spawn(BufferWriter::new(buffer, parts).run());
    Running {
        sender,
        booked: booked_receiver,
        writer,
        metrics,
        journal,
        resume,
        totals,
        give_up,
    }
}

fn position(offset: u64) -> FilePosition {
    FilePosition {
        path: "/var/log/a.log".to_owned(),
        device: 1,
        inode: 2,
        prefix_hash: 3,
        prefix_len: 4,
        offset,
        ..FilePosition::default()
    }
}

pub(super) fn batch(bytes: usize, positions: Vec<FilePosition>) -> Batch {
    Batch {
        signal: Signal::Logs,
        payload: vec![7; bytes].into(),
        records: 2,
        positions,
        news: Vec::new(),
        parts: Vec::new(),
    }
}

impl Running {
    async fn wait_for_sequence(&mut self, sequence: u64) {
        let booked = self.booked.wait_for(|booked| *booked >= sequence);
        tokio::time::timeout(DEADLINE, booked)
            .await
            .expect("in time")
            .expect("writer runs");
    }

    /// Ends as a killed process would: no checkpoint, no goodbye.
    async fn kill(self) {
        self.writer.abort();
        let _cancelled = self.writer.await;
    }

    /// Waits for the writer to end although there are senders.
    async fn finish_queue(self) {
        let ended = tokio::time::timeout(DEADLINE, self.writer).await;
        ended.expect("in time").expect("no panic").expect("stored");
    }

    async fn finish(self) {
        drop(self.sender);
        self.writer.await.expect("no panic").expect("stored");
    }

    fn metric(&self, line_start: &str) -> u64 {
        let text = self.metrics.encode_text();
        let line = text.lines().find(|line| line.starts_with(line_start));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0)
    }
}

fn records_in(journal: &Journal) -> usize {
    let mut cursor = journal.cursor("reader").expect("opens");
    let mut count = 0;
    loop {
        let records = cursor.read(1 << 20).expect("reads");
        if records.is_empty() {
            return count;
        }
        count += records.len();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_stored_while_files_wait_for_the_memory_it_holds() {
    let dir = tempfile::tempdir().expect("folder");
    let running = start(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    let budget = running.sender.budget().clone();
    let all = usize::try_from(budget.bytes_max(MemoryKind::Request)).expect("small");
    let borrowed = budget.try_acquire(MemoryKind::Request, all);
    let files = budget.acquire(MemoryKind::Source, all);
    tokio::pin!(files);
    tokio::select! {
        biased;
        _served = &mut files => panic!("requests hold all but the reserves"),
        () = std::future::ready(()) => {}
    }
    let request = batch(512 << 10, Vec::new());
    tokio::time::timeout(DEADLINE, async {
        let stored = running.sender.send_durable_held(request, borrowed);
        stored.await.expect("stored");
        assert_eq!(files.await.bytes(), all as u64);
    })
    .await
    .expect("in time");
    running.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_append_and_checkpoint_loses_no_position_and_repeats_none() {
    let dir = tempfile::tempdir().expect("folder");
    let mut expected = Totals::default();
    for round in 0..4_u64 {
        let mut running = start(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
        let resumed: Vec<u64> = running
            .resume
            .iter()
            .map(|position| position.offset)
            .collect();
        let before: Vec<u64> = (round > 0).then_some(round * 50).into_iter().collect();
        assert_eq!(resumed, before, "round {round}");
        assert_eq!(running.totals, expected, "round {round}");
        for step in 1..=5 {
            let offset = round * 50 + step * 10;
            running
                .sender
                .send(batch(100, vec![position(offset)]))
                .await
                .expect("open");
            expected.add(
                Signal::Logs,
                Amount {
                    records: 2,
                    bytes: 100,
                },
            );
        }
        running.wait_for_sequence((round + 1) * 5).await;
        let checkpointed = running
            .journal
            .stats()
            .cursors
            .iter()
            .map(|cursor| cursor.committed)
            .max();
        assert!(
            checkpointed < Some((round + 1) * 5),
            "the crash must come before the checkpoint"
        );
        running.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_checkpoint_stands_after_an_orderly_end() {
    let dir = tempfile::tempdir().expect("folder");
    let running = start(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    running
        .sender
        .send(batch(100, vec![position(10)]))
        .await
        .expect("open");
    running.finish().await;
    let (journal, _report) = Journal::open(JournalConfig::new(dir.path())).expect("opens");
    let cursor = journal.cursor(CHECKPOINTS).expect("opens");
    assert_eq!(cursor.committed(), 1);
    assert_eq!(
        Checkpoints::decode(cursor.state().to_vec())
            .expect("valid")
            .of("files"),
        [position(10)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_refuses_clients_and_makes_files_wait_until_there_is_room() {
    let dir = tempfile::tempdir().expect("folder");
    let mut running = start(dir.path(), 1 << 20, Arc::new(OsFileSystem));
    let mut exporter = running.journal.cursor("exporter-main").expect("opens");
    let client = running
        .sender
        .for_receiver("otlp", crate::pipeline::SignalSet::ALL);
    let mut stored = 0;
    let refusal = loop {
        match client.send_durable(batch(100 << 10, Vec::new())).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 11, "more than the budget was stored");
    };
    assert!(
        matches!(refusal, PipelineError::Overloaded { .. }),
        "{refusal}"
    );
    for offset in [10, 20] {
        running
            .sender
            .send(batch(100 << 10, vec![position(offset)]))
            .await
            .expect("open");
    }
    let again = client.send_durable(batch(100 << 10, Vec::new())).await;
    assert!(again.is_err(), "a client is refused while files wait");
    assert_eq!(running.journal.last_sequence(), stored);
    exporter.commit(stored, b"").expect("commits");
    running.wait_for_sequence(stored + 2).await;
    let received =
        running.metric("vervet_agent_receiver_received_records_total{receiver=\"files\"");
    let buffered =
        running.metric("vervet_agent_receiver_buffered_records_total{receiver=\"files\"");
    assert_eq!((received, buffered), (4, 4));
    let received = running.metric("vervet_agent_receiver_received_records_total{receiver=\"otlp\"");
    assert_eq!(received, stored * 2, "what was refused was never received");
    drop((client, exporter));
    running.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_out_without_loss() {
    let dir = tempfile::tempdir().expect("folder");
    let disk = Arc::new(FullDisk::default());
    let mut running = start(
        dir.path(),
        DISK_BYTES,
        Arc::clone(&disk) as Arc<dyn FileSystem>,
    );
    running
        .sender
        .send(batch(100, vec![position(1)]))
        .await
        .expect("open");
    running.wait_for_sequence(1).await;
    disk.is_full.store(true, Ordering::SeqCst);
    running
        .sender
        .send(batch(100, vec![position(2)]))
        .await
        .expect("open");
    let refused = running.sender.send_durable(batch(100, Vec::new())).await;
    assert!(
        matches!(refused, Err(PipelineError::Overloaded { .. })),
        "{refused:?}"
    );
    assert_eq!(running.journal.last_sequence(), 1);
    assert_eq!(
        running.metric("vervet_agent_receiver_waiting_records{receiver=\"files\""),
        2
    );
    disk.is_full.store(false, Ordering::SeqCst);
    running.wait_for_sequence(2).await;
    assert_eq!(
        running.metric("vervet_agent_receiver_waiting_records{receiver=\"files\""),
        0
    );
    assert_eq!(records_in(&running.journal), 2);
    running.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_together_is_stored_in_parts() {
    const BATCH_BYTES: usize = 600 << 10;
    const BATCHES: u64 = 1 + crate::pipeline::SOURCE_BATCHES_MAX as u64;
    let dir = tempfile::tempdir().expect("folder");
    let disk = Arc::new(FullDisk::default());
    let fs = Arc::clone(&disk) as Arc<dyn FileSystem>;
    let mut running = start(dir.path(), 64 << 20, fs);
    // All but the first wait in the queue, and are taken from there together.
    disk.is_full.store(true, Ordering::SeqCst);
    for offset in 1..=BATCHES {
        let batch = batch(BATCH_BYTES, vec![position(offset)]);
        running.sender.send(batch).await.expect("open");
    }
    let room = BATCH_BYTES + BATCH_BYTES / 2;
    disk.write_bytes_max.store(room, Ordering::SeqCst);
    disk.is_full.store(false, Ordering::SeqCst);
    running.wait_for_sequence(BATCHES).await;
    running.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_the_limit_is_dropped_counted_and_holds_up_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let mut running = start(dir.path(), 1 << 20, Arc::new(OsFileSystem));
    running
        .sender
        .send(batch(2 << 20, Vec::new()))
        .await
        .expect("open");
    let told = running
        .sender
        .send_durable(batch(2 << 20, Vec::new()))
        .await;
    assert!(
        matches!(told, Err(PipelineError::TooLarge { .. })),
        "{told:?}"
    );
    running
        .sender
        .send(batch(10, Vec::new()))
        .await
        .expect("open");
    running.wait_for_sequence(1).await;
    let dropped = running.metric("vervet_agent_receiver_dropped_records_total");
    assert_eq!(dropped, 2);
    running.finish().await;
}

/// A batch of lines of so many bytes, as a file brings it.
fn lines_of(line_bytes: &[usize], offset: u64) -> Batch {
    use vervet_wire::otlp::{LogRecord, Resource, Scope, Value, write_resource_logs};
    let mut payload = Vec::new();
    let texts: Vec<String> = line_bytes.iter().map(|bytes| "x".repeat(*bytes)).collect();
    write_resource_logs(&mut payload, &Resource::default(), &Scope::default(), |w| {
        for text in &texts {
            w.push(&LogRecord {
                body: Value::from(text.as_str()),
                ..LogRecord::default()
            });
        }
    });
    Batch {
        signal: Signal::Logs,
        payload: payload.into(),
        records: line_bytes.len() as u64,
        positions: vec![position(offset)],
        news: Vec::new(),
        parts: Vec::new(),
    }
}

fn lines(count: usize, offset: u64) -> Batch {
    lines_of(&vec![200; count], offset)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_behind_a_batch_that_was_given_up_is_not_stored() {
    let dir = tempfile::tempdir().expect("folder");
    const DISK_BYTES: u64 = 2 << 20;
    let mut running = start(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    let holder = running.journal.cursor("exporter-main").expect("opens");
    running.sender.send(lines(5_000, 5)).await.expect("open");
    running.wait_for_sequence(1).await;
    // More than there is room for, and as much as is taken out of the queue at once; behind it one that would fit.
    let large = lines(5_200, 77);
    assert!(large.payload.len() > 1 << 20);
    running.sender.send(large).await.expect("open");
    running.sender.send(lines(1, 78)).await.expect("open");
    let deadline = std::time::Instant::now() + DEADLINE;
    while running.journal.stats().failed_appends == 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "the buffer is not full"
        );
        tokio::task::yield_now().await;
    }
    running.give_up.cancel();
    running.finish_queue().await;
    drop(holder);
    let (buffer, _report) =
        Buffer::open(dir.path(), DISK_BYTES, Arc::new(OsFileSystem)).expect("opens");
    assert_eq!(buffer.checkpoints.lock().of("files"), [position(5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_behind_the_last_record_is_known_after_a_crash() {
    let dir = tempfile::tempdir().expect("folder");
    let mut running = start(dir.path(), 1 << 20, Arc::new(OsFileSystem));
    let holder = running.journal.cursor("exporter-main").expect("opens");
    for sequence in 1..=6 {
        running
            .sender
            .send(lines(500, sequence))
            .await
            .expect("open");
        running.wait_for_sequence(sequence).await;
    }
    running.finish().await;
    drop(holder);
    // The first is left, and the segment in which the next record was to be: as when the others were taken and the
    // agent was killed before it had written that.
    let mut segments: Vec<_> = std::fs::read_dir(dir.path())
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .collect();
    segments.sort();
    for path in &segments[1..] {
        std::fs::remove_file(path).expect("removed");
    }
    let name = dir.path().join(format!("{:020}.seg", 7));
    std::fs::File::create(name).expect("created");
    let (buffer, _report) =
        Buffer::open(dir.path(), 1 << 20, Arc::new(OsFileSystem)).expect("opens");
    let gaps: Vec<_> = buffer
        .gaps
        .iter()
        .map(|gap| {
            (
                gap.from.records(),
                gap.to.records(),
                gap.is_between_segments,
            )
        })
        .collect();
    assert_eq!(gaps, [(500, 3_000, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_end_takes_is_known_in_records_and_bytes() {
    // Before the first checkpoint, and behind the last one.
    for (is_orderly, left) in [(false, 2), (true, 2), (false, 0), (true, 0)] {
        let dir = tempfile::tempdir().expect("folder");
        let mut running = start(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
        for sequence in 1..=4 {
            let batch = batch(100, vec![position(sequence * 10)]);
            running.sender.send(batch).await.expect("open");
            running.wait_for_sequence(sequence).await;
        }
        match is_orderly {
            true => running.finish().await,
            false => running.kill().await,
        }
        let inspector = Inspector::open(dir.path()).expect("opens");
        let path = inspector.segment_path(1);
        let whole = std::fs::metadata(&path).expect("there").len();
        let record = (whole - 32) / 4;
        let cut = std::fs::File::options().write(true).open(&path);
        cut.expect("opened")
            .set_len(32 + left * record)
            .expect("cut");
        let (buffer, report) =
            Buffer::open(dir.path(), DISK_BYTES, Arc::new(OsFileSystem)).expect("opens");
        assert!(report.found_damage());
        let totals = buffer.checkpoints.lock().totals.get(Signal::Logs);
        assert_eq!((totals.records, totals.bytes), (8, 400), "{is_orderly}");
        let gaps: Vec<_> = buffer
            .gaps
            .iter()
            .map(|gap| (gap.from.records(), gap.to.records()))
            .collect();
        assert_eq!(gaps, [(left * 2, 8)], "{is_orderly}");
        assert_eq!(buffer.journal.last_sequence(), 4, "{is_orderly}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_waited_out_without_loss() {
    let dir = tempfile::tempdir().expect("folder");
    let disk = Arc::new(FullDisk::default());
    let fs = Arc::clone(&disk) as Arc<dyn FileSystem>;
    let mut running = start(dir.path(), DISK_BYTES, fs);
    let send = |offset| running.sender.send(batch(100, vec![position(offset)]));
    send(1).await.expect("open");
    running.wait_for_sequence(1).await;
    disk.fails_syncs.store(true, Ordering::SeqCst);
    let send = |offset| running.sender.send(batch(100, vec![position(offset)]));
    send(2).await.expect("open");
    let refused = running.sender.send_durable(batch(100, Vec::new())).await;
    assert!(
        matches!(refused, Err(PipelineError::Overloaded { .. })),
        "{refused:?}"
    );
    assert!(running.journal.stats().poisoned);
    assert_eq!(running.journal.last_sequence(), 1);
    disk.fails_syncs.store(false, Ordering::SeqCst);
    running.wait_for_sequence(2).await;
    assert!(!running.journal.stats().poisoned);
    assert_eq!(records_in(&running.journal), 2);
    running.finish().await;
    let again = start(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    assert_eq!(again.resume, [position(2)]);
    assert_eq!(again.totals.get(Signal::Logs).records, 4);
    again.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_disk_fails_says_so_and_stores_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let disk = Arc::new(FullDisk::default());
    let fs = Arc::clone(&disk) as Arc<dyn FileSystem>;
    let running = start(dir.path(), DISK_BYTES, fs);
    disk.fails_syncs.store(true, Ordering::SeqCst);
    let sent = running.sender.send(batch(100, vec![position(1)])).await;
    sent.expect("open");
    running.give_up.cancel();
    let ended = tokio::time::timeout(DEADLINE, running.writer).await;
    let ended = ended.expect("in time").expect("no panic");
    assert!(
        matches!(ended, Err(JournalError::Poisoned { .. })),
        "{ended:?}"
    );
}
