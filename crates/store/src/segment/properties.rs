//! How each column is encoded. The order of the rows saves more than any of this.
//!
//! Every column begins with a dictionary. Where values hardly repeat it is full after a few pages, and the rest of
//! the row group is encoded as follows. Texts are plain: zstd finds more in them with the lengths in between than
//! without. Doubles are plain too, because most were decimal numbers once and share most of their bytes; a
//! stream per byte takes twice as much of those. Ids are random bytes, with their lengths, all the same, apart. Integers are
//! differences, or plain where the first rows say that this is smaller: DuckDB reads streams of bytes of doubles only, which is
//! why numbers of packed values are doubles.
//!
//! In ids, digits, times and integers of logs and spans zstd finds nothing but that some bytes are more frequent than others. Where it looks
//! for more, it finds by chance what takes more room: they have the least level always.

mod integers;

use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Field};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::ROW_GROUP_ROWS_MAX;
use super::index::FilterKind;
use crate::tables::packed::{PREFIX, companion, number_companion, packed_columns};
use crate::tables::{Layout, PromotedKind, Table, column, map_fields};

/// How much work compression is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Written once a minute, on the way in, and rewritten soon.
    Least,
    /// Merged, and rewritten within a day.
    Quick,
    /// Kept for long: a tenth smaller for five times the work.
    Thorough,
}

impl Effort {
    /// Level 1 makes less of texts of this kind than level 3 does, in half the time.
    fn zstd_level(self) -> i32 {
        match self {
            Self::Least | Self::Quick => LEVEL_LEAST,
            Self::Thorough => 9,
        }
    }

    pub(super) fn filters(self) -> FilterKind {
        match self {
            Self::Least => FilterKind::Blooms,
            Self::Quick | Self::Thorough => FilterKind::Ribbons,
        }
    }
}

const LEVEL_LEAST: i32 = 1;
/// Tests have pages enough that some are skipped.
const DATA_PAGE_ROWS_MAX: usize = if cfg!(test) { 16 } else { 20_000 };
/// Values that a column takes before it looks whether a page is full.
const WRITE_ROWS: usize = if cfg!(test) { 16 } else { 1_024 };
/// Before compression. zstd searches harder in blocks of up to 256 KiB.
const DATA_PAGE_BYTES_MAX: usize = 250 << 10;
/// Pages of times, which tell where the newest rows are, and of ids and digits, of which most are read for a few rows:
/// they repeat nothing, so short pages take hardly more.
const SHORT_PAGE_BYTES_MAX: usize = 32 << 10;
const INTEGER_PAGE_BYTES_MAX: usize = 64 << 10;
const TIME_PAGE_BYTES_MAX: usize = 12 << 10;
/// Samples have one page a row group: the times of one target's series repeat each other, which is only seen within a
/// page, and a page of them is decoded in a millisecond.
const SAMPLE_PAGE_ROWS_MAX: usize = ROW_GROUP_ROWS_MAX;
const SAMPLE_PAGE_BYTES_MAX: usize = 1 << 20;
/// What a dictionary without repetitions costs in vain, at most.
const DICTIONARY_BYTES_MAX: usize = 64 << 10;
/// The same for integers that lie far apart: 256 of them have indexes of whole bytes, more take less as they are.
const APART_DICTIONARY_BYTES_MAX: usize = 2 << 10;
const CREATED_BY: &str = concat!("vervet ", env!("CARGO_PKG_VERSION"));

/// `sample` are the first rows of the segment, which say what serves them.
pub(super) fn writer_properties(
    layout: &Layout,
    effort: Effort,
    sample: Option<&RecordBatch>,
) -> Result<WriterProperties, ParquetError> {
    let (page_rows, page_bytes) = match layout.table() {
        Table::Samples => (SAMPLE_PAGE_ROWS_MAX, SAMPLE_PAGE_BYTES_MAX),
        _ => (DATA_PAGE_ROWS_MAX, DATA_PAGE_BYTES_MAX),
    };
    let builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(effort.zstd_level())?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(WRITE_ROWS)
        .set_data_page_size_limit(page_bytes)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting_columns(layout.table())?));
    let schema = layout.file_schema();
    let builder = schema.fields().iter().fold(builder, encode_column);
    let builder = packed_columns(layout).fold(builder, |builder, name| {
        builder
            // Bounds of what is left of a value are not those of the value.
            .set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None)
            // That a row group has no digits or numbers at all is worth knowing.
            .set_column_statistics_enabled(companion(name).into(), EnabledStatistics::Chunk)
            .set_column_statistics_enabled(number_companion(name).into(), EnabledStatistics::Chunk)
    });
    let builder = shorten_pages(builder, layout);
    let builder = compress_least(builder, layout)?;
    let apart = promoted_integers(layout).filter(|name| {
        let values = sample.and_then(|rows| rows.column_by_name(name)?.as_primitive_opt());
        values.is_some_and(integers::lie_apart)
    });
    Ok(apart.fold(builder, leave_plain).build())
}

