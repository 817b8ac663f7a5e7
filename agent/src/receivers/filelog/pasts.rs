//! What has been read of files that are no longer where they were: deleted, renamed away, cut, or not found again
//! after a start.
//!
//! When the same content turns up under another inode (a copy that `copytruncate` made, a compressed file), it
//! is read on from where it was left. Evidence is needed on both ends: the beginning, and the bytes before the place.
//! Without it a file is read from its start: twice rather than not at all. Several contents may begin the same, and
//! where little was read of one of them all copies hold that: a copy belongs to the content of which the most was read
//! among those that it holds.
//!
//! Limits: [`PASTS_MAX`] contents, of which the latest [`ALIKE_MAX`] that begin the same are compared.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use vervet_model::UnixNanos;

use super::content::{self, Compression};
use super::file::modified_unix_nano;
use super::identity::{FileId, Mark, PREFIX_BYTES, Prefix, TAIL_BYTES, Tail, read_up_to};
use super::rotated::{is_copy_of, is_rotation_of};
use super::waymarks::Waymarks;
use crate::buffer::POSITIONS_MAX;
use crate::pipeline::{FileFate, FilePosition};

/// Contents remembered, at most, which is as many as positions are stored; the oldest are forgotten first.
const PASTS_MAX: usize = POSITIONS_MAX;
/// Contents, or files, that begin the same and are compared, at most: the latest.
const ALIKE_MAX: usize = 1_024;
/// Stands for the device of contents that have no inode.
pub(super) const NO_DEVICE: u64 = u64::MAX;

/// Stands, on that device, for no content: it tells that the receiver has been at work.
const MARKER: u64 = 0;

/// A copy under way is written to at least so often, or it is taken for whole.
const COPY_PAUSE_MAX_NANOS: u64 = 5_000_000_000;
/// Times of files may be cut to seconds.
const TIME_SLACK_NANOS: u64 = 1_000_000_000;

/// Content that was read up to a place.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    pub(super) mark: Mark,
    /// The last bytes before the mark; none when they are not known any more.
    pub(super) recent: Vec<u8>,
    /// Size on disk of a compressed file that was read to its end.
    pub(super) finished_bytes: u64,
    /// Told to the batches with something of it.
    pub(super) fate: FileFate,
}

/// How a file relates to content that was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinship {
    /// It holds that content and may go on: read it from the mark.
    Continues(Mark),
    /// All that it holds had been read.
    Covered(Mark),
    Stranger,
}

/// Everything remembered.
#[derive(Debug, Default)]
pub(super) struct Pasts {
    by_id: HashMap<FileId, Past>,
    oldest_first: VecDeque<FileId>,
    /// The number of the last content without an inode.
    cut: u64,
    by_prefix: PrefixIndex,
    /// Those that nothing was read of: they have no evidence but their beginning, and must not hide others that begin
    /// the same.
    unread_by_prefix: PrefixIndex,
}

/// Finds files by how they begin.
#[derive(Debug, Default)]
pub(super) struct PrefixIndex {
    ids: HashMap<Prefix, Alike>,
    /// How many prefixes there are of each length.
    lengths: BTreeMap<usize, usize>,
}

/// What begins the same: nearly always it is one.
#[derive(Debug)]
struct Alike {
    latest: FileId,
    /// The latest last.
    others: Vec<FileId>,
}

impl Alike {
    fn insert(&mut self, id: FileId) {
        if self.latest == id {
            return;
        }
        self.others.retain(|other| *other != id);
        if self.others.len() + 1 >= ALIKE_MAX {
            self.others.remove(0);
        }
        self.others.push(self.latest);
        self.latest = id;
    }

    /// False when none is left.
    fn remove(&mut self, id: FileId) -> bool {
        if self.latest != id {
            self.others.retain(|other| *other != id);
            return true;
        }
        let next = self.others.pop();
        self.latest = next.unwrap_or(id);
        next.is_some()
    }
}

