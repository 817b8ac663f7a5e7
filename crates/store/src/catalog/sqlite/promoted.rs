//! The promoted columns of each table: columns of DuckLake's tables, and what attributes they hold.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::super::{CatalogError, SnapshotId};
use super::{layout, sqlite, views};
use crate::tables::{Layout, Layouts, Promoted, PromotedColumn, PromotedKind, Table};

/// The layouts of the newest snapshot. Columns are never dropped, so that is all of them. A catalog that is only
/// looked at may be of a version without promoted columns.
pub(super) fn layouts(transaction: &Transaction<'_>) -> Result<Layouts, CatalogError> {
    let action = "read the promoted columns";
    let exists = transaction
        .table_exists(None, "vervet_promoted_column")
        .map_err(sqlite(action))?;
    if !exists {
        return Ok(Layouts::default());
    }
    let mut statement = transaction
        .prepare(
            "SELECT p.table_id, p.column_id, p.\"key\", p.type, c.column_name
             FROM vervet_promoted_column p
             JOIN ducklake_column c ON c.table_id = p.table_id AND c.column_id = p.column_id
             WHERE c.end_snapshot IS NULL",
        )
        .map_err(sqlite(action))?;
    let rows = statement
        .query_map([], |row| {
            let kind: String = row.get(3)?;
            let column = (row.get(1)?, row.get(2)?, row.get(4)?);
            Ok((row.get(0)?, kind, column))
        })
        .map_err(sqlite(action))?;
    let mut by_table: BTreeMap<Table, Vec<PromotedColumn>> = BTreeMap::new();
    for row in rows {
        let (table_id, kind, (column_id, key, name)): (i64, String, _) =
            row.map_err(sqlite(action))?;
        let damaged = |reason| CatalogError::Damaged {
            table: "vervet_promoted_column",
            id: column_id,
            reason,
        };
        let table = Table::from_id(table_id).ok_or_else(|| damaged("no such table"))?;
        let kind = PromotedKind::from_name(&kind).ok_or_else(|| damaged("no such type"))?;
        by_table.entry(table).or_default().push(PromotedColumn {
            name,
            key,
            kind,
            column_id,
        });
    }
    Ok(by_table
        .into_iter()
        .fold(Layouts::default(), |layouts, (table, columns)| {
            layouts.with(Layout::new(table, Promoted::new(columns)))
        }))
}

/// Adds a column that is seen from `snapshot` on. `false` when it is there already, as after a commit whose
/// outcome was not known.
pub(super) fn add(
    transaction: &Transaction<'_>,
    table: Table,
    column: &PromotedColumn,
    snapshot: SnapshotId,
) -> Result<bool, CatalogError> {
    let action = "add a promoted column";
    let known: Option<(String, String)> = transaction
        .prepare(
            "SELECT \"key\", type FROM vervet_promoted_column WHERE table_id = ?1 AND column_id = ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_row([table.id(), column.column_id], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
        })
        .map_err(sqlite(action))?;
    match known {
        Some((key, kind)) if key == column.key && kind == column.kind.name() => return Ok(false),
        Some(_other) => {
            return Err(CatalogError::Damaged {
                table: "vervet_promoted_column",
                id: column.column_id,
                reason: "the column holds another attribute",
            });
        }
        None => {}
    }
    layout::insert_column(transaction, table, &column.field(), None, snapshot.0)?;
    views::add_companions(transaction, table, column, snapshot)?;
    transaction
        .prepare("INSERT INTO vervet_promoted_column VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute(params![
                table.id(),
                column.column_id,
                column.key,
                column.kind.name()
            ])
        })
        .map_err(sqlite(action))?;
    Ok(true)
}
