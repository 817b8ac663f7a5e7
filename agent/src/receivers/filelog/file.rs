//! One file that is followed.
//!
//! Most files of a node are idle most of the time: such a file is a name and a [`Mark`]. Only one that is being read
//! has an [`OpenFile`] with a descriptor, a buffer and lines. What has been read but not handed on can be forgotten
//! and read again, so a file can be closed at any moment.

mod carried;
mod failing;
mod look;
mod open;
mod recent;

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use vervet_wire::otlp::Resource;

use self::recent::{RECENT_BYTES, hand_on};
use super::content::{self, Chunk, Compression, Content};
use super::framing::Framing;
use super::identity::{FileId, Mark, Prefix, TAIL_BYTES, Tail};
use super::lines::Lines;
use super::pasts::Past;
use super::watch;
use super::waymarks::Waymarks;
use crate::pipeline::{FileFate, FilePosition};
pub(super) use failing::{Failing, Trouble};
pub(super) use open::{OpenFile, Scratch};

/// The buffer has room for so much more than the file was seen to hold.
const GROWTH_BYTES: u64 = 4 << 10;

/// A file that is followed.
pub(super) struct TailedFile {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    /// The name it was first read under, which its resource tells of.
    pub(super) first_name: String,
    pub(super) compression: Option<Compression>,
    /// What its lines were found to be, last.
    pub(super) format: &'static str,
    /// How far it has been handed on.
    pub(super) mark: Mark,
    /// Its size on disk, and the time of its last write (nanoseconds since the epoch), when last seen.
    pub(super) size: u64,
    seen_modified: u64,
    /// Up to where a closed file has been looked through; what lies behind the mark is no whole line.
    examined: u64,
    /// The kernel tells when it is written to.
    pub(super) is_watched: bool,
    /// It is not to be read, or could not be, for a reason that may pass.
    pub(super) is_set_aside: bool,
    /// It could not be read for a reason that may pass.
    pub(super) failing: Option<Failing>,
    /// Size on disk of a compressed file that has been read to its end.
    pub(super) finished_bytes: u64,
    /// The file it repeats: not read as long as that one goes on.
    pub(super) copy_of: Option<FileId>,
    /// It was taken for content that was read, and did not hold it.
    pub(super) is_doubted: bool,
    /// What is left of it stands before what is read of the file after it, which hands it on.
    pub(super) is_lent: bool,
    /// It has no name any more: what is not read through its descriptor is lost.
    pub(super) is_deleted: bool,
    /// Told to the batches with something of it.
    pub(super) fate: FileFate,
    pub(super) grown_at: Instant,
    /// Since when no glob finds it.
    pub(super) gone_at: Option<Instant>,
    pub(super) open: Option<Box<OpenFile>>,
    /// The descriptor of the first look, until the file is read: it may be deleted before.
    pub(super) first_look: Option<File>,
    /// How it began then; empty where nothing is looked for by it.
    pub(super) unread_prefix: Prefix,
}

/// What one attempt to read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// So many bytes are new in the buffer.
    Read(usize),
    /// The place to resume from has not been reached yet.
    Passing,
    /// The file does not hold what was read of it any more: it was cut.
    Cut,
}

impl TailedFile {
    pub(super) fn new(
        id: FileId,
        path: PathBuf,
        first_name: String,
        mark: Mark,
        now: Instant,
    ) -> Self {
        Self {
            id,
            path,
            first_name,
            compression: None,
            format: "",
            mark,
            size: 0,
            seen_modified: mark.modified_unix_nano,
            examined: mark.offset,
            is_watched: false,
            is_set_aside: false,
            failing: None,
            finished_bytes: 0,
            copy_of: None,
            is_doubted: false,
            is_lent: false,
            is_deleted: false,
            fate: FileFate::default(),
            grown_at: now,
            gone_at: None,
            open: None,
            first_look: None,
            unread_prefix: Prefix::default(),
        }
    }

    /// The next byte to read.
    fn read_offset(&self) -> u64 {
        let held = self.open.as_ref().map_or(0, |open| open.own().len());
        self.mark.offset + held as u64
    }

    /// Whether its inode cannot become another file's.
    pub(super) fn has_descriptor(&self) -> bool {
        self.open.is_some() || self.first_look.is_some()
    }

    /// Whether anything is known of what it holds.
    pub(super) fn is_known(&self) -> bool {
        self.mark.prefix.bytes > 0 || self.mark.offset > 0
    }

    /// Takes a descriptor to read with, of the file that holds what was read. On an error it is that of a first look.
    ///
    /// # Errors
    /// It cannot be read; or it is compressed, and damaged or not whole yet.
    pub(super) fn attach(
        &mut self,
        file: File,
        framing: &Framing,
        resource: Resource<'static>,
    ) -> io::Result<()> {
        self.attach_after(None, file, framing, resource)
    }

