//! Rows of every table from a seed.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, MapArray, RecordBatch,
    StringArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use vervet_store::tables::{Table, column};

pub(crate) const DAY: i32 = 20_000;
pub(crate) const DAY_NS: i64 = 86_400_000_000_000;

/// A small generator of numbers that look random (an additive counter, mixed by two multiplications).
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 31)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 32)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Between 0 and 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are what a double holds"
    )]
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

pub(crate) type Pairs = Vec<(String, String)>;

#[derive(Clone)]
pub(crate) struct LogRow {
    pub(crate) time: i64,
    pub(crate) severity: i32,
    pub(crate) service: String,
    pub(crate) stream: u64,
    pub(crate) trace: Option<Vec<u8>>,
    pub(crate) body: String,
    pub(crate) attributes: Pairs,
    pub(crate) resource: Pairs,
}

#[derive(Clone)]
pub(crate) struct SpanRow {
    pub(crate) time: i64,
    pub(crate) duration: i64,
    pub(crate) trace: Vec<u8>,
    pub(crate) parent: Option<Vec<u8>>,
    pub(crate) service: String,
    pub(crate) name: String,
}

#[derive(Clone)]
pub(crate) struct SampleRow {
    pub(crate) metric: String,
    pub(crate) series: u64,
    pub(crate) time_ms: i64,
    pub(crate) value: f64,
}

#[derive(Clone)]
pub(crate) struct SeriesRow {
    pub(crate) day: i32,
    pub(crate) metric: String,
    pub(crate) series: u64,
    pub(crate) labels: Pairs,
}

pub(crate) fn day_of(time: i64) -> i32 {
    i32::try_from(time.div_euclid(DAY_NS)).unwrap()
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter_values(values))
}

fn blobs<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> ArrayRef {
    Arc::new(values.collect::<BinaryArray>())
}

fn maps<'a>(table: Table, name: &str, values: impl Iterator<Item = &'a Pairs>) -> ArrayRef {
    let mut builder = table.map_builder(name).unwrap();
    for pairs in values {
        for (key, value) in pairs {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(true).unwrap();
    }
    let map: MapArray = builder.finish();
    Arc::new(map)
}

fn level(severity: i32) -> &'static str {
    ["trace", "debug", "info", "warn", "error", "fatal"]
        [usize::try_from((severity - 1) / 4).unwrap()]
}

pub(crate) fn logs(rows: &[LogRow]) -> RecordBatch {
    let constant = |text: &'static str| texts(rows.iter().map(move |_row| text));
    let span = |row: &LogRow| row.trace.as_ref().map(|trace| trace[8..].to_vec());
    let spans: Vec<Option<Vec<u8>>> = rows.iter().map(span).collect();
    let pods: Vec<String> = rows
        .iter()
        .map(|row| format!("{}-{:x}", row.service, row.stream % 5))
        .collect();
    let columns = vec![
        Arc::new(
            rows.iter()
                .map(|row| day_of(row.time))
                .collect::<Int32Array>(),
        ) as ArrayRef,
        times(rows.iter().map(|row| row.time)),
        times(rows.iter().map(|row| row.time + 1_000_003)),
        Arc::new(rows.iter().map(|row| row.severity).collect::<Int32Array>()),
        texts(rows.iter().map(|row| level(row.severity))),
        texts(rows.iter().map(|row| row.service.as_str())),
        constant("production"),
        constant("node-1"),
        constant("shop"),
        texts(pods.iter().map(String::as_str)),
        texts(rows.iter().map(|row| row.service.as_str())),
        Arc::new(UInt64Array::from_iter_values(
            rows.iter().map(|row| row.stream),
        )),
        blobs(rows.iter().map(|row| row.trace.as_deref())),
        blobs(spans.iter().map(Option::as_deref)),
        Arc::new(StringArray::from(vec![None::<&str>; rows.len()])),
        constant(""),
        texts(rows.iter().map(|row| row.body.as_str())),
        maps(
            Table::Logs,
            column::ATTRIBUTES,
            rows.iter().map(|row| &row.attributes),
        ),
        maps(
            Table::Logs,
            column::RESOURCE_ATTRIBUTES,
            rows.iter().map(|row| &row.resource),
        ),
    ];
    RecordBatch::try_new(Table::Logs.schema(), columns).unwrap()
}

pub(crate) fn spans(rows: &[SpanRow]) -> RecordBatch {
    let constant = |text: &'static str| texts(rows.iter().map(move |_row| text));
    let none = Pairs::new();
    let columns = vec![
        Arc::new(
            rows.iter()
                .map(|row| day_of(row.time))
                .collect::<Int32Array>(),
        ) as ArrayRef,
        times(rows.iter().map(|row| row.time)),
        Arc::new(Int64Array::from_iter_values(
            rows.iter().map(|row| row.duration),
        )),
        blobs(rows.iter().map(|row| Some(row.trace.as_slice()))),
        blobs(rows.iter().map(|row| Some(&row.trace[..8]))),
        blobs(rows.iter().map(|row| row.parent.as_deref())),
        texts(rows.iter().map(|row| row.service.as_str())),
        constant("production"),
        texts(rows.iter().map(|row| row.name.as_str())),
        constant("server"),
        constant("ok"),
        constant(""),
        constant("http"),
        maps(
            Table::Spans,
            column::ATTRIBUTES,
            rows.iter().map(|_row| &none),
        ),
        maps(
            Table::Spans,
            column::RESOURCE_ATTRIBUTES,
            rows.iter().map(|_row| &none),
        ),
        constant("[]"),
        constant("[]"),
    ];
    RecordBatch::try_new(Table::Spans.schema(), columns).unwrap()
}

pub(crate) fn samples(rows: &[SampleRow]) -> RecordBatch {
    let days = rows.iter().map(|row| day_of(row.time_ms * 1_000_000));
    let columns = vec![
        Arc::new(days.collect::<Int32Array>()) as ArrayRef,
        texts(rows.iter().map(|row| row.metric.as_str())),
        Arc::new(UInt64Array::from_iter_values(
            rows.iter().map(|row| row.series),
        )),
        Arc::new(TimestampMillisecondArray::from_iter_values(
            rows.iter().map(|row| row.time_ms),
        )),
        Arc::new(Float64Array::from_iter_values(
            rows.iter().map(|row| row.value),
        )),
    ];
    RecordBatch::try_new(Table::Samples.schema(), columns).unwrap()
}

pub(crate) fn series(rows: &[SeriesRow]) -> RecordBatch {
    let columns = vec![
        Arc::new(rows.iter().map(|row| row.day).collect::<Int32Array>()) as ArrayRef,
        texts(rows.iter().map(|row| row.metric.as_str())),
        Arc::new(UInt64Array::from_iter_values(
            rows.iter().map(|row| row.series),
        )),
        maps(
            Table::Series,
            column::LABELS,
            rows.iter().map(|row| &row.labels),
        ),
        texts(rows.iter().map(|_row| "gauge")),
        texts(rows.iter().map(|_row| "")),
    ];
    RecordBatch::try_new(Table::Series.schema(), columns).unwrap()
}
