//! A range query is the same as an instant query at each of its steps, whatever the data: the engine evaluates
//! whole series at once, and this is what must not show.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use vervet_model::{Labels, UnixMillis};
use vervet_promql::{
    Engine, EngineOptions, Features, Queryable, QueryableError, STALE_NAN, Sample, SelectRequest,
    Series, Value,
};

const QUERIES: [&str; 37] = [
    "m",
    "m offset 45s",
    "m @ 200 + m",
    "-m",
    "rate(m[2m])",
    "increase(m[90s] offset 30s)",
    "delta(m[3m])",
    "irate(m[2m])",
    "deriv(m[4m])",
    "predict_linear(m[4m], 60)",
    "sum_over_time(m[2m])",
    "quantile_over_time(0.7, m[3m])",
    "max_over_time(rate(m[1m])[3m:20s])",
    "min_over_time(m[2m:] @ end())",
    "increase(m[1m] anchored)",
    "rate(m[90s] smoothed offset 20s)",
    "delta(m[1m] smoothed @ 150)",
    "changes(m[2m] anchored)",
    "resets(m[30s] anchored) + 1",
    "m smoothed",
    "sum(m smoothed offset (1m / 4)) by (g)",
    "sum by (g) (m)",
    "avg without (i) (m)",
    "stddev by (g) (m)",
    "topk by (g) (1, m)",
    "bottomk(2, m)",
    "quantile(0.4, m)",
    r#"count_values("v", m)"#,
    "m > 3",
    "m == bool m offset 1m",
    "m / on(i) group_left() (m offset 1m)",
    r#"m{g="a"} or m{g="b"} offset 2m"#,
    "m and m offset 1m > 2",
    "m unless rate(m[1m])",
    "absent(m) or absent_over_time(m[1m])",
    "timestamp(m) + minute()",
    r#"label_replace(clamp(m, 1, 5), "j", "$1", "i", "(.)") * scalar(sum(m))"#,
];

#[derive(Debug)]
struct Store(Vec<Series>);

impl Queryable for Store {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let window = request.start.0..=request.end.0;
        let matching = self.0.iter().filter(|series| {
            request
                .matchers
                .iter()
                .all(|matcher| matcher.matches_labels(&series.labels))
        });
        let within = |series: &Series| Series {
            labels: series.labels.clone(),
            samples: series
                .samples
                .iter()
                .copied()
                .filter(|sample| window.contains(&sample.timestamp))
                .collect(),
        };
        Ok(matching
            .map(within)
            .filter(|series| !series.samples.is_empty())
            .collect())
    }
}

/// Up to four series with gaps, resets, NaN and staleness markers, a sample every few seconds.
fn stores() -> impl Strategy<Value = Store> {
    let value = prop_oneof![
        8 => (0_u8..10).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(STALE_NAN),
    ];
    let samples = prop::collection::vec((1_i64..70_000, value), 0..25);
    prop::collection::vec(samples, 1..5).prop_map(|all| {
        let series = |(index, samples): (usize, Vec<(i64, f64)>)| {
            let group = if index % 2 == 0 { "a" } else { "b" };
            let mut timestamp = 0;
            let at = |(distance, value)| {
                timestamp += distance;
                Sample { timestamp, value }
            };
            Series {
                labels: Labels::from_pairs([
                    ("__name__", "m".to_owned()),
                    ("i", index.to_string()),
                    ("g", group.to_owned()),
                ]),
                samples: samples.into_iter().map(at).collect(),
            }
        };
        Store(all.into_iter().enumerate().map(series).collect())
    })
}

/// Values by labels, as bits, so that NaN equals NaN.
type Vector = BTreeMap<Labels, u64>;

fn at_step(matrix: &[Series], timestamp: i64) -> Vector {
    let value = |series: &Series| {
        let found = series
            .samples
            .iter()
            .find(|sample| sample.timestamp == timestamp)?;
        Some((series.labels.clone(), canonical(found.value)))
    };
    matrix.iter().filter_map(value).collect()
}

fn instant(engine: &Engine, store: &Store, query: &str, at: i64) -> Vector {
    let output = engine
        .instant(store, query, UnixMillis(at))
        .expect("the range query succeeded");
    match output.value {
        Value::Vector(vector) => vector
            .into_iter()
            .map(|element| (element.labels, canonical(element.sample.value)))
            .collect(),
        other => panic!("not a vector: {other:?}"),
    }
}

fn canonical(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn range_queries_equal_instant_queries(store in stores(), start in 0_i64..400_000, step in 1_i64..90) {
        let engine = Engine::new(EngineOptions {
            features: Features::all(),
            ..EngineOptions::default()
        });
        let step_millis = step * 1_000;
        let end = start + 6 * step_millis;
        for query in QUERIES {
            // Of `end()` an instant query knows nothing.
            let query = query.replace("end()", &format!("{}", end as f64 / 1_000.0));
            let duration = Duration::from_millis(step_millis.unsigned_abs());
            let output = engine
                .range(&store, &query, UnixMillis(start), UnixMillis(end), duration)
                .map_err(|error| TestCaseError::fail(format!("{query}: {error}")))?;
            let Value::Matrix(matrix) = output.value else {
                panic!("not a matrix");
            };
            for time in (0..7).map(|index| start + index * step_millis) {
                prop_assert_eq!(
                    at_step(&matrix, time),
                    instant(&engine, &store, &query, time),
                    "{} at {}",
                    query,
                    time
                );
            }
        }
    }
}
