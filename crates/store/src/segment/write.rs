//! Writes one segment and measures it.

mod measure;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use self::measure::Measure;
pub(crate) use self::measure::bounds;
use super::checksum::{Checksum, HashedFile};
use super::groups::GroupWriter;
use super::order::OrderCheck;
use super::properties::{Effort, writer_properties};
use super::shred::shred;
use super::sort::{day_column, sort_batch};
use super::{SegmentError, WrittenFile};
use crate::tables::{Layout, Table};

/// Length of the metadata (4 bytes) and the magic number (4 bytes) that end a Parquet file.
const PARQUET_TAIL_BYTES: i64 = 8;

/// Sorts `batch`, which may be in any earlier layout of its table, and writes it as one segment in `layout`
/// below `data_dir`.
///
/// # Errors
/// As [`write_sorted`].
pub fn write_segment(
    data_dir: &Path,
    layout: &Layout,
    day: i32,
    batch: &RecordBatch,
) -> Result<WrittenFile, SegmentError> {
    let sorted = shred(&sort_batch(layout.table(), batch)?, layout)?;
    let batches = std::iter::once(Ok(sorted));
    write_batches(data_dir, layout, day, Effort::Quick, batches)
}

/// Writes batches that are in the table's order, one after the other, as one segment in `layout` below
/// `data_dir`. Each may be in any earlier layout. When it returns, the file and the folders above it are on disk.
/// Memory: one row group in encoded form and one batch.
///
/// # Errors
/// Any [`SegmentError`]; an error of `batches` is handed on. The unfinished file is deleted.
pub fn write_sorted(
    data_dir: &Path,
    layout: &Layout,
    day: i32,
    batches: impl IntoIterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<WrittenFile, SegmentError> {
    write_checked(data_dir, layout, day, Effort::Quick, batches)
}

/// As [`write_sorted`], and smaller for more work: for segments that are not rewritten soon.
///
/// # Errors
/// As [`write_sorted`].
pub fn write_compacted(
    data_dir: &Path,
    layout: &Layout,
    day: i32,
    batches: impl IntoIterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<WrittenFile, SegmentError> {
    write_checked(data_dir, layout, day, Effort::Thorough, batches)
}

fn write_checked(
    data_dir: &Path,
    layout: &Layout,
    day: i32,
    effort: Effort,
    batches: impl IntoIterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<WrittenFile, SegmentError> {
    let mut order = OrderCheck::new(layout.table())?;
    let checked = batches
        .into_iter()
        .map(|batch| shred(&order.pass(batch?)?, layout));
    write_batches(data_dir, layout, day, effort, checked)
}

fn write_batches(
    data_dir: &Path,
    layout: &Layout,
    day: i32,
    effort: Effort,
    batches: impl Iterator<Item = Result<RecordBatch, SegmentError>>,
) -> Result<WrittenFile, SegmentError> {
    let relative_path = format!("day={day}/{}.parquet", uuid::Uuid::new_v4());
    let path = data_dir.join(layout.table().name()).join(&relative_path);
    create_parent(data_dir, &path)?;
    let written = write_file(&path, layout, day, effort, batches);
    if written.is_err() {
        // The cause is worth more than a second error; what stays is an orphan.
        let _ = fs::remove_file(&path);
    }
    let (measure, metadata, bytes, footer_bytes, checksum) = written?;
    sync_parent(&path)?;
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

type Written = (Measure, ParquetMetaData, u64, u64, Checksum);

fn write_file(
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
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(io)?;
    let mut file = HashedFile::new(file);
    let writer = open_writer(&mut file, layout, effort).map_err(parquet)?;
    let mut writer = GroupWriter::new(writer, layout);
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
    let (mut file, checksum) = file.finish();
    file.sync_all().map_err(io)?;
    let (bytes, footer_bytes) = lengths(&mut file).map_err(io)?;
    Ok((measure, metadata, bytes, footer_bytes, checksum))
}

fn open_writer<'f>(
    file: &'f mut HashedFile,
    layout: &Layout,
    effort: Effort,
) -> Result<ArrowWriter<&'f mut HashedFile>, ParquetError> {
    // The types follow from the Parquet schema alone, so the Arrow schema is not stored a second time.
    let options = ArrowWriterOptions::new()
        .with_properties(writer_properties(layout, effort)?)
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

/// Length of the file and of the Parquet metadata in it.
fn lengths(file: &mut File) -> std::io::Result<(u64, u64)> {
    let mut length = [0_u8; 4];
    let position = file.seek(SeekFrom::End(-PARQUET_TAIL_BYTES))?;
    file.read_exact(&mut length)?;
    let bytes = position.saturating_add(PARQUET_TAIL_BYTES.unsigned_abs());
    Ok((bytes, u64::from(u32::from_le_bytes(length))))
}

/// Makes the folder of `path`. Folders that are new are synced from the top down.
fn create_parent(data_dir: &Path, path: &Path) -> Result<(), SegmentError> {
    let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) else {
        return Ok(());
    };
    fs::create_dir_all(parent).map_err(|source| io_error(parent, source))?;
    let above: Vec<PathBuf> = parent
        .ancestors()
        .skip(1)
        .take_while(|folder| folder.starts_with(data_dir))
        .map(Path::to_owned)
        .collect();
    above
        .iter()
        .rev()
        .try_for_each(|folder| sync_folder(folder))
}

fn sync_parent(path: &Path) -> Result<(), SegmentError> {
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), SegmentError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| io_error(folder, source))
}

fn io_error(path: &Path, source: std::io::Error) -> SegmentError {
    SegmentError::Io {
        path: path.to_owned(),
        source,
    }
}
