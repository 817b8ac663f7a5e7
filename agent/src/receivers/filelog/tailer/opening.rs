//! Opening files by their names, which lead elsewhere a moment later: what was opened is looked at, not its name.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Tailer;
use super::names::complain;
use crate::receivers::filelog::content;
use crate::receivers::filelog::discovery::Complaint;
use crate::receivers::filelog::identity::FileId;
use crate::receivers::filelog::watch;

/// Why a file was not opened.
pub(super) enum NotOpened {
    /// Its name leads to another one, to nothing, or to what cannot be opened now.
    Another,
    /// It lies where links may not lead.
    Refused,
}

impl Tailer {
    /// The file at `path`, if it is that one.
    pub(super) fn open_as(
        &mut self,
        id: FileId,
        path: &Path,
        is_gone: bool,
    ) -> Result<File, NotOpened> {
        let opened = content::open(path).map_err(|_gone| NotOpened::Another)?;
        let metadata = opened.metadata().map_err(|_gone| NotOpened::Another)?;
        if (metadata.dev(), metadata.ino()) != id {
            return Err(NotOpened::Another);
        }
        match self.may_read(&opened, path, is_gone) {
            true => Ok(opened),
            false => Err(NotOpened::Refused),
        }
    }

    /// Opens a file that is followed, under its name.
    ///
    /// # Errors
    /// It cannot be opened, or lies where links may not lead.
    pub(super) fn open_followed(&mut self, path: &Path, is_gone: bool) -> io::Result<File> {
        let opened = content::open(path)?;
        match self.may_read(&opened, path, is_gone) {
            true => Ok(opened),
            false => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it lies where links may not lead",
            )),
        }
    }

    /// Whether what was opened may be read. The name of a file that no glob finds any more is none that others chose to lead
    /// there, unless a link is on the way.
    fn may_read(&mut self, opened: &File, path: &Path, is_gone: bool) -> bool {
        let may = self.discovery.may_read(opened)
            || (is_gone && watch::place(opened).is_some_and(|place| place == path));
        if !may && self.discovery.refuse(path) {
            self.counts.links_refused.inc();
            complain(&Complaint::Link(path.to_owned()));
        }
        may
    }
}