impl PrefixIndex {
    pub(super) fn insert(&mut self, prefix: Prefix, id: FileId) {
        if prefix.bytes == 0 {
            return;
        }
        match self.ids.get_mut(&prefix) {
            Some(alike) => alike.insert(id),
            None => {
                let others = Vec::new();
                self.ids.insert(prefix, Alike { latest: id, others });
                *self.lengths.entry(prefix.bytes).or_default() += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, prefix: Prefix, id: FileId) {
        let Some(alike) = self.ids.get_mut(&prefix) else {
            return;
        };
        if alike.remove(id) {
            return;
        }
        self.ids.remove(&prefix);
        if let Some(count) = self.lengths.get_mut(&prefix.bytes) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.bytes);
            }
        }
    }

    /// Files that begin like `beginning`, as far as their beginnings are known; the longest and the latest first.
    pub(super) fn find(&self, beginning: &[u8]) -> impl Iterator<Item = FileId> {
        let lengths = self.lengths.range(..=beginning.len()).rev();
        let alike = lengths.filter_map(|(length, _)| {
            let prefix = Prefix::of(beginning.get(..*length)?);
            self.ids.get(&prefix)
        });
        alike.flat_map(|alike| {
            let others = alike.others.iter().rev().copied();
            std::iter::once(alike.latest).chain(others)
        })
    }
}

impl Pasts {
    pub(super) fn new(positions: Vec<FilePosition>) -> Self {
        let mut pasts = Self::default();
        for position in positions {
            if position.device == NO_DEVICE {
                pasts.cut = pasts.cut.max(position.inode);
            }
            pasts.insert(Past::from(position));
        }
        pasts
    }

    /// What nothing is known of is not remembered: any file could be it.
    pub(super) fn insert(&mut self, past: Past) {
        self.take(past.id);
        if !past.is_known() {
            return;
        }
        self.index(&past.mark).insert(past.mark.prefix, past.id);
        self.oldest_first.push_back(past.id);
        self.by_id.insert(past.id, past);
        while self.by_id.len() > PASTS_MAX {
            let Some(oldest) = self.oldest_first.pop_front() else {
                break;
            };
            self.take(oldest);
        }
        // Entries of inodes that were taken out again would pile up.
        if self.oldest_first.len() > 2 * PASTS_MAX {
            let by_id = &self.by_id;
            self.oldest_first.retain(|id| by_id.contains_key(id));
        }
    }

    /// To be stored by a receiver, which may have found no file yet: at its next start it is none that has never been at
    /// work.
    pub(super) fn marker() -> FilePosition {
        FilePosition {
            device: NO_DEVICE,
            inode: MARKER,
            ..FilePosition::default()
        }
    }

    /// What had been read of a file that goes on with other content, or whose inode is another's now.
    /// The position to be stored for it: the inode's will be another content's.
    pub(super) fn insert_cut(&mut self, past: Past) -> FilePosition {
        self.cut += 1;
        let id = (NO_DEVICE, self.cut);
        let path = past.path.to_string_lossy().into_owned();
        let position = past.mark.position(path, id, past.finished_bytes);
        self.insert(Past { id, ..past });
        position
    }

    fn index(&mut self, mark: &Mark) -> &mut PrefixIndex {
        match mark.offset {
            0 => &mut self.unread_by_prefix,
            _ => &mut self.by_prefix,
        }
    }

    pub(super) fn get(&self, id: FileId) -> Option<&Past> {
        self.by_id.get(&id)
    }

    pub(super) fn take(&mut self, id: FileId) -> Option<Past> {
        let past = self.by_id.remove(&id)?;
        self.index(&past.mark).remove(past.mark.prefix, id);
        Some(past)
    }

