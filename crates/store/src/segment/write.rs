//! Writes one segment and measures it.

mod measure;

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use vervet_journal::{FileSystem, JournalFile};

use self::measure::Measure;
pub(crate) use self::measure::bounds;
use super::checksum::{Checksum, HashedFile};
use super::gather::Gather;
use super::groups::GroupWriter;
use super::order::OrderCheck;
use super::properties::{Effort, writer_properties};
use super::shred::shred;
use super::sort::{day_column, sort_batch};
use super::{SegmentError, SegmentFolder, WrittenFile};
use crate::tables::{Layout, Table};

/// Length of the metadata (4 bytes) and the magic number (4 bytes) that end a Parquet file.
const PARQUET_TAIL_BYTES: u64 = 8;
/// A folder may be removed, while it is empty, between its making and that of the file in it.
const CREATE_TRIES_MAX: u32 = 4;

/// Sorts `batch`, which may be in any earlier layout of its table, and writes it as one segment in `layout`
/// below `folder`.
///
/// # Errors
/// As [`write_sorted`].
pub fn write_segment<'f>(
    folder: impl Into<SegmentFolder<'f>>,
    layout: &Layout,
    day: i32,
    batch: &RecordBatch,
) -> Result<WrittenFile, SegmentError> {
    let sorted = shred(&sort_batch(layout.table(), batch)?, layout)?;
    let batches = std::iter::once(Ok(sorted));
    write_batches(folder.into(), layout, day, Effort::Least, batches)
}

/// As [`write_segment`], of the rows of several batches of the table's own columns, all of that day: each value is copied
/// once.
///
/// # Errors
/// As [`write_sorted`].
pub fn write_gathered<'f>(
    folder: impl Into<SegmentFolder<'f>>,
    layout: &Layout,
    day: i32,
    batches: &[RecordBatch],
) -> Result<WrittenFile, SegmentError> {
    let gather = Gather::new(layout, batches)?;
    write_batches(folder.into(), layout, day, Effort::Least, gather.batches())
}

/// Writes batches that are in the table's order, one after the other, as one segment in `layout` below
/// `folder`, in a form that takes less and longer than that of [`write_gathered`]. Each may be in any earlier layout. When it returns, the file and the folders above it are on disk.
/// Memory: one row group in encoded form and one batch.
///
/// # Errors
/// Any [`SegmentError`]; an error of `batches` is handed on. The unfinished file is deleted.
pub fn write_sorted<'f>(
    folder: impl Into<SegmentFolder<'f>>,
    layout: &Layout,
    day: i32,
    batches: impl IntoIterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<WrittenFile, SegmentError> {
    write_checked(folder.into(), layout, day, Effort::Quick, batches)
}

/// As [`write_sorted`], and smaller for more work: for segments that are not rewritten soon.
///
/// # Errors
/// As [`write_sorted`].
pub fn write_compacted<'f>(
    folder: impl Into<SegmentFolder<'f>>,
    layout: &Layout,
    day: i32,
    batches: impl IntoIterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<WrittenFile, SegmentError> {
    write_checked(folder.into(), layout, day, Effort::Thorough, batches)
}

