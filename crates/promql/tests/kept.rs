//! An engine that keeps answers gives the same as one that does not, whatever comes late or goes in between.

use std::time::Duration;

use parking_lot::RwLock;
use proptest::prelude::*;
use vervet_model::{Labels, UnixMillis};
use vervet_promql::{
    Engine, EngineOptions, Features, Mark, Queryable, QueryableError, STALE_NAN, Sample,
    SelectRequest, Series, Value,
};

const STEP_MS: i64 = 20_000;
/// The first ten depend on the past only.
const QUERIES: [&str; 16] = [
    "m",
    "rate(m[2m])",
    "sum by (g) (increase(m[90s] offset 30s))",
    "topk(1, m)",
    "max_over_time(rate(m[1m])[3m:15s])",
    "m > 3 or absent(m)",
    r#"count_values("v", m)"#,
    "time() - timestamp(m)",
    r#"m / on (i) group_left () (m offset 1m)"#,
    "scalar(sum(m))",
    "m offset -30s",
    "m @ 200",
    "sum(m @ end())",
    "rate(m[1m] smoothed)",
    "sum_over_time(m[2m] @ start())",
    "sum_over_time(m[range()])",
];

#[derive(Debug, Clone)]
enum Event {
    Sample {
        series: usize,
        time: i64,
        value: f64,
    },
    /// All samples up to a time go.
    Gone { until: i64 },
    Query {
        query: usize,
        start: i64,
        steps: i64,
        phase: i64,
    },
}

#[derive(Default)]
struct Store {
    series: RwLock<[Vec<Sample>; 4]>,
    /// The time of each change.
    changes: RwLock<Vec<i64>>,
}

impl Store {
    fn apply(&self, event: &Event) {
        match *event {
            Event::Sample {
                series,
                time,
                value,
            } => {
                let samples = &mut self.series.write()[series];
                let at = samples.partition_point(|sample| sample.timestamp < time);
                if samples.get(at).is_some_and(|known| known.timestamp == time) {
                    return;
                }
                let sample = Sample {
                    timestamp: time,
                    value,
                };
                samples.insert(at, sample);
                self.changes.write().push(time);
            }
            Event::Gone { until } => {
                for samples in &mut *self.series.write() {
                    samples.retain(|sample| sample.timestamp > until);
                }
                self.changes.write().push(i64::MIN);
            }
            Event::Query { .. } => {}
        }
    }
}

impl Queryable for Store {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let window = request.start.0..=request.end.0;
        let series = self.series.read();
        let named = series.iter().enumerate().map(|(index, samples)| {
            let group = if index % 2 == 0 { "a" } else { "b" };
            let index = index.to_string();
            let labels = [("__name__", "m"), ("g", group), ("i", index.as_str())];
            let samples = samples.iter().copied();
            Series {
                labels: Labels::from_pairs(labels),
                samples: samples
                    .filter(|sample| window.contains(&sample.timestamp))
                    .collect(),
            }
        });
        let matching = named.filter(|series| {
            let mut matchers = request.matchers.iter();
            matchers.all(|matcher| matcher.matches_labels(&series.labels))
        });
        Ok(matching
            .filter(|series| !series.samples.is_empty())
            .collect())
    }

    fn mark(&self) -> Option<Mark> {
        Some(Mark(self.changes.read().len() as u64))
    }

    fn changed_since(&self, mark: Mark) -> UnixMillis {
        let changes = self.changes.read();
        let since = changes
            .iter()
            .skip(usize::try_from(mark.0).unwrap_or(usize::MAX));
        UnixMillis(since.copied().min().unwrap_or(i64::MAX))
    }
}

fn engine(kept_bytes_max: usize) -> Engine {
    Engine::new(EngineOptions {
        kept_bytes_max,
        features: Features {
            duration_expressions: true,
            extended_range_selectors: true,
            ..Features::default()
        },
        ..EngineOptions::default()
    })
}

