use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use vervet_model::{Clock as _, SystemClock, UnixNanos};

use super::*;
use crate::catalog::StatValue;
use crate::tables::{Layout, Table, column};

/// Rows of `samples`: day, metric, series, time in ms, value.
fn samples(rows: &[(i32, &str, u64, i64, f64)]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int32Array>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.2))),
        Arc::new(TimestampMillisecondArray::from_iter_values(
            rows.iter().map(|row| row.3),
        )),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.4))),
    ];
    RecordBatch::try_new(Table::Samples.schema(), columns).unwrap()
}

fn values(batch: &RecordBatch) -> Vec<f64> {
    sample_values(batch).unwrap().values().to_vec()
}

fn stats<'a>(file: &'a WrittenFile, name: &str) -> &'a ColumnStats {
    let schema = Table::Samples.schema();
    let id = crate::tables::column_id(schema.field_with_name(name).unwrap()).unwrap();
    file.column_stats
        .iter()
        .find(|stats| stats.column_id == id)
        .unwrap()
}

#[test]
fn segment_reads_back_sorted_and_with_the_schema_of_its_table() {
    let dir = tempfile::tempdir().unwrap();
    let batch = samples(&[
        (7, "b", 1, 5, 1.0),
        (7, "a", u64::MAX, 5, 2.0),
        (7, "a", 2, 9, 3.0),
        (7, "a", 2, 4, 4.0),
    ]);
    let file = write_segment(dir.path(), &Layout::fixed(Table::Samples), 7, &batch).unwrap();
    let path = dir.path().join("samples").join(&file.relative_path);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), file.bytes);
    assert!(file.relative_path.starts_with("day=7/"));

    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.schema(), &Table::Samples.segment_schema());
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(
        batches.iter().flat_map(values).collect::<Vec<_>>(),
        [4.0, 3.0, 2.0, 1.0]
    );

    assert_eq!((file.rows, file.day), (4, 7));
    let time = stats(&file, column::TIME);
    assert_eq!(time.min, Some(StatValue::Time(UnixNanos(4_000_000))));
    assert_eq!(time.max, Some(StatValue::Time(UnixNanos(9_000_000))));
    assert_eq!(
        stats(&file, column::SERIES_ID).max,
        Some(StatValue::UInt(u64::MAX))
    );
    assert_eq!(
        stats(&file, column::METRIC).min,
        Some(StatValue::Text("a".to_owned()))
    );
    assert!(stats(&file, column::METRIC).bytes > 0);
}

#[test]
fn every_table_reads_back_with_its_own_schema() {
    let dir = tempfile::tempdir().unwrap();
    for table in Table::ALL {
        let schema = table.schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| default_row(table, field))
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let file = write_segment(dir.path(), &Layout::fixed(table), 0, &batch).unwrap();
        let path = dir.path().join(table.name()).join(&file.relative_path);
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let expect = Layout::fixed(table).file_schema();
        assert_eq!(reader.schema().fields(), expect.fields());
        let read = reader.build().unwrap().next().unwrap().unwrap();
        let expect = shred(&batch, &Layout::fixed(table)).unwrap();
        assert_eq!(unpack(&read).unwrap().columns(), expect.columns());
        let measured: HashSet<i64> = file
            .column_stats
            .iter()
            .map(|stats| stats.column_id)
            .collect();
        assert_eq!(measured.len(), table.stats_columns().len());
    }
}

/// The version of the index of a segment.
fn index_version(path: &Path) -> u8 {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let entries = reader.metadata().file_metadata().key_value_metadata();
    let entry = entries
        .unwrap()
        .iter()
        .find(|entry| entry.key == index::INDEX_KEY);
    let place = index::IndexPlace::from_value(entry.unwrap().value.as_ref().unwrap()).unwrap();
    std::fs::read(path).unwrap()[usize::try_from(place.offset).unwrap()]
}

