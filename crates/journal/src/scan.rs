//! Reads the records of one segment in order and finds the next one behind a corrupt range.
//!
//! In: a file at each call, the segment's first sequence, a byte range. Out: valid records and the corrupt
//! ranges between them. Memory: one window of 256 KiB, or of one record where that is larger. A
//! length is believed only after the header's checksum and the range have agreed with it.

use std::io;

use bytes::Bytes;

use crate::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES};
use crate::fs::JournalFile;
use crate::fs::exact::read_full_at;
use crate::journal::Record;

const WINDOW_BYTES: u64 = 256 << 10;
/// A payload may keep that part of its size in bytes of the window around it.
const WINDOW_SPARE_SHARE: usize = 8;

/// What lies at a place in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record whose checksums fit; `Scanner::payload` has its bytes until the next call.
    Record { offset: u64, header: RecordHeader },
    /// Bytes from `offset` up to `end` that hold no valid record.
    Corrupt { offset: u64, end: u64 },
}

enum Parsed {
    Good(RecordHeader),
    /// The header is intact, the payload is not.
    BadPayload(RecordHeader),
    /// The header is intact and promises more bytes than there are.
    CutOff,
    NoHeader,
}

/// The first intact record of the segment that starts at sequence `first`, before byte `end`.
pub(crate) fn first_record(
    file: &dyn JournalFile,
    first: u64,
    end: u64,
) -> io::Result<Option<Record>> {
    let mut scanner = Scanner::new(first, SEGMENT_HEADER_BYTES.min(end), end);
    while let Some(found) = scanner.next(file)? {
        if let Found::Record { offset, header } = found {
            return Ok(Some(scanner.record(offset, &header)));
        }
    }
    Ok(None)
}

/// The last intact record of that segment.
pub(crate) fn last_record(
    file: &dyn JournalFile,
    first: u64,
    end: u64,
) -> io::Result<Option<Record>> {
    let mut scanner = Scanner::new(first, SEGMENT_HEADER_BYTES.min(end), end);
    let mut last = None;
    while let Some(found) = scanner.next(file)? {
        if let Found::Record { offset, header } = found {
            last = Some(scanner.record(offset, &header));
        }
    }
    Ok(last)
}