/// The answer as text, which tells NaN from NaN.
fn ask(engine: &Engine, store: &Store, event: &Event) -> String {
    let Event::Query {
        query,
        start,
        steps,
        phase,
    } = *event
    else {
        return String::new();
    };
    let start = start * STEP_MS + phase * 7_000;
    let end = start + steps * STEP_MS + 3_000;
    let output = engine.range(
        store,
        QUERIES[query],
        UnixMillis(start),
        UnixMillis(end),
        Duration::from_millis(STEP_MS.unsigned_abs()),
    );
    match output {
        Ok(output) => {
            let Value::Matrix(series) = output.value else {
                return "no matrix".to_owned();
            };
            let texts = series.iter().map(|Series { labels, samples }| {
                let samples = samples.iter();
                let samples = samples.map(|sample| (sample.timestamp, sample.value.to_bits()));
                format!("{labels} {:?}\n", samples.collect::<Vec<_>>())
            });
            texts.collect()
        }
        Err(error) => error.to_string(),
    }
}

fn event() -> impl Strategy<Value = Event> {
    let value = prop_oneof![
        8 => (0_u8..10).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(STALE_NAN),
    ];
    prop_oneof![
        12 => (0..4_usize, 0..900_000_i64, value)
            .prop_map(|(series, time, value)| Event::Sample { series, time, value }),
        1 => (0..400_000_i64).prop_map(|until| Event::Gone { until }),
        // Few queries, so that the same come again.
        8 => (0..QUERIES.len(), 0..20_i64, 0..30_i64, 0..2_i64)
            .prop_map(|(query, start, steps, phase)| Event::Query { query, start, steps, phase }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn answers_are_those_of_an_engine_that_keeps_none(
        events in prop::collection::vec(event(), 1..160),
    ) {
        let (keeping, plain, store) = (engine(1 << 20), engine(0), Store::default());
        for event in &events {
            store.apply(event);
            prop_assert_eq!(ask(&keeping, &store, event), ask(&plain, &store, event), "{:?}", event);
        }
        prop_assert_eq!(plain.kept().bytes, 0);
    }
}

fn query(query: usize, start: i64, steps: i64) -> Event {
    Event::Query {
        query,
        start,
        steps,
        phase: 0,
    }
}

fn filled() -> Store {
    let store = Store::default();
    for time in 0..100 {
        store.apply(&Event::Sample {
            series: 0,
            time: time * 10_000,
            value: 1.0,
        });
    }
    store
}

#[test]
fn only_new_steps_are_evaluated() {
    let (engine, store) = (engine(1 << 20), filled());
    ask(&engine, &store, &query(1, 0, 30));
    assert_eq!(engine.kept().steps_evaluated, 31);
    ask(&engine, &store, &query(1, 2, 30));
    assert_eq!(
        (engine.kept().steps_kept, engine.kept().steps_evaluated),
        (29, 33)
    );
    store.apply(&Event::Sample {
        series: 1,
        time: 20 * STEP_MS,
        value: 1.0,
    });
    // From step 20 on all may have changed.
    ask(&engine, &store, &query(1, 2, 30));
    assert_eq!(
        (engine.kept().steps_kept, engine.kept().steps_evaluated),
        (29 + 18, 33 + 13)
    );
    assert!(engine.kept().bytes > 0);
}

#[test]
fn answers_that_depend_on_more_than_the_past_are_not_kept() {
    let store = filled();
    for (index, text) in QUERIES.iter().enumerate() {
        let engine = engine(1 << 20);
        ask(&engine, &store, &query(index, 0, 30));
        assert_eq!(engine.kept().bytes > 0, index < 10, "{text}");
    }
}

#[test]
fn answers_are_kept_within_their_room() {
    const ROOM: usize = 16 << 10;
    let (engine, store) = (engine(ROOM), filled());
    for start in 0..20 {
        let steps = 30 + start;
        for phase in 0..2 {
            let query = Event::Query {
                query: 0,
                start,
                steps,
                phase,
            };
            ask(&engine, &store, &query);
        }
        for query in 0..10 {
            ask(&engine, &store, &self::query(query, start, steps));
            assert!(engine.kept().bytes <= ROOM as u64);
        }
    }
    assert!(engine.kept().bytes > ROOM as u64 / 2);
    assert!(engine.kept().steps_kept > 0);
}
