//! Reads samples of chosen series from one segment.
//!
//! Rows are sorted by metric, series and time, so the statistics of a row group's metrics rule most groups
//! out before they are decoded, as do those of series ids and times; the series id is decoded first, time and value for its
//! matches only.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use arrow::array::BooleanArray;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    RowFilter,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

use super::Gathered;
use crate::StoreError;
use crate::columns::Columns;
use crate::segment::sample_values;
use crate::tables::{Table, column};

const BATCH_ROWS: usize = 65_536;

/// A segment whose footer was read.
pub(super) struct Opened<'p> {
    pub(super) path: &'p Path,
    metadata: ArrowReaderMetadata,
}

impl<'p> Opened<'p> {
    pub(super) fn open(path: &'p Path) -> Result<Self, StoreError> {
        let metadata = ArrowReaderMetadata::load(&file(path)?, ArrowReaderOptions::default());
        let metadata = metadata.map_err(|source| unreadable(path, source))?;
        Ok(Self { path, metadata })
    }
}

fn file(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|source| StoreError::Io {
        path: path.to_owned(),
        source,
    })
}

fn unreadable(path: &Path, source: ParquetError) -> StoreError {
    StoreError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Adds the samples of the wanted series, which are all of the given metrics.
pub(super) fn read(
    segment: &Opened<'_>,
    metrics: &BTreeSet<&str>,
    gathered: &mut Gathered<'_>,
) -> Result<(), StoreError> {
    let parquet = |source| unreadable(segment.path, source);
    let metadata = segment.metadata.clone();
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file(segment.path)?, metadata);
    let mut ids: Vec<u64> = gathered.by_series.keys().copied().collect();
    ids.sort_unstable();
    let groups: Vec<usize> = builder
        .metadata()
        .row_groups()
        .iter()
        .enumerate()
        .filter(|(_index, group)| {
            may_hold(group, metrics)
                && may_hold_series(group, &ids)
                && may_hold_time(group, gathered.window)
        })
        .map(|(index, _group)| index)
        .collect();
    if groups.is_empty() {
        return Ok(());
    }
    let schema = builder.parquet_schema();
    let columns = |names: &[&str]| ProjectionMask::columns(schema, names.iter().copied());
    let wanted: std::collections::HashSet<u64> = gathered.by_series.keys().copied().collect();
    let of_series = ArrowPredicateFn::new(columns(&[column::SERIES_ID]), move |batch| {
        let ids = Columns::new(Table::Samples.name(), &batch)
            .u64(column::SERIES_ID)
            .map_err(|error| ArrowError::ExternalError(error.into()))?;
        Ok(BooleanArray::from_iter(
            ids.values().iter().map(|id| Some(wanted.contains(id))),
        ))
    });
    // Segments of an earlier version have no mantissas.
    let projection = columns(&[
        column::SERIES_ID,
        column::TIME,
        column::VALUE,
        column::MANTISSA,
        column::DIVISOR,
    ]);
    let reader = builder
        .with_row_groups(groups)
        .with_projection(projection)
        .with_row_filter(RowFilter::new(vec![Box::new(of_series)]))
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(parquet)?;
    for batch in reader {
        let batch = batch.map_err(|error| parquet(error.into()))?;
        let columns = Columns::new(Table::Samples.name(), &batch);
        let (ids, times, values) = (
            columns.u64(column::SERIES_ID)?,
            columns.millis(column::TIME)?,
            sample_values(&batch).map_err(|error| parquet(error.into()))?,
        );
        for row in 0..batch.num_rows() {
            gathered.push(ids.value(row), times.value(row), values.value(row))?;
        }
        gathered.check_deadline()?;
    }
    Ok(())
}

fn statistics<'a>(group: &'a RowGroupMetaData, column: &str) -> Option<&'a Statistics> {
    let mut chunks = group.columns().iter();
    let is_column = |path: &ColumnPath| matches!(path.parts(), [name] if name.as_str() == column);
    chunks
        .find(|chunk| is_column(chunk.column_path()))?
        .statistics()
}

/// Lowest and highest value of an integer column, as far as they are known.
fn bounds(group: &RowGroupMetaData, column: &str) -> Option<(i64, i64)> {
    match statistics(group, column) {
        Some(Statistics::Int64(bounds)) => Some((*bounds.min_opt()?, *bounds.max_opt()?)),
        _ => None,
    }
}

/// Whether a row group may hold one of the series, whose ids are sorted.
fn may_hold_series(group: &RowGroupMetaData, ids: &[u64]) -> bool {
    let Some((min, max)) = bounds(group, column::SERIES_ID) else {
        return true;
    };
    // Parquet keeps unsigned numbers as the signed ones with the same bits.
    let (min, max) = (min.cast_unsigned(), max.cast_unsigned());
    let next = ids.partition_point(|id| *id < min);
    ids.get(next).is_some_and(|id| *id <= max)
}

fn may_hold_time(group: &RowGroupMetaData, (start_ms, end_ms): (i64, i64)) -> bool {
    bounds(group, column::TIME).is_none_or(|(min, max)| min <= end_ms && max >= start_ms)
}

/// Whether a row group may hold one of the metrics, by the bounds of its metric column.
fn may_hold(group: &RowGroupMetaData, metrics: &BTreeSet<&str>) -> bool {
    let Some(Statistics::ByteArray(bounds)) = statistics(group, column::METRIC) else {
        return true;
    };
    let (Some(min), Some(max)) = (bounds.min_opt(), bounds.max_opt()) else {
        return true;
    };
    // A bound that was cut is still a bound: the minimum is shortened, the maximum raised.
    metrics
        .iter()
        .any(|metric| metric.as_bytes() >= min.data() && metric.as_bytes() <= max.data())
}
