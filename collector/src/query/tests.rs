//! Queries of metrics are held to `limits.query_memory`.

use vervet_promql::MemoryError;
use vervet_store::StoreConfig;

use super::*;

const MIB: usize = 1 << 20;

fn service(dir: &tempfile::TempDir, query_memory_bytes: usize) -> QueryService {
    let limits = Limits {
        query_memory_bytes,
        ..Limits::default()
    };
    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    QueryService::new(store, &limits, Features::default())
}

#[tokio::test]
async fn a_query_is_refused_at_the_memory_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(&dir, 8 * MIB);
    let query = "sum_over_time(vector(1)[1y:1s])".to_owned();
    let error = service.promql_instant(query, UnixMillis(0)).await;
    assert!(
        matches!(
            error,
            Err(QueryError::Memory(MemoryError::Query { limit, .. })) if limit == 8 * MIB
        ),
        "{error:?}"
    );
    assert_eq!(service.engine.memory_used(), 0);
}

#[tokio::test]
async fn queries_are_refused_at_the_memory_of_all_until_an_answer_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(&dir, 8 * MIB);
    let ask = || service.promql_instant("vector(1)[1d:1s]".to_owned(), UnixMillis(0));
    let mut answers = Vec::new();
    let error = loop {
        match ask().await {
            Ok(answer) => answers.push(answer),
            Err(error) => break error,
        }
        assert!(
            answers.len() < 20,
            "twice the memory of one is never reached"
        );
    };
    assert!(
        matches!(
            error,
            QueryError::Memory(MemoryError::Together { limit, .. }) if limit == 16 * MIB
        ),
        "{error}"
    );
    assert!(answers.len() > 1, "one fits at least twice");
    answers.clear();
    ask().await.unwrap();
    assert_eq!(service.engine.memory_used(), 0);
}
