//! The companions of packed texts, and the view that shows the rows of `logs_packed` as they came.
//!
//! The view names each packed column, so it has a version for every snapshot that added one.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::super::{CatalogError, SnapshotId};
use super::{layout, promoted, sqlite};
use crate::tables::{Layout, Promoted, PromotedColumn, Table, column, column_id, packed};

const SCHEMA_ID: i64 = 0;
const FIRST_SNAPSHOT: i64 = 1;

/// Adds companions of the columns that there are, and the view in all its versions.
pub(super) fn create(transaction: &Transaction<'_>) -> Result<(), CatalogError> {
    let action = "make the view of logs";
    let layouts = promoted::layouts(transaction)?;
    let columns = layouts.get(Table::Logs).promoted().columns();
    let since = first_snapshots(transaction)?;
    let begin = |column: &PromotedColumn| {
        let known = since.get(&column.column_id).copied();
        known.unwrap_or(FIRST_SNAPSHOT)
    };
    insert_companion(
        transaction,
        column::BODY,
        &Layout::fixed(Table::Logs),
        FIRST_SNAPSHOT,
    )?;
    let mut versions = BTreeSet::from([FIRST_SNAPSHOT]);
    for column in columns
        .iter()
        .filter(|column| packed::is_packed(Table::Logs, column.kind))
    {
        insert_companion(
            transaction,
            &column.name,
            layouts.get(Table::Logs),
            begin(column),
        )?;
        versions.insert(begin(column));
    }
    let id: i64 = transaction
        .query_row(
            "UPDATE ducklake_snapshot SET next_catalog_id = next_catalog_id + 1
             WHERE snapshot_id = (SELECT max(snapshot_id) FROM ducklake_snapshot)
             RETURNING next_catalog_id - 1",
            [],
            |row| row.get(0),
        )
        .map_err(sqlite(action))?;
    let uuid = Uuid::new_v4().to_string();
    for version in &versions {
        let then = columns.iter().filter(|column| begin(column) <= *version);
        let then = Layout::new(Table::Logs, Promoted::new(then.cloned().collect()));
        let end = versions.range(version + 1..).next();
        transaction
            .execute(
                "INSERT INTO ducklake_view VALUES (?1, ?2, ?3, ?4, ?5, 'logs', 'duckdb', ?6, '')",
                params![id, uuid, version, end, SCHEMA_ID, packed::view(&then)],
            )
            .map_err(sqlite(action))?;
    }
    Ok(())
}

/// Of every column of logs the snapshot that added it.
fn first_snapshots(transaction: &Transaction<'_>) -> Result<BTreeMap<i64, i64>, CatalogError> {
    let action = "read since when columns are there";
    let mut statement = transaction
        .prepare("SELECT column_id, begin_snapshot FROM ducklake_column WHERE table_id = ?1")
        .map_err(sqlite(action))?;
    let rows = statement
        .query_map([Table::Logs.id()], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(sqlite(action))?;
    rows.collect::<Result<_, _>>().map_err(sqlite(action))
}

fn insert_companion(
    transaction: &Transaction<'_>,
    name: &str,
    layout: &Layout,
    snapshot: i64,
) -> Result<(), CatalogError> {
    let companion = layout
        .file_schema()
        .field_with_name(&packed::companion(name))
        .ok()
        .cloned()
        .filter(|field| column_id(field).is_some())
        .ok_or(CatalogError::Damaged {
            table: "ducklake_column",
            id: Table::Logs.id(),
            reason: "a packed column without a companion",
        })?;
    layout::insert_column(transaction, Table::Logs, &companion, None, snapshot)
}

/// Adds the companion of a new column.
pub(super) fn add_companion(
    transaction: &Transaction<'_>,
    table: Table,
    column: &PromotedColumn,
    snapshot: SnapshotId,
) -> Result<(), CatalogError> {
    if !packed::is_packed(table, column.kind) {
        return Ok(());
    }
    let layout = Layout::new(table, Promoted::new(vec![column.clone()]));
    insert_companion(transaction, &column.name, &layout, snapshot.0)
}

/// Gives the view its form for the columns that there are from `snapshot` on.
pub(super) fn renew(
    transaction: &Transaction<'_>,
    snapshot: SnapshotId,
) -> Result<(), CatalogError> {
    let layouts = promoted::layouts(transaction)?;
    let sql = packed::view(layouts.get(Table::Logs));
    let insert = "INSERT INTO ducklake_view
        SELECT view_id, view_uuid, ?1, NULL, schema_id, view_name, dialect, ?2, column_aliases
        FROM ducklake_view WHERE view_name = 'logs' AND end_snapshot IS NULL";
    let end = "UPDATE ducklake_view SET end_snapshot = ?1
        WHERE view_name = 'logs' AND end_snapshot IS NULL AND begin_snapshot < ?1";
    transaction
        .execute(insert, params![snapshot.0, sql])
        .and_then(|_inserted| transaction.execute(end, [snapshot.0]))
        .map_err(sqlite("renew the view of logs"))?;
    Ok(())
}