#[test]
fn what_is_flushed_has_blooms_and_what_is_merged_ribbons() {
    let dir = tempfile::tempdir().unwrap();
    for table in [Table::Logs, Table::Spans] {
        let schema = table.schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| default_row(table, field));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        let layout = Layout::fixed(table);
        let batches = || [Ok(batch.clone())];
        let version = |file: WrittenFile| {
            index_version(&dir.path().join(table.name()).join(file.relative_path))
        };
        let rows = std::slice::from_ref(&batch);
        assert_eq!(
            version(write_segment(dir.path(), &layout, 0, &batch).unwrap()),
            1
        );
        assert_eq!(
            version(write_gathered(dir.path(), &layout, 0, rows).unwrap()),
            1
        );
        assert_eq!(
            version(write_sorted(dir.path(), &layout, 0, batches()).unwrap()),
            2
        );
        assert_eq!(
            version(write_compacted(dir.path(), &layout, 0, batches()).unwrap()),
            2
        );
    }
}

/// One value of a column: zero, empty, or a map with one entry.
fn default_row(table: Table, field: &arrow::datatypes::Field) -> ArrayRef {
    if let Some(mut builder) = table.map_builder(field.name()) {
        builder.keys().append_value("k");
        builder.values().append_value("v");
        builder.append(true).unwrap();
        return Arc::new(builder.finish());
    }
    let zero: ArrayRef = match field.data_type() {
        arrow::datatypes::DataType::Utf8 => Arc::new(StringArray::from(vec![""])),
        arrow::datatypes::DataType::Binary => {
            Arc::new(arrow::array::BinaryArray::from_vec(vec![&[1, 2]]))
        }
        _ => Arc::new(Int32Array::from(vec![0])),
    };
    arrow::compute::cast(&zero, field.data_type()).unwrap()
}

#[test]
fn time_beyond_nanoseconds_has_no_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let batch = samples(&[(7, "a", 1, i64::MAX, 1.0), (7, "a", 1, 3, 1.0)]);
    let file = write_segment(dir.path(), &Layout::fixed(Table::Samples), 7, &batch).unwrap();
    let time = stats(&file, column::TIME);
    assert_eq!((&time.min, &time.max, time.values), (&None, &None, 2));
}

