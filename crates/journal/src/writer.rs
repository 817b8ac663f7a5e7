//! Writes appends to the active segment, closes it when it is full, and keeps the disk budget.
//!
//! In: encoded requests, one after the other. Out: bytes in the active segment, and after
//! `sync` their publication to readers. A segment begins as a file without a byte, which takes no room; its header is written,
//! and synced, before the first request: so what nobody needs any more can be let go of on a volume that is full. A request that cannot be written whole is cut away again.
//! A failed sync or a failed cut leaves unknown bytes on disk, so it ends all appends until `mend` has cut them away.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::acknowledged::{Acknowledged, AcknowledgedFile};
use crate::config::SyncPolicy;
use crate::core::Core;
use crate::error::JournalError;
use crate::format::{
    SEGMENT_HEADER_BYTES, SEGMENT_VERSION, encode_segment_header, segment_file_name,
};
use crate::fs::exact::{read_full_at, write_all_at};
use crate::fs::{FileSystem, JournalFile};
use crate::request::Request;
use crate::scan::{Found, Scanner};
use crate::table::Segment;
use crate::volume::VolumeEvictions;

/// What is copied at once of a segment that is put back.
const COPY_BYTES: usize = 256 << 10;

pub(crate) struct Writer {
    core: Arc<Core>,
    file: Arc<dyn JournalFile>,
    first: u64,
    /// Bytes written to the active segment.
    len: u64,
    next_sequence: u64,
    /// Bytes of the active segment known to be durable.
    durable_len: u64,
    /// Records written since the last sync.
    unsynced_records: u64,
    /// The sequence that follows the durable records.
    durable_next: u64,
    acknowledged: AcknowledgedFile,
    /// Of the last request written.
    note: Vec<u8>,
    poison: Option<(PathBuf, Arc<io::Error>)>,
    volume_evictions: VolumeEvictions,
}

impl Writer {
    /// Goes on after `len` durable bytes of the segment that starts at `first`.
    pub(crate) fn new(
        core: Arc<Core>,
        file: Arc<dyn JournalFile>,
        first: u64,
        len: u64,
        next_sequence: u64,
        acknowledged: AcknowledgedFile,
    ) -> Self {
        Self {
            core,
            file,
            first,
            len,
            next_sequence,
            durable_len: len,
            unsynced_records: 0,
            durable_next: next_sequence,
            acknowledged,
            note: Vec::new(),
            poison: None,
            volume_evictions: VolumeEvictions::default(),
        }
    }

    /// Writes one request whole or not at all; not durable before `sync`.
    pub(crate) fn write(
        &mut self,
        request: &mut Request,
    ) -> Result<RangeInclusive<u64>, JournalError> {
        self.check_poison()?;
        let may_evict = self.volume_evictions.may_evict();
        let mut freed_bytes = 0;
        loop {
            self.make_room(request.bytes())?;
            let error = match self.place(request) {
                Err(error @ JournalError::NoSpace { .. }) => error,
                placed => {
                    if placed.is_ok() {
                        self.volume_evictions.fitted();
                        self.core.volume_full.store(false, Ordering::Relaxed);
                    }
                    return placed;
                }
            };
            // Room for itself and no more: where others take what is freed, not all goes for it at once.
            let freed = match freed_bytes < request.bytes() {
                true => self.free_volume(may_evict)?,
                false => 0,
            };
            if freed == 0 {
                return Err(error);
            }
            freed_bytes += freed;
        }
    }

    fn place(&mut self, request: &mut Request) -> Result<RangeInclusive<u64>, JournalError> {
        if self.must_rotate(request.bytes()) {
            self.rotate()?;
        }
        self.begin_segment()?;
        let after_sync = self.unsynced_records == 0;
        let sequences = request.number(self.next_sequence, self.first, after_sync);
        if let Err(error) = write_all_at(&*self.file, request.encoded(), self.len) {
            self.cut_back()?;
            return Err(self.failed("write", self.path(), error));
        }
        self.len += request.bytes();
        self.next_sequence += request.records();
        self.unsynced_records += request.records();
        request.note().clone_into(&mut self.note);
        Ok(sequences)
    }

