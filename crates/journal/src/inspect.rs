//! A look into a journal's folder that changes nothing and takes no lock, so that it works beside a running program.
//!
//! In: the folder. Out: its segments, cursors and quarantine, and every record and corrupt range in order. Beside a
//! running program the end of the last segment may be half written, and old segments may go while they are read;
//! both are told from damage. Memory: as a reader, one window of 256 KiB or of one record.

mod cursors;

pub use cursors::CursorView;

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::acknowledged;
use crate::error::JournalError;
use crate::format::{
    RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SEGMENT_VERSION, SegmentHeader,
    decode_segment_header, parse_segment_file_name, segment_file_name,
};
use crate::fs::exact::read_full_at;
use crate::fs::{FileSystem, JournalFile, OsFileSystem};
use crate::journal::Record;
use crate::quarantine;
use crate::scan::{Found, Scanner, first_record};

/// A journal's folder, seen from outside.
#[derive(Clone)]
pub struct Inspector {
    dir: PathBuf,
    fs: Arc<dyn FileSystem>,
}

/// A segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentView {
    /// First sequence, by its name.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes in the file.
    pub bytes: u64,
    /// Whether it is the one that is written.
    pub is_last: bool,
    /// Of the last one: everything up to here was acknowledged, and must be in it or before it. 0 when that is not known.
    pub acknowledged: u64,
    /// First sequence of the segment behind it.
    pub ends_before: Option<u64>,
}

/// A range of a segment that cannot be read as records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub segment: PathBuf,
    /// First byte of the range.
    pub offset: u64,
    /// Bytes in the range; 0 where the last segment ends before what was acknowledged.
    pub bytes: u64,
    /// Sequences that are missing around it; `None` when none is, or nothing behind it tells.
    pub lost: Option<RangeInclusive<u64>>,
    /// The operating system's complaint, when the bytes could not even be read.
    pub unreadable: Option<String>,
    /// Nothing behind it was synced: an append under way, or one that a crash has interrupted.
    pub is_unfinished: bool,
}

/// What lies in a segment.
#[derive(Debug)]
pub enum Item {
    /// An intact record.
    Record(Record),
    /// A range without one.
    Damage(Damage),
}

/// A record found in a quarantined range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// What its header says, and the bytes that follow.
    pub record: Record,
    /// Whether the payload's checksum fits.
    pub is_intact: bool,
}