fn write_checked(
    folder: SegmentFolder<'_>,
    layout: &Layout,
    day: i32,
    effort: Effort,
    batches: impl IntoIterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<WrittenFile, SegmentError> {
    let mut order = OrderCheck::new(layout.table())?;
    let checked = batches
        .into_iter()
        .map(|batch| shred(&order.pass(batch?)?, layout));
    write_batches(folder, layout, day, effort, checked)
}

fn write_batches(
    folder: SegmentFolder<'_>,
    layout: &Layout,
    day: i32,
    effort: Effort,
    batches: impl Iterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<WrittenFile, SegmentError> {
    let relative_path = format!("day={day}/{}.parquet", uuid::Uuid::new_v4());
    let path = folder.dir.join(layout.table().name()).join(&relative_path);
    let parent = path.parent().unwrap_or(folder.dir);
    let file = create(folder.fs, parent, &path)?;
    let written = write_file(file, &path, layout, day, effort, batches).and_then(|written| {
        let synced = folder.fs.sync_dir(parent);
        synced.map_err(|source| io_error(parent, source))?;
        Ok(written)
    });
    if written.is_err() {
        // The cause is worth more than a second error; what stays is an orphan.
        let _ = folder.fs.remove(&path);
    }
    let (measure, metadata, bytes, footer_bytes, checksum) = written?;
    Ok(WrittenFile {
        relative_path,
        day,
        order: None,
        class: String::new(),
        rows: measure.rows(),
        bytes,
        footer_bytes,
        checksum,
        column_stats: measure.finish(&metadata),
    })
}

/// Makes the file, and its folder when there is none.
fn create(
    fs: &dyn FileSystem,
    parent: &Path,
    path: &Path,
) -> Result<Arc<dyn JournalFile>, SegmentError> {
    let mut tries_left = CREATE_TRIES_MAX;
    loop {
        fs.create_dir_all(parent)
            .map_err(|source| io_error(parent, source))?;
        tries_left -= 1;
        match fs.create_new(path) {
            Ok(file) => return Ok(file),
            // It was empty and is removed by reclaim.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries_left > 0 => {}
            Err(source) => return Err(io_error(path, source)),
        }
    }
}

type Written = (Measure, ParquetMetaData, u64, u64, Checksum);

fn write_file(
    file: Arc<dyn JournalFile>,
    path: &Path,
    layout: &Layout,
    day: i32,
    effort: Effort,
    batches: impl Iterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<Written, SegmentError> {
    let table = layout.table();
    let io = |source| io_error(path, source);
    let parquet = |source| SegmentError::Parquet {
        path: path.to_owned(),
        source,
    };
    let mut file = HashedFile::new(file);
    let mut batches = batches.peekable();
    let sample = batches.peek().and_then(|first| first.as_ref().ok());
    let first_rows = sample.map_or(0, RecordBatch::num_rows);
    let writer = open_writer(&mut file, layout, effort, sample).map_err(parquet)?;
    let mut writer = GroupWriter::new(writer, layout, effort, first_rows);
    let mut measure = Measure::new(layout);
    for batch in batches {
        let batch = batch?;
        check_day(table, day, &batch)?;
        measure.add(&batch);
        writer.write(&batch).map_err(parquet)?;
    }
    if measure.rows() == 0 {
        return Err(SegmentError::Empty {
            table: table.name(),
        });
    }
    let metadata = writer.finish().map_err(parquet)?;
    let (file, bytes, checksum) = file.finish();
    file.sync().map_err(io)?;
    let footer_bytes = footer_bytes(&*file, bytes).map_err(io)?;
    Ok((measure, metadata, bytes, footer_bytes, checksum))
}

fn open_writer<'f>(
    file: &'f mut HashedFile,
    layout: &Layout,
    effort: Effort,
    sample: Option<&RecordBatch>,
) -> Result<ArrowWriter<&'f mut HashedFile>, ParquetError> {
    // The types follow from the Parquet schema alone, so the Arrow schema is not stored a second time.
    let options = ArrowWriterOptions::new()
        .with_properties(writer_properties(layout, effort, sample)?)
        .with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(file, layout.file_schema(), options)
}

fn check_day(table: Table, day: i32, batch: &RecordBatch) -> Result<(), SegmentError> {
    match day_column(table, batch)?
        .values()
        .iter()
        .find(|found| **found != day)
    {
        None => Ok(()),
        Some(found) => Err(SegmentError::Day {
            table: table.name(),
            expected: day,
            found: *found,
        }),
    }
}

/// Length of the Parquet metadata in a file of `bytes`.
fn footer_bytes(file: &dyn JournalFile, bytes: u64) -> io::Result<u64> {
    let mut length = [0_u8; 4];
    let read = file.read_at(&mut length, bytes.saturating_sub(PARQUET_TAIL_BYTES))?;
    match read == length.len() {
        true => Ok(u64::from(u32::from_le_bytes(length))),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn io_error(path: &Path, source: io::Error) -> SegmentError {
    SegmentError::Io {
        path: path.to_owned(),
        source,
    }
}
