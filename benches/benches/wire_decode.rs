//! Walking export requests: every field of every record is read, nothing is kept.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vervet_benches::generate::logs::Logs;
use vervet_benches::generate::samples::Target;
use vervet_benches::generate::spans::{SPANS_PER_TRACE, Spans};
use vervet_wire::otlp::{for_each_log, for_each_metric, for_each_span};

const SEED: u64 = 1;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire_decode");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));

    let logs = Logs::new(SEED).request(1_000);
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("logs", |bencher| {
        bencher.iter(|| {
            for_each_log(black_box(&logs), |_, _, record| {
                black_box(record);
            })
        });
    });

    let spans = Spans::new(SEED).request(1_000 / SPANS_PER_TRACE);
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("spans", |bencher| {
        bencher.iter(|| {
            for_each_span(black_box(&spans), |_, _, span| {
                black_box(span);
            })
        });
    });

    let mut target = Target::new(SEED, 0);
    let samples = target.request();
    group.throughput(Throughput::Elements(target.series_count() as u64));
    group.bench_function("samples", |bencher| {
        bencher.iter(|| {
            for_each_metric(black_box(&samples), |_, _, metric| {
                black_box(metric);
            })
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
