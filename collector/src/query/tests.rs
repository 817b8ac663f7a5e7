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
    let error = service
        .promql_instant(query, UnixMillis(0), QueryOptions::default())
        .await;
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
    let ask = || {
        let query = "vector(1)[1d:1s]".to_owned();
        service.promql_instant(query, UnixMillis(0), QueryOptions::default())
    };
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

#[tokio::test]
async fn a_range_query_that_is_asked_again_shows_what_came_late() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(&dir, 64 * MIB);
    let minute = |minute: i64| UnixMillis(1_800_000_000_000 + minute * 60_000);
    let mut sequence = 0;
    let mut write = |at: UnixMillis, value: f64| {
        sequence += 1;
        let sample = vervet_alerting::RuleSample {
            labels: Labels::from_pairs([("__name__", "depth")]),
            value,
            at,
        };
        let body = crate::rules::encode(&[sample]);
        let (options, now) = (
            vervet_store::DecodeOptions::default(),
            minute(100).to_nanos(),
        );
        let decoded = service
            .store
            .decode(vervet_model::Signal::Metrics, &body, &options, now);
        service.store.apply(sequence, decoded.unwrap(), None);
    };
    let ask = || async {
        let query = "sum(depth)".to_owned();
        let step = Duration::from_secs(60);
        let output = service.promql_range(
            query,
            (minute(0), minute(20)),
            step,
            QueryOptions::default(),
        );
        match output.await.unwrap().value {
            vervet_promql::Value::Matrix(series) => {
                let samples = series.into_iter().flat_map(|series| series.samples);
                samples.map(|sample| sample.value).sum::<f64>()
            }
            other => panic!("{other:?}"),
        }
    };
    for at in (0..=10).filter(|at| *at != 5) {
        write(minute(at), 1.0);
    }
    // To the end of the lookback.
    assert_eq!(ask().await, 15.0);
    let evaluated = service.engine.kept().steps_evaluated;
    assert_eq!(ask().await, 15.0);
    assert_eq!(service.engine.kept().steps_evaluated, evaluated);
    write(minute(11), 2.0);
    assert_eq!(ask().await, 11.0 + 5.0 * 2.0);
    write(UnixMillis(minute(5).0 - 1), 9.0);
    assert_eq!(ask().await, 11.0 + 8.0 + 5.0 * 2.0);
    service.store.flush().unwrap();
    assert_eq!(ask().await, 29.0);
    write(UnixMillis(minute(20).0 - 1), 5.0);
    assert_eq!(ask().await, 34.0);
}
