//! Reads durable records in order across segments.
//!
//! At most one file is open, and whoever deletes it closes it ([`OpenFile`]): its room comes back though nobody reads on. The
//! place in it stays, with what was read ahead.

use std::io;
use std::sync::Arc;

use crate::core::Core;
use crate::error::JournalError;
use crate::format::SEGMENT_HEADER_BYTES;
use crate::fs::JournalFile;
use crate::journal::Record;
use crate::open_file::OpenFile;
use crate::quarantine::CorruptRange;
use crate::scan::{Found, Scanner};

pub(super) struct Reader {
    core: Arc<Core>,
    /// Everything up to here has been returned or skipped.
    position: u64,
    file: Arc<OpenFile>,
    open: Option<OpenSegment>,
    /// A record that did not fit into the last answer.
    ahead: Option<Record>,
}

struct OpenSegment {
    /// While a call reads.
    file: Option<Arc<dyn JournalFile>>,
    scanner: Scanner,
    last: u64,
}

impl Reader {
    /// Reads on after sequence `position`.
    pub(super) fn new(core: Arc<Core>, position: u64) -> Self {
        let file = core.open_files.add();
        Self {
            core,
            position,
            file,
            open: None,
            ahead: None,
        }
    }

    /// Everything up to here has been returned or cannot be; `None` while a record lies ready.
    pub(super) fn passed(&self) -> Option<u64> {
        self.ahead.is_none().then_some(self.position)
    }

    /// Reads on after sequence `through`, unless reading has come further.
    pub(super) fn skip_to(&mut self, through: u64) {
        self.position = self.position.max(through);
        self.ahead = self.ahead.take().filter(|record| record.sequence > through);
    }

    pub(super) fn read(&mut self, bytes_max: usize) -> Result<Vec<Record>, JournalError> {
        let records = self.read_open(bytes_max);
        if let Some(open) = &mut self.open {
            open.file = None;
            open.scanner.shrink();
        }
        records
    }

    fn read_open(&mut self, bytes_max: usize) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        let mut bytes = 0_usize;
        loop {
            let next = match self.ahead.take() {
                Some(record) => Ok(Some(record)),
                None => self.next_record(),
            };
            let record = match next {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(records),
                // What has been read is good; the failure comes again with the next call.
                Err(_) if !records.is_empty() => return Ok(records),
                Err(error) => return Err(error),
            };
            bytes = bytes.saturating_add(record.payload.len());
            if bytes > bytes_max && !records.is_empty() {
                self.ahead = Some(record);
                return Ok(records);
            }
            records.push(record);
            if bytes >= bytes_max {
                return Ok(records);
            }
        }
    }

    fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        while self.open_segment()? {
            let Some(OpenSegment {
                file: Some(file),
                scanner,
                last,
            }) = &mut self.open
            else {
                return Ok(None);
            };
            let first = scanner.first();
            let found = scanner
                .next(&**file)
                .map_err(|error| JournalError::io("read", &self.core.segment_path(first), error))?;
            match found {
                Some(Found::Record { header, .. }) if header.sequence <= self.position => {}
                Some(Found::Record { offset, header }) => {
                    let payload = scanner.take_payload(offset, &header);
                    self.position = header.sequence;
                    let (sequence, kind) = (header.sequence, header.kind);
                    return Ok(Some(Record {
                        sequence,
                        kind,
                        payload,
                    }));
                }
                Some(Found::Corrupt { offset, end }) => {
                    let range = CorruptRange { first, offset, end };
                    self.core.met_corrupt_range(Some(&**file), range);
                }
                // The records up to `last` that were not found are lost to a corrupt range.
                None => self.position = self.position.max(*last),
            }
        }
        Ok(None)
    }

    /// Opens the segment that holds the next record, or learns how far it can be read by now.
    /// `false` when there is no further record.
    fn open_segment(&mut self) -> Result<bool, JournalError> {
        let Some((first, last, end)) = self.locate() else {
            return Ok(false);
        };
        drop(self.open.take_if(|open| open.scanner.first() != first));
        let open = self.open.get_or_insert_with(|| OpenSegment {
            file: None,
            scanner: Scanner::new(first, SEGMENT_HEADER_BYTES, end),
            last,
        });
        open.scanner.extend_to(end);
        open.last = last;
        if open.file.is_some() {
            return Ok(true);
        }
        if let Some(file) = self.file.of(first) {
            open.file = Some(file);
            return Ok(true);
        }
        let path = self.core.segment_path(first);
        let opened = self.core.fs.open_read(&path);
        if let Ok(file) = &opened {
            self.file.keep(first, Arc::clone(file));
        }
        // Looked at when the file is within reach of whoever deletes it: if it is gone since, nobody else closes it.
        if self.locate().is_none_or(|(now, ..)| now != first) {
            self.file.close(first);
            return self.open_segment();
        }
        let is_missing = matches!(&opened, Err(error) if error.kind() == io::ErrorKind::NotFound);
        if is_missing && self.core.lose_if_gone(first) {
            return self.open_segment();
        }
        let file = opened.map_err(|error| JournalError::io("open", &path, error))?;
        if let Some(open) = &mut self.open {
            open.file = Some(file);
        }
        Ok(true)
    }

    /// First sequence, last sequence and readable bytes of the segment to read next.
    fn locate(&self) -> Option<(u64, u64, u64)> {
        let table = self.core.table.lock();
        let segment = table.segment_for(self.position + 1)?;
        Some((segment.first, segment.last, segment.readable_bytes))
    }
}