    /// Gives back the room that the last bytes before a mark take: its waymarks stand for them.
    pub(super) fn forget_recent(&mut self, id: FileId) {
        if let Some(past) = self.by_id.get_mut(&id) {
            past.recent = Vec::new();
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Past> {
        self.by_id.values()
    }

    /// What is known of the content of a file of another inode: that of which the most was read, among what it holds and
    /// what `counts`.
    /// Nothing, where it may as well hold what was read up to `live` of a file that is still followed, and no less.
    ///
    /// # Errors
    /// The file cannot be read; or it is compressed, and damaged or not whole yet.
    pub(super) fn kinship(
        &self,
        candidate: &Candidate<'_>,
        live: Option<&Mark>,
        counts: impl Fn(&Past) -> bool,
    ) -> io::Result<Kinship> {
        let unread = self.unread_by_prefix.find(&candidate.beginning);
        let similar = self.by_prefix.find(&candidate.beginning).chain(unread);
        let similar = similar.filter_map(|id| self.by_id.get(&id));
        let similar = similar
            .filter(|past| is_rotation_of(candidate.path, &past.path))
            .filter(|past| counts(past));
        let mut similar: Vec<&Past> = similar.collect();
        similar.sort_by_key(|past| Reverse(past.mark.offset));
        let live_bytes = live.map(|mark| mark.offset);
        if candidate.compression.is_some() && similar.len() + usize::from(live.is_some()) > 1 {
            return candidate.compressed_kinship(&similar, live);
        }
        for past in similar {
            let kinship = candidate.kinship(&past.mark, &past.recent)?;
            match kinship {
                Kinship::Stranger => {}
                Kinship::Continues(mark) | Kinship::Covered(mark) => {
                    let is_more = live_bytes.is_none_or(|bytes| mark.offset > bytes);
                    return Ok(if is_more { kinship } else { Kinship::Stranger });
                }
            }
        }
        Ok(Kinship::Stranger)
    }
}

impl Past {
    fn is_known(&self) -> bool {
        self.mark.prefix.bytes > 0 || self.mark.offset > 0 || self.finished_bytes > 0
    }

    /// Whether the file, which has the inode and would be read as `name`, begins with what was read. One that has not been
    /// written to since is taken for the same without a look inside. Where little is known, many files begin like that: then
    /// the names must fit, too.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn is_of(&self, file: &File, name: &Path) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let read_bytes = match self.finished_bytes {
            0 => self.mark.offset,
            finished => finished,
        };
        let untouched = metadata.len() == read_bytes
            && modified_unix_nano(&metadata) == self.mark.modified_unix_nano;
        if untouched && self.is_known() {
            return Ok(true);
        }
        if !self.mark.prefix.is_whole() && !self.may_be_called(name) {
            return Ok(false);
        }
        if self.mark.prefix.bytes == 0 {
            return Ok(true);
        }
        let compression = Compression::of(file)?;
        match content::beginning(file, compression) {
            // How it begins was read before: it is another one that is not whole yet and has the inode.
            Err(_) if compression.is_some() => Ok(false),
            beginning => Ok(self.mark.prefix.fits(&beginning?)),
        }
    }

    /// Whether the file it was can be `name` by now: it still leads to it, or rotation makes the one of the other.
    pub(super) fn may_be_called(&self, name: &Path) -> bool {
        let path = self.path.as_path();
        let leads_there = || {
            let metadata = std::fs::metadata(path);
            metadata.is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.id)
        };
        path == name || is_copy_of(name, path) || is_copy_of(path, name) || leads_there()
    }
}

impl From<FilePosition> for Past {
    fn from(position: FilePosition) -> Self {
        let fate = FileFate::default();
        fate.set_stored();
        Self {
            id: (position.device, position.inode),
            mark: Mark::from(&position),
            finished_bytes: position.compressed_bytes,
            path: PathBuf::from(position.path),
            recent: Vec::new(),
            fate,
        }
    }
}

/// A file of which it is not known yet whether its content was read before.
#[derive(Debug)]
pub(super) struct Candidate<'f> {
    pub(super) path: &'f Path,
    pub(super) file: &'f File,
    pub(super) compression: Option<Compression>,
    /// Its first bytes, uncompressed.
    pub(super) beginning: Vec<u8>,
    /// Its size on disk.
    pub(super) bytes: u64,
    pub(super) modified_unix_nano: u64,
    /// How it begins is not enough to take it for content that was read.
    pub(super) is_doubted: bool,
}

impl<'f> Candidate<'f> {
    /// # Errors
    /// The file cannot be read; or it is compressed, and damaged or not whole yet.
    pub(super) fn new(path: &'f Path, file: &'f File) -> io::Result<Self> {
        let compression = Compression::of(file)?;
        let metadata = file.metadata()?;
        Ok(Self {
            path,
            file,
            compression,
            beginning: content::beginning(file, compression)?,
            bytes: metadata.len(),
            modified_unix_nano: modified_unix_nano(&metadata),
            is_doubted: false,
        })
    }

    /// Whether it holds less than tells it from others, and somebody was writing to it a moment ago.
    pub(super) fn is_growing(&self, now: UnixNanos) -> bool {
        let age = u64::try_from(now.0)
            .ok()
            .and_then(|now| now.checked_sub(self.modified_unix_nano));
        self.compression.is_none()
            && self.beginning.len() < PREFIX_BYTES
            && age.is_some_and(|age| age < COPY_PAUSE_MAX_NANOS)
    }

