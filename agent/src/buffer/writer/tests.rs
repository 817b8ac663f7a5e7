//! When positions are stored, and what becomes of them when they cannot be: a writer that is moved by hand.

use std::path::Path;
use std::sync::atomic::Ordering;

use vervet_journal::{FileSystem, OsFileSystem};
use vervet_model::SystemClock;

use super::super::tests::batch;
use super::super::tests::full_disk::FullDisk;
use super::super::{CHECKPOINTS, SEGMENTS_MIN};
use super::*;
use crate::pipeline::{Batch, BatchSender, FilePosition, WAYMARKS_MAX, Waymark, channel};

const DISK_BYTES: u64 = 8 << 20;

struct Hand {
    writer: BufferWriter,
    sender: BatchSender,
    resume: Vec<FilePosition>,
}

impl Hand {
    fn open(dir: &Path, disk_bytes: u64, fs: Arc<dyn FileSystem>) -> Self {
        let (buffer, _report) = Buffer::open(dir, disk_bytes, fs).expect("opens");
        let resume = buffer.checkpoints.lock().claim("files");
        let metrics = Arc::new(AgentMetrics::default());
        let (sender, queue) = channel("files", 64 << 20, Arc::clone(&metrics));
        let parts = WriterParts {
            queue,
            memory: sender.budget().clone(),
            books: Arc::new(Books::default()),
            metrics,
            booked: watch::channel(0).0,
            health: StageHealth::new("buffer", Arc::new(SystemClock)),
            drain: CancellationToken::new(),
            give_up: CancellationToken::new(),
        };
        Self {
            writer: BufferWriter::new(buffer, parts),
            sender,
            resume,
        }
    }

    async fn store(&mut self, batch: Batch) {
        self.sender.send(batch).await.expect("open");
        assert!(self.writer.collect().await);
        while !self.writer.pending.is_empty() {
            self.writer.store_group().await.expect("stored");
        }
    }

    /// Up to where positions are stored after so many looks.
    async fn look(&mut self, looks: u32) -> u64 {
        for _look in 0..looks {
            self.writer.checkpoint().await;
        }
        let stats = self.writer.journal.stats();
        let mut cursors = stats.cursors.iter();
        let own = cursors.find(|cursor| cursor.name == CHECKPOINTS);
        own.map_or(0, |cursor| cursor.committed)
    }

    async fn finish(self) {
        drop(self.sender);
        self.writer.run().await.expect("stored");
    }
}

fn position(offset: u64) -> FilePosition {
    FilePosition {
        path: "/var/log/a.log".to_owned(),
        device: 1,
        inode: 2,
        offset,
        ..FilePosition::default()
    }
}

/// Of a file with a long path and all there is to know of it.
fn long(inode: u64) -> FilePosition {
    FilePosition {
        path: format!("/var/log/{inode:08}/{}", "x".repeat(163)),
        inode,
        waymarks: [Waymark { back: 64, hash: 7 }; WAYMARKS_MAX],
        ..position(1)
    }
}

#[tokio::test]
async fn positions_are_stored_once_a_segment_and_not_at_every_look() {
    let dir = tempfile::tempdir().expect("folder");
    let mut hand = Hand::open(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    for offset in 1..=3 {
        hand.store(batch(100, vec![position(offset)])).await;
        assert_eq!(hand.look(2).await, 0);
    }
    // The fourth begins a segment: the one before it waits for nothing but the positions.
    let segment = usize::try_from(DISK_BYTES / SEGMENTS_MIN).expect("small");
    hand.store(batch(segment - 200, vec![position(4)])).await;
    assert_eq!(hand.look(1).await, 4);
    hand.store(batch(100, vec![position(5)])).await;
    assert_eq!(hand.look(2).await, 4);
    // As a killed process would end.
    drop(hand);
    let hand = Hand::open(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    assert_eq!(hand.resume, [position(5)]);
}

#[tokio::test]
async fn no_more_is_written_for_positions_than_is_appended() {
    let dir = tempfile::tempdir().expect("folder");
    let mut hand = Hand::open(dir.path(), 64 << 20, Arc::new(OsFileSystem));
    let (mut appended, mut written, mut states) = (0, 0, 0);
    for round in 0..400 {
        // Files of which nothing more is read after the first batches.
        let files = if round < 40 {
            round * 1_000..(round + 1) * 1_000
        } else {
            0..1
        };
        hand.store(batch(200 << 10, files.map(long).collect()))
            .await;
        hand.look(1).await;
        appended += 200 << 10;
        let kept = hand.writer.keeping.kept();
        written += (kept.stored - states) * hand.writer.state_bytes;
        states = kept.stored;
    }
    assert_eq!(hand.writer.keeping.kept().positions, 40_000);
    assert!(hand.writer.state_bytes > hand.writer.segment_bytes_max as u64);
    assert!(states > 2 && written <= appended, "{written} of {appended}");
    hand.finish().await;
}

#[tokio::test]
async fn seventy_thousand_long_paths_are_stored_and_opened_again() {
    const FILES: u64 = 70_000;
    const DISK_BYTES: u64 = 256 << 20;
    let dir = tempfile::tempdir().expect("folder");
    let mut hand = Hand::open(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    for from in (0..FILES).step_by(1_000) {
        let positions = (from..from + 1_000).map(long).collect();
        hand.store(batch(100, positions)).await;
    }
    let keeping = hand.writer.keeping.clone();
    hand.finish().await;
    assert_eq!(keeping.kept().failed, 0);
    assert!(keeping.kept().bytes > 16 << 20);
    let mut again = Hand::open(dir.path(), DISK_BYTES, Arc::new(OsFileSystem));
    assert_eq!(again.resume.len() as u64, FILES);
    assert_eq!(again.look(0).await, FILES / 1_000);
}

#[tokio::test]
async fn positions_that_cannot_be_stored_are_told_and_keep_nothing_from_starting() {
    let dir = tempfile::tempdir().expect("folder");
    let disk = Arc::new(FullDisk::default());
    let fs = || Arc::clone(&disk) as Arc<dyn FileSystem>;
    let mut hand = Hand::open(dir.path(), DISK_BYTES, fs());
    // Room for batches, none for the table.
    disk.write_bytes_max.store(2 << 10, Ordering::SeqCst);
    hand.store(batch(100, vec![position(1)])).await;
    let keeping = hand.writer.keeping.clone();
    hand.finish().await;
    assert_eq!(keeping.kept().failed, 1);
    assert!(keeping.warnings()[0].contains("cannot be stored"));

    let mut again = Hand::open(dir.path(), DISK_BYTES, fs());
    assert_eq!(again.resume, [position(1)]);
    assert_eq!(again.look(2).await, 0);
    let keeping = again.writer.keeping.clone();
    assert_eq!(keeping.kept().failed, 2, "it is tried again at each look");
    again.store(batch(100, vec![position(2)])).await;
    disk.write_bytes_max.store(0, Ordering::SeqCst);
    assert_eq!(again.look(1).await, 2);
    assert_eq!(keeping.warnings(), Vec::<String>::new());
}