#[test]
fn rows_are_parted_by_day() {
    let batch = samples(&[
        (9, "a", 1, 1, 1.0),
        (8, "a", 1, 1, 2.0),
        (9, "a", 1, 1, 3.0),
    ]);
    let parts = split_by_day(Table::Samples, &batch).unwrap();
    let parts: Vec<_> = parts
        .iter()
        .map(|(day, batch)| (*day, values(batch)))
        .collect();
    assert_eq!(parts, [(8, vec![2.0]), (9, vec![1.0, 3.0])]);
    assert!(
        split_by_day(Table::Samples, &batch.slice(0, 0))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn equal_rows_keep_their_order() {
    let rows: Vec<_> = (0..1_000)
        .map(|i| (1, "a", u64::from(i % 3 == 0), 1, f64::from(i)))
        .collect();
    let sorted = values(&sort_batch(Table::Samples, &samples(&rows)).unwrap());
    let (of_zero, of_one) = sorted.split_at(666);
    assert!(of_zero.is_sorted() && of_one.is_sorted());
    assert!(of_one.iter().all(|value| value % 3.0 == 0.0));
}

#[test]
fn wrong_batches_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let batch = samples(&[(7, "a", 1, 1, 1.0)]);
    let wrong_day =
        write_segment(dir.path(), &Layout::fixed(Table::Samples), 8, &batch).unwrap_err();
    assert!(matches!(
        wrong_day,
        SegmentError::Day {
            expected: 8,
            found: 7,
            ..
        }
    ));
    let wrong_table =
        write_segment(dir.path(), &Layout::fixed(Table::Logs), 7, &batch).unwrap_err();
    assert!(matches!(
        wrong_table,
        SegmentError::Schema { table: "logs" }
    ));
    let empty = write_segment(
        dir.path(),
        &Layout::fixed(Table::Samples),
        7,
        &batch.slice(0, 0),
    )
    .unwrap_err();
    assert!(matches!(empty, SegmentError::Empty { .. }));
    let known = HashSet::new();
    let later = UnixNanos(i64::MAX);
    assert_eq!(
        settle_orphans(dir.path(), &known, later, 0).unwrap(),
        Settled::default()
    );
}

#[test]
fn whole_orphans_are_moved_aside_torn_ones_deleted_and_known_or_young_ones_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().canonicalize().unwrap();
    let data = store.join("data");
    std::fs::create_dir(&data).unwrap();
    let batch = samples(&[(7, "a", 1, 1, 1.0)]);
    let [known, whole, torn] = [0, 1, 2].map(|_| {
        let file = write_segment(&data, &Layout::fixed(Table::Samples), 7, &batch).unwrap();
        data.join("samples").join(file.relative_path)
    });
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&torn, &bytes[..bytes.len() - 1]).unwrap();
    let known_files = HashSet::from([known.clone()]);
    let settle = |before| settle_orphans(&data, &known_files, before, u64::MAX).unwrap();
    assert_eq!(settle(UnixNanos(0)), Settled::default());
    assert!(whole.exists() && torn.exists());
    let soon = SystemClock.now().saturating_add(Duration::from_secs(60));
    let expected = Settled {
        deleted: 1,
        moved: 1,
        ..Settled::default()
    };
    assert_eq!(settle(soon), expected);
    assert!(known.exists() && !whole.exists() && !torn.exists());
    let aside = store
        .join(UNCLAIMED_FOLDER)
        .join((soon.0 / 1_000_000_000).to_string())
        .join(whole.strip_prefix(&data).unwrap());
    assert_eq!(std::fs::read(&aside).unwrap(), bytes);
    assert_eq!(unclaimed(&store), (1, bytes.len() as u64));

    assert_eq!(settle(soon.saturating_add(UNCLAIMED_KEPT / 2)).deleted, 0);
    assert!(aside.exists());
    let forgotten = settle(soon.saturating_add(UNCLAIMED_KEPT)).forgotten_by_age;
    assert_eq!((forgotten.files, forgotten.bytes), (1, bytes.len() as u64));
    assert_eq!(unclaimed(&store), (0, 0));
    assert!(known.exists());
}

#[test]
fn unclaimed_segments_take_no_more_than_their_room_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().canonicalize().unwrap();
    let data = store.join("data");
    std::fs::create_dir(&data).unwrap();
    let batch = samples(&[(7, "a", 1, 1, 1.0)]);
    let write = || {
        let file = write_segment(&data, &Layout::fixed(Table::Samples), 7, &batch).unwrap();
        file.bytes
    };
    let now = SystemClock.now();
    let start = |seconds: u64, room: u64| {
        let started = now.saturating_add(Duration::from_secs(seconds));
        settle_orphans(&data, &HashSet::new(), started, room).unwrap()
    };
    let bytes = write();
    let room = bytes * 2;
    assert_eq!(start(60, room).forgotten_by_size, Forgotten::default());
    write();
    assert_eq!(start(61, room).forgotten_by_size, Forgotten::default());
    write();
    // What was just moved stays.
    assert_eq!(start(62, room).forgotten_by_size, Forgotten::default());
    let forgotten = start(3_700, room).forgotten_by_size;
    assert_eq!(forgotten, Forgotten { files: 1, bytes });
    assert_eq!(unclaimed(&store), (2, bytes * 2));
    let folder = |seconds: i64| {
        let name = (now.0 / 1_000_000_000 + seconds).to_string();
        store.join(UNCLAIMED_FOLDER).join(name)
    };
    assert!(!folder(60).exists(), "the oldest one, and its folder");
    assert!(folder(61).exists() && folder(62).exists());
}

