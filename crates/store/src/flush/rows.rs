//! The rows of a generation as segments.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, RecordBatch, StringBuilder,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use parking_lot::RwLock;
use vervet_model::{Labels, UnixMillis};

use crate::StoreError;
#[cfg(feature = "sql")]
use crate::head::View;
use crate::head::samples::{Chunk, HeadSamples};
use crate::head::series::SeriesIndex;
use crate::segment::{
    SegmentError, SegmentFolder, WrittenFile, split_by_day, write_gathered, write_segment,
    write_sorted,
};
use crate::tables::{Layout, Table, column};

/// Rows that are sorted at once, at most (bytes in memory), for a flush takes three times as much beside the head. A
/// head that is flushed in time is less.
const SORT_BYTES_MAX: usize = 128 << 20;
/// Samples in one batch handed to the segment writer.
const SAMPLE_BATCH_ROWS: usize = 65_536;

type Written = Vec<(Table, WrittenFile)>;

/// Writes batches of logs or spans, one segment per day and class.
pub(super) fn write_batches(
    folder: SegmentFolder<'_>,
    layout: &Layout,
    batches: &[RecordBatch],
    classes: &[&str],
    written: &mut Written,
) -> Result<(), StoreError> {
    let table = layout.table();
    for chunk in chunks(batches) {
        let mut parts: BTreeMap<(i32, &str), Vec<RecordBatch>> = BTreeMap::new();
        for batch in chunk {
            for (day, rows) in split_by_day(table, batch)? {
                for (class, rows) in
                    split_by_class(&rows, classes).map_err(|source| arrow(table, source))?
                {
                    parts.entry((day, class)).or_default().push(rows);
                }
            }
        }
        for ((day, class), rows) in parts {
            let mut file = write_gathered(folder, layout, day, &rows)?;
            file.class = class.to_owned();
            written.push((table, file));
        }
    }
    Ok(())
}

/// Parts rows by their environment: those of each of `classes`, and, under the empty class, all others.
fn split_by_class<'c>(
    rows: &RecordBatch,
    classes: &[&'c str],
) -> Result<Vec<(&'c str, RecordBatch)>, ArrowError> {
    let environments = rows
        .column_by_name(column::ENVIRONMENT)
        .and_then(|column| column.as_string_opt::<i32>());
    let (Some(environments), false) = (environments, classes.is_empty()) else {
        return Ok(vec![("", rows.clone())]);
    };
    let class_of = |row: usize| {
        let environment = environments.value(row);
        let known = classes.iter().find(|class| **class == environment);
        known.copied().unwrap_or_default()
    };
    let of_rows: Vec<&str> = (0..rows.num_rows()).map(class_of).collect();
    let found: BTreeSet<&'c str> = of_rows.iter().copied().collect();
    if let [only] = found.iter().collect::<Vec<_>>().as_slice() {
        return Ok(vec![(**only, rows.clone())]);
    }
    found
        .into_iter()
        .map(|class| {
            let mask: BooleanArray = of_rows.iter().map(|of| Some(*of == class)).collect();
            Ok((class, filter_record_batch(rows, &mask)?))
        })
        .collect()
}

/// Parts batches into runs of at most [`SORT_BYTES_MAX`], at least one batch each.
fn chunks(batches: &[RecordBatch]) -> Vec<&[RecordBatch]> {
    let mut chunks = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (index, batch) in batches.iter().enumerate() {
        let size = batch.get_array_memory_size();
        if index > from && bytes + size > SORT_BYTES_MAX {
            chunks.extend(batches.get(from..index));
            (from, bytes) = (index, 0);
        }
        bytes += size;
    }
    chunks.extend(batches.get(from..).filter(|rest| !rest.is_empty()));
    chunks
}

/// A series of a generation with its samples.
pub(super) struct SortedSeries<'h> {
    id: u64,
    labels: Labels,
    chunk: &'h Chunk,
    days: BTreeSet<i32>,
}

