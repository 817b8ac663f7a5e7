//! From a line in memory to an encoded log record, in the parts it is made of: the container runtime's prefix,
//! reading what is left, and writing the record.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vervet_agent::formats::{Detector, FormatSpec, Parsed, Parser};
use vervet_wire::otlp::{LogRecord, LogRecordsWriter, Resource, Scope, write_resource_logs};

#[path = "support/lines.rs"]
mod lines;

use lines::{Shape, lines};

const LINES: u64 = 2_000;

fn parse(criterion: &mut Criterion) {
    let parser = Parser::try_from(FormatSpec::default()).expect("the default format is valid");
    let mut group = criterion.benchmark_group("agent_parse");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    for (name, shape) in [("cri", Shape::Cri), ("json", Shape::Json)] {
        let lines = lines(shape, "", LINES);
        group.throughput(Throughput::Bytes(lines::bytes(&lines)));
        group.bench_function(format!("{name}_split"), |bencher| {
            bencher.iter(|| {
                for line in &lines {
                    black_box(parser.split(line));
                }
            });
        });
        let mut detector = Detector::default();
        group.bench_function(format!("{name}_fields"), |bencher| {
            bencher.iter(|| {
                for line in &lines {
                    let content = parser.split(line);
                    black_box(parser.parse_line(&content, &mut detector, 0));
                }
            });
        });
        let mut out = Vec::new();
        group.bench_function(format!("{name}_record"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_resource_logs(
                    &mut out,
                    &Resource::default(),
                    &Scope::default(),
                    |writer| {
                        for line in &lines {
                            let content = parser.split(line);
                            push(&parser.parse_line(&content, &mut detector, 0), writer);
                        }
                    },
                );
                black_box(&out);
            });
        });
    }
    group.finish();
}

fn push(parsed: &Parsed<'_>, writer: &mut LogRecordsWriter<'_, '_>) {
    writer.push(&LogRecord {
        time_unix_nano: parsed.time_unix_nano,
        observed_time_unix_nano: 1,
        severity_number: parsed.severity.number(),
        severity_text: parsed.severity_text.clone(),
        body: parsed.body.clone(),
        attributes: parsed.attributes.clone(),
        trace_id: parsed.trace_id.as_ref().map_or(&[], |id| &id.0),
        span_id: parsed.span_id.as_ref().map_or(&[], |id| &id.0),
        ..LogRecord::default()
    });
}

criterion_group!(benches, parse);
criterion_main!(benches);