    /// Compares with content that was read up to `mark`, whose last bytes were `recent`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn kinship(&self, mark: &Mark, recent: &[u8]) -> io::Result<Kinship> {
        if !self.may_hold(mark) {
            return Ok(Kinship::Stranger);
        }
        if self.compression.is_some() {
            // What stands before the mark is compared when it has been uncompressed.
            let holds = !self.is_doubted || self.holds_compressed(mark)?;
            return Ok(match holds {
                true => Kinship::Continues(*mark),
                false => Kinship::Stranger,
            });
        }
        if self.bytes >= mark.offset {
            let fits = mark.tail_fits_file(self.file)?;
            return Ok(if fits {
                Kinship::Continues(*mark)
            } else {
                Kinship::Stranger
            });
        }
        let missing = usize::try_from(mark.offset - self.bytes).unwrap_or(usize::MAX);
        let known = recent
            .len()
            .checked_sub(missing)
            .and_then(|end| recent.get(..end));
        let fits = match known {
            Some(known) if !known.is_empty() => ends_with(self.file, self.bytes, known)?,
            _ => mark.waymarks.fit(self.file, self.bytes, mark.offset)?,
        };
        Ok(if fits {
            Kinship::Covered(self.mark(mark.prefix)?)
        } else {
            Kinship::Stranger
        })
    }

    /// Whether how it begins, and its time, allow for it.
    fn may_hold(&self, mark: &Mark) -> bool {
        // A copy keeps the time of the last write (some tools: its second) or gets a later one.
        let is_older =
            self.modified_unix_nano.saturating_add(TIME_SLACK_NANOS) < mark.modified_unix_nano;
        let is_weak = self.compression.is_some() || mark.tail.bytes() < TAIL_BYTES;
        mark.prefix.fits(&self.beginning) && !(is_weak && is_older)
    }

    fn holds_compressed(&self, mark: &Mark) -> io::Result<bool> {
        let ends = content::ends_before(self.file, self.compression, &[mark.offset])?;
        Ok(ends.iter().flatten().any(|end| mark.tail.fits(end)))
    }

    /// Several contents begin as it does: it is uncompressed as far as is needed to tell which of them it holds.
    fn compressed_kinship(&self, similar: &[&Past], live: Option<&Mark>) -> io::Result<Kinship> {
        let past = similar.iter().map(|past| past.mark);
        let past = past.filter(|mark| self.may_hold(mark));
        let mut marks: Vec<Mark> = live.copied().into_iter().chain(past).collect();
        // Of equals the one that is followed stays the first.
        marks.sort_by_key(|mark| Reverse(mark.offset));
        let offsets: Vec<u64> = marks.iter().rev().map(|mark| mark.offset).collect();
        let ends = content::ends_before(self.file, self.compression, &offsets)?;
        let mut held = marks.iter().zip(ends.iter().rev());
        let held = held.find(|(mark, end)| end.as_ref().is_some_and(|end| mark.tail.fits(end)));
        let held = held
            .map(|(mark, _)| mark)
            .filter(|mark| live != Some(*mark));
        Ok(held.map_or(Kinship::Stranger, |mark| Kinship::Continues(*mark)))
    }

    /// The mark at the end of a plain file.
    fn mark(&self, prefix: Prefix) -> io::Result<Mark> {
        Ok(Mark {
            prefix,
            offset: self.bytes,
            tail: Tail::of(&content::before(self.file, self.bytes, TAIL_BYTES)?),
            waymarks: Waymarks::default(),
            modified_unix_nano: self.modified_unix_nano,
        })
    }
}

/// Whether a position stands for no content, but for the receiver.
pub(super) fn is_marker(position: &FilePosition) -> bool {
    (position.device, position.inode) == (NO_DEVICE, MARKER)
}

/// Whether the file ends, at `size`, with the last bytes of `expected`.
pub(super) fn ends_with(file: &File, size: u64, expected: &[u8]) -> io::Result<bool> {
    let expected = expected
        .get(expected.len().saturating_sub(TAIL_BYTES)..)
        .unwrap_or(expected);
    let Some(from) = size.checked_sub(expected.len() as u64) else {
        return Ok(false);
    };
    let mut found = [0; TAIL_BYTES];
    let Some(found) = found.get_mut(..expected.len()) else {
        return Ok(false);
    };
    Ok(read_up_to(file, found, from)? == expected.len() && found == expected)
}
