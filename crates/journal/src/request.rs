//! One append, encoded by its caller's thread so that the writer only numbers and writes it.

use std::ops::RangeInclusive;

use crate::acknowledged::NOTE_BYTES_MAX;
use crate::error::JournalError;
use crate::format::{RECORD_HEADER_BYTES, RecordHeader};
use crate::journal::Entry;

/// Filled in when the record gets its sequence.
const EMPTY_HEADER: [u8; 24] = [0; 24];

pub(crate) struct Request {
    encoded: Vec<u8>,
    headers: Vec<RecordHeader>,
    payload_bytes: u64,
    note: Vec<u8>,
}

impl Request {
    /// Lays the entries out with room for their headers.
    pub(crate) fn encode(
        entries: &[Entry<'_>],
        record_bytes_max: u32,
        append_bytes_max: u64,
    ) -> Result<Self, JournalError> {
        let mut headers = Vec::with_capacity(entries.len());
        let mut payload_bytes = 0;
        for entry in entries {
            let header = unnumbered_header(entry, record_bytes_max)?;
            payload_bytes += u64::from(header.payload_bytes);
            headers.push(header);
        }
        headers
            .last_mut()
            .ok_or(JournalError::EmptyAppend)?
            .last_of_append = true;
        let bytes = payload_bytes + RECORD_HEADER_BYTES * headers.len() as u64;
        let too_large = || JournalError::TooLarge {
            what: "append",
            bytes,
            bytes_max: append_bytes_max,
        };
        let capacity = usize::try_from(bytes).map_err(|_| too_large())?;
        if bytes > append_bytes_max {
            return Err(too_large());
        }
        let mut encoded = Vec::with_capacity(capacity);
        for entry in entries {
            encoded.extend_from_slice(&EMPTY_HEADER);
            entry
                .parts
                .iter()
                .for_each(|part| encoded.extend_from_slice(part));
        }
        Ok(Self {
            encoded,
            headers,
            payload_bytes,
            note: Vec::new(),
        })
    }

    /// With what is to be known of the journal once it is acknowledged.
    pub(crate) fn noting(mut self, note: &[u8]) -> Self {
        let kept = note.get(..NOTE_BYTES_MAX).unwrap_or(note);
        self.note = kept.to_vec();
        self
    }

    pub(crate) fn note(&self) -> &[u8] {
        &self.note
    }

    /// Gives the records their sequences, from `next` on, as part of the segment that starts at
    /// `segment_first`. `after_sync` when all that is before them is durable.
    pub(crate) fn number(
        &mut self,
        next: u64,
        segment_first: u64,
        after_sync: bool,
    ) -> RangeInclusive<u64> {
        if let Some(first) = self.headers.first_mut() {
            first.after_sync = after_sync;
        }
        let mut rest = self.encoded.as_mut_slice();
        let mut last = next;
        for (header, sequence) in self.headers.iter_mut().zip(next..) {
            header.sequence = sequence;
            last = sequence;
            if let Some(slot) = rest.first_chunk_mut() {
                *slot = header.encode(segment_first);
            }
            let record_bytes = usize::try_from(header.record_bytes()).unwrap_or(usize::MAX);
            rest = rest.get_mut(record_bytes..).unwrap_or_default();
        }
        next..=last
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.encoded.len() as u64
    }

    pub(crate) fn records(&self) -> u64 {
        self.headers.len() as u64
    }

    pub(crate) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}

fn unnumbered_header(
    entry: &Entry<'_>,
    record_bytes_max: u32,
) -> Result<RecordHeader, JournalError> {
    let bytes = entry.parts.iter().map(|part| part.len() as u64).sum();
    let fitting = u32::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= record_bytes_max);
    let payload_bytes = fitting.ok_or(JournalError::TooLarge {
        what: "record",
        bytes,
        bytes_max: u64::from(record_bytes_max),
    })?;
    let payload_crc = entry
        .parts
        .iter()
        .fold(0, |crc, part| crc32c::crc32c_append(crc, part));
    let kind = entry.kind;
    Ok(RecordHeader {
        payload_bytes,
        payload_crc,
        sequence: 0,
        kind,
        last_of_append: false,
        after_sync: false,
    })
}
