//! How each column is encoded. The order of the rows saves more than any of this.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::ROW_GROUP_ROWS_MAX;
use crate::tables::{Layout, Table, column, map_fields};

const ZSTD_LEVEL: i32 = 3;
const DATA_PAGE_ROWS_MAX: usize = 20_000;
const CREATED_BY: &str = concat!("vervet ", env!("CARGO_PKG_VERSION"));

pub(super) fn writer_properties(layout: &Layout) -> Result<WriterProperties, ParquetError> {
    let builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_data_page_row_count_limit(DATA_PAGE_ROWS_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting_columns(layout.table())?));
    let schema = layout.schema();
    Ok(schema.fields().iter().fold(builder, encode_column).build())
}

/// Dictionary unless something else is known to be smaller.
fn encode_column(builder: WriterPropertiesBuilder, field: &Arc<Field>) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(field.name().as_str());
    let plain = |builder: WriterPropertiesBuilder, path: &ColumnPath, encoding| {
        builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), encoding)
    };
    match (field.name().as_str(), field.data_type()) {
        (_, DataType::Timestamp(..)) | (column::DURATION_NS, _) => {
            plain(builder, &path, Encoding::DELTA_BINARY_PACKED)
        }
        (_, DataType::Float64) => plain(builder, &path, Encoding::BYTE_STREAM_SPLIT),
        // Trace and span ids: random bytes, hardly ever twice.
        (_, DataType::Binary) => plain(builder, &path, Encoding::PLAIN),
        // Minimum and maximum of free text skip nothing.
        (column::BODY | column::EVENTS | column::LINKS, _) => {
            plain(builder, &path, Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_statistics_enabled(path, EnabledStatistics::None)
        }
        (_, DataType::Map(..)) => map_paths(field).into_iter().fold(builder, |builder, path| {
            builder.set_column_statistics_enabled(path, EnabledStatistics::None)
        }),
        _ => builder,
    }
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
