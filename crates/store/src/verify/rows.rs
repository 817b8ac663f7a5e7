//! The rows of one segment, against the catalog and against what the file says of itself.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::problem::with_causes;
use super::{Problem, Progress};
use crate::catalog::{RecordedFile, RecordedStats, StatValue};
use crate::segment::{bounds, unpack};
use crate::tables::packed::PREFIX;
use crate::tables::{Table, column, column_id};

const BATCH_ROWS: usize = 8_192;

/// Decodes everything and counts into `rows`.
pub(super) fn check(
    file: File,
    recorded: &RecordedFile,
    stats: &[RecordedStats],
    progress: &dyn Progress,
    rows: &mut u64,
) -> Result<(), Problem> {
    let options = ArrowReaderOptions::new()
        .with_skip_arrow_metadata(true)
        .with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = ArrowReaderMetadata::load(&file, options)
        .map_err(|error| Problem::Metadata(with_causes(&error)))?;
    let ids = column_ids(metadata.metadata());
    if let Some(table) = recorded.known_table() {
        check_columns(table, metadata.schema(), &ids)?;
    }
    let mut checker = Checker::new(recorded, metadata.schema(), &ids)?;
    for group in 0..metadata.metadata().num_row_groups() {
        let decode = |error: &dyn std::error::Error| Problem::Decode {
            row_group: group,
            reason: with_causes(error),
        };
        let file = file.try_clone().map_err(|error| decode(&error))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_row_groups(vec![group])
            .build()
            .map_err(|error| decode(&error))?;
        checker.begin_group(group);
        for batch in reader {
            let batch = batch.map_err(|error| decode(&error))?;
            *rows += batch.num_rows() as u64;
            let whole = unpack(&batch).map_err(|error| decode(&error))?;
            checker.add(&whole)?;
        }
        checker.end_group(&metadata)?;
        progress.advance(group_bytes(metadata.metadata(), group));
    }
    if i64::try_from(*rows) != Ok(recorded.rows) {
        return Err(Problem::Rows {
            expected: recorded.rows,
            found: *rows,
        });
    }
    checker.compare(stats)
}

fn group_bytes(metadata: &ParquetMetaData, group: usize) -> u64 {
    let bytes = metadata
        .row_groups()
        .get(group)
        .map_or(0, |group| group.compressed_size());
    u64::try_from(bytes).unwrap_or(0)
}

/// The DuckLake ids of the columns, by their position among the top-level ones.
fn column_ids(metadata: &ParquetMetaData) -> Vec<Option<i64>> {
    let root = metadata.file_metadata().schema_descr().root_schema();
    let id = |field: &Arc<parquet::schema::types::Type>| {
        let info = field.get_basic_info();
        info.has_id().then(|| i64::from(info.id()))
    };
    root.get_fields().iter().map(id).collect()
}

/// The columns that every segment of a table has.
fn check_columns(table: Table, found: &SchemaRef, ids: &[Option<i64>]) -> Result<(), Problem> {
    for field in table.schema().fields() {
        let problem = |reason| {
            Err(Problem::Column {
                column: field.name().clone(),
                reason,
            })
        };
        let Ok(index) = found.index_of(field.name()) else {
            return problem("it is absent");
        };
        if ids.get(index).copied().flatten() != column_id(field) {
            return problem("it has another id");
        }
        let same = match (found.field(index).data_type(), field.data_type()) {
            (DataType::Map(..), DataType::Map(..)) => true,
            (found, expected) => found == expected,
        };
        if !same {
            return problem("it has another type");
        }
    }
    Ok(())
}

/// What the rows of one column are, in a row group and in the file.
struct Column {
    index: usize,
    name: String,
    id: Option<i64>,
    group: Range,
    file: Range,
}

#[derive(Default, Clone)]
struct Range {
    values: u64,
    nulls: u64,
    bounds: Option<(StatValue, StatValue)>,
}

impl Range {
    fn add(&mut self, array: &ArrayRef) {
        self.nulls += array.null_count() as u64;
        self.values += (array.len() - array.null_count()) as u64;
        if let Some(new) = bounds(array) {
            self.widen(new);
        }
    }

    fn merge(&mut self, other: Self) {
        self.values += other.values;
        self.nulls += other.nulls;
        if let Some(new) = other.bounds {
            self.widen(new);
        }
    }

    fn widen(&mut self, (low, high): (StatValue, StatValue)) {
        self.bounds = Some(match self.bounds.take() {
            None => (low, high),
            Some((min, max)) => (
                if is_less(&low, &min) { low } else { min },
                if is_less(&max, &high) { high } else { max },
            ),
        });
    }
}

fn is_less(a: &StatValue, b: &StatValue) -> bool {
    a.compare(b).is_some_and(std::cmp::Ordering::is_lt)
}

struct Checker<'a> {
    recorded: &'a RecordedFile,
    schema: SchemaRef,
    columns: Vec<Column>,
    order: Order,
    group: usize,
}

impl<'a> Checker<'a> {
    fn new(
        recorded: &'a RecordedFile,
        schema: &SchemaRef,
        ids: &[Option<i64>],
    ) -> Result<Self, Problem> {
        let columns = schema
            .fields()
            .iter()
            .zip(ids)
            .enumerate()
            .filter(|(_index, (field, _id))| {
                has_bounds(field.data_type()) && !field.name().starts_with(PREFIX)
            })
            .map(|(index, (field, id))| Column {
                index,
                name: field.name().clone(),
                id: *id,
                group: Range::default(),
                file: Range::default(),
            })
            .collect();
        Ok(Self {
            recorded,
            schema: Arc::clone(schema),
            columns,
            order: Order::new(recorded.known_table(), schema)?,
            group: 0,
        })
    }