#[test]
fn what_a_wrong_catalog_left_unclaimed_is_kept_for_days_whatever_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().canonicalize().unwrap();
    let data = store.join("data");
    std::fs::create_dir(&data).unwrap();
    let batch = samples(&[(7, "a", 1, 1, 1.0)]);
    for _ in 0..21 {
        write_segment(&data, &Layout::fixed(Table::Samples), 7, &batch).unwrap();
    }
    let start = |seconds: u64| {
        let started = SystemClock
            .now()
            .saturating_add(Duration::from_secs(seconds));
        settle_orphans(&data, &HashSet::new(), started, 0).unwrap()
    };
    assert_eq!(start(60).moved, 21);
    let file = write_segment(&data, &Layout::fixed(Table::Samples), 7, &batch).unwrap();
    let days = Duration::from_secs(2 * 86_400);
    let started = SystemClock.now().saturating_add(days);
    let settled = settle_orphans(&data, &HashSet::new(), started, file.bytes).unwrap();
    // Nor does it take the room of others.
    assert_eq!((settled.moved, settled.forgotten_by_size.files), (1, 0));
    assert_eq!(start(2 * 86_400).forgotten_by_size.files, 1);
    assert_eq!(unclaimed(&store).0, 21);
    assert_eq!(start(3 * 86_400 + 60).forgotten_by_size.files, 21);
    assert_eq!(unclaimed(&store), (0, 0));
}

#[test]
fn row_groups_are_bounded_and_pages_indexed() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..130_000).map(|i| (1, "a", 1, i, 0.5)).collect();
    let file = write_segment(
        dir.path(),
        &Layout::fixed(Table::Samples),
        1,
        &samples(&rows),
    )
    .unwrap();
    let path = dir.path().join("samples").join(&file.relative_path);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let groups: Vec<i64> = reader
        .metadata()
        .row_groups()
        .iter()
        .map(|g| g.num_rows())
        .collect();
    assert_eq!(groups, [122_880, 7_120]);
    let time = reader.metadata().row_group(0).column(3);
    assert!(time.column_index_offset().is_some() && time.offset_index_offset().is_some());
    assert!(
        time.encodings()
            .any(|e| e == parquet::basic::Encoding::DELTA_BINARY_PACKED)
    );
    let days = reader.build().unwrap().next().unwrap().unwrap();
    assert_eq!(days.column(0).as_primitive::<Int32Type>().null_count(), 0);
}

#[test]
fn known_files_behind_a_symbolic_link_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let batch = samples(&[(7, "a", 1, 1, 1.0)]);
    let file = write_segment(&link, &Layout::fixed(Table::Samples), 7, &batch).unwrap();
    let known = HashSet::from([real.join("samples").join(&file.relative_path)]);
    assert_eq!(
        settle_orphans(&link, &known, UnixNanos(i64::MAX), 0).unwrap(),
        Settled::default()
    );
    assert!(real.join("samples").join(&file.relative_path).exists());
}

#[test]
fn sorted_batches_become_one_segment_and_unsorted_ones_none() {
    let dir = tempfile::tempdir().unwrap();
    let low = samples(&[(7, "a", 1, 1, 1.0), (7, "a", 1, 1, 2.0)]);
    let high = samples(&[(7, "a", 1, 2, 3.0), (7, "b", 0, 0, 4.0)]);
    let none = low.slice(0, 0);
    let write = |batches: &[&RecordBatch]| {
        let batches: Vec<_> = batches.iter().map(|batch| Ok((*batch).clone())).collect();
        write_sorted(dir.path(), &Layout::fixed(Table::Samples), 7, batches)
    };
    assert_eq!(write(&[&low, &none, &high]).unwrap().rows, 4);
    let between = write(&[&high, &none, &low]).unwrap_err();
    assert!(matches!(
        between,
        SegmentError::Unsorted { table: "samples" }
    ));
    let within = samples(&[(7, "b", 1, 1, 1.0), (7, "a", 1, 1, 2.0)]);
    assert!(matches!(
        write(&[&within]),
        Err(SegmentError::Unsorted { .. })
    ));
}