/// A place in a segment and what was read ahead of it. The file is given anew with each step, so that a scanner keeps
/// none open.
pub(crate) struct Scanner {
    first: u64,
    offset: u64,
    end: u64,
    previous: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl Scanner {
    /// Scans from byte `offset` to byte `end` of the segment that starts at sequence `first`.
    pub(crate) fn new(first: u64, offset: u64, end: u64) -> Self {
        let previous = first.saturating_sub(1);
        Self {
            first,
            offset,
            end,
            previous,
            window: Vec::new(),
            window_start: 0,
        }
    }

    /// Accepts only records after sequence `previous`.
    pub(crate) fn after(mut self, previous: u64) -> Self {
        self.previous = self.previous.max(previous);
        self
    }

    /// A copy of the record that was just found.
    fn record(&self, offset: u64, header: &RecordHeader) -> Record {
        Record {
            sequence: header.sequence,
            kind: header.kind,
            payload: Bytes::copy_from_slice(self.payload(offset, header)),
        }
    }

    /// First sequence of the segment being read.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Where the next call starts.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves the end forward, after more of the segment has become durable.
    pub(crate) fn extend_to(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Forgets what was read and is of no more use.
    pub(crate) fn shrink(&mut self) {
        if self.offset >= self.end {
            self.window = Vec::new();
        }
    }

    /// The next record or corrupt range of the segment, which is `file`; `None` at the end.
    pub(crate) fn next(&mut self, file: &dyn JournalFile) -> io::Result<Option<Found>> {
        let offset = self.offset;
        if offset >= self.end {
            return Ok(None);
        }
        let found = match self.parse(file, offset)? {
            Parsed::Good(header) => {
                self.previous = header.sequence;
                self.offset = offset + header.record_bytes();
                return Ok(Some(Found::Record { offset, header }));
            }
            Parsed::BadPayload(header) => {
                self.previous = header.sequence;
                Found::Corrupt {
                    offset,
                    end: offset + header.record_bytes(),
                }
            }
            Parsed::CutOff => Found::Corrupt {
                offset,
                end: self.end,
            },
            Parsed::NoHeader => Found::Corrupt {
                offset,
                end: self.find_record(file, offset + 1)?,
            },
        };
        let Found::Corrupt { end, .. } = found else {
            return Ok(Some(found));
        };
        self.offset = end;
        Ok(Some(found))
    }

    /// The payload of the record that `next` has just returned.
    pub(crate) fn payload(&self, offset: u64, header: &RecordHeader) -> &[u8] {
        self.slice(
            offset + RECORD_HEADER_BYTES,
            u64::from(header.payload_bytes),
        )
    }

    /// As [`Scanner::payload`], to keep. Where it is nearly all of the window, the window's memory goes with it: records
    /// of more than a window are read into place, not copied.
    pub(crate) fn take_payload(&mut self, offset: u64, header: &RecordHeader) -> Bytes {
        let payload = self.payload(offset, header);
        let bytes = payload.len();
        let before = usize::try_from(offset + RECORD_HEADER_BYTES - self.window_start);
        match before {
            Ok(before) if self.window.len() - bytes <= bytes / WINDOW_SPARE_SHARE => {
                Bytes::from(std::mem::take(&mut self.window)).slice(before..before + bytes)
            }
            _ => Bytes::copy_from_slice(payload),
        }
    }

    /// First place from `at` on where a valid record starts, or the end.
    fn find_record(&mut self, file: &dyn JournalFile, mut at: u64) -> io::Result<u64> {
        while at + RECORD_HEADER_BYTES <= self.end {
            match self.parse(file, at)? {
                Parsed::Good(_) => return Ok(at),
                // An intact header is believed, which also keeps this search linear.
                Parsed::BadPayload(header) => at += header.record_bytes(),
                Parsed::CutOff => return Ok(self.end),
                Parsed::NoHeader => at += 1,
            }
        }
        Ok(self.end)
    }

    fn parse(&mut self, file: &dyn JournalFile, at: u64) -> io::Result<Parsed> {
        if self.end - at < RECORD_HEADER_BYTES {
            return Ok(Parsed::NoHeader);
        }
        self.fill(file, at, RECORD_HEADER_BYTES)?;
        let decoded = RecordHeader::decode(self.slice(at, RECORD_HEADER_BYTES), self.first);
        let Some(header) = decoded.filter(|header| header.sequence > self.previous) else {
            return Ok(Parsed::NoHeader);
        };
        if header.record_bytes() > self.end - at {
            return Ok(Parsed::CutOff);
        }
        self.fill(file, at, header.record_bytes())?;
        let intact = crc32c::crc32c(self.payload(at, &header)) == header.payload_crc;
        Ok(if intact {
            Parsed::Good(header)
        } else {
            Parsed::BadPayload(header)
        })
    }

    /// Makes the window cover `bytes` bytes from `at`, which must lie before the end.
    fn fill(&mut self, file: &dyn JournalFile, at: u64, bytes: u64) -> io::Result<()> {
        if !self.slice(at, bytes).is_empty() {
            return Ok(());
        }
        let ahead = bytes.max(WINDOW_BYTES).min(self.end - at);
        if self.load(file, at, ahead).is_err() {
            // A bad sector further on must not take the readable bytes before it along.
            self.load(file, at, bytes)?;
        }
        if (self.window.len() as u64) < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn load(&mut self, file: &dyn JournalFile, at: u64, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        // What it has of the place already is not read again.
        let had = match at == self.window_start && self.window.len() < bytes {
            true => self.window.len(),
            false => 0,
        };
        self.window.truncate(had);
        // One large record must not keep its memory for ever.
        self.window.shrink_to(bytes);
        self.window.reserve_exact(bytes - had);
        self.window.resize(bytes, 0);
        self.window_start = at;
        let rest = self.window.get_mut(had..).unwrap_or_default();
        let read = read_full_at(file, rest, at + had as u64);
        self.window.truncate(had + *read.as_ref().unwrap_or(&0));
        read.map(drop)
    }

    /// The bytes at `at` in the window; empty when the window does not cover them all.
    fn slice(&self, at: u64, bytes: u64) -> &[u8] {
        at.checked_sub(self.window_start)
            .and_then(|start| usize::try_from(start).ok())
            .zip(usize::try_from(bytes).ok())
            .and_then(|(start, bytes)| self.window.get(start..)?.get(..bytes))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
