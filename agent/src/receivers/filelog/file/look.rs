//! What can be told of a file without reading on: its size, whether it was cut, whether it is deleted.

use std::fs::Metadata;
use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt;

use super::{TailedFile, modified_unix_nano};
use crate::receivers::filelog::content;
use crate::receivers::filelog::identity::Prefix;

/// What a look at a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Look {
    pub(in super::super) unread: bool,
    pub(in super::super) truncated: bool,
    pub(in super::super) deleted: bool,
}

impl TailedFile {
    /// Looks at the file through its descriptor or, when it is closed, its name. `None` when the name leads to
    /// another file.
    ///
    /// # Errors
    /// There is nothing under that name, or it cannot be examined.
    pub(in super::super) fn look(&mut self) -> io::Result<Option<Look>> {
        let metadata = match (&self.open, &self.first_look) {
            (Some(open), _) => open.content.file().metadata()?,
            (None, Some(file)) => file.metadata()?,
            (None, None) => std::fs::metadata(&self.path)?,
        };
        if (metadata.dev(), metadata.ino()) != self.id {
            return Ok(None);
        }
        let known_modified = self.seen_modified;
        let mut look = self.see(&metadata);
        let is_written = known_modified != self.seen_modified;
        if is_written && !look.truncated && self.begins_otherwise()? {
            look.truncated = true;
        }
        Ok(Some(look))
    }

    pub(in super::super) fn see(&mut self, metadata: &Metadata) -> Look {
        let known_bytes = mem::replace(&mut self.size, metadata.len());
        let modified = modified_unix_nano(metadata);
        let known_modified = mem::replace(&mut self.seen_modified, modified);
        let is_written = known_modified != modified;
        let deleted = metadata.nlink() == 0;
        self.is_deleted = deleted;
        if self.compression.is_some() {
            // Without a descriptor it may be another one of the same size.
            let is_other = is_written && self.open.is_none();
            return Look {
                unread: is_other || self.size != self.finished_bytes,
                truncated: false,
                deleted,
            };
        }
        let offset = self.examined();
        // Of a file that waits unread no place tells that it was cut, but its size does.
        let is_cut_unread = offset == 0 && self.mark.prefix.bytes > 0 && self.size < known_bytes;
        Look {
            // As long as before, but written to: it may have been cut and have grown to the same size.
            unread: self.size > offset || (is_written && self.size == offset && offset > 0),
            truncated: self.size < offset || is_cut_unread,
            deleted,
        }
    }

    /// Whether an open file of which nothing has been read begins with other bytes than it did: it was cut and has
    /// grown again. How it begins is learned as it grows, so that it is known before the first byte is read.
    pub(super) fn begins_otherwise(&mut self) -> io::Result<bool> {
        if self.compression.is_some() || self.read_offset() > 0 {
            return Ok(false);
        }
        let Some(open) = &self.open else {
            return Ok(false);
        };
        let beginning = content::beginning(open.file(), None)?;
        let known = self.mark.prefix;
        if known.bytes > 0 && !known.fits(&beginning) {
            return Ok(true);
        }
        self.mark.prefix = Prefix::of(&beginning);
        Ok(false)
    }

    /// Whether it begins like `beginning`, as far as both go.
    pub(in super::super) fn begins_as(&self, beginning: &[u8]) -> bool {
        let opened = self.open.as_ref().map(|open| open.file());
        let Some(opened) = opened.or(self.first_look.as_ref()) else {
            return false;
        };
        content::beginning(opened, None)
            .is_ok_and(|own| Prefix::of(&own).fits(beginning) || Prefix::of(beginning).fits(&own))
    }
}