    fn begin_group(&mut self, group: usize) {
        self.group = group;
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        let (row_group, expected) = (self.group, self.recorded.day);
        let days = batch
            .column_by_name(column::DAY)
            .and_then(|days| days.as_primitive_opt::<Int32Type>());
        let right = |days: &arrow::array::Int32Array| {
            days.null_count() == 0 && days.values().iter().all(|day| Some(*day) == expected)
        };
        if !days.is_some_and(right) {
            return Err(Problem::Day {
                row_group,
                expected,
            });
        }
        if !self.order.follows(batch) {
            return Err(Problem::Order { row_group });
        }
        for column in &mut self.columns {
            column.group.add(batch.column(column.index));
        }
        Ok(())
    }

    /// Compares the row group with the statistics that the file has of it.
    fn end_group(&mut self, metadata: &ArrowReaderMetadata) -> Result<(), Problem> {
        let group = self.group;
        for column in &mut self.columns {
            let range = std::mem::take(&mut column.group);
            let claim = claimed(&column.name, &self.schema, metadata.metadata(), group);
            if let Some((low, high)) = claim
                && let Some((min, max)) = &range.bounds
                && (is_less(min, &low) || is_less(&high, max))
            {
                return Err(Problem::Statistics {
                    holder: "the file",
                    column: column.name.clone(),
                    claim: format!("row group {group}: {low:?} to {high:?}"),
                });
            }
            column.file.merge(range);
        }
        Ok(())
    }

    /// Compares the whole file with the statistics in the catalog.
    fn compare(&self, stats: &[RecordedStats]) -> Result<(), Problem> {
        let by_id: HashMap<i64, &Column> = self
            .columns
            .iter()
            .filter_map(|column| Some((column.id?, column)))
            .collect();
        for stats in stats {
            let Some(column) = by_id.get(&stats.column_id) else {
                continue;
            };
            if let Some(claim) = false_claim(stats, &column.file) {
                return Err(Problem::Statistics {
                    holder: "the catalog",
                    column: column.name.clone(),
                    claim,
                });
            }
        }
        Ok(())
    }
}

fn false_claim(stats: &RecordedStats, range: &Range) -> Option<String> {
    let counts = (i64::try_from(range.values), i64::try_from(range.nulls));
    if counts != (Ok(stats.values), Ok(stats.nulls)) {
        return Some(format!("{} values and {} nulls", stats.values, stats.nulls));
    }
    let (min, max) = range.bounds.as_ref()?;
    let above = stats.min.as_ref().filter(|text| {
        min.parse_like(text)
            .is_none_or(|bound| is_less(min, &bound))
    });
    let below = stats.max.as_ref().filter(|text| {
        max.parse_like(text)
            .is_none_or(|bound| is_less(&bound, max))
    });
    match (above, below) {
        (Some(text), _) => Some(format!("nothing below {text:?}")),
        (_, Some(text)) => Some(format!("nothing above {text:?}")),
        (None, None) => None,
    }
}

/// The bounds that the file claims for a row group; `None` when it claims none.
fn claimed(
    name: &str,
    schema: &SchemaRef,
    metadata: &ParquetMetaData,
    group: usize,
) -> Option<(StatValue, StatValue)> {
    let group = metadata.row_groups().get(group)?;
    let parquet = metadata.file_metadata().schema_descr();
    let converter = StatisticsConverter::try_new(name, schema, parquet).ok()?;
    let low = converter.row_group_mins([group]).ok()?;
    let high = converter.row_group_maxes([group]).ok()?;
    if low.null_count() > 0 || high.null_count() > 0 {
        return None;
    }
    Some((bounds(&low)?.0, bounds(&high)?.1))
}

fn has_bounds(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int32
            | DataType::Int64
            | DataType::UInt64
            | DataType::Float64
            | DataType::Boolean
            | DataType::Utf8
            | DataType::Timestamp(..)
    )
}

/// Follows the rows of a file in the order of its table.
struct Order {
    columns: Vec<usize>,
    converter: Option<RowConverter>,
    last: Option<OwnedRow>,
}

impl Order {
    /// The files of an unknown table have no order that could be checked.
    fn new(table: Option<Table>, schema: &SchemaRef) -> Result<Self, Problem> {
        let names = table.map(Table::sort_columns).unwrap_or_default();
        let columns: Vec<usize> = names
            .iter()
            .filter_map(|name| schema.index_of(name).ok())
            .collect();
        let fields: Vec<SortField> = columns
            .iter()
            .map(|index| SortField::new(schema.field(*index).data_type().clone()))
            .collect();
        let converter = match fields.is_empty() {
            true => None,
            false => Some(
                RowConverter::new(fields)
                    .map_err(|error| Problem::Metadata(with_causes(&error)))?,
            ),
        };
        Ok(Self {
            columns,
            converter,
            last: None,
        })
    }

    fn follows(&mut self, batch: &RecordBatch) -> bool {
        let Some(converter) = &self.converter else {
            return true;
        };
        let keys: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|index| Arc::clone(batch.column(*index)))
            .collect();
        let Ok(rows) = converter.convert_columns(&keys) else {
            return false;
        };
        let mut all = rows.iter();
        let Some(first) = all.next() else {
            return true;
        };
        let follows = self.last.as_ref().is_none_or(|last| last.row() <= first);
        let sorted = follows && rows.iter().is_sorted();
        self.last = rows.iter().next_back().map(|row| row.owned());
        sorted
    }
}
