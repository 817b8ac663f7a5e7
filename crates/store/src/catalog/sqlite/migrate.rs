//! Brings a catalog that an earlier version wrote to the form of this one, one numbered step after the other.
//!
//! Each step is one transaction, its new version number included, so a crash leaves a catalog of some version,
//! never one between two. Before the first step the catalog is copied to `catalog.v<N>.sqlite` beside it,
//! complete and in a form that the version before can open; nobody deletes that copy. A new catalog is made by
//! the same steps, so there is one way for a table to come into being.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::CatalogError;
use super::{copy_database, sqlite, sync_folder, views};

/// What `layout.sql` makes.
const FIRST_VERSION: i64 = 1;

/// The SQL that leads to each version after the first. Steps are added at the end and never changed.
const STEPS: [(i64, &str); 6] = [
    (2, FILE_CHECKSUMS),
    (3, include_str!("migrations/0003_promoted_columns.sql")),
    (4, include_str!("migrations/0004_packed_samples.sql")),
    (5, include_str!("migrations/0005_classes_and_deletions.sql")),
    (
        PACKED_TEXTS,
        include_str!("migrations/0006_packed_texts.sql"),
    ),
    // All it does follows from the columns there are.
    (PACKED_NUMBERS, ""),
];

/// The step that makes a view whose SQL depends on the columns there are.
const PACKED_TEXTS: i64 = 6;
/// The step that adds columns for numbers of packed texts.
const PACKED_NUMBERS: i64 = 7;

/// Further SQL of a step, for a catalog that readers may have open.
const STEPS_OF_OPEN: [(i64, &str); 3] = [
    (4, include_str!("migrations/0004_new_snapshot.sql")),
    (
        PACKED_TEXTS,
        include_str!("migrations/0006_new_snapshot.sql"),
    ),
    (
        PACKED_NUMBERS,
        include_str!("migrations/0007_new_snapshot.sql"),
    ),
];

/// Can be applied again.
pub(super) const FILE_CHECKSUMS: &str = include_str!("migrations/0002_file_checksums.sql");

/// The version of everything in the catalog that DuckLake's own version does not cover.
pub(super) const fn newest_version() -> i64 {
    match STEPS.last() {
        Some((version, _sql)) => *version,
        None => FIRST_VERSION,
    }
}

/// Takes a catalog of version `found` to the newest.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    found: i64,
) -> Result<(), CatalogError> {
    if found >= newest_version() {
        return Ok(());
    }
    let copy = copy(path, found)?;
    tracing::info!(
        from = found,
        to = newest_version(),
        copy = %copy.display(),
        "catalog of an earlier version is migrated"
    );
    for (version, sql) in STEPS.iter().filter(|(version, _sql)| *version > found) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite("begin a migration"))?;
        step(&transaction, *version, sql)?;
        for (_version, sql) in STEPS_OF_OPEN.iter().filter(|(of, _sql)| of == version) {
            run(&transaction, *version, sql)?;
        }
        transaction.commit().map_err(sqlite("commit a migration"))?;
    }
    Ok(())
}

/// Takes the tables of `layout.sql` to the newest version.
pub(super) fn complete(transaction: &Transaction<'_>) -> Result<(), CatalogError> {
    STEPS
        .iter()
        .try_for_each(|(version, sql)| step(transaction, *version, sql))
}

fn step(transaction: &Transaction<'_>, version: i64, sql: &str) -> Result<(), CatalogError> {
    run(transaction, version, sql)?;
    match version {
        PACKED_TEXTS => views::create(transaction),
        PACKED_NUMBERS => views::add_numbers(transaction),
        _ => Ok(()),
    }
}

fn run(transaction: &Transaction<'_>, version: i64, sql: &str) -> Result<(), CatalogError> {
    transaction
        .execute_batch(sql)
        .and_then(|()| {
            transaction.execute("UPDATE vervet_schema_version SET version = ?1", [version])
        })
        .map_err(sqlite("migrate"))?;
    Ok(())
}

/// Copies the catalog as it is. The copy has its name only once it is complete and on disk.
fn copy(path: &Path, version: i64) -> Result<PathBuf, CatalogError> {
    let copy = path.with_extension(format!("v{version}.sqlite"));
    let unfinished = path.with_extension(format!("v{version}.unfinished"));
    let io = |source| CatalogError::Io {
        path: copy.clone(),
        source,
    };
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    copy_database(path, &unfinished)?;
    // A copy is made without write-ahead mode, which is kept in the file.
    Connection::open(&unfinished)
        .and_then(|copy| copy.pragma_update(None, "journal_mode", "WAL"))
        .map_err(sqlite("copy the catalog before a migration"))?;
    std::fs::File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&unfinished, &copy))
        .map_err(io)?;
    path.parent().map_or(Ok(()), sync_folder)?;
    Ok(copy)
}

#[cfg(test)]
mod tests;
