//! Segments that cannot be read.

use super::*;

/// Three segments of a hundred records each, and a hundred in memory; the paths of the segments, newest first.
fn damaged_store(dir: &tempfile::TempDir) -> (Store, Vec<std::path::PathBuf>) {
    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    for part in 0..4_i64 {
        let bodies: Vec<String> = (0..100).map(|n| format!("line {part} {n}")).collect();
        let records = (part * 1000..).zip(&bodies);
        let records: Vec<_> = records.map(|(at, body)| (at, 9, body.as_str())).collect();
        store.apply(part.unsigned_abs() + 1, logs("api", &records), None);
        if part < 3 {
            store.flush().unwrap();
        }
    }
    let view = store.0.cut();
    let mut files: Vec<_> = view.snapshot.table(Table::Logs).collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.time_range));
    let paths = files.iter().map(|file| file.path.to_path_buf()).collect();
    (store, paths)
}

async fn counted(store: &Store, sql: &str) -> (usize, Vec<String>) {
    let mut rows = store.sql_rows(sql, SqlLimits::default()).await.unwrap();
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += batch.unwrap().num_rows();
    }
    (count, rows.warnings())
}

#[tokio::test]
async fn damaged_segments_are_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (store, paths) = damaged_store(&dir);
    assert_eq!(
        counted(&store, "SELECT body FROM logs").await,
        (400, vec![])
    );
    let [newest, middle, _] = paths.as_slice() else {
        panic!("{paths:?}");
    };
    std::fs::remove_file(newest).unwrap();
    std::fs::write(middle, vec![0; 1000]).unwrap();
    drop(store);
    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    for (sql, count) in [
        ("SELECT body FROM logs", 100),
        ("SELECT body FROM logs ORDER BY time DESC LIMIT 150", 100),
        ("SELECT body FROM logs WHERE body LIKE 'line%'", 100),
        ("SELECT count(*) FROM logs", 1),
        (
            "SELECT a.body FROM logs a JOIN logs b ON a.body = b.body",
            100,
        ),
    ] {
        let (rows, warnings) = counted(&store, sql).await;
        assert_eq!(rows, count, "{sql}");
        assert_eq!(warnings.len(), 2, "{sql}: {warnings:?}");
        for path in [newest, middle] {
            let name = path.display().to_string();
            let is_named =
                |warning: &String| warning.contains(&name) && warning.contains("missing");
            assert!(warnings.iter().any(is_named), "{sql}: {warnings:?}");
        }
    }
    let told: Vec<_> = store.damaged_segments();
    assert_eq!(told.len(), 2, "{told:?}");
    // What is not looked at is not missed.
    let (_, warnings) = counted(&store, "SELECT trace_id FROM spans").await;
    assert_eq!(warnings, Vec::<String>::new());
}

#[tokio::test]
async fn damaged_pages_are_named_though_the_footer_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (store, paths) = damaged_store(&dir);
    let path = &paths[1];
    let mut bytes = std::fs::read(path).unwrap();
    // Every page before the index and the footer.
    let end = bytes.len() / 2;
    bytes[4..end].iter_mut().for_each(|byte| *byte = !*byte);
    std::fs::write(path, &bytes).unwrap();
    let (count, warnings) = counted(&store, "SELECT * FROM logs").await;
    assert_eq!(count, 300);
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(warning.contains(&path.display().to_string()), "{warning}");
}

#[tokio::test]
async fn a_mistake_in_what_is_computed_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = damaged_store(&dir);
    for sql in [
        "SELECT 1 / (severity_number - 9) FROM logs",
        "SELECT arrow_cast(body, 'Int64') FROM logs",
    ] {
        let error = store.sql(sql, 1000).await.unwrap_err();
        assert!(error.is_user_error(), "{sql}: {error:?}");
    }
    assert!(store.damaged_segments().is_empty());
}
