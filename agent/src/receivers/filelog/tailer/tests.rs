//! A tailer that is moved by hand, between whose steps things happen to files.

mod asked;
mod cuts;
mod descriptors;
mod failing;
mod leftovers;
mod links;
mod names;
mod short_lived;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use vervet_model::SystemClock;
use vervet_wire::otlp::for_each_log;

use super::super::tests::{spec, write_gzip};
use super::*;
use crate::kubernetes::PodDirectory;
use crate::metrics::AgentMetrics;
use crate::pipeline::{BatchQueue, FileNews, FilePosition, channel};
use crate::processors::Chains;
use crate::receivers::filelog::FilelogSpec;

const CHANNEL_BYTES: usize = 1 << 20;

struct Hand {
    // Before the runtime it enters.
    tailer: Tailer,
    queue: BatchQueue,
    _runtime: Runtime,
    positions: Vec<FilePosition>,
    news: Vec<FileNews>,
}

impl Hand {
    fn new(include: &Path, resume: Vec<FilePosition>) -> Self {
        Self::with_batches(include, resume, usize::MAX)
    }

    fn with_batches(include: &Path, resume: Vec<FilePosition>, batch_bytes: usize) -> Self {
        Self::with_spec(spec(include), resume, batch_bytes)
    }

    fn with_spec(spec: FilelogSpec, resume: Vec<FilePosition>, batch_bytes: usize) -> Self {
        Self::with_metrics(spec, resume, batch_bytes, AgentMetrics::default())
    }

    fn with_metrics(
        spec: FilelogSpec,
        resume: Vec<FilePosition>,
        batch_bytes: usize,
        metrics: AgentMetrics,
    ) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let metrics = Arc::new(metrics);
        let (output, queue) = channel("files", CHANNEL_BYTES, Arc::clone(&metrics));
        let context = ReceiverContext {
            output: output.with_batch_bytes(batch_bytes),
            chains: Chains::default(),
            pods: PodDirectory::none(),
            resource: Vec::new(),
            resume,
            metrics,
            shutdown: CancellationToken::new(),
            clock: Arc::new(SystemClock),
        };
        let config = FilelogConfig::try_from(spec).expect("valid");
        let tailer = Tailer::new(
            config,
            context,
            ChangeSlot::default(),
            runtime.handle().clone(),
        );
        Self {
            tailer,
            queue,
            _runtime: runtime,
            positions: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Files are found and looked at, not yet read.
    fn look(&mut self) {
        self.tailer.sweep(Instant::now());
    }

    /// Looks at all there is and reads it.
    fn look_and_read(&mut self) -> Vec<String> {
        let now = Instant::now();
        self.look();
        self.tailer.look_at_open();
        self.tailer.due.watched_look = now;
        self.tailer.look_at_closed();
        self.read()
    }

    /// Reads all there is: the lines.
    fn read(&mut self) -> Vec<String> {
        while !self.tailer.unread.queued.is_empty() {
            self.tailer.read();
        }
        self.take()
    }

    /// The lines that have been read.
    fn take(&mut self) -> Vec<String> {
        // The last line may be the first of a trace.
        for file in self.tailer.files.values_mut() {
            if let Some(open) = &mut file.open {
                open.lines.close_all();
            }
            self.tailer.sink.take_ready(file);
        }
        self.tailer.flush();
        let mut lines = Vec::new();
        while let Ok(queued) = self.queue.ordinary.try_recv() {
            for_each_log(&queued.batch.payload, |_, _, record| {
                lines.push(record.body.to_text().into_owned());
            })
            .expect("a valid request");
            self.positions.extend(queued.batch.positions.clone());
            self.news.extend(queued.batch.news.clone());
            queued.settle(Ok(()));
        }
        lines
    }
}

fn write(path: &Path, numbers: std::ops::Range<usize>) {
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .append(true)
        .open(path)
        .expect("opened");
    for number in numbers {
        writeln!(file, "{}", line(number)).expect("written");
    }
}

fn line(number: usize) -> String {
    format!("line {number} of a file that is deleted in the wrong moment")
}

fn lines(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(line).collect()
}

#[test]
fn a_file_deleted_right_after_the_first_look_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    let mut hand = Hand::new(&path, Vec::new());
    write(&path, 0..30);
    hand.look();
    fs::remove_file(&path).expect("removed");
    hand.look();
    assert_eq!(hand.read(), lines(0..30));
    assert_eq!(hand.tailer.first_looks, 0);
}

