//! One segment as recovery finds it.

use std::io;
use std::sync::Arc;

use crate::format::{
    RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, SEGMENT_VERSION, SegmentHeader,
    decode_segment_header,
};
use crate::fs::JournalFile;
use crate::fs::exact::read_full_at;
use crate::scan::{Found, Scanner};
use crate::table::Segment;

pub(super) struct ScannedSegment {
    pub(super) file: Arc<dyn JournalFile>,
    pub(super) segment: Segment,
    pub(super) payload_bytes: u64,
    /// Corrupt ranges as (first byte, byte after).
    pub(super) corrupt: Vec<(u64, u64)>,
    /// Its first record.
    pub(super) head: Option<u64>,
    /// Records between which sequences are missing.
    pub(super) gaps: Vec<(u64, u64)>,
    /// Of an intact header that belongs here.
    pub(super) version: Option<u32>,
    /// The header is too short or empty, as a crash during the segment's creation leaves it.
    header_torn: bool,
    pub(super) newer_version: Option<u32>,
    /// Reading failed at the end of `readable_bytes`; nothing behind it is known.
    pub(super) unreadable: bool,
    whole: Whole,
    /// The state before the first corrupt range behind the last record that is known to be durable.
    torn: Option<Whole>,
    /// Everything up to here was acknowledged.
    acknowledged: u64,
    /// Only that tells that a record behind damage is durable.
    told_durable: bool,
    /// Only that tells that the rest of an append is worth keeping.
    told_whole: bool,
}

/// The state after the last record that ended its append.
#[derive(Clone, Copy)]
struct Whole {
    end: u64,
    last: u64,
    records: u64,
    payload_bytes: u64,
}

/// Reads the segment that starts at `first`; its records must follow `previous`. Everything up to `acknowledged` was
/// acknowledged, perhaps more.
pub(super) fn scan_segment(
    file: Arc<dyn JournalFile>,
    first: u64,
    previous: u64,
    acknowledged: u64,
) -> io::Result<ScannedSegment> {
    let len = file.len()?;
    let mut header = [0; 32];
    let (read, header_unreadable) = match read_full_at(&*file, &mut header, 0) {
        Ok(read) => (read, false),
        Err(_) => (0, true),
    };
    let parsed = decode_segment_header(header.get(..read).unwrap_or_default());
    let header_bytes = SEGMENT_HEADER_BYTES.min(len);
    let mut segment = Segment::empty(first, len);
    segment.last = segment.last.max(previous);
    let mut scanned = ScannedSegment {
        file,
        payload_bytes: 0,
        corrupt: Vec::new(),
        head: None,
        gaps: Vec::new(),
        version: match parsed {
            SegmentHeader::Valid {
                first: own,
                version,
            } if own == first => Some(version),
            _ => None,
        },
        torn: None,
        acknowledged,
        told_durable: false,
        told_whole: false,
        header_torn: len < SEGMENT_HEADER_BYTES || (header == [0; 32] && !header_unreadable),
        newer_version: match parsed {
            SegmentHeader::Newer { version } => Some(version),
            _ => None,
        },
        unreadable: header_unreadable,
        whole: Whole {
            end: header_bytes,
            last: segment.last,
            records: 0,
            payload_bytes: 0,
        },
        segment,
    };
    if scanned.version.is_none() && len > 0 {
        scanned.add_corrupt(0, header_bytes);
    }
    if header_unreadable {
        scanned.segment.readable_bytes = 0;
    } else if scanned.newer_version.is_none() {
        scanned.read_records(header_bytes, len, previous);
    }
    Ok(scanned)
}

