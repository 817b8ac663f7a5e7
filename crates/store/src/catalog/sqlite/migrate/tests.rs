//! Stores that earlier versions wrote are opened by this one.

use std::path::Path;

use arrow::array::AsArray as _;
use arrow::datatypes::Float64Type;

use super::*;
use crate::catalog::{CATALOG_FILE, Catalog as _, Commit, SqliteCatalog};
use crate::tables::{Promoted, PromotedKind, Table};

/// A store of two runs of version 1 with two flushes of logs, spans and samples.
const VERSION_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/version-1");

/// A store of version 6 with two flushes of logs, whose texts have digits apart but no numbers.
const VERSION_6: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/version-6");
const VERSION_6_ROWS: u64 = 400;

fn restore(fixture: &str, dir: &Path) {
    let packed = std::fs::read(Path::new(fixture).join("catalog.sqlite.zst")).unwrap();
    let catalog = zstd::decode_all(packed.as_slice()).unwrap();
    std::fs::write(dir.join(CATALOG_FILE), catalog).unwrap();
    copy_folder(&Path::new(fixture).join("data"), &dir.join("data"));
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

fn version(path: &Path) -> i64 {
    Connection::open(path)
        .unwrap()
        .query_row("SELECT version FROM vervet_schema_version", [], |row| {
            row.get(0)
        })
        .unwrap()
}

/// Every table of the catalog with its rows, as text.
fn content(path: &Path) -> Vec<String> {
    let catalog = Connection::open(path).unwrap();
    let tables: Vec<String> = catalog
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut content = Vec::new();
    for table in tables {
        let mut statement = catalog.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|n| row.get_ref(n).unwrap()).collect();
            content.push(format!("{table} {values:?}"));
        }
    }
    content
}

#[tokio::test]
async fn a_store_of_version_1_is_migrated_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    restore(VERSION_1, dir.path());
    let catalog = dir.path().join(CATALOG_FILE);
    assert_eq!(version(&catalog), 1);
    let before = content(&catalog);
    let store = crate::Store::open(crate::StoreConfig::new(dir.path())).unwrap();
    assert_eq!(version(&catalog), newest_version());
    assert_eq!(store.journal_position().unwrap(), 6);
    let stats = store.stats();
    assert_eq!((stats.logs.rows_stored, stats.spans.rows_stored), (12, 8));
    let sql = "SELECT count(*) FROM logs WHERE attributes['url.path'] = '/items/3'";
    let counted = store.sql(sql, 1).await.unwrap();
    let counted = crate::columns::Columns::new("test", &counted[0]);
    assert_eq!(counted.i64("count(*)").unwrap().value(0), 2);

    // Its samples have no mantissas, and are shown beside those that do.
    let sum = async || {
        let sql = "SELECT count(value) AS n, sum(value) AS sum FROM samples";
        let summed = store.sql(sql, 1).await.unwrap();
        let rows = crate::columns::Columns::new("test", &summed[0]);
        let rows = rows.i64("n").unwrap().value(0);
        let sum = summed[0].column(1).as_primitive::<Float64Type>().value(0);
        (rows, sum)
    };
    let (rows, old) = sum().await;
    assert_eq!(rows, i64::try_from(stats.samples.rows_stored).unwrap());
    let new = crate::fixtures::gauge(&[("a", 0, 2.5), ("a", 15, f64::from(1 << 30))]);
    store.apply(7, new, None);
    store.flush().unwrap();
    let expect = (rows + 2, old + 2.5 + f64::from(1 << 30));
    assert_eq!(sum().await, expect);

    // The version before can go back to the copy: nothing in it has changed.
    let copy = dir.path().join("catalog.v1.sqlite");
    assert_eq!((version(&copy), content(&copy)), (1, before));
    let mode: String = Connection::open(&copy)
        .unwrap()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_migrated_catalog_has_the_tables_of_a_new_one() {
    let schema = |path: &Path| -> Vec<(String, Option<String>)> {
        Connection::open(path)
            .unwrap()
            .prepare("SELECT name, sql FROM sqlite_master ORDER BY type, name")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    restore(VERSION_1, old.path());
    for dir in [&old, &new] {
        SqliteCatalog::open(dir.path()).unwrap();
    }
    let [old, new] = [&old, &new].map(|dir| schema(&dir.path().join(CATALOG_FILE)));
    assert_eq!(old, new);
}

#[test]
fn a_migration_that_was_interrupted_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    restore(VERSION_1, dir.path());
    // A crash left half a copy, and one of an earlier attempt.
    std::fs::write(dir.path().join("catalog.v1.unfinished"), "half").unwrap();
    std::fs::write(dir.path().join("catalog.v1.sqlite"), "earlier").unwrap();
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    assert_eq!(catalog.snapshot().unwrap().table(Table::Logs).count(), 2);
    assert_eq!(version(&dir.path().join("catalog.v1.sqlite")), 1);
    assert!(!dir.path().join("catalog.v1.unfinished").exists());
}

