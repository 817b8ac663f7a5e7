//! What appenders, cursors and the sync thread share.

use std::any::Any;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::config::JournalConfig;
use crate::cursor_file;
use crate::error::JournalError;
use crate::format::segment_file_name;
use crate::fs::{FileSystem, JournalFile};
use crate::journal::{Evicted, EvictionListener, Listener, Record};
use crate::known_cursors::{self, KnownCursors, Names};
use crate::open_file::OpenFiles;
use crate::quarantine::{CorruptRange, quarantine_range};
use crate::recovery::LOCK_FILE;
use crate::scan;
use crate::stats::JournalStats;
use crate::table::{Segment, Table};

pub(crate) struct Core {
    pub(crate) config: JournalConfig,
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) table: Mutex<Table>,
    /// Locked before the table.
    known_cursors: Mutex<KnownCursors>,
    /// Highest durable sequence. Written after the table, so what it promises can be read.
    last_sequence: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) open_files: OpenFiles,
    listeners: RwLock<Vec<Arc<Listener>>>,
    on_eviction: RwLock<Option<Arc<EvictionListener>>>,
    pub(crate) poisoned: AtomicBool,
    /// The last append found no room on the volume.
    pub(crate) volume_full: AtomicBool,
    /// How often files were put back that somebody had removed.
    put_back: AtomicU64,
    /// Held until the last clone of the journal and the last cursor are gone.
    /// `None` when it could not be taken again.
    lock: Mutex<Option<Box<dyn Any + Send + Sync>>>,
}

/// Records around a segment that is taken.
#[derive(Default)]
struct Ends {
    head: Option<Record>,
    next: Option<Record>,
    last: Option<Record>,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) appended_records: AtomicU64,
    pub(crate) appended_bytes: AtomicU64,
    pub(crate) failed_appends: AtomicU64,
    pub(crate) syncs: AtomicU64,
    deleted_segments: AtomicU64,
}

impl Core {
    pub(crate) fn new(
        config: JournalConfig,
        fs: Arc<dyn FileSystem>,
        (table, known_cursors): (Table, KnownCursors),
        last_sequence: u64,
        lock: Box<dyn Any + Send + Sync>,
    ) -> Self {
        Self {
            config,
            fs,
            table: Mutex::new(table),
            known_cursors: Mutex::new(known_cursors),
            last_sequence: AtomicU64::new(last_sequence),
            counters: Counters::default(),
            open_files: OpenFiles::default(),
            listeners: RwLock::default(),
            on_eviction: RwLock::default(),
            poisoned: AtomicBool::new(false),
            volume_full: AtomicBool::new(false),
            put_back: AtomicU64::new(0),
            lock: Mutex::new(Some(lock)),
        }
    }

    pub(crate) fn segment_path(&self, first: u64) -> PathBuf {
        self.config.dir.join(segment_file_name(first))
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.last_sequence.load(Ordering::Acquire)
    }

    /// Lets readers see the active segment up to `bytes` and `last`.
    pub(crate) fn publish(&self, bytes: u64, last: u64, records: u64) {
        self.table.lock().publish(bytes, last, records);
        self.last_sequence.store(last, Ordering::Release);
    }

    pub(crate) fn add_listener(&self, listener: Listener) {
        self.listeners.write().push(Arc::new(listener));
    }

    /// Calls every listener, holding no lock.
    pub(crate) fn notify(&self) {
        let listeners = self.listeners.read().clone();
        for listener in listeners {
            listener(self.last_sequence());
        }
    }

    /// Deletes the segments that no cursor needs.
    pub(crate) fn delete_released(&self) -> bool {
        let taken = self.table.lock().take_released();
        taken.iter().for_each(|first| self.delete(*first));
        !taken.is_empty()
    }

