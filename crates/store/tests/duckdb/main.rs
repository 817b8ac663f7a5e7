//! A catalog written here is attached by DuckDB, which judges rows, predicates and commits.
//!
//! Needs Python with duckdb 1.5.5 and the ducklake and sqlite_scanner extensions of the same version;
//! `VERVET_DUCKDB_PYTHON` names the interpreter.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers of tests fail them by a panic and say what they skipped"
)]

mod columns;
mod commits;
mod oracle;
mod predicates;
mod rows;
mod size;
mod values;

use std::path::Path;

use arrow::array::RecordBatch;
use vervet_store::catalog::{Catalog as _, Commit, SqliteCatalog};
use vervet_store::segment::{WrittenFile, split_by_day, write_segment};
use vervet_store::tables::{Layout, Table};

/// Writes the rows of `batch` as one segment a day.
fn write(dir: &Path, table: Table, batch: &RecordBatch) -> Vec<(Table, WrittenFile)> {
    let data_dir = dir.join("data");
    split_by_day(table, batch)
        .unwrap()
        .iter()
        .map(|(day, part)| {
            (
                table,
                write_segment(&data_dir, &Layout::fixed(table), *day, part).unwrap(),
            )
        })
        .collect()
}

/// Writes and commits batches of several tables at once.
fn store(dir: &Path, catalog: &SqliteCatalog, batches: &[(Table, RecordBatch)]) {
    let add = batches
        .iter()
        .flat_map(|(table, batch)| write(dir, *table, batch))
        .collect();
    let commit = Commit {
        add,
        ..Commit::default()
    };
    catalog.commit(&commit).unwrap();
}