/// The series of a generation in the order of the `samples` table. Their samples stay compressed.
pub(super) fn sorted_series<'h>(
    samples: &'h HeadSamples,
    index: &SeriesIndex,
) -> Vec<SortedSeries<'h>> {
    let mut list: Vec<SortedSeries<'h>> = samples
        .iter()
        .filter_map(|series| {
            Some(SortedSeries {
                id: series.id,
                labels: index.get(series.id)?.labels.clone(),
                chunk: &series.chunk,
                days: days_of(&series.chunk),
            })
        })
        .collect();
    list.sort_by(|a, b| (a.labels.metric_name(), a.id).cmp(&(b.labels.metric_name(), b.id)));
    list
}

fn day_of(time_ms: i64) -> i32 {
    UnixMillis(time_ms).to_nanos().day()
}

/// The days that have a sample.
fn days_of(chunk: &Chunk) -> BTreeSet<i32> {
    let (first, last) = chunk.time_range();
    if day_of(first) == day_of(last) {
        return BTreeSet::from([day_of(first)]);
    }
    chunk
        .iter()
        .map(|(time_ms, _value)| day_of(time_ms))
        .collect()
}

fn days(list: &[SortedSeries<'_>]) -> BTreeSet<i32> {
    list.iter()
        .flat_map(|series| series.days.iter().copied())
        .collect()
}

pub(super) fn write_samples(
    folder: SegmentFolder<'_>,
    list: &[SortedSeries<'_>],
    written: &mut Written,
) -> Result<(), StoreError> {
    for day in days(list) {
        let batches = sample_batches(list, day).map(|batch| {
            batch.map_err(|source| SegmentError::Arrow {
                table: Table::Samples.name(),
                source,
            })
        });
        let file = write_sorted(folder, &Layout::fixed(Table::Samples), day, batches)?;
        written.push((Table::Samples, file));
    }
    Ok(())
}

/// The samples of one day in batches of whole series, of which only one is not compressed. Of samples with the
/// same time the first applied stays.
fn sample_batches<'l>(
    list: &'l [SortedSeries<'_>],
    day: i32,
) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + 'l {
    let mut series = list.iter().filter(move |series| series.days.contains(&day));
    std::iter::from_fn(move || {
        let mut rows = SampleRows::default();
        for series in series.by_ref() {
            rows.push(series, day);
            if rows.times.len() >= SAMPLE_BATCH_ROWS {
                break;
            }
        }
        (!rows.times.is_empty()).then(|| rows.finish(day))
    })
}

#[derive(Default)]
struct SampleRows {
    metrics: StringBuilder,
    ids: Vec<u64>,
    times: Vec<i64>,
    values: Vec<f64>,
}

impl SampleRows {
    fn push(&mut self, series: &SortedSeries<'_>, day: i32) {
        let is_whole = series.days.len() == 1;
        let metric = series.labels.metric_name();
        for (time_ms, value) in series.chunk.sorted() {
            if is_whole || day_of(time_ms) == day {
                self.metrics.append_value(metric);
                self.ids.push(series.id);
                self.times.push(time_ms);
                self.values.push(value);
            }
        }
    }

    fn finish(mut self, day: i32) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from_value(day, self.times.len())),
            Arc::new(self.metrics.finish()),
            Arc::new(UInt64Array::from(self.ids)),
            Arc::new(TimestampMillisecondArray::from(self.times)),
            Arc::new(Float64Array::from(self.values)),
        ];
        RecordBatch::try_new(Table::Samples.schema(), columns)
    }
}

