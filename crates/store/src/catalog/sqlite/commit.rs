//! Applies a commit inside of one write transaction.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{OptionalExtension as _, Transaction, params};
use vervet_model::UnixNanos;

use super::super::{
    CatalogError, ColumnStats, Commit, Committed, DataFile, FileId, SnapshotId, StatValue, stats,
};
use super::{jobs, layout, promoted, read, sqlite, to_i64, views};
use crate::segment::WrittenFile;
use crate::tables::{Table, column, column_id};

/// Writes all of `commit`. A commit without a change of files or columns makes no snapshot.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    data_dir: &Path,
    commit: &Commit,
    now: UnixNanos,
) -> Result<Committed, CatalogError> {
    set_journal_position(transaction, commit.journal_position)?;
    set_agent_sequences(transaction, commit)?;
    set_metric_metadata(transaction, commit).map_err(sqlite("write metric metadata"))?;
    if let Some(job) = &commit.delete_job {
        jobs::save(transaction, job)?;
    }
    let newest = read::newest_snapshot(transaction)?;
    if commit.add.is_empty() && commit.remove.is_empty() && commit.promote.is_empty() {
        return Ok(Committed {
            snapshot: newest,
            layouts: None,
            added: Vec::new(),
        });
    }
    forget_table_bounds(transaction)?;
    let snapshot = SnapshotId(newest.0 + 1);
    let mut changes = BTreeSet::new();
    for id in &commit.remove {
        let table_id = end_file(transaction, *id, snapshot)?;
        changes.insert(format!("deleted_from_table:{table_id}"));
    }
    let altered = add_columns(transaction, commit, newest, snapshot)?;
    changes.extend(altered.iter().map(|id| format!("altered_table:{id}")));
    let mut next_file_id = next_file_id(transaction, newest)?;
    let mut added = Vec::with_capacity(commit.add.len());
    for (table, file) in &commit.add {
        let id = FileId(next_file_id);
        add_file(transaction, *table, file, id, snapshot)?;
        added.push(data_file(data_dir, *table, file, id));
        next_file_id += 1;
        changes.insert(format!("inserted_into_table:{}", table.id()));
    }
    let changes: Vec<String> = changes.into_iter().collect();
    let schema_changed = !altered.is_empty();
    insert_snapshot(
        transaction,
        (newest, snapshot),
        schema_changed,
        next_file_id,
        now,
    )
    .map_err(sqlite("write a snapshot"))?;
    transaction
        .prepare("INSERT INTO ducklake_snapshot_changes VALUES (?1, ?2, NULL, NULL, NULL)")
        .and_then(|mut statement| statement.execute(params![snapshot.0, changes.join(",")]))
        .map_err(sqlite("write the changes of a snapshot"))?;
    let layouts = match schema_changed {
        true => Some(promoted::layouts(transaction)?),
        false => None,
    };
    Ok(Committed {
        snapshot,
        layouts,
        added,
    })
}

/// Nobody but DuckDB, writing against the documentation, puts rows there. They go stale with this commit,
/// and DuckDB would take what lies outside of them for absent.
fn forget_table_bounds(transaction: &Transaction<'_>) -> Result<(), CatalogError> {
    transaction
        .execute("DELETE FROM ducklake_table_column_stats", [])
        .map_err(sqlite("forget the bounds of tables"))?;
    Ok(())
}

fn next_file_id(transaction: &Transaction<'_>, newest: SnapshotId) -> Result<i64, CatalogError> {
    transaction
        .prepare("SELECT next_file_id FROM ducklake_snapshot WHERE snapshot_id = ?1")
        .and_then(|mut statement| statement.query_row([newest.0], |row| row.get(0)))
        .map_err(sqlite("read the next file id"))
}

/// Adds the promoted columns of `commit` and returns the ids of the tables that have new ones.
fn add_columns(
    transaction: &Transaction<'_>,
    commit: &Commit,
    newest: SnapshotId,
    snapshot: SnapshotId,
) -> Result<BTreeSet<i64>, CatalogError> {
    let mut altered = BTreeSet::new();
    for (table, column) in &commit.promote {
        if promoted::add(transaction, *table, column, snapshot)? {
            altered.insert(table.id());
        }
    }
    if altered.contains(&Table::Logs.id()) {
        views::renew(transaction, snapshot)?;
    }
    for table_id in &altered {
        transaction
            .prepare(
                "INSERT INTO ducklake_schema_versions
                 SELECT ?1, schema_version + 1, ?2 FROM ducklake_snapshot WHERE snapshot_id = ?3",
            )
            .and_then(|mut statement| statement.execute([snapshot.0, *table_id, newest.0]))
            .map_err(sqlite("write the schema version of a table"))?;
    }
    Ok(altered)
}