fn shorten_pages(builder: WriterPropertiesBuilder, layout: &Layout) -> WriterPropertiesBuilder {
    if layout.table() == Table::Samples {
        return builder;
    }
    let schema = layout.file_schema();
    schema.fields().iter().fold(builder, |builder, field| {
        let bytes_max = match (field.name().as_str(), field.data_type()) {
            (column::TIME, _) => TIME_PAGE_BYTES_MAX,
            (_, DataType::Binary) => SHORT_PAGE_BYTES_MAX,
            (name, _) if name.starts_with(PREFIX) => INTEGER_PAGE_BYTES_MAX,
            _ => return builder,
        };
        let path = ColumnPath::from(field.name().as_str());
        builder.set_column_data_page_size_limit(path, bytes_max)
    })
}

/// Samples repeat each other, so for them more work is worth it.
fn compress_least(
    builder: WriterPropertiesBuilder,
    layout: &Layout,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    if !matches!(layout.table(), Table::Logs | Table::Spans) {
        return Ok(builder);
    }
    let level = Compression::ZSTD(ZstdLevel::try_new(LEVEL_LEAST)?);
    let schema = layout.file_schema();
    let fields = schema.fields().iter().filter(|field| {
        let data_type = field.data_type();
        let is_number = field.name().starts_with(PREFIX) && *data_type == DataType::Float64;
        let is_integer = matches!(data_type, DataType::Binary | DataType::Int64);
        field.name() == column::TIME || is_number || is_integer
    });
    Ok(fields.fold(builder, |builder, field| {
        builder.set_column_compression(ColumnPath::from(field.name().as_str()), level)
    }))
}

/// Dictionary, then plain, unless something else is known to be smaller.
fn encode_column(builder: WriterPropertiesBuilder, field: &Arc<Field>) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(field.name().as_str());
    let only = |builder: WriterPropertiesBuilder, path: &ColumnPath, encoding| {
        builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), encoding)
    };
    match (field.name().as_str(), field.data_type()) {
        (_, DataType::Timestamp(..)) | (column::DURATION_NS, _) => {
            only(builder, &path, Encoding::DELTA_BINARY_PACKED)
        }
        // Bounds of a part of a value skip nothing.
        (column::MANTISSA, _) => only(builder, &path, Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(path, EnabledStatistics::None),
        (column::VALUE, DataType::Float64) => only(builder, &path, Encoding::BYTE_STREAM_SPLIT)
            .set_column_statistics_enabled(path, EnabledStatistics::None),
        // The same for all rows of a series, mostly.
        (column::DIVISOR, _) => {
            builder.set_column_statistics_enabled(path, EnabledStatistics::None)
        }
        // Numbers lie far apart, and their high bytes are the same.
        (name, DataType::Float64) if name.starts_with(PREFIX) => builder
            .set_column_dictionary_page_size_limit(path.clone(), APART_DICTIONARY_BYTES_MAX)
            .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT),
        (_, DataType::Int64) => builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
        // Trace and span ids: random bytes, hardly ever twice, so the bounds of a page are of no use.
        (_, DataType::Binary) => only(builder, &path, Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .set_column_statistics_enabled(path, EnabledStatistics::Chunk),
        // Minimum and maximum of free text skip nothing.
        (column::BODY | column::EVENTS | column::LINKS, _) => {
            builder.set_column_statistics_enabled(path, EnabledStatistics::None)
        }
        // Likewise; that a row group has no entries at all is worth knowing.
        (_, DataType::Map(..)) => {
            let mut paths = map_paths(field).into_iter();
            let builder = paths.next().into_iter().fold(builder, |builder, keys| {
                builder.set_column_statistics_enabled(keys, EnabledStatistics::Chunk)
            });
            paths.fold(builder, |builder, path| {
                builder.set_column_statistics_enabled(path, EnabledStatistics::None)
            })
        }
        _ => builder,
    }
}

fn promoted_integers(layout: &Layout) -> impl Iterator<Item = &str> {
    let columns = layout.promoted().columns().iter();
    let integers = columns.filter(|column| column.kind == PromotedKind::Integer);
    integers.map(|column| column.name.as_str())
}

fn leave_plain(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(name);
    builder
        .set_column_dictionary_page_size_limit(path.clone(), APART_DICTIONARY_BYTES_MAX)
        .set_column_encoding(path, Encoding::PLAIN)
}

fn map_paths(field: &Field) -> Vec<ColumnPath> {
    let Some((entries, key, value)) = map_fields(field) else {
        return Vec::new();
    };
    [key, value]
        .map(|leaf| {
            ColumnPath::new(vec![
                field.name().clone(),
                entries.name().clone(),
                leaf.name().clone(),
            ])
        })
        .to_vec()
}

/// Sort columns all come before the first map, so that their position is that of their Parquet leaf.
fn sorting_columns(table: Table) -> Result<Vec<SortingColumn>, ParquetError> {
    let schema = table.schema();
    table
        .sort_columns()
        .iter()
        .map(|name| {
            let index = schema.index_of(name)?;
            let column_idx =
                i32::try_from(index).map_err(|error| ParquetError::External(error.into()))?;
            Ok(SortingColumn {
                column_idx,
                descending: false,
                nulls_first: false,
            })
        })
        .collect()
}
