//! Parquet segments: sorted rows of one table and one day.
//!
//! In: record batches of a table, brought to its current [`Layout`](crate::tables::Layout). Out: one file
//! `data/<table>/day=<n>/<uuid>.parquet`, synced to disk together with its folders before it is reported, and the
//! [`WrittenFile`] that a commit needs. Until that commit nobody reads the file; [`settle_orphans`] settles what a crash left behind.
//!
//! Logs and spans carry an index of their tokens and counts ([`index`]). Texts of logs have their numbers and ids stored
//! apart ([`packed`]).
//!
//! Limits: row groups of 122,880 rows, of logs and spans 65,536 or equal parts below that, and of 128 MiB in memory; data pages of 20,000
//! rows or 250 KiB, zstd level 1 at a flush and 9 in compaction.

mod checksum;
mod decimal;
mod error;
mod folder;
mod gather;
mod groups;
pub(crate) mod index;
mod order;
mod orphans;
mod packed;
mod properties;
mod shred;
mod sort;
#[cfg(test)]
mod tests;
mod unclaimed;
mod write;

use crate::catalog::ColumnStats;

pub use checksum::Checksum;
pub(crate) use checksum::Hasher;
pub use decimal::sample_values;

pub use error::SegmentError;
pub use folder::SegmentFolder;
pub(crate) use orphans::count_segments;
pub use orphans::{Settled, settle_orphans};
pub use packed::unpack;
#[cfg(feature = "sql")]
pub(crate) use packed::unpack_column;
pub(crate) use packed::{number_of, unpack_text};
pub use shred::shred;
pub(crate) use sort::{row_converter, sort_keys};
pub use sort::{sort_batch, split_by_day};
pub use unclaimed::{Forgotten, UNCLAIMED_FOLDER, UNCLAIMED_KEPT, unclaimed};
pub(crate) use write::bounds;
pub use write::{write_compacted, write_gathered, write_segment, write_sorted};

/// Rows in a row group: the unit that statistics and the page index skip.
pub const ROW_GROUP_ROWS_MAX: usize = 122_880;

/// A segment on disk that no commit shows yet.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenFile {
    /// Below the table's folder: `day=<n>/<uuid>.parquet`.
    pub relative_path: String,
    /// Days since 1970-01-01 of every row.
    pub day: i32,
    /// Its [`DataFile::order`](crate::catalog::DataFile::order), when it is made of other files; else its id.
    pub order: Option<i64>,
    /// Its [`DataFile::class`](crate::catalog::DataFile::class).
    pub class: String,
    pub rows: u64,
    pub bytes: u64,
    /// Length of the Parquet metadata, without the 8 bytes after it.
    pub footer_bytes: u64,
    /// Of the whole file.
    pub checksum: Checksum,
    /// Exact statistics of [`Table::stats_columns`](crate::tables::Table::stats_columns) and of promoted columns.
    pub column_stats: Vec<ColumnStats>,
}