fn insert_snapshot(
    transaction: &Transaction<'_>,
    (newest, snapshot): (SnapshotId, SnapshotId),
    schema_changed: bool,
    next_file_id: i64,
    now: UnixNanos,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare(
            "INSERT INTO ducklake_snapshot
             SELECT ?1, ?2, schema_version + ?5, next_catalog_id, ?3
             FROM ducklake_snapshot WHERE snapshot_id = ?4",
        )?
        .execute(params![
            snapshot.0,
            stats::snapshot_time(now),
            next_file_id,
            newest.0,
            schema_changed
        ])?;
    Ok(())
}

/// Ends a live file and takes it out of the totals of its table, whose id is returned.
fn end_file(
    transaction: &Transaction<'_>,
    id: FileId,
    snapshot: SnapshotId,
) -> Result<i64, CatalogError> {
    let action = "end a replaced file";
    let ended: Option<(i64, i64, i64)> = transaction
        .prepare(
            "UPDATE ducklake_data_file SET end_snapshot = ?1
             WHERE data_file_id = ?2 AND end_snapshot IS NULL
             RETURNING table_id, record_count, file_size_bytes",
        )
        .and_then(|mut statement| {
            statement
                .query_row([snapshot.0, id.0], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
        })
        .map_err(sqlite(action))?;
    let (table_id, rows, bytes) = ended.ok_or(CatalogError::NotLive { id })?;
    transaction
        .prepare(
            "UPDATE ducklake_table_stats
             SET record_count = record_count - ?2, file_size_bytes = file_size_bytes - ?3
             WHERE table_id = ?1",
        )
        .and_then(|mut statement| statement.execute([table_id, rows, bytes]))
        .map_err(sqlite(action))?;
    Ok(table_id)
}

fn add_file(
    transaction: &Transaction<'_>,
    table: Table,
    file: &WrittenFile,
    id: FileId,
    snapshot: SnapshotId,
) -> Result<(), CatalogError> {
    let rows = to_i64("row count", file.rows)?;
    let bytes = to_i64("file size", file.bytes)?;
    let footer_bytes = to_i64("footer size", file.footer_bytes)?;
    let row_id_start = take_row_ids(transaction, table, rows, bytes)
        .map_err(sqlite("update the totals of a table"))?;
    transaction
        .prepare(
            "INSERT INTO ducklake_data_file VALUES
                (?1, ?2, ?3, NULL, ?10, ?4, 1, 'parquet', ?5, ?6, ?7, ?8, ?9, NULL, NULL, NULL)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id.0,
                table.id(),
                snapshot.0,
                file.relative_path,
                rows,
                bytes,
                footer_bytes,
                row_id_start,
                layout::partition_id(table),
                file.order
            ])
        })
        .map_err(sqlite("add a file"))?;
    transaction
        .prepare("INSERT INTO ducklake_file_partition_value VALUES (?1, ?2, 0, ?3)")
        .and_then(|mut statement| {
            statement.execute(params![id.0, table.id(), file.day.to_string()])
        })
        .map_err(sqlite("add the day of a file"))?;
    transaction
        .prepare("INSERT OR REPLACE INTO vervet_file_checksum VALUES (?1, ?2)")
        .and_then(|mut statement| statement.execute(params![id.0, file.checksum.to_string()]))
        .map_err(sqlite("add the checksum of a file"))?;
    if !file.class.is_empty() {
        transaction
            .prepare("INSERT INTO vervet_file_class VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute(params![id.0, file.class]))
            .map_err(sqlite("add the class of a file"))?;
    }
    let action = "add the statistics of a file";
    let mut statement = transaction.prepare(ADD_STATS).map_err(sqlite(action))?;
    for stats in &file.column_stats {
        let row = stats_row(stats)?;
        statement
            .execute(params![
                id.0,
                table.id(),
                stats.column_id,
                row.bytes,
                row.values,
                row.nulls,
                row.min,
                row.max
            ])
            .map_err(sqlite(action))?;
    }
    Ok(())
}

