//! The thread that finds, reads and follows the files of one receiver.
//!
//! A round: take in what the kernel tells, look for changed names once a second or when told, look at the open files,
//! read what is unread (files that have lost their names first), hand over the batch, give descriptors back.

mod change;
mod copies;
mod cut;
mod descriptors;
mod failing;
mod kin;
mod leftovers;
mod missed;
mod names;
mod opening;
mod pieces;
mod pods;
mod reading;
mod stop;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use self::pieces::Pieces;
use super::change::ChangeSlot;
use super::descriptors::Share;
use super::discovery::{Discovery, Patterns};
use super::file::{Scratch, TailedFile};
use super::framing::Framing;
use super::identity::FileId;
use super::pasts::{self, Past, Pasts, PrefixIndex};
use super::progress::FileView;
use super::sink::Sink;
use super::watch::{Event, Watcher};
use super::{FilelogConfig, QUANTUM_BYTES};
use crate::metrics::FilelogCounts;
use crate::pipeline::{Batch, ReceiverContext};
use leftovers::Leftovers;

/// Time between two searches for files; notifications start one at once.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two searches that trust no time of modification.
const FULL_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Time between two looks at the files that are open.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two looks at closed files that the kernel watches, in case it missed something (a write through a memory
/// map), and at those it does not watch.
const WATCHED_LOOK_INTERVAL: Duration = Duration::from_secs(60);
const UNWATCHED_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two reports of how far files are read, while something is read or to be read, and otherwise.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
const IDLE_REPORT_INTERVAL: Duration = Duration::from_secs(15);
/// Room in the queue of files to read that is kept while it is empty (files).
const QUEUE_KEPT: usize = 1_024;
/// Turns of urgent files before an ordinary one that waits gets its own.
const URGENT_TURNS_MAX: usize = 3;
/// How long a shutdown waits for the buffer to take the last batch; what it does not take is read again.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(3);

pub(super) struct Tailer {
    config: FilelogConfig,
    context: ReceiverContext,
    changes: ChangeSlot,
    runtime: Handle,
    framing: Framing,
    counts: FilelogCounts,
    discovery: Discovery,
    watcher: Watcher,
    files: HashMap<FileId, Box<TailedFile>>,
    /// Those with a descriptor.
    open: Vec<FileId>,
    share: Share,
    /// How many files have the descriptor of their first look.
    first_looks: usize,
    /// Those of them that were empty then; the latest last.
    empty: VecDeque<FileId>,
    live: PrefixIndex,
    /// Plain files of which nothing has been read, by how they began at their first look.
    unread_by_prefix: PrefixIndex,
    pasts: Pasts,
    leftovers: Leftovers,
    copies: copies::Copies,
    lingering: stop::Lingering,
    missed: missed::Missed,
    /// Folders in which the rest of a file is to be looked for.
    searches: HashSet<PathBuf>,
    unread: Unread,
    pieces: Pieces,
    /// Files whose pod is not known yet, or that wait for the one before them.
    held: Vec<FileId>,
    /// Paths that could not be read, so that each is logged once.
    failed: HashSet<PathBuf>,
    sink: Sink,
    scratch: Scratch,
    /// What is read of one file before others get their turn.
    quantum_bytes: usize,
    due: Due,
    first_sweep: bool,
    start: Start,
    /// How many globs were told to match no file yet.
    unmatched_told: usize,
    /// How many of their folders were told to be gone.
    folders_gone_told: usize,
    /// Something was read, found or lost since the last report.
    has_news: bool,
    /// The same for the report before it.
    had_news: bool,
    reported_at: Instant,
    /// What the last report found waiting of files that are gone.
    waiting_before: u64,
    /// Every descriptor is in use: the files that wait for one are tried again in the next round.
    is_crowded: bool,
    /// Nothing more is taken.
    closed: bool,
}

/// What begins with the next first sweep.
#[derive(Default)]
struct Start {
    /// The receiver has never been at work.
    is_first: bool,
    /// Nothing is stored that tells of it as long as it is configured: positions of files that are over are dropped.
    is_unmarked: bool,
    /// It was reloaded, and had these.
    globs_before: Option<Patterns>,
}

/// When the next of each is to be done.
struct Due {
    sweep: Instant,
    full_sweep: Instant,
    watched_look: Instant,
    unwatched_look: Instant,
}

/// Files to read. Those that nothing is added to any more, and that may be deleted soon, go first, but do not keep the
/// others waiting for ever.
#[derive(Default)]
struct Unread {
    urgent: VecDeque<FileId>,
    ordinary: VecDeque<FileId>,
    queued: HashSet<FileId>,
    /// How many urgent ones have gone since an ordinary one.
    urgent_turns: usize,
}

impl Unread {
    fn push(&mut self, file: &TailedFile) {
        if self.queued.insert(file.id) {
            let is_urgent = file.gone_at.is_some() || file.compression.is_some();
            let queue = if is_urgent {
                &mut self.urgent
            } else {
                &mut self.ordinary
            };
            queue.push_back(file.id);
        }
    }

    /// As [`Unread::push`], to be the next of its kind.
    fn push_first(&mut self, file: &TailedFile) {
        if self.queued.insert(file.id) {
            self.ordinary.push_front(file.id);
        }
    }

    fn pop(&mut self) -> Option<FileId> {
        let is_ordinary_due = self.urgent_turns >= URGENT_TURNS_MAX && !self.ordinary.is_empty();
        let urgent = match is_ordinary_due {
            true => None,
            false => self.urgent.pop_front(),
        };
        self.urgent_turns = match urgent {
            Some(_) => self.urgent_turns + 1,
            None => 0,
        };
        let id = urgent.or_else(|| self.ordinary.pop_front())?;
        self.queued.remove(&id);
        if self.queued.is_empty() && self.queued.capacity() > QUEUE_KEPT {
            *self = Self::default();
        }
        Some(id)
    }
}

impl Tailer {
    pub(super) fn new(
        config: FilelogConfig,
        mut context: ReceiverContext,
        changes: ChangeSlot,
        runtime: Handle,
    ) -> Self {
        let counts = context.metrics.filelog.of(context.output.receiver());
        let resume = std::mem::take(&mut context.resume);
        let start = Start {
            is_first: resume.is_empty(),
            is_unmarked: !resume.iter().any(pasts::is_marker),
            globs_before: None,
        };
        let framing = config.framing.clone();
        let now = Instant::now();
        let watcher = {
            let _inside = runtime.enter();
            Watcher::new()
        };
        Self {
            sink: Sink::new(counts.clone(), &context),
            framing,
            counts,
            discovery: Discovery::new(config.patterns.clone()),
            watcher,
            files: HashMap::new(),
            open: Vec::new(),
            share: context.metrics.filelog.descriptors.join(),
            first_looks: 0,
            empty: VecDeque::new(),
            live: PrefixIndex::default(),
            unread_by_prefix: PrefixIndex::default(),
            pasts: Pasts::new(resume),
            leftovers: Leftovers::new(now),
            copies: copies::Copies::default(),
            lingering: stop::Lingering::default(),
            missed: missed::Missed::default(),
            searches: HashSet::new(),
            unread: Unread::default(),
            pieces: Pieces::default(),
            held: Vec::new(),
            failed: HashSet::new(),
            scratch: Scratch::default(),
            quantum_bytes: QUANTUM_BYTES.min(context.output.batch_bytes() / 2).max(1),
            due: Due {
                sweep: now,
                full_sweep: now + FULL_SWEEP_INTERVAL,
                watched_look: now + WATCHED_LOOK_INTERVAL,
                unwatched_look: now + UNWATCHED_LOOK_INTERVAL,
            },
            first_sweep: true,
            start,
            unmatched_told: 0,
            folders_gone_told: 0,
            has_news: true,
            had_news: true,
            reported_at: now,
            waiting_before: 0,
            is_crowded: false,
            closed: false,
            config,
            context,
            changes,
            runtime,
        }
    }

    /// Follows the files until the shutdown token is cancelled or the pipeline is closed.
    pub(super) fn run(mut self) {
        while !self.closed && !self.context.shutdown.is_cancelled() {
            self.take_change();
            self.find();
            self.look_at_open();
            self.look_at_closed();
            self.release_held();
            self.read();
            self.expire();
            let now = Instant::now();
            self.look_at_leftovers(now);
            if self.sink.is_due(now) || self.sink.has_old_positions(now) {
                self.flush();
            }
            self.trim(now);
            self.report(now);
            if self.unread.queued.is_empty() || self.is_crowded {
                self.pause();
            }
        }
        let deleted = self.deleted();
        // While the descriptors are there.
        let copies = self.copies_of(&deleted);
        self.call_back_all();
        // Whole lines that wait for the rest of a trace go now; they will not be waited for later.
        for id in std::mem::take(&mut self.open) {
            if let Some(file) = self.files.get_mut(&id) {
                if file.is_deleted && file.examined() >= file.size {
                    self.sink.take_rest(file, Instant::now());
                }
                self.sink.take_whole(file);
                file.close();
            }
        }
        match self.closed {
            false => self.flush(),
            // Where a batch was not taken, the positions of the next one would pass over it.
            true => {
                let left = self.sink.take_all();
                left.into_iter()
                    .for_each(|batch| self.context.output.not_taken(batch));
            }
        }
        self.tell_of_all_missed();
        let deleted = self.not_copied(deleted, &copies);
        self.tell_of_gone(&deleted);
        self.tell_of_lost(&deleted);
        let files = i64::try_from(self.files.len()).unwrap_or(0);
        self.counts.files.dec_by(files);
        self.counts.open_files.set(0);
        let progress = &self.context.metrics.filelog.progress;
        progress.remove(self.context.output.receiver());
    }

    /// Tells how far the files are read.
    fn report(&mut self, now: Instant) {
        self.tell_of_missed(now);
        self.has_news |= !self.unread.queued.is_empty();
        // One more report follows the last thing that was read.
        let interval = match self.has_news || self.had_news {
            true => REPORT_INTERVAL,
            false => IDLE_REPORT_INTERVAL,
        };
        if now.duration_since(self.reported_at) < interval {
            return;
        }
        self.reported_at = now;
        self.had_news = std::mem::take(&mut self.has_news);
        let copied = self.copied(now);
        let waiting_bytes = self.waiting_of_gone();
        self.has_news |= waiting_bytes > 0;
        let views = self.files.values().map(|file| FileView {
            path: file.path.to_str().unwrap_or(&file.first_name),
            size: file.size,
            offset: file.mark.offset,
            behind_bytes: file.behind_bytes(),
            format: file.format,
            rotated: names::has_other_name(file),
            gone: file.gone_at.is_some(),
            deleted: file.is_deleted && !copied.contains(&file.id),
            unreadable: file.failing.is_some(),
        });
        let progress = &self.context.metrics.filelog.progress;
        progress.update(self.context.output.receiver(), views);
        // What only passes is gone by the next report.
        let before = std::mem::replace(&mut self.waiting_before, waiting_bytes);
        progress.loses(self.context.output.receiver(), waiting_bytes.min(before));
    }

    /// Waits for the next round.
    fn pause(&self) {
        let shutdown = self.context.shutdown.clone();
        self.runtime.block_on(async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.watcher.wait(POLL_INTERVAL) => {}
            }
        });
    }

    /// Takes in what has happened to names, and to closed files.
    fn find(&mut self) {
        let now = Instant::now();
        for event in self.watcher.drain() {
            match event {
                Event::Folder(folder) => {
                    self.discovery.mark(folder);
                    self.due.sweep = now;
                }
                Event::Moved { from, to } => self.moved(&from, to),
                Event::Written(id) => self.written(id),
                Event::Missed(path) => self.missed(path),
                Event::Overflow => {
                    self.discovery.mark_all();
                    self.due.sweep = now;
                    self.due.watched_look = now;
                }
            }
        }
        if now >= self.due.full_sweep {
            self.discovery.mark_all();
            self.due.full_sweep = now + FULL_SWEEP_INTERVAL;
            self.due.sweep = now;
        }
        if now >= self.due.sweep {
            self.due.sweep = now + SWEEP_INTERVAL;
            self.sweep(now);
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        // What a record waits for may be there by now.
        let waiting = |id: &&FileId| !self.unread.queued.contains(*id);
        for id in self.open.iter().filter(waiting) {
            let Some(file) = self.files.get_mut(id) else {
                continue;
            };
            let is_lent = file.is_lent;
            let Some(open) = &mut file.open else { continue };
            if !open.lines.is_empty() && !is_lent {
                open.lines.expire(now);
                self.sink.take_ready(file);
            }
        }
        self.settle_loans();
    }

    /// Hands over what there is. While the way is blocked, files are still found and opened, so that what they hold
    /// outlives their names.
    fn flush(&mut self) {
        let Some(batch) = self.sink.take_all() else {
            return;
        };
        self.send(batch);
    }

    fn send(&mut self, batch: Batch) {
        let output = self.context.output.clone();
        let mut sending = Box::pin(async move { output.send(batch).await });
        let mut shutdown_at = None;
        let mut looked_at = Instant::now();
        loop {
            let sent = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    sent = &mut sending => Some(sent),
                    () = self.watcher.wait(POLL_INTERVAL) => None,
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
                None => {
                    self.find();
                    if now.duration_since(looked_at) >= POLL_INTERVAL {
                        looked_at = now;
                        self.look_at_waiting(now);
                    }
                    self.hold_unread();
                    self.report(now);
                }
            }
            if self.closed {
                return;
            }
        }
    }

    /// Forgets a file; what was read of it is remembered.
    fn give_up(&mut self, id: FileId) {
        self.call_back(id);
        let Some(mut file) = self.files.remove(&id) else {
            return;
        };
        self.forget_rotated(&file);
        self.counts.files.dec();
        self.tell_of_unread(&file);
        self.miss_unseen(&file);
        self.first_looks -= usize::from(file.first_look.take().is_some());
        self.live.remove(file.prefix(), id);
        self.forget_beginning(&mut file);
        self.open.retain(|open| *open != id);
        let recent = file.open.as_ref().map(|open| open.recent().to_vec());
        file.fate.set_gone(file.is_deleted);
        file.close();
        let past = Past {
            recent: recent.unwrap_or_default(),
            ..file.past()
        };
        self.release_copies(id);
        self.search_near(&past.path);
        self.lingering.note(&past);
        self.pasts.insert(past);
    }
}

#[cfg(test)]
mod tests;
