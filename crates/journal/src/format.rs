//! The bytes of segments, records and cursor files. See the crate's front page for the layout.

/// Bytes before the first record of a segment.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 32;
/// The format's own limit on a payload; every reader accepts up to this much.
pub const RECORD_BYTES_LIMIT: u32 = 64 << 20;
