//! Bytes on disk of service logs, by column, against the same records as JSON lines through zstd.
//!
//! Sizes do not depend on how the program was built: `cargo bench -p vervet-benches --bench store_size --profile dev`
//! builds nothing twice. The environment variable `RECORDS` sets the number of records.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

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
/// Parts of fewer bytes a record are left out of the report.
const SHOWN_MIN: f64 = 0.02;
/// Names the place of the index in the footer of a segment.
const INDEX_KEY: &str = "vervet.index";

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
    let sizes = Sizes {
        records,
        lines: lines.len(),
        ndjson,
    };
    let segments = flushed.len();
    sizes.print();
    sizes.report(
        flushed_bytes,
        &format!("{segments} segments as flushed"),
        &parts(flushed.iter().map(|file| file.path.as_ref()))?,
    );
    for (path, bytes, when) in merged {
        sizes.report(
            bytes,
            &format!("one segment, merged {when}"),
            &parts([path.as_path()])?,
        );
    }
    Ok(())
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

/// Segments of all rows as compaction leaves them.
fn merge(
    dir: &Path,
    files: &[&DataFile],
    layout: &Layout,
) -> anyhow::Result<[(PathBuf, u64, &'static str); 2]> {
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
    let folder = folder.join(layout.table().name());
    Ok([
        (
            folder.join(open.relative_path),
            open.bytes,
            "during the day",
        ),
        (
            folder.join(closed.relative_path),
            closed.bytes,
            "after the day",
        ),
    ])
}

/// Bytes of the parts of some files: columns, with their encodings, and what is in the files besides.
fn parts<'p>(
    paths: impl IntoIterator<Item = &'p Path>,
) -> anyhow::Result<BTreeMap<String, (u64, String)>> {
    let mut parts: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for path in paths {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let mut columns = 0;
        for chunk in reader
            .metadata()
            .row_groups()
            .iter()
            .flat_map(|group| group.columns())
        {
            let part = parts.entry(chunk.column_path().string()).or_default();
            let compressed = u64::try_from(chunk.compressed_size())?;
            part.0 += compressed;
            columns += compressed;
            let encodings = chunk.encodings().map(|encoding| encoding.to_string());
            part.1 = encodings.collect::<Vec<_>>().join(" ");
        }
        let index = index_bytes(reader.metadata())?;
        let index_part = parts.entry("index of words, ids and counts".to_owned());
        index_part.or_default().0 += index;
        let rest = parts.entry("page index and footer".to_owned());
        rest.or_default().0 += bytes.saturating_sub(columns + index);
    }
    Ok(parts)
}

/// As the footer says: `OFFSET:LENGTH`.
fn index_bytes(metadata: &ParquetMetaData) -> anyhow::Result<u64> {
    let entries = metadata.file_metadata().key_value_metadata();
    let entry = entries.and_then(|entries| entries.iter().find(|entry| entry.key == INDEX_KEY));
    let place = entry.and_then(|entry| entry.value.as_deref());
    let (_offset, length) = place
        .and_then(|place| place.split_once(':'))
        .context("a segment without an index")?;
    Ok(length.parse()?)
}

struct Sizes {
    records: usize,
    lines: usize,
    ndjson: usize,
}

#[expect(clippy::print_stdout, reason = "the report is what the bench is for")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
impl Sizes {
    fn per_record(&self, bytes: f64) -> f64 {
        bytes / self.records as f64
    }

    fn print(&self) {
        println!("{} records, bytes a record", self.records);
        println!("{:>9.2}  JSON lines", self.per_record(self.lines as f64));
        let ndjson = self.per_record(self.ndjson as f64);
        println!("{ndjson:>9.2}  JSON lines, zstd -{NDJSON_LEVEL}");
    }

    fn report(&self, bytes: u64, what: &str, parts: &BTreeMap<String, (u64, String)>) {
        let part = bytes as f64 / self.ndjson as f64;
        let bytes = self.per_record(bytes as f64);
        println!("{bytes:>9.2}  {what}: {part:.3} of it (goal {GOAL})");
        let mut parts: Vec<_> = parts.iter().collect();
        parts.sort_by_key(|(_name, (bytes, _encodings))| std::cmp::Reverse(*bytes));
        for (name, (bytes, encodings)) in parts {
            let bytes = self.per_record(*bytes as f64);
            if bytes >= SHOWN_MIN {
                println!("{bytes:>9.3}    {name} ({encodings})");
            }
        }
    }
}