    /// Makes everything written durable and visible to readers. Returns whether there was any.
    pub(crate) fn sync(&mut self) -> Result<bool, JournalError> {
        self.check_poison()?;
        if self.unsynced_records == 0 {
            return Ok(false);
        }
        self.core.counters.syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.file.sync().and_then(|()| self.keep_named()) {
            if self.core.config.sync == SyncPolicy::Always {
                // Nothing after this length was acknowledged. If the cut fails too, recovery
                // decides by checksums.
                self.file.set_len(self.durable_len).ok();
            }
            return Err(self.poison(error));
        }
        let last = self.next_sequence - 1;
        self.acknowledged.store(last, &self.note);
        self.core.publish(self.len, last, self.unsynced_records);
        self.durable_len = self.len;
        self.durable_next = self.next_sequence;
        self.unsynced_records = 0;
        Ok(true)
    }

    /// Looks whether the active segment and the folder of the cursors are where they should be, and puts them back if somebody
    /// has removed them.
    ///
    /// # Errors
    /// `Poisoned` when that cannot be done; `Io` when the file is elsewhere, with its folder.
    pub(crate) fn look(&mut self) -> Result<(), JournalError> {
        self.check_poison()?;
        if let Err(error) = self.keep_named() {
            return Err(self.poison(error));
        }
        let path = self.path();
        let found = self.core.fs.open_read(&path);
        found.map_err(|error| JournalError::io("find", &path, error))?;
        if self.core.lacks_cursor_list() {
            let put_back = self.core.put_back_folders();
            let dir = &self.core.config.dir;
            put_back.map_err(|error| JournalError::io("put back what is gone of", dir, error))?;
            self.core.was_put_back();
        }
        Ok(())
    }

    /// A removed file takes what is written, and nobody finds it later.
    fn keep_named(&mut self) -> io::Result<()> {
        match self.file.links()? {
            0 => self.put_back(),
            _ => Ok(()),
        }
    }

    /// Makes the active segment again, as it was, from the file that has lost its name, which is read through its descriptor.
    fn put_back(&mut self) -> io::Result<()> {
        let (core, path) = (Arc::clone(&self.core), self.path());
        tracing::error!(path = %path.display(), "somebody has removed the active segment, it is made again");
        core.put_back_folders()?;
        let dir = &core.config.dir;
        // Somebody may have put a copy there.
        self.remove_segment(self.first)?;
        let file = create_segment(&*core.fs, dir, self.first)?;
        copy(&*self.file, &*file, self.len)?;
        file.sync()?;
        self.file = file;
        core.open_files.close(self.first);
        let note = match self.unsynced_records {
            0 => self.note.clone(),
            _ => Vec::new(),
        };
        let now = Acknowledged {
            sequence: self.durable_next - 1,
            note,
        };
        self.acknowledged = AcknowledgedFile::open(&*core.fs, dir, &now);
        core.was_put_back();
        Ok(())
    }

    /// Takes appends again after a failed sync or cut, once the disk lets everything that was not acknowledged be cut
    /// away for good and gives back what was. Nothing of the appends that failed is found later.
    ///
    /// Not under [`SyncPolicy::Interval`]: there a failed sync may have taken acknowledged records, which only an opening
    /// finds out.
    pub(crate) fn mend(&mut self) -> Result<(), JournalError> {
        if self.poison.is_none() || self.core.config.sync != SyncPolicy::Always {
            return self.check_poison();
        }
        if let Err(error) = self.keep_named().and_then(|()| self.cut_to_durable()) {
            self.poison = Some((self.path(), Arc::new(error)));
            return self.check_poison();
        }
        self.len = self.durable_len;
        self.next_sequence = self.durable_next;
        self.unsynced_records = 0;
        self.poison = None;
        self.core.poisoned.store(false, Ordering::Release);
        tracing::info!(path = %self.path().display(), "journal open for appends again");
        Ok(())
    }

