//! Appending one request of 1,000 log records to the journal, by one thread: synced before it returns, or
//! synced in the background. The disk is the one that holds the target folder.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vervet_benches::generate::logs::Logs;
use vervet_journal::{Entry, Journal, JournalConfig, OnFull, SyncPolicy};

const SEED: u64 = 3;
/// Small, so that old segments are deleted during the bench, as they are in life.
const DISK_BYTES_MAX: u64 = 256 << 20;

fn append(criterion: &mut Criterion) {
    let body = Logs::new(SEED).request(1_000);
    let mut group = criterion.benchmark_group("journal_append");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(20);
    group.throughput(Throughput::Bytes(body.len() as u64));
    let policies = [
        ("sync_always", SyncPolicy::Always),
        (
            "sync_interval",
            SyncPolicy::Interval(Duration::from_millis(100)),
        ),
    ];
    for (name, sync) in policies {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let config = JournalConfig {
            sync,
            disk_bytes_max: DISK_BYTES_MAX,
            ..JournalConfig::new(dir.path())
        };
        let (journal, _report) = Journal::open(config).expect("the journal opens");
        let mut cursor = journal.cursor("bench").expect("a cursor");
        cursor.set_policy(OnFull::DropOldest);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let entry = Entry {
                    kind: 1,
                    parts: &[&body],
                };
                journal.append(&[entry]).expect("the append succeeds")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
