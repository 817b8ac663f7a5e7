//! Range queries over an hour of 3,000 synthetic series, from memory. The store's part is a copy of the
//! series that match; everything else is the engine.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vervet_benches::generate::START_UNIX_NANO;
use vervet_benches::generate::samples::{SCRAPE_INTERVAL_NANO, Target};
use vervet_model::{Labels, UnixMillis};
use vervet_promql::{
    Engine, EngineOptions, Queryable, QueryableError, Sample, SelectRequest, Series,
};

const SEED: u64 = 4;
const TARGETS: u64 = 8;
const SCRAPES: usize = 240;
const STEP: Duration = Duration::from_secs(60);
const QUERIES: [(&str, &str); 4] = [
    ("selector", r#"node_load1"#),
    ("rate", r#"rate(node_cpu_seconds_total[5m])"#),
    (
        "sum_by_rate",
        r#"sum by (instance, mode) (rate(node_cpu_seconds_total[5m]))"#,
    ),
    (
        "ratio",
        r#"1 - node_filesystem_avail_bytes / on (instance, mountpoint) node_filesystem_size_bytes > 0.1"#,
    ),
];

struct Memory(Vec<Series>);

impl Memory {
    fn fill() -> Self {
        let mut series = Vec::new();
        for index in 0..TARGETS {
            let mut target = Target::new(SEED, index);
            let first = series.len();
            for scrape in 1..=SCRAPES {
                let nanos = START_UNIX_NANO + scrape as u64 * SCRAPE_INTERVAL_NANO;
                let timestamp = i64::try_from(nanos / 1_000_000).expect("this century");
                for (offset, (labels, value)) in target.scrape().enumerate() {
                    if scrape == 1 {
                        series.push(Series {
                            labels: Labels::from_pairs(labels),
                            samples: Vec::new(),
                        });
                    }
                    series[first + offset]
                        .samples
                        .push(Sample { timestamp, value });
                }
            }
        }
        Self(series)
    }
}

impl Queryable for Memory {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let matches = |series: &&Series| {
            request
                .matchers
                .iter()
                .all(|matcher| matcher.matches_labels(&series.labels))
        };
        let cut = |series: &Series| {
            let samples = &series.samples;
            let from = samples.partition_point(|sample| sample.timestamp < request.start.0);
            let to = samples.partition_point(|sample| sample.timestamp <= request.end.0);
            Series {
                labels: series.labels.clone(),
                samples: samples[from..to].to_vec(),
            }
        };
        Ok(self
            .0
            .iter()
            .filter(matches)
            .map(cut)
            .filter(|series| !series.samples.is_empty())
            .collect())
    }
}

fn range(criterion: &mut Criterion) {
    let memory = Memory::fill();
    let engine = Engine::new(EngineOptions::default());
    let start = UnixMillis(i64::try_from(START_UNIX_NANO / 1_000_000).expect("this century"));
    let end = UnixMillis(start.0 + 3_600_000);

    let mut group = criterion.benchmark_group("promql_range");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(20);
    for (name, query) in QUERIES {
        let run = || {
            engine
                .range(&memory, query, start, end, STEP)
                .expect("the query is valid")
        };
        let samples_read = run().samples_read;
        assert!(samples_read > 0, "{query} reads nothing");
        group.throughput(Throughput::Elements(samples_read as u64));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(run())));
    }
    group.finish();
}

criterion_group!(benches, range);
criterion_main!(benches);
