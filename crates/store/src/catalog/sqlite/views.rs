//! The companions of packed texts, and the view that shows the rows of `logs_packed` as they came.
//!
//! The view names each packed column, so it has a version for every snapshot that added one.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::Field;
use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::super::{CatalogError, SnapshotId};
use super::{layout, promoted, sqlite};
use crate::tables::{Layout, Promoted, PromotedColumn, Table, column, packed};

const SCHEMA_ID: i64 = 0;
const FIRST_SNAPSHOT: i64 = 1;

/// Adds companions of the columns that there are, and the view in all its versions.
pub(super) fn create(transaction: &Transaction<'_>) -> Result<(), CatalogError> {
    let action = "make the view of logs";
    let known = Known::read(transaction)?;
    known.insert_companions(transaction, packed::companion_field)?;
    let packed = known.packed().map(|column| known.begin(column));
    let versions: BTreeSet<i64> = std::iter::once(FIRST_SNAPSHOT).chain(packed).collect();
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
        let end = versions.range(version + 1..).next();
        transaction
            .execute(
                "INSERT INTO ducklake_view VALUES (?1, ?2, ?3, ?4, ?5, 'logs', 'duckdb', ?6, '')",
                params![id, uuid, version, end, SCHEMA_ID, known.view(*version)],
            )
            .map_err(sqlite(action))?;
    }
    Ok(())
}

/// Adds the companions for numbers to those that [`create`] and commits added, and gives all versions of the view their form,
/// which names them.
pub(super) fn add_numbers(transaction: &Transaction<'_>) -> Result<(), CatalogError> {
    let action = "give the view of logs numbers";
    let known = Known::read(transaction)?;
    known.insert_companions(transaction, packed::number_field)?;
    let mut statement = transaction
        .prepare("SELECT begin_snapshot FROM ducklake_view WHERE view_name = 'logs'")
        .map_err(sqlite(action))?;
    let versions = statement.query_map([], |row| row.get(0));
    let versions = versions.and_then(Iterator::collect::<Result<Vec<i64>, _>>);
    for version in versions.map_err(sqlite(action))? {
        transaction
            .execute(
                "UPDATE ducklake_view SET sql = ?2 WHERE view_name = 'logs' AND begin_snapshot = ?1",
                params![version, known.view(version)],
            )
            .map_err(sqlite(action))?;
    }
    Ok(())
}

/// The columns of logs that there are.
struct Known {
    layout: Layout,
    /// The snapshot that added each.
    since: BTreeMap<i64, i64>,
}

impl Known {
    fn read(transaction: &Transaction<'_>) -> Result<Self, CatalogError> {
        Ok(Self {
            layout: promoted::layouts(transaction)?.get(Table::Logs).clone(),
            since: first_snapshots(transaction)?,
        })
    }

    fn begin(&self, column: &PromotedColumn) -> i64 {
        let known = self.since.get(&column.column_id).copied();
        known.unwrap_or(FIRST_SNAPSHOT)
    }

    fn promoted(&self) -> impl Iterator<Item = &PromotedColumn> {
        self.layout.promoted().columns().iter()
    }

    fn packed(&self) -> impl Iterator<Item = &PromotedColumn> {
        let columns = self.promoted();
        columns.filter(|column| packed::is_packed(Table::Logs, column.kind))
    }

    /// Adds a companion to each packed column for as long as this is there.
    fn insert_companions(
        &self,
        transaction: &Transaction<'_>,
        companion: fn(&Field) -> Option<Field>,
    ) -> Result<(), CatalogError> {
        let body = self.layout.schema().field_with_name(column::BODY).cloned();
        let body = body.ok().and_then(|body| companion(&body));
        let body = body.map(|companion| (companion, FIRST_SNAPSHOT));
        let promoted = self.packed().filter_map(|column| {
            let companion = companion(&column.field())?;
            Some((companion, self.begin(column)))
        });
        for (companion, begin) in body.into_iter().chain(promoted) {
            layout::insert_column(transaction, Table::Logs, &companion, None, begin)?;
        }
        Ok(())
    }

    /// The view of the columns that were there at a snapshot.
    fn view(&self, snapshot: i64) -> String {
        let then = self.promoted();
        let then = then.filter(|column| self.begin(column) <= snapshot);
        let then = Promoted::new(then.cloned().collect());
        packed::view(&Layout::new(Table::Logs, then))
    }
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

/// Adds the companions of a new column.
pub(super) fn add_companions(
    transaction: &Transaction<'_>,
    table: Table,
    column: &PromotedColumn,
    snapshot: SnapshotId,
) -> Result<(), CatalogError> {
    if !packed::is_packed(table, column.kind) {
        return Ok(());
    }
    let field = column.field();
    let companions = [
        packed::companion_field(&field),
        packed::number_field(&field),
    ];
    for companion in companions.into_iter().flatten() {
        layout::insert_column(transaction, table, &companion, None, snapshot.0)?;
    }
    Ok(())
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
