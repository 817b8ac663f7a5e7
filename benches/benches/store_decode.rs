//! Turning export requests into the store's columns, as every request is before it is acknowledged.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vervet_benches::generate::START_UNIX_NANO;
use vervet_benches::generate::logs::Logs;
use vervet_benches::generate::samples::Target;
use vervet_benches::generate::spans::{SPANS_PER_TRACE, Spans};
use vervet_model::{Signal, UnixNanos};
use vervet_store::{DecodeOptions, decode};

const SEED: u64 = 5;

fn columns(criterion: &mut Criterion) {
    let options = DecodeOptions::default();
    let received_at = UnixNanos(i64::try_from(START_UNIX_NANO).expect("this century"));
    let requests = [
        (Signal::Logs, Logs::new(SEED).request(1_000)),
        (
            Signal::Traces,
            Spans::new(SEED).request(1_000 / SPANS_PER_TRACE),
        ),
        (Signal::Metrics, Target::new(SEED, 0).request()),
    ];

    let mut group = criterion.benchmark_group("store_decode");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    for (signal, body) in requests {
        let run =
            || decode(signal, black_box(&body), &options, received_at).expect("a valid request");
        assert_eq!(run().rejected_total(), 0);
        group.throughput(Throughput::Elements(run().records));
        group.bench_function(signal.as_str(), |bencher| bencher.iter(|| black_box(run())));
    }
    group.finish();
}

criterion_group!(benches, columns);
criterion_main!(benches);
