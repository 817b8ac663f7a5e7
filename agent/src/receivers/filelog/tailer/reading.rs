//! Opening, reading and closing files.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::names::has_other_name;
use super::{Tailer, UNWATCHED_LOOK_INTERVAL, WATCHED_LOOK_INTERVAL};
use crate::receivers::filelog::content::{self, Compression};
use crate::receivers::filelog::file::{TailedFile, Turn};
use crate::receivers::filelog::identity::FileId;

/// Descriptors that are kept although their files are idle: those used last.
const OPEN_KEPT: usize = 32;
/// A file beyond those is closed when it has not grown for this long.
const IDLE_CLOSE: Duration = Duration::from_secs(2);
/// Descriptors of one receiver, at most: half of what the process may have, and not more than this.
const OPEN_MAX: usize = 4_096;
const OPEN_MIN: usize = 8;
/// Quanta read before the other files are looked at again.
const TURNS_MAX: usize = 64;
/// A file no glob finds is given up when it has not grown for this long; it may still be written to.
const ROTATED_IDLE: Duration = Duration::from_secs(60);
const DELETED_IDLE: Duration = Duration::from_secs(5);
/// After this long without growth a file no glob finds is at its end: a last line without line feed counts.
const END_AFTER: Duration = Duration::from_secs(1);
/// The same for one that was renamed to what a glob finds too.
const RENAMED_END_AFTER: Duration = Duration::from_secs(5);

