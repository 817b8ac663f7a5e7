//! Looking at files, opening and reading them.

use std::io;
use std::time::{Duration, Instant};

use super::names::has_other_name;
use super::{Tailer, UNWATCHED_LOOK_INTERVAL, WATCHED_LOOK_INTERVAL};
use crate::receivers::filelog::content::Compression;
use crate::receivers::filelog::file::{TailedFile, Turn};
use crate::receivers::filelog::identity::FileId;
use crate::receivers::filelog::watch;

/// Quanta read before the other files are looked at again.
const TURNS_MAX: usize = 64;
/// A file no glob finds is given up when it has not grown for this long; it may still be written to.
const ROTATED_IDLE: Duration = Duration::from_secs(60);
const DELETED_IDLE: Duration = Duration::from_secs(5);
/// The same for one that cannot be read.
const FAILING_IDLE: Duration = Duration::from_secs(600);
/// After this long without growth a file no glob finds is at its end: a last line without line feed counts.
const END_AFTER: Duration = Duration::from_secs(1);
/// The same for one that was renamed to what a glob finds too.
const RENAMED_END_AFTER: Duration = Duration::from_secs(5);

/// What is found out about a file before it is read.
enum Ready {
    Now,
    Later,
    /// The name leads to another file.
    Another,
}

impl Tailer {
    /// Looks at the open files: which have something to read. Gives up those at their end for good.
    pub(super) fn look_at_open(&mut self) {
        let now = Instant::now();
        for id in self.open.clone() {
            self.look_at(id);
            self.end_if_over(id, now);
        }
    }

    /// What can be told of sizes while nothing can be read: files are neither closed nor given up.
    pub(super) fn look_at_waiting(&mut self, now: Instant) {
        for id in self.open.clone() {
            self.look_at(id);
        }
        if now < self.due.unwatched_look {
            return;
        }
        self.due.unwatched_look = now + UNWATCHED_LOOK_INTERVAL;
        let closed = self.files.values();
        let closed = closed.filter(|file| file.open.is_none() && !file.is_watched);
        let closed: Vec<FileId> = closed.map(|file| file.id).collect();
        for id in closed {
            self.look_at(id);
        }
    }

    /// Looks at closed files, those that the kernel watches more seldom.
    pub(super) fn look_at_closed(&mut self) {
        let now = Instant::now();
        let all = now >= self.due.watched_look;
        if !all && now < self.due.unwatched_look {
            return;
        }
        self.due.unwatched_look = now + UNWATCHED_LOOK_INTERVAL;
        if all {
            self.due.watched_look = now + WATCHED_LOOK_INTERVAL;
            self.forget_failures();
        }
        let closed: Vec<FileId> = self
            .files
            .values()
            .filter(|file| file.open.is_none() && (all || !file.is_watched))
            .map(|file| file.id)
            .collect();
        for id in closed {
            self.look_at(id);
            self.end_if_over(id, now);
        }
    }

