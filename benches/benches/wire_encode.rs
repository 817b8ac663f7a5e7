//! Writing log records to a request body, from fields that exist already.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vervet_benches::generate::logs::Logs;
use vervet_wire::otlp::{LogRecord, Resource, Scope, for_each_log, write_resource_logs};

const SEED: u64 = 2;
const RECORDS: usize = 1_000;

fn encode(criterion: &mut Criterion) {
    let body = Logs::new(SEED).request(RECORDS);
    let mut input: Vec<(Resource<'_>, Scope<'_>, LogRecord<'_>)> = Vec::new();
    for_each_log(&body, |resource, scope, record| {
        input.push((resource.clone(), scope.clone(), record));
    })
    .expect("the generated request is valid");
    let groups: Vec<_> = input.chunk_by(|one, next| one.0 == next.0).collect();
    let mut out = Vec::with_capacity(body.len());

    let mut group = criterion.benchmark_group("wire_encode");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("logs", |bencher| {
        bencher.iter(|| {
            out.clear();
            for records in &groups {
                let (resource, scope, _) = &records[0];
                write_resource_logs(&mut out, resource, scope, |writer| {
                    for (_, _, record) in *records {
                        writer.push(record);
                    }
                });
            }
            black_box(&out);
        });
    });
    group.finish();
    assert_eq!(out, body, "what is written is what was read");
}

criterion_group!(benches, encode);
criterion_main!(benches);