impl ScannedSegment {
    fn read_records(&mut self, from: u64, len: u64, previous: u64) {
        let file = Arc::clone(&self.file);
        let mut scanner = Scanner::new(self.segment.first, from, len).after(previous);
        loop {
            match scanner.next(&*file) {
                Ok(None) => return,
                Ok(Some(Found::Corrupt { offset, end })) => {
                    self.torn.get_or_insert(self.whole);
                    self.add_corrupt(offset, end);
                }
                Ok(Some(Found::Record { header, .. })) => {
                    let is_acknowledged = header.sequence <= self.acknowledged;
                    if header.after_sync || is_acknowledged {
                        let was_torn = self.torn.take().is_some();
                        self.told_durable = !header.after_sync && (self.told_durable || was_torn);
                    }
                    match self.head {
                        None => self.head = Some(header.sequence),
                        Some(_) if header.sequence > self.segment.last + 1 => {
                            self.gaps.push((self.segment.last, header.sequence));
                        }
                        Some(_) => {}
                    }
                    self.segment.last = header.sequence;
                    self.segment.records += 1;
                    self.payload_bytes += u64::from(header.payload_bytes);
                    // Of an append whose end is gone, the rest stays.
                    if header.last_of_append || is_acknowledged {
                        self.told_whole = !header.last_of_append;
                        self.whole = Whole {
                            end: scanner.offset(),
                            last: self.segment.last,
                            records: self.segment.records,
                            payload_bytes: self.payload_bytes,
                        };
                    }
                }
                Err(error) => {
                    tracing::error!(%error, segment = self.segment.first, "segment unreadable");
                    self.unreadable = true;
                    self.segment.readable_bytes = scanner.offset();
                    self.add_corrupt(scanner.offset(), len);
                    return;
                }
            }
        }
    }

    /// How many records the bytes that cannot be read could hold, with those before them.
    pub(super) fn hidden_records_max(&self) -> u64 {
        let hidden_bytes = self.segment.disk_bytes - self.segment.readable_bytes;
        self.segment.records + hidden_bytes / RECORD_HEADER_BYTES
    }

    /// Whether damage stands before its first record, or that is not the one the segment began with.
    pub(super) fn starts_damaged(&self, head: u64) -> bool {
        let begins = |(offset, _): &(u64, u64)| *offset <= SEGMENT_HEADER_BYTES;
        head != self.segment.first || self.corrupt.iter().any(begins)
    }

    /// Whether damage stands behind its last record.
    pub(super) fn ends_damaged(&self) -> bool {
        let len = self.segment.disk_bytes;
        self.unreadable || self.corrupt.iter().any(|(_, end)| *end >= len)
    }

    /// Whether the segment itself does not tell that its last records were acknowledged: it must not be the last one any
    /// longer, or another recovery, which may know less, would cut them.
    pub(super) fn needs_successor(&self) -> bool {
        self.told_durable || self.told_whole
    }

    /// Whether it has neither a record nor a header: the writer begins it anew.
    pub(super) fn is_bare(&self) -> bool {
        self.segment.records == 0 && self.version.is_none()
    }

    fn add_corrupt(&mut self, offset: u64, end: u64) {
        self.segment.corrupt_offsets.insert(offset);
        self.corrupt.push((offset, end));
    }

    /// Forgets what follows the last whole append: an append that a crash interrupted. A crash may also have kept
    /// later bytes of it and lost earlier ones; so behind the last sync the first corrupt range ends what
    /// is whole. A header cut short by a crash is no damage either.
    pub(super) fn cut_torn_tail(&mut self) {
        let knows_syncs = self.version == Some(SEGMENT_VERSION);
        self.whole = self.torn.filter(|_| knows_syncs).unwrap_or(self.whole);
        let Whole {
            end,
            last,
            records,
            payload_bytes,
        } = self.whole;
        let nothing_kept = records == 0;
        let header_torn = self.header_torn && nothing_kept;
        self.segment.disk_bytes = end;
        self.segment.last = last;
        self.segment.records = records;
        self.gaps.retain(|(_, before)| *before <= last);
        self.head = self.head.filter(|_| records > 0);
        self.payload_bytes = payload_bytes;
        if nothing_kept && self.version.is_none() && !header_torn {
            // The whole file is damaged, not just its tail: keep a copy of all of it.
            return;
        }
        self.corrupt
            .retain(|(offset, _)| *offset < end && !header_torn);
        self.segment.corrupt_offsets = self.corrupt.iter().map(|(offset, _)| *offset).collect();
    }
}
