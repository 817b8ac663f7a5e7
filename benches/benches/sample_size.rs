//! Bytes on disk a sample, by column and by kind of series, of node-exporter-like series at 15 s.
//!
//! Sizes do not depend on how the program was built: `cargo bench -p vervet-benches --bench sample_size --profile dev`
//! builds nothing twice. The environment variables `TARGETS` and `HOURS` set how much there is of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arrow::array::{
    ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt64Array,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use vervet_benches::generate::samples::{Motion, Target};
use vervet_model::{Labels, UnixNanos};
use vervet_store::segment::{write_compacted, write_sorted};
use vervet_store::tables::{Layout, Table};

const SEED: u64 = 21;
const TARGETS_DEFAULT: u64 = 3;
const HOURS_DEFAULT: usize = 12;
const SCRAPES_PER_HOUR: usize = 240;
/// What a flush every ten minutes has of a series.
const SCRAPES_PER_FLUSH: usize = 40;
const GOAL: f64 = 2.0;

/// A series with its samples, in milliseconds.
struct Series {
    metric: String,
    id: u64,
    motion: Motion,
    samples: Vec<(i64, f64)>,
}

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` asks whether the bench runs, not for its figures.
    let quick = std::env::args().any(|argument| argument == "--test");
    let targets = number("TARGETS", if quick { 1 } else { TARGETS_DEFAULT })?;
    let hours = number("HOURS", HOURS_DEFAULT)?;
    let scrapes = if quick {
        SCRAPES_PER_FLUSH
    } else {
        hours * SCRAPES_PER_HOUR
    };
    let series = generate(targets, scrapes)?;
    let dir = tempfile::tempdir()?;
    let merged = write(dir.path(), series.iter(), scrapes)?;
    let flushed = write(dir.path(), series.iter(), SCRAPES_PER_FLUSH.min(scrapes))?;
    report(targets, scrapes, series.len(), &merged, &flushed);
    let motions: BTreeSet<Motion> = series.iter().map(|series| series.motion).collect();
    for motion in motions {
        let of_motion = || series.iter().filter(|series| series.motion == motion);
        report_kind(
            motion,
            of_motion().count(),
            &write(dir.path(), of_motion(), scrapes)?,
        );
    }
    Ok(())
}

fn number<T: std::str::FromStr>(variable: &'static str, default: T) -> anyhow::Result<T> {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .ok()
            .with_context(|| format!("{variable} is no number")),
        Err(_unset) => Ok(default),
    }
}

/// The series in the order of their table.
fn generate(targets: u64, scrapes: usize) -> anyhow::Result<Vec<Series>> {
    let mut all = Vec::new();
    for index in 0..targets {
        let mut target = Target::new(SEED, index);
        let motions: Vec<Motion> = target.motions().collect();
        let mut series: Vec<Series> = Vec::with_capacity(motions.len());
        for scrape in 0..scrapes {
            let points: Vec<(Option<Labels>, f64)> = target
                .scrape()
                .map(|(labels, value)| ((scrape == 0).then(|| Labels::from_pairs(labels)), value))
                .collect();
            let time = UnixNanos(i64::try_from(target.now_unix_nano())?)
                .to_millis()
                .0;
            for (place, (labels, value)) in points.into_iter().enumerate() {
                if let Some(labels) = labels {
                    series.push(Series {
                        metric: labels.metric_name().to_owned(),
                        id: labels.fingerprint(),
                        motion: motions[place],
                        samples: Vec::with_capacity(scrapes),
                    });
                }
                series[place].samples.push((time, value));
            }
        }
        all.append(&mut series);
    }
    all.sort_by(|a, b| (&a.metric, a.id).cmp(&(&b.metric, b.id)));
    Ok(all)
}

#[derive(Default)]
struct Size {
    rows: u64,
    bytes: u64,
    columns: BTreeMap<String, (i64, String)>,
}

/// Writes the first samples of each series as one segment, as a flush does or, when they are more, as compaction.
fn write<'s>(
    dir: &Path,
    series: impl Iterator<Item = &'s Series>,
    scrapes: usize,
) -> anyhow::Result<Size> {
    let batches = series.map(|series| {
        let samples = &series.samples[..scrapes.min(series.samples.len())];
        Ok(batch(series, samples))
    });
    let layout = Layout::fixed(Table::Samples);
    let file = match scrapes > SCRAPES_PER_FLUSH {
        true => write_compacted(dir, &layout, 0, batches)?,
        false => write_sorted(dir, &layout, 0, batches)?,
    };
    let path = dir.join(Table::Samples.name()).join(&file.relative_path);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let mut size = Size {
        rows: file.rows,
        bytes: file.bytes,
        ..Size::default()
    };
    let groups = reader.metadata().row_groups().iter();
    for chunk in groups.flat_map(|group| group.columns()) {
        let column = chunk.column_path().string();
        let column = size.columns.entry(column).or_default();
        column.0 += chunk.compressed_size();
        let encodings: Vec<String> = chunk
            .encodings()
            .map(|encoding| encoding.to_string())
            .collect();
        column.1 = encodings.join(" ");
    }
    Ok(size)
}

fn batch(series: &Series, samples: &[(i64, f64)]) -> RecordBatch {
    let rows = samples.len();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_value(0, rows)),
        Arc::new(StringArray::from(vec![series.metric.as_str(); rows])),
        Arc::new(UInt64Array::from_value(series.id, rows)),
        Arc::new(TimestampMillisecondArray::from_iter_values(
            samples.iter().map(|(time, _value)| *time),
        )),
        Arc::new(Float64Array::from_iter_values(
            samples.iter().map(|(_time, value)| *value),
        )),
    ];
    RecordBatch::try_new(Table::Samples.schema(), columns).expect("columns of the table")
}

#[expect(clippy::print_stdout, reason = "the report is what the bench is for")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(targets: u64, scrapes: usize, series: usize, merged: &Size, flushed: &Size) {
    let each = |bytes: f64| bytes / merged.rows as f64;
    println!("{series} series of {targets} targets, {scrapes} scrapes; bytes a sample");
    println!(
        "{:>8.3}  {} samples a series, one segment as flushed",
        flushed.bytes as f64 / flushed.rows as f64,
        SCRAPES_PER_FLUSH.min(scrapes)
    );
    println!(
        "{:>8.3}  all in one segment as compacted (goal {GOAL})",
        each(merged.bytes as f64)
    );
    let mut columns: Vec<_> = merged.columns.iter().collect();
    columns.sort_by_key(|(_name, (bytes, _encodings))| std::cmp::Reverse(*bytes));
    for (name, (bytes, encodings)) in &columns {
        println!("{:>8.3}    {name} ({encodings})", each(*bytes as f64));
    }
    let in_columns: i64 = columns.iter().map(|(_name, (bytes, _))| *bytes).sum();
    println!(
        "{:>8.3}    footer and indexes",
        each(merged.bytes as f64 - in_columns as f64)
    );
}

#[expect(clippy::print_stdout, reason = "the report is what the bench is for")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report_kind(motion: Motion, series: usize, size: &Size) {
    println!(
        "{:>8.3}  {motion:?}, {series} series by themselves",
        size.bytes as f64 / size.rows as f64
    );
}