impl Inspector {
    /// Looks into `dir`.
    ///
    /// # Errors
    /// `Io` when there is no such folder.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, JournalError> {
        Self::open_with(dir, Arc::new(OsFileSystem))
    }

    /// Looks into `dir` on the given files.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        dir: impl Into<PathBuf>,
        fs: Arc<dyn FileSystem>,
    ) -> Result<Self, JournalError> {
        let inspector = Self {
            dir: dir.into(),
            fs,
        };
        inspector.segments().map(|_| inspector)
    }

    /// The segments, oldest first.
    ///
    /// # Errors
    /// `Io` when the folder cannot be listed.
    pub fn segments(&self) -> Result<Vec<SegmentView>, JournalError> {
        // Read before the rest, so that what is appended meanwhile is not missed.
        let acknowledged = self.acknowledged();
        let entries = self.fs.list(&self.dir);
        let entries = entries.map_err(|error| JournalError::io("list", &self.dir, error))?;
        let files = entries.into_iter().filter(|entry| entry.is_file);
        let mut segments: Vec<SegmentView> = files
            .filter_map(|entry| {
                let first = parse_segment_file_name(&entry.name)?;
                let (path, bytes) = (self.dir.join(&entry.name), entry.len);
                Some(SegmentView {
                    first,
                    path,
                    bytes,
                    is_last: false,
                    acknowledged: 0,
                    ends_before: None,
                })
            })
            .collect();
        segments.sort_unstable_by_key(|segment| segment.first);
        let ends: Vec<u64> = segments.iter().skip(1).map(|next| next.first).collect();
        for (segment, end) in segments.iter_mut().zip(ends) {
            segment.ends_before = Some(end);
        }
        if let Some(last) = segments.last_mut() {
            last.is_last = true;
            last.acknowledged = acknowledged;
        }
        Ok(segments)
    }

    /// Up to where appends were acknowledged; 0 when that is not known.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        acknowledged::load(&*self.fs, &self.dir).sequence
    }

    /// Files of the quarantine: copies of corrupt ranges and cursors.
    ///
    /// # Errors
    /// `Io` when they cannot be listed.
    pub fn quarantine(&self) -> Result<Vec<PathBuf>, JournalError> {
        let folder = quarantine::folder(&self.dir);
        let mut names = self.names_in(&folder)?;
        names.sort_unstable();
        Ok(names.into_iter().map(|name| folder.join(name)).collect())
    }

    /// Reads a segment to its end and hands over what is there, in order. False when the segment has been
    /// deleted meanwhile.
    ///
    /// # Errors
    /// `UnsupportedVersion`; whatever `each` returns. What cannot be read is damage, not an error.
    pub fn read<E: From<JournalError>>(
        &self,
        segment: &SegmentView,
        each: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<bool, E> {
        let file = match self.fs.open_read(&segment.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(JournalError::io("open", &segment.path, error).into()),
        };
        let len = file.len();
        let len = len.map_err(|error| JournalError::io("read", &segment.path, error))?;
        let mut walk = Walk::new(segment);
        let version = walk.header(&*file, len)?;
        walk.records(&*file, len, each)?;
        walk.end(version, len, each)?;
        Ok(true)
    }

    /// The first intact record of a segment.
    ///
    /// # Errors
    /// `Io` when it cannot be read.
    pub fn first_record(&self, segment: &SegmentView) -> Result<Option<Record>, JournalError> {
        let failed = |error| JournalError::io("read", &segment.path, error);
        let file = self.fs.open_read(&segment.path).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        first_record(&*file, segment.first, len).map_err(failed)
    }

    /// The records in a quarantined range of a segment, as far as their headers can be read.
    ///
    /// # Errors
    /// `Io` when the file cannot be read or is no such copy.
    pub fn salvage(&self, path: &Path) -> Result<Vec<Salvaged>, JournalError> {
        let failed = |error| JournalError::io("read", path, error);
        let first =
            quarantine::first_of(path).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let file = self.fs.open_read(path).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        let mut bytes =
            vec![0; usize::try_from(len).map_err(|error| failed(io::Error::other(error)))?];
        let read = read_full_at(&*file, &mut bytes, 0).map_err(failed)?;
        bytes.truncate(read);
        Ok(salvage(first, &bytes.into()))
    }

    fn names_in(&self, folder: &Path) -> Result<Vec<String>, JournalError> {
        match self.fs.list(folder) {
            Ok(entries) => Ok(entries
                .into_iter()
                .filter(|entry| entry.is_file)
                .map(|entry| entry.name)
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(JournalError::io("list", folder, error)),
        }
    }

    /// Where the segment that starts at `first` is.
    #[must_use]
    pub fn segment_path(&self, first: u64) -> PathBuf {
        self.dir.join(segment_file_name(first))
    }
}

fn salvage(first: u64, bytes: &Bytes) -> Vec<Salvaged> {
    let header_bytes = usize::try_from(RECORD_HEADER_BYTES).unwrap_or(usize::MAX);
    let (mut at, mut found) = (0, Vec::new());
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= header_bytes) {
        let Some(header) = RecordHeader::decode(rest, first) else {
            at += 1;
            continue;
        };
        let end = at.saturating_add(usize::try_from(header.record_bytes()).unwrap_or(usize::MAX));
        let payload = bytes.slice(at + header_bytes..end.min(bytes.len()));
        let is_intact = end <= bytes.len() && crc32c::crc32c(&payload) == header.payload_crc;
        let (sequence, kind) = (header.sequence, header.kind);
        found.push(Salvaged {
            record: Record {
                sequence,
                kind,
                payload,
            },
            is_intact,
        });
        at = end;
    }
    found
}

/// One segment being read.
struct Walk<'s> {
    segment: &'s SegmentView,
    previous: u64,
    /// Damage whose missing sequences the next record tells.
    open: Vec<Damage>,
}

impl<'s> Walk<'s> {
    fn new(segment: &'s SegmentView) -> Self {
        Self {
            segment,
            previous: segment.first - 1,
            open: Vec::new(),
        }
    }