    /// Leaves what was acknowledged and nothing else, and reads it back from the disk.
    fn cut_to_durable(&self) -> io::Result<()> {
        if self.durable_next != self.first {
            // What the creation of a segment has left behind.
            self.remove_segment(self.durable_next)?;
        }
        self.file.set_len(self.durable_len)?;
        self.file.sync()?;
        // Bytes whose writing failed count as clean: only the disk knows what it has.
        self.file.forget_cached()?;
        let from = SEGMENT_HEADER_BYTES.min(self.durable_len);
        let mut scanner = Scanner::new(self.first, from, self.durable_len);
        let mut records = 0;
        while let Some(found) = scanner.next(&*self.file)? {
            records += u64::from(matches!(found, Found::Record { .. }));
        }
        let expected = self.core.table.lock().active_records();
        if records != expected {
            let missing = format!("{records} of {expected} records can be read back");
            return Err(io::Error::other(missing));
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.core.segment_path(self.first)
    }

    fn must_rotate(&self, needed_bytes: u64) -> bool {
        self.len > SEGMENT_HEADER_BYTES
            && self.len + needed_bytes > self.core.config.segment_bytes_max
    }

    /// Frees segments until `needed_bytes` more fit into the disk budget.
    fn make_room(&mut self, needed_bytes: u64) -> Result<(), JournalError> {
        let disk_bytes_max = self.core.config.disk_bytes_max;
        if needed_bytes + SEGMENT_HEADER_BYTES > disk_bytes_max {
            let (what, bytes_max) = ("append", disk_bytes_max - SEGMENT_HEADER_BYTES);
            return Err(JournalError::TooLarge {
                what,
                bytes: needed_bytes,
                bytes_max,
            });
        }
        loop {
            let needs_header = self.len == 0 || self.must_rotate(needed_bytes);
            let header = if needs_header {
                SEGMENT_HEADER_BYTES
            } else {
                0
            };
            let disk_bytes = self.core.table.lock().closed_bytes() + self.len;
            if disk_bytes + header + needed_bytes <= disk_bytes_max {
                return Ok(());
            }
            if self.core.delete_released() {
                continue;
            }
            if !self.evict_oldest()? {
                return Err(JournalError::Full {
                    needed_bytes,
                    disk_bytes,
                    disk_bytes_max,
                });
            }
        }
    }

    /// Takes the oldest segment that may be taken, or closes it, if it is the active one. False when there is none.
    fn evict_oldest(&mut self) -> Result<bool, JournalError> {
        let table = self.core.table.lock();
        let victim = table.victim();
        let is_active = victim.is_some_and(|first| table.is_active(first));
        drop(table);
        match victim {
            Some(_) if is_active => self.rotate()?,
            Some(first) => self.core.evict(first),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Gives back to the volume what nobody needs, else what may be taken: the bytes freed.
    fn free_volume(&mut self, may_evict: bool) -> Result<u64, JournalError> {
        let disk_bytes = |writer: &Self| writer.core.table.lock().disk_bytes();
        let before = disk_bytes(self);
        let settled = self.unsynced_records == 0 && self.core.table.lock().is_active_settled();
        match settled {
            // It goes as soon as it is closed.
            true => self.rotate()?,
            false => drop(self.core.delete_released()),
        }
        while disk_bytes(self) >= before && may_evict && self.evict_oldest()? {
            self.volume_evictions.evicted();
        }
        Ok(before.saturating_sub(disk_bytes(self)))
    }

    /// Starts the next segment unless the active one is empty.
    pub(crate) fn close_segment(&mut self) -> Result<(), JournalError> {
        self.check_poison()?;
        if self.first != self.next_sequence {
            self.rotate()?;
        }
        self.begin_segment()
    }

    /// Closes the active segment and starts the next one.
    fn rotate(&mut self) -> Result<(), JournalError> {
        self.sync()?;
        if let Err(error) = self.keep_named() {
            return Err(self.poison(error));
        }
        let first = self.next_sequence;
        let path = self.core.segment_path(first);
        let file = match create_segment(&*self.core.fs, &self.core.config.dir, first) {
            Ok(file) => file,
            Err(error) => {
                self.undo_creation(first)?;
                return Err(self.failed("create", path, error));
            }
        };
        self.core.table.lock().push(Segment::empty(first, 0));
        self.file = file;
        self.first = first;
        self.len = 0;
        self.durable_len = 0;
        self.core.delete_released();
        Ok(())
    }

    /// Writes the header, durably, if it is not there yet.
    fn begin_segment(&mut self) -> Result<(), JournalError> {
        if self.len > 0 {
            return Ok(());
        }
        let header = encode_segment_header(self.first, SEGMENT_VERSION);
        if let Err(error) = write_all_at(&*self.file, &header, 0).and_then(|()| self.file.sync()) {
            self.cut_back()?;
            return Err(self.failed("write", self.path(), error));
        }
        self.len = SEGMENT_HEADER_BYTES;
        self.durable_len = SEGMENT_HEADER_BYTES;
        self.core.table.lock().begin(SEGMENT_HEADER_BYTES);
        Ok(())
    }

    /// Removes what a failed creation has left. A leftover would claim sequences that go on in
    /// the segment before it, so failing here ends all appends.
    fn undo_creation(&mut self, first: u64) -> Result<(), JournalError> {
        let removed = self.remove_segment(first);
        removed.map_err(|error| self.poison(error))
    }

    /// Removes a segment, durably, if there is one.
    fn remove_segment(&self, first: u64) -> io::Result<()> {
        let fs = &self.core.fs;
        match fs.remove(&self.core.segment_path(first)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // An earlier removal may not be on disk yet.
        fs.sync_dir(&self.core.config.dir)
    }

    /// Removes a partly written request, durably, so that no trace of it can surface later.
    fn cut_back(&mut self) -> Result<(), JournalError> {
        let cut = self.file.set_len(self.len).and_then(|()| self.file.sync());
        cut.map_err(|error| self.poison(error))
    }

    fn failed(&self, operation: &'static str, path: PathBuf, error: io::Error) -> JournalError {
        let error = JournalError::io(operation, &path, error);
        if matches!(error, JournalError::NoSpace { .. }) {
            self.core.volume_full.store(true, Ordering::Relaxed);
        }
        error
    }

    fn poison(&mut self, error: io::Error) -> JournalError {
        let (path, source) = (self.path(), Arc::new(error));
        tracing::error!(path = %path.display(), error = %source, "journal closed for appends");
        self.core.poisoned.store(true, Ordering::Release);
        self.poison = Some((path.clone(), Arc::clone(&source)));
        JournalError::Poisoned { path, source }
    }

    fn check_poison(&self) -> Result<(), JournalError> {
        match &self.poison {
            None => Ok(()),
            Some((path, source)) => Err(JournalError::Poisoned {
                path: path.clone(),
                source: Arc::clone(source),
            }),
        }
    }
}

/// Copies the first `bytes` of a file.
fn copy(from: &dyn JournalFile, to: &dyn JournalFile, bytes: u64) -> io::Result<()> {
    let mut piece = vec![0; COPY_BYTES];
    let mut offset = 0;
    while offset < bytes {
        let left = usize::try_from(bytes - offset).unwrap_or(COPY_BYTES);
        let piece = piece.get_mut(..left.min(COPY_BYTES)).unwrap_or_default();
        let read = read_full_at(from, piece, offset)?;
        write_all_at(to, piece.get(..read).unwrap_or_default(), offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += read as u64;
    }
    Ok(())
}

/// Makes the file of a segment, durably. It takes no room before something is written to it.
pub(crate) fn create_segment(
    fs: &dyn FileSystem,
    dir: &Path,
    first: u64,
) -> io::Result<Arc<dyn JournalFile>> {
    let file = fs.create_new(&dir.join(segment_file_name(first)))?;
    fs.sync_dir(dir)?;
    Ok(file)
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.poison.is_none() && self.sync().is_err() {
            tracing::error!("journal closed without its last sync");
        }
    }
}