/// How many files a receiver may have open.
pub(super) fn open_files_max() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit / 2)
        .unwrap_or(OPEN_MAX)
        .clamp(OPEN_MIN, OPEN_MAX)
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
        if file.open.is_some() || file.is_watched || !self.watcher.watch_file(id, &file.path) {
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
            if has_other_name(file) && now.duration_since(file.grown_at) > RENAMED_END_AFTER {
                self.sink.take_end(file, now);
            }
            return;
        };
        let quiet = now
            .duration_since(file.grown_at)
            .min(now.duration_since(gone_at));
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
            None => content::open(&file.path)?,
        };
        use std::os::unix::fs::MetadataExt;
        let metadata = opened.metadata()?;
        if (metadata.dev(), metadata.ino()) != file.id {
            self.discovery.mark_all();
            return Ok(false);
        }
        let is_cut = file.see(&metadata).truncated;
        let compression = Compression::of(&opened)?;
        if file.is_known() && (is_cut || !file.mark.is_held_by(&opened, compression)?) {
            // It was cut, or another one has got its inode.
            self.restart(file, Instant::now());
        }
        file.compression = compression;
        if !file.is_known() {
            // What it holds is not known before it holds something.
            let is_empty = metadata.len() == 0;
            if !is_empty {
                self.introduce(file, &opened)?;
            }
            if is_empty || file.copy_of.is_some() {
                // It may be read later, and be deleted before.
                self.keep_first_look(file, Some(opened));
                return Ok(false);
            }
        }
        let resource = self.resource_of(file);
        file.attach(opened, &self.framing, resource)?;
        self.open.push(file.id);
        self.failed.remove(&file.path);
        self.counts
            .open_files
            .set(i64::try_from(self.open.len()).unwrap_or(0));
        self.forget_beginning(file);
        self.live.insert(file.prefix(), file.id);
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.open.len() + self.first_looks >= self.open_max
    }

    /// Keeps a descriptor for a file that is to be read, if there is room for it.
    pub(super) fn keep_first_look(&mut self, file: &mut TailedFile, opened: Option<std::fs::File>) {
        if self.is_full() || file.first_look.is_some() {
            return;
        }
        if let Some(opened) = &opened
            && !file.is_known()
        {
            self.learn_beginning(file, opened);
        }
        self.first_looks += usize::from(opened.is_some());
        file.first_look = opened;
    }

    fn take_first_look(&mut self, file: &mut TailedFile) -> Option<std::fs::File> {
        let taken = file.first_look.take();
        self.first_looks -= usize::from(taken.is_some());
        taken
    }

    pub(super) fn forget_first_look(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            self.first_looks -= usize::from(file.first_look.take().is_some());
        }
    }

    /// A file holds less than was read of it.
    fn cut(&mut self, id: FileId) {
        self.call_back(id);
        let Some(mut file) = self.files.remove(&id) else {
            return;
        };
        self.restart(&mut file, Instant::now());
        self.unread.push(&file);
        self.files.insert(id, file);
    }

    /// The file was cut: what had been read of it is all there will be of it. The rest may be in a copy.
    pub(super) fn restart(&mut self, file: &mut TailedFile, now: Instant) {
        self.sink.take_whole(file);
        // A copy has all of a line whose first half has been read.
        if !self.has_copy(&file.mark, &file.path) {
            self.sink.take_rest(file, now);
        }
        self.counts.truncations.inc();
        tracing::info!(path = %file.path.display(), offset = file.mark.offset, "file was cut, or is another, and is read anew");
        self.live.remove(file.prefix(), file.id);
        let was_open = file.open.is_some();
        self.open.retain(|open| *open != file.id);
        let past = file.restart();
        self.first_looks += usize::from(was_open);
        self.release_copies(file.id);
        self.search_near(&past.path);
        let position = self.pasts.insert_cut(past);
        self.due.sweep = now;
        self.sink.note_position(position, now);
        self.sink.note(file, now);
    }

    pub(super) fn failed_to_read(&mut self, id: FileId, error: &io::Error) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        if file.open.is_some() {
            self.open.retain(|open| *open != id);
            file.close();
        }
        // What is missing are rights, or descriptors: it is tried again at the next look.
        let may_pass = file.open.is_none()
            && matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Other
            );
        if may_pass {
            file.is_watched = false;
        } else {
            file.set_aside();
        }
        if error.kind() != io::ErrorKind::NotFound && self.failed.insert(file.path.clone()) {
            self.counts.open_errors.inc();
            tracing::warn!(path = %file.path.display(), %error, "file cannot be read");
        }
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

    /// Closes files that are idle beyond those used last.
    pub(super) fn trim(&mut self, now: Instant) {
        let surplus = self.open.len().saturating_sub(OPEN_KEPT);
        if surplus > 0 {
            self.close_idle(surplus, |file| {
                now.duration_since(file.grown_at) > IDLE_CLOSE
            });
        }
    }

    /// Makes room for another descriptor: false when every file is in use. Those of first looks go last, of files that
    /// have a name.
    fn make_room(&mut self) -> bool {
        let wanted = (self.open_max / 8).max(1);
        if self.close_idle(wanted, |_| true) > 0 {
            return true;
        }
        let with_name = self
            .files
            .values_mut()
            .filter(|file| file.gone_at.is_none());
        let looks = with_name.filter_map(|file| file.first_look.take());
        let forgotten = looks.take(wanted).count();
        self.first_looks -= forgotten;
        forgotten > 0
    }

    /// Closes up to `count` files that qualify, those that have not grown for longest: how many. Files without a name
    /// are not closed: they could not be found again.
    fn close_idle(&mut self, count: usize, qualifies: impl Fn(&TailedFile) -> bool) -> usize {
        let open = self.open.iter().filter_map(|id| self.files.get(id));
        let mut closable: Vec<(Instant, FileId)> = open
            .filter(|file| {
                let is_empty = file.open.as_ref().is_some_and(|open| open.lines.is_empty());
                let is_queued = self.unread.queued.contains(&file.id);
                is_empty && file.gone_at.is_none() && !is_queued && qualifies(file)
            })
            .map(|file| (file.grown_at, file.id))
            .collect();
        closable.sort_unstable();
        closable.truncate(count);
        for (_, id) in &closable {
            if let Some(file) = self.files.get_mut(id) {
                file.close();
                file.is_watched = false;
            }
        }
        let files = &self.files;
        self.open
            .retain(|id| files.get(id).is_some_and(|file| file.open.is_some()));
        self.counts
            .open_files
            .set(i64::try_from(self.open.len()).unwrap_or(0));
        closable.iter().for_each(|(_, id)| self.look_at(*id));
        closable.len()
    }
}