/// The file as a later listing shows it.
fn data_file(data_dir: &Path, table: Table, file: &WrittenFile, id: FileId) -> DataFile {
    DataFile {
        id,
        table,
        order: file.order.unwrap_or(id.0),
        class: file.class.as_str().into(),
        path: data_dir.join(table.name()).join(&file.relative_path).into(),
        day: file.day,
        rows: file.rows,
        bytes: file.bytes,
        footer_bytes: file.footer_bytes,
        time_range: time_range(table, file),
    }
}

fn time_range(table: Table, file: &WrittenFile) -> Option<(UnixNanos, UnixNanos)> {
    let schema = table.schema();
    let id = column_id(schema.field_with_name(column::TIME).ok()?)?;
    let stats = file
        .column_stats
        .iter()
        .find(|stats| stats.column_id == id)?;
    match (&stats.min, &stats.max) {
        (Some(StatValue::Time(first)), Some(StatValue::Time(last))) => Some((*first, *last)),
        _ => None,
    }
}

/// Adds to the totals of a table and returns the id of the first new row.
fn take_row_ids(
    transaction: &Transaction<'_>,
    table: Table,
    rows: i64,
    bytes: i64,
) -> Result<i64, rusqlite::Error> {
    transaction
        .prepare(
            "UPDATE ducklake_table_stats
             SET record_count = record_count + ?2, next_row_id = next_row_id + ?2,
                 file_size_bytes = file_size_bytes + ?3
             WHERE table_id = ?1
             RETURNING next_row_id - ?2",
        )?
        .query_row([table.id(), rows, bytes], |row| row.get(0))
}

const ADD_STATS: &str = "INSERT INTO ducklake_file_column_stats VALUES
    (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL)";

struct StatsRow {
    bytes: i64,
    values: i64,
    nulls: i64,
    min: Option<String>,
    max: Option<String>,
}

fn stats_row(stats: &ColumnStats) -> Result<StatsRow, CatalogError> {
    // Both bounds or none: a reader could take a missing one for a null.
    let bounds = stats
        .min
        .as_ref()
        .and_then(StatValue::to_ducklake)
        .zip(stats.max.as_ref().and_then(StatValue::to_ducklake));
    let (min, max) = bounds.unzip();
    Ok(StatsRow {
        bytes: to_i64("column size", stats.bytes)?,
        values: to_i64("value count", stats.values)?,
        nulls: to_i64("null count", stats.nulls)?,
        min,
        max,
    })
}

fn set_journal_position(
    transaction: &Transaction<'_>,
    position: Option<u64>,
) -> Result<(), CatalogError> {
    let Some(given) = position else {
        return Ok(());
    };
    let committed = read::journal_position(transaction)?;
    if given < committed {
        return Err(CatalogError::JournalPositionWentBack { given, committed });
    }
    let given = to_i64("journal position", given)?;
    transaction
        .prepare("UPDATE vervet_journal_position SET position = ?1")
        .and_then(|mut statement| statement.execute([given]))
        .map_err(sqlite("write the journal position"))?;
    Ok(())
}

fn set_agent_sequences(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), CatalogError> {
    for (agent_id, signal, sequence) in &commit.agent_sequences {
        // Receivers refuse what does not fit. One that is in the journal all the same must not keep the
        // batches around it from being committed.
        let sequence = i64::try_from(*sequence).unwrap_or(i64::MAX);
        transaction
            .prepare(
                "INSERT INTO vervet_agent_sequence VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence)",
            )
            .and_then(|mut statement| statement.execute(params![agent_id, *signal as u8, sequence]))
            .map_err(sqlite("write an agent's sequence"))?;
    }
    Ok(())
}

fn set_metric_metadata(
    transaction: &Transaction<'_>,
    commit: &Commit,
) -> Result<(), rusqlite::Error> {
    for metadata in &commit.metric_metadata {
        transaction
            .prepare(
                "INSERT INTO vervet_metric_metadata VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE
                 SET type = excluded.type, help = excluded.help, unit = excluded.unit",
            )?
            .execute(params![
                metadata.metric,
                metadata.kind,
                metadata.help,
                metadata.unit
            ])?;
    }
    Ok(())
}
