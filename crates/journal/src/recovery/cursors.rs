//! The cursors as recovery finds them.

use std::io;

use crate::cursor_file::{self, CursorFile, Loaded};
use crate::error::JournalError;
use crate::known_cursors::{self, KnownCursors};
use crate::quarantine::quarantine_file;
use crate::table::CursorEntry;

use super::Recovery;

impl Recovery {
    /// Registers every cursor on disk, and every one that was there, so that each holds its segments before anyone opens it.
    pub(super) fn load_cursors(&mut self, last_record: u64) -> Result<KnownCursors, JournalError> {
        let known = KnownCursors::load(&*self.fs, &self.config.dir);
        let folder = cursor_file::folder(&self.config.dir);
        let entries = self
            .fs
            .list(&folder)
            .map_err(|error| JournalError::io("list", &folder, error))?;
        let is_cursor = |name: &str| {
            let names = entries
                .iter()
                .filter_map(|entry| cursor_file::parse_file_name(&entry.name));
            let is_known = known
                .as_ref()
                .is_some_and(|known| known.names().contains(name));
            is_known || names.into_iter().any(|cursor| cursor == name)
        };
        for entry in &entries {
            let path = folder.join(&entry.name);
            if let Some(name) = cursor_file::parse_temporary(&entry.name) {
                // It is room for the next commit of its cursor, which makes it anew, and what is left where that is damaged.
                if !is_cursor(name) {
                    self.fs.remove(&path).ok();
                }
                continue;
            }
            match cursor_file::parse_file_name(&entry.name).filter(|_| entry.is_file) {
                Some(name) => self.load_cursor(name)?,
                None if entry.name == known_cursors::COPY_NAME => {}
                None => self.report.ignored_files.push(path),
            }
        }
        let names = known.iter().flat_map(KnownCursors::names);
        let names = names.filter(|name| !self.table.cursors.contains_key(*name));
        for name in names.cloned().collect::<Vec<_>>() {
            self.replace_missing(&name);
        }
        self.table.lacks_cursors =
            known.is_none() && self.table.cursors.is_empty() && last_record > 0;
        Ok(known.unwrap_or_default())
    }

    /// A cursor whose file is gone goes on from the commit before, where that is there still, and starts at the oldest record
    /// otherwise.
    fn replace_missing(&mut self, name: &str) {
        let dir = &self.config.dir;
        let path = cursor_file::path(dir, name);
        let before = cursor_file::load_before(&*self.fs, dir, name).unwrap_or_default();
        let oldest = self.table.oldest_sequence() - 1;
        let released = before.committed.max(oldest);
        tracing::error!(
            cursor = name,
            sequence = released,
            "cursor is gone, going on from what there is of it, else from the oldest record"
        );
        // Something else may have its name.
        let is_taken = self.fs.open_read(&path).is_ok();
        if is_taken
            && let Err(error) = quarantine_file(&*self.fs, dir, &path, &format!("{name}.cur"))
        {
            tracing::warn!(%error, path = %path.display(), "cannot move aside what is in the place of a cursor");
        }
        self.store_begun(name, released, &before.state);
        self.insert(name, released);
        self.report.missing_cursors.push(name.to_owned());
    }

    /// Stores a cursor that begins anew.
    fn store_begun(&self, name: &str, released: u64, state: &[u8]) {
        let stored = CursorFile::new(name).store(&*self.fs, &self.config.dir, released, state);
        if let Err(error) = stored {
            // It holds its segments in this run; the next commit stores it.
            tracing::warn!(%error, cursor = name, "cannot store the cursor that begins anew");
        }
    }

    fn insert(&mut self, name: &str, released: u64) {
        self.table.cursors.insert(
            name.to_owned(),
            CursorEntry {
                released,
                ..CursorEntry::default()
            },
        );
    }

    fn load_cursor(&mut self, name: &str) -> Result<(), JournalError> {
        let path = cursor_file::path(&self.config.dir, name);
        let released = match cursor_file::load(&*self.fs, &path) {
            Ok(Loaded::Intact(stored)) => stored.committed,
            Ok(Loaded::Newer { version }) => return Err(cursor_file::unsupported(path, version)),
            Ok(Loaded::Corrupt) => self.replace_cursor(name),
            Err(error) => {
                tracing::error!(%error, cursor = name, "cursor file unreadable");
                self.replace_cursor(name)
            }
        };
        self.insert(name, released);
        Ok(())
    }

    /// A corrupt cursor goes on from the commit before, where that is there still, and starts at the oldest record otherwise.
    ///
    /// The commit before is always safe: what it had settled was settled, and what was settled since is seen again as far as
    /// it is on disk. So is one that was interrupted: what it says is true, it was only not acknowledged.
    fn replace_cursor(&mut self, name: &str) -> u64 {
        let Some(before) = cursor_file::load_before(&*self.fs, &self.config.dir, name) else {
            return self.restart_cursor(name);
        };
        if let Err(error) = self.restore_cursor(name) {
            tracing::warn!(%error, cursor = name, "cannot put the commit before in place of a corrupt cursor");
            return self.restart_cursor(name);
        }
        let sequence = before.committed;
        tracing::error!(
            cursor = name,
            sequence,
            "corrupt cursor, going on from the commit before"
        );
        self.report.restored_cursors.push(name.to_owned());
        sequence
    }

    /// Puts the commit before in the place of a corrupt cursor file, and that aside. A crash on the way leaves one of them.
    fn restore_cursor(&self, name: &str) -> io::Result<()> {
        let dir = &self.config.dir;
        let spare = cursor_file::temporary_path(dir, name);
        // One that was interrupted may be in the cache only.
        self.fs.open_write(&spare)?.sync()?;
        let is_kept = self.fs.exchange(&spare, &cursor_file::path(dir, name))?;
        self.fs.sync_dir(&cursor_file::folder(dir))?;
        if is_kept
            && let Err(error) = quarantine_file(&*self.fs, dir, &spare, &format!("{name}.cur"))
        {
            tracing::warn!(%error, cursor = name, "cannot move the corrupt cursor file aside");
        }
        Ok(())
    }

    /// Moves a corrupt cursor file aside and starts the cursor at the oldest record.
    fn restart_cursor(&mut self, name: &str) -> u64 {
        tracing::error!(
            cursor = name,
            "corrupt cursor, starting again at the oldest record"
        );
        let dir = &self.config.dir;
        let released = self.table.oldest_sequence() - 1;
        let path = cursor_file::path(dir, name);
        let moved = quarantine_file(&*self.fs, dir, &path, &format!("{name}.cur"));
        if let Err(error) = moved {
            tracing::warn!(%error, cursor = name, "cannot move the corrupt cursor file aside");
        }
        self.store_begun(name, released, &[]);
        self.report.corrupt_cursors.push(name.to_owned());
        released
    }
}
