//! The tables, and how an older file is brought up to them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::{ErrorStoreError, Result, sqlite};

/// How long a call waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Migration `n` brings a file of schema version `n` to version `n + 1`. Never edit one that was
/// released: append another.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001_groups.sql"),
    include_str!("migrations/0002_noticed.sql"),
];

/// The schema version that this program writes.
pub(super) const VERSION: i64 = 2;

/// Opens the file, sets what makes a commit durable, and migrates.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path).map_err(sqlite("open"))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(sqlite("set the busy timeout"))?;
    // Look before anything is written: a newer file stays untouched.
    refuse_newer(&connection, path)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )
        .map_err(sqlite("set the journal mode"))?;
    migrate(&mut connection, path)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn version(connection: &Connection) -> Result<i64> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(sqlite("read the schema version"))
}

fn refuse_newer(connection: &Connection, path: &Path) -> Result<()> {
    let found = version(connection)?;
    if found > VERSION {
        let path = path.display().to_string();
        return Err(ErrorStoreError::NewerSchema {
            path,
            found,
            known: VERSION,
        });
    }
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite("begin a migration"))?;
    // Another process may have migrated while this one waited for the lock.
    refuse_newer(&transaction, path)?;
    let found = usize::try_from(version(&transaction)?).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(found) {
        transaction
            .execute_batch(migration)
            .map_err(sqlite("migrate"))?;
    }
    transaction
        .pragma_update(None, "user_version", VERSION)
        .map_err(sqlite("write the schema version"))?;
    transaction.commit().map_err(sqlite("commit a migration"))
}
