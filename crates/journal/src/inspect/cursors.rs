//! The cursors of a journal that another process may have open.

use std::collections::BTreeSet;
use std::io;

use super::Inspector;
use crate::cursor_file::{self, Loaded};
use crate::error::JournalError;
use crate::known_cursors::KnownCursors;

/// A cursor file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorView {
    /// Its name.
    pub name: String,
    /// Highest committed sequence and the state beside it; `None` when the file is damaged.
    pub stored: Option<(u64, Vec<u8>)>,
    /// What the commit before a damaged one had committed, where that is there still: from there the cursor goes on.
    pub before: Option<u64>,
}

impl Inspector {
    /// The cursors by name.
    ///
    /// # Errors
    /// `Io` when they cannot be listed or read; `UnsupportedVersion`.
    pub fn cursors(&self) -> Result<Vec<CursorView>, JournalError> {
        let folder = cursor_file::folder(&self.dir);
        let mut cursors = Vec::new();
        let known = || {
            let known = KnownCursors::load(&*self.fs, &self.dir);
            known.map(|known| known.names().clone()).unwrap_or_default()
        };
        let files = self.names_in(&folder)?;
        let files = files
            .iter()
            .filter_map(|file| cursor_file::parse_file_name(file));
        let names: BTreeSet<String> = files.map(str::to_owned).chain(known()).collect();
        for name in names {
            let path = cursor_file::path(&self.dir, &name);
            let stored = match cursor_file::load_from_outside(&*self.fs, &path) {
                Ok(Loaded::Intact(stored)) => Some((stored.committed, stored.state)),
                Ok(Loaded::Corrupt) => None,
                Ok(Loaded::Newer { version }) => {
                    return Err(cursor_file::unsupported(path, version));
                }
                // It has just been removed, unless it is named still.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if !known().contains(&name) {
                        continue;
                    }
                    None
                }
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => None,
                Err(error) => return Err(JournalError::io("read", &path, error)),
            };
            let before = match &stored {
                Some(_) => None,
                None => cursor_file::load_before(&*self.fs, &self.dir, &name),
            };
            cursors.push(CursorView {
                name,
                stored,
                before: before.map(|before| before.committed),
            });
        }
        Ok(cursors)
    }
}