#[test]
fn a_step_that_fails_leaves_the_version_before_it() {
    let dir = tempfile::tempdir().unwrap();
    restore(VERSION_1, dir.path());
    let path = dir.path().join(CATALOG_FILE);
    // The table that the step to version 3 makes is in its way.
    let execute = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    execute("CREATE TABLE vervet_promoted_column (x)");
    let before = content(&path);
    let error = SqliteCatalog::open(dir.path()).err().unwrap();
    assert!(
        matches!(
            error,
            CatalogError::Sqlite {
                action: "migrate",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(version(&path), 2);
    let mut expect = before;
    for row in &mut expect {
        *row = row.replace(
            "vervet_schema_version [Integer(1)]",
            "vervet_schema_version [Integer(2)]",
        );
    }
    assert_eq!(content(&path), expect);

    execute("DROP TABLE vervet_promoted_column");
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    assert_eq!(version(&path), newest_version());
    assert_eq!(catalog.snapshot().unwrap().table(Table::Logs).count(), 2);
}

#[test]
fn columns_that_were_promoted_before_get_their_companions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CATALOG_FILE);
    let catalog = SqliteCatalog::open(dir.path()).unwrap();
    let mut known = Promoted::default();
    for (key, kind) in [("a", PromotedKind::Text), ("b", PromotedKind::Double)] {
        let more = known.with([
            (key.to_owned(), kind),
            (format!("{key}.n"), PromotedKind::Integer),
        ]);
        let new = more.columns().iter().skip(known.columns().len());
        let commit = Commit {
            promote: new.map(|column| (Table::Logs, column.clone())).collect(),
            ..Commit::default()
        };
        catalog.commit(&commit).unwrap();
        known = more;
    }
    drop(catalog);
    let packed = || {
        let connection = Connection::open(&path).unwrap();
        let mut rows: Vec<String> = Vec::new();
        for sql in [
            "SELECT begin_snapshot, end_snapshot, sql FROM ducklake_view WHERE view_name = 'logs' ORDER BY 1",
            "SELECT begin_snapshot, column_id, column_name || column_type FROM ducklake_column
             WHERE column_name LIKE 'packed_%' ORDER BY column_id",
        ] {
            let mut statement = connection.prepare(sql).unwrap();
            let mut found = statement.query([]).unwrap();
            while let Some(row) = found.next().unwrap() {
                let values: Vec<_> = (0..3).map(|n| row.get_ref(n).unwrap()).collect();
                rows.push(format!("{values:?}"));
            }
        }
        rows
    };
    let expect = packed();
    assert_eq!(expect.len(), 3 + 6, "{expect:#?}");
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "DELETE FROM ducklake_view WHERE view_name = 'logs';
             DELETE FROM ducklake_column WHERE column_name LIKE 'packed_%';
             UPDATE ducklake_table SET table_name = 'logs' WHERE table_id = 1;
             UPDATE vervet_schema_version SET version = 5;",
        )
        .unwrap();
    SqliteCatalog::open(dir.path()).unwrap();
    assert_eq!(packed(), expect);
}

/// What the records of [`VERSION_6`] say.
fn packed_texts(number: u64) -> (String, String) {
    let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let count = id >> (24 + number % 40);
    let body = format!(
        "order {:010x} shipped {count} items in {number} days",
        id >> 24
    );
    let page = count % 1_000;
    let path = format!("/orders/{}?page={page}", 10_000_000 + id % 90_000_000);
    (body, path)
}

#[tokio::test]
async fn texts_of_version_6_whose_numbers_are_among_their_digits_are_read() {
    let dir = tempfile::tempdir().unwrap();
    restore(VERSION_6, dir.path());
    assert_eq!(version(&dir.path().join(CATALOG_FILE)), 6);
    let store = crate::Store::open(crate::StoreConfig::new(dir.path())).unwrap();
    let new = ["order 00c0ffee00 shipped 17 items in 5 days"; 2];
    let new = new.map(|body| (500, 9, body));
    let check = async |expect: &[String]| {
        let sql = "SELECT body, attributes['url.path'] AS path, attr_took FROM logs
            WHERE attr_url_path IS NOT NULL ORDER BY time";
        let found = store.sql(sql, 1_000).await.unwrap();
        let texts = |column: usize| {
            let texts = found.iter().flat_map(move |batch| {
                let texts = batch.column(column).as_string::<i32>().iter();
                texts
                    .map(|text| text.unwrap().to_owned())
                    .collect::<Vec<_>>()
            });
            texts.collect::<Vec<String>>()
        };
        let (bodies, paths): (Vec<_>, Vec<_>) = (0..VERSION_6_ROWS).map(packed_texts).unzip();
        assert_eq!((texts(0), texts(1)), (bodies, paths));
        let sql = "SELECT body FROM logs WHERE attr_url_path IS NULL";
        let others = store.sql(sql, 10).await.unwrap();
        let others = others
            .iter()
            .flat_map(|batch| batch.column(0).as_string::<i32>().iter());
        let others: Vec<String> = others.map(|text| text.unwrap().to_owned()).collect();
        assert_eq!(others, expect);
    };
    check(&[]).await;
    store.apply(3, crate::fixtures::logs("api", &new), None);
    store.flush().unwrap();
    let new = new.map(|(_, _, body)| body.to_owned());
    check(&new).await;
    let views = || -> Vec<String> {
        let catalog = Connection::open(dir.path().join(CATALOG_FILE)).unwrap();
        let mut sql = catalog
            .prepare("SELECT sql FROM ducklake_view WHERE view_name = 'logs'")
            .unwrap();
        let sql = sql.query_map([], |row| row.get(0)).unwrap();
        sql.map(Result::unwrap).collect()
    };
    assert!(views().iter().all(|sql| sql.contains("packed_number_body")));
    let with_path = |sql: &&String| sql.contains("packed_number_attr_url_path");
    assert_eq!(views().iter().filter(with_path).count(), 1);
}
