//! The thread that finds, reads and follows the files of one receiver.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::file::{FileId, Start, TailedFile};
use super::framing::Framing;
use super::sink::Sink;
use super::{FilelogConfig, QUANTUM_BYTES, StartAt, resource};
use crate::metrics::FilelogCounts;
use crate::pipeline::{FilePosition, ReceiverContext};

/// Time between two searches for files.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two looks at the files that are open.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// A file that has not grown for this long is looked at only every [`IDLE_POLLS`]th time.
const IDLE_AFTER: Duration = Duration::from_secs(60);
const IDLE_POLLS: u32 = 4;
/// A file no glob finds is given up when it has not grown for this long; it may still be written to.
const ROTATED_IDLE: Duration = Duration::from_secs(60);
const DELETED_IDLE: Duration = Duration::from_secs(5);
/// After this long without growth a file no glob finds is at its end: a last line without line feed counts.
const END_AFTER: Duration = Duration::from_secs(1);
/// How long a shutdown waits for the buffer to take the last batch; what it does not take is read again.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(3);
/// Positions of files that are no longer open, at most.
const REMEMBERED_MAX: usize = 16_384;

pub(super) struct Tailer {
    config: FilelogConfig,
    context: ReceiverContext,
    runtime: Handle,
    framing: Framing,
    counts: FilelogCounts,
    files: HashMap<FileId, TailedFile>,
    /// Where files that are not open resume.
    remembered: HashMap<FileId, FilePosition>,
    /// Paths that could not be opened, so that each is logged once.
    failed: HashSet<PathBuf>,
    sink: Sink,
    first_sweep: bool,
    next_sweep: Instant,
    polls: u32,
    /// Nothing more is taken.
    closed: bool,
}

impl Tailer {
    pub(super) fn new(
        config: FilelogConfig,
        mut context: ReceiverContext,
        runtime: Handle,
    ) -> Self {
        let counts = context.metrics.filelog.of(context.output.receiver());
        let resume = std::mem::take(&mut context.resume);
        let remembered = resume
            .into_iter()
            .map(|position| ((position.device, position.inode), position))
            .collect();
        let framing = config.framing.clone();
        Self {
            sink: Sink::new(counts.clone(), &context),
            framing,
            counts,
            files: HashMap::new(),
            remembered,
            failed: HashSet::new(),
            first_sweep: true,
            next_sweep: Instant::now(),
            polls: 0,
            closed: false,
            config,
            context,
            runtime,
        }
    }

    /// Follows the files until the shutdown token is cancelled or the pipeline is closed.
    pub(super) fn run(mut self) {
        while !self.closed && !self.context.shutdown.is_cancelled() {
            self.sweep_when_due();
            let unread = self.poll();
            self.read(unread);
            self.expire();
            if self.sink.is_due(Instant::now()) {
                self.flush();
            }
            self.pause();
        }
        // Whole lines that wait for the rest of a trace go now; they will not be waited for later.
        for file in self.files.values_mut() {
            file.lines.close_all();
            self.sink.take_ready(file);
        }
        self.flush();
        self.counts
            .files
            .dec_by(i64::try_from(self.files.len()).unwrap_or(0));
    }

