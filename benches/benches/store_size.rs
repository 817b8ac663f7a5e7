//! Bytes on disk of service logs, by column, against the same records as JSON lines through zstd.
//!
//! Sizes do not depend on how the program was built: `cargo bench -p vervet-benches --bench store_size --profile dev`
//! builds nothing twice. The environment variable `RECORDS` sets the number of records.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;
use vervet_benches::generate::logs::Logs;
use vervet_model::{Signal, UnixNanos};
use vervet_store::catalog::{Catalog as _, DataFile, SqliteCatalog};
use vervet_store::segment::{sort_batch, write_compacted, write_sorted};
use vervet_store::tables::{Layout, Table};
use vervet_store::{DecodeOptions, Store, StoreConfig, decode};

const SEED: u64 = 20;
const RECORDS_DEFAULT: usize = 200_000;
const RECORDS_PER_REQUEST: usize = 1_000;
const NDJSON_LEVEL: i32 = 3;
const GOAL: f64 = 0.65;

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` asks whether the bench runs, not for its figures.
    let quick = std::env::args().any(|argument| argument == "--test");
    let records = match std::env::var("RECORDS") {
        Ok(text) => text.parse().context("RECORDS is no number")?,
        Err(_unset) if quick => 4 * RECORDS_PER_REQUEST,
        Err(_unset) => RECORDS_DEFAULT,
    };
    let dir = tempfile::tempdir()?;
    let lines = store(dir.path(), records)?;
    let ndjson = zstd::bulk::compress(&lines, NDJSON_LEVEL)?.len();
    let catalog = SqliteCatalog::open(dir.path())?;
    let snapshot = catalog.snapshot()?;
    let flushed: Vec<&DataFile> = snapshot.table(Table::Logs).collect();
    let flushed_bytes: u64 = flushed.iter().map(|file| file.bytes).sum();
    let merged = merge(dir.path(), &flushed, snapshot.layout(Table::Logs))?;
    report(
        records,
        lines.len(),
        ndjson,
        (flushed.len(), flushed_bytes),
        &merged,
    )
}

/// Stores the records with the limits that are the default. Returns them as JSON lines.
fn store(dir: &Path, records: usize) -> anyhow::Result<Vec<u8>> {
    let mut logs = Logs::new(SEED);
    let mut lines = Vec::new();
    let config = StoreConfig::new(dir);
    let flush_bytes = config.head_bytes_max;
    let store = Store::open(config)?;
    let received_at = UnixNanos(i64::try_from(vervet_benches::generate::START_UNIX_NANO)?);
    for sequence in 1..=records.div_ceil(RECORDS_PER_REQUEST) {
        let body = logs.request_and_lines(RECORDS_PER_REQUEST, &mut lines);
        let decoded = decode(Signal::Logs, &body, &DecodeOptions::default(), received_at)?;
        store.apply(sequence as u64, decoded, None);
        if store.head_bytes() >= flush_bytes {
            store.flush()?;
        }
    }
    store.flush()?;
    Ok(lines)
}

/// A segment of all rows as compaction leaves it.
struct Merged {
    /// While rows of its day still come.
    open_bytes: u64,
    /// Once the day is over.
    closed_bytes: u64,
    metadata: ParquetMetaData,
}

fn merge(dir: &Path, files: &[&DataFile], layout: &Layout) -> anyhow::Result<Merged> {
    let mut batches: Vec<RecordBatch> = Vec::new();
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path)?)?.build()?;
        for batch in reader {
            batches.push(vervet_store::segment::shred(&batch?, layout)?);
        }
    }
    let all = concat_batches(&layout.schema(), &batches)?;
    let sorted = sort_batch(layout.table(), &all)?;
    let day = files.first().context("nothing was flushed")?.day;
    let folder = dir.join("merged");
    let open = write_sorted(&folder, layout, day, [Ok(sorted.clone())])?;
    let closed = write_compacted(&folder, layout, day, [Ok(sorted)])?;
    let path = folder
        .join(layout.table().name())
        .join(&closed.relative_path);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    Ok(Merged {
        open_bytes: open.bytes,
        closed_bytes: closed.bytes,
        metadata: reader.metadata().as_ref().clone(),
    })
}

#[expect(clippy::print_stdout, reason = "the report is what the bench is for")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(
    records: usize,
    line_bytes: usize,
    ndjson: usize,
    (files, flushed): (usize, u64),
    merged: &Merged,
) -> anyhow::Result<()> {
    let per_record = |bytes: f64| bytes / records as f64;
    let ndjson = ndjson as f64;
    println!("{records} records, bytes a record");
    println!("{:>9.2}  JSON lines", per_record(line_bytes as f64));
    println!(
        "{:>9.2}  JSON lines, zstd -{NDJSON_LEVEL}",
        per_record(ndjson)
    );
    let figures = [
        (flushed, format!("{files} segments as flushed")),
        (
            merged.open_bytes,
            "one segment, merged during the day".to_owned(),
        ),
        (
            merged.closed_bytes,
            "one segment, merged after the day".to_owned(),
        ),
    ];
    for (bytes, what) in figures {
        let bytes = bytes as f64;
        let part = bytes / ndjson;
        println!(
            "{:>9.2}  {what}: {part:.3} of it (goal {GOAL})",
            per_record(bytes)
        );
    }
    println!("The last by column:");
    let mut columns: BTreeMap<String, (i64, String)> = BTreeMap::new();
    for chunk in merged
        .metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
    {
        let column = columns.entry(chunk.column_path().string()).or_default();
        column.0 += chunk.compressed_size();
        let encodings: Vec<String> = chunk
            .encodings()
            .map(|encoding| encoding.to_string())
            .collect();
        column.1 = encodings.join(" ");
    }
    let in_columns: i64 = columns.values().map(|(bytes, _encodings)| bytes).sum();
    let mut columns: Vec<_> = columns.into_iter().collect();
    columns.sort_by_key(|(_name, (bytes, _encodings))| std::cmp::Reverse(*bytes));
    for (name, (bytes, encodings)) in columns {
        println!("{:>9.3}    {name} ({encodings})", per_record(bytes as f64));
    }
    let other = merged.closed_bytes as f64 - in_columns as f64;
    println!("{:>9.3}    index, page index and footer", per_record(other));
    Ok(())
}
