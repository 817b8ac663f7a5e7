//! Footers of segments that were read lately.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::segment::{Segment, SegmentMetadata};
use super::stop::Stop;
use crate::StoreError;
use crate::catalog::{DataFile, FileId};

/// Memory of the footers kept (bytes).
pub(crate) const METADATA_BYTES_MAX: usize = 64 << 20;

/// Metadata by file. File ids are never given twice, so an entry is never wrong; files are not kept open, so
/// one that is deleted frees its disk space.
#[derive(Default)]
pub(crate) struct MetadataCache(Mutex<Entries>);

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
    pub(crate) fn open(&self, file: &DataFile, stop: &Arc<Stop>) -> Result<Segment, StoreError> {
        let known = self.0.lock().get(file.id);
        let is_new = known.is_none();
        let segment = Segment::open(file, known, stop)?;
        if is_new {
            let metadata = Arc::clone(segment.metadata());
            self.0.lock().insert(file.id, metadata);
        }
        Ok(segment)
    }

    pub(crate) fn clear(&self) {
        *self.0.lock() = Entries::default();
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
