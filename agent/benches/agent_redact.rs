//! The redaction processor on log records: clean ones, where only the search costs, and ones that hold secrets.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use vervet_agent::AgentConfig;
use vervet_agent::config::substitute::SystemSources;
use vervet_agent::formats::{Detector, FormatSpec, Parser};
use vervet_agent::metrics::AgentMetrics;
use vervet_agent::processors::{Chain, Chains};
use vervet_model::{Clock, SystemClock};
use vervet_wire::otlp::{KeyValue, LogRecord, Resource, Scope, Value};

#[path = "support/lines.rs"]
mod lines;

use lines::{Shape, lines};

const LINES: u64 = 1_000;
/// What the messages of the second kind end in.
const SECRETS: &str = " by user@example.com with 4111 1111 1111 1111";
const CONFIG: &str = "
receivers: {otlp: {type: otlp, grpc: 127.0.0.1:0}}
processors:
  redact:
    type: redaction
    detect: [credit_card, iban, jwt, bearer, basic, aws, gcp, stripe, supabase, github, slack, gitlab, openai, service_token, private_key, email, url_query]
exporters: {collector: {type: otlp, endpoint: http://127.0.0.1:1}}
pipelines: {logs: {from: [otlp], via: [redact], to: [collector]}}
";

fn redact(criterion: &mut Criterion) {
    let chain = chain();
    let parser = Parser::try_from(FormatSpec::default()).expect("the default format is valid");
    let mut group = criterion.benchmark_group("agent_redact");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    for (name, tail) in [("clean", ""), ("secrets", SECRETS)] {
        let lines = lines(Shape::Json, tail, LINES);
        let records: Vec<_> = lines.iter().map(|line| record(&parser, line)).collect();
        group.throughput(Throughput::Bytes(lines::bytes(&lines)));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || records.clone(),
                |records| {
                    for record in records {
                        let _dropped = chain.log(&Resource::default(), &Scope::default(), record);
                        black_box(record);
                    }
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn chain() -> Chain {
    let config =
        AgentConfig::parse("bench", CONFIG, &SystemSources).expect("a valid configuration");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let chains = Chains::build(&config, &AgentMetrics::default(), &clock);
    chains.expect("chains").logs
}

/// Body and attributes, borrowed from the line as the receiver borrows them.
fn record<'l>(parser: &Parser, line: &'l str) -> LogRecord<'l> {
    let parsed = parser.parse(line, &mut Detector::default(), 0);
    assert!(parsed.attributes.len() >= 7, "{parsed:?}");
    let attributes: Vec<KeyValue<'l>> = parsed.attributes;
    let body: Value<'l> = parsed.body;
    LogRecord {
        body,
        attributes,
        ..LogRecord::default()
    }
}

criterion_group!(benches, redact);
criterion_main!(benches);
