//! A named consumer: reads records in order and remembers, durably, how far it has come.

mod reader;

use std::sync::Arc;

use crate::config::OnFull;
use crate::core::Core;
use crate::cursor_file::{self, CursorFile, Loaded, StoredCursor};
use crate::error::JournalError;
use crate::journal::Record;
use crate::table::{CursorEntry, Table};

use reader::Reader;

/// A named, durable read position. One consumer holds it; dropping it closes it, and it goes on
/// holding its uncommitted segments on disk.
pub struct Cursor {
    core: Arc<Core>,
    file: CursorFile,
    stored: StoredCursor,
    /// Whether the state is at hand.
    keeps_state: bool,
    reader: Reader,
    /// The last record that was returned.
    returned: u64,
}

impl Cursor {
    /// Opens the cursor, or creates it at the oldest record.
    pub(crate) fn open(core: &Arc<Core>, name: &str) -> Result<Self, JournalError> {
        Self::open_or_create(core, name, (0, &[]))
    }

    /// Opens the cursor, or creates it behind `through`, with `state`: both or neither, durable on return.
    pub(crate) fn open_or_create(
        core: &Arc<Core>,
        name: &str,
        (through, state): (u64, &[u8]),
    ) -> Result<Self, JournalError> {
        cursor_file::check_name(name)?;
        let created_at = register(core, name, through)?;
        let mut file = CursorFile::new(name);
        let stored = match created_at {
            Some(committed) => create(core, &mut file, committed, state),
            None => load(core, name),
        };
        let stored = stored.inspect_err(|_| unregister(core, name, created_at.is_some()))?;
        let reader = Reader::new(Arc::clone(core), stored.committed);
        Ok(Self {
            core: Arc::clone(core),
            file,
            returned: stored.committed,
            stored,
            keeps_state: true,
            reader,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.file.name()
    }

    /// Highest committed sequence; 0 when none.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.stored.committed
    }

    /// The bytes stored with the last commit; empty before the first.
    #[must_use]
    pub fn state(&self) -> &[u8] {
        &self.stored.state
    }

    /// The bytes stored with the last commit. The handle keeps no copy of what is stored from now on, which may be large:
    /// `state` is empty.
    pub fn take_state(&mut self) -> Vec<u8> {
        self.keeps_state = false;
        std::mem::take(&mut self.stored.state)
    }

    /// The next durable records after the read position, which moves behind them: at least one
    /// if any is there, then as many as fit in `bytes_max` payload bytes. Empty when caught up.
    /// Corrupt ranges are skipped and counted; those behind all that is committed are let go of.
    ///
    /// # Errors
    /// `Io` when a segment cannot be read; the read position stays before the failing record.
    pub fn read(&mut self, bytes_max: usize) -> Result<Vec<Record>, JournalError> {
        let records = self.reader.read(bytes_max)?;
        match records.last() {
            Some(last) => self.returned = last.sequence,
            None => self.delete_released(),
        }
        Ok(records)
    }

    /// Deletes the segments that no cursor needs. What this one passed over behind its last committed record cannot be read:
    /// it is not waited for.
    fn delete_released(&self) {
        let settled = self.returned <= self.stored.committed;
        let passed = self.reader.passed().filter(|_| settled).unwrap_or(0);
        if passed > self.stored.committed {
            let mut table = self.core.table.lock();
            table.release_passed(self.file.name(), passed);
        }
        self.core.delete_released();
    }

    /// Moves the read position back behind the committed record.
    pub fn rewind(&mut self) {
        self.reader = Reader::new(Arc::clone(&self.core), self.stored.committed);
        self.returned = self.stored.committed;
    }

    /// Stores `through` as the committed sequence, with `state` (at most 64 MiB) beside it: both
    /// or neither, durable on return. Segments that no cursor needs any more are deleted. The
    /// read position moves only if it was before `through`.
    ///
    /// # Errors
    /// `CommitOutOfRange` when `through` is before the committed sequence or after the last
    /// durable one; `TooLarge` for the state; `NoSpace` and `Io` from the disk, after which this
    /// handle still stands at the old position and a restart may find the old or the new one.
    pub fn commit(&mut self, through: u64, state: &[u8]) -> Result<(), JournalError> {
        let (committed, last_sequence) = (self.stored.committed, self.core.last_sequence());
        if !(committed..=last_sequence.max(committed)).contains(&through) {
            return Err(JournalError::CommitOutOfRange {
                through,
                committed,
                last_sequence,
            });
        }
        let dir = &self.core.config.dir;
        self.file.store(&*self.core.fs, dir, through, state)?;
        self.stored.committed = through;
        if self.keeps_state {
            state.clone_into(&mut self.stored.state);
        }
        self.reader.skip_to(through);
        self.core.table.lock().release(self.file.name(), through);
        self.delete_released();
        Ok(())
    }

    /// What an append does when the disk budget is used up by this cursor. Not stored: set it
    /// after each opening. Until then, and by default, `Block`.
    pub fn set_policy(&mut self, policy: OnFull) {
        if let Some(entry) = self.core.table.lock().cursors.get_mut(self.file.name()) {
            entry.on_full = policy;
        }
    }
}

/// Says of a cursor, from where that is not at hand, what is under way, as [`Cursor::hold`] does.
#[derive(Clone)]
pub struct Hold {
    core: Arc<Core>,
    name: String,
}

impl Hold {
    /// As [`Cursor::hold`].
    pub fn set(&self, through: u64) {
        if let Some(entry) = self.core.table.lock().cursors.get_mut(&self.name) {
            entry.held = through;
        }
    }