    /// The kernel has told that a closed file was written to.
    pub(super) fn written(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            file.is_watched = false;
            self.look_at(id);
        }
    }

    /// Looks at one file and queues it when there is something to read.
    pub(super) fn look_at(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        match file.look() {
            Ok(Some(look)) if look.truncated => self.cut(id),
            Ok(Some(_)) if file.waits_to_retry(Instant::now()) => {}
            Ok(Some(look)) if look.unread => self.unread.push(file),
            Ok(Some(_)) => self.watch(id),
            // The name leads elsewhere; the next sweep tells where it has gone.
            Ok(None) => self.discovery.mark_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.gone_at.is_some() => {
                self.give_up(id)
            }
            Err(_) => {}
        }
    }

    /// Lets the kernel watch a closed file.
    fn watch(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        if file.open.is_some() || file.is_watched {
            return;
        }
        let by_descriptor = file.first_look.as_ref().map(watch::path_of_descriptor);
        let path = by_descriptor.as_deref().unwrap_or(&file.path);
        if !self.watcher.watch_file(id, path) {
            return;
        }
        file.is_watched = true;
        // What was written before the watch was there.
        if matches!(file.look(), Ok(Some(look)) if look.unread && file.copy_of.is_none()) {
            self.unread.push(file);
        }
    }

    pub(super) fn end_if_over(&mut self, id: FileId, now: Instant) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        let waits = self.unread.queued.contains(&id)
            // For the rest of its last line, which is in the next file.
            || file.is_lent
            // For the end of the file it repeats.
            || (file.copy_of.is_some() && file.first_look.is_some());
        if waits {
            return;
        }
        let Some(gone_at) = file.gone_at else {
            let is_read = file.failing.is_none();
            let quiet = now.duration_since(file.grown_at);
            if has_other_name(file) && is_read && quiet > RENAMED_END_AFTER {
                self.sink.take_end(file, now);
            }
            return;
        };
        let quiet = now
            .duration_since(file.grown_at)
            .min(now.duration_since(gone_at));
        if file.failing.is_some() && quiet <= FAILING_IDLE {
            return;
        }
        if quiet > END_AFTER {
            self.sink.take_end(file, now);
        }
        let is_deleted = matches!(file.look(), Ok(Some(look)) if look.deleted);
        let patience = if is_deleted {
            DELETED_IDLE
        } else {
            ROTATED_IDLE
        };
        let has_pieces = file
            .open
            .as_ref()
            .is_some_and(|open| !open.lines.is_empty());
        if quiet > patience && !has_pieces {
            self.give_up(id);
        }
    }

    /// Reads the files in turn, a quantum each, until none has more or it is time for a look at the others.
    pub(super) fn read(&mut self) {
        self.is_crowded = false;
        for _turn in 0..TURNS_MAX {
            let Some(id) = self.unread.pop() else { return };
            let now = Instant::now();
            self.turn(id, now);
            if self.is_crowded {
                return;
            }
            if self.sink.is_due(now) {
                self.flush();
            }
            self.find();
            if self.closed || self.context.shutdown.is_cancelled() {
                return;
            }
        }
    }

    pub(super) fn turn(&mut self, id: FileId, now: Instant) {
        self.has_news = true;
        // It goes on after what it has lent, or is to be read for another reason.
        self.call_back(id);
        let Some(mut file) = self.files.remove(&id) else {
            return;
        };
        let result = self.read_some(&mut file, now);
        if self.is_crowded {
            self.unread.push_first(&file);
        }
        self.files.insert(id, file);
        self.settle_loans();
        match result {
            Ok(true) => {
                if let Some(file) = self.files.get(&id) {
                    self.unread.push(file);
                }
            }
            Ok(false) => {}
            Err(error) => self.failed_to_read(id, &error),
        }
    }

    /// Reads one quantum of a file: whether there may be more.
    fn read_some(&mut self, file: &mut TailedFile, now: Instant) -> io::Result<bool> {
        if file.open.is_none() && !self.open(file)? {
            return Ok(false);
        }
        if !self.meet_pod(file)? || !self.meet_previous(file, now) {
            return Ok(false);
        }
        if let Some(open) = &mut file.open {
            open.borrow(&mut self.scratch);
        }
        let turn = file.read(self.quantum_bytes);
        let more = match turn {
            Ok(Turn::Passing) if file.is_passing() || file.confirms_mark() => Ok(true),
            Ok(Turn::Cut) if file.compression.is_some() => {
                self.finish(file, now);
                Ok(false)
            }
            Ok(Turn::Cut) => {
                self.restart(file, now);
                Ok(true)
            }
            Ok(Turn::Passing) => {
                tracing::info!(path = %file.path.display(), "compressed file is not the one that was read");
                file.is_doubted = true;
                self.restart(file, now);
                Ok(true)
            }
            Ok(Turn::Read(bytes)) => {
                self.took(file, bytes, now);
                Ok(bytes > 0 && (file.compression.is_some() || bytes >= self.quantum_bytes))
            }
            Err(error) => Err(error),
        };
        if let Some(open) = &mut file.open {
            open.give_back(&mut self.scratch);
        }
        if file.compression.is_some() && matches!(more, Ok(false)) {
            // At its end. What is written then is read by a decoder that begins anew.
            self.open.retain(|open| *open != file.id);
            file.close();
        }
        more
    }

    fn took(&mut self, file: &mut TailedFile, bytes: usize, now: Instant) {
        if file.compression.is_none() {
            self.recovered(file);
        }
        if bytes > 0 {
            file.grown_at = now;
            self.counts.bytes.inc_by(bytes as u64);
            self.sink.take_lines(file, now);
            self.live.insert(file.prefix(), file.id);
        } else if file.compression.is_some() {
            self.finish(file, now);
        }
    }

    /// A compressed file has been read to its end.
    fn finish(&mut self, file: &mut TailedFile, now: Instant) {
        self.recovered(file);
        self.sink.take_rest(file, now);
        file.finish();
        self.sink.note(file, now);
    }

    /// Opens a file: whether it is to be read now.
    fn open(&mut self, file: &mut TailedFile) -> io::Result<bool> {
        let opened = match self.take_first_look(file) {
            Some(opened) => opened,
            None if self.is_full() && !self.make_room() => {
                self.is_crowded = true;
                return Ok(false);
            }
            None => self.open_followed(&file.path, file.gone_at.is_some())?,
        };
        match self.get_ready(file, &opened) {
            Ok(Ready::Now) => {}
            Ok(Ready::Another) => {
                self.discovery.mark_all();
                return Ok(false);
            }
            Ok(Ready::Later) => {
                // It may be read later, and be deleted before.
                self.keep_first_look(file, Some(opened));
                return Ok(false);
            }
            Err(error) => {
                self.keep_first_look(file, Some(opened));
                return Err(error);
            }
        }
        let resource = self.resource_of(file);
        let attached = file.attach(opened, &self.framing, resource);
        self.count_kept(file, attached)?;
        self.open.push(file.id);
        self.counts
            .open_files
            .set(i64::try_from(self.open.len()).unwrap_or(0));
        self.forget_beginning(file);
        self.live.insert(file.prefix(), file.id);
        Ok(true)
    }

    /// Finds out what a file holds before it is read.
    fn get_ready(&mut self, file: &mut TailedFile, opened: &std::fs::File) -> io::Result<Ready> {
        use std::os::unix::fs::MetadataExt;
        let metadata = opened.metadata()?;
        if (metadata.dev(), metadata.ino()) != file.id {
            return Ok(Ready::Another);
        }
        let is_cut = file.see(&metadata).truncated;
        let compression = Compression::of(opened)?;
        if file.is_known() && (is_cut || !file.mark.is_held_by(opened, compression)?) {
            // It was cut, or another one has got its inode.
            self.restart(file, Instant::now());
        }
        file.compression = compression;
        if !file.is_known() {
            // What it holds is not known before it holds something.
            let is_empty = metadata.len() == 0;
            if !is_empty {
                self.introduce(file, opened)?;
            }
            if is_empty || file.copy_of.is_some() {
                return Ok(Ready::Later);
            }
        }
        Ok(Ready::Now)
    }

    /// Opens what is unread, so that it can be read whatever becomes of the names.
    pub(super) fn hold_unread(&mut self) {
        let waiting: Vec<FileId> = self.unread.queued.iter().copied().collect();
        for id in waiting {
            let Some(mut file) = self.files.remove(&id) else {
                continue;
            };
            let opened = match file.open {
                Some(_) => Ok(true),
                None => self.open(&mut file),
            };
            self.files.insert(id, file);
            if let Err(error) = opened {
                self.failed_to_read(id, &error);
            }
            if self.is_crowded {
                return;
            }
        }
    }
}
