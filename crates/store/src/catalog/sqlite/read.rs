//! Reads files and positions inside of one transaction.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension as _, Row, Statement, Transaction, params};
use vervet_model::{Signal, UnixNanos};

use super::super::{
    CatalogError, DataFile, FileFilter, FileId, MetricMetadata, Snapshot, SnapshotId, StatValue,
};
use super::{promoted, sqlite};
use crate::tables::{Table, column, column_id};

pub(super) fn newest_snapshot(transaction: &Transaction<'_>) -> Result<SnapshotId, CatalogError> {
    transaction
        .prepare("SELECT max(snapshot_id) FROM ducklake_snapshot")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map(SnapshotId)
        .map_err(sqlite("read the newest snapshot"))
}

/// The live files of all tables.
pub(super) fn snapshot(
    transaction: &Transaction<'_>,
    data_dir: &Path,
) -> Result<Snapshot, CatalogError> {
    let mut files = Vec::new();
    for table in Table::ALL {
        files.extend(self::files(
            transaction,
            data_dir,
            table,
            &FileFilter::default(),
        )?);
    }
    let id = newest_snapshot(transaction)?;
    Ok(Snapshot {
        id,
        layouts: promoted::layouts(transaction)?,
        files,
    })
}

/// The live files of `table` that pass `filter`, by day, class and order.
pub(super) fn files(
    transaction: &Transaction<'_>,
    data_dir: &Path,
    table: Table,
    filter: &FileFilter,
) -> Result<Vec<DataFile>, CatalogError> {
    let action = "list the files of a table";
    let (first_day, last_day) = filter.time.map_or((i32::MIN, i32::MAX), |(first, last)| {
        (first.day(), last.day())
    });
    let mut statement = transaction
        .prepare(
            "SELECT f.data_file_id, f.path, f.record_count, f.file_size_bytes, f.footer_size,
                    CAST(p.partition_value AS INTEGER) AS day, t.min_value, t.max_value,
                    coalesce(f.file_order, f.data_file_id) AS place,
                    coalesce(c.class, '') AS class
             FROM ducklake_data_file f
             JOIN ducklake_file_partition_value p ON p.data_file_id = f.data_file_id
             LEFT JOIN ducklake_file_column_stats t
                 ON t.table_id = f.table_id AND t.column_id = ?2 AND t.data_file_id = f.data_file_id
             LEFT JOIN vervet_file_class c ON c.data_file_id = f.data_file_id
             WHERE p.table_id = ?1 AND f.table_id = ?1 AND f.end_snapshot IS NULL AND day BETWEEN ?3 AND ?4
             ORDER BY day, class, place",
        )
        .map_err(sqlite(action))?;
    let folder = data_dir.join(table.name());
    let rows = statement
        .query_map(
            params![
                table.id(),
                stats_column(table, column::TIME),
                first_day,
                last_day
            ],
            FileRow::read,
        )
        .map_err(sqlite(action))?;
    let mut stats = transaction.prepare(BOUNDS).map_err(sqlite(action))?;
    let mut files = Vec::new();
    for row in rows {
        let file = row.map_err(sqlite(action))?.into_file(table, &folder)?;
        if may_hold(&mut stats, &file, filter)? {
            files.push(file);
        }
    }
    Ok(files)
}

struct FileRow {
    id: i64,
    path: String,
    rows: i64,
    bytes: i64,
    footer_bytes: i64,
    day: i32,
    order: i64,
    class: String,
    time: Option<(String, String)>,
}

impl FileRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        let first: Option<String> = row.get(6)?;
        let last: Option<String> = row.get(7)?;
        Ok(Self {
            id: row.get(0)?,
            path: row.get(1)?,
            rows: row.get(2)?,
            bytes: row.get(3)?,
            footer_bytes: row.get(4)?,
            day: row.get(5)?,
            order: row.get(8)?,
            class: row.get(9)?,
            time: first.zip(last),
        })
    }

    fn into_file(self, table: Table, folder: &Path) -> Result<DataFile, CatalogError> {
        let damaged = |reason| CatalogError::Damaged {
            table: "ducklake_data_file",
            id: self.id,
            reason,
        };
        let count = |value: i64| u64::try_from(value).map_err(|_error| damaged("negative count"));
        let time = |text: &str| match StatValue::Time(UnixNanos(0)).parse_like(text) {
            Some(StatValue::Time(time)) => Ok(time),
            _ => Err(damaged("a bound of time is no timestamp")),
        };
        let time_range = match &self.time {
            None => None,
            Some((first, last)) => Some((time(first)?, time(last)?)),
        };
        Ok(DataFile {
            id: FileId(self.id),
            table,
            order: self.order,
            class: self.class.into(),
            path: folder.join(&self.path).into(),
            day: self.day,
            rows: count(self.rows)?,
            bytes: count(self.bytes)?,
            footer_bytes: count(self.footer_bytes)?,
            time_range,
        })
    }
}

