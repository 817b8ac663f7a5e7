//! Reads samples of chosen series from one segment.
//!
//! Rows are sorted by metric, series and time, so the statistics of a row group's metrics rule most groups
//! out before they are decoded; the series id is decoded first, time and value for its matches only.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use arrow::array::BooleanArray;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::Gathered;
use crate::StoreError;
use crate::columns::Columns;
use crate::tables::{Table, column};

const BATCH_ROWS: usize = 65_536;

/// Adds the samples of the wanted series, which are all of the given metrics.
pub(super) fn read(
    path: &Path,
    metrics: &BTreeSet<&str>,
    gathered: &mut Gathered,
) -> Result<(), StoreError> {
    let parquet = |source| StoreError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(|source| StoreError::Io {
        path: path.to_owned(),
        source,
    })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet)?;
    let groups: Vec<usize> = builder
        .metadata()
        .row_groups()
        .iter()
        .enumerate()
        .filter(|(_index, group)| may_hold(group, metrics))
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
    let projection = columns(&[column::SERIES_ID, column::TIME, column::VALUE]);
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
            columns.f64(column::VALUE)?,
        );
        for row in 0..batch.num_rows() {
            gathered.push(ids.value(row), times.value(row), values.value(row))?;
        }
        gathered.check_deadline()?;
    }
    Ok(())
}

/// Whether a row group may hold one of the metrics, by the bounds of its metric column.
fn may_hold(group: &RowGroupMetaData, metrics: &BTreeSet<&str>) -> bool {
    let bounds = group
        .columns()
        .iter()
        .find(|chunk| chunk.column_path().string() == column::METRIC)
        .and_then(|chunk| chunk.statistics());
    let Some(Statistics::ByteArray(bounds)) = bounds else {
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
