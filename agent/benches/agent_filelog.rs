//! The whole filelog receiver, from a file in the page cache to batches that nobody keeps: finding, reading, framing,
//! parsing and encoding, without the disk buffer and the network.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio_util::sync::CancellationToken;
use vervet_agent::config::substitute::SystemSources;
use vervet_agent::config::{AgentConfig, ReceiverConfig};
use vervet_agent::kubernetes::PodDirectory;
use vervet_agent::metrics::AgentMetrics;
use vervet_agent::pipeline::{ReceiverContext, channel};
use vervet_agent::processors::Chains;
use vervet_agent::receivers::filelog::FilelogReceiver;
use vervet_model::SystemClock;

#[path = "support/lines.rs"]
mod lines;

use lines::{Shape, lines};

/// 32 MiB of the shorter lines: enough that finding the file does not show.
const LINES: u64 = 256 << 10;
const MEMORY_BYTES: usize = 16 << 20;

fn filelog(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut group = criterion.benchmark_group("agent_filelog");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(10))
        .sample_size(10);
    for (name, shape) in [("cri", Shape::Cri), ("json", Shape::Json)] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let file = dir.path().join("service.log");
        let lines = lines(shape, "", LINES);
        let text = lines.join("\n") + "\n";
        fs::write(&file, &text).expect("written");
        group.throughput(Throughput::Bytes(lines::bytes(&lines)));
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(read_all(&file)));
        });
    }
    group.finish();
}

async fn read_all(file: &Path) {
    let metrics = Arc::new(AgentMetrics::default());
    let (output, mut queue) = channel("files", MEMORY_BYTES, Arc::clone(&metrics));
    let shutdown = CancellationToken::new();
    let context = ReceiverContext {
        output,
        resource: Vec::new(),
        chains: Chains::default(),
        pods: PodDirectory::none(),
        resume: Vec::new(),
        metrics,
        shutdown: shutdown.clone(),
        clock: Arc::new(SystemClock),
    };
    let receiver = tokio::spawn(FilelogReceiver::new(config(file), context).run());
    let mut records = 0;
    while records < LINES {
        let queued = queue.next().await.expect("the receiver runs");
        records += queued.batch.records;
        queued.settle(Ok(()));
    }
    assert_eq!(records, LINES);
    shutdown.cancel();
    receiver.await.expect("it ends");
}

fn config(file: &Path) -> vervet_agent::receivers::filelog::FilelogConfig {
    let text = format!(
        "receivers: {{files: {{type: filelog, include: [{file:?}]}}}}\n\
         exporters: {{collector: {{type: otlp, endpoint: \"http://127.0.0.1:1\"}}}}\n\
         pipelines: {{logs: {{from: [files], to: [collector]}}}}\n"
    );
    let config = AgentConfig::parse("bench", &text, &SystemSources).expect("a valid configuration");
    match config.receivers.into_iter().next() {
        Some((_, ReceiverConfig::Filelog(config))) => config,
        _ => panic!("no filelog receiver in: {text}"),
    }
}

criterion_group!(benches, filelog);
criterion_main!(benches);
