//! What a request may have otherwise than the engine, and the newest samples.

use std::time::Duration;

use parking_lot::Mutex;
use vervet_model::{Clock, Labels, UnixMillis, UnixNanos};
use vervet_promql::{
    Engine, EngineOptions, Mark, QueryError, QueryOptions, Queryable, QueryableError, STALE_NAN,
    Sample, SelectRequest, Series, Value, parse_selector,
};

/// Three series with samples at minute 10; one of them is stale.
struct Store;

impl Queryable for Store {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let window = request.start.0..=request.end.0;
        let all = [("a", 1.0), ("b", 2.0), ("stale", STALE_NAN)];
        let all = all.map(|(name, value)| Series {
            labels: Labels::from_pairs([("__name__", name)]),
            samples: vec![Sample {
                timestamp: 600_000,
                value,
            }],
        });
        let matching = all.into_iter().filter(|series| {
            let mut matchers = request.matchers.iter();
            matchers.all(|matcher| matcher.matches_labels(&series.labels))
                && window.contains(&600_000)
        });
        Ok(matching.collect())
    }

    fn mark(&self) -> Option<Mark> {
        Some(Mark(0))
    }

    fn changed_since(&self, _mark: Mark) -> UnixMillis {
        UnixMillis(i64::MAX)
    }
}

fn lookback(minutes: u64) -> QueryOptions {
    QueryOptions {
        lookback_delta: Some(Duration::from_secs(minutes * 60)),
        ..QueryOptions::default()
    }
}

#[test]
fn a_request_may_look_back_further_or_less() {
    let engine = Engine::new(EngineOptions::default());
    let found = |minute: i64, options| {
        let at = UnixMillis(minute * 60_000);
        let output = engine.instant_with(&Store, "a", at, options);
        match output.unwrap().value {
            Value::Vector(samples) => samples.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(found(14, QueryOptions::default()), 1);
    assert_eq!(found(15, QueryOptions::default()), 0);
    assert_eq!((found(15, lookback(6)), found(16, lookback(6))), (1, 0));
    assert_eq!((found(10, lookback(1)), found(11, lookback(1))), (1, 0));
}

#[test]
fn answers_of_another_lookback_are_others() {
    let engine = Engine::new(EngineOptions::default());
    let steps = |options| {
        let range = (UnixMillis(0), UnixMillis(1_200_000));
        let step = Duration::from_secs(60);
        let output = engine.range_with(&Store, "a", range, step, options);
        match output.unwrap().value {
            Value::Matrix(series) => series[0].samples.len(),
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..2 {
        assert_eq!(steps(QueryOptions::default()), 5);
        assert_eq!(steps(lookback(2)), 2);
        assert_eq!(steps(lookback(9)), 9);
    }
    assert_eq!(engine.kept().steps_evaluated, 63);
}

/// Each look at this clock costs a second.
struct SlowClock(Mutex<i64>);

impl Clock for SlowClock {
    fn now(&self) -> UnixNanos {
        let mut seconds = self.0.lock();
        *seconds += 1;
        UnixNanos(*seconds * 1_000_000_000)
    }
}

#[test]
fn a_request_may_have_less_time_and_no_more() {
    let options = EngineOptions {
        timeout: Duration::from_secs(60),
        ..EngineOptions::default()
    };
    // More than fifty looks, less than a thousand.
    let query = vec!["a"; 50].join(" + ");
    let run = |own_seconds, query: &str| {
        let clock = std::sync::Arc::new(SlowClock(Mutex::new(0)));
        let engine = Engine::with_clock(options.clone(), clock);
        let options = QueryOptions {
            timeout: Some(Duration::from_secs(own_seconds)),
            ..QueryOptions::default()
        };
        engine.instant_with(&Store, query, UnixMillis(600_000), options)
    };
    run(60, "a + a").unwrap();
    assert!(matches!(run(2, "a + a"), Err(QueryError::Timeout)));
    assert!(matches!(run(1_000, &query), Err(QueryError::Timeout)));
}

#[test]
fn the_newest_samples_are_those_within_the_lookback_that_are_not_stale() {
    let engine = Engine::new(EngineOptions::default());
    let newest = |selectors: &[&str], minute: i64| {
        let selectors = selectors.iter().map(|text| parse_selector(text).unwrap());
        let selectors: Vec<_> = selectors.collect();
        let at = UnixMillis(minute * 60_000);
        let newest = engine.newest(&Store, &selectors, at).unwrap();
        let names = newest.iter().map(|(labels, sample)| {
            assert_eq!(sample.timestamp, 600_000);
            labels.metric_name().to_owned()
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(newest(&[r#"{__name__=~".+"}"#], 12), ["a", "b"]);
    assert_eq!(
        newest(&["b", "a", r#"{__name__=~"a|x"}"#], 12),
        ["b", "a", "a"]
    );
    assert!(newest(&["a", "stale"], 15).is_empty());
    assert!(newest(&[], 12).is_empty());
    assert_eq!(engine.memory_used(), 0);
}
