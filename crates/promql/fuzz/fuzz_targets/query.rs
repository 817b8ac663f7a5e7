//! Any text as a query over two small series: the engine answers or refuses, and keeps its limits.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vervet_model::{Labels, UnixMillis};
use vervet_promql::{
    Engine, EngineOptions, Features, Queryable, QueryableError, Sample, SelectRequest, Series, parse_selector,
};

struct Store;

impl Queryable for Store {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let all = ["a", "b"].map(|pod| Series {
            labels: Labels::from_pairs([("__name__", "up"), ("pod", pod), ("le", "1")]),
            samples: (0..8)
                .map(|index| Sample {
                    timestamp: index * 15_000,
                    value: 1.5,
                })
                .filter(|sample| (request.start.0..=request.end.0).contains(&sample.timestamp))
                .collect(),
        });
        Ok(all.into_iter().filter(|series| !series.samples.is_empty()).collect())
    }
}

fuzz_target!(|query: &str| {
    let engine = Engine::new(EngineOptions {
        samples_max: 100_000,
        timeout: Duration::from_secs(5),
        features: Features::all(),
        ..EngineOptions::default()
    });
    let _selector = parse_selector(query);
    let _instant = engine.instant(&Store, query, UnixMillis(60_000));
    let step = Duration::from_secs(15);
    let _range = engine.range(&Store, query, UnixMillis(0), UnixMillis(60_000), step);
});
