//! Makes a new catalog, brings one of an earlier version up to date, and refuses one of a later version.
//!
//! A new catalog has snapshot 0 with the schema `main` and snapshot 1 with all tables, each
//! partitioned by its `day`.

use std::path::Path;

use arrow::datatypes::Field;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;
use vervet_model::UnixNanos;

use super::super::{CatalogError, stats};
use super::ducklake_type::ducklake_type;
use super::{migrate, sqlite};
use crate::tables::{Table, column, column_id, map_fields};

/// DuckLake counts its schema versions apart from ours: one more with each commit that adds columns.
const DUCKLAKE_SCHEMA_VERSION: i64 = 1;

const DUCKLAKE_VERSION: &str = "1.0";
const CREATED_BY: &str = concat!("Vervet ", env!("CARGO_PKG_VERSION"));
const LAYOUT: &str = include_str!("layout.sql");
const SCHEMA_ID: i64 = 0;
const EMPTY_SNAPSHOT: i64 = 0;
const FIRST_SNAPSHOT: i64 = 1;
/// A table's partitioning has the table's id plus this. Below lie the ids of tables to come.
const PARTITION_ID_BASE: i64 = 100;
/// The same for its sort order.
const SORT_ID_BASE: i64 = 200;
const NEXT_CATALOG_ID: i64 = 300;

/// The id of the one partitioning of a table.
pub(super) fn partition_id(table: Table) -> i64 {
    PARTITION_ID_BASE + table.id()
}

/// Checks the catalog, or makes it in an empty file.
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    now: UnixNanos,
) -> Result<(), CatalogError> {
    let found = read_version(connection, path)?;
    write_ahead(connection, path)?;
    match found {
        Some(found) => migrate::migrate(connection, path, found),
        None => {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(sqlite("begin a write transaction"))?;
            create(&transaction, now)?;
            transaction.commit().map_err(sqlite("commit"))
        }
    }
}

/// Write-ahead mode is kept in the file; a copy that SQLite made has lost it.
fn write_ahead(connection: &Connection, path: &Path) -> Result<(), CatalogError> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sqlite("switch to write-ahead mode"))?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    Err(CatalogError::NotACatalog {
        path: path.to_owned(),
        reason: "the file system has no write-ahead mode",
    })
}

/// Writes where the data is now, when it is elsewhere than the catalog says.
pub(super) fn set_data_path(connection: &Connection, data_dir: &Path) -> Result<(), CatalogError> {
    let Some(data_path) = data_dir.to_str() else {
        return Err(CatalogError::Io {
            path: data_dir.to_owned(),
            source: std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "the path of the store must be UTF-8",
            ),
        });
    };
    connection
        .execute(
            "UPDATE ducklake_metadata SET \"value\" = ?1
             WHERE \"key\" = 'data_path' AND \"value\" <> ?1",
            [format!("{data_path}/")],
        )
        .map_err(sqlite("write where the data is"))?;
    Ok(())
}