    fn attach_after(
        &mut self,
        recent: Option<Vec<u8>>,
        file: File,
        framing: &Framing,
        resource: Resource<'static>,
    ) -> io::Result<()> {
        let (lines, recent) = match self.prepare(recent, &file, framing) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.first_look = Some(file);
                return Err(error);
            }
        };
        self.open = Some(Box::new(OpenFile {
            content: Content::new(file, self.compression)?,
            buffer: Vec::new(),
            carried: None,
            opened_at: Instant::now(),
            lines,
            resource,
            generation: None,
            recent,
        }));
        Ok(())
    }

    /// Learns how the file begins; what it is read into, and the bytes before the mark, unless they are known.
    fn prepare(
        &mut self,
        recent: Option<Vec<u8>>,
        file: &File,
        framing: &Framing,
    ) -> io::Result<(Lines, Vec<u8>)> {
        let beginning = content::beginning(file, self.compression)?;
        // Where it does not fit, reading will tell that it was cut.
        if self.mark.prefix.bytes == 0 || self.mark.prefix.fits(&beginning) {
            self.mark.prefix = Prefix::of(&beginning);
        }
        let lines = match self.mark.offset {
            0 => Lines::new(framing.clone()),
            _ => Lines::resume(framing.clone(), &beginning),
        };
        let surplus = self.align(&lines);
        let recent = match (self.compression, recent) {
            (Some(_), _) => Vec::new(),
            (None, Some(mut recent)) => {
                recent.truncate(recent.len().saturating_sub(surplus));
                recent
            }
            (None, None) => content::before(file, self.mark.offset, RECENT_BYTES)?,
        };
        if surplus > 0 {
            // Of a compressed file the bytes before the mark are not at hand; without a tail nothing contradicts.
            self.mark.tail = Tail::of(&recent);
        }
        Ok((lines, recent))
    }

    /// Puts the mark where a character can begin: how many bytes further back.
    fn align(&mut self, lines: &Lines) -> usize {
        let aligned = lines.align(self.mark.offset);
        let surplus = usize::try_from(self.mark.offset - aligned).unwrap_or(0);
        if surplus > 0 {
            self.mark.offset = aligned;
            self.mark.waymarks = Waymarks::default();
        }
        surplus
    }

    /// Takes the descriptor it has as if it had just been opened: what has been read but not handed on is read again.
    ///
    /// # Errors
    /// See [`TailedFile::attach`].
    pub(super) fn attach_again(
        &mut self,
        framing: &Framing,
        resource: Resource<'static>,
    ) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        self.attach_after(
            Some(open.recent),
            open.content.into_file(),
            framing,
            resource,
        )
    }

    /// Gives the descriptor back. Follows a file that goes by a name of its own choosing to that name.
    pub(super) fn close(&mut self) {
        self.examined = self.read_offset();
        let Some(open) = self.open.take() else { return };
        if self.gone_at.is_some()
            && let Some(name) = watch::current_name(open.content.file())
        {
            self.path = name;
        }
    }

    /// Reads at most a quantum into the buffer.
    ///
    /// # Errors
    /// The file cannot be read; or it is compressed, and damaged or not whole yet.
    pub(super) fn read(&mut self, quantum_bytes: usize) -> io::Result<Turn> {
        if self.begins_otherwise()? {
            return Ok(Turn::Cut);
        }
        let offset = self.read_offset();
        let room = self.room(offset, quantum_bytes);
        let Some(open) = &mut self.open else {
            return Ok(Turn::Read(0));
        };
        if let Content::Plain(file) = &open.content {
            if !open.continues(file, offset)? {
                return Ok(Turn::Cut);
            }
            if !self.mark.prefix.is_whole() {
                self.mark.prefix = content::prefix(file, None)?;
            }
        }
        Ok(match open.content.read(&mut open.buffer, room, offset)? {
            Chunk::Read(bytes) => {
                // Up to then it had not been cut.
                self.mark.modified_unix_nano = self.seen_modified;
                Turn::Read(bytes)
            }
            // The end was reached before the place: less is there than was read.
            Chunk::Passed(0) => Turn::Cut,
            Chunk::Passed(_) => {
                open.pass();
                Turn::Passing
            }
        })
    }

    /// Whether what stands before the mark of a compressed file has still to be passed over.
    pub(super) fn is_passing(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.content.is_before(self.mark.offset))
    }

    /// A compressed file has been read to its end.
    pub(super) fn finish(&mut self) {
        self.finished_bytes = self.size;
        self.mark.modified_unix_nano = self.seen_modified;
    }

    /// Nothing is tried until the file changes.
    pub(super) fn set_aside(&mut self) {
        self.is_set_aside = true;
        self.examined = self.size;
        if self.compression.is_some() {
            self.finished_bytes = self.size;
        }
    }

    /// What was set aside by rules that are over is looked at again.
    pub(super) fn reconsider(&mut self) {
        if std::mem::take(&mut self.is_set_aside) && self.open.is_none() {
            (self.examined, self.finished_bytes) = (self.mark.offset, 0);
            self.is_watched = false;
        }
    }

    /// The file was rotated: what was no whole line when it was closed may be its last one.
    pub(super) fn forget_examined(&mut self) {
        if self.open.is_none() && self.compression.is_none() && !self.is_set_aside {
            self.examined = self.mark.offset;
        }
    }

    /// Whether something behind the mark has been read that is no whole line.
    pub(super) fn has_rest(&self) -> bool {
        self.examined() > self.mark.offset
    }

    /// Takes all that the file holds as read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn skip_to_end(&mut self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        self.compression = Compression::of(file)?;
        self.mark.prefix = content::prefix(file, self.compression)?;
        self.see(&metadata);
        self.mark.modified_unix_nano = self.seen_modified;
        if self.compression.is_some() {
            self.finished_bytes = self.size;
        } else {
            self.mark.offset = self.size;
            self.mark.tail = Tail::of(&content::before(file, self.size, TAIL_BYTES)?);
            self.examined = self.size;
        }
        Ok(())
    }

    fn room(&self, offset: u64, quantum_bytes: usize) -> usize {
        if self.compression.is_some() {
            return quantum_bytes;
        }
        let room = self.size.saturating_sub(offset) + GROWTH_BYTES;
        usize::try_from(room)
            .unwrap_or(quantum_bytes)
            .min(quantum_bytes)
    }

    /// Whether what stands before the mark is what was read there. To be asked of a compressed file when its mark
    /// has just been reached; until then nothing is known.
    pub(super) fn confirms_mark(&self) -> bool {
        self.open.as_ref().is_none_or(|open| {
            let known = self.mark.tail.bytes();
            open.recent.len() < known || self.mark.tail.fits(&open.recent)
        })
    }

    /// The first `bytes` of the buffer have been handed on.
    pub(super) fn consume(&mut self, bytes: usize) {
        let Some(open) = &mut self.open else { return };
        let bytes = open.consume_carried(bytes.min(open.buffer.len()));
        let read = open.buffer.get(..bytes).unwrap_or_default();
        hand_on(&mut self.mark, &mut open.recent, read);
        open.buffer.drain(..bytes);
        open.lines.shift(bytes);
    }

    /// The content so far is gone from the file, of which nothing is known any more: what was read of it. The
    /// descriptor is that of a first look again.
    pub(super) fn restart(&mut self) -> Past {
        let past = Past {
            finished_bytes: 0,
            ..self.past()
        };
        self.mark = Mark::default();
        (self.examined, self.finished_bytes) = (0, 0);
        self.fate = FileFate::default();
        if let Some(open) = self.open.take() {
            self.first_look = Some(open.content.into_file());
        }
        past
    }

    /// The name that copies and rotated forms are told by: the first one, unless the file is in another folder now.
    pub(super) fn origin(&self) -> &Path {
        let first = Path::new(&self.first_name);
        match first.parent() == self.path.parent() {
            true => first,
            false => &self.path,
        }
    }

    /// What is known of the content.
    pub(super) fn past(&self) -> Past {
        let recent = self.open.as_ref().map(|open| open.recent.clone());
        Past {
            id: self.id,
            path: self.origin().to_owned(),
            mark: self.mark,
            recent: recent.unwrap_or_default(),
            finished_bytes: self.finished_bytes,
            fate: self.fate.clone(),
        }
    }

    /// Where to resume after what has been handed on.
    pub(super) fn position(&self) -> FilePosition {
        let path = self.origin().to_string_lossy().into_owned();
        self.mark.position(path, self.id, self.finished_bytes)
    }

    /// The next byte to hand on or, where what follows it is no whole line, to read.
    pub(super) fn examined(&self) -> u64 {
        match &self.open {
            Some(_) => self.read_offset(),
            None => self.examined.max(self.mark.offset),
        }
    }

    /// Bytes known to be unread.
    pub(super) fn behind_bytes(&self) -> u64 {
        match self.compression {
            // How much a compressed file holds is not known before it has been read.
            Some(_) if self.size == self.finished_bytes => 0,
            Some(_) => self.size,
            None if self.copy_of.is_some() => 0,
            None => self.size.saturating_sub(self.examined()),
        }
    }

    pub(super) fn seen_modified(&self) -> u64 {
        self.seen_modified
    }

    pub(super) fn prefix(&self) -> Prefix {
        self.mark.prefix
    }
}

/// When a file was last written to (nanoseconds since the epoch).
pub(super) fn modified_unix_nano(metadata: &Metadata) -> u64 {
    let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
    let nanos = u64::try_from(metadata.mtime_nsec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
