//! The files that cursors read from, within reach of whoever deletes a segment: the room of a removed file comes back only
//! when nobody has it open, and a cursor may not read on for long.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::fs::JournalFile;

/// The segment that one cursor has open between two reads, by its first sequence.
#[derive(Default)]
pub(crate) struct OpenFile(Mutex<Option<(u64, Arc<dyn JournalFile>)>>);

impl OpenFile {
    /// The file of the segment that starts at `first`, if that is the one.
    pub(crate) fn of(&self, first: u64) -> Option<Arc<dyn JournalFile>> {
        let open = self.0.lock();
        let own = open.as_ref().filter(|(own, _)| *own == first);
        own.map(|(_, file)| Arc::clone(file))
    }

    /// Keeps this file open, and no other.
    pub(crate) fn keep(&self, first: u64, file: Arc<dyn JournalFile>) {
        *self.0.lock() = Some((first, file));
    }

    /// Closes the file of that segment, or, while a call reads from it, has that close it.
    pub(crate) fn close(&self, first: u64) {
        drop(self.0.lock().take_if(|(own, _)| *own == first));
    }
}

/// Those of all cursors.
#[derive(Default)]
pub(crate) struct OpenFiles(Mutex<Vec<Weak<OpenFile>>>);

impl OpenFiles {
    /// For one more cursor.
    pub(crate) fn add(&self) -> Arc<OpenFile> {
        let file = Arc::default();
        let mut files = self.0.lock();
        files.retain(|file| file.strong_count() > 0);
        files.push(Arc::downgrade(&file));
        file
    }

    /// Closes the file of a segment that is not in the table any more.
    pub(crate) fn close(&self, first: u64) {
        let files = self.0.lock();
        let open = files.iter().filter_map(Weak::upgrade);
        open.for_each(|file| file.close(first));
    }
}