    /// Holds all up to `sequence` as well, unless that record has been taken: false then.
    #[must_use]
    pub fn reach(&self, sequence: u64) -> bool {
        let mut table = self.core.table.lock();
        let is_there = table.has(sequence);
        if let Some(entry) = table.cursors.get_mut(&self.name)
            && is_there
        {
            entry.held = entry.held.max(sequence);
        }
        is_there
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Cursor {
    /// What says from elsewhere what is under way.
    #[must_use]
    pub fn holder(&self) -> Hold {
        Hold {
            core: Arc::clone(&self.core),
            name: self.name().to_owned(),
        }
    }

    /// Under `DropOldest`: what lies behind the committed record up to `through` is under way, and is taken only when
    /// there is nothing else to take, and no other cursor whose moving on could change that. Not stored: set it after each opening. It outlives the handle.
    pub fn hold(&self, through: u64) {
        if let Some(entry) = self.core.table.lock().cursors.get_mut(self.file.name()) {
            entry.held = through;
        }
    }

    /// What lies behind `through` is not for this cursor: it holds no segment for it, until `None` is set. Not stored: set it
    /// after each opening. It outlives the handle.
    pub fn end_at(&self, through: Option<u64>) {
        if let Some(entry) = self.core.table.lock().cursors.get_mut(self.file.name()) {
            entry.end = through;
        }
        self.core.delete_released();
    }

    /// Whether a record is on disk still: it may have been taken since it was read.
    #[must_use]
    pub fn is_on_disk(&self, sequence: u64) -> bool {
        self.core.table.lock().has(sequence)
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        if let Some(entry) = self.core.table.lock().cursors.get_mut(self.file.name()) {
            entry.open = false;
        }
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor")
            .field("name", &self.name())
            .field("committed", &self.stored.committed)
            .finish_non_exhaustive()
    }
}

/// Removes a cursor that nobody has open.
pub(crate) fn remove(core: &Core, name: &str) -> Result<(), JournalError> {
    cursor_file::check_name(name)?;
    let check_closed = |table: &Table| match table.cursors.get(name) {
        Some(entry) if entry.open => Err(JournalError::CursorInUse {
            name: name.to_owned(),
        }),
        found => Ok(found.is_some()),
    };
    if !check_closed(&core.table.lock())? {
        return Ok(());
    }
    // Before it goes: one that is named and not there would start again.
    core.note_cursors(Some(name))?;
    let mut table = core.table.lock();
    if !check_closed(&table)? {
        return Ok(());
    }
    // The file goes first: a cursor on disk that is not in the table would hold nothing.
    let path = cursor_file::path(&core.config.dir, name);
    let removed = core.fs.remove(&path);
    // Best effort: without its cursor it goes at the next opening.
    let _leftover = core
        .fs
        .remove(&cursor_file::temporary_path(&core.config.dir, name));
    removed
        .and_then(|()| core.fs.sync_dir(&cursor_file::folder(&core.config.dir)))
        .map_err(|error| JournalError::io("remove", &path, error))?;
    table.cursors.remove(name);
    drop(table);
    core.delete_released();
    Ok(())
}

/// Marks the cursor open. For a new one, holds all that is on disk behind `through` from now on and returns the sequence
/// before it.
fn register(core: &Core, name: &str, through: u64) -> Result<Option<u64>, JournalError> {
    let mut table = core.table.lock();
    let oldest = table.oldest_sequence() - 1;
    let released = through.min(table.last_sequence()).max(oldest);
    match table.cursors.get_mut(name) {
        Some(entry) if entry.open => Err(JournalError::CursorInUse {
            name: name.to_owned(),
        }),
        Some(entry) => {
            entry.open = true;
            Ok(None)
        }
        None => {
            let entry = CursorEntry {
                released,
                open: true,
                ..CursorEntry::default()
            };
            table.cursors.insert(name.to_owned(), entry);
            Ok(Some(released))
        }
    }
}

fn unregister(core: &Core, name: &str, created: bool) {
    let mut table = core.table.lock();
    if created {
        table.cursors.remove(name);
    } else if let Some(entry) = table.cursors.get_mut(name) {
        entry.open = false;
    }
}

fn create(
    core: &Core,
    file: &mut CursorFile,
    committed: u64,
    state: &[u8],
) -> Result<StoredCursor, JournalError> {
    file.store(&*core.fs, &core.config.dir, committed, state)?;
    if let Err(error) = core.note_cursors(None) {
        tracing::warn!(%error, cursor = file.name(), "new cursor could not be noted, without its file it would be taken for none");
    }
    Ok(StoredCursor {
        committed,
        state: state.to_vec(),
    })
}

fn load(core: &Core, name: &str) -> Result<StoredCursor, JournalError> {
    let path = cursor_file::path(&core.config.dir, name);
    let loaded = cursor_file::load(&*core.fs, &path);
    match loaded.map_err(|error| JournalError::io("read", &path, error))? {
        Loaded::Intact(stored) => Ok(stored),
        // Recovery has read it; it went bad while the journal was open.
        Loaded::Newer { .. } | Loaded::Corrupt => {
            let error = std::io::ErrorKind::InvalidData.into();
            Err(JournalError::io("read", &path, error))
        }
    }
}