    fn pause(&self) {
        let shutdown = self.context.shutdown.clone();
        self.runtime.block_on(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        });
    }

    fn sweep_when_due(&mut self) {
        let now = Instant::now();
        if now >= self.next_sweep {
            self.sweep(now);
            self.next_sweep = now + SWEEP_INTERVAL;
        }
    }

    /// Opens files that are new and notes which have lost their names.
    fn sweep(&mut self, now: Instant) {
        let mut found: HashMap<FileId, PathBuf> = HashMap::new();
        self.config.patterns.sweep(|path, metadata| {
            let id = (metadata.dev(), metadata.ino());
            let is_known = self
                .files
                .get(&id)
                .is_some_and(|file| Path::new(&file.path) == path);
            if is_known || !found.contains_key(&id) {
                found.insert(id, path);
            }
        });
        for (id, file) in &mut self.files {
            match found.get(id) {
                Some(path) => {
                    file.gone_at = None;
                    if Path::new(&file.path) != path {
                        file.path = path.to_string_lossy().into_owned();
                        self.counts.rotations.inc();
                    }
                }
                None if file.gone_at.is_none() => {
                    file.gone_at = Some(now);
                    self.counts.rotations.inc();
                }
                None => {}
            }
        }
        found.retain(|id, _| !self.files.contains_key(id));
        self.failed
            .retain(|path| found.values().any(|found| found == path));
        for (id, path) in found {
            self.open(id, path, now);
        }
        if self.first_sweep {
            self.first_sweep = false;
            self.find_renamed(now);
        }
    }

    fn open(&mut self, id: FileId, path: PathBuf, now: Instant) {
        let remembered = self.remembered.remove(&id);
        let start = match &remembered {
            Some(position) => Start::Resume(position),
            None if self.first_sweep && self.config.spec.start_at == StartAt::End => Start::End,
            None => Start::Beginning,
        };
        let text = path.to_string_lossy().into_owned();
        // A file keeps the name it was first read under.
        let first_name = remembered
            .as_ref()
            .map_or(text.as_str(), |position| &position.path);
        let service = self.config.spec.service_name.as_deref();
        let mut resource = resource::of_file(first_name, &self.context.resource, service);
        self.context.chains.logs.resource(&mut resource);
        match TailedFile::open(text, resource, start, self.framing.clone(), now) {
            Ok((file, cut)) => {
                self.counts.truncations.inc_by(u64::from(cut));
                self.failed.remove(&path);
                // Between the sweep and here the name may have passed to another file.
                if self.files.insert(file.id, file).is_none() {
                    self.counts.files.inc();
                }
            }
            Err(error) => {
                self.remembered
                    .extend(remembered.map(|position| (id, position)));
                self.counts.open_errors.inc();
                if error.kind() != io::ErrorKind::NotFound && self.failed.insert(path.clone()) {
                    tracing::warn!(path = %path.display(), %error, "file cannot be opened");
                }
            }
        }
    }

    /// Files that were renamed out of the globs while the agent was down: they are read to their end, when
    /// they are in the same directory and begin as they did.
    fn find_renamed(&mut self, now: Instant) {
        let parent =
            |position: &FilePosition| Path::new(&position.path).parent().map(PathBuf::from);
        let directories: HashSet<PathBuf> = self.remembered.values().filter_map(parent).collect();
        let entries = directories
            .iter()
            .flat_map(fs::read_dir)
            .flatten()
            .flatten();
        for entry in entries {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let id = (metadata.dev(), metadata.ino());
            let Some(offset) = self.remembered.get(&id).map(|position| position.offset) else {
                continue;
            };
            if !metadata.is_file() {
                continue;
            }
            self.open(id, entry.path(), now);
            let Some(file) = self.files.get_mut(&id) else {
                continue;
            };
            if file.position().offset == offset {
                file.gone_at = Some(now);
                self.counts.rotations.inc();
            } else {
                // Another file, that no glob names, has got the inode.
                self.files.remove(&id);
                self.counts.files.dec();
            }
        }
    }

    /// Looks at the open files: which have something to read. Gives up those at their end for good.
    fn poll(&mut self) -> VecDeque<FileId> {
        self.polls = self.polls.wrapping_add(1);
        let now = Instant::now();
        let look_at_idle = self.polls.is_multiple_of(IDLE_POLLS);
        let (mut unread, mut done) = (VecDeque::new(), Vec::new());
        for (id, file) in &mut self.files {
            let quiet = now.duration_since(file.grown_at);
            if quiet > IDLE_AFTER && !look_at_idle && file.gone_at.is_none() {
                continue;
            }
            let Ok(look) = file.look() else { continue };
            if look.truncated {
                restart(file, &mut self.sink, &self.counts, now);
                unread.push_back(*id);
            } else if look.unread {
                unread.push_back(*id);
            } else if let Some(gone_at) = file.gone_at {
                let quiet = quiet.min(now.duration_since(gone_at));
                if quiet > END_AFTER {
                    self.sink.take_rest(file, now);
                }
                if quiet
                    > if look.deleted {
                        DELETED_IDLE
                    } else {
                        ROTATED_IDLE
                    }
                {
                    done.push((*id, look.deleted));
                }
            }
        }
        for (id, deleted) in done {
            self.give_up(id, deleted);
        }
        unread
    }

    fn give_up(&mut self, id: FileId, deleted: bool) {
        let Some(file) = self.files.remove(&id) else {
            return;
        };
        self.counts.files.dec();
        if !deleted && self.remembered.len() < REMEMBERED_MAX {
            self.remembered.insert(id, file.position());
        }
    }

    /// Reads the files in turn, a quantum each, until none has more.
    fn read(&mut self, mut unread: VecDeque<FileId>) {
        while let Some(id) = unread.pop_front() {
            let now = Instant::now();
            let Some(file) = self.files.get_mut(&id) else {
                continue;
            };
            match turn(file, &mut self.sink, &self.counts, now) {
                Ok(true) => unread.push_back(id),
                Ok(false) => file.rest(),
                Err(error) => {
                    self.counts.open_errors.inc();
                    tracing::debug!(path = file.path, %error, "file cannot be read");
                }
            }
            if self.sink.is_due(now) {
                self.flush();
            }
            self.sweep_when_due();
            if self.closed || self.context.shutdown.is_cancelled() {
                return;
            }
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        for file in self
            .files
            .values_mut()
            .filter(|file| !file.lines.is_empty())
        {
            file.lines.expire(now);
            self.sink.take_ready(file);
        }
    }

    /// Hands the batch over. While the way is blocked, files are still found, so that their descriptors
    /// outlive their names.
    fn flush(&mut self) {
        let Some(batch) = self.sink.take_batch() else {
            return;
        };
        let output = self.context.output.clone();
        let mut sending = Box::pin(async move { output.send(batch).await });
        let mut shutdown_at = None;
        loop {
            let sent = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    sent = &mut sending => Some(sent),
                    () = tokio::time::sleep(POLL_INTERVAL) => None,
                }
            });
            let now = Instant::now();
            match sent {
                Some(Ok(())) => return,
                Some(Err(_closed)) => self.closed = true,
                None if self.context.shutdown.is_cancelled() => {
                    let since = *shutdown_at.get_or_insert(now);
                    self.closed |= now.duration_since(since) > SHUTDOWN_WAIT;
                }
                None => self.sweep_when_due(),
            }
            if self.closed {
                return;
            }
        }
    }
}

/// Reads one quantum of a file: whether there may be more.
fn turn(
    file: &mut TailedFile,
    sink: &mut Sink,
    counts: &FilelogCounts,
    now: Instant,
) -> io::Result<bool> {
    if !file.begins_as_known()? {
        restart(file, sink, counts, now);
    }
    let bytes = file.read()?;
    if bytes > 0 {
        file.grown_at = now;
        counts.bytes.inc_by(bytes as u64);
        sink.take_lines(file, now);
    }
    Ok(bytes == QUANTUM_BYTES)
}

/// The file was cut: what had been read of it is all there will be of it.
fn restart(file: &mut TailedFile, sink: &mut Sink, counts: &FilelogCounts, now: Instant) {
    sink.take_rest(file, now);
    counts.truncations.inc();
    tracing::info!(path = file.path, "file was cut and is read from the start");
    if let Err(error) = file.restart() {
        tracing::warn!(path = file.path, %error, "file cannot be read");
    }
}
