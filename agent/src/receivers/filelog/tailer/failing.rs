//! Files that could not be read: what the system does not give is asked for again, what makes no sense is left alone until
//! it changes.

use std::io;
use std::time::Instant;

use rustix::io::Errno;

use super::Tailer;
use crate::receivers::filelog::file::{TailedFile, Trouble};
use crate::receivers::filelog::identity::FileId;

impl Tailer {
    pub(super) fn failed_to_read(&mut self, id: FileId, error: &io::Error) {
        let Some(file) = self.files.get_mut(&id) else {
            return;
        };
        let trouble = match Trouble::of(error) {
            // It was another one that is not there, such as its original.
            Trouble::Gone if matches!(file.look(), Ok(Some(_))) => Trouble::Passing,
            trouble => trouble,
        };
        match trouble {
            Trouble::Gone => {
                self.first_looks -= usize::from(file.first_look.take().is_some());
                file.close();
                let path = file.path.clone();
                self.look_again_near(&path);
            }
            // Its descriptor is kept: it may be deleted before the next attempt.
            Trouble::Passing => {
                // Where a decoder stands after an error nobody knows.
                if file.compression.is_some() && file.lay_down() {
                    self.first_looks += 1;
                }
                file.failed(Instant::now());
            }
            Trouble::Damaged => {
                self.first_looks -= usize::from(file.first_look.take().is_some());
                file.close();
                file.set_aside();
            }
        }
        let Some(file) = self.files.get(&id) else {
            return;
        };
        if file.open.is_none() {
            self.open.retain(|open| *open != id);
        }
        if error.kind() != io::ErrorKind::NotFound && self.failed.insert(file.path.clone()) {
            self.counts.open_errors.inc();
            tracing::warn!(path = %file.path.display(), %error, "file cannot be read");
        }
        if matches!(
            Errno::from_io_error(error),
            Some(Errno::MFILE | Errno::NFILE)
        ) {
            self.make_room();
        }
    }

    /// A file has been read: up to where it goes, if it is compressed.
    pub(super) fn recovered(&mut self, file: &mut TailedFile) {
        file.failing = None;
        if !self.failed.is_empty() {
            self.failed.remove(&file.path);
        }
    }

    /// Counts the descriptor that a file keeps where it could not be attached.
    ///
    /// # Errors
    /// It could not.
    pub(super) fn count_kept(
        &mut self,
        file: &TailedFile,
        attached: io::Result<()>,
    ) -> io::Result<()> {
        if attached.is_err() {
            self.first_looks += usize::from(file.first_look.is_some());
        }
        attached
    }
}