    /// Deletes a segment that is not in the table any more.
    fn delete(&self, first: u64) {
        self.open_files.close(first);
        let path = self.segment_path(first);
        if let Err(error) = self.fs.remove(&path) {
            // It comes back at the next opening and is deleted then.
            tracing::warn!(%error, path = %path.display(), "cannot delete a segment");
        }
        self.counters
            .deleted_segments
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Notes which cursors there are, without `left_out`.
    ///
    /// # Errors
    /// `NoSpace`, `Io`.
    pub(crate) fn note_cursors(&self, left_out: Option<&str>) -> Result<(), JournalError> {
        let mut known = self.known_cursors.lock();
        let mut names: Names = self.table.lock().cursors.keys().cloned().collect();
        if let Some(name) = left_out {
            names.remove(name);
        }
        known.store(&*self.fs, &self.config.dir, names)
    }

    /// Makes the folders again, and takes the lock again, where somebody has removed them.
    ///
    /// # Errors
    /// They cannot be made, or another journal has the folder by now.
    pub(crate) fn put_back_folders(&self) -> io::Result<()> {
        let dir = &self.config.dir;
        self.fs.create_dir_all(dir)?;
        self.fs.create_dir_all(&cursor_file::folder(dir))?;
        let mut lock = self.lock.lock();
        let is_gone = |lock: &Box<dyn Any + Send + Sync>| self.fs.is_lock_gone(&**lock);
        if lock.as_ref().is_none_or(is_gone) {
            // What is left of the old one would keep the new one out.
            drop(lock.take());
            *lock = Some(self.fs.lock(&dir.join(LOCK_FILE))?);
        }
        drop(lock);
        let mut known = self.known_cursors.lock();
        let names: Names = self.table.lock().cursors.keys().cloned().collect();
        known
            .store_again(&*self.fs, dir, names)
            .map_err(io::Error::other)
    }

    /// Whether somebody has removed what is in the folder of the cursors, or the folder.
    pub(crate) fn lacks_cursor_list(&self) -> bool {
        let path = cursor_file::folder(&self.config.dir).join(known_cursors::COPY_NAME);
        let found = self.fs.open_read(&path);
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// A folder and the active segment have been put back: what else is gone cannot be.
    pub(crate) fn was_put_back(&self) {
        self.put_back.fetch_add(1, Ordering::Relaxed);
        let closed = self.table.lock().closed_firsts();
        closed.into_iter().for_each(|first| {
            self.lose_if_gone(first);
        });
    }

    /// Gives up a closed segment whose file somebody has removed, while the active one is where it should be. False when
    /// it is there, or that is not so.
    pub(crate) fn lose_if_gone(&self, first: u64) -> bool {
        let is_gone = |first: u64| match self.fs.open_read(&self.segment_path(first)) {
            Err(error) => error.kind() == io::ErrorKind::NotFound,
            Ok(_) => false,
        };
        let active = self.table.lock().active_first();
        if first == active || !is_gone(first) || is_gone(active) {
            return false;
        }
        let is_lost = self.table.lock().lose_segment(first);
        if is_lost {
            tracing::error!(
                path = %self.segment_path(first).display(),
                "a segment was removed by somebody else, what no consumer had read of it is lost"
            );
        }
        is_lost
    }

    pub(crate) fn set_eviction_listener(&self, listener: EvictionListener) {
        *self.on_eviction.write() = Some(Arc::new(listener));
    }

    /// Takes a closed segment from the cursors that let it go, unless something of it has come under way since it was
    /// chosen, and tells whoever wants to know.
    pub(crate) fn evict(&self, first: u64) {
        let listener = self.on_eviction.read().clone();
        // Read before the table is locked: that takes a disk.
        let ends = match &listener {
            Some(_) => self.ends_of(first),
            None => Ends::default(),
        };
        let mut table = self.table.lock();
        if table.victim() != Some(first) {
            return;
        }
        let cursors = table.drop_segment(first);
        // Told before a reader can find out.
        if let Some(listener) = listener {
            listener(&Evicted {
                cursors,
                head: ends.head,
                next: ends.next,
                last: ends.last,
            });
        }
        drop(table);
        self.delete(first);
    }

    /// Reads the records at both sides of the segment's ends.
    fn ends_of(&self, first: u64) -> Ends {
        let ends = |segment: &Segment| (segment.first, segment.readable_bytes, segment.last);
        let table = self.table.lock();
        let own = table.segment_for(first).filter(|own| own.first == first);
        let (own, next) = (own.map(ends), table.next_of(first).map(ends));
        drop(table);
        let open = |first: u64| self.fs.open_read(&self.segment_path(first)).ok();
        let read = |(first, end, _): (u64, u64, u64)| {
            scan::first_record(&*open(first)?, first, end)
                .ok()
                .flatten()
        };
        let (head, next) = (own.and_then(read), next.and_then(read));
        let is_gap = |last: u64| next.as_ref().is_some_and(|next| next.sequence > last + 1);
        // All of it is read for that, which nothing but damage or another gap asks for.
        let last = own.filter(|(.., last)| is_gap(*last));
        let last = last.and_then(|(first, end, _)| {
            scan::last_record(&*open(first)?, first, end).ok().flatten()
        });
        Ends { head, next, last }
    }

    /// A reader has met a corrupt range; it is copied aside and counted unless it is known.
    pub(crate) fn met_corrupt_range(&self, source: Option<&dyn JournalFile>, range: CorruptRange) {
        let mut table = self.table.lock();
        let fresh = table
            .segment_mut(range.first)
            .is_some_and(|segment| segment.corrupt_offsets.insert(range.offset));
        if !fresh {
            return;
        }
        table.quarantined_ranges += 1;
        table.quarantined_bytes += range.end - range.offset;
        drop(table);
        quarantine_range(&*self.fs, &self.config.dir, source, range);
    }

    pub(crate) fn stats(&self) -> JournalStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = JournalStats {
            disk_bytes_max: self.config.disk_bytes_max,
            appended_records: load(&self.counters.appended_records),
            appended_bytes: load(&self.counters.appended_bytes),
            failed_appends: load(&self.counters.failed_appends),
            syncs: load(&self.counters.syncs),
            deleted_segments: load(&self.counters.deleted_segments),
            poisoned: self.poisoned.load(Ordering::Acquire),
            volume_full: self.volume_full.load(Ordering::Relaxed),
            last_sequence: self.last_sequence(),
            put_back: load(&self.put_back),
            ..JournalStats::default()
        };
        self.table.lock().describe(&mut stats);
        stats
    }
}