    /// The version in the header, when that is intact.
    fn header<E: From<JournalError>>(
        &mut self,
        file: &dyn JournalFile,
        len: u64,
    ) -> Result<Option<u32>, E> {
        let mut header = [0; 32];
        let read = read_full_at(file, &mut header, 0);
        let read_bytes = *read.as_ref().unwrap_or(&0);
        match decode_segment_header(header.get(..read_bytes).unwrap_or_default()) {
            SegmentHeader::Valid { first, version } if first == self.segment.first => {
                Ok(Some(version))
            }
            SegmentHeader::Newer { version } => {
                let (path, version_max) = (self.segment.path.clone(), SEGMENT_VERSION);
                Err(JournalError::UnsupportedVersion {
                    path,
                    version,
                    version_max,
                }
                .into())
            }
            _ => {
                let bytes = SEGMENT_HEADER_BYTES.min(len);
                let is_young = self.segment.is_last
                    && len <= SEGMENT_HEADER_BYTES
                    && self.segment.acknowledged < self.segment.first;
                if is_young && len == 0 {
                    // The header comes with the first append.
                    return Ok(None);
                }
                let mut damage = self.damage(0, bytes, read.err());
                damage.is_unfinished = is_young;
                self.open.push(damage);
                Ok(None)
            }
        }
    }

    fn records<E: From<JournalError>>(
        &mut self,
        file: &dyn JournalFile,
        len: u64,
        each: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut scanner = Scanner::new(self.segment.first, SEGMENT_HEADER_BYTES.min(len), len);
        loop {
            match scanner.next(file) {
                Ok(None) => return Ok(()),
                Ok(Some(Found::Corrupt { offset, end })) => {
                    let damage = self.damage(offset, end - offset, None);
                    self.open.push(damage);
                }
                Ok(Some(Found::Record { offset, header })) => {
                    self.settle(header.sequence, header.after_sync, each)?;
                    let payload = Bytes::copy_from_slice(scanner.payload(offset, &header));
                    let (sequence, kind) = (header.sequence, header.kind);
                    self.previous = sequence;
                    each(Item::Record(Record {
                        sequence,
                        kind,
                        payload,
                    }))?;
                }
                Err(error) => {
                    let damage = self.damage(scanner.offset(), len - scanner.offset(), Some(error));
                    self.open.push(damage);
                    return Ok(());
                }
            }
        }
    }

    /// A record behind damage tells what is missing, and whether it was synced.
    fn settle<E>(
        &mut self,
        sequence: u64,
        after_sync: bool,
        each: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<(), E> {
        if after_sync || sequence <= self.segment.acknowledged {
            self.open
                .iter_mut()
                .for_each(|damage| damage.is_unfinished = false);
        }
        let missing = self.previous + 1..=sequence - 1;
        if let Some(damage) = self.open.last_mut() {
            if damage.lost.is_none() && !missing.is_empty() {
                damage.lost = Some(missing);
            }
            // Whether it was synced may be told further on; in the last segment it waits for that.
            if !damage.is_unfinished {
                for damage in self.open.drain(..) {
                    each(Item::Damage(damage))?;
                }
            }
        }
        Ok(())
    }

    fn end<E>(
        mut self,
        version: Option<u32>,
        len: u64,
        each: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.previous < self.segment.acknowledged {
            return self.end_too_early(len, each);
        }
        if let Some(next) = self.segment.ends_before
            && self.previous + 1 < next
            && let Some(damage) = self.open.last_mut()
            && damage.lost.is_none()
            && damage.offset + damage.bytes >= len
        {
            damage.lost = Some(self.previous + 1..=next - 1);
        }
        let last = self.open.len().saturating_sub(1);
        for (at, mut damage) in self.open.into_iter().enumerate() {
            // Only version 2 tells synced records apart; before it, the end alone may be unfinished.
            damage.is_unfinished &=
                version == Some(SEGMENT_VERSION) || at == last && damage.lost.is_none();
            each(Item::Damage(damage))?;
        }
        Ok(())
    }

    /// Acknowledged records are missing behind the last one there is, with or without bytes in their place.
    fn end_too_early<E>(
        mut self,
        len: u64,
        each: &mut dyn FnMut(Item) -> Result<(), E>,
    ) -> Result<(), E> {
        let lost = self.previous + 1..=self.segment.acknowledged;
        let is_at_end =
            |damage: &&mut Damage| damage.lost.is_none() && damage.offset + damage.bytes >= len;
        match self.open.last_mut().filter(is_at_end) {
            Some(damage) => damage.lost = Some(lost),
            None => {
                let mut damage = self.damage(len, 0, None);
                damage.lost = Some(lost);
                self.open.push(damage);
            }
        }
        for mut damage in self.open {
            damage.is_unfinished = false;
            each(Item::Damage(damage))?;
        }
        Ok(())
    }

    fn damage(&self, offset: u64, bytes: u64, error: Option<io::Error>) -> Damage {
        Damage {
            segment: self.segment.path.clone(),
            offset,
            bytes,
            lost: None,
            is_unfinished: self.segment.is_last && error.is_none(),
            unreadable: error.map(|error| error.to_string()),
        }
    }
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