#[test]
fn the_rest_of_a_known_file_deleted_right_after_the_first_look_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    let mut before = Hand::new(&path, Vec::new());
    write(&path, 0..40);
    before.look();
    assert_eq!(before.read(), lines(0..40));
    write(&path, 40..60);
    let mut hand = Hand::new(&path, std::mem::take(&mut before.positions));
    hand.look();
    fs::remove_file(&path).expect("removed");
    hand.look();
    assert_eq!(hand.read(), lines(40..60));
}

#[test]
fn a_copy_deleted_before_its_original_is_cut_is_read_in_its_place() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    let copy = folder.path().join("app.log.1");
    let mut hand = Hand::new(&folder.path().join("app.log*"), Vec::new());
    write(&path, 0..100);
    hand.look();
    assert_eq!(hand.read(), lines(0..100));
    // The copy has what is never read of the original.
    write(&path, 100..150);
    fs::copy(&path, &copy).expect("copied");
    hand.look();
    let id = *hand
        .tailer
        .files
        .keys()
        .find(|id| hand.tailer.files[*id].path == copy)
        .expect("found");
    while hand.tailer.files[&id].copy_of.is_none() {
        let next = hand.tailer.unread.pop().expect("the copy is to be read");
        if next == id {
            hand.tailer.turn(next, Instant::now());
        }
    }
    fs::remove_file(&copy).expect("removed");
    File::options()
        .write(true)
        .truncate(true)
        .open(&path)
        .expect("cut");
    write(&path, 150..160);
    hand.look();
    hand.tailer.look_at_open();
    let mut read = hand.read();
    read.sort();
    let mut expected = lines(100..160);
    expected.sort();
    assert_eq!(read, expected);
}

#[test]
fn a_compressed_copy_read_before_its_deleted_original_is_not_read_twice() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log.7");
    let copy = folder.path().join("app.log.7.gz");
    let mut hand = Hand::new(&folder.path().join("app.log*"), Vec::new());
    write(&path, 0..30);
    write_gzip(&path, &copy);
    hand.look();
    fs::remove_file(&path).expect("removed");
    let found = hand.tailer.files.iter();
    let mut found = found.filter(|(_, file)| file.path == copy);
    let id = *found.next().expect("found").0;
    hand.tailer.turn(id, Instant::now());
    assert_eq!(hand.read(), lines(0..30));
    hand.look();
    hand.tailer.files.values_mut().for_each(|file| {
        // As if that had been long ago.
        file.grown_at -= Duration::from_secs(60);
        file.gone_at = file.gone_at.map(|at| at - Duration::from_secs(60));
    });
    hand.tailer.look_at_open();
    assert_eq!(hand.read(), [""; 0]);
    let left: Vec<_> = hand.tailer.files.values().map(|file| &file.path).collect();
    assert_eq!(left, [&copy]);
}

#[test]
fn an_idle_file_keeps_no_descriptor_of_its_first_look() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.log");
    let mut before = Hand::new(&path, Vec::new());
    write(&path, 0..40);
    before.look();
    assert_eq!(before.read(), lines(0..40));
    let mut hand = Hand::new(&path, std::mem::take(&mut before.positions));
    hand.look();
    assert_eq!(hand.tailer.first_looks, 0);
    assert!(hand.tailer.open.is_empty());
    assert_eq!(hand.tailer.files.len(), 1);
}

#[test]
fn batches_are_as_small_as_the_buffer_wants_them_and_each_says_how_far_it_goes() {
    const BATCH_BYTES: usize = 2_000;
    let dir = tempfile::tempdir().expect("folder");
    write(&dir.path().join("a.log"), 0..100);
    let mut hand = Hand::with_batches(&dir.path().join("*.log"), Vec::new(), BATCH_BYTES);
    hand.look();
    while !hand.tailer.unread.queued.is_empty() {
        hand.tailer.read();
    }
    hand.tailer.flush();
    let (mut seen, mut batches) = (0, 0);
    while let Ok(queued) = hand.queue.ordinary.try_recv() {
        let batch = &queued.batch;
        // One more read is in it, half as large as text.
        assert!(
            batch.payload.len() < 3 * BATCH_BYTES,
            "{}",
            batch.payload.len()
        );
        seen += usize::try_from(batch.records).expect("few");
        batches += 1;
        let upto: usize = lines(0..seen).iter().map(|line| line.len() + 1).sum();
        assert_eq!(batch.positions[0].offset, upto as u64);
        queued.settle(Ok(()));
    }
    assert!(batches > 1, "{batches}");
}
