//! Footers of segments that were read lately, and the cache of their pages.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::metadata::SegmentMetadata;
use super::page_cache::PageCache;
use super::segment::Segment;
use super::stop::Stop;
use crate::StoreError;
use crate::catalog::{DataFile, FileId};
use crate::query::damaged::Damage;

/// Memory of the footers kept (bytes).
pub(crate) const METADATA_BYTES_MAX: usize = 64 << 20;

/// Metadata by file. File ids are never given twice, so an entry is never wrong; files are not kept open, so
/// one that is deleted frees its disk space.
pub(crate) struct MetadataCache {
    entries: Mutex<Entries>,
    pages: Arc<PageCache>,
    /// Indexes that could not be used.
    damaged: AtomicU64,
    damage: Damage,
}

#[derive(Default)]
struct Entries {
    by_file: HashMap<FileId, Entry>,
    bytes: usize,
    /// Counts uses, to tell which entry was not used for longest.
    clock: u64,
}

struct Entry {
    metadata: Arc<SegmentMetadata>,
    bytes: usize,
    used: u64,
}

impl MetadataCache {
    /// With pages of so many bytes.
    pub(crate) fn new(page_bytes_max: usize) -> Self {
        Self {
            entries: Mutex::default(),
            pages: Arc::new(PageCache::new(page_bytes_max)),
            damaged: AtomicU64::new(0),
            damage: Damage::default(),
        }
    }

    pub(crate) fn pages(&self) -> &PageCache {
        &self.pages
    }

    pub(crate) fn open(&self, file: &DataFile, stop: &Arc<Stop>) -> Result<Segment, StoreError> {
        let known = self.entries.lock().get(file.id);
        let is_new = known.is_none();
        let segment = Segment::open(file, known, &self.pages, stop)?;
        if is_new {
            let metadata = Arc::clone(segment.metadata());
            if metadata.index_is_damaged() {
                self.note_damaged_index(segment.path());
            }
            self.entries.lock().insert(file.id, metadata);
        }
        Ok(segment)
    }

    /// Counts an index that could not be used. The segment is read without it.
    pub(crate) fn note_damaged_index(&self, path: &Path) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(path = %path.display(), "the index of a segment is damaged and not used");
    }

    pub(crate) fn damaged_indexes(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// The segments that could not be read.
    pub(crate) fn damage(&self) -> &Damage {
        &self.damage
    }

    pub(crate) fn clear(&self) {
        self.damage.clear();
        self.pages.clear();
        *self.entries.lock() = Entries::default();
    }
}

impl Entries {
    fn get(&mut self, id: FileId) -> Option<Arc<SegmentMetadata>> {
        self.clock += 1;
        let entry = self.by_file.get_mut(&id)?;
        entry.used = self.clock;
        Some(Arc::clone(&entry.metadata))
    }

    fn insert(&mut self, id: FileId, metadata: Arc<SegmentMetadata>) {
        let bytes = metadata.bytes();
        let entry = Entry {
            metadata,
            bytes,
            used: self.clock,
        };
        self.bytes += bytes;
        if let Some(replaced) = self.by_file.insert(id, entry) {
            self.bytes -= replaced.bytes;
        }
        while self.bytes > METADATA_BYTES_MAX {
            let oldest = self.by_file.iter().min_by_key(|(_id, entry)| entry.used);
            let Some(removed) = oldest
                .map(|(id, _entry)| *id)
                .and_then(|id| self.by_file.remove(&id))
            else {
                break;
            };
            self.bytes -= removed.bytes;
        }
    }
}
