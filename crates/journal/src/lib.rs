//! Segmented append-only log: the agent's disk buffer and the collector's write-ahead log.
//!
//! In: records (a kind byte and a payload) appended by any thread. Out: the same records, in
//! order, to each named [`Cursor`], which remembers durably how far its consumer has come.
//!
//! # Invariants
//! - A record is acknowledged, and visible to readers, only after its sync (under
//!   [`SyncPolicy::Interval`] it is acknowledged after the write, but visible only after the sync).
//! - Sequences start at 1 and strictly increase, also after everything has been deleted. A gap
//!   means records lost to damage.
//! - An append is in the log whole or not at all; its records share a segment.
//! - A failed sync is never tried again: the journal refuses appends until it is reopened, or until [`Journal::mend`] has
//!   cut away what the sync was for.
//! - A segment is deleted when every cursor has let go of it and it is not the active one. Without
//!   a cursor nothing is deleted. [`OnFull::DropOldest`] takes what a cursor has under way last. A cursor with an end
//!   ([`Cursor::end_at`]) needs nothing behind it, so that segments may go between others that stay.
//! - What is deleted gives its room back at once: a cursor keeps at most one file open, and deleting closes it. A segment begins
//!   as an empty file, so that the one before it can go before anything is written; its header is synced before its first record.
//! - Opening succeeds on any content: a torn tail of the last segment is cut, other damage is
//!   copied to `quarantine/`, skipped, counted and reported.
//! - One process at a time: an exclusive lock on the file `lock`.
//!
//! # Limits
//! Payload 64 MiB, cursor state 64 MiB, cursor name 64 bytes, quarantine 64 MiB in all, sequences
//! below 2^62. Segments are 16 MiB by default; an append larger than a segment gets one of its
//! own. A reader holds one window of 256 KiB, or of one record where that is larger.
//!
//! # Files
//! ```text
//! lock                         empty, locked while open
//! 00000000000000000001.seg     segment, named by its first sequence in 20 digits
//! acknowledged                 up to where appends were acknowledged, written over in place
//! known-cursors, cursors/known the names of all cursors, twice: one that is named and has no file starts again at the oldest record
//! cursors/NAME.cur             one per cursor, replaced by an exchange with NAME.cur.tmp, which stays as room for the next
//!                              and to go on from where NAME.cur is damaged
//! quarantine/FIRST-OFFSET-BYTES.bin   a corrupt range of segment FIRST; NAME.cur: a corrupt cursor
//! ```
//!
//! # Format, version 2 (integers little-endian, CRC32C everywhere)
//! ```text
//! segment header, 32 bytes            record, 24 bytes + payload
//! offset bytes                        offset bytes
//!      0     8 magic "VRVTJRNL"            0     4 payload length, at most 64 MiB
//!      8     4 version = 2                 4     4 CRC of the payload
//!     12     4 zero                        8     8 sequence
//!     16     8 first sequence             16     1 kind
//!     24     4 zero                       17     1 flags: bit 0 = last record of its append
//!                                         17     1   bit 1 = first record after a sync
//!     28     4 CRC of bytes 0..28         18     2 zero
//!                                         20     4 CRC of the segment's first sequence (8 bytes)
//! cursor file, 28 bytes + state                    and of bytes 0..20
//! offset bytes                            24     n payload
//!      0     8 magic "VRVTCURS"
//!      8     4 version = 1
//!     12     8 committed sequence
//!     20     4 state length, at most 64 MiB
//!     24     4 CRC of bytes 0..24 and of the state
//!     28     n state
//!
//! acknowledged, 28 bytes + note
//! offset bytes
//!      0     8 magic "VRVTACKN"
//!      8     4 version = 1
//!     12     4 note length, at most 64
//!     16     8 sequence
//!     24     4 CRC of bytes 0..24 and of the note
//!     28     n note of the append that ended there
//! ```
//! The header has its own checksum so that a damaged payload costs one record, and so that a
//! search behind a corrupt range needs no payload to recognise a header. It covers the segment's
//! first sequence, which keeps a record that was copied from elsewhere from being taken for one
//! of this segment. The file's name repeats the first sequence, so a segment survives the loss of
//! its header.
//!
//! A power cut may keep later bytes of what was not synced and lose earlier ones. Bit 1 tells that from rot: when no
//! record behind a corrupt range of the last segment has it, nothing behind the range was acknowledged after it,
//! and all of that is cut. So does a record whose sequence is in `acknowledged`: that is written after the sync, not synced
//! itself, and so may be behind, never ahead. What it tells of and is not there has been lost, and is reported. Segments of version 1 lack the bit; they are read, never continued. Cursor files are of
//! version 1.

mod acknowledged;
mod config;
mod core;
mod cursor;
mod cursor_file;
mod error;
mod format;
mod fs;
mod group;
mod inspect;
mod journal;
mod known_cursors;
mod open_file;
mod quarantine;
mod recovery;
mod repair;
mod request;
mod scan;
mod stats;
mod survey;
mod sync_thread;
mod table;
mod tell;
mod volume;
mod writer;

pub use acknowledged::NOTE_BYTES_MAX;
pub use config::{JournalConfig, OnFull, SyncPolicy};
pub use cursor::{Cursor, Hold};
pub use cursor_file::CURSOR_STATE_BYTES_MAX;
pub use error::JournalError;
pub use format::RECORD_BYTES_LIMIT;
pub use fs::{FileEntry, FileSystem, JournalFile, OsFileSystem};
pub use inspect::{CursorView, Damage, Inspector, Item, Salvaged, SegmentView};
pub use journal::{Entry, Evicted, EvictionListener, Journal, Listener, Record};
pub use repair::{Removed, RepairReport, repair};
pub use stats::{CursorStats, Gap, JournalStats, LostEnd, QuarantinedRange, RecoveryReport};
pub use survey::{Survey, SurveyedSegment};