const BOUNDS: &str = "SELECT value_count, min_value, max_value FROM ducklake_file_column_stats
    WHERE table_id = ?1 AND column_id = ?2 AND data_file_id = ?3";

fn may_hold(
    stats: &mut Statement<'_>,
    file: &DataFile,
    filter: &FileFilter,
) -> Result<bool, CatalogError> {
    if let (Some((from, to)), Some((first, last))) = (filter.time, file.time_range)
        && (last < from || to < first)
    {
        return Ok(false);
    }
    for (name, value) in &filter.equals {
        if !bounds_hold(stats, file, name, value)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file can hold `value`. What is not known counts as yes.
fn bounds_hold(
    stats: &mut Statement<'_>,
    file: &DataFile,
    name: &str,
    value: &StatValue,
) -> Result<bool, CatalogError> {
    let Some(column_id) = stats_column(file.table, name) else {
        return Ok(true);
    };
    let found: Option<(i64, Option<String>, Option<String>)> = stats
        .query_row([file.table.id(), column_id, file.id.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .map_err(sqlite("read the statistics of a file"))?;
    let Some((values, min, max)) = found else {
        return Ok(true);
    };
    let below = bound(value, min).is_some_and(|min| value.compare(&min).is_some_and(|o| o.is_lt()));
    let above = bound(value, max).is_some_and(|max| value.compare(&max).is_some_and(|o| o.is_gt()));
    Ok(values > 0 && !below && !above)
}

fn bound(value: &StatValue, text: Option<String>) -> Option<StatValue> {
    value.parse_like(&text?)
}

/// The id of a column that has statistics.
fn stats_column(table: Table, name: &str) -> Option<i64> {
    let known = table.stats_columns().contains(&name);
    let schema = table.schema();
    column_id(schema.field_with_name(name).ok().filter(|_| known)?)
}

pub(super) fn journal_position(transaction: &Transaction<'_>) -> Result<u64, CatalogError> {
    transaction
        .prepare("SELECT position FROM vervet_journal_position")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(sqlite("read the journal position"))
        .and_then(|position| to_u64("vervet_journal_position", position))
}

pub(super) fn agent_sequences(
    transaction: &Transaction<'_>,
) -> Result<Vec<(String, Signal, u64)>, CatalogError> {
    let action = "read the sequences of agents";
    let mut statement = transaction
        .prepare(
            "SELECT agent_id, signal, sequence FROM vervet_agent_sequence ORDER BY agent_id, signal",
        )
        .map_err(sqlite(action))?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(sqlite(action))?;
    rows.map(|row| {
        let (agent_id, signal, sequence): (String, u8, i64) = row.map_err(sqlite(action))?;
        let signal = Signal::from_u8(signal).ok_or(CatalogError::Damaged {
            table: "vervet_agent_sequence",
            id: i64::from(signal),
            reason: "no such signal",
        })?;
        Ok((agent_id, signal, to_u64("vervet_agent_sequence", sequence)?))
    })
    .collect()
}

pub(super) fn metric_metadata(
    transaction: &Transaction<'_>,
) -> Result<Vec<MetricMetadata>, CatalogError> {
    let read = || -> Result<Vec<MetricMetadata>, rusqlite::Error> {
        transaction
            .prepare("SELECT metric, type, help, unit FROM vervet_metric_metadata ORDER BY metric")?
            .query_map([], |row| {
                Ok(MetricMetadata {
                    metric: row.get(0)?,
                    kind: row.get(1)?,
                    help: row.get(2)?,
                    unit: row.get(3)?,
                })
            })?
            .collect()
    };
    read().map_err(sqlite("read metric metadata"))
}

/// Live files, and ended ones that are not deleted yet.
pub(super) fn known_files(
    transaction: &Transaction<'_>,
    data_dir: &Path,
) -> Result<HashSet<PathBuf>, CatalogError> {
    let read = || -> Result<HashSet<PathBuf>, rusqlite::Error> {
        transaction
            .prepare(
                "SELECT t.path || f.path FROM ducklake_data_file f JOIN ducklake_table t USING (table_id)
                 UNION ALL SELECT path FROM ducklake_files_scheduled_for_deletion",
            )?
            .query_map([], |row| Ok(data_dir.join(row.get::<_, String>(0)?)))?
            .collect()
    };
    read().map_err(sqlite("list all known files"))
}

fn to_u64(table: &'static str, value: i64) -> Result<u64, CatalogError> {
    u64::try_from(value).map_err(|_negative| CatalogError::Damaged {
        table,
        id: value,
        reason: "negative number",
    })
}
