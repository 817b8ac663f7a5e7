//! The bytes of segment and record headers, and the names of segment files. The layout is drawn
//! on the crate's front page.

/// Bytes before the first record of a segment.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 32;
/// Bytes before each payload.
pub(crate) const RECORD_HEADER_BYTES: u64 = 24;
/// The format's own limit on a payload: 64 MiB. Every reader accepts records up to this size,
/// whatever it is configured to write.
pub const RECORD_BYTES_LIMIT: u32 = 64 << 20;
/// Version written into segments.
pub(crate) const SEGMENT_VERSION: u32 = 2;
/// The version before, which is read still: its records do not say where a sync was.
pub(crate) const SEGMENT_VERSION_1: u32 = 1;
/// Version written into cursor files.
pub(crate) const CURSOR_VERSION: u32 = 1;
/// Sequences stay below this, so that adding to one never overflows.
pub(crate) const SEQUENCE_LIMIT: u64 = 1 << 62;

const SEGMENT_MAGIC: [u8; 8] = *b"VRVTJRNL";
const SEGMENT_SUFFIX: &str = ".seg";
const SEGMENT_NAME_DIGITS: usize = 20;
const LAST_OF_APPEND: u8 = 1;
const AFTER_SYNC: u8 = 2;

/// What the first bytes of a segment file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentHeader {
    /// Intact, with this first sequence.
    Valid { first: u64, version: u32 },
    /// Intact, but of a later format version.
    Newer { version: u32 },
    /// Too short, foreign or damaged.
    Invalid,
}

pub(crate) fn encode_segment_header(first: u64, version: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(&SEGMENT_MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

pub(crate) fn decode_segment_header(bytes: &[u8]) -> SegmentHeader {
    let Some((covered, crc)) = bytes
        .get(..32)
        .and_then(|header| header.split_last_chunk::<4>())
    else {
        return SegmentHeader::Invalid;
    };
    let intact = crc32c::crc32c(covered) == u32::from_le_bytes(*crc);
    if !intact || !covered.starts_with(&SEGMENT_MAGIC) {
        return SegmentHeader::Invalid;
    }
    match (read_u32(covered, 8), read_u64(covered, 16)) {
        (Some(version @ SEGMENT_VERSION_1..=SEGMENT_VERSION), Some(first)) => {
            SegmentHeader::Valid { first, version }
        }
        (Some(version), _) if version > SEGMENT_VERSION => SegmentHeader::Newer { version },
        _ => SegmentHeader::Invalid,
    }
}

/// The 24 bytes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) payload_crc: u32,
    pub(crate) sequence: u64,
    pub(crate) kind: u8,
    /// Set on the last record of each append; recovery cuts a tail that lacks it.
    pub(crate) last_of_append: bool,
    /// Set on the first record written after a sync: everything before it is known to be durable.
    pub(crate) after_sync: bool,
}

impl RecordHeader {
    /// `segment_first` goes into the checksum, so a record is valid only in its own segment.
    pub(crate) fn encode(&self, segment_first: u64) -> [u8; 24] {
        let mut bytes = [0; 24];
        let fields = self
            .payload_bytes
            .to_le_bytes()
            .into_iter()
            .chain(self.payload_crc.to_le_bytes())
            .chain(self.sequence.to_le_bytes())
            .chain([self.kind, self.flags()]);
        for (slot, byte) in bytes.iter_mut().zip(fields) {
            *slot = byte;
        }
        let crc = header_crc(bytes.first_chunk().unwrap_or(&[0; 20]), segment_first);
        if let Some(slot) = bytes.last_chunk_mut() {
            *slot = crc.to_le_bytes();
        }
        bytes
    }

    /// Reads a header at the start of `bytes`; `None` unless every field and the checksum fit.
    pub(crate) fn decode(bytes: &[u8], segment_first: u64) -> Option<Self> {
        let bytes = bytes.first_chunk::<24>()?;
        let payload_bytes = read_u32(bytes, 0)?;
        let sequence = read_u64(bytes, 8)?;
        let (kind, flags, reserved) = (bytes[16], bytes[17], [bytes[18], bytes[19]]);
        // The cheap checks come first: recovery tries this at every byte of a corrupt range.
        let plausible = payload_bytes <= RECORD_BYTES_LIMIT
            && flags & !(LAST_OF_APPEND | AFTER_SYNC) == 0
            && reserved == [0, 0]
            && (segment_first..SEQUENCE_LIMIT).contains(&sequence);
        if !plausible || header_crc(bytes.first_chunk()?, segment_first) != read_u32(bytes, 20)? {
            return None;
        }
        Some(Self {
            payload_bytes,
            payload_crc: read_u32(bytes, 4)?,
            sequence,
            kind,
            last_of_append: flags & LAST_OF_APPEND != 0,
            after_sync: flags & AFTER_SYNC != 0,
        })
    }

    fn flags(&self) -> u8 {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        flag(self.last_of_append, LAST_OF_APPEND) | flag(self.after_sync, AFTER_SYNC)
    }

    /// Bytes of the header and its payload.
    pub(crate) fn record_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES + u64::from(self.payload_bytes)
    }
}

fn header_crc(covered: &[u8; 20], segment_first: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment_first.to_le_bytes()), covered)
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u32::from_le_bytes(*chunk))
}

pub(crate) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u64::from_le_bytes(*chunk))
}

/// `00000000000000000001.seg` for the segment that starts at sequence 1.
pub(crate) fn segment_file_name(first: u64) -> String {
    format!("{first:020}{SEGMENT_SUFFIX}")
}

/// The first sequence in a segment's file name; `None` for any other name.
pub(crate) fn parse_segment_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    if digits.len() != SEGMENT_NAME_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits
        .parse()
        .ok()
        .filter(|first| (1..SEQUENCE_LIMIT).contains(first))
}

#[cfg(test)]
mod tests;