/// Writes a row for each series and day that has none yet. Returns them.
pub(super) fn write_series(
    folder: SegmentFolder<'_>,
    list: &[SortedSeries<'_>],
    index: &RwLock<SeriesIndex>,
    written: &mut Written,
) -> Result<HashSet<(u64, i32)>, StoreError> {
    let mut stored = HashSet::new();
    for day in days(list) {
        let index = index.read();
        let new: Vec<&SortedSeries<'_>> = list
            .iter()
            .filter(|series| series.days.contains(&day) && !index.is_stored(series.id, day))
            .collect();
        if new.is_empty() {
            continue;
        }
        let batch =
            series_batch(day, &new, &index).map_err(|source| arrow(Table::Series, source))?;
        drop(index);
        written.push((
            Table::Series,
            write_segment(folder, &Layout::fixed(Table::Series), day, &batch)?,
        ));
        stored.extend(new.iter().map(|series| (series.id, day)));
    }
    Ok(stored)
}

fn series_batch(
    day: i32,
    list: &[&SortedSeries<'_>],
    index: &SeriesIndex,
) -> Result<RecordBatch, ArrowError> {
    let mut labels = Table::Series
        .map_builder(column::LABELS)
        .ok_or_else(|| ArrowError::SchemaError("labels is not a map".to_owned()))?;
    let (mut metric, mut kind, mut unit) = (
        StringBuilder::new(),
        StringBuilder::new(),
        StringBuilder::new(),
    );
    for series in list {
        for label in &series.labels {
            labels.keys().append_value(&label.name);
            labels.values().append_value(&label.value);
        }
        labels.append(true)?;
        metric.append_value(series.labels.metric_name());
        let entry = index.get(series.id);
        kind.append_value(entry.map(|entry| &*entry.kind).unwrap_or_default());
        unit.append_value(entry.map(|entry| &*entry.unit).unwrap_or_default());
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_value(day, list.len())),
        Arc::new(metric.finish()),
        Arc::new(UInt64Array::from_iter_values(
            list.iter().map(|series| series.id),
        )),
        Arc::new(labels.finish()),
        Arc::new(kind.finish()),
        Arc::new(unit.finish()),
    ];
    RecordBatch::try_new(Table::Series.schema(), columns)
}

/// The rows of one table in the head, in the table's columns. For SQL on `samples` and `series`, which the
/// head keeps in another form, they are made here.
#[cfg(feature = "sql")]
pub(crate) fn head_batches(view: &View, table: Table, index: &SeriesIndex) -> Vec<RecordBatch> {
    let made = match table {
        Table::Logs | Table::Spans => return view.batches(table),
        Table::Samples => head_samples(view, index),
        Table::Series => head_series(view, index),
    };
    made.unwrap_or_else(|error| {
        tracing::error!(%error, table = table.name(), "rows of the head cannot be shown as columns");
        Vec::new()
    })
}

#[cfg(feature = "sql")]
fn head_samples(view: &View, index: &SeriesIndex) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut batches = Vec::new();
    for generation in &view.generations {
        // Copied, compressed as they are, so that ingest does not wait for the rest.
        let samples = generation.samples.read().clone();
        let list = sorted_series(&samples, index);
        for day in days(&list) {
            for batch in sample_batches(&list, day) {
                batches.push(batch?);
            }
        }
    }
    Ok(batches)
}

#[cfg(feature = "sql")]
fn head_series(view: &View, index: &SeriesIndex) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut batches = Vec::new();
    let mut shown = HashSet::new();
    for generation in &view.generations {
        // Copied, compressed as they are, so that ingest does not wait for the rest.
        let samples = generation.samples.read().clone();
        let list = sorted_series(&samples, index);
        let own = generation.stored_series.get();
        for day in days(&list) {
            let new: Vec<&SortedSeries<'_>> = list
                .iter()
                .filter(|series| series.days.contains(&day))
                .filter(|series| {
                    let key = (series.id, day);
                    let pending = own.is_some_and(|own| own.contains(&key))
                        || !index.is_stored(series.id, day);
                    pending && shown.insert(key)
                })
                .collect();
            batches.push(series_batch(day, &new, index)?);
        }
    }
    Ok(batches)
}

fn arrow(table: Table, source: ArrowError) -> StoreError {
    StoreError::Segment(SegmentError::Arrow {
        table: table.name(),
        source,
    })
}