/// `None` for an empty file.
pub(super) fn read_version(
    connection: &Connection,
    path: &Path,
) -> Result<Option<i64>, CatalogError> {
    let action = "read the schema version";
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .map_err(sqlite(action))?;
    if tables == 0 {
        return Ok(None);
    }
    let versioned = connection
        .table_exists(None, "vervet_schema_version")
        .map_err(sqlite(action))?;
    if !versioned {
        return Err(CatalogError::NotACatalog {
            path: path.to_owned(),
            reason: "table vervet_schema_version is missing",
        });
    }
    let found: i64 = connection
        .query_row("SELECT version FROM vervet_schema_version", [], |row| {
            row.get(0)
        })
        .map_err(sqlite(action))?;
    let known = migrate::newest_version();
    if found > known {
        return Err(CatalogError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(Some(found))
}

fn create(transaction: &Transaction<'_>, now: UnixNanos) -> Result<(), CatalogError> {
    let tables = Table::ALL;
    insert_base(transaction, now).map_err(sqlite("make a new catalog"))?;
    for table in tables {
        insert_table(transaction, table).map_err(sqlite("make a table"))?;
        for field in table.schema().fields() {
            insert_column(transaction, table, field, None, FIRST_SNAPSHOT)?;
        }
    }
    migrate::complete(transaction)
}

fn insert_base(transaction: &Transaction<'_>, now: UnixNanos) -> Result<(), rusqlite::Error> {
    transaction.execute_batch(LAYOUT)?;
    let mut metadata =
        transaction.prepare("INSERT INTO ducklake_metadata VALUES (?1, ?2, NULL, NULL)")?;
    metadata.execute(["version", DUCKLAKE_VERSION])?;
    metadata.execute(["created_by", CREATED_BY])?;
    metadata.execute(["data_path", ""])?;
    metadata.execute(["encrypted", "false"])?;
    transaction.execute("INSERT INTO vervet_schema_version VALUES (1)", [])?;
    transaction.execute(
        "INSERT INTO ducklake_schema VALUES (?1, ?2, ?3, NULL, 'main', '', 1)",
        params![SCHEMA_ID, Uuid::new_v4().to_string(), EMPTY_SNAPSHOT],
    )?;
    let created: Vec<String> = Table::ALL
        .iter()
        .map(|table| format!("created_table:\"main\".\"{}\"", table.name()))
        .collect();
    insert_snapshot(
        transaction,
        now,
        EMPTY_SNAPSHOT,
        0,
        1,
        "created_schema:\"main\"",
    )?;
    insert_snapshot(
        transaction,
        now,
        FIRST_SNAPSHOT,
        DUCKLAKE_SCHEMA_VERSION,
        NEXT_CATALOG_ID,
        &created.join(","),
    )
}

fn insert_snapshot(
    transaction: &Transaction<'_>,
    now: UnixNanos,
    id: i64,
    schema_version: i64,
    next_catalog_id: i64,
    changes: &str,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "INSERT INTO ducklake_snapshot VALUES (?1, ?2, ?3, ?4, 0)",
        params![
            id,
            stats::snapshot_time(now),
            schema_version,
            next_catalog_id
        ],
    )?;
    transaction.execute(
        "INSERT INTO ducklake_snapshot_changes VALUES (?1, ?2, NULL, NULL, NULL)",
        params![id, changes],
    )?;
    Ok(())
}

fn insert_table(transaction: &Transaction<'_>, table: Table) -> Result<(), rusqlite::Error> {
    let id = table.id();
    transaction.execute(
        "INSERT INTO ducklake_table VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6, 1)",
        params![
            id,
            Uuid::new_v4().to_string(),
            FIRST_SNAPSHOT,
            SCHEMA_ID,
            table.name(),
            format!("{}/", table.name())
        ],
    )?;
    transaction.execute(
        "INSERT INTO ducklake_table_stats VALUES (?1, 0, 0, 0)",
        [id],
    )?;
    transaction.execute(
        "INSERT INTO ducklake_schema_versions VALUES (?1, ?2, ?3)",
        [FIRST_SNAPSHOT, DUCKLAKE_SCHEMA_VERSION, id],
    )?;
    let partition = partition_id(table);
    transaction.execute(
        "INSERT INTO ducklake_partition_info VALUES (?1, ?2, ?3, NULL)",
        [partition, id, FIRST_SNAPSHOT],
    )?;
    let schema = table.schema();
    let day = schema.field_with_name(column::DAY).ok().and_then(column_id);
    transaction.execute(
        "INSERT INTO ducklake_partition_column VALUES (?1, ?2, 0, ?3, 'identity')",
        params![partition, id, day],
    )?;
    let sort = SORT_ID_BASE + id;
    transaction.execute(
        "INSERT INTO ducklake_sort_info VALUES (?1, ?2, ?3, NULL)",
        [sort, id, FIRST_SNAPSHOT],
    )?;
    for (index, name) in (0_i64..).zip(table.sort_columns()) {
        transaction.execute(
            "INSERT INTO ducklake_sort_expression VALUES (?1, ?2, ?3, ?4, 'duckdb', 'ASC', 'NULLS_LAST')",
            params![sort, id, index, name],
        )?;
    }
    Ok(())
}

/// Makes a column, of a map its parts too, that is seen from `snapshot` on.
pub(super) fn insert_column(
    transaction: &Transaction<'_>,
    table: Table,
    field: &Field,
    parent: Option<i64>,
    snapshot: i64,
) -> Result<(), CatalogError> {
    let damaged = |reason| CatalogError::Damaged {
        table: table.name(),
        id: table.id(),
        reason,
    };
    let id = column_id(field).ok_or_else(|| damaged("column without an id"))?;
    let data_type = ducklake_type(field.data_type())
        .ok_or_else(|| damaged("column of a type that DuckLake does not have"))?;
    let default_kind = if data_type == "map" { "" } else { "literal" };
    transaction
        .execute(
            "INSERT INTO ducklake_column VALUES
                (?1, ?2, NULL, ?3, ?1, ?4, ?5, NULL, 'NULL', ?6, ?7, ?8, 'duckdb')",
            params![
                id,
                snapshot,
                table.id(),
                field.name(),
                data_type,
                field.is_nullable(),
                parent,
                default_kind
            ],
        )
        .map_err(sqlite("make a column"))?;
    if let Some((_entries, key, value)) = map_fields(field) {
        insert_column(transaction, table, key, Some(id), snapshot)?;
        insert_column(transaction, table, value, Some(id), snapshot)?;
    }
    Ok(())
}
